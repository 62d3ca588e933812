//! Which offset may be committed while records finish in any order.

use std::collections::{BTreeMap, VecDeque};

/// Names one assignment of one partition. A partition that comes back after a rebalance gets a new epoch, so that
/// work which started before cannot move the new frontier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u64);

/// Why an offset was not taken into the frontier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakeError {
    /// The partition is not assigned under this epoch.
    Stale,
    /// As many records are unfinished, or finished beyond an unfinished one, as the frontier may hold.
    Full {
        /// The bound.
        limit: usize,
    },
    /// The offset is not above all that were taken before.
    Backwards {
        /// The lowest offset that could be taken.
        next: i64,
    },
}

/// What finishing a record did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// The frontier moved: this position may now be committed.
    Advanced {
        /// First offset that is not finished.
        position: i64,
    },
    /// Finished beyond a record that is not: nothing more may be committed yet.
    Beyond,
    /// The partition was revoked, or assigned anew: the result is not counted.
    Stale,
    /// The offset is not in flight: never taken, or finished before.
    NotInFlight,
}

/// The first unfinished offset of each assigned partition.
///
/// Offsets are not dense (compaction, transaction markers): the frontier knows what was *taken*, and what may be
/// committed is the next taken offset that is not finished or, when all are, the position after the last one.
///
/// `P` names a partition; the frontier is shared by consumers, streams and mirrors, which name them differently.
#[derive(Debug, Clone)]
pub struct Frontier<P> {
    partitions: BTreeMap<P, Partition>,
    limit_per_partition: usize,
    next_epoch: u64,
}

#[derive(Debug, Clone)]
struct Partition {
    epoch: Epoch,
    /// Taken offsets from the first unfinished one on, with whether they are finished.
    window: VecDeque<(i64, bool)>,
    unfinished: usize,
    /// Where the next record may be: everything below was taken or does not exist.
    next: i64,
    /// What was last reported as committed.
    committed: i64,
}

impl<P: Ord + Clone> Frontier<P> {
    /// A frontier that holds at most `limit_per_partition` records of a partition, unfinished or finished beyond.
    pub fn new(limit_per_partition: usize) -> Frontier<P> {
        Frontier {
            partitions: BTreeMap::new(),
            limit_per_partition: limit_per_partition.max(1),
            next_epoch: 0,
        }
    }

    /// The partition is assigned and will be read from `position`. What an earlier assignment had in flight is
    /// forgotten.
    pub fn assign(&mut self, partition: P, position: i64) -> Epoch {
        let epoch = Epoch(self.next_epoch);
        self.next_epoch += 1;
        self.partitions.insert(
            partition,
            Partition { epoch, window: VecDeque::new(), unfinished: 0, next: position, committed: position },
        );
        epoch
    }

    /// The partition is gone; returns what may still be committed for it (only on a revoke, never when it was lost).
    pub fn revoke(&mut self, partition: &P) -> Option<i64> {
        let partition = self.partitions.remove(partition)?;
        (partition.position() > partition.committed).then(|| partition.position())
    }

    /// The epoch of the partition's present assignment.
    pub fn epoch(&self, partition: &P) -> Option<Epoch> {
        self.partitions.get(partition).map(|partition| partition.epoch)
    }

    /// A record was taken for work. Offsets of a partition come in ascending order.
    pub fn take(&mut self, partition: &P, epoch: Epoch, offset: i64) -> Result<(), TakeError> {
        let limit = self.limit_per_partition;
        let partition = self.partition(partition, epoch).ok_or(TakeError::Stale)?;
        if offset < partition.next {
            return Err(TakeError::Backwards { next: partition.next });
        }
        if partition.window.len() >= limit {
            return Err(TakeError::Full { limit });
        }
        partition.window.push_back((offset, false));
        partition.unfinished += 1;
        partition.next = offset + 1;
        Ok(())
    }

    /// All below `position` was seen by the reader, with or without records (markers, compacted ranges).
    pub fn read_to(&mut self, partition: &P, epoch: Epoch, position: i64) {
        if let Some(partition) = self.partition(partition, epoch) {
            partition.next = partition.next.max(position);
        }
    }

