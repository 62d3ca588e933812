//! A group falls behind: its lag grows.
//!
//! ## What it does
//! Compares the lag at both ends of the window, from the last stable offset and the log start. Committing in steps (5 s by default) is not taken for growth, so a window below
//! 7.5 s says nothing. Names the cause as far as it was seen: nobody reads, members that commit nothing, rebalances, one hot partition, a quota, a host at its
//! end, a surge, or a group that is slower than what comes.
//!
//! ## Why it hurts
//! What grows does not stop by itself: results get later and later, until records are deleted before they are read.
//!
//! ## Example
//!     billing: 12,000 records behind, 1,400 more in 30 s
//!
//! ## Use instead
//!     what the cause asks for: see the finding
//!
//! ## Severity
//! Error where nobody reads strong data or nothing is committed; else warning.
//!
//! ## References
//! - Apache Kafka, `kafka-consumer-groups.sh --describe`; KIP-98 for the last stable offset

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::consumers::{partitions_of, reading_groups, topics_of};
use crate::evidence::{Group, GroupOffset};
use crate::finding::{Finding, Fix, Severity};
use crate::lag::{Cause, Movement, cause};
use crate::text::duration;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for group in reading_groups(cx, out) {
        // A negative offset is none: nothing was committed there.
        let offsets: Vec<&GroupOffset> = group
            .offsets
            .iter()
            .filter(|offset| offset.committed >= 0 && offset.committed_first >= 0)
            .collect();
        if !offsets.is_empty() {
            check_group(cx, out, group, &offsets);
        }
    }
}

fn check_group(cx: &Cx<'_>, out: &mut Out, group: &Group, offsets: &[&GroupOffset]) {
    let subject = format!("group {}", group.name);
    let Some(all) = Movement::of(offsets) else {
        return out.unclear(&subject, "the end of a partition that it reads could not be had");
    };
    if all.too_short() {
        return out.unclear(
            &subject,
            "one look, or a window below 7.5 s, tells no movement: ask with --window 30s",
        );
    }
    out.judged();
    if !all.grows() {
        return;
    }
    let cause = cause(cx, group, &all, offsets);
    let weight = cx.weight_of_all(&topics_of(group));
    let severity = match cause {
        Cause::Stopped | Cause::Stuck => weight.choose(Severity::Error, Severity::Warning),
        _ => Severity::Warning,
    };
    let (why, fix) = advice(cx, group, &all, &cause);
    let what =
        format!("its lag grew by {} to {} in {}: {why}", all.grew(), all.last, duration(all.window_ms));
    let finding = Finding::new(severity, subject, what)
        .fact(
            "lag",
            format!("{} -> {} records", all.first, all.last),
            "committed offsets against last stable offsets",
        )
        .fact("comes", format!("{:.0} records a second", all.per_second(all.came)), "ends of its partitions")
        .fact("is committed", format!("{:.0} records a second", all.per_second(all.committed)), "its offsets")
        .fact("members", group.members.len().to_string(), "the group's coordinator")
        .consequence(
            "what it does with the records comes later and later, until they are deleted \
            before it reads them",
        )
        .fix(fix)
        .next("how long until records are deleted unread? klamm explain KL411")
        .weighed(weight);
    out.found(finding);
}

/// The cause in words, and what to do about it.
fn advice(cx: &Cx<'_>, group: &Group, all: &Movement, cause: &Cause) -> (String, Fix) {
    let name = &group.name;
    let bootstrap = cx.bootstrap();
    let safe = |what: &str| Fix::new(what, Risk::Safe);
    match cause {
        Cause::Stopped => (
            "nobody reads, it has no members".to_owned(),
            safe("start it")
                .ask(format!(
                    "start the processes of {name}, or delete the group if nobody needs it any more"
                ))
                .undo_by("stop them again"),
        ),
        Cause::Stuck => (
            "its members commit nothing".to_owned(),
            safe("find what holds it")
                .ask(format!(
                    "take a thread dump of a member of {name}: a record that always fails, \
                    a call that never returns, or a commit that is missing"
                ))
                .command(format!(
                    "kafka-consumer-groups.sh --bootstrap-server {bootstrap} \
                    --describe --group {name} --members --verbose"
                ))
                .undo_by("nothing is changed"),
        ),
        Cause::Rebalance(moving, looks) => (
            format!("it rebalances, {moving} of {looks} looks were not stable"),
            safe("let it settle")
                .ask("see KL407: static members, the cooperative assignor, max.poll.interval.ms")
                .undo_by("nothing is changed"),
        ),
        Cause::HotPartition(topic, partition, share) => (
            format!("{share} % of the growth is in partition {topic}-{partition}"),
            safe("spread the key")
                .command(format!("klamm keys {topic} --bootstrap {bootstrap}"))
                .undo_by("nothing is changed"),
        ),
        Cause::Quota(at) => quota(bootstrap, at),
        Cause::Host(at, what) => host(name, at, what),
        Cause::Surge => (
            format!(
                "more comes than before, {:.0} records a second; it had kept up until then",
                all.per_second(all.came)
            ),
            scale(cx, group).ask(format!(
                "look again before you do: klamm audit --bootstrap {bootstrap} --window 5m --rules KL409"
            )),
        ),
        Cause::Slow => ("it reads less than comes".to_owned(), scale(cx, group)),
    }
}

fn scale(cx: &Cx<'_>, group: &Group) -> Fix {
    let members = group.members.len();
    let fix = Fix::new("make it faster", Risk::RestartsClients);
    let fix = match partitions_of(cx, &topics_of(group)) {
        Some(partitions) if partitions > members as u64 => {
            fix.ask(format!("run up to {partitions} members of {} instead of {members}", group.name))
        }
        _ => fix.ask(format!(
            "make the work of {} on one record faster, or work on several keys at once in a member",
            group.name
        )),
    };
    fix.undo_by(format!("run {members} members again"))
}

fn quota(bootstrap: &str, at: &str) -> (String, Fix) {
    let fix = Fix::new("raise the quota", Risk::Safe)
        .command(format!("kafka-configs.sh --bootstrap-server {bootstrap} --describe --entity-type clients"))
        .ask("raise consumer_byte_rate of the client that it names, by kafka-configs.sh --alter")
        .undo_by("set consumer_byte_rate as it was");
    (format!("a quota slows its clients down ({at})"), fix)
}

fn host(name: &str, at: &str, what: &str) -> (String, Fix) {
    let fix = Fix::new(format!("give its members more {what}"), Risk::RestartsClients)
        .ask(format!("move a member of {name} from {at} to another host, or give that host more {what}"))
        .undo_by("move it back");
    (format!("{at} has no {what} left"), fix)
}
