//! Code swallows a failure of its work and commits the record all the same.
//!
//! ## What it does
//! Fires where a failure in a loop or a handler is caught and the loop goes on, and the record's offset is committed: by a commit after it, by the handler's return, or
//! by the library. A record that is sent on (to a dead-letter topic, maybe) makes it unclear, and a loop that could not be followed is no pass. Failures that say that the
//! record was worked on before (`DuplicateKeyException`) may be caught. In files it fires on Quarkus's `failure-strategy=ignore`.
//!
//! ## Why it hurts
//! A log line is all that is left of the record. When a database is away for a minute, that minute's records are all lost, one by one, without an alarm.
//!
//! ## Example
//!     try: work(record)
//!     except Exception as error: log.error(error)
//!     consumer.commit()
//!
//! ## Use instead
//!     # retry with a bound, then write the record to a dead-letter topic, then commit
//!
//! ## Severity
//! Error where the data is strong, warning where nothing is known about it.
//!
//! ## References
//! - Apache Kafka, design: message delivery semantics; KIP-298 for Connect's answer

use klamm_plan::Risk;

use crate::advice::templated;
use crate::check::{Cx, Out};
use crate::consumers::{auto_commit, loops, subject};
use crate::evidence::{Effect, EffectKind, PollLoop, Role, Setting, SourceUnit};
use crate::finding::{Finding, Fix, Weight};
use crate::lines::replace;
use crate::producers::{Stake, by_weight, stake};

/// Who commits the record whose failure was swallowed.
enum Commits {
    Never,
    By(String, String),
    Unknown(String),
}

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    check_channels(cx, out);
    for (unit, each) in loops(cx, out) {
        let Stake::Counts(weight) = stake(cx, &each.topics) else {
            out.judged();
            continue;
        };
        let swallow = each.effects.iter().position(|effect| effect.kind == EffectKind::Swallow);
        match swallow.and_then(|at| Some((at, each.effects.get(at)?))) {
            Some((at, swallow)) => check_loop(cx, out, (unit, each), (at, swallow), weight),
            None if each.unclear.is_empty() => out.judged(),
            None => out.unclear(&subject(each), each.unclear.join("; ")),
        }
    }
}

/// What a Quarkus channel does with a message whose work failed: `fail` stops, `dead-letter-queue` keeps it, `ignore` goes on.
const STRATEGY: &str = "failure-strategy";

fn check_channels(cx: &Cx<'_>, out: &mut Out) {
    let Some(files) = out.see("configuration files", &cx.evidence.files) else { return };
    for client in files.clients.iter().filter(|client| client.role == Role::Consumer) {
        let Some(setting) = client.setting(STRATEGY) else { continue };
        let Stake::Counts(weight) = stake(cx, &client.topics) else {
            out.judged();
            continue;
        };
        let Some(value) = setting.value.as_deref().filter(|value| !templated(value)) else {
            out.unclear(
                &client.subject(),
                format!("{STRATEGY} is set at {} to what is not a constant", setting.place),
            );
            continue;
        };
        out.judged();
        if value != "ignore" {
            continue;
        }
        let finding = Finding::new(
            by_weight(&weight),
            client.subject(),
            "a failure is swallowed, and its record committed",
        )
        .at(&setting.place)
        .fact(STRATEGY, value, setting.place.to_string())
        .consequence("a record whose work failed is lost, and only a log line tells of it")
        .fix(keep(setting))
        .next("how many such failures does the log have?")
        .weighed(weight);
        out.found(finding);
    }
}

/// The line of the channel as it stands, and as it is to be.
fn keep(setting: &Setting) -> Fix {
    replace(Fix::new("keep what failed", Risk::RestartsClients), setting, STRATEGY, "dead-letter-queue")
        .ask("create the topic that dead-letter-queue.topic names (without it: dead-letter-topic-CHANNEL), and watch it")
}

fn check_loop(
    cx: &Cx<'_>,
    out: &mut Out,
    (unit, each): (&SourceUnit, &PollLoop),
    (at, swallow): (usize, &Effect),
    weight: Weight,
) {
    if each.effects.iter().any(|effect| effect.kind == EffectKind::Send) {
        let why = format!(
            "whether the record that failed at {} is sent to a dead-letter topic cannot be told",
            swallow.place
        );
        return out.unclear(&subject(each), why);
    }
    match commits(cx, unit, each, at) {
        Commits::Never => out.judged(),
        Commits::Unknown(why) => out.unclear(&subject(each), why),
        Commits::By(who, place) => {
            out.judged();
            let finding = Finding::new(
                by_weight(&weight),
                subject(each),
                "a failure is swallowed, and its record committed",
            )
            .at(&swallow.place)
            .fact("failure is swallowed", swallow.what.clone(), swallow.place.to_string())
            .fact("committed by", who, place)
            .consequence("a record whose work failed is lost, and only a log line tells of it")
            .fix(
                Fix::new("keep what failed", Risk::RestartsClients)
                    .code(
                        &swallow.place,
                        "retry with a bound, then write the record to a \
                            dead-letter topic and wait for it; if that fails, too, do not commit",
                    )
                    .undo_by(format!("revert the change at {}", swallow.place)),
            )
            .next("how many such failures does the log have?")
            .weighed(weight);
            out.found(finding);
        }
    }
}

fn commits(cx: &Cx<'_>, unit: &SourceUnit, each: &PollLoop, at: usize) -> Commits {
    let committed = |effect: &&Effect| {
        matches!(effect.kind, EffectKind::Commit | EffectKind::CommitAsync | EffectKind::Mark)
    };
    if let Some(commit) = each.effects.iter().skip(at).find(committed) {
        return Commits::By(commit.what.clone(), commit.place.to_string());
    }
    if each.effects.iter().any(|effect| committed(&effect)) {
        // The next turn of the loop commits further on, over the record that failed.
        return Commits::Unknown(
            "whether the failed record is committed by a later one cannot be told".to_owned(),
        );
    }
    if each.handler {
        return Commits::By("the library, after the handler returned".to_owned(), each.place.to_string());
    }
    let consumer = unit.clients.iter().find(|client| client.role == Role::Consumer);
    let Some(client) = consumer else {
        return Commits::Unknown("which consumer the loop polls is not known".to_owned());
    };
    let auto = auto_commit(cx, client);
    match auto.flag() {
        Some(true) => {
            Commits::By("the library, enable.auto.commit=true".to_owned(), auto.source().to_owned())
        }
        Some(false) => Commits::Never,
        None => Commits::Unknown(auto.source().to_owned()),
    }
}
