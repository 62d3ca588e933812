//! Committed offsets of many groups at once.

use std::collections::BTreeMap;

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use klamm_wire::protocol::messages::{
    DescribeShareGroupOffsetsRequest, OffsetFetchRequest, OffsetFetchResponse,
    describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestGroup,
};
use klamm_wire::protocol::protocol::StrBytes;

use crate::Admin;
use crate::each::PerBroker;
use crate::error::AdminError;
use crate::groups::{CommittedOffset, group_id, group_resource};
use crate::pace::Peer;

/// Groups in one request: each may have offsets of thousands of partitions.
const GROUPS_PER_REQUEST: usize = 50;

/// What each group has committed, or why that cannot be had.
pub type Committed = BTreeMap<String, Result<Vec<CommittedOffset>, AdminError>>;

impl Admin {
    /// All offsets that each of these groups has committed, the groups given by their coordinator as it has listed them.
    /// Offsets in topics that this client may not describe are not in the answer, as Kafka wants it.
    pub async fn offsets_of_groups(&self, groups: &BTreeMap<i32, Vec<String>>) -> Committed {
        let mut committed = Committed::new();
        for (coordinator, told) in self.in_batches("fetch committed offsets", groups, &ask_all).await {
            spread(&mut committed, groups.get(&coordinator), told);
        }
        committed
    }

    /// Where each share group starts in each partition: what is before has been delivered for good (KIP-1000).
    pub async fn offsets_of_share_groups(&self, groups: &BTreeMap<i32, Vec<String>>) -> Committed {
        let mut committed = Committed::new();
        for (coordinator, told) in self.in_batches("describe share offsets", groups, &ask_share).await {
            spread(&mut committed, groups.get(&coordinator), told);
        }
        committed
    }

    async fn in_batches<F>(
        &self,
        what: &str,
        groups: &BTreeMap<i32, Vec<String>>,
        ask: &impl Fn(Peer, Vec<String>) -> F,
    ) -> PerBroker<Committed>
    where
        F: Future<Output = Result<Committed, AdminError>>,
    {
        let at = |(coordinator, names): (&i32, &Vec<String>)| {
            let (coordinator, names) = (*coordinator, names.clone());
            async move {
                let mut all = Committed::new();
                for some in names.chunks(GROUPS_PER_REQUEST) {
                    let one = |peer| ask(peer, some.to_vec());
                    match self.at_broker(what, coordinator, &one).await {
                        Ok(told) => all.extend(told),
                        Err(error) if all.is_empty() => return (coordinator, Err(error)),
                        Err(error) => {
                            all.extend(some.iter().map(|group| (group.clone(), Err(error.clone()))));
                        }
                    }
                }
                (coordinator, Ok(all))
            }
        };
        futures_util::future::join_all(groups.iter().map(at)).await.into_iter().collect()
    }
}

/// Something about each group that was asked for.
fn spread(committed: &mut Committed, groups: Option<&Vec<String>>, told: Result<Committed, AdminError>) {
    let (mut told, failure) = match told {
        Ok(told) => (told, None),
        Err(error) => (Committed::new(), Some(error)),
    };
    for group in groups.into_iter().flatten() {
        let found = told.remove(group).unwrap_or_else(|| {
            let nothing = || AdminError::unexpected(format!("the answer says nothing about group {group}"));
            Err(failure.clone().unwrap_or_else(nothing))
        });
        committed.insert(group.clone(), found);
    }
}

async fn ask_all(peer: Peer, groups: Vec<String>) -> Result<Committed, AdminError> {
    ask(&peer, &groups).await
}

