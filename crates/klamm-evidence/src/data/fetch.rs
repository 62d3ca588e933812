//! Fetching a sample: one fetch at a time from each broker, no more in a second than allowed, within bytes and time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::StreamExt as _;
use futures_util::stream;
use klamm_admin::{Admin, AdminError, AdminErrorKind, BatchFetch, ErrorCode, OffsetSpec};
use klamm_rules::evidence::TopicSample;
use klamm_wire::batch::{BatchView, RecordView, TimestampType};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::tally::{About, LogAppendTime, Record, Tally};
use super::{MOST_FETCH_BYTES, SampleOptions, over, told};

/// Brokers that are read from at once: each may have a fetch and a decompressed batch in memory.
const BROKERS_AT_ONCE: usize = 4;
/// A fetch of less brings no more than one batch, and as many requests as there are batches.
const LEAST_FETCH_BYTES: u64 = 64 << 10;
/// Header in which Confluent's serializers may name the schema of the value.
const SCHEMA_HEADER: &[u8] = b"__value_schema_id";

/// Records of one partition that are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    /// Index of the topic.
    pub(crate) topic: usize,
    /// How manieth of its topic it is.
    pub(crate) rank: usize,
    pub(crate) partition: i32,
    pub(crate) leader: i32,
    pub(crate) next: i64,
    pub(crate) until: i64,
    /// Its beginning was deleted meanwhile, and looked up.
    pub(crate) again: bool,
    /// Bytes that may come before it is another's turn.
    pub(crate) share: u64,
}

impl Job {
    fn wants(&self) -> u64 {
        u64::try_from(self.until - self.next).unwrap_or(0)
    }
}

/// A sample that is being taken.
pub(crate) struct Sampling<'a> {
    admin: &'a Admin,
    options: &'a SampleOptions,
    deadline: Instant,
    topics: Vec<Mutex<Progress>>,
    /// Bytes that may still come.
    left: Mutex<u64>,
}

struct Progress {
    about: About,
    tally: Tally,
    cut: Option<String>,
    missing: BTreeSet<String>,
    denied: bool,
}

/// What a fetch is good for.
enum Fetched {
    /// There may be more of this partition.
    On(i64),
    /// Nothing more of this partition.
    Done,
}

impl<'a> Sampling<'a> {
    pub(crate) fn new(
        admin: &'a Admin,
        topics: Vec<About>,
        options: &'a SampleOptions,
        deadline: Instant,
    ) -> Self {
        let progress = |about: About| {
            let (tally, missing) = (Tally::new(&about), BTreeSet::new());
            Mutex::new(Progress { about, tally, cut: None, missing, denied: false })
        };
        let left = Mutex::new(options.total_bytes);
        Sampling { admin, options, deadline, topics: topics.into_iter().map(progress).collect(), left }
    }

    /// Does all jobs. Every topic has the same share of the bytes, and every partition of it what its records make of that:
    /// a topic with large records takes nothing from others, and what is cut of a topic is cut evenly. What some leave of
    /// their share is shared again among those that want more.
    pub(crate) async fn run(&self, mut jobs: Vec<Job>) {
        while !jobs.is_empty() {
            self.share(&mut jobs);
            jobs = self.round(jobs).await;
        }
    }

    fn share(&self, jobs: &mut [Job]) {
        let left = *self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wanted: BTreeMap<usize, u64> = BTreeMap::new();
        jobs.iter().for_each(|job| *wanted.entry(job.topic).or_default() += job.wants());
        let of_topic = left / (wanted.len() as u64).max(1);
        for job in jobs {
            let all = u128::from(wanted.get(&job.topic).copied().unwrap_or(0).max(1));
            let own = u128::from(of_topic) * u128::from(job.wants()) / all;
            job.share = u64::try_from(own).unwrap_or(u64::MAX).max(1);
        }
    }

    /// Does jobs in order for each broker, each until its share is used up; returns those that want more.
    async fn round(&self, jobs: Vec<Job>) -> Vec<Job> {
        let mut brokers: BTreeMap<i32, VecDeque<Job>> = BTreeMap::new();
        for job in jobs {
            brokers.entry(job.leader).or_default().push_back(job);
        }
        let work = stream::iter(brokers.into_values().map(|jobs| self.work(jobs)));
        let mut left = work.buffer_unordered(BROKERS_AT_ONCE).collect::<Vec<_>>().await.concat();
        left.sort_by_key(|job| (job.rank, job.topic));
        left
    }

    /// Reads from one broker.
    async fn work(&self, mut jobs: VecDeque<Job>) -> Vec<Job> {
        let mut more = Vec::new();
        let mut next = Instant::now();
        while let Some(mut job) = jobs.pop_front() {
            if self.topic(job.topic).denied {
                continue;
            }
            loop {
                if let Some(cut) = self.cut(next) {
                    self.topic(job.topic).cut = Some(cut);
                    break;
                }
                if job.share == 0 {
                    more.push(job);
                    break;
                }
                sleep_until(next).await;
                next = Instant::now() + self.options.pause();
                match self.fetch(&mut job).await {
                    Fetched::On(offset) => job.next = offset,
                    Fetched::Done => break,
                }
            }
        }
        more
    }

