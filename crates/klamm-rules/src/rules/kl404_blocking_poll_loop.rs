//! A loop that polls sleeps or waits for a network, or comes close to `max.poll.interval.ms`.
//!
//! ## What it does
//! Fires on a call inside a loop that polls which waits for a clock or a network while no partition is paused, and where a client's metrics show a time between polls of
//! 80 of 100 of `max.poll.interval.ms` and more. Spring calls a listener on the thread that polls: a sleep in one counts, too. Other handlers are left out, and so are
//! pauses where a poll has brought nothing, and calls of a database: nearly every consumer makes them, and the metrics tell when they take too long.
//!
//! ## Why it hurts
//! A consumer that does not poll within `max.poll.interval.ms` is thrown out of its group. Its partitions go to another member, which gets the same slow records, and
//! the commit of the first is refused: the same records are worked on again and again.
//!
//! ## Example
//!     for record in consumer.poll(1000): time.sleep(60)
//!
//! ## Use instead
//!     # pause the partitions, work elsewhere, keep polling, resume
//!
//! ## Severity
//! Warning for a sleep and for a measured interval; info for a call into a network, whose time nobody knows.
//!
//! ## References
//! - KIP-62: background heartbeats, `max.poll.interval.ms`

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::consumers::{loops, subject};
use crate::evidence::{Effect, EffectKind, HostMetrics, Library, PollLoop, Role};
use crate::finding::{Finding, Fix, Severity};
use crate::text::duration;

/// Java's default of `max.poll.interval.ms`, and that of librdkafka, kafka-python and aiokafka.
const INTERVAL_MS: u64 = 300_000;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for (_, each) in loops(cx, out).into_iter().filter(|(_, each)| polls(each)) {
        match blocking(each) {
            Some(effect) => {
                out.judged();
                found(out, each, effect);
            }
            None if each.unclear.is_empty() => out.judged(),
            None => out.unclear(&subject(each), each.unclear.join("; ")),
        }
    }
    let Some(host) = out.see("metrics of clients", &cx.evidence.host) else { return };
    for metrics in &host.hosts {
        if let Some(longest) = metrics.poll_interval_max_ms {
            check_metrics(cx, out, metrics, longest);
        }
    }
}

/// It holds up the thread that polls.
fn polls(each: &PollLoop) -> bool {
    let beside = each.effects.iter().any(|effect| effect.what.starts_with('@'));
    !each.handler || each.library == Library::Java && !beside
}

/// A sleep before any other call that waits: it is the surer sign.
fn blocking(each: &PollLoop) -> Option<&Effect> {
    if each.handler {
        return each.effects.iter().find(|effect| effect.kind == EffectKind::Block && sleeps(effect));
    }
    let polled = each.effects.iter().position(|effect| effect.kind == EffectKind::Poll)?;
    if each.effects.iter().any(|effect| effect.kind == EffectKind::Pause) {
        return None;
    }
    let waits: Vec<&Effect> =
        each.effects[polled..].iter().filter(|effect| effect.kind == EffectKind::Block).collect();
    waits.iter().find(|effect| sleeps(effect)).or(waits.first()).copied()
}

fn sleeps(effect: &Effect) -> bool {
    effect.what.to_ascii_lowercase().contains("sleep")
}

fn found(out: &mut Out, each: &PollLoop, effect: &Effect) {
    let (severity, what) = match sleeps(effect) {
        true => (Severity::Warning, format!("`{}` sleeps between two polls", effect.what)),
        false => (Severity::Info, format!("`{}` waits between two polls", effect.what)),
    };
    let finding = Finding::new(severity, subject(each), what)
        .at(&effect.place)
        .fact("call that waits", effect.what.clone(), effect.place.to_string())
        .consequence(
            "when it takes longer than max.poll.interval.ms the member is thrown out, and \
            its records are worked on again",
        )
        .fix(
            Fix::new("bound the wait, or keep polling meanwhile", Risk::RestartsClients)
                .code(
                    &effect.place,
                    "give the call a timeout so that max.poll.records of them fit \
                    into max.poll.interval.ms, or pause the partitions and poll on",
                )
                .undo_by(format!("revert the change at {}", effect.place)),
        )
        .next("how long does one record take, 99 of 100 times? klamm explain KL406");
    out.found(finding);
}

fn check_metrics(cx: &Cx<'_>, out: &mut Out, metrics: &HostMetrics, longest: u64) {
    let mut quiet = Out::new("KL404");
    let told = cx.clients(&[Role::Consumer], &mut quiet);
    let told = told
        .iter()
        .filter_map(|client| client.setting("max.poll.interval.ms")?.value.as_deref()?.parse().ok());
    let (limit, source) = match told.max() {
        Some(limit) if limit > INTERVAL_MS => (limit, "the longest of any consumer that was seen"),
        _ => (INTERVAL_MS, "Kafka's default of max.poll.interval.ms"),
    };
    out.judged();
    if longest * 10 < limit * 8 {
        return;
    }
    let ms = |ms: u64| duration(i64::try_from(ms).unwrap_or(i64::MAX));
    let finding = Finding::new(
        Severity::Warning,
        format!("consumer at {}", metrics.at),
        format!("{} between two polls", ms(longest)),
    )
    .fact("longest time between polls", ms(longest), format!("metrics of {}", metrics.at))
    .fact("max.poll.interval.ms", ms(limit), source)
    .consequence("a little slower and the member is thrown out of its group in the middle of its work")
    .fix(
        Fix::new("poll fewer records at once", Risk::RestartsClients)
            .ask("halve max.poll.records of this consumer, or raise its max.poll.interval.ms")
            .undo_by("set max.poll.records as it was"),
    )
    .next("what in the loop takes so long?");
    out.found(finding);
}
