//! Consumer groups: their coordinator, and offsets that are committed and deleted from outside.

use std::collections::BTreeMap;

use klamm_kafka::ErrorCode;
use klamm_wire::CallOptions;
use klamm_wire::protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use klamm_wire::protocol::messages::{
    DeleteGroupsRequest, FindCoordinatorRequest, GroupId, OffsetCommitRequest,
};
use klamm_wire::protocol::protocol::StrBytes;

use crate::Admin;
use crate::error::AdminError;
use crate::metadata::topic_name;
use crate::offset_fetch;
use crate::pace::Peer;
use crate::retry::Repeat;

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

impl Admin {
    /// Offsets that `group` has committed in `topics` (all topics when empty), sorted.
    pub async fn group_offsets(
        &self,
        group: &str,
        topics: &[String],
    ) -> Result<Vec<CommittedOffset>, AdminError> {
        let what = format!("fetch the offsets of group {group}");
        let fetched = self.retry(&what, Repeat::Always, || async {
            let peer = self.coordinator(group).await?;
            let mut told = offset_fetch::ask(&peer, &[group.to_owned()]).await?;
            told.remove(group).ok_or_else(|| nothing_about(group))?
        });
        let mut offsets = fetched.await?;
        offsets.retain(|offset| topics.is_empty() || topics.contains(&offset.topic));
        offsets.sort_unstable();
        Ok(offsets)
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

    pub(crate) async fn coordinator(&self, group: &str) -> Result<Peer, AdminError> {
        self.coordinator_of(Coordinated::Group, group).await
    }

    pub(crate) async fn coordinator_of(&self, what: Coordinated, name: &str) -> Result<Peer, AdminError> {
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

pub(crate) fn group_id(group: &str) -> GroupId {
    GroupId(StrBytes::from_string(group.to_owned()))
}

pub(crate) fn group_resource(group: &str) -> String {
    Coordinated::Group.resource(group)
}

fn nothing_about(group: &str) -> AdminError {
    AdminError::unexpected(format!("the answer says nothing about group {group}"))
}
