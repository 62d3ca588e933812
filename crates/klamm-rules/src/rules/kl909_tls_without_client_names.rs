//! A TLS listener takes clients without asking who they are, and access rules are meant to hold.
//!
//! ## What it does
//! Where an authorizer is set, looks for listeners with protocol `SSL` whose `ssl.client.auth` is not `required` (`live` and files of brokers). Listeners that only
//! their own host reaches are no finding.
//!
//! ## Why it hurts
//! Everybody who comes in without a certificate is `User:ANONYMOUS`: rules for users do not tell one from another, and rules that let it work let everybody in.
//!
//! ## Example
//!     listeners=SSL://:9093
//!     ssl.client.auth=none
//!
//! ## Use instead
//!     ssl.client.auth=required, or SASL_SSL
//!
//! ## Severity
//! Warning.
//!
//! ## References
//! - KIP-684: ssl.client.auth for each listener

use crate::brokers::{file_fix, is_broker, restart_fix, subject};
use crate::check::{Cx, Out};
use crate::finding::{Finding, Fix, Severity};
use crate::listeners::{Listener, of_broker, of_file, setting, told_file, told_live};

const AUTH: &str = "ssl.client.auth";
const CLASS: &str = "authorizer.class.name";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    if let Some(brokers) = out.see("brokers of the cluster", &cx.evidence.live.brokers) {
        for broker in brokers {
            let name = format!("broker {}", broker.id);
            let Some(configs) = out.see(&format!("configuration of {name}"), &broker.configs) else {
                continue;
            };
            let told = told_live(configs);
            let Some((listener, key, now)) = nameless(out, &name, of_broker(broker), &told) else { continue };
            let fix = restart_fix(cx, &[broker.id], &format!("{key}=required"), &format!("{key}={now}"));
            let finding = Finding::new(Severity::Warning, name, what(&listener));
            found(cx, out, finding.fact(key, now, "configuration of the broker"), fix);
        }
    }
    let Some(files) = out.see("configuration files", &cx.evidence.files) else { return };
    for file in files.brokers.iter().filter(|file| is_broker(file)) {
        let name = subject(file);
        let Some((listener, key, now)) = nameless(out, &name, of_file(file), &told_file(file)) else {
            continue;
        };
        let setting = file.settings.get(&key);
        let place = setting.map_or(&file.place, |setting| &setting.place);
        let finding = Finding::new(Severity::Warning, name, what(&listener))
            .fact(key.clone(), now, place.to_string())
            .at(place);
        found(cx, out, finding, file_fix(file, setting, &key, "required"));
    }
}

fn what(listener: &str) -> String {
    format!("listener {listener} takes clients without a name")
}

/// A TLS listener for others that asks for no certificate though there is an authorizer: its name, the setting that says so, and its value.
fn nameless<'v>(
    out: &mut Out,
    subject: &str,
    listeners: Option<Vec<Listener>>,
    told: &impl Fn(&str) -> Option<Option<&'v str>>,
) -> Option<(String, String, String)> {
    let Some(listeners) = listeners else {
        out.unclear(subject, "its listeners were not told");
        return None;
    };
    let authorizer = told(CLASS);
    if authorizer == Some(None) {
        out.unclear(subject, format!("{CLASS} was not told"));
        return None;
    }
    out.judged();
    // Without an authorizer names decide nothing: KL903 says so.
    authorizer.flatten().filter(|class| !class.trim().is_empty())?;
    for listener in
        listeners.iter().filter(|one| one.protocol.as_deref() == Some("SSL") && !one.is_loopback())
    {
        match setting(listener, AUTH, told) {
            None => out.unclear(subject, format!("{AUTH} of listener {} was not told", listener.name)),
            Some((_, Some("required"))) => {}
            Some((key, now)) => return Some((listener.name.clone(), key, now.unwrap_or("none").to_owned())),
        }
    }
    None
}

fn found(cx: &Cx<'_>, out: &mut Out, finding: Finding, fix: Fix) {
    out.found(
        finding
            .consequence(
                "whoever comes without a certificate is User:ANONYMOUS: rules cannot tell one from another",
            )
            .fix(fix.ask("give every client a certificate first: who has none is refused from then on"))
            .next(format!(
                "kafka-acls.sh --bootstrap-server {} --list --principal User:ANONYMOUS",
                cx.bootstrap()
            )),
    );
}
