//! Topics and their settings, and what of their records can be read.

use klamm_testkit::Dice;
use klamm_testkit::anyhow::Result;
use klamm_wire::protocol::messages::create_partitions_request::CreatePartitionsTopic;
use klamm_wire::protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use klamm_wire::protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use klamm_wire::protocol::messages::delete_topics_request::DeleteTopicState;
use klamm_wire::protocol::messages::describe_configs_request::DescribeConfigsResource;
use klamm_wire::protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use klamm_wire::protocol::messages::metadata_request::MetadataRequestTopic;
use klamm_wire::protocol::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest,
    DescribeConfigsRequest, IncrementalAlterConfigsRequest, MetadataRequest,
};

use crate::answers::{self, NOW};
use crate::conversation::Talk;
use crate::side::{Side, code, text, topic};

const TOPIC: i8 = 2;

/// Settings with values that are right, wrong, or of no setting.
const SETTINGS: [(&str, &[&str]); 10] = [
    ("retention.ms", &["-1", "60000", "x", "-2", ""]),
    ("cleanup.policy", &["compact", "delete", "compact,delete", "none", "delete,delete"]),
    ("min.insync.replicas", &["1", "2", "0"]),
    ("max.message.bytes", &["200", "1048588", "-1"]),
    ("compression.type", &["lz4", "producer", "zip"]),
    ("segment.bytes", &["1048576", "1000", "2147483647"]),
    ("message.timestamp.type", &["LogAppendTime", "CreateTime", "Now"]),
    ("unclean.leader.election.enable", &["true", "false", "yes"]),
    ("retention.bytes", &["-1", "1000000", "1.5"]),
    ("no.such.setting", &["1"]),
];

type Setting = (&'static str, &'static str);

#[derive(Debug, Clone)]
pub enum Step {
    Create { name: usize, partitions: i32, replication: i16, settings: Vec<Setting>, validate: bool },
    Delete { name: usize },
    Grow { name: usize, to: i32, validate: bool },
    Alter { name: usize, setting: Setting, operation: i8, validate: bool },
    Describe { name: usize, setting: &'static str },
    Metadata { name: usize },
    Produce { name: usize, partition: i32, records: usize },
    DeleteRecords { name: usize, partition: i32, offset: i64 },
    Fetch { name: usize, partition: i32, offset: i64 },
    List { name: usize, partition: i32, timestamp: i64 },
}

pub struct Conversation {
    names: Vec<String>,
}

impl Conversation {
    pub fn new(index: usize) -> Self {
        let good = [format!("n-{index}"), format!("m.{index}"), format!("m_{index}")];
        let bad = [String::new(), "..".to_owned(), "sp ace".to_owned(), "x".repeat(250)];
        Self { names: good.into_iter().chain(bad).collect() }
    }
}

fn setting(dice: &mut Dice) -> Setting {
    let (name, values) = SETTINGS[dice.among(0..SETTINGS.len() as u64) as usize];
    (name, values[dice.among(0..values.len() as u64) as usize])
}

impl Talk for Conversation {
    type Step = Step;

    fn begin(&self, _: &mut Side) -> Result<()> {
        Ok(())
    }

    fn next(&mut self, dice: &mut Dice) -> Step {
        let name = match dice.among(0..14) {
            0 => 3 + dice.among(0..4) as usize,
            other => (other % 3) as usize,
        };
        let partition = dice.among(0..4) as i32;
        let validate = dice.among(0..4) == 0;
        match dice.among(0..24) {
            0..6 => Step::Create {
                name,
                partitions: [1, 2, 3, 0, -1, -2][dice.among(0..6) as usize],
                replication: [1, 1, 1, -1, 0, 2][dice.among(0..6) as usize],
                settings: (0..dice.among(0..3)).map(|_| setting(dice)).collect(),
                validate,
            },
            6 => Step::Delete { name },
            7..9 => Step::Grow { name, to: dice.among(0..5) as i32, validate },
            9..13 => {
                Step::Alter { name, setting: setting(dice), operation: dice.among(0..5) as i8, validate }
            }
            13..16 => Step::Describe { name, setting: setting(dice).0 },
            16 => Step::Metadata { name },
            17..20 => Step::Produce { name, partition, records: 1 + dice.among(0..4) as usize },
            20 => Step::DeleteRecords { name, partition, offset: dice.among(0..6) as i64 - 2 },
            21 => Step::Fetch { name, partition, offset: dice.among(0..6) as i64 - 1 },
            _ => {
                let timestamp = [-1, -2, -3, -4, -5, NOW, NOW + 1][dice.among(0..7) as usize];
                Step::List { name, partition, timestamp }
            }
        }
    }

    fn ask(&self, side: &mut Side, step: &Step) -> Result<String> {
        let answer = self.ask_once(side, step)?;
        let changes = matches!(
            step,
            Step::Create { validate: false, .. }
                | Step::Delete { .. }
                | Step::Grow { validate: false, .. }
                | Step::Alter { validate: false, .. }
        );
        if changes && answer.starts_with("NONE") {
            side.barrier(&self.names[0])?;
        }
        Ok(answer)
    }

