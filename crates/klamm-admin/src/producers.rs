//! Producers that a partition remembers, transactions of theirs that hang, and the marker that ends one (KIP-664).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::describe_producers_request::TopicRequest;
use klamm_wire::protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use klamm_wire::protocol::messages::{DescribeProducersRequest, ProducerId, WriteTxnMarkersRequest};

use crate::Admin;
use crate::each::{Leaders, PerPartition, Told, Wanted};
use crate::error::AdminError;
use crate::metadata::topic_name;
use crate::offsets::OffsetSpec;
use crate::pace::Peer;
use crate::quorum::now_ms;
use crate::retry::Repeat;
use crate::rights::TopicRights;
use crate::transactions::TransactionListing;

/// Partitions in one request, as Kafka's own tool has it: an answer names every producer of the last day.
const PARTITIONS_PER_REQUEST: usize = 500;

/// A name that nothing has: asking for it tells whether everything may be seen.
const PROBE: &str = "klamm-probe";

/// Transactional id and open partitions, by producer id.
type Known = BTreeMap<i64, (String, BTreeSet<(String, i32)>)>;

/// A producer that a partition remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerState {
    /// Producer id.
    pub producer_id: i64,
    /// Epoch.
    pub epoch: i32,
    /// Epoch of the coordinator that wrote its last marker; -1 if none did.
    pub coordinator_epoch: i32,
    /// Time of its last record, in milliseconds since 1970.
    pub last_timestamp_ms: i64,
    /// First offset of its open transaction; `None` when none is open.
    pub transaction_start: Option<i64>,
}

/// An open transaction of a partition that nobody is going to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HangingTransaction {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// The producer, with the first offset of the transaction.
    pub producer: ProducerState,
    /// The transactional id that its producer id belongs to now, when a coordinator knows one.
    pub transactional_id: Option<String>,
}

/// What a search for hanging transactions brought.
#[derive(Debug, Clone, Default)]
pub struct Hanging {
    /// Those that were found, by topic and partition.
    pub found: Vec<HangingTransaction>,
    /// What could not be looked at, and why.
    pub missing: Vec<String>,
}

impl Admin {
    /// Producers that the leader of each partition remembers. Needs READ on the topics.
    pub async fn describe_producers(&self, leaders: &Leaders) -> PerPartition<Vec<ProducerState>> {
        self.at_leaders("describe producers", leaders, PARTITIONS_PER_REQUEST, &ask).await
    }

    /// Open transactions, idle for `idle` at least, that no coordinator is going to end: as `kafka-transactions.sh
    /// find-hanging`. `topics` are searched, or all when there are none.
    ///
    /// Only partitions whose last stable offset stays behind the end can have one, so only those are asked for their
    /// producers. `idle` is at least `transaction.max.timeout.ms` of the brokers (15 minutes by default): a shorter one
    /// finds transactions that their producer may still end.
    ///
    /// Where a coordinator cannot be asked, or ids and topics are hidden from this user, that is `missing`: what is not
    /// told may be hanging or not.
    ///
    /// # Errors
    /// When topics cannot be described.
    pub async fn find_hanging_transactions(
        &self,
        topics: &[String],
        idle: Duration,
    ) -> Result<Hanging, AdminError> {
        let mut hanging = Hanging::default();
        let suspects = self.with_open_transactions(topics, &mut hanging.missing).await?;
        let idle_ms = i64::try_from(idle.as_millis()).unwrap_or(i64::MAX);
        let now = now_ms();
        let mut open = Vec::new();
        for (topic, partition, told) in flat(self.describe_producers(&suspects).await) {
            match told {
                Ok(states) => open.extend(
                    states
                        .into_iter()
                        .filter(|state| state.transaction_start.is_some())
                        .filter(|state| now.saturating_sub(state.last_timestamp_ms) >= idle_ms)
                        .map(|state| (topic.clone(), partition, state)),
                ),
                Err(error) => hanging.missing.push(format!("topic {topic} partition {partition}: {error}")),
            }
        }
        // Asked for also where nothing is open: a cluster whose coordinators tell nothing was not searched.
        let (known, unheard) = self.transactions_of(&open).await;
        for (topic, partition, producer) in open {
            let known = known.get(&producer.producer_id);
            if known.is_none() && !unheard.is_empty() {
                hanging.missing.push(format!(
                    "topic {topic} partition {partition}: whether a coordinator knows the transaction of producer {}",
                    producer.producer_id
                ));
                continue;
            }
            // A coordinator that still has the partition in its list is going to write the marker.
            let expected =
                known.is_some_and(|(_, partitions)| partitions.contains(&(topic.clone(), partition)));
            if !expected {
                let transactional_id = known.map(|(id, _)| id.clone());
                hanging.found.push(HangingTransaction { topic, partition, producer, transactional_id });
            }
        }
        hanging.missing.extend(unheard);
        Ok(hanging)
    }