/// Offsets of groups in one request, or one after another where the broker takes one group only (before 3.0).
pub(crate) async fn ask(peer: &Peer, groups: &[String]) -> Result<Committed, AdminError> {
    if peer.version_of::<OffsetFetchRequest>(None)? >= 8 {
        let all = |group: &String| {
            OffsetFetchRequestGroup::default()
                .with_group_id(group_id(group))
                .with_member_epoch(-1)
                .with_topics(None)
        };
        let request = OffsetFetchRequest::default().with_groups(groups.iter().map(all).collect());
        return Ok(of_groups(&peer.call(&request).await?));
    }
    let mut committed = Committed::new();
    for group in groups {
        let request = OffsetFetchRequest::default().with_group_id(group_id(group)).with_topics(None);
        let answer = peer.call(&request).await?;
        committed.insert(group.clone(), of_one(&answer, group));
    }
    Ok(committed)
}

fn of_groups(answer: &OffsetFetchResponse) -> Committed {
    let of = |told: &klamm_wire::protocol::messages::offset_fetch_response::OffsetFetchResponseGroup| {
        let group = told.group_id.0.to_string();
        let mut offsets = Offsets::new(&group, told.error_code)?;
        for topic in &told.topics {
            for at in &topic.partitions {
                let told = (at.partition_index, at.committed_offset, at.error_code);
                offsets.add(&topic.name.0, told, at.metadata.as_ref())?;
            }
        }
        Ok(offsets.committed)
    };
    answer.groups.iter().map(|told| (told.group_id.0.to_string(), of(told))).collect()
}

fn of_one(answer: &OffsetFetchResponse, group: &str) -> Result<Vec<CommittedOffset>, AdminError> {
    let mut offsets = Offsets::new(group, answer.error_code)?;
    for topic in &answer.topics {
        for at in &topic.partitions {
            let told = (at.partition_index, at.committed_offset, at.error_code);
            offsets.add(&topic.name.0, told, at.metadata.as_ref())?;
        }
    }
    Ok(offsets.committed)
}

/// Offsets of one group, as its answer is gone through.
struct Offsets<'a> {
    group: &'a str,
    committed: Vec<CommittedOffset>,
}

impl<'a> Offsets<'a> {
    fn new(group: &'a str, code: i16) -> Result<Self, AdminError> {
        let offsets = Offsets { group, committed: Vec::new() };
        offsets.refuse(code, None).map(|()| offsets)
    }

    fn add(
        &mut self,
        topic: &str,
        (partition, offset, code): (i32, i64, i16),
        metadata: Option<&StrBytes>,
    ) -> Result<(), AdminError> {
        self.refuse(code, None)?;
        // -1 means that nothing is committed.
        if offset >= 0 {
            let (topic, metadata) = (topic.to_owned(), metadata.map(ToString::to_string).unwrap_or_default());
            self.committed.push(CommittedOffset { topic, partition, offset, metadata });
        }
        Ok(())
    }

    fn refuse(&self, code: i16, message: Option<&str>) -> Result<(), AdminError> {
        let refused = |code| AdminError::kafka(code, message, "describe", &group_resource(self.group));
        ErrorCode::from(code).ok().map_err(refused)
    }
}

async fn ask_share(peer: Peer, groups: Vec<String>) -> Result<Committed, AdminError> {
    let all = |group: &String| {
        DescribeShareGroupOffsetsRequestGroup::default().with_group_id(group_id(group)).with_topics(None)
    };
    let request = DescribeShareGroupOffsetsRequest::default().with_groups(groups.iter().map(all).collect());
    let answer = peer.call(&request).await?;
    let mut committed = Committed::new();
    for told in &answer.groups {
        let group = told.group_id.0.to_string();
        let mut offsets = Offsets { group: &group, committed: Vec::new() };
        let mut outcome = offsets.refuse(told.error_code, told.error_message.as_deref());
        for topic in &told.topics {
            for at in &topic.partitions {
                let told = (at.partition_index, at.start_offset, at.error_code);
                outcome = outcome.and_then(|()| offsets.add(&topic.topic_name.0, told, None));
            }
        }
        let offsets = offsets.committed;
        committed.insert(group, outcome.map(|()| offsets));
    }
    Ok(committed)
}
