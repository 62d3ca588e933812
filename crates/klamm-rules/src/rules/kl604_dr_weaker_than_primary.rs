//! The second cluster keeps the data less safely than the first.
//!
//! ## What it does
//! Compares each topic with its copy: number of copies, `min.insync.replicas`, `unclean.leader.election.enable`. Compares who may read and write, by access rules and
//! quotas. In files of MirrorMaker 2 it looks at `replication.factor` of the topics that it makes, 2 by itself.
//!
//! ## Why it hurts
//! MirrorMaker 2 does not copy `min.insync.replicas` and unclean elections, nor write rights. After a failover the same data is kept with
//! less, and nobody notices until a broker is lost there too; or nobody may write, and the failover does not work.
//!
//! ## Example
//!     orders: 3 copies, floor 2; east.orders: 2 copies, floor 1
//!
//! ## Use instead
//!     replication.factor=3 in MirrorMaker 2, and the floor set on each copy
//!
//! ## Severity
//! Strong data: error for unclean elections, else warning. Eventual data and quotas: info.
//!
//! ## References
//! - Apache Kafka, MirrorMaker 2, config.properties.exclude

use std::collections::BTreeSet;

use klamm_kafka::Permission;
use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::cluster::copies;
use crate::evidence::{MirrorFlow, Topic};
use crate::finding::{Finding, Fix, Severity};
use crate::recovery::{
    alias, copy_of, flow_subject, is_on, of_flow, of_second_topic, second_server, set_in_flow,
};
use crate::text::{listed, number, source_of, value};

const COPIES: &str = "replication.factor";
const FLOOR: &str = "min.insync.replicas";
const UNCLEAN: &str = "unclean.leader.election.enable";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    if let Some(files) = out.see("configuration files", &cx.evidence.files) {
        files.mirrors.iter().filter(|flow| is_on(flow)).for_each(|flow| check_flow(cx, out, flow));
    }
    let (first, second) = (&cx.evidence.live, &cx.evidence.second);
    let here = out.see("topics of the cluster", &first.topics);
    let there = out.see("topics of the second cluster", &second.topics);
    let (Some(here), Some(there)) = (here, there) else { return };
    for (name, topic) in here.iter().filter(|(name, topic)| !topic.internal && !name.starts_with("__")) {
        if let Some((copy_name, copy)) = copy_of(there, alias(cx), name) {
            check_topic(cx, out, (name, topic), (copy_name, copy));
        }
    }
    access(cx, out);
}

fn check_topic(cx: &Cx<'_>, out: &mut Out, (name, topic): (&str, &Topic), (copy_name, copy): (&str, &Topic)) {
    let Some(a) = out.see(&format!("configuration of topic {name}"), &topic.configs) else { return };
    let Some(b) =
        out.see(&format!("configuration of topic {copy_name} of the second cluster"), &copy.configs)
    else {
        return;
    };
    out.judged();
    let mut fix = Fix::new(format!("keep {copy_name} as safely as {name}"), Risk::RefusesWrites);
    let mut facts = Vec::new();
    let mut compare = |what: &str, left: String, right: String, layer: &'static str| {
        facts.push((format!("{what} of {name}"), left, "first cluster".to_owned()));
        facts.push((format!("{what} of {copy_name}"), right, format!("second cluster, {layer}")));
    };
    let (more, less) = (copies(topic), copies(copy));
    if less < more {
        compare("copies", more.to_string(), less.to_string(), "placement");
        fix = fix.ask(format!(
            "give {copy_name} {more} copies: klamm audit --bootstrap {} prints the moves (KL501)",
            second_server(cx)
        ));
    }
    let (high, low) = (number(a, FLOOR), number(b, FLOOR));
    if high.is_none() || low.is_none() {
        out.unclear(&format!("topics {name} and {copy_name}"), format!("{FLOOR} was not told"));
    }
    if let (Some(high), Some(low)) = (high, low)
        && low < high
    {
        compare(FLOOR, high.to_string(), low.to_string(), source_of(b, FLOOR));
        fix = fix
            .command(of_second_topic(cx, copy_name, &format!("--add-config {FLOOR}={high}")))
            .undo(of_second_topic(cx, copy_name, &format!("--delete-config {FLOOR}")));
    }
    let unclean = value(a, UNCLEAN) == Some("false") && value(b, UNCLEAN) == Some("true");
    if unclean {
        compare(UNCLEAN, "false".to_owned(), "true".to_owned(), source_of(b, UNCLEAN));
        fix = fix
            .command(of_second_topic(cx, copy_name, &format!("--add-config {UNCLEAN}=false")))
            .undo(of_second_topic(cx, copy_name, &format!("--delete-config {UNCLEAN}")));
    }
    if facts.is_empty() {
        return;
    }
    let weight = cx.weight(name);
    let strong = if unclean { Severity::Error } else { Severity::Warning };
    let finding = Finding::new(
        weight.choose(strong, Severity::Info),
        format!("topic {copy_name} of the second cluster"),
        "it is kept less safely than its original",
    );
    let finding =
        facts.into_iter().fold(finding, |finding, (what, value, source)| finding.fact(what, value, source));
    out.found(
        finding
            .consequence(format!("after a failover one broker that is lost can take records of {copy_name}, where {name} would have kept them"))
            .fix(fix.undo_by("what is moved can be moved back"))
            .next(format!("kafka-topics.sh --bootstrap-server {} --describe --topic {copy_name}", second_server(cx)))
            .weighed(weight),
    );
}

