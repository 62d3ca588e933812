//! A bounded sample of records.
//!
//! The newest records of each partition are fetched as any reader may: no group is joined and no offset is committed. Of
//! them counts are kept, and a few keys; see [`TopicSample`]. Records of aborted and of open transactions are left out.

mod distinct;
mod fetch;
mod placement;
mod shape;
mod shares;
mod sizes;
mod sketch;
mod tally;
mod versions;

use std::collections::BTreeMap;
use std::time::Duration;

use klamm_admin::{Admin, AdminError, AdminErrorKind, OffsetSpec};
use klamm_rules::Seen;
use klamm_rules::evidence::{Live, PartitionOffsets, Topic, TopicSample};
use tokio::time::{Instant, sleep_until, timeout_at};

use fetch::{Job, Sampling};
use shares::shares;
use tally::About;
use versions::Gaps;

/// How much is looked at. Every bound is kept, whichever is met first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleOptions {
    /// Records of each topic.
    pub records: u64,
    /// Bytes of all fetches together, as they come over the wire.
    pub total_bytes: u64,
    /// Time in all.
    pub total_time: Duration,
    /// Bytes of one fetch, at most 8 MiB; a larger batch still comes whole.
    pub fetch_bytes: u32,
    /// Fetches from one broker in a second. One is under way at a time.
    pub requests_per_second: u32,
    /// Names of topics, or their beginnings with a `*`; none means all but Kafka's own.
    pub topics: Vec<String>,
}

/// Asking for the first and the last offsets of a topic means to ask for its leaders, and them, twice.
const REQUESTS_FOR_OFFSETS: u32 = 4;
/// Largest fetch.
const MOST_FETCH_BYTES: u32 = 8 << 20;

impl Default for SampleOptions {
    fn default() -> Self {
        SampleOptions {
            records: 10_000,
            total_bytes: 64 << 20,
            total_time: Duration::from_secs(20),
            fetch_bytes: 1 << 20,
            requests_per_second: 30,
            topics: Vec::new(),
        }
    }
}

impl SampleOptions {
    /// Time from one request to a broker to the next.
    fn pause(&self) -> Duration {
        Duration::from_secs(1) / self.requests_per_second.max(1)
    }

    fn wants(&self, name: &str, topic: &Topic) -> bool {
        let fits = |pattern: &String| match pattern.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == pattern,
        };
        let named = self.topics.iter().any(fits);
        named || (self.topics.is_empty() && !topic.internal && !name.starts_with("__"))
    }
}

/// Samples the topics that `live` has seen. What is missing is told by topic; for one that may not be read that is
/// `READ on Topic:<name>`.
pub async fn collect(admin: &Admin, live: &Live, options: &SampleOptions) -> Seen<Vec<TopicSample>> {
    let (topics, mut missing) = match &live.topics {
        Seen::Full(topics) => (topics, Vec::new()),
        Seen::Partial { value, missing } => (value, missing.clone()),
        Seen::NotAsked => return Seen::NotAsked,
        Seen::Denied { permission } => return Seen::Denied { permission: permission.clone() },
        Seen::Failed { why } => return Seen::Failed { why: why.clone() },
    };
    let deadline = Instant::now() + options.total_time;
    let (mut about, mut jobs, mut late, mut next) = (Vec::new(), Vec::new(), Vec::new(), Instant::now());
    for (name, topic) in topics.iter().filter(|(name, topic)| options.wants(name, topic)) {
        match timeout_at(deadline, offsets_of(admin, live, name, options, &mut next)).await {
            Ok(Ok(offsets)) => {
                let (some, leaderless) = jobs_of(about.len(), topic, &offsets, options.records);
                jobs.extend(some);
                missing.extend(untold(name, topic, &offsets));
                missing.extend(
                    leaderless
                        .into_iter()
                        .map(|partition| format!("topic {name} partition {partition}: has no leader")),
                );
                about.push(about_of(name, topic));
            }
            Ok(Err(error)) => missing.push(told(name, &error)),
            Err(_) => late.push(name.clone()),
        }
    }
    // The first partition of every topic comes before the second of any: what is cut is cut everywhere.
    jobs.sort_by_key(|job| (job.rank, job.topic));
    let sampling = Sampling::new(admin, about, options, deadline);
    sampling.run(jobs).await;
    let found = sampling.found();
    missing.extend(found.missing);
    late.extend(found.unread);
    missing.extend(not_sampled(&late, &found.cut.unwrap_or_else(|| over(options))));
    Seen::from_parts(found.samples, missing)
}

