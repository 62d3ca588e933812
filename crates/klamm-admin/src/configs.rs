//! Configurations: describe and alter.

use std::collections::BTreeMap;

use klamm_contract::facts::{ConfigFact, ConfigSource};
use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::describe_configs_request::DescribeConfigsResource;
use klamm_wire::protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use klamm_wire::protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use klamm_wire::protocol::messages::{DescribeConfigsRequest, IncrementalAlterConfigsRequest};
use klamm_wire::protocol::protocol::StrBytes;

use crate::Admin;
use crate::error::AdminError;
use crate::pace::Peer;
use crate::retry::Repeat;

/// Kafka's `ConfigResource.Type` codes.
pub(crate) const TOPIC: i8 = 2;
pub(crate) const BROKER: i8 = 4;
pub(crate) const GROUP: i8 = 32;

/// Kafka's `AlterConfigOp.OpType` codes.
const SET: i8 = 0;
const DELETE: i8 = 1;

/// Effective settings by name.
pub type Configs = BTreeMap<String, ConfigFact>;

impl Admin {
    /// Sets or, with `None`, unsets settings of a topic; all others stay as they are (KIP-339).
    pub async fn alter_configs(
        &self,
        topic: &str,
        changes: &[(String, Option<String>)],
    ) -> Result<(), AdminError> {
        self.alter(Target::Topic(topic), changes).await
    }

    /// Sets or, with `None`, unsets dynamic settings of one broker.
    pub async fn alter_broker_configs(
        &self,
        broker: i32,
        changes: &[(String, Option<String>)],
    ) -> Result<(), AdminError> {
        self.alter(Target::Broker(broker), changes).await
    }

    /// Sets or, with `None`, unsets dynamic settings of all brokers at once.
    pub async fn alter_all_brokers_configs(
        &self,
        changes: &[(String, Option<String>)],
    ) -> Result<(), AdminError> {
        self.alter(Target::AllBrokers, changes).await
    }

    async fn alter(
        &self,
        target: Target<'_>,
        changes: &[(String, Option<String>)],
    ) -> Result<(), AdminError> {
        let (kind, name) = match target {
            Target::Topic(topic) => (TOPIC, topic.to_owned()),
            Target::Broker(id) => (BROKER, id.to_string()),
            Target::AllBrokers => (BROKER, String::new()),
        };
        let alterable = |(name, value): &(String, Option<String>)| {
            AlterableConfig::default()
                .with_name(StrBytes::from_string(name.clone()))
                .with_config_operation(if value.is_some() { SET } else { DELETE })
                .with_value(value.clone().map(StrBytes::from_string))
        };
        let resource = AlterConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(StrBytes::from_string(name.clone()))
            .with_configs(changes.iter().map(alterable).collect());
        let request = &IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        let resource = &match target {
            Target::Topic(topic) => format!("topic {topic}"),
            Target::Broker(id) => format!("broker {id}"),
            Target::AllBrokers => "all brokers".to_owned(),
        };
        self.retry(&format!("alter the configuration of {resource}"), Repeat::Always, || async move {
            let connection = match target {
                Target::Topic(_) => self.cluster.controller().await?,
                Target::AllBrokers => self.cluster.any().await?,
                // A broker checks its own settings, and passes them on to the controller.
                Target::Broker(id) => self.cluster.broker(id).await?,
            };
            let answer = connection.call(request).await?;
            let said = answer.responses.first();
            let said =
                said.ok_or_else(|| AdminError::unexpected("the answer about the configuration is empty"))?;
            let message = said.error_message.as_deref();
            let refused = |code| AdminError::kafka(code, message, "alter configs", resource);
            ErrorCode::from(said.error_code).ok().map_err(refused)
        })
        .await
    }
}

/// Whose settings are altered.
#[derive(Debug, Clone, Copy)]
enum Target<'a> {
    Topic(&'a str),
    Broker(i32),
    AllBrokers,
}

/// Effective settings of each named resource of one type, or why they were not told.
pub(crate) async fn describe(
    connection: &Peer,
    resource_type: i8,
    names: &[String],
) -> Result<BTreeMap<String, Result<Configs, ErrorCode>>, AdminError> {
    let resource = |name: &String| {
        DescribeConfigsResource::default()
            .with_resource_type(resource_type)
            .with_resource_name(StrBytes::from_string(name.clone()))
            .with_configuration_keys(None)
    };
    let request = DescribeConfigsRequest::default().with_resources(names.iter().map(resource).collect());
    let answer = connection.call(&request).await?;
    let described = answer.results.iter().map(|result| {
        let configs = ErrorCode::from(result.error_code).ok();
        let configs = configs.map(|()| result.configs.iter().map(fact).collect());
        (result.resource_name.to_string(), configs)
    });
    Ok(described.collect())
}

fn fact(config: &DescribeConfigsResourceResult) -> (String, ConfigFact) {
    let source = match config.config_source {
        1 => ConfigSource::Topic,
        2 => ConfigSource::DynamicBroker,
        3 => ConfigSource::DynamicDefaultBroker,
        4 => ConfigSource::StaticBroker,
        5 => ConfigSource::Default,
        _ => ConfigSource::Other,
    };
    let value = config.value.as_ref().map(ToString::to_string);
    (config.name.to_string(), ConfigFact { value, source })
}
