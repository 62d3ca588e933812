//! The verdict, computed from the cluster's own bytes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use klamm_admin::{Admin, AdminError, OffsetSpec};
use klamm_kafka::ErrorCode;
use klamm_track::RecordId;
use klamm_wire::batch::RecordView;

use super::job::Job;
use super::produce::{Book, ID_HEADER};
use super::stop::{Stop, Why};
use crate::connect;
use crate::failure::Failure;
use crate::screen::Committed;

/// Between two looks at partitions whose new leader does not show all of its log yet.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Between two readings while the service runs.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);

/// Reads the log back, from where the run began, and reports every record of the run to the checker. It follows the
/// service while that runs, so that a long run is neither read again at its end nor kept in memory.
pub struct Reader {
    admin: Admin,
    topic: String,
    book: Arc<Book>,
    /// By partition: the next offset to read.
    next: BTreeMap<i32, i64>,
}

impl Reader {
    /// Begins where each partition ends now, before the run.
    pub async fn open(admin: &Admin, job: &Job, book: &Arc<Book>) -> Result<Reader, Failure> {
        let (topic, book) = (job.topic.topic.clone(), Arc::clone(book));
        let ends = admin.list_offsets(&topic, OffsetSpec::Latest).await;
        let next = ends.map_err(|error| connect::failed(&error))?.into_iter().collect();
        Ok(Reader { admin: admin.clone(), topic, book, next })
    }

    /// Follows the log until the run is stopped, and comes back. What cannot be read now is read later.
    pub async fn follow(mut self, stop: Stop) -> Reader {
        while stop.why() == Why::NotYet {
            let ends = self.admin.list_offsets(&self.topic, OffsetSpec::Latest).await.unwrap_or_default();
            for (partition, end) in ends {
                // Not cut short by a signal: it is bounded, and what was read was reported.
                let _read_later = self.read_to(partition, end).await;
            }
            tokio::select! {
                _ = stop.stopped() => {}
                () = tokio::time::sleep(FOLLOW_EVERY) => {}
            }
        }
        self
    }

    /// Reads what is left, after the producer has ended.
    pub async fn finish(mut self) -> Result<(), Failure> {
        for (partition, end) in visible_ends(&self.admin, &self.topic, &self.book).await? {
            self.read_to(partition, end).await.map_err(|error| self.failed(partition, &error))?;
        }
        Ok(())
    }

    async fn read_to(&mut self, partition: i32, end: i64) -> Result<(), AdminError> {
        let next = self.next.entry(partition).or_default();
        let (from, book) = (*next, &self.book);
        let mut found = |record: RecordView<'_>| {
            if let Some(id) = id_of(&record) {
                book.check(|checker| checker.stored(id, partition, record.offset));
            }
            *next = record.offset + 1;
        };
        let reached = self.admin.read(&self.topic, partition, from, end, &mut found).await?;
        *next = reached.max(*next);
        Ok(())
    }

    fn failed(&self, partition: i32, error: &AdminError) -> Failure {
        if error.code() != Some(ErrorCode::OFFSET_OUT_OF_RANGE) {
            return connect::failed(error);
        }
        let next = self.next.get(&partition).copied().unwrap_or_default();
        Failure::new(format!("{}/{partition}: offset {next} was deleted before it was read back", self.topic))
            .hint("the topic keeps records for a shorter time than the run took: see `retain:` in the spec")
    }
}

/// The ends of the partitions. A leader that was just elected may not know yet how far its log is committed, so what
/// was acknowledged is waited for; what stays away is lost, and the verdict will say so.
async fn visible_ends(admin: &Admin, topic: &str, book: &Book) -> Result<BTreeMap<i32, i64>, Failure> {
    let acknowledged = book.acknowledged_ends();
    let deadline = Instant::now() + admin.options().api_timeout;
    loop {
        let ends = admin.list_offsets(topic, OffsetSpec::Latest).await;
        let ends: BTreeMap<i32, i64> = ends.map_err(|error| connect::failed(&error))?.into_iter().collect();
        let shown = acknowledged.iter().all(|(partition, end)| ends.get(partition) >= Some(end));
        if shown || Instant::now() >= deadline {
            return Ok(ends);
        }
        // tidy: allow(the pause between two looks; the deadline bounds them)
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Where the group's committed offsets stand beside what was acknowledged.
pub async fn committed(admin: &Admin, job: &Job, book: &Book) -> Result<Committed, Failure> {
    let offsets = admin.group_offsets(&job.consumer.group, &job.consumer.topics).await;
    let offsets = offsets.map_err(|error| connect::failed(&error))?;
    let committed: BTreeMap<i32, i64> = offsets.into_iter().map(|at| (at.partition, at.offset)).collect();
    let behind =
        |(partition, end): (i32, i64)| (end - committed.get(&partition).copied().unwrap_or(0)).max(0);
    match book.acknowledged_ends().into_iter().map(behind).sum() {
        0 => Ok(Committed::AtTheEnd),
        by => Ok(Committed::Behind(by)),
    }
}

fn id_of(record: &RecordView<'_>) -> Option<RecordId> {
    let header = record.headers().find(|header| header.key == ID_HEADER.as_bytes())?;
    RecordId::from_prefix(header.value?)
}
