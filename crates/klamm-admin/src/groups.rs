//! Consumer groups: committed offsets, state and members.

use std::collections::BTreeMap;

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use klamm_wire::protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use klamm_wire::protocol::messages::{
    ConsumerGroupDescribeRequest, DeleteGroupsRequest, DescribeGroupsRequest, FindCoordinatorRequest,
    GroupId, ListGroupsRequest, OffsetCommitRequest, OffsetFetchRequest,
};
use klamm_wire::protocol::protocol::StrBytes;
use klamm_wire::{CallOptions, Connection};

use crate::Admin;
use crate::error::AdminError;
use crate::metadata::topic_name;
use crate::retry::Repeat;
use crate::rights::Rights;

/// An offset that a group has committed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommittedOffset {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Next offset that the group will read.
    pub offset: i64,
    /// What the committer wrote beside it.
    pub metadata: String,
}

/// A group as its coordinator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    /// `group.id`.
    pub group: String,
    /// State in Kafka's words: `Stable`, `Empty`, `PreparingRebalance`, … and `Dead` for a group that does not exist.
    pub state: String,
    /// Assignor that the members agreed on; empty without members.
    pub assignor: String,
    /// Members, in the coordinator's order.
    pub members: Vec<GroupMember>,
    /// What this client may do with the group; `None` when the broker does not tell.
    pub rights: Option<Rights>,
}

/// One member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// Id that the coordinator knows it by.
    pub member_id: String,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// `client.id`.
    pub client_id: String,
    /// Host that it connects from.
    pub host: String,
}

impl Admin {
    /// Names of all groups, sorted. Each broker knows those that it coordinates, so all of them are asked.
    pub async fn list_groups(&self) -> Result<Vec<String>, AdminError> {
        let mut names = std::collections::BTreeSet::new();
        for id in self.cluster.view().brokers.keys().copied() {
            let listed = self
                .retry("list the groups", Repeat::Always, || async move {
                    let answer = self.cluster.broker(id).await?.call(&ListGroupsRequest::default()).await?;
                    let refused =
                        |code| AdminError::kafka(code, None, "list groups", &format!("broker {id}"));
                    ErrorCode::from(answer.error_code).ok().map_err(refused)?;
                    Ok(answer.groups)
                })
                .await?;
            names.extend(listed.iter().map(|group| group.group_id.0.to_string()));
        }
        Ok(names.into_iter().collect())
    }

    /// Offsets that `group` has committed in `topics` (all topics when empty), sorted.
    pub async fn group_offsets(
        &self,
        group: &str,
        topics: &[String],
    ) -> Result<Vec<CommittedOffset>, AdminError> {
        let what = format!("fetch the offsets of group {group}");
        let mut offsets = self.retry(&what, Repeat::Always, || self.committed(group)).await?;
        offsets.retain(|offset| topics.is_empty() || topics.contains(&offset.topic));
        offsets.sort_unstable();
        Ok(offsets)
    }

    async fn committed(&self, group: &str) -> Result<Vec<CommittedOffset>, AdminError> {
        let connection = self.coordinator(group).await?;
        let grouped = connection.version_of::<OffsetFetchRequest>(None)? >= 8;
        let id = group_id(group);
        let request = match grouped {
            true => {
                let all = OffsetFetchRequestGroup::default()
                    .with_group_id(id)
                    .with_member_epoch(-1)
                    .with_topics(None);
                OffsetFetchRequest::default().with_groups(vec![all])
            }
            false => OffsetFetchRequest::default().with_group_id(id).with_topics(None),
        };
        let answer = connection.call(&request).await?;
        let code = answer.groups.first().map_or(answer.error_code, |group| group.error_code);
        refuse(code, None, group)?;
        let mut committed = Vec::new();
        let mut add = |topic: &str, partition, offset, metadata: Option<&StrBytes>, code| {
            refuse(code, None, group)?;
            // -1 means that nothing is committed.
            if offset >= 0 {
                let (topic, metadata) =
                    (topic.to_owned(), metadata.map(ToString::to_string).unwrap_or_default());
                committed.push(CommittedOffset { topic, partition, offset, metadata });
            }
            Ok::<_, AdminError>(())
        };
        for topic in answer.groups.iter().flat_map(|group| &group.topics) {
            for at in &topic.partitions {
                let metadata = at.metadata.as_ref();
                add(&topic.name.0, at.partition_index, at.committed_offset, metadata, at.error_code)?;
            }
        }
        for topic in &answer.topics {
            for at in &topic.partitions {
                let metadata = at.metadata.as_ref();
                add(&topic.name.0, at.partition_index, at.committed_offset, metadata, at.error_code)?;
            }
        }
        Ok(committed)
    }