    /// A record is finished.
    pub fn finish(&mut self, partition: &P, epoch: Epoch, offset: i64) -> Finish {
        let Some(partition) = self.partition(partition, epoch) else { return Finish::Stale };
        let Ok(at) = partition.window.binary_search_by_key(&offset, |(offset, _)| *offset) else {
            return Finish::NotInFlight;
        };
        if std::mem::replace(&mut partition.window[at].1, true) {
            return Finish::NotInFlight;
        }
        partition.unfinished -= 1;
        if at > 0 {
            return Finish::Beyond;
        }
        while partition.window.front().is_some_and(|(_, finished)| *finished) {
            partition.window.pop_front();
        }
        Finish::Advanced { position: partition.position() }
    }

    /// The first offset of the partition that is not finished: what may be committed.
    pub fn position(&self, partition: &P) -> Option<i64> {
        self.partitions.get(partition).map(Partition::position)
    }

    /// Partitions whose position moved since it was last committed, with the position.
    pub fn to_commit(&self) -> Vec<(P, i64)> {
        self.partitions
            .iter()
            .filter(|(_, partition)| partition.position() > partition.committed)
            .map(|(name, partition)| (name.clone(), partition.position()))
            .collect()
    }

    /// `position` was committed. A late answer for an earlier position changes nothing.
    pub fn committed(&mut self, partition: &P, position: i64) {
        if let Some(partition) = self.partitions.get_mut(partition) {
            partition.committed = partition.committed.max(position);
        }
    }

    /// Records of the partition that are taken and not finished.
    pub fn in_flight(&self, partition: &P) -> usize {
        self.partitions.get(partition).map_or(0, |partition| partition.unfinished)
    }

    /// Records that are taken and not finished, over all partitions.
    pub fn total_in_flight(&self) -> usize {
        self.partitions.values().map(|partition| partition.unfinished).sum()
    }

    /// Offsets of the partition that are finished beyond an unfinished one: a crash would process them again.
    pub fn finished_beyond(&self, partition: &P) -> impl Iterator<Item = i64> + '_ {
        self.partitions.get(partition).into_iter().flat_map(|partition| {
            partition.window.iter().filter(|(_, finished)| *finished).map(|(offset, _)| *offset)
        })
    }

    /// Assigned partitions, in order.
    pub fn partitions(&self) -> impl Iterator<Item = &P> {
        self.partitions.keys()
    }

    fn partition(&mut self, partition: &P, epoch: Epoch) -> Option<&mut Partition> {
        self.partitions.get_mut(partition).filter(|partition| partition.epoch == epoch)
    }
}

