//! The reading half of the order service: a view that survives restarts and repeats.

use std::collections::BTreeMap;
use std::future::{Future, ready};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use klamm_admin::{Admin, OffsetSpec};
use klamm_client::RecordView;
use klamm_contract::ConsumerContract;
use klamm_runtime::{Handler, HandlerError, Work};
use klamm_track::RecordId;
use serde_json::json;

use super::Say;
use super::produce::{Book, ID_HEADER, SENT_HEADER};
use super::stop::{Stop, Why};
use super::view::{OrderView, Totals};
use crate::connect;
use crate::failure::Failure;

/// The coordinator needs this much longer than a session to put a dead member out.
const GRACE: Duration = Duration::from_secs(5);
/// Between two looks at a group that others still are in.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Between two words about it.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// The view with the place where it is kept.
pub struct ViewStore {
    view: Mutex<OrderView>,
    /// `None` keeps nothing.
    path: Option<PathBuf>,
}

impl ViewStore {
    /// Loads the snapshot and reads what the group has committed since then.
    pub async fn open(
        admin: &Admin,
        contract: &ConsumerContract,
        topic: &str,
        folder: Option<&PathBuf>,
    ) -> Result<ViewStore, Failure> {
        let failed = |error| connect::failed(&error);
        let facts = admin.facts(&[topic.to_owned()]).await.map_err(failed)?;
        let id = facts.topics.get(topic).and_then(|topic| topic.id.clone()).unwrap_or_default();
        let belongs_to = format!("{}/{topic}/{id}/{}", facts.cluster_id, contract.group);
        let path = folder.map(|folder| folder.join(file_name(&belongs_to)));
        let view = match &path {
            Some(path) => OrderView::load(path, &belongs_to).map_err(|error| {
                Failure::new(format!("cannot read the view in {}: {error}", path.display()))
                    .hint("check its permissions, or remove it: it is built again from the log")
            })?,
            None => OrderView::new(&belongs_to),
        };
        let view = catch_up(admin, contract, topic, view, &belongs_to).await?;
        Ok(ViewStore { view: Mutex::new(view), path })
    }

    /// Orders by state, and revenue.
    pub fn totals(&self) -> Totals {
        self.lock().totals()
    }

    /// Has the view every record before these offsets?
    pub fn reached(&self, ends: &BTreeMap<i32, i64>) -> bool {
        let view = self.lock();
        ends.iter().all(|(partition, end)| view.next_offset(*partition) >= *end)
    }

    /// Writes the snapshot, whole or not at all. It may be behind the commits: the next start reads what is missing.
    pub fn save(&self) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        // Cloned, so that the service does not wait for the disk.
        let view = self.lock().clone();
        view.save(path)
    }

    fn lock(&self) -> MutexGuard<'_, OrderView> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The group goes on at its committed offsets; what lies between the snapshot and those would be missing.
async fn catch_up(
    admin: &Admin,
    contract: &ConsumerContract,
    topic: &str,
    view: OrderView,
    belongs_to: &str,
) -> Result<OrderView, Failure> {
    let failed = |error| connect::failed(&error);
    let latest = admin.list_offsets(topic, OffsetSpec::Latest).await.map_err(failed)?;
    let earliest: BTreeMap<i32, i64> =
        admin.list_offsets(topic, OffsetSpec::Earliest).await.map_err(failed)?.into_iter().collect();
    // A log that is shorter than the view was cut: what the view counted may be gone.
    let cut = latest.iter().any(|(partition, end)| view.next_offset(*partition) > *end);
    let mut view = if cut { OrderView::new(belongs_to) } else { view };
    let committed = admin.group_offsets(&contract.group, &contract.topics).await.map_err(failed)?;
    for at in committed {
        let oldest = earliest.get(&at.partition).copied().unwrap_or(0);
        let end = latest.iter().find(|(partition, _)| *partition == at.partition).map_or(0, |(_, end)| *end);
        let from = view.next_offset(at.partition).max(oldest);
        let until = at.offset.min(end);
        if from >= until {
            continue;
        }
        let mut take = |record: klamm_wire::batch::RecordView<'_>| {
            take(&mut view, at.partition, record.offset, record.value);
        };
        admin.read(topic, at.partition, from, until, &mut take).await.map_err(failed)?;
    }
    Ok(view)
}

