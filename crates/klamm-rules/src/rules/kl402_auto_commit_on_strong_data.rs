//! A library commits offsets by itself, before the work on strong data is done.
//!
//! ## What it does
//! Asks when the library takes the offsets that it commits by itself. librdkafka stores an offset when it hands the record out, and aiokafka's background task
//! commits what was handed out: before the work. Java, kafka-python and franz-go commit at the next poll what the poll before returned: that is after the work, as
//! long as the loop does it in place. KafkaJS commits after the handler, Sarama what was marked, and under Spring the listener container commits: no finding.
//!
//! ## Why it hurts
//! A crash between the commit and the end of the work skips the records in between: nobody works on them any more.
//!
//! ## Example
//!     enable.auto.commit=true     # librdkafka's default
//!
//! ## Use instead
//!     enable.auto.commit=true
//!     enable.auto.offset.store=false   # and store each offset after its work
//!
//! ## Severity
//! Error where offsets can be committed before the work; info where Java, kafka-python or franz-go work in place. Only on strong data.
//!
//! ## References
//! - librdkafka, `enable.auto.offset.store`; Apache Kafka, `KafkaConsumer`: automatic offset committing

use crate::advice;
use crate::check::{Cx, Out};
use crate::consumers::{AutoCommit, auto_commit, auto_commit_time, consumers, loops_of, ungrouped, unjoined};
use crate::evidence::{Client, Effect, Library};
use crate::finding::{Finding, Fix, Severity, Weight};

const COMMITS: &str = "enable.auto.commit";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for client in consumers(cx, out) {
        let weight = cx.weight_of_all(&client.topics);
        let commits = auto_commit(cx, client);
        if ungrouped(client) && client.setting(COMMITS).is_none() {
            out.judged();
            continue;
        }
        match commits.flag() {
            Some(false) => out.judged(),
            // A handler that hands off is KL415's, a mark before the work KL403's.
            Some(true) if matches!(auto_commit_time(client), AutoCommit::AfterWork) => out.judged(),
            _ if !weight.strong && !client.topics.is_empty() => out.judged(),
            _ if !weight.strong => out.unclear(&client.subject(), "which topics it reads is not known"),
            Some(true) => check_client(cx, out, client, (weight, commits.source())),
            None => out.unclear(&client.subject(), format!("{COMMITS}: {}", commits.source())),
        }
    }
}

fn check_client(cx: &Cx<'_>, out: &mut Out, client: &Client, (weight, source): (Weight, &str)) {
    let handed_off = loops_of(cx, client).iter().find_map(unjoined);
    let severity = match (auto_commit_time(client), handed_off) {
        (AutoCommit::Unknown(why), _) => return out.unclear(&client.subject(), why),
        (AutoCommit::AtDelivery | AutoCommit::AfterWork, _) | (AutoCommit::AtNextPoll, Some(_)) => {
            Severity::Error
        }
        (AutoCommit::AtNextPoll, None) => Severity::Info,
    };
    out.judged();
    let (what, consequence) = words(client, handed_off);
    let mut finding = Finding::new(severity, client.subject(), what)
        .at(client.setting(COMMITS).map_or(&client.place, |setting| &setting.place))
        .fact(COMMITS, "true", source);
    if let Some(effect) = handed_off {
        finding = finding.fact("work is handed off", effect.what.clone(), effect.place.to_string());
    }
    let finding = finding
        .consequence(consequence)
        .fix(fix(client, handed_off))
        .next("what becomes of a record whose work failed? klamm explain KL414")
        .weighed(weight);
    out.found(finding);
}

fn words(client: &Client, handed_off: Option<&Effect>) -> (String, &'static str) {
    const SKIPPED: &str = "a crash skips records that were committed and not worked on";
    match (auto_commit_time(client), handed_off) {
        (AutoCommit::AtDelivery, _) => {
            (format!("{} commits a record that it has handed out, before the work", client.library), SKIPPED)
        }
        (_, Some(_)) => (
            format!(
                "{} commits at the next poll, and work that was handed off may not be done",
                client.library
            ),
            SKIPPED,
        ),
        (_, None) => (
            format!("{} commits by itself what the poll before returned", client.library),
            "it holds only as long as the loop works in place: handed to a thread or a queue, \
                records are skipped by a crash",
        ),
    }
}

fn fix(client: &Client, handed_off: Option<&Effect>) -> Fix {
    match (client.library, handed_off) {
        (Library::Librdkafka, _) => {
            let what = "store offsets after the work";
            advice::set(client, what, &[("enable.auto.offset.store", "false")]).code(
                &client.place,
                "call `store_offsets` (`StoreOffsets`, `storeOffset`) for each record after its work",
            )
        }
        (_, Some(effect)) => advice::set(client, "commit what is finished", &[(COMMITS, "false")])
            .code(&effect.place, "commit the offsets up to the first record that is not finished"),
        (_, None) => advice::set(client, "commit after the work", &[(COMMITS, "false")])
            .code(&client.place, "commit after the work on what a poll returned"),
    }
}
