//! Passwords can be read or guessed.
//!
//! ## What it does
//! Looks for SASL PLAIN on a listener without TLS (`live` and files of brokers) and in clients, and for SCRAM-SHA-256 credentials with fewer than 8192 iterations. Listeners
//! that only their own host reaches are no finding.
//!
//! ## Why it hurts
//! PLAIN sends the password as it is: without TLS whoever is on the way has it. SCRAM credentials are as hard to guess from a stolen metadata log as they have iterations.
//!
//! ## Example
//!     security.protocol=SASL_PLAINTEXT
//!     sasl.mechanism=PLAIN
//!
//! ## Use instead
//!     security.protocol=SASL_SSL
//!     sasl.mechanism=SCRAM-SHA-512
//!
//! ## Severity
//! Error for PLAIN without TLS, info for few iterations.
//!
//! ## References
//! - RFC 4616 (PLAIN), RFC 7677 (SCRAM-SHA-256); KIP-84

use klamm_plan::Risk;

use crate::brokers::subject;
use crate::check::{Cx, Out};
use crate::evidence::{Client, Role};
use crate::finding::{Finding, Fix, Severity};
use crate::listeners::{Listener, of_broker, of_file, setting, told_file, told_live};
use crate::text::listed;

const MECHANISMS: &str = "sasl.enabled.mechanisms";
const ITERATIONS: i32 = 8_192;
const ROLES: [Role; 8] = [
    Role::Producer,
    Role::Consumer,
    Role::Streams,
    Role::Admin,
    Role::ConnectWorker,
    Role::Connector,
    Role::MirrorMaker,
    Role::Unknown,
];

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    live(cx, out);
    scram(cx, out);
    for client in cx.clients(&ROLES, out) {
        check_client(out, client);
    }
    for file in cx.evidence.files.value().into_iter().flat_map(|files| &files.brokers) {
        let Some(listeners) = of_file(file) else { continue };
        out.judged();
        let open = exposed(out, &subject(file), &listeners, &told_file(file));
        let Some((listener, mechanisms)) = open.first() else { continue };
        let fix = Fix::new(format!("encrypt listener {}", listener.name), Risk::NeedsBrokerRestart)
            .code(
                &file.place,
                format!("map {} to SASL_SSL, with ssl.keystore.location; KL901 has the line", listener.name),
            )
            .undo_by("the former map again");
        let finding = Finding::new(
            Severity::Error,
            subject(file),
            format!("listener {} takes passwords in clear", listener.name),
        )
        .fact(format!("protocol of {}", listener.name), "SASL_PLAINTEXT", file.place.to_string())
        .fact(MECHANISMS, *mechanisms, file.place.to_string())
        .at(&file.place);
        found(out, finding, fix);
    }
}

/// Listeners that take PLAIN without TLS from other hosts, with their mechanisms.
fn exposed<'l, 'v>(
    out: &mut Out,
    subject: &str,
    listeners: &'l [Listener],
    told: &impl Fn(&str) -> Option<Option<&'v str>>,
) -> Vec<(&'l Listener, &'v str)> {
    let mut open = Vec::new();
    let clear = listeners.iter().filter(|listener| listener.protocol.as_deref() == Some("SASL_PLAINTEXT"));
    for listener in clear.filter(|listener| !listener.is_loopback()) {
        match setting(listener, MECHANISMS, told) {
            None => out.unclear(subject, format!("{MECHANISMS} of listener {} was not told", listener.name)),
            Some((_, Some(all))) if all.split(',').any(|one| one.trim() == "PLAIN") => {
                open.push((listener, all))
            }
            Some(_) => {}
        }
    }
    open
}