    /// Commits offsets for `group` from outside: each a topic, a partition and the next offset to read. All are taken or
    /// none.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID when the group has members: only they may commit.
    pub async fn commit_offsets(
        &self,
        group: &str,
        offsets: &[(String, i32, i64)],
    ) -> Result<(), AdminError> {
        let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
        for (topic, partition, offset) in offsets {
            let at = OffsetCommitRequestPartition::default()
                .with_partition_index(*partition)
                .with_committed_offset(*offset)
                .with_committed_leader_epoch(-1)
                .with_committed_metadata(Some(StrBytes::default()));
            topics.entry(topic).or_default().push(at);
        }
        let of_topic = |(topic, partitions): (&str, Vec<_>)| {
            OffsetCommitRequestTopic::default().with_name(topic_name(topic)).with_partitions(partitions)
        };
        let request = &OffsetCommitRequest::default()
            .with_group_id(group_id(group))
            .with_generation_id_or_member_epoch(-1)
            .with_topics(topics.into_iter().map(of_topic).collect());
        self.retry(&format!("commit offsets of group {group}"), Repeat::Always, || async move {
            // From version 10 on topics are named by id.
            let capped = CallOptions { max_version: Some(9), timeout: None };
            let answer = self.coordinator(group).await?.call_with(request, capped).await?;
            for told in answer.topics.iter().flat_map(|topic| &topic.partitions) {
                let resource = format!("group {group}");
                let refused = |code| AdminError::kafka(code, None, "commit offsets", &resource);
                ErrorCode::from(told.error_code).ok().map_err(refused)?;
            }
            Ok(())
        })
        .await
    }

    /// Deletes a group with its offsets. One that does not exist is no error.
    ///
    /// # Errors
    /// NON_EMPTY_GROUP when it has members.
    pub async fn delete_group(&self, group: &str) -> Result<(), AdminError> {
        let request = &DeleteGroupsRequest::default().with_groups_names(vec![group_id(group)]);
        self.retry(&format!("delete group {group}"), Repeat::Always, || async move {
            let answer = self.coordinator(group).await?.call(request).await?;
            let told = answer.results.first().ok_or_else(|| nothing_about(group))?;
            match ErrorCode::from(told.error_code) {
                ErrorCode::GROUP_ID_NOT_FOUND => Ok(()),
                code => code
                    .ok()
                    .map_err(|code| AdminError::kafka(code, None, "delete", &format!("group {group}"))),
            }
        })
        .await
    }

    /// State and members of `group`. A group that does not exist is `Dead`, as Kafka has it.
    pub async fn describe_group(&self, group: &str) -> Result<GroupDescription, AdminError> {
        self.retry(&format!("describe group {group}"), Repeat::Always, || async {
            let connection = self.coordinator(group).await?;
            let described = classic(&connection, group).await?;
            // A group of the consumer protocol (KIP-848) is unknown to the classic request.
            let newer = connection.version_of::<ConsumerGroupDescribeRequest>(None).is_ok();
            if described.state == DEAD
                && newer
                && let Some(found) = consumer(&connection, group).await?
            {
                return Ok(found);
            }
            Ok(described)
        })
        .await
    }

    async fn coordinator(&self, group: &str) -> Result<Connection, AdminError> {
        self.coordinator_of(Coordinated::Group, group).await
    }

