//! What one poll may return takes longer than `max.poll.interval.ms`.
//!
//! ## What it does
//! Multiplies `max.poll.records` of a consumer with the time that 99 of 100 records take, by the spec's group of the same `group.id`, and compares with
//! `max.poll.interval.ms`. librdkafka hands out one record at a time: one record must then fit.
//!
//! ## Why it hurts
//! The member is thrown out while it still works. Its commit is refused, the next member gets the same records, and is thrown out in turn.
//!
//! ## Example
//!     max.poll.records=500, 1 s for each record, max.poll.interval.ms=300000
//!
//! ## Use instead
//!     max.poll.records=150
//!
//! ## Severity
//! Error where the data is strong, else warning.
//!
//! ## References
//! - KIP-62

use crate::advice;
use crate::check::{Cx, Out};
use crate::consumers::consumers;
use crate::evidence::{Client, GroupPromise, Library};
use crate::finding::{Finding, Fix};
use crate::producers::by_weight;
use crate::text::duration;

const RECORDS: &str = "max.poll.records";
const INTERVAL: &str = "max.poll.interval.ms";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let clients = consumers(cx, out);
    let Some(spec) = out.see("spec", &cx.evidence.spec) else { return };
    for client in clients {
        let group = client.setting("group.id").and_then(|group| group.value.as_deref());
        let promise = group.and_then(|group| spec.groups.get(group));
        let Some(promise) = promise else { continue };
        match promise.work_p99_us {
            Some(work_us) => check_client(cx, out, client, (promise, work_us)),
            None => out.unclear(&client.subject(), "the spec does not say how long its work takes"),
        }
    }
}

fn check_client(cx: &Cx<'_>, out: &mut Out, client: &Client, (promise, work_us): (&GroupPromise, u64)) {
    let interval = client.effective(INTERVAL);
    let records = client.effective(RECORDS);
    let most = match client.library {
        Library::Librdkafka => Some(1),
        _ => records.number(),
    };
    let (Some(most), Some(limit)) = (most.and_then(|most| u64::try_from(most).ok()), interval.number())
    else {
        let why = if interval.number().is_none() { interval.source() } else { records.source() };
        return out.unclear(&client.subject(), why);
    };
    out.judged();
    let takes_ms = i64::try_from(most.saturating_mul(work_us) / 1_000).unwrap_or(i64::MAX);
    if takes_ms <= limit {
        return;
    }
    let weight = cx.weight_of_all(&promise.reads);
    let what = format!(
        "a poll of {most} records may take {}, and {INTERVAL} is {}",
        duration(takes_ms),
        duration(limit)
    );
    let finding = Finding::new(by_weight(&weight), client.subject(), what)
        .at(client.setting(RECORDS).map_or(&client.place, |setting| &setting.place))
        .fact(RECORDS, most.to_string(), records.source())
        .fact("99 of 100 records take", format!("{work_us} us"), promise.place.to_string())
        .fact(INTERVAL, limit.to_string(), interval.source())
        .consequence(
            "the member is thrown out of its group while it works, and its records are worked on again",
        )
        .fix(fix(client, limit, work_us))
        .next("is the slow part a call that could be made for many records at once?")
        .weighed(weight);
    out.found(finding);
}

fn fix(client: &Client, limit: i64, work_us: u64) -> Fix {
    // Half of the interval is left for what is slower than 99 of 100.
    let fit = u64::try_from(limit).unwrap_or(0).saturating_mul(500) / work_us.max(1);
    match client.library {
        Library::Librdkafka => {
            let longer = (work_us / 500).to_string();
            advice::set(client, "allow more time between polls", &[(INTERVAL, &longer)])
        }
        _ if fit == 0 => {
            let longer = (work_us / 500).to_string();
            advice::set(
                client,
                "one record at a time, with more time",
                &[(RECORDS, "1"), (INTERVAL, &longer)],
            )
        }
        _ => advice::set(client, "poll fewer records at once", &[(RECORDS, &fit.to_string())]),
    }
}
