//! Metrics of brokers, clients and hosts: from exporters, or from a Prometheus server that asks them.

mod http;
mod metrics;
mod prometheus;
mod text;

use std::path::PathBuf;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use klamm_rules::Seen;
use klamm_rules::evidence::{HostEvidence, HostMetrics};
use tokio::time::{Instant, sleep};

use http::Client;
use metrics::{Look, Looks, by_instance};

/// Sources that are asked at once.
const AT_ONCE: usize = 8;
/// A Prometheus server is asked for what was so long ago, too. It need not be waited for, and spans several scrapes.
const PROMETHEUS_SECONDS: u64 = 300;

/// Where metrics are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostSource {
    /// The address of an exporter's text: `http://broker-1:9100/metrics`. Without a path, `/metrics` is meant.
    Exporter(String),
    /// The address of a Prometheus server: `https://prometheus.example:9090`.
    Prometheus(String),
}

/// How sources are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostOptions {
    /// Time between the two looks at an exporter, over which rates are taken.
    pub interval: Duration,
    /// Longest time for one answer.
    pub timeout: Duration,
    /// PEM file of the authorities that are trusted for `https`; `None` trusts those of the operating system.
    pub ca_pem: Option<PathBuf>,
}

impl Default for HostOptions {
    fn default() -> Self {
        HostOptions { interval: Duration::from_secs(10), timeout: Duration::from_secs(10), ca_pem: None }
    }
}

/// Asks all sources, several at once. One that does not answer is told as missing; when none answers, nothing was seen.
pub async fn collect(sources: &[HostSource], options: &HostOptions) -> Seen<HostEvidence> {
    if sources.is_empty() {
        return Seen::NotAsked;
    }
    let asked = stream::iter(sources.iter().map(|source| ask(source, options)));
    let (mut hosts, mut missing) = (Vec::new(), Vec::new());
    for (metrics, gaps) in asked.buffered(AT_ONCE).collect::<Vec<_>>().await {
        hosts.extend(metrics);
        missing.extend(gaps);
    }
    match hosts.is_empty() && !missing.is_empty() {
        true => Seen::Failed { why: missing.join("; ") },
        false => Seen::from_parts(HostEvidence { hosts }, missing),
    }
}

async fn ask(source: &HostSource, options: &HostOptions) -> (Vec<HostMetrics>, Vec<String>) {
    let client = Client { timeout: options.timeout, ca_pem: options.ca_pem.clone() };
    let (url, answer) = match source {
        HostSource::Exporter(url) => (url, exporter(&client, url, options.interval).await),
        HostSource::Prometheus(url) => (url, prometheus(&client, url).await),
    };
    let told = |why: String| format!("{}: {why}", shown(url));
    match answer {
        Ok((metrics, gap)) => (metrics, gap.map(told).into_iter().collect()),
        Err(why) => (Vec::new(), vec![told(why)]),
    }
}

/// What a source told, and why not all of it.
type Told = Result<(Vec<HostMetrics>, Option<String>), String>;

async fn exporter(client: &Client, url: &str, interval: Duration) -> Told {
    let address = with_path(url, "/metrics");
    let (first, looked) = (look(client, &address).await?, Instant::now());
    sleep(interval).await;
    let second = look(client, &address).await;
    let seconds = looked.elapsed().as_secs_f64();
    let (at, host) = (shown(url), host_of(url));
    Ok(match second {
        Ok(second) => {
            let looks = Looks { newest: &second, before: Some((&first, seconds)) };
            (vec![looks.metrics(&at, &host)], None)
        }
        Err(why) => {
            let looks = Looks { newest: &first, before: None };
            (vec![looks.metrics(&at, &host)], Some(format!("the second look failed: {why}")))
        }
    })
}

async fn look(client: &Client, address: &str) -> Result<Look, String> {
    let parsed = text::parse(&client.get(address, None).await?);
    match parsed.samples.len() > parsed.unreadable {
        true => Ok(Look::new(&parsed.samples)),
        false => Err("the answer is no metrics".to_owned()),
    }
}

async fn prometheus(client: &Client, url: &str) -> Told {
    let address = format!("{}/api/v1/query", without_query(url).trim_end_matches('/'));
    let newest = client.get(&address, Some(&prometheus::query(0))).await?;
    let newest = by_instance(prometheus::parse(&newest)?);
    let before = client.get(&address, Some(&prometheus::query(PROMETHEUS_SECONDS))).await;
    let before = before.and_then(|body| prometheus::parse(&body)).map(by_instance);
    let metrics = newest.iter().map(|(instance, newest)| {
        let before = before.as_ref().ok().and_then(|looks| looks.get(instance));
        let before = before.map(|look| (look, PROMETHEUS_SECONDS as f64));
        Looks { newest, before }.metrics(instance, &host_of(instance))
    });
    let metrics: Vec<HostMetrics> = metrics.collect();
    if metrics.is_empty() {
        return Err("it has no metrics of Kafka or of hosts".to_owned());
    }
    Ok((metrics, before.err().map(|why| format!("the look at {PROMETHEUS_SECONDS} s ago failed: {why}"))))
}

fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

fn with_path(url: &str, path: &str) -> String {
    let after = url.find("://").map_or(0, |at| at + 3);
    match url[after..].trim_end_matches('/').contains(['/', '?']) {
        true => url.to_owned(),
        false => format!("{}{path}", url.trim_end_matches('/')),
    }
}

/// An address without what may be secret: user, password and parameters.
fn shown(url: &str) -> String {
    let url = without_query(url);
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let authority = authority.rsplit_once('@').map_or(authority, |(_, authority)| authority);
    match scheme {
        "" => format!("{authority}{path}"),
        _ => format!("{scheme}://{authority}{path}"),
    }
}

/// The host in an address or in `host:port`.
fn host_of(url: &str) -> String {
    let url = shown(url);
    let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or(rest);
    if let Some((address, _)) = authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address.to_owned();
    }
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') && port.parse::<u16>().is_ok() => host.to_owned(),
        _ => authority.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lose_their_secrets_and_keep_their_host() {
        let url = "https://ann:hunter2@b1.example:9100/metrics?token=hunter2";
        assert_eq!(shown(url), "https://b1.example:9100/metrics");
        assert_eq!(host_of(url), "b1.example");
        assert_eq!(
            (host_of("b1:7071"), host_of("[::1]:7071"), host_of("b1")),
            ("b1".into(), "::1".into(), "b1".into())
        );
    }

    #[test]
    fn an_exporters_path_may_be_left_out() {
        assert_eq!(with_path("http://b1:9100", "/metrics"), "http://b1:9100/metrics");
        assert_eq!(with_path("http://b1:9100/", "/metrics"), "http://b1:9100/metrics");
        assert_eq!(with_path("http://b1/other?a=b", "/metrics"), "http://b1/other?a=b");
    }
}
