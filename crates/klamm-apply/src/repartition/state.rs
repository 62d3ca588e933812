//! How far the copying is: read off the cluster, where it is kept.

use std::collections::BTreeMap;

use klamm_admin::{Admin, OffsetSpec};

use super::Repartition;
use super::origin::Origin;
use crate::ApplyErrorKind;

/// Groups that hold how far a copying is. They have no members.
pub(super) const GROUP_PREFIX: &str = "klamm.repartition.";
/// Bytes of one fetch while the newest copies are looked at.
const FETCH_BYTES: i32 = 1 << 20;

pub(super) fn group(what: &Repartition) -> String {
    format!("{GROUP_PREFIX}{}.{}", what.topic, what.target)
}

/// How far the copying is.
#[derive(Debug, Default)]
pub(super) struct State {
    /// By old partition: all records before are copied.
    pub read_to: BTreeMap<i32, i64>,
    /// By new partition: where the next copy goes.
    pub next: BTreeMap<i32, i64>,
    /// By new and old partition: the newest record whose copy is there, of those after `read_to`.
    pub newest: BTreeMap<(i32, i32), i64>,
    /// Records in the new topic, after the last ones that are known to be copies, that are none.
    pub written: i64,
}

impl State {
    /// The group's offsets say how far it certainly is, in both topics; the copies after that say the rest. Without
    /// offsets (they expire after `offsets.retention.minutes`) all copies are looked at.
    pub async fn load(admin: &Admin, what: &Repartition) -> Result<State, ApplyErrorKind> {
        let topics = [what.topic.clone(), what.target.clone()];
        let known: BTreeMap<(String, i32), i64> = admin
            .group_offsets(&group(what), &topics)
            .await?
            .into_iter()
            .map(|at| ((at.topic, at.partition), at.offset))
            .collect();
        let known = |topic: &str, partition: i32| known.get(&(topic.to_owned(), partition)).copied();
        let mut state = State::default();
        for (partition, start) in admin.list_offsets(&what.topic, OffsetSpec::Earliest).await? {
            // Retention may have taken what was not copied: it is gone.
            let read_to = known(&what.topic, partition).unwrap_or(start).max(start);
            state.read_to.insert(partition, read_to);
        }
        let starts = admin.list_offsets(&what.target, OffsetSpec::Earliest).await?;
        let ends = admin.list_offsets(&what.target, OffsetSpec::Latest).await?;
        for ((partition, start), (_, end)) in starts.into_iter().zip(ends) {
            let from = known(&what.target, partition).unwrap_or(start).max(start);
            let (newest, written) = (&mut state.newest, &mut state.written);
            let mut each = |record: klamm_wire::batch::RecordView<'_>| match Origin::of(&record) {
                Some(origin) => {
                    newest.insert((partition, origin.partition), origin.offset);
                }
                None => *written += 1,
            };
            admin.read_committed(&what.target, partition, (from, end), FETCH_BYTES, &mut each).await?;
            state.next.insert(partition, end);
        }
        Ok(state)
    }

    /// Writes down that everything up to here is copied.
    pub async fn save(&self, admin: &Admin, what: &Repartition) -> Result<(), ApplyErrorKind> {
        let read = self.read_to.iter().map(|(partition, offset)| (what.topic.clone(), *partition, *offset));
        let written = self.next.iter().map(|(partition, offset)| (what.target.clone(), *partition, *offset));
        let offsets: Vec<_> = read.chain(written).collect();
        Ok(admin.commit_offsets(&group(what), &offsets).await?)
    }
}