    /// Why nothing more is read.
    fn cut(&self, next: Instant) -> Option<String> {
        if next.max(Instant::now()) >= self.deadline {
            return Some(over(self.options));
        }
        let left = *self.left.lock().unwrap_or_else(PoisonError::into_inner);
        (left == 0).then(|| format!("{} bytes were read", self.options.total_bytes))
    }

    async fn fetch(&self, job: &mut Job) -> Fetched {
        let about = self.topic(job.topic).about.clone();
        let wanted = BatchFetch {
            topic: &about.topic,
            partition: job.partition,
            leader: Some(job.leader),
            from: job.next,
            until: job.until,
            fetch_bytes: self.fetch_bytes(job.share),
        };
        let mut batch = None;
        let mut each = |view: &BatchView<'_>, record: RecordView<'_>| {
            let mut topic = self.topic(job.topic);
            if batch != Some(view.base_offset()) {
                batch = Some(view.base_offset());
                let codec = view.compression().map_or("unknown", |codec| codec.name());
                topic.tally.batch(codec, log_append_time(view));
            }
            topic.tally.take(seen(job.partition, view, &record), now_ms());
        };
        let read = timeout_at(self.deadline, self.admin.fetch_batches(wanted, &mut each)).await;
        match read {
            Err(_) => {
                self.topic(job.topic).cut = Some(over(self.options));
                Fetched::Done
            }
            Ok(Ok(read)) => {
                let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
                *left = left.saturating_sub(read.bytes);
                job.share = job.share.saturating_sub(read.bytes);
                if read.next < job.until { Fetched::On(read.next) } else { Fetched::Done }
            }
            Ok(Err(error)) => self.failed(job, &about.topic, &error).await,
        }
    }

    /// A beginning that retention has moved is looked up once; any other failure ends the partition.
    async fn failed(&self, job: &mut Job, topic: &str, error: &AdminError) -> Fetched {
        if error.code() == Some(ErrorCode::OFFSET_OUT_OF_RANGE) && !job.again {
            job.again = true;
            let starts =
                timeout_at(self.deadline, self.admin.list_offsets(topic, OffsetSpec::Earliest)).await;
            let starts = starts.ok().and_then(Result::ok).unwrap_or_default();
            let start = starts.into_iter().find(|(partition, _)| *partition == job.partition);
            match start {
                Some((_, start)) if start >= job.until => return Fetched::Done,
                Some((_, start)) if start > job.next => return Fetched::On(start),
                _ => {}
            }
        }
        let mut progress = self.topic(job.topic);
        progress.denied |= matches!(error.kind(), AdminErrorKind::Denied { .. });
        progress.missing.insert(told(topic, error));
        Fetched::Done
    }

    /// What a fetch may bring: as much as is allowed, and no more than what is left, and about the job's own share.
    fn fetch_bytes(&self, own: u64) -> i32 {
        let left = *self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let most = u64::from(self.options.fetch_bytes.clamp(1, MOST_FETCH_BYTES));
        // Brokers at once may each take the same rest: it is shared.
        let share = (left / BROKERS_AT_ONCE as u64).max(LEAST_FETCH_BYTES.min(left));
        i32::try_from(most.min(share).min(own.max(LEAST_FETCH_BYTES)).max(1)).unwrap_or(i32::MAX)
    }

    fn topic(&self, index: usize) -> MutexGuard<'_, Progress> {
        self.topics[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The samples, and what is missing. A topic of which nothing was seen although it has records has none.
    pub(crate) fn found(self) -> Found {
        let mut found = Found::default();
        for progress in self.topics {
            let progress = progress.into_inner().unwrap_or_else(PoisonError::into_inner);
            let Progress { about, tally, cut, missing, .. } = progress;
            let sample = tally.found(cut);
            if sample.records > 0 || (missing.is_empty() && sample.cut.is_none()) {
                found.samples.push(sample);
            } else if missing.is_empty() {
                found.cut = found.cut.or(sample.cut);
                found.unread.push(about.topic);
            }
            found.missing.extend(missing);
        }
        found
    }
}

/// What came of it all.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) samples: Vec<TopicSample>,
    /// Permissions and failures.
    pub(crate) missing: Vec<String>,
    /// Topics that a bound left out.
    pub(crate) unread: Vec<String>,
    /// That bound.
    pub(crate) cut: Option<String>,
}

fn log_append_time(batch: &BatchView<'_>) -> LogAppendTime {
    match batch.timestamp_type() {
        TimestampType::LogAppendTime => LogAppendTime::Yes,
        TimestampType::CreateTime => LogAppendTime::No,
    }
}

fn seen<'r>(partition: i32, batch: &BatchView<'_>, record: &RecordView<'r>) -> Record<'r> {
    let bytes = |bytes: Option<&[u8]>| bytes.map_or(0, |bytes| bytes.len() as u64);
    Record {
        partition,
        offset: record.offset,
        timestamp_ms: record.timestamp_ms,
        key: record.key,
        value: record.value,
        header_bytes: record.headers().map(|header| bytes(Some(header.key)) + bytes(header.value)).sum(),
        schema_in_header: record.headers().any(|header| header.key == SCHEMA_HEADER),
        transactional: batch.is_transactional(),
    }
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}
