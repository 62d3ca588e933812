//! A certificate ends soon.
//!
//! ## What it does
//! Reads until when the certificates are valid that TLS listeners show, and those in files.
//!
//! ## Why it hurts
//! From that second on no client connects, and no broker to another: a cluster whose brokers all got theirs on the same day stops at once.
//!
//! ## Example
//!     b1:9093 is valid for 5 more days
//!
//! ## Use instead
//!     a new certificate, and a clock that renews it
//!
//! ## Severity
//! Error when it has ended or ends within 7 days, warning within 30.
//!
//! ## References
//! - KIP-226: a new keystore is taken while the broker runs

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::evidence::Certificate;
use crate::finding::{Finding, Fix, Severity};
use crate::text::listed;

const DAY_MS: i64 = 86_400_000;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(certificates) = out.see("certificates", &cx.evidence.live.certificates) else { return };
    for certificate in certificates {
        if cx.evidence.at_ms == 0 || certificate.not_after_ms == 0 {
            out.unclear(&certificate.at, "when it was looked at, or until when it is valid, is not known");
            continue;
        }
        out.judged();
        let left = certificate.not_after_ms - cx.evidence.at_ms;
        let severity = match left / DAY_MS {
            _ if left < 0 => Severity::Error,
            0..7 => Severity::Error,
            7..30 => Severity::Warning,
            _ => continue,
        };
        found(cx, out, certificate, left, severity);
    }
}

fn found(cx: &Cx<'_>, out: &mut Out, certificate: &Certificate, left: i64, severity: Severity) {
    let Certificate { at, subject, issuer, names, .. } = certificate;
    let days = left.abs() / DAY_MS;
    let noun = if days == 1 { "day" } else { "days" };
    let what = if left < 0 {
        format!("its certificate ended {days} {noun} ago")
    } else {
        format!("its certificate ends in {days} {noun}")
    };
    let broker =
        cx.evidence.live.brokers.value().into_iter().flatten().find(|broker| broker.host == certificate.host);
    let mut fix = Fix::new("renew the certificate", Risk::Safe).ask(format!(
        "get a new certificate for {} and put it into the keystore of the broker, under the same path",
        listed(names, 5)
    ));
    if let Some(broker) = broker {
        let path =
            broker.configs.value().and_then(|configs| crate::text::value(configs, "ssl.keystore.location"));
        if let Some(path) = path {
            fix = fix.command(crate::brokers::of_broker(
                cx,
                broker.id,
                &format!("--add-config ssl.keystore.location={path}"),
            ));
            fix = fix.ask("that makes the running broker read it again; where it does not (a listener's own prefix), restart the broker");
        }
    }
    out.found(
        Finding::new(severity, at.clone(), what)
            .fact("subject", subject.clone(), at.clone())
            .fact("issuer", issuer.clone(), at.clone())
            .fact("names", listed(names, 5), at.clone())
            .consequence(if left < 0 {
                "clients and other brokers that check it cannot connect".to_owned()
            } else {
                format!("in {days} {noun} clients and other brokers cannot connect to {at} any more")
            })
            .fix(fix.undo_by("the former keystore again, as long as its certificate is valid"))
            .next(match certificate.host.as_str() {
                "" => format!("openssl x509 -in {at} -noout -dates -ext subjectAltName"),
                _ => format!("openssl s_client -connect {at} </dev/null | openssl x509 -noout -dates -ext subjectAltName"),
            }),
    );
}
