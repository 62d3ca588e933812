//! What this client may do (KIP-430).

use std::collections::BTreeMap;

use klamm_kafka::{ErrorCode, Operation};
use klamm_wire::protocol::messages::{
    DescribeClusterRequest, DescribeGroupsRequest, DescribeTransactionsRequest, MetadataRequest,
    TransactionalId,
};
use klamm_wire::protocol::protocol::StrBytes;

use crate::Admin;
use crate::error::AdminError;
use crate::groups::group_id;
use crate::metadata::Topics;
use crate::retry::Repeat;

/// The operations that the broker allows this client on one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    bits: i32,
}

impl Rights {
    /// Takes Kafka's bit field; `None` when the broker did not fill it in.
    pub(crate) fn told(bits: i32) -> Option<Self> {
        (bits != i32::MIN).then_some(Rights { bits })
    }

    /// Whether `operation` is allowed.
    pub fn allows(self, operation: Operation) -> bool {
        self.bits & (1 << operation as i32) != 0
    }
}

/// What is known about this client's rights on a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicRights {
    /// The topic does not exist (and DESCRIBE is allowed).
    Missing,
    /// Not even DESCRIBE is allowed; Kafka does not tell whether the topic exists.
    Denied,
    /// The topic exists; `None` when the broker does not tell rights.
    Known(Option<Rights>),
}

impl Admin {
    /// Rights on the cluster; `None` when the broker does not tell.
    pub async fn cluster_rights(&self) -> Result<Option<Rights>, AdminError> {
        self.retry("ask for rights on the cluster", Repeat::Always, || async {
            let connection = self.cluster.any().await?;
            if connection.version_of::<DescribeClusterRequest>(None).is_ok() {
                let request =
                    DescribeClusterRequest::default().with_include_cluster_authorized_operations(true);
                let answer = connection.call(&request).await?;
                let message = answer.error_message.as_deref();
                return match ErrorCode::from(answer.error_code).ok() {
                    Ok(()) => Ok(Rights::told(answer.cluster_authorized_operations)),
                    Err(code) => Err(AdminError::kafka(code, message, "describe", "the cluster")),
                };
            }
            // Before DescribeCluster (2.8) the field was part of Metadata, in versions 8 to 10.
            if connection.version_of::<MetadataRequest>(Some(10))? < 8 {
                return Ok(None);
            }
            let request = MetadataRequest::default()
                .with_topics(Some(Vec::new()))
                .with_include_cluster_authorized_operations(true);
            let capped = klamm_wire::CallOptions { max_version: Some(10), timeout: None };
            let answer = connection.call_with(&request, capped).await?;
            Ok(Rights::told(answer.cluster_authorized_operations))
        })
        .await
    }

    /// Rights on each of `topics`.
    pub async fn topic_rights(&self, topics: &[String]) -> Result<BTreeMap<String, TopicRights>, AdminError> {
        let found = self
            .retry("ask for rights on topics", Repeat::Always, || {
                self.cluster.metadata(Topics::Named(topics))
            })
            .await?;
        let rights = found.into_iter().map(|topic| {
            let rights = match topic.code {
                ErrorCode::TOPIC_AUTHORIZATION_FAILED => TopicRights::Denied,
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => TopicRights::Missing,
                _ => TopicRights::Known(topic.rights),
            };
            (topic.name, rights)
        });
        Ok(rights.collect())
    }
}

/// Questions about what one may see, in a way that creates nothing: finding a coordinator may create Kafka's own topic.
impl Admin {
    /// Whether this client may describe a group of this name, existing or not.
    pub async fn may_describe_group(&self, group: &str) -> Result<bool, AdminError> {
        let request = &DescribeGroupsRequest::default().with_groups(vec![group_id(group)]);
        self.retry("ask for rights on groups", Repeat::Always, || async move {
            let answer = self.cluster.any().await?.call(request).await?;
            let told = answer.groups.first().map(|told| ErrorCode::from(told.error_code));
            Ok(told != Some(ErrorCode::GROUP_AUTHORIZATION_FAILED))
        })
        .await
    }

    /// Whether this client may describe a transactional id of this name, existing or not.
    pub async fn may_describe_transactional_id(&self, id: &str) -> Result<bool, AdminError> {
        let ids = vec![TransactionalId(StrBytes::from_string(id.to_owned()))];
        let request = &DescribeTransactionsRequest::default().with_transactional_ids(ids);
        self.retry("ask for rights on transactional ids", Repeat::Always, || async move {
            let answer = self.cluster.any().await?.call(request).await?;
            let told = answer.transaction_states.first().map(|told| ErrorCode::from(told.error_code));
            Ok(told != Some(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED))
        })
        .await
    }
}
