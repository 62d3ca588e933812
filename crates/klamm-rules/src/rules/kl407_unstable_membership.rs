//! A group rebalances again and again.
//!
//! ## What it does
//! Looks at states and members of a group over the window. Fires when, of three looks or more, a third was not stable, or the members changed twice or more. What a
//! group that is empty does is no finding.
//!
//! ## Why it hurts
//! While a group rebalances, members with an eager assignor read nothing. What was worked on and not committed is worked on again by the next owner.
//!
//! ## Example
//!     Stable, PreparingRebalance, Stable, PreparingRebalance
//!
//! ## Use instead
//!     group.instance.id=billing-${POD_NAME}
//!     partition.assignment.strategy=org.apache.kafka.clients.consumer.CooperativeStickyAssignor
//!
//! ## Severity
//! Warning.
//!
//! ## References
//! - KIP-345: static membership; KIP-429: incremental cooperative rebalancing; KIP-848

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::consumers::{reading_groups, topics_of};
use crate::evidence::{Group, GroupKind};
use crate::finding::{Finding, Fix, Severity};
use crate::text::duration;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for group in reading_groups(cx, out) {
        let idle = group.states.iter().all(|look| matches!(look.state.as_str(), "Empty" | "Dead"));
        match (idle, group.states.len()) {
            (true, 1..) => out.judged(),
            (_, 0..3) => {
                out.unclear(&format!("group {}", group.name), "it was looked at fewer than three times")
            }
            _ => check_group(cx, out, group),
        }
    }
}

fn check_group(cx: &Cx<'_>, out: &mut Out, group: &Group) {
    out.judged();
    let looks = group.states.len();
    let quiet = |state: &str| matches!(state, "Stable" | "Empty" | "Dead");
    let moving = group.states.iter().filter(|look| !quiet(&look.state)).count();
    let changes =
        group.states.windows(2).filter(|pair| matches!(pair, [a, b] if a.members != b.members)).count();
    if moving * 3 < looks && changes < 2 {
        return;
    }
    let window_ms = group.states.last().map_or(0, |look| look.at_ms);
    let fixed = group.members.iter().filter(|member| member.instance_id.is_some()).count();
    let what = format!("{moving} of {looks} looks were not stable, and its members changed {changes} times");
    let finding = Finding::new(Severity::Warning, format!("group {}", group.name), what)
        .fact(
            "looks that were not stable",
            format!("{moving} of {looks}"),
            format!("the coordinator, in {}", duration(window_ms)),
        )
        .fact("changes of the members", changes.to_string(), "the coordinator")
        .fact("static members", format!("{fixed} of {}", group.members.len()), "the coordinator")
        .fact(
            "assignor",
            if group.assignor.is_empty() { "not told" } else { &group.assignor },
            "the coordinator",
        )
        .consequence("while it rebalances it reads less or nothing, and records are worked on twice")
        .fix(fix(group, fixed))
        .next("do its members restart, or exceed max.poll.interval.ms? klamm explain KL404")
        .weighed(cx.weight_of_all(&topics_of(group)));
    out.found(finding);
}

fn fix(group: &Group, fixed: usize) -> Fix {
    let fix = Fix::new("keep its members", Risk::RestartsClients);
    let fix = match fixed < group.members.len() {
        true => fix.ask(format!(
            "give each instance of {} a group.instance.id that survives its restart",
            group.name
        )),
        false => fix.ask("find out in the members' logs why they leave: max.poll.interval.ms, or restarts"),
    };
    let eager = group.kind == GroupKind::Classic && !group.assignor.contains("cooperative");
    let fix = match eager {
        true => fix.ask(
            "move to the CooperativeStickyAssignor in two rolling restarts: both assignors first, \
                then only the new one (KIP-429)",
        ),
        false => fix,
    };
    fix.undo_by("unset what was set, and restart the members one by one")
}
