//! What the seeds reach.

/// What happened in a run, to see that the seeds reach it.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) assigned: u64,
    pub(super) revoked: u64,
    pub(super) lost: u64,
    pub(super) overdue: u64,
    pub(super) left_behind: u64,
    pub(super) fenced: u64,
    pub(super) refused: u64,
    pub(super) closed: u64,
    pub(super) crashed: u64,
    pub(super) broken: u64,
    pub(super) doubled: u64,
    pub(super) generations: u64,
    pub(super) expelled: u64,
    pub(super) skipped: u64,
    pub(super) grown: u64,
}

impl Seen {
    pub(super) fn add(&mut self, run: &Seen) {
        self.assigned += run.assigned;
        self.revoked += run.revoked;
        self.lost += run.lost;
        self.overdue += run.overdue;
        self.left_behind += run.left_behind;
        self.fenced += run.fenced;
        self.refused += run.refused;
        self.closed += run.closed;
        self.crashed += run.crashed;
        self.broken += run.broken;
        self.doubled += run.doubled;
        self.generations += run.generations;
        self.expelled += run.expelled;
        self.skipped += run.skipped;
        self.grown += run.grown;
    }

    pub(super) fn is_wide(&self) -> bool {
        let rare =
            [self.fenced, self.refused, self.skipped, self.overdue, self.closed, self.crashed, self.grown];
        let common = [self.assigned, self.revoked, self.lost, self.left_behind, self.broken, self.doubled];
        rare.iter().all(|count| *count > 200)
            && common.iter().all(|count| *count > 5_000)
            && self.generations > 50_000
            && self.expelled > 5_000
    }
}