    /// Partitions with records between the last stable offset and the end.
    async fn with_open_transactions(
        &self,
        topics: &[String],
        missing: &mut Vec<String>,
    ) -> Result<Leaders, AdminError> {
        let leaders = match topics {
            [] => {
                let listed = self.topics().await?;
                missing.extend(listed.failed.iter().map(|(topic, error)| format!("topic {topic}: {error}")));
                let rights = self.topic_rights(&[PROBE.to_owned()]).await?;
                // Kafka leaves topics out that one may not describe.
                if rights.get(PROBE) == Some(&TopicRights::Denied) {
                    missing
                        .push("topics that are hidden from this user: needs DESCRIBE on Topic:*".to_owned());
                }
                listed.leaders()
            }
            _ => {
                let leaders = self.leaders(topics).await?;
                let unknown = topics.iter().filter(|topic| !leaders.contains_key(*topic));
                missing.extend(unknown.map(|topic| format!("topic {topic}: there is none, or it is hidden")));
                leaders
            }
        };
        let ends = self.list_offsets_of(&leaders, OffsetSpec::Latest).await;
        // Asked after the end: one that was open then is open now, or done.
        let mut stable = self.list_offsets_of(&leaders, OffsetSpec::LatestStable).await;
        let mut suspects = Leaders::new();
        for (topic, partition, end) in flat(ends) {
            let stable = stable.get_mut(&topic).and_then(|topic| topic.remove(&partition));
            match (end, stable) {
                (Ok(end), Some(Ok(stable))) if stable >= end => {}
                (Ok(_), Some(Ok(_))) => {
                    let leader = leaders.get(&topic).and_then(|topic| topic.get(&partition));
                    suspects.entry(topic).or_default().insert(partition, leader.copied().flatten());
                }
                (Err(error), _) | (_, Some(Err(error))) => {
                    missing.push(format!("topic {topic} partition {partition}: {error}"));
                }
                (Ok(_), None) => missing.push(format!("topic {topic} partition {partition}: not told")),
            }
        }
        Ok(suspects)
    }

    /// The transactional id of each producer id, with the partitions whose markers its coordinator will write; and what was not told.
    async fn transactions_of(&self, open: &[(String, i32, ProducerState)]) -> (Known, Vec<String>) {
        let producers: BTreeSet<i64> = open.iter().map(|(_, _, state)| state.producer_id).collect();
        let producers: Vec<i64> = producers.into_iter().collect();
        let (mut known, mut missing) = (Known::new(), Vec::new());
        for (broker, listed) in self.list_transactions_of(&producers).await {
            let told = match listed {
                Ok(listed) => self.described_of(broker, listed, &producers, &mut known).await,
                Err(error) => Err(error),
            };
            if let Err(error) = told {
                missing.push(format!("transactions that broker {broker} coordinates: {error}"));
            }
        }
        // Ids that are hidden are left out of what is listed, without a word.
        if missing.is_empty() && producers.iter().any(|producer| !known.contains_key(producer)) {
            match self.may_describe_transactional_id(PROBE).await {
                Ok(true) => {}
                Ok(false) => missing.push(
                    "transactional ids that are hidden from this user: needs DESCRIBE on TransactionalId:*"
                        .to_owned(),
                ),
                Err(error) => {
                    missing.push(format!("whether transactional ids are hidden from this user: {error}"));
                }
            }
        }
        (known, missing)
    }

    async fn described_of(
        &self,
        broker: i32,
        mut listed: Vec<TransactionListing>,
        producers: &[i64],
        known: &mut Known,
    ) -> Result<(), AdminError> {
        listed.retain(|listing| producers.contains(&listing.producer_id));
        let ids: Vec<String> = listed.iter().map(|listing| listing.id.clone()).collect();
        for described in self.describe_transactions(broker, &ids).await? {
            let described = described?;
            known.insert(described.producer_id, (described.id, described.partitions.into_iter().collect()));
        }
        for listing in listed {
            known.entry(listing.producer_id).or_insert((listing.id, BTreeSet::new()));
        }
        Ok(())
    }

