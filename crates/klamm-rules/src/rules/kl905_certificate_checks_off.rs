//! A certificate is taken without looking whose it is.
//!
//! ## What it does
//! Looks in clients (files and code) and in files of brokers for `ssl.endpoint.identification.algorithm` set to nothing or `none`, and for libraries' own switches
//! (`enable.ssl.certificate.verification=false`, `ssl_check_hostname=False`, `rejectUnauthorized: false`, `skip_tls_verify = true`).
//!
//! ## Why it hurts
//! The connection is encrypted, to anybody: whoever is on the way shows a certificate of his own (or any that the same authority signed), and reads and changes all of it.
//!
//! ## Example
//!     ssl.endpoint.identification.algorithm=
//!
//! ## Use instead
//!     a certificate with the names that brokers are reached by, and the default, https
//!
//! ## Severity
//! Error.
//!
//! ## References
//! - KIP-294: host name verification is on by default since 2.0

use std::collections::BTreeMap;

use klamm_plan::Risk;

use crate::advice::is_code;
use crate::brokers::subject;
use crate::check::{Cx, Out};
use crate::evidence::{Place, Role, Setting};
use crate::finding::{Finding, Fix, Severity};
use crate::lines::replace;

/// Settings, values that switch the check off, and the value that switches it on.
const CHECKS: [(&str, &[&str], &str); 6] = [
    ("ssl.endpoint.identification.algorithm", &["", "none"], "https"),
    ("enable.ssl.certificate.verification", &["false"], "true"),
    ("ssl_check_hostname", &["false"], "true"),
    ("ssl.check.hostname", &["false"], "true"),
    ("rejectUnauthorized", &["false"], "true"),
    ("skip_tls_verify", &["true"], "false"),
];
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
    for client in cx.clients(&ROLES, out) {
        settings(out, &client.subject(), &client.settings, &client.place);
    }
    for file in cx.evidence.files.value().into_iter().flat_map(|files| &files.brokers) {
        settings(out, &subject(file), &file.settings, &file.place);
    }
}

/// Libraries' own switches say `false` where Java has an empty name of an algorithm.
fn own<'v>(written: Option<&str>, value: &'v str, on: &'v str) -> (&'v str, &'v str) {
    match written.and_then(|written| written.rsplit('.').next()) {
        Some("rejectUnauthorized") => ("false", "true"),
        Some("ssl_check_hostname") => ("False", "True"),
        _ => (value, on),
    }
}

/// The setting switched on in code.
fn changed(fix: Fix, place: &Place, written: &str, (from, to): (&str, &str)) -> Fix {
    let write = |value: &str| match written.rsplit('.').next() {
        Some("rejectUnauthorized") => format!("rejectUnauthorized: {value}"),
        Some("ssl_check_hostname") => format!("ssl_check_hostname={value}"),
        _ => format!("\"{written}\": \"{value}\""),
    };
    fix.code(place, format!("`{}` instead of `{}`", write(to), write(from)))
        .undo_by(format!("revert the change at {place}"))
}

fn settings(out: &mut Out, subject: &str, settings: &BTreeMap<String, Setting>, home: &Place) {
    out.judged();
    for (name, off, on) in CHECKS {
        // A listener or a flow may have its own: `listener.name.out.ssl.endpoint…`, `producer.ssl.endpoint…`.
        let ending = format!(".{name}");
        let all = settings.iter().filter(|(key, _)| *key == name || key.ends_with(&ending));
        for (key, setting) in all {
            let Some(value) = setting.value.as_deref() else {
                out.unclear(subject, format!("{key} is set to what is not a constant"));
                continue;
            };
            if !off.contains(&value.trim().trim_matches('"').to_ascii_lowercase().as_str()) {
                continue;
            }
            let (value, on) = own(setting.written.as_deref(), value, on);
            let place = if setting.place.file.is_empty() { home } else { &setting.place };
            let written = setting.written.as_deref().unwrap_or(key);
            let fix = Fix::new(format!("set {written} to {on}"), Risk::RestartsClients)
                .ask("the brokers' certificates need the names that they are reached by (subject alternative names): klamm audit --bootstrap shows them under KL906");
            out.found(
                Finding::new(Severity::Error, subject, "it does not check whose certificate it is shown")
                    .fact(written, if value.is_empty() { "(empty)" } else { value }, place.to_string())
                    .consequence("whoever is between client and broker can be the broker, and reads and changes everything")
                    .fix(match is_code(place) {
                        true => changed(fix, place, written, (value, on)),
                        false => replace(fix, setting, key, on),
                    })
                    .next("which names are in the brokers' certificates, and by which are they reached?")
                    .at(place),
            );
        }
    }
}
