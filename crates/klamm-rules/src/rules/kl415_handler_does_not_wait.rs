//! A handler returns before its work is done: the library commits meanwhile.
//!
//! ## What it does
//! Fires on a handler that a library calls (a Spring listener, KafkaJS's `eachMessage`, …) which hands the record to a task, a thread or a promise and returns without
//! waiting; Spring's `@Async` does it for the whole listener. A JavaScript call of another file that nobody awaits may be a promise: that is no pass. Handlers that commit
//! or mark themselves are KL403's.
//!
//! ## Why it hurts
//! The library takes the return for "done" and commits. A crash loses everything that is still under way, a failure is seen by nobody, and nothing bounds how much
//! runs at once.
//!
//! ## Example
//!     eachMessage: async ({ message }) => { work(message) }
//!
//! ## Use instead
//!     eachMessage: async ({ message }) => { await work(message) }
//!
//! ## Severity
//! Error where the data is strong, warning where nothing is known about it.
//!
//! ## References
//! - KafkaJS: consuming messages; Spring for Apache Kafka: committing offsets

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::consumers::{loops, subject, unjoined};
use crate::evidence::{Effect, EffectKind, Library, PollLoop};
use crate::finding::{Finding, Fix, Weight};
use crate::producers::{Stake, by_weight, stake};

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for (_, each) in loops(cx, out).into_iter().filter(|(_, each)| each.handler) {
        let Stake::Counts(weight) = stake(cx, &each.topics) else {
            out.judged();
            continue;
        };
        let commits = each.effects.iter().any(|effect| {
            matches!(effect.kind, EffectKind::Commit | EffectKind::CommitAsync | EffectKind::Mark)
        });
        match unjoined(each) {
            Some(effect) if !commits => {
                out.judged();
                found(out, each, effect, weight);
            }
            Some(_) => out.judged(),
            None if each.unclear.is_empty() => out.judged(),
            None => out.unclear(&subject(each), each.unclear.join("; ")),
        }
    }
}

fn found(out: &mut Out, each: &PollLoop, effect: &Effect, weight: Weight) {
    let timer = ["setTimeout", "setImmediate"].iter().any(|timer| effect.what.ends_with(timer));
    let instead = match each.library {
        _ if effect.what == "@Async" => {
            "take `@Async` away: the listener then returns when its work is done".to_owned()
        }
        _ if timer => format!(
            "do the work in the handler itself and `await` it: `{}` runs it after the handler has returned, and gives no \
             promise to wait for",
            effect.what
        ),
        Library::Kafkajs => {
            format!("`await {}(…)`: the handler's promise must end with the work", effect.what)
        }
        _ => format!(
            "wait for what `{}` starts before the handler returns, or commit by hand what is finished",
            effect.what
        ),
    };
    let finding = Finding::new(
        by_weight(&weight),
        subject(each),
        format!("the handler does not wait for `{}`", effect.what),
    )
    .at(&effect.place)
    .fact("work is handed off", effect.what.clone(), effect.place.to_string())
    .fact("the library commits after", "the handler has returned", each.place.to_string())
    .consequence(
        "a crash loses records that are committed and still worked on, and their failures are seen \
            by nobody",
    )
    .fix(
        Fix::new("wait in the handler", Risk::RestartsClients)
            .code(&effect.place, instead)
            .undo_by(format!("revert the change at {}", effect.place)),
    )
    .next("is one record at a time fast enough? if not, work on several keys at once and wait for all")
    .weighed(weight);
    out.found(finding);
}
