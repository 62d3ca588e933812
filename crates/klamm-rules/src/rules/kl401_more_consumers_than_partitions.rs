//! A group has more members than partitions to give: some do nothing.
//!
//! ## What it does
//! Counts members of stable groups that were given no partition, where the topics have fewer partitions than the group has members. Without members in sight it compares what
//! the spec says (`instances` x `threads`) with the partitions. Share groups have no such limit, and idle members of Kafka Streams hold standbys: both are left
//! out.
//!
//! ## Why it hurts
//! A partition goes to one member. Instances beyond that cost money and make the group look larger than it is: adding more does not make it faster.
//!
//! ## Example
//!     6 partitions, 8 members: 2 are idle
//!
//! ## Use instead
//!     6 members, or more partitions (which moves keys), or a share group where order does not matter
//!
//! ## Severity
//! Warning; info for a single member that stands by.
//!
//! ## References
//! - Apache Kafka, design: consumer groups; KIP-932

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::consumers::{partitions_of, reading_groups, topics_of};
use crate::evidence::{Group, GroupKind, Member};
use crate::finding::{Finding, Fix, Severity};
use crate::text::listed;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let groups = reading_groups(cx, out);
    for group in groups.iter().filter(|group| group.kind != GroupKind::Streams) {
        if !group.members.is_empty() {
            check_members(cx, out, group);
        }
    }
    let Some(spec) = out.see("spec", &cx.evidence.spec) else { return };
    if out.see("topics of the cluster", &cx.evidence.live.topics).is_none() {
        return;
    }
    for (name, promise) in &spec.groups {
        let live = groups.iter().any(|group| group.name == *name && !group.members.is_empty());
        let Some(instances) = promise.instances.filter(|_| !live) else { continue };
        let consumers = u64::from(instances) * u64::from(promise.threads);
        let Some(partitions) = partitions_of(cx, &promise.reads) else {
            out.unclear(&format!("group {name}"), "partitions of its topics were not seen");
            continue;
        };
        out.judged();
        if consumers > partitions && partitions > 0 {
            let seen = ("consumers", consumers, promise.place.to_string());
            found(cx, out, (name, &promise.reads), seen, (partitions, consumers - partitions));
        }
    }
}

fn check_members(cx: &Cx<'_>, out: &mut Out, group: &Group) {
    let stable = group.states.last().is_none_or(|look| look.state == "Stable");
    let subject = format!("group {}", group.name);
    if !stable {
        return out.unclear(&subject, "it is rebalancing");
    }
    if group.members.iter().any(|member| member.assigned.is_none()) {
        return out.unclear(&subject, "what its members were given cannot be read");
    }
    out.judged();
    let given = |member: &Member| {
        member.assigned.iter().flatten().map(|each| each.partitions.len() as u64).sum::<u64>()
    };
    let idle = group.members.iter().filter(|member| given(member) == 0).count() as u64;
    let partitions: u64 = group.members.iter().map(given).sum();
    let members = group.members.len() as u64;
    if idle == 0 || partitions == 0 || members <= partitions {
        return;
    }
    let seen = ("members", members, "the group's coordinator".to_owned());
    found(cx, out, (&group.name, &topics_of(group)), seen, (partitions, idle));
}

fn found(
    cx: &Cx<'_>,
    out: &mut Out,
    (group, topics): (&str, &[String]),
    (what, members, source): (&str, u64, String),
    (partitions, idle): (u64, u64),
) {
    let severity = if idle == 1 { Severity::Info } else { Severity::Warning };
    let fix = Fix::new(format!("run {partitions} consumers of {group}"), Risk::RestartsClients)
        .ask(format!(
            "scale {group} down from {members} to {partitions} consumers, or make \
            partitions if it is too slow"
        ))
        .undo_by(format!("scale {group} to {members} consumers again"));
    let finding = Finding::new(
        severity,
        format!("group {group}"),
        format!("{idle} of {members} {what} have no partition"),
    )
    .fact(what, members.to_string(), source)
    .fact(format!("partitions of {}", listed(topics, 3)), partitions.to_string(), "metadata of the cluster")
    .consequence(format!("{idle} {what} only stand by: they make the group no faster"))
    .fix(fix)
    .next(format!(
        "kafka-consumer-groups.sh --bootstrap-server {} --describe --group {group} --members",
        cx.bootstrap()
    ));
    out.found(finding);
}