    /// Ends the open transaction that starts at `start_offset` with an abort marker: as `kafka-transactions.sh abort`.
    /// What it wrote stays invisible to `read_committed`. Needs READ on the topic and ALTER on the cluster.
    ///
    /// # Errors
    /// `Unexpected` when no transaction starts there; INVALID_PRODUCER_EPOCH when the producer has written with a later
    /// epoch since; TRANSACTION_COORDINATOR_FENCED when a coordinator has written a marker since.
    pub async fn abort_transaction(
        &self,
        topic: &str,
        partition: i32,
        start_offset: i64,
    ) -> Result<ProducerState, AdminError> {
        let leader = self.cluster.topic(topic).await?.leader_of(partition)?;
        let leaders: Leaders = [(topic.to_owned(), [(partition, Some(leader))].into())].into();
        let told = flat(self.describe_producers(&leaders).await).next();
        let (_, _, states) = told.ok_or_else(|| AdminError::unexpected("the answer is empty"))?;
        let starts_there = |state: &ProducerState| state.transaction_start == Some(start_offset);
        let found = states?.into_iter().find(starts_there).ok_or_else(|| {
            AdminError::unexpected(format!(
                "topic {topic} partition {partition} has no open transaction that starts at offset {start_offset}"
            ))
        })?;
        self.write_abort_marker(topic, partition, found).await?;
        Ok(found)
    }

    async fn write_abort_marker(
        &self,
        topic: &str,
        partition: i32,
        producer: ProducerState,
    ) -> Result<(), AdminError> {
        let at = WritableTxnMarkerTopic::default()
            .with_name(topic_name(topic))
            .with_partition_indexes(vec![partition]);
        let marker = WritableTxnMarker::default()
            .with_producer_id(ProducerId(producer.producer_id))
            .with_producer_epoch(i16::try_from(producer.epoch).unwrap_or(i16::MAX))
            .with_transaction_result(false)
            .with_topics(vec![at])
            // Without any marker before, 0 is not above the epoch of any coordinator.
            .with_coordinator_epoch(producer.coordinator_epoch.max(0));
        let request = &WriteTxnMarkersRequest::default().with_markers(vec![marker]);
        let resource = &format!("topic {topic} partition {partition}");
        self.retry(&format!("abort the transaction in {resource}"), Repeat::Always, || async move {
            let leader = self.cluster.topic(topic).await?.leader_of(partition)?;
            let answer = self.cluster.broker(leader).await?.call(request).await?;
            let told = answer.markers.iter().flat_map(|marker| &marker.topics);
            let told = told.flat_map(|topic| &topic.partitions).next();
            let told = told.ok_or_else(|| AdminError::unexpected("the answer about the marker is empty"))?;
            let refused = |code| AdminError::kafka(code, None, "abort a transaction", resource);
            ErrorCode::from(told.error_code).ok().map_err(refused)
        })
        .await
    }
}

async fn ask(peer: Peer, wanted: Wanted) -> Result<Told<Vec<ProducerState>>, AdminError> {
    let of_topic = |(topic, partitions): (String, Vec<i32>)| {
        TopicRequest::default().with_name(topic_name(&topic)).with_partition_indexes(partitions)
    };
    let request = DescribeProducersRequest::default().with_topics(wanted.into_iter().map(of_topic).collect());
    let answer = peer.call(&request).await?;
    let mut found = Told::new();
    for topic in &answer.topics {
        for told in &topic.partitions {
            let resource = format!("topic {} partition {}", topic.name.0, told.partition_index);
            let message = told.error_message.as_deref();
            let refused = |code| AdminError::kafka(code, message, "describe producers", &resource);
            let states = told.active_producers.iter().map(|state| ProducerState {
                producer_id: state.producer_id.0,
                epoch: state.producer_epoch,
                coordinator_epoch: state.coordinator_epoch,
                last_timestamp_ms: state.last_timestamp,
                transaction_start: (state.current_txn_start_offset >= 0)
                    .then_some(state.current_txn_start_offset),
            });
            let states = ErrorCode::from(told.error_code).ok().map_err(refused).map(|()| states.collect());
            found.push((topic.name.0.to_string(), told.partition_index, states));
        }
    }
    Ok(found)
}

fn flat<T>(told: PerPartition<T>) -> impl Iterator<Item = (String, i32, Result<T, AdminError>)> {
    told.into_iter().flat_map(|(topic, partitions)| {
        partitions.into_iter().map(move |(partition, told)| (topic.clone(), partition, told))
    })
}