impl Partition {
    fn position(&self) -> i64 {
        self.window.front().map_or(self.next, |(offset, _)| *offset)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_finished_prefix_may_be_committed() {
        let mut frontier = Frontier::new(10);
        let epoch = frontier.assign("p", 5);
        for offset in [5, 6, 9] {
            frontier.take(&"p", epoch, offset).unwrap();
        }
        assert_eq!(frontier.finish(&"p", epoch, 6), Finish::Beyond);
        assert!(frontier.to_commit().is_empty());
        assert_eq!(frontier.finished_beyond(&"p").collect::<Vec<_>>(), [6]);
        assert_eq!(frontier.finish(&"p", epoch, 5), Finish::Advanced { position: 9 });
        assert_eq!(frontier.finish(&"p", epoch, 9), Finish::Advanced { position: 10 });
        assert_eq!(frontier.to_commit(), [("p", 10)]);
        frontier.committed(&"p", 10);
        assert!(frontier.to_commit().is_empty());
    }

    #[test]
    fn a_finish_from_before_a_rebalance_is_stale() {
        let mut frontier = Frontier::new(10);
        let old = frontier.assign("p", 0);
        frontier.take(&"p", old, 0).unwrap();
        assert_eq!(frontier.revoke(&"p"), None);
        assert_eq!(frontier.finish(&"p", old, 0), Finish::Stale);
        let new = frontier.assign("p", 0);
        frontier.take(&"p", new, 0).unwrap();
        assert_eq!(frontier.finish(&"p", old, 0), Finish::Stale);
        assert_eq!(frontier.take(&"p", old, 1), Err(TakeError::Stale));
        assert_eq!(frontier.in_flight(&"p"), 1);
    }

    #[test]
    fn the_window_is_bounded_by_what_is_finished_beyond_too() {
        let mut frontier = Frontier::new(2);
        let epoch = frontier.assign("p", 0);
        frontier.take(&"p", epoch, 0).unwrap();
        frontier.take(&"p", epoch, 1).unwrap();
        frontier.finish(&"p", epoch, 1);
        assert_eq!(frontier.take(&"p", epoch, 2), Err(TakeError::Full { limit: 2 }));
        frontier.finish(&"p", epoch, 0);
        frontier.take(&"p", epoch, 2).unwrap();
    }

    #[test]
    fn an_offset_is_taken_and_finished_once() {
        let mut frontier = Frontier::new(4);
        let epoch = frontier.assign("p", 0);
        frontier.take(&"p", epoch, 3).unwrap();
        assert_eq!(frontier.take(&"p", epoch, 3), Err(TakeError::Backwards { next: 4 }));
        frontier.finish(&"p", epoch, 3);
        assert_eq!(frontier.finish(&"p", epoch, 3), Finish::NotInFlight);
    }

    #[test]
    fn a_gap_at_the_end_of_the_log_is_stepped_over() {
        let mut frontier = Frontier::new(4);
        let epoch = frontier.assign("p", 0);
        frontier.take(&"p", epoch, 0).unwrap();
        frontier.read_to(&"p", epoch, 7);
        assert_eq!(frontier.position(&"p"), Some(0));
        assert_eq!(frontier.finish(&"p", epoch, 0), Finish::Advanced { position: 7 });
    }

    /// A naive model: every offset ever taken, with whether it is finished.
    #[derive(Default)]
    struct Model {
        taken: Vec<(i64, bool)>,
        next: i64,
    }

    impl Model {
        fn position(&self) -> i64 {
            self.taken.iter().find(|(_, finished)| !finished).map_or(self.next, |(offset, _)| *offset)
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Take { gap: i64 },
        Finish { nth: usize },
        ReadTo { gap: i64 },
        Reassign,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0i64..3).prop_map(|gap| Step::Take { gap }),
            4 => (0usize..12).prop_map(|nth| Step::Finish { nth }),
            1 => (0i64..3).prop_map(|gap| Step::ReadTo { gap }),
            1 => Just(Step::Reassign),
        ]
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_naive_model(steps in prop::collection::vec(step(), 0..200)) {
            const LIMIT: usize = 8;
            let mut frontier = Frontier::new(LIMIT);
            let mut model = Model::default();
            let mut epoch = frontier.assign((), 0);
            let mut old_work = Vec::new();
            for step in steps {
                match step {
                    Step::Take { gap } => {
                        let offset = model.next + gap;
                        if frontier.take(&(), epoch, offset).is_ok() {
                            model.taken.push((offset, false));
                            model.next = offset + 1;
                        }
                    }
                    Step::Finish { nth } => {
                        let open: Vec<usize> =
                            (0..model.taken.len()).filter(|at| !model.taken[*at].1).collect();
                        if let Some(at) = open.get(nth % open.len().max(1)) {
                            model.taken[*at].1 = true;
                            let done = frontier.finish(&(), epoch, model.taken[*at].0);
                            let first = *at == open[0];
                            let expected = if first {
                                Finish::Advanced { position: model.position() }
                            } else {
                                Finish::Beyond
                            };
                            prop_assert_eq!(done, expected);
                        }
                    }
                    Step::ReadTo { gap } => {
                        model.next += gap;
                        frontier.read_to(&(), epoch, model.next);
                    }
                    Step::Reassign => {
                        let position = model.position();
                        old_work.extend(model.taken.iter().filter(|(_, done)| !done).map(|(at, _)| (epoch, *at)));
                        frontier.revoke(&());
                        epoch = frontier.assign((), position);
                        model = Model { taken: Vec::new(), next: position };
                    }
                }
                for (old, offset) in old_work.drain(..) {
                    prop_assert_eq!(frontier.finish(&(), old, offset), Finish::Stale);
                }
                prop_assert_eq!(frontier.position(&()), Some(model.position()));
                prop_assert_eq!(frontier.in_flight(&()), model.taken.iter().filter(|(_, done)| !done).count());
                prop_assert!(frontier.in_flight(&()) + frontier.finished_beyond(&()).count() <= LIMIT);
            }
        }
    }
}
