//! A group is further behind than its spec allows.
//!
//! ## What it does
//! Divides the lag of a group by the rate at which its topics grow over the window: so old is what it reads. Compares that with the group's `lag` in the spec. Where nothing
//! came in the window and records are unread, the age cannot be told.
//!
//! ## Why it hurts
//! The promise is what others count on: a report, a balance on a screen, a fraud check that comes too late.
//!
//! ## Example
//!     lag: 1 min in the spec; 90,000 records behind at 500 records a second are 3 min
//!
//! ## Use instead
//!     more members up to the number of partitions, or less work for each record
//!
//! ## Severity
//! Error where the data is strong, else warning.
//!
//! ## References
//! - `docs/spec.md`: groups

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::consumers::reading_groups;
use crate::evidence::{Group, GroupOffset, GroupPromise};
use crate::finding::{Finding, Fix};
use crate::lag::Movement;
use crate::producers::by_weight;
use crate::text::duration;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(spec) = out.see("spec", &cx.evidence.spec) else { return };
    for group in reading_groups(cx, out) {
        if let Some(promise) = spec.groups.get(&group.name) {
            check_group(cx, out, group, promise);
        }
    }
}

fn check_group(cx: &Cx<'_>, out: &mut Out, group: &Group, promise: &GroupPromise) {
    let subject = format!("group {}", group.name);
    let offsets: Vec<&GroupOffset> =
        group.offsets.iter().filter(|offset| offset.committed >= 0 && offset.committed_first >= 0).collect();
    let Some(all) = Movement::of(&offsets) else {
        return out.unclear(&subject, "the end of a partition that it reads could not be had");
    };
    if all.last == 0 {
        return out.judged();
    }
    if all.too_short() || all.came == 0 {
        return out
            .unclear(&subject, "how old its oldest unread record is takes a window in which records come");
    }
    out.judged();
    // What a step of committing leaves open is not counted against it.
    let behind = (all.last - all.tolerance).max(0);
    let behind_ms = (behind as f64 / all.per_second(all.came) * 1_000.0) as i64;
    let allowed_ms = i64::try_from(promise.lag_ms).unwrap_or(i64::MAX);
    if behind_ms <= allowed_ms {
        return;
    }
    let weight = cx.weight_of_all(&promise.reads);
    let what =
        format!("it is about {} behind, and the spec allows {}", duration(behind_ms), duration(allowed_ms));
    let name = &group.name;
    let fix = Fix::new("make it faster", Risk::RestartsClients)
        .ask(format!(
            "run more members of {name}, up to the number of partitions, or make the work \
            on one record faster"
        ))
        .undo_by(format!("run {} members again", group.members.len()));
    let finding = Finding::new(by_weight(&weight), subject, what)
        .at(&promise.place)
        .fact("lag", format!("{} records", all.last), "committed offsets against last stable offsets")
        .fact("comes", format!("{:.0} records a second", all.per_second(all.came)), "ends of its partitions")
        .fact("lag that is allowed", duration(allowed_ms), promise.place.to_string())
        .consequence("whoever counts on the promise sees what is older than that")
        .fix(fix)
        .next("does it catch up or fall behind? klamm explain KL409")
        .weighed(weight);
    out.found(finding);
}
