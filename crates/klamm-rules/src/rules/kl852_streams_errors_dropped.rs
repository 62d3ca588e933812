//! A Kafka Streams application logs records that it cannot read, work on or write, and goes on without them.
//!
//! ## What it does
//! Reads the exception handlers of applications (`file`, `code`): those that continue (`LogAndContinueExceptionHandler`, `LogAndContinueProcessingExceptionHandler`) are named. With a dead letter queue (`errors.dead.letter.queue.topic.name`, since 4.2) nothing is
//! lost, and it does not fire.
//!
//! ## Why it hurts
//! The offset is committed past the record: it is worked on never, and only a log line says so. A producer that changes its form loses every one of its records without anything going red.
//!
//! ## Example
//!     deserialization.exception.handler=org.apache.kafka.streams.errors.LogAndContinueExceptionHandler
//!
//! ## Use instead
//!     errors.dead.letter.queue.topic.name=shop-totals-dead
//!
//! ## Severity
//! Error where the spec says that the data is strong, warning where it may be; info on eventual data.

use klamm_plan::Risk;

use crate::amend::set_client;
use crate::check::{Cx, Out};
use crate::evidence::{Client, Role};
use crate::finding::{Finding, Fix, Severity};
use crate::samples::grade;
use crate::streams::{apps, subject};

const HANDLERS: &[&str] = &[
    "deserialization.exception.handler",
    "default.deserialization.exception.handler",
    "processing.exception.handler",
    "production.exception.handler",
    "default.production.exception.handler",
];
const DEAD: &str = "errors.dead.letter.queue.topic.name";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let apps = apps(cx, out);
    for client in cx.clients(&[Role::Streams], out) {
        let id = client.setting("application.id").and_then(|setting| setting.value.clone());
        let promise = id.as_ref().and_then(|id| apps.get(id)).and_then(|app| app.promise);
        let topics = promise.map_or_else(|| client.topics.clone(), |promise| promise.reads.clone());
        check_client(cx, out, client, id.as_deref(), &topics);
    }
}

fn check_client(cx: &Cx<'_>, out: &mut Out, client: &Client, id: Option<&str>, topics: &[String]) {
    // What stands there counts, whatever else is set elsewhere.
    let told = HANDLERS.iter().any(|name| {
        let value = client.setting(name).and_then(|setting| setting.value.as_deref());
        value.is_some_and(|class| class.contains("LogAndContinue"))
    });
    if client.open && client.setting(DEAD).is_none() && !told {
        out.unclear(&client.subject(), "handlers and a dead letter queue may be set where nobody looked");
        return;
    }
    out.judged();
    if client.setting(DEAD).is_some() {
        return;
    }
    for name in HANDLERS {
        let Some(setting) = client.setting(name) else { continue };
        let Some(class) = setting.value.as_deref().filter(|class| class.contains("LogAndContinue")) else {
            continue;
        };
        let weight = cx.weight_of_all(topics);
        let severity = if weight.strong { grade(&weight) } else { Severity::Info };
        let dead = format!("{}-dead", id.unwrap_or("streams"));
        let fix = Fix::new("keep what fails in a topic of its own", Risk::RestartsClients);
        let fix = set_client(fix, client, DEAD, &dead).ask(format!(
            "create {dead} first; before Kafka Streams 4.2 there is no such setting: let a \
            handler of your own write it, or take LogAndFailExceptionHandler"
        ));
        let what = id.map_or_else(|| client.subject(), subject);
        let finding = Finding::new(severity, what, "records that fail are logged and left out")
            .fact(*name, class, setting.place.to_string())
            .fact(DEAD, "not set", client.place.file.clone())
            .consequence("the offset is committed past a record that failed: nothing works on it again")
            .fix(fix)
            .next("how many records did it leave out? (metric dropped-records-total)")
            .at(&setting.place)
            .weighed(weight);
        out.found(finding);
    }
}