/// Partitions with a leader whose offsets nobody told: nothing is read of them, and that is no empty partition.
fn untold(name: &str, topic: &Topic, offsets: &[PartitionOffsets]) -> Vec<String> {
    let known = |partition: i32| offsets.iter().any(|offsets| offsets.partition == partition);
    let led = topic.partitions.iter().filter_map(|partition| Some((partition.index, partition.leader?)));
    led.filter(|(index, _)| !known(*index))
        .map(|(index, leader)| {
            format!("topic {name} partition {index}: broker {leader} did not tell its offsets")
        })
        .collect()
}

/// One text for all topics that a bound left out: there may be thousands.
fn not_sampled(topics: &[String], why: &str) -> Option<String> {
    const NAMED: usize = 5;
    let more = topics.len().saturating_sub(NAMED);
    let named = topics.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match (topics.len(), more) {
        (0, _) => None,
        (1, _) => Some(format!("topic {named}: not sampled: {why}")),
        (_, 0) => Some(format!("topics {named}: not sampled: {why}")),
        _ => Some(format!("topics {named} and {more} more: not sampled: {why}")),
    }
}

fn over(options: &SampleOptions) -> String {
    format!("{} s were over", options.total_time.as_secs())
}

fn about_of(name: &str, topic: &Topic) -> About {
    let policy = match &topic.configs {
        Seen::Full(configs) => configs.get("cleanup.policy").and_then(|fact| fact.value.clone()),
        _ => None,
    };
    let keeps = policy.is_some_and(|policy| !policy.contains("compact"));
    About {
        topic: name.to_owned(),
        partitions: i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX),
        gaps: if keeps { Gaps::Matter } else { Gaps::AreNormal },
    }
}

/// What is to be read of a topic, and partitions that nobody can read now.
fn jobs_of(index: usize, topic: &Topic, offsets: &[PartitionOffsets], records: u64) -> (Vec<Job>, Vec<i32>) {
    let held = |offsets: &PartitionOffsets| u64::try_from(offsets.stable - offsets.start).unwrap_or(0);
    let held: Vec<u64> = offsets.iter().map(held).collect();
    let shares = shares(&held, records);
    let wanted = offsets.iter().zip(shares).filter(|(_, share)| *share > 0);
    let leader = |index: i32| topic.partitions.iter().find(|known| known.index == index)?.leader;
    let (mut jobs, mut leaderless) = (Vec::new(), Vec::new());
    for (offsets, share) in wanted {
        let Some(leader) = leader(offsets.partition) else {
            leaderless.push(offsets.partition);
            continue;
        };
        jobs.push(Job {
            topic: index,
            rank: jobs.len(),
            partition: offsets.partition,
            leader,
            next: offsets.stable - i64::try_from(share).unwrap_or(0),
            until: offsets.stable,
            again: false,
            share: 0,
        });
    }
    (jobs, leaderless)
}

