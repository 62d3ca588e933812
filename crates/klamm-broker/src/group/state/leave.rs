//! Members that leave, or are removed by an administrator.

use klamm_kafka::ErrorCode;

use super::Group;
use crate::group::messages::{Identity, Phase, Replies};

impl Group {
    /// Members leave together; an administrator names static ones by their instance id alone. The others rebalance once.
    pub fn leave(
        &mut self,
        identities: &[Identity],
        now_ms: i64,
        out: &mut Replies,
    ) -> Vec<Result<(), ErrorCode>> {
        let results: Vec<_> = identities.iter().map(|identity| self.leave_one(identity, out)).collect();
        if results.iter().any(Result::is_ok) {
            self.rebalance_or_go_on(now_ms, out);
        }
        results
    }

    fn leave_one(&mut self, identity: &Identity, out: &mut Replies) -> Result<(), ErrorCode> {
        let member_id = if identity.member_id.is_empty() {
            let known = identity.instance_id.as_ref().and_then(|id| self.instances.get(id));
            known.ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?.clone()
        } else if self.pending.remove(&identity.member_id).is_some() {
            return Ok(());
        } else {
            self.check_identity(identity)?;
            identity.member_id.clone()
        };
        self.drop_member(&member_id, out);
        Ok(())
    }

    /// After somebody has gone: who has an assignment must rebalance, who is rebalancing may be complete now.
    pub(in crate::group) fn rebalance_or_go_on(&mut self, now_ms: i64, out: &mut Replies) {
        match self.phase {
            Phase::Stable | Phase::CompletingRebalance => self.rebalance(now_ms, out),
            Phase::PreparingRebalance => self.complete_join_if_all_are_here(now_ms, out),
            Phase::Empty => {}
        }
    }
}