fn live(cx: &Cx<'_>, out: &mut Out) {
    let Some(brokers) = out.see("brokers of the cluster", &cx.evidence.live.brokers) else { return };
    for broker in brokers {
        let Some(configs) = out.see(&format!("configuration of broker {}", broker.id), &broker.configs)
        else {
            continue;
        };
        let Some(listeners) = of_broker(broker) else {
            out.unclear(&format!("broker {}", broker.id), "its listeners were not told");
            continue;
        };
        out.judged();
        let name = format!("broker {}", broker.id);
        let open = exposed(out, &name, &listeners, &told_live(configs));
        let Some((listener, mechanisms)) = open.first() else { continue };
        let name = &listener.name;
        let source = "configuration of the broker";
        let finding = Finding::new(
            Severity::Error,
            format!("broker {}", broker.id),
            format!("listener {name} takes passwords in clear"),
        )
        .fact(format!("protocol of {name}"), "SASL_PLAINTEXT", source)
        .fact(MECHANISMS, *mechanisms, source);
        let fix = Fix::new(format!("encrypt listener {name}"), Risk::NeedsBrokerRestart)
            .ask(format!("open a SASL_SSL listener beside {name}, move clients over, close {name} (KL901); or let clients use SCRAM-SHA-512, which sends no password"))
            .ask("then change every password that went over it")
            .undo_by("the former listener again");
        found(out, finding, fix);
    }
}

fn scram(cx: &Cx<'_>, out: &mut Out) {
    let Some(users) = out.see("SCRAM users", &cx.evidence.live.scram) else { return };
    out.judged();
    let weak = users.iter().filter(|user| user.mechanism == "SCRAM-SHA-256" && user.iterations < ITERATIONS);
    let weak: Vec<_> = weak.collect();
    let Some(first) = weak.first() else { return };
    let names: Vec<&str> = weak.iter().map(|user| user.user.as_str()).collect();
    let server = cx.bootstrap();
    let fix = Fix::new("make the credentials again with more iterations", Risk::RestartsClients)
        .ask(format!("for each of them, with its password: kafka-configs.sh --bootstrap-server {server} --alter --entity-type users --entity-name {} --add-config 'SCRAM-SHA-512=[iterations=8192,password=…]', then sasl.mechanism=SCRAM-SHA-512 in the client", first.user))
        .ask(format!("when its clients have moved, delete the former: kafka-configs.sh --bootstrap-server {server} --alter --entity-type users --entity-name {} --delete-config 'SCRAM-SHA-256'", first.user))
        .undo_by("the SCRAM-SHA-256 credentials work beside the new ones until they are deleted");
    out.found(
        Finding::new(Severity::Info, "SCRAM users", format!("{} with few iterations", listed(&names, 3)))
            .fact(format!("iterations of {}", first.user), first.iterations.to_string(), "SCRAM credentials, SCRAM-SHA-256")
            .fact("users", names.len().to_string(), "SCRAM credentials")
            .consequence("from a stolen metadata log their passwords are guessed faster: RFC 7677 asks for 15,000 iterations where that is no burden")
            .fix(fix)
            .next(format!("kafka-configs.sh --bootstrap-server {server} --describe --entity-type users")),
    );
}

fn check_client(out: &mut Out, client: &Client) {
    let (Some(protocol), Some(mechanism)) =
        (client.setting("security.protocol"), client.setting("sasl.mechanism"))
    else {
        return;
    };
    let (Some(clear), Some(plain)) = (&protocol.value, &mechanism.value) else {
        return out.unclear(&client.subject(), "its security.protocol or sasl.mechanism is no constant");
    };
    out.judged();
    if !clear.eq_ignore_ascii_case("SASL_PLAINTEXT") || !plain.eq_ignore_ascii_case("PLAIN") {
        return;
    }
    let place = &protocol.place;
    let fix = Fix::new("log in over TLS", Risk::RestartsClients);
    let fix = crate::lines::replace(fix, protocol, "security.protocol", "SASL_SSL");
    let finding = Finding::new(Severity::Error, client.subject(), "it sends its password in clear")
        .fact("security.protocol", clear.clone(), place.to_string())
        .fact("sasl.mechanism", plain.clone(), mechanism.place.to_string())
        .at(place);
    found(out, finding, fix);
}

fn found(out: &mut Out, finding: Finding, fix: Fix) {
    out.found(
        finding
            .consequence("whoever is between client and broker reads the password, and can log in with it from then on")
            .fix(fix)
            .next("which networks lie between the clients and this listener?"),
    );
}