fn access(cx: &Cx<'_>, out: &mut Out) {
    let (first, second) = (&cx.evidence.live, &cx.evidence.second);
    let rules = out.see("access rules", &first.acls);
    if let (Some(here), Some(there)) = (rules, out.see("access rules of the second cluster", &second.acls)) {
        let users = |rules: &'_ [klamm_kafka::Acl]| -> BTreeSet<String> {
            let allowed = rules.iter().filter(|rule| rule.permission == Permission::Allow);
            allowed.map(|rule| rule.principal.clone()).collect()
        };
        out.judged();
        let (left, right) = (users(&here.rules), users(&there.rules));
        let missing: Vec<&String> = left.difference(&right).collect();
        if there.authorizer && !missing.is_empty() {
            let fix = Fix::new("give users the same rights there", Risk::Safe)
                .ask(format!("klamm apply {} --with access, against the second cluster", cx.spec()))
                .undo_by("klamm apply --undo takes the rules away again");
            out.found(
                Finding::new(Severity::Warning, "access rules of the second cluster", format!("{} may do nothing there", listed(&missing, 3)))
                    .fact("users without any rule there", listed(&missing, 10), "access rules of both clusters")
                    .consequence("after a failover they are denied: MirrorMaker 2 copies rights to read at most, never to write")
                    .fix(fix)
                    .next(format!("kafka-acls.sh --bootstrap-server {} --list", second_server(cx))),
            );
        }
    }
    let quotas = out.see("quotas", &first.quotas);
    let (Some(here), Some(there)) = (quotas, out.see("quotas of the second cluster", &second.quotas)) else {
        return;
    };
    out.judged();
    if !here.is_empty() && there.is_empty() {
        out.found(
            Finding::new(Severity::Info, "quotas of the second cluster", "it has none, the first one has")
                .fact("quotas of the first cluster", here.len().to_string(), "quotas")
                .consequence("after a failover nobody is limited there")
                .fix(
                    Fix::new("set the same quotas there", Risk::SlowsClients)
                        .ask(format!("klamm apply {} --with access, against the second cluster", cx.spec()))
                        .undo_by("klamm apply --undo takes them away again"),
                )
                .next(format!(
                    "kafka-configs.sh --bootstrap-server {} --describe --entity-type users",
                    cx.bootstrap()
                )),
        );
    }
}

fn check_flow(cx: &Cx<'_>, out: &mut Out, flow: &MirrorFlow) {
    let Some(told) = of_flow(out, flow, COPIES, "2") else { return };
    let Ok(count) = told.trim().parse::<i64>() else { return };
    out.judged();
    // -1 is what the target's brokers say.
    if !(0..3).contains(&count) {
        return;
    }
    let setting = flow.settings.get(COPIES);
    let place = setting.map_or(&flow.place, |setting| &setting.place);
    let source = if setting.is_some() { place.to_string() } else { "default of MirrorMaker 2".to_owned() };
    let fix = Fix::new("let MirrorMaker 2 make topics with three copies", Risk::RestartsClients);
    out.found(
        Finding::new(
            Severity::Warning,
            flow_subject(flow),
            format!("topics that it makes have {count} {}", if count == 1 { "copy" } else { "copies" }),
        )
        .fact(COPIES, told, source)
        .consequence("after a failover one broker that is lost stops them, or takes records")
        .fix(
            set_in_flow(fix, flow, COPIES, "3")
                .ask("topics that exist keep their copies: KL501 of the second cluster"),
        )
        .next(format!("kafka-topics.sh --bootstrap-server {} --describe", second_server(cx)))
        .at(place),
    );
}
