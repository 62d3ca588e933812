//! A share group on strong data begins at the end of its topics.
//!
//! ## What it does
//! Reads `share.auto.offset.reset` of share groups (`group`); Kafka's default is `latest`. It fires where a topic that the group reads is strong.
//!
//! ## Why it hurts
//! The first time that a share group meets a partition it starts at its end: what was written before, also to a partition that was added a minute ago, is never delivered.
//!
//! ## Example
//!     (share.auto.offset.reset is not set: latest)
//!
//! ## Use instead
//!     kafka-configs.sh --alter --entity-type groups --entity-name jobs --add-config share.auto.offset.reset=earliest
//!
//! ## Severity
//! Error where the spec says that the data is strong, warning where that is inferred.

use klamm_plan::Risk;

use crate::amend::set_group;
use crate::check::{Cx, Out};
use crate::evidence::{Group, GroupKind};
use crate::finding::{Finding, Fix};
use crate::frameworks::unclear_if_missing;
use crate::samples::grade;
use crate::streams::read_by;
use crate::text::{listed, source_of, value};

const RESET: &str = "share.auto.offset.reset";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(groups) = out.see("groups", &cx.evidence.groups) else { return };
    for group in groups.iter().filter(|group| group.kind == GroupKind::Share) {
        unclear_if_missing(out, group);
        check_group(cx, out, group);
    }
}

fn check_group(cx: &Cx<'_>, out: &mut Out, group: &Group) {
    let name = &group.name;
    out.see("spec", &cx.evidence.spec);
    let Some(configs) = out.see(&format!("configuration of group {name}"), &group.configs) else { return };
    let Some(reset) = value(configs, RESET) else {
        out.unclear(&format!("group {name}"), format!("{RESET} was not told"));
        return;
    };
    out.judged();
    let topics: Vec<String> = read_by(group).into_iter().collect();
    let weight = cx.weight_of_all(&topics);
    if reset != "latest" || !weight.strong {
        return;
    }
    let fix = Fix::new(format!("let {name} begin at the start of a partition that is new to it"), Risk::Safe);
    let names = listed(&topics, 3);
    let finding = Finding::new(
        grade(&weight),
        format!("group {name}"),
        format!("it begins at the end of {names}"),
    )
    .fact(RESET, reset, source_of(configs, RESET))
    .fact("topics", names.clone(), "group")
    .consequence(format!(
        "records of {names} that were written before the group first read a partition are never delivered"
    ))
    .fix(set_group(cx, fix, name, configs, RESET, "earliest"))
    .next(format!(
        "kafka-share-groups.sh --bootstrap-server {} --describe --group {name} --offsets",
        cx.bootstrap()
    ))
    .weighed(weight);
    out.found(finding);
}
