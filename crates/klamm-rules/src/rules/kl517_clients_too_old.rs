//! Clients are connected that Kafka 4.0 does not serve.
//!
//! ## What it does
//! Reads from the brokers' metrics which client software is connected, and how many requests came in versions that 4.0 has dropped. Where the brokers are
//! 4.0 already, such clients cannot be connected.
//!
//! ## Why it hurts
//! Kafka 4.0 needs clients of 2.1 or newer (KIP-896). Older ones are cut off by the upgrade: their connections close, with no word of why.
//!
//! ## Example
//!     librdkafka 0.11.4: 12 connections
//!
//! ## Use instead
//!     a Java client of 2.1 or newer, librdkafka 1.0 or newer, before the brokers are upgraded
//!
//! ## Severity
//! Warning.
//!
//! ## References
//! - KIP-896: remove old client protocol API versions in 4.0; KIP-511: names of client software

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::evidence::HostMetrics;
use crate::finding::{Finding, Fix, Severity};

/// Level of `metadata.version` that came with 4.0 (4.0-IV0).
const FOUR: i16 = 22;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let features = cx.evidence.live.features.value().into_iter().flatten();
    let mut levels = features.filter(|feature| feature.name == "metadata.version");
    if levels.any(|feature| feature.supported >= FOUR) {
        return out.judged();
    }
    let Some(host) = out.see("metrics of brokers", &cx.evidence.host) else { return };
    for metrics in &host.hosts {
        if metrics.clients.is_none() && metrics.deprecated_requests.is_none() {
            continue;
        }
        out.judged();
        check_host(cx, out, metrics);
    }
}

/// `apache-kafka-java 2.0.1` and `librdkafka 0.11.4` are too old; what names no version is not judged.
fn too_old(client: &str) -> bool {
    let Some((name, version)) = client.rsplit_once(' ') else { return false };
    let mut parts = version.trim_start_matches('v').split(['.', '-']).map(|part| part.parse::<u32>().ok());
    let (Some(Some(major)), Some(Some(minor))) = (parts.next(), parts.next()) else { return false };
    match name {
        "apache-kafka-java" => (major, minor) < (2, 1),
        "librdkafka" | "confluent-kafka-python" => major < 1,
        _ => false,
    }
}

fn check_host(cx: &Cx<'_>, out: &mut Out, metrics: &HostMetrics) {
    let clients: Vec<_> = metrics.clients.iter().flatten().filter(|(name, _)| too_old(name)).collect();
    let requests: Vec<_> =
        metrics.deprecated_requests.iter().flatten().filter(|(_, count)| **count > 0).collect();
    if clients.is_empty() && requests.is_empty() {
        return;
    }
    let source = format!("metrics of {}", metrics.at);
    let mut finding = Finding::new(
        Severity::Warning,
        format!("broker at {}", metrics.host),
        "clients older than 2.1 use it",
    );
    for (name, connections) in clients.iter().take(10) {
        finding = finding.fact(name.clone(), format!("{connections} connections"), source.clone());
    }
    for (api, count) in requests.iter().take(10) {
        finding =
            finding.fact(format!("{api} in a version that 4.0 drops"), count.to_string(), source.clone());
    }
    let server = cx.bootstrap();
    out.found(
        finding
            .consequence("brokers of 4.0 close their connections: they stop working with the upgrade, and with them what they read or write")
            .fix(
                Fix::new("upgrade the clients before the brokers", Risk::RestartsClients)
                    .ask("Java clients to 2.1 or newer, librdkafka to 1.0 or newer; kafka-request.log of the broker (DEBUG) names client.id and address of each")
                    .undo_by("the former version of the client: brokers before 4.0 serve both"),
            )
            .next(format!("kafka-broker-api-versions.sh --bootstrap-server {server}")),
    );
}