/// What `live` has, or the cluster says when it may be asked again, at `next`.
async fn offsets_of(
    admin: &Admin,
    live: &Live,
    topic: &str,
    options: &SampleOptions,
    next: &mut Instant,
) -> Result<Vec<PartitionOffsets>, AdminError> {
    if let Some(known) = live.offsets.value().and_then(|offsets| offsets.get(topic)) {
        return Ok(known.clone());
    }
    sleep_until(*next).await;
    *next = Instant::now() + options.pause() * REQUESTS_FOR_OFFSETS;
    let start: BTreeMap<i32, i64> =
        admin.list_offsets(topic, OffsetSpec::Earliest).await?.into_iter().collect();
    let stable = admin.list_offsets(topic, OffsetSpec::LatestStable).await?;
    let offsets = stable.into_iter().map(|(partition, stable)| PartitionOffsets {
        partition,
        start: start.get(&partition).copied().unwrap_or(stable),
        end: stable,
        stable,
    });
    Ok(offsets.collect())
}

/// Why a topic is not seen.
fn told(topic: &str, error: &AdminError) -> String {
    match error.kind() {
        AdminErrorKind::Denied { .. } => format!("READ on Topic:{topic}"),
        _ => format!("topic {topic}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use klamm_contract::facts::PartitionFacts;

    use super::*;

    fn topic(leaders: &[Option<i32>]) -> Topic {
        let partition = |(index, leader): (usize, &Option<i32>)| PartitionFacts {
            index: index as i32,
            leader: *leader,
            replicas: vec![1],
            isr: vec![1],
        };
        Topic { partitions: leaders.iter().enumerate().map(partition).collect(), ..Topic::default() }
    }

    #[test]
    fn the_newest_records_are_wanted_and_a_partition_without_a_leader_is_told() {
        let offsets = |partition, start, stable| PartitionOffsets { partition, start, end: stable, stable };
        let offsets = [offsets(0, 100, 1_100), offsets(1, 0, 1_000), offsets(2, 5, 5)];
        let (jobs, leaderless) = jobs_of(7, &topic(&[Some(1), None, Some(1)]), &offsets, 200);
        let wanted: Vec<_> = jobs.iter().map(|job| (job.topic, job.partition, job.next, job.until)).collect();
        assert_eq!(wanted, [(7, 0, 1_000, 1_100)]);
        assert_eq!(leaderless, [1]);
    }

    #[test]
    fn kafkas_own_topics_are_sampled_only_when_they_are_named() {
        let named = |patterns: &[&str]| SampleOptions {
            topics: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(),
            ..SampleOptions::default()
        };
        let (own, users) = (Topic { internal: true, ..Topic::default() }, Topic::default());
        assert!(!named(&[]).wants("__consumer_offsets", &own) && named(&[]).wants("orders", &users));
        assert!(named(&["__consumer_offsets"]).wants("__consumer_offsets", &own));
        assert!(named(&["or*"]).wants("orders", &users) && !named(&["order"]).wants("orders", &users));
    }

    #[test]
    fn gaps_matter_only_where_every_record_is_known_to_stay() {
        use klamm_contract::facts::{ConfigFact, ConfigSource};
        let with = |policy: &str| {
            let fact = ConfigFact { value: Some(policy.to_owned()), source: ConfigSource::Topic };
            let configs = Seen::Full(BTreeMap::from([("cleanup.policy".to_owned(), fact)]));
            about_of("t", &Topic { configs, ..topic(&[Some(1)]) }).gaps
        };
        assert_eq!(
            (with("delete"), with("compact"), with("compact,delete")),
            (Gaps::Matter, Gaps::AreNormal, Gaps::AreNormal)
        );
        assert_eq!(about_of("t", &topic(&[Some(1)])).gaps, Gaps::AreNormal);
    }

    #[test]
    fn thousands_of_topics_that_were_left_out_are_one_text() {
        let topics: Vec<_> = (0..2_000).map(|number| format!("t{number}")).collect();
        let text = not_sampled(&topics, "20 s were over").expect("some");
        assert_eq!(text, "topics t0, t1, t2, t3, t4 and 1995 more: not sampled: 20 s were over");
        assert_eq!(not_sampled(&[], "x"), None);
    }
}