    pub(crate) async fn coordinator_of(
        &self,
        what: Coordinated,
        name: &str,
    ) -> Result<Connection, AdminError> {
        let connection = self.cluster.any().await?;
        let key = StrBytes::from_string(name.to_owned());
        let request = FindCoordinatorRequest::default().with_key_type(what as i8);
        let request = match connection.version_of::<FindCoordinatorRequest>(None)? {
            4.. => request.with_coordinator_keys(vec![key]),
            _ => request.with_key(key),
        };
        let answer = connection.call(&request).await?;
        let (node, code, message) = match answer.coordinators.into_iter().next() {
            Some(told) => (told.node_id.0, told.error_code, told.error_message),
            None => (answer.node_id.0, answer.error_code, answer.error_message),
        };
        ErrorCode::from(code).ok().map_err(|code| {
            AdminError::kafka(code, message.as_deref(), "find the coordinator", &what.resource(name))
        })?;
        if !self.cluster.view().brokers.contains_key(&node) {
            self.cluster.refresh().await?;
        }
        self.cluster.broker(node).await
    }
}

/// What a coordinator is asked for, with Kafka's code for it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Coordinated {
    Group = 0,
    TransactionalId = 1,
}

impl Coordinated {
    fn resource(self, name: &str) -> String {
        match self {
            Coordinated::Group => format!("group {name}"),
            Coordinated::TransactionalId => format!("transactional id {name}"),
        }
    }
}

const DEAD: &str = "Dead";

async fn classic(connection: &Connection, group: &str) -> Result<GroupDescription, AdminError> {
    let rights = connection.version_of::<DescribeGroupsRequest>(None)? >= 3;
    let request = DescribeGroupsRequest::default()
        .with_groups(vec![group_id(group)])
        .with_include_authorized_operations(rights);
    let answer = connection.call(&request).await?;
    let told = answer.groups.into_iter().next().ok_or_else(|| nothing_about(group))?;
    // From version 6 on a group that does not exist is an error.
    let missing = ErrorCode::from(told.error_code) == ErrorCode::GROUP_ID_NOT_FOUND;
    if !missing {
        refuse(told.error_code, told.error_message.as_deref(), group)?;
    }
    let member = |member: &klamm_wire::protocol::messages::describe_groups_response::DescribedGroupMember| {
        GroupMember {
            member_id: member.member_id.to_string(),
            instance_id: member.group_instance_id.as_ref().map(ToString::to_string),
            client_id: member.client_id.to_string(),
            host: member.client_host.to_string(),
        }
    };
    Ok(GroupDescription {
        group: group.to_owned(),
        state: if missing { DEAD.to_owned() } else { told.group_state.to_string() },
        assignor: told.protocol_data.to_string(),
        members: told.members.iter().map(member).collect(),
        rights: Rights::told(told.authorized_operations),
    })
}

/// `None` when it is no group of the consumer protocol either.
async fn consumer(connection: &Connection, group: &str) -> Result<Option<GroupDescription>, AdminError> {
    let request = ConsumerGroupDescribeRequest::default()
        .with_group_ids(vec![group_id(group)])
        .with_include_authorized_operations(true);
    let answer = connection.call(&request).await?;
    let told = answer.groups.into_iter().next().ok_or_else(|| nothing_about(group))?;
    if ErrorCode::from(told.error_code) == ErrorCode::GROUP_ID_NOT_FOUND {
        return Ok(None);
    }
    refuse(told.error_code, told.error_message.as_deref(), group)?;
    let member =
        |member: &klamm_wire::protocol::messages::consumer_group_describe_response::Member| GroupMember {
            member_id: member.member_id.to_string(),
            instance_id: member.instance_id.as_ref().map(ToString::to_string),
            client_id: member.client_id.to_string(),
            host: member.client_host.to_string(),
        };
    Ok(Some(GroupDescription {
        group: group.to_owned(),
        state: told.group_state.to_string(),
        assignor: told.assignor_name.to_string(),
        members: told.members.iter().map(member).collect(),
        rights: Rights::told(told.authorized_operations),
    }))
}

fn group_id(group: &str) -> GroupId {
    GroupId(StrBytes::from_string(group.to_owned()))
}

fn refuse(code: i16, message: Option<&str>, group: &str) -> Result<(), AdminError> {
    let refused = |code| AdminError::kafka(code, message, "describe", &format!("group {group}"));
    ErrorCode::from(code).ok().map_err(refused)
}

fn nothing_about(group: &str) -> AdminError {
    AdminError::unexpected(format!("the answer says nothing about group {group}"))
}
