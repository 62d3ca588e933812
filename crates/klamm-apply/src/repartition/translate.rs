//! Offsets of a group, from the former topic to the new one.

use std::collections::BTreeMap;

use klamm_admin::{Admin, OffsetSpec};
use klamm_wire::batch::RecordView;

use super::origin::{Counts, Misplaced, Origin};
use super::state::State;
use super::{ApplyErrorKind, Repartition};

/// Bytes of one fetch of the search: about one batch.
const FETCH_BYTES: i32 = 64 << 10;

/// Where a group goes on.
pub(super) struct Positions {
    /// By new partition: next offset to read.
    pub offsets: Vec<(i32, i64)>,
    /// Records that it reads again, at most: where one new partition takes from several old ones.
    pub again: i64,
}

/// Each new partition's first copy of a record that `group` has not read; `None` when it is there, or further, already.
pub(super) async fn positions(
    admin: &Admin,
    what: &Repartition,
    state: &State,
    group: &str,
) -> Result<Option<Positions>, ApplyErrorKind> {
    let read = admin.group_offsets(group, std::slice::from_ref(&what.topic)).await?;
    // A partition without an offset is one that the group has not read: it starts at its first record.
    let read: BTreeMap<i32, i64> = read.into_iter().map(|at| (at.partition, at.offset)).collect();
    let starts: BTreeMap<i32, i64> =
        admin.list_offsets(&what.target, OffsetSpec::Earliest).await?.into_iter().collect();
    let counts = Counts { old: state.read_to.len() as i32, new: state.next.len() as i32 };
    // Members that started in the new topic are not set back by a second cut-over.
    let already = admin.group_offsets(group, std::slice::from_ref(&what.target)).await?;
    let already: BTreeMap<i32, i64> = already.into_iter().map(|at| (at.partition, at.offset)).collect();
    let mut positions = Positions { offsets: Vec::new(), again: 0 };
    for (new, end) in &state.next {
        let start = starts.get(new).copied().unwrap_or(0);
        let (mut first, mut last) = (*end, start);
        for (old, copied) in &state.read_to {
            if what.misplaced == Misplaced::Refuse && !counts.meet(*old, *new) {
                continue;
            }
            let read = read.get(old).copied().unwrap_or(0);
            let search = Search { admin, topic: &what.target, new: *new, old: *old, read };
            let at = if read >= *copied { *end } else { search.run(start, *end).await? };
            (first, last) = (first.min(at), last.max(at));
        }
        if already.get(new).is_none_or(|already| *already < first) {
            positions.offsets.push((*new, first));
            positions.again += (last - first).max(0);
        }
    }
    Ok(Some(positions).filter(|positions| !positions.offsets.is_empty()))
}

/// Looks in one new partition for the first copy from one old partition that is not read.
struct Search<'a> {
    admin: &'a Admin,
    topic: &'a str,
    new: i32,
    old: i32,
    /// Offset in the old partition before which everything is read.
    read: i64,
}

impl Search<'_> {
    /// Copies of one old partition lie in the order of their origins, so halves of what is left can be ruled out.
    async fn run(&self, start: i64, end: i64) -> Result<i64, ApplyErrorKind> {
        // Copies before `low` are of read records; `found` is the first known of one that is not.
        let (mut low, mut high, mut found) = (start, end, end);
        while low < high {
            let middle = low + (high - low) / 2;
            let copies = self.copies(middle, high).await?;
            let unread = copies.iter().position(|(_, origin)| *origin >= self.read);
            match (unread, copies.last()) {
                (_, None) => high = middle,
                // Some of the same fetch is read: this is the first that is not.
                (Some(index), _) if index > 0 => return Ok(copies[index].0),
                (Some(index), _) => (high, found) = (middle, copies[index].0),
                (None, Some((last, _))) => low = last + 1,
            }
        }
        Ok(found)
    }

    /// The first copies from the old partition in `from..until`, each with its origin: as many as one fetch brings.
    async fn copies(&self, from: i64, until: i64) -> Result<Vec<(i64, i64)>, ApplyErrorKind> {
        let (mut copies, mut from) = (Vec::new(), from);
        while from < until && copies.is_empty() {
            let mut each = |record: RecordView<'_>| {
                if let Some(origin) = Origin::of(&record).filter(|origin| origin.partition == self.old) {
                    copies.push((record.offset, origin.offset));
                }
            };
            from = self
                .admin
                .fetch_committed(self.topic, self.new, (from, until), FETCH_BYTES, &mut each)
                .await?;
        }
        Ok(copies)
    }
}
