//! Data goes over the network in clear.
//!
//! ## What it does
//! Looks at `listeners` and `listener.security.protocol.map` of live brokers and of their files for `PLAINTEXT` and `SASL_PLAINTEXT`, the controllers' listeners among
//! them. Listeners that only their own host reaches are no finding.
//!
//! ## Why it hurts
//! Whoever is on the way reads records, and can change them. Under SASL_PLAINTEXT he also sees who logs in, and with PLAIN the passwords (KL904).
//!
//! ## Example
//!     listeners=PLAINTEXT://0.0.0.0:9092
//!
//! ## Use instead
//!     listeners=SASL_SSL://0.0.0.0:9092
//!
//! ## Severity
//! Warning.
//!
//! ## References
//! - Apache Kafka, security: encryption and authentication using SSL

use std::collections::BTreeMap;

use klamm_plan::Risk;

use crate::brokers::{change_file, is_broker, subject};
use crate::check::{Cx, Out};
use crate::evidence::{BrokerFile, Line, Place};
use crate::finding::{Finding, Fix, Severity};
use crate::lines::replace;
use crate::listeners::{Listener, of_broker, of_file};
use crate::text::listed;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    if let Some(brokers) = out.see("brokers of the cluster", &cx.evidence.live.brokers) {
        let mut clear: BTreeMap<Clear, Vec<i32>> = BTreeMap::new();
        for broker in brokers {
            let name = format!("broker {}", broker.id);
            if out.see(&format!("configuration of {name}"), &broker.configs).is_none() {
                continue;
            }
            let Some(listeners) = of_broker(broker) else {
                out.unclear(&name, "its listeners were not told");
                continue;
            };
            out.judged();
            for listener in in_clear(out, &name, listeners) {
                clear
                    .entry((listener.name, listener.protocol.unwrap_or_default()))
                    .or_default()
                    .push(broker.id);
            }
        }
        for ((name, protocol), ids) in clear {
            let source = format!("configuration of broker {}", listed(&ids, 5));
            let finding =
                Finding::new(Severity::Warning, format!("listener {name}"), format!("it speaks {protocol}"))
                    .fact("listener.security.protocol.map", format!("{name}:{protocol}"), source);
            found(cx, out, finding, fix(&name, &protocol));
        }
    }
    let Some(files) = out.see("configuration files", &cx.evidence.files) else { return };
    for file in &files.brokers {
        check_file(cx, out, file);
    }
}

/// Name and protocol.
type Clear = (String, String);

fn in_clear(out: &mut Out, subject: &str, listeners: Vec<Listener>) -> Vec<Listener> {
    for listener in listeners.iter().filter(|listener| listener.protocol.is_none()) {
        out.unclear(
            subject,
            format!("listener.security.protocol.map does not name listener {}", listener.name),
        );
    }
    listeners.into_iter().filter(|listener| listener.is_clear() && !listener.is_loopback()).collect()
}

fn check_file(cx: &Cx<'_>, out: &mut Out, file: &BrokerFile) {
    // A controller without listeners in its file is told them elsewhere.
    if !is_broker(file) && !file.settings.contains_key("listeners") {
        return;
    }
    let subject = subject(file);
    let Some(listeners) = of_file(file) else {
        return out.unclear(&subject, "its listeners may be set where nobody looked");
    };
    out.judged();
    let clear = in_clear(out, &subject, listeners);
    let Some(first) = clear.first() else { return };
    let names: Vec<&str> = clear.iter().map(|listener| listener.name.as_str()).collect();
    let name = if file.settings.contains_key("listener.security.protocol.map") {
        "listener.security.protocol.map"
    } else {
        "listeners"
    };
    let setting = file.settings.get(name);
    let place = setting.map_or(&file.place, |setting| &setting.place);
    let value = setting.and_then(|setting| setting.value.as_deref()).unwrap_or_default();
    let protocol = first.protocol.clone().unwrap_or_default();
    let fix = fix(&first.name, &protocol);
    let fix = match setting {
        Some(setting) if setting.line == Line::Shared && in_resource(place) => {
            clear.iter().fold(fix, |fix, listener| resource_step(fix, place, listener))
        }
        Some(setting) => replace(fix, setting, name, &encrypted(name, value, &clear)),
        None => change_file(fix, &file.settings, &file.place, name, &format!("{}://:9092", safe(&protocol))),
    };
    let source = if setting.is_some() { place.to_string() } else { "Kafka's default".to_owned() };
    let what = match names.as_slice() {
        [name] => format!("listener {name} speaks {protocol}"),
        names => format!("listeners {} speak {protocol}", listed(names, 4)),
    };
    let finding = Finding::new(Severity::Warning, subject, what)
        .fact(name, if setting.is_some() { value } else { "PLAINTEXT://:9092" }, source)
        .at(place);
    found(cx, out, finding, fix);
}

/// The setting with every listener that is in clear encrypted.
fn encrypted(name: &str, value: &str, clear: &[Listener]) -> String {
    clear.iter().fold(value.to_owned(), |value, listener| {
        let protocol = listener.protocol.as_deref().unwrap_or_default();
        match name {
            "listeners" => {
                value.replacen(&format!("{}://", listener.name), &format!("{}://", safe(protocol)), 1)
            }
            _ => value.replacen(
                &format!("{}:{protocol}", listener.name),
                &format!("{}:{}", listener.name, safe(protocol)),
                1,
            ),
        }
    })
}

fn in_resource(place: &Place) -> bool {
    [".yaml", ".yml"].iter().any(|end| place.file.ends_with(end))
}

/// A resource has listeners of its own form: Strimzi's names carry the port, a chart's have a protocol.
fn resource_step(fix: Fix, place: &Place, listener: &Listener) -> Fix {
    let safe = safe(listener.protocol.as_deref().unwrap_or_default());
    let name = listener.name.to_ascii_lowercase();
    let port = name.rsplit_once('-').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    match port {
        Some((name, port)) => fix.code(place, format!("`tls: true` on the listener {name} of port {port}")),
        None => fix.code(place, format!("`protocol: {safe}` on the listener {name}")),
    }
}

fn safe(protocol: &str) -> &'static str {
    if protocol == "SASL_PLAINTEXT" { "SASL_SSL" } else { "SSL" }
}

fn fix(name: &str, protocol: &str) -> Fix {
    let safe = safe(protocol);
    Fix::new(format!("encrypt listener {name} ({safe})"), Risk::NeedsBrokerRestart)
        .ask("give each broker a certificate for its advertised name: ssl.keystore.location, and ssl.truststore.location to clients")
        .ask(format!("open a {safe} listener beside it, move clients over one by one (security.protocol={safe}), then close {name}; each with a rolling restart: klamm broker restart-order"))
        .undo_by(format!("the former listeners again: keep {name} open until the last client has moved"))
}

fn found(cx: &Cx<'_>, out: &mut Out, finding: Finding, fix: Fix) {
    out.found(
        finding
            .consequence(
                "whoever is between clients and brokers reads every record, and can change it on its way",
            )
            .fix(fix)
            .next(format!(
                "kafka-broker-api-versions.sh --bootstrap-server {} --command-config tls.properties",
                cx.bootstrap()
            )),
    );
}
