//! A password, key or token stands in clear in a file or in code.
//!
//! ## What it does
//! Reports places where a secret is written as it is: settings of clients and brokers (`sasl.jaas.config`, `ssl.keystore.password` …), and constants in code.
//! References (`${file:…}`, `${env:…}`, a secret of Kubernetes) are none. The secret itself is not kept and not shown.
//!
//! ## Why it hurts
//! Whoever reads the repository, a backup or an image has it, and it stays in the history when the line is gone.
//!
//! ## Example
//!     ssl.keystore.password=changeit
//!
//! ## Use instead
//!     config.providers=env
//!     ssl.keystore.password=${env:KEYSTORE_PASSWORD}
//!
//! ## Severity
//! Error; warning in files of tests and examples.
//!
//! ## References
//! - KIP-297, KIP-887: configuration providers for files and for environment variables

use std::collections::BTreeSet;

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::evidence::{FileEvidence, Place, SecretPlace};
use crate::finding::{Finding, Fix, Severity};

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let mut seen: BTreeSet<(&Place, &str)> = BTreeSet::new();
    if let Some(files) = out.see("configuration files", &cx.evidence.files) {
        if files.read > 0 {
            out.judged();
        }
        for secret in &files.secrets {
            if seen.insert((&secret.place, &secret.name)) {
                found(out, secret);
            }
        }
        let places: BTreeSet<&Place> = seen.iter().map(|(place, _)| *place).collect();
        for secret in in_settings(files).filter(|secret| !places.contains(&secret.place)) {
            found(out, &secret);
        }
        for skipped in &files.skipped {
            out.unclear(&skipped.file, format!("it was not read: {}", skipped.why));
        }
    }
    if let Some(code) = out.see("source code", &cx.evidence.code) {
        if code.files > 0 {
            out.judged();
        }
        for secret in code.units.iter().flat_map(|unit| &unit.secrets) {
            if seen.insert((&secret.place, &secret.name)) {
                found(out, secret);
            }
        }
    }
}

/// Settings that hold a secret in clear.
fn in_settings(files: &FileEvidence) -> impl Iterator<Item = SecretPlace> + '_ {
    let clients = files.clients.iter().flat_map(|client| &client.settings);
    let brokers = files.brokers.iter().flat_map(|broker| &broker.settings);
    let mirrors = files.mirrors.iter().flat_map(|mirror| &mirror.settings);
    let secret = |(name, setting): (&String, &crate::evidence::Setting)| SecretPlace {
        place: setting.place.clone(),
        name: name.clone(),
        kind: "secret".to_owned(),
    };
    clients.chain(brokers).chain(mirrors).filter(|(_, setting)| setting.secret).map(secret)
}

fn found(out: &mut Out, SecretPlace { place, name, kind }: &SecretPlace) {
    let severity = if place.is_test() { Severity::Warning } else { Severity::Error };
    out.found(
        Finding::new(severity, format!("{name} in {}", place.file), format!("a {kind} stands there in clear"))
            .fact(name.clone(), "hidden", place.to_string())
            .consequence("whoever can read the file, its backups or its history can log in with it")
            .fix(
                Fix::new("take the secret out of the file, and change it", Risk::RestartsClients)
                    .code(place, elsewhere(place, name))
                    .ask("make a new secret: the old one is known to everybody who has the history (klamm apply --with passwords for SCRAM users)")
                    .undo_by("the old secret works until it is taken away on the brokers"),
            )
            .next(format!("git log -p -- {}", place.file))
            .at(place),
    );
}

/// Where the secret is to come from, in the words of what reads the place.
fn elsewhere(place: &Place, name: &str) -> String {
    let variable: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    let file = place.file.rsplit('/').next().unwrap_or_default();
    let ending = file.rsplit('.').next().unwrap_or_default();
    let spring = name.starts_with("spring.")
        || ["application", "bootstrap"].iter().any(|begin| file.starts_with(begin));
    let in_code = match ending {
        "java" | "kt" | "kts" | "scala" | "groovy" => Some(format!("System.getenv(\"{variable}\")")),
        "py" => Some(format!("os.environ[\"{variable}\"]")),
        "go" => Some(format!("os.Getenv(\"{variable}\")")),
        "ts" | "tsx" | "js" | "mjs" | "cjs" => Some(format!("process.env.{variable}")),
        "rs" => Some(format!("std::env::var(\"{variable}\")")),
        _ => None,
    };
    match (in_code, ending) {
        (Some(call), _) => format!("read it when the program starts: {call}, or from a mounted file"),
        _ if spring => "read it when the program starts: ${KAFKA_PASSWORD}, which Spring takes from the environment; in a JAAS line password=\"${KAFKA_PASSWORD}\"".to_owned(),
        (_, "tf") => format!("a variable with `sensitive = true`: var.{}", variable.to_ascii_lowercase()),
        (_, "yml" | "yaml") if variable == name => {
            format!("valueFrom.secretKeyRef in Kubernetes, ${{{variable}}} or a secret in Compose")
        }
        (_, "yml" | "yaml") => {
            "a secret that is made outside of the repository, and a reference to it: secretKeyRef, existingSecret".to_owned()
        }
        _ => format!("what a Java program of Kafka reads, from a configuration provider: ${{env:{variable}}} with config.providers=env and config.providers.env.class=org.apache.kafka.common.config.provider.EnvVarConfigProvider, or a mounted file (${{file:…}}); other programs: from the environment or a mounted file"),
    }
}