    fn heard(&mut self, _: &Step, _: &str) {}
}

impl Conversation {
    fn ask_once(&self, side: &mut Side, step: &Step) -> Result<String> {
        let name = |at: &usize| self.names[*at].as_str();
        match step {
            Step::Create { name: at, partitions, replication, settings, validate } => {
                create(side, name(at), (*partitions, *replication), settings, *validate)
            }
            Step::Delete { name: at } => {
                let wanted = DeleteTopicState::default().with_name(Some(topic(name(at))));
                let request =
                    DeleteTopicsRequest::default().with_topics(vec![wanted]).with_timeout_ms(30_000);
                let answer = side.settled(6, &request, |_| 0)?;
                Ok(code(answer.responses[0].error_code))
            }
            Step::Grow { name: at, to, validate } => {
                let wanted = CreatePartitionsTopic::default().with_name(topic(name(at))).with_count(*to);
                let request = CreatePartitionsRequest::default()
                    .with_topics(vec![wanted.with_assignments(None)])
                    .with_timeout_ms(30_000)
                    .with_validate_only(*validate);
                Ok(code(side.settled(3, &request, |_| 0)?.results[0].error_code))
            }
            Step::Alter { name: at, setting, operation, validate } => {
                alter(side, name(at), *setting, *operation, *validate)
            }
            Step::Describe { name: at, setting } => describe(side, name(at), setting),
            Step::Metadata { name: at } => {
                let wanted = MetadataRequestTopic::default().with_name(Some(topic(name(at))));
                let request = MetadataRequest::default()
                    .with_topics(Some(vec![wanted]))
                    .with_allow_auto_topic_creation(false);
                let answer = side.settled(12, &request, |_| 0)?;
                let found = &answer.topics[0];
                let mut indexes: Vec<_> = found.partitions.iter().map(|p| p.partition_index).collect();
                indexes.sort_unstable();
                Ok(format!("{} {indexes:?} internal {}", code(found.error_code), found.is_internal))
            }
            Step::Produce { name: at, partition, records } => {
                let records = answers::batch(None, false, *records, NOW)?;
                answers::produce(side, 9, None, (name(at), *partition), records)
            }
            Step::DeleteRecords { name: at, partition, offset } => {
                let wanted =
                    DeleteRecordsPartition::default().with_partition_index(*partition).with_offset(*offset);
                let topics =
                    DeleteRecordsTopic::default().with_name(topic(name(at))).with_partitions(vec![wanted]);
                let request =
                    DeleteRecordsRequest::default().with_topics(vec![topics]).with_timeout_ms(30_000);
                let answer = side.settled(2, &request, |_| 0)?;
                let found = &answer.topics[0].partitions[0];
                Ok(format!("{} {}", code(found.error_code), found.low_watermark))
            }
            Step::Fetch { name: at, partition, offset } => {
                answers::fetch(side, name(at), *partition, *offset, 0)
            }
            Step::List { name: at, partition, timestamp } => {
                answers::list(side, name(at), *partition, *timestamp, 0)
            }
        }
    }
}

fn create(
    side: &mut Side,
    name: &str,
    (partitions, replication): (i32, i16),
    settings: &[Setting],
    validate: bool,
) -> Result<String> {
    let configs = settings.iter().map(|(name, value)| {
        CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))
    });
    let wanted = CreatableTopic::default()
        .with_name(topic(name))
        .with_num_partitions(partitions)
        .with_replication_factor(replication)
        .with_configs(configs.collect());
    let request = CreateTopicsRequest::default()
        .with_topics(vec![wanted])
        .with_timeout_ms(30_000)
        .with_validate_only(validate);
    let answer = side.settled(7, &request, |_| 0)?;
    let made = &answer.topics[0];
    let mut own: Vec<_> = made
        .configs
        .iter()
        .flatten()
        .filter(|config| config.config_source == 1)
        .map(|config| format!("{}={}", config.name.as_str(), config.value.as_deref().unwrap_or("null")))
        .collect();
    own.sort();
    Ok(format!(
        "{} {} partitions {} copies {own:?}",
        code(made.error_code),
        made.num_partitions,
        made.replication_factor
    ))
}

fn alter(
    side: &mut Side,
    name: &str,
    (setting, value): Setting,
    operation: i8,
    validate: bool,
) -> Result<String> {
    let config = AlterableConfig::default()
        .with_name(text(setting))
        .with_config_operation(operation)
        .with_value(Some(text(value)));
    let resource = AlterConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text(name))
        .with_configs(vec![config]);
    let request =
        IncrementalAlterConfigsRequest::default().with_resources(vec![resource]).with_validate_only(validate);
    Ok(code(side.settled(1, &request, |_| 0)?.responses[0].error_code))
}

fn describe(side: &mut Side, name: &str, setting: &str) -> Result<String> {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text(name))
        .with_configuration_keys(Some(vec![text(setting)]));
    let request =
        DescribeConfigsRequest::default().with_resources(vec![resource]).with_include_synonyms(false);
    let answer = side.settled(4, &request, |_| 0)?;
    let found = &answer.results[0];
    let configs: Vec<_> = found
        .configs
        .iter()
        .map(|config| {
            format!(
                "{}={} source {} read-only {} sensitive {} type {}",
                config.name.as_str(),
                config.value.as_deref().unwrap_or("null"),
                config.config_source,
                config.read_only,
                config.is_sensitive,
                config.config_type
            )
        })
        .collect();
    Ok(format!("{} {configs:?}", code(found.error_code)))
}