/// A record that is no order event belongs to somebody else and is stepped over.
fn take(view: &mut OrderView, partition: i32, offset: i64, value: Option<&[u8]>) {
    match value.and_then(|value| serde_json::from_slice(value).ok()) {
        Some(event) => {
            view.apply(partition, offset, &event);
        }
        None => view.skip(partition, offset),
    }
}

/// One file for each view: names of clusters, topics and groups may hold what file names may not.
fn file_name(belongs_to: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    format!("{}.json", belongs_to.chars().map(safe).collect::<String>())
}

/// Builds the view. Its work is finished when the view has the record; a record that comes twice changes nothing.
pub struct ViewBuilder {
    pub store: Arc<ViewStore>,
    pub book: Arc<Book>,
}

impl Handler for ViewBuilder {
    fn handle(&self, work: Work) -> impl Future<Output = Result<(), HandlerError>> + Send {
        let partition = work.partition().partition;
        let now = self.book.counters.elapsed();
        let (mut mine, mut latencies) = (Vec::new(), Vec::new());
        {
            let mut view = self.store.lock();
            for record in work.records() {
                take(&mut view, partition, record.offset, record.value);
                let Some((id, sent_at)) = marks(&record).filter(|(id, _)| id.run == self.book.run) else {
                    continue;
                };
                mine.push(id);
                latencies.extend(sent_at.map(|sent_at| now.saturating_sub(sent_at)));
            }
        }
        self.book.check(|checker| mine.iter().for_each(|id| checker.processed(*id)));
        self.book.counters.record_latencies(&latencies);
        self.book.counters.processed.fetch_add(mine.len() as u64, Ordering::Relaxed);
        ready(Ok(()))
    }
}

fn marks(record: &RecordView<'_>) -> Option<(RecordId, Option<Duration>)> {
    let header =
        |name: &str| record.headers().find(|header| header.name == name).and_then(|header| header.value);
    let id = RecordId::from_prefix(header(ID_HEADER)?)?;
    let sent_at = header(SENT_HEADER).and_then(|bytes| bytes.try_into().ok());
    Some((id, sent_at.map(|bytes| Duration::from_nanos(u64::from_be_bytes(bytes)))))
}

/// Waits until nobody is in the group. Records that another member takes would never reach this view; a member of a run
/// that was killed goes when its session is over.
pub async fn wait_until_alone(
    admin: &Admin,
    contract: &ConsumerContract,
    stop: &Stop,
    say: Say,
) -> Result<(), Failure> {
    let session = Duration::from_millis(contract.session_timeout_ms) + GRACE;
    let (began, mut said) = (Instant::now(), 0);
    loop {
        let group = admin.describe_group(&contract.group).await.map_err(|error| connect::failed(&error))?;
        if group.members.is_empty() {
            return Ok(());
        }
        if began.elapsed() >= session {
            let (name, count) = (&contract.group, group.members.len());
            return Err(Failure::new(format!("group {name} has {count} other members that stay"))
                .hint("end them first: the records that they take would be missing in this view"));
        }
        if began.elapsed() >= said * SAY_EVERY {
            said += 1;
            say_waiting(say, contract, group.members.len(), session);
        }
        tokio::select! {
            // tidy: allow(the pause between two looks at the group; the session bounds them)
            () = tokio::time::sleep(LOOK_EVERY) => {}
            why = stop.stopped() => {
                debug_assert!(why != Why::NotYet);
                return Err(super::interrupted());
            }
        }
    }
}

fn say_waiting(say: Say, contract: &ConsumerContract, members: usize, longest: Duration) {
    let group = &contract.group;
    let fields = json!({ "group": group, "members": members, "at_most_s": longest.as_secs() });
    say.event("waiting", fields, || {
        format!("waiting   {members} others are still in group {group} (at most {} s)\n", longest.as_secs())
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_hold_no_separator() {
        assert_eq!(file_name("c/t.x/AA==/g"), "c_t.x_AA___g.json");
        assert!(!file_name("../../etc/passwd").contains('/'));
    }
}
