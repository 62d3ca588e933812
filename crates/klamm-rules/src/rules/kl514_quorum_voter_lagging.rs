//! A controller that votes is behind, or there is an even number of them.
//!
//! ## What it does
//! Asks the active controller how far each voter is, and when it last fetched. A voter that has not fetched for ten seconds, or has not had the
//! whole log for thirty, is behind. Four voters or six bear no more failures than three or five.
//!
//! ## Why it hurts
//! A voter that is behind does not count towards the majority: with three voters and one behind, the next failure stops the metadata quorum, though
//! all three processes run.
//!
//! ## Example
//!     voter 102 last fetched 40 min ago
//!
//! ## Use instead
//!     restart it; look at its disk and at the network between controllers
//!
//! ## Severity
//! Error for a voter that is behind, info for an even number.
//!
//! ## References
//! - KIP-595, KIP-836: additional information in DescribeQuorum

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::evidence::{Quorum, QuorumNode};
use crate::finding::{Finding, Fix, Severity};
use crate::text::duration;

const FETCHED_BOUND_MS: i64 = 10_000;
const CAUGHT_UP_BOUND_MS: i64 = 30_000;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(quorum) = out.see("the metadata quorum", &cx.evidence.live.quorum) else { return };
    let Some(leader) = quorum.voters.iter().find(|voter| voter.id == quorum.leader) else {
        return out.unclear("the metadata quorum", "its leader is not among the voters that it told");
    };
    for voter in quorum.voters.iter().filter(|voter| voter.id != quorum.leader) {
        check_voter(cx, out, quorum, leader, voter);
    }
    out.judged();
    let count = quorum.voters.len();
    if count >= 4 && count.is_multiple_of(2) {
        even(cx, out, count);
    }
}

fn check_voter(cx: &Cx<'_>, out: &mut Out, quorum: &Quorum, leader: &QuorumNode, voter: &QuorumNode) {
    let missing = (leader.log_end - voter.log_end).max(0);
    let fetched = voter.fetched_ms_ago;
    let behind = match (fetched, voter.caught_up_ms_ago) {
        (Some(ago), _) if ago > FETCHED_BOUND_MS => true,
        (_, Some(ago)) => ago > CAUGHT_UP_BOUND_MS && missing > 0,
        // Nobody tells when: only that something is missing, which may be on its way.
        (None, None) if missing > 0 || voter.log_end < 0 => {
            return out
                .unclear(&format!("voter {}", voter.id), "the quorum does not tell when it last fetched");
        }
        _ => false,
    };
    out.judged();
    if !behind {
        return;
    }
    let ago = |ms: Option<i64>| ms.map_or("not told".to_owned(), |ms| format!("{} ago", duration(ms)));
    let left = quorum.voters.len().saturating_sub(quorum.voters.len() / 2 + 1);
    let server = cx.bootstrap();
    out.found(
        Finding::new(Severity::Error, format!("controller {}", voter.id), "it votes and is behind")
            .fact("last fetched", ago(fetched), "metadata quorum")
            .fact("last had the whole log", ago(voter.caught_up_ms_ago), "metadata quorum")
            .fact("records that it lacks", missing.to_string(), "metadata quorum")
            .consequence(match left {
                0 | 1 => "the next controller that is lost stops elections, topic changes and brokers that start".to_owned(),
                left => format!("of {left} controllers that may be lost, one is used up"),
            })
            .fix(
                Fix::new(format!("bring controller {} back", voter.id), Risk::Safe)
                    .ask(format!("start controller {} if it is down; else look at its log, its metadata disk, and the network to controller {}", voter.id, quorum.leader))
                    .command(format!("kafka-metadata-quorum.sh --bootstrap-server {server} describe --replication"))
                    .undo_by("nothing to take back: it catches up by itself"),
            )
            .next(format!("kafka-metadata-quorum.sh --bootstrap-server {server} describe --status")),
    );
}

fn even(cx: &Cx<'_>, out: &mut Out, count: usize) {
    let may = count - (count / 2 + 1);
    out.found(
        Finding::new(Severity::Info, "cluster", format!("{count} controllers vote"))
            .fact("voters", count.to_string(), "metadata quorum")
            .consequence(format!("{may} of them may be lost, no more than of {}, and each write waits for one more", count - 1))
            .fix(
                Fix::new("make the number of voters odd", Risk::Safe)
                    .ask("kafka-metadata-quorum.sh remove-controller --controller-id ID --controller-directory-id DIRECTORY takes one out (kraft.version 1); then stop it")
                    .undo_by("start it again and add it: kafka-metadata-quorum.sh add-controller"),
            )
            .next(format!("kafka-metadata-quorum.sh --bootstrap-server {} describe --replication", cx.bootstrap())),
    );
}
