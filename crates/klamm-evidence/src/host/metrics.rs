//! From samples to what rules ask for.
//!
//! The JMX exporter has no names of its own: it makes them by rules that people write. The same MBean is
//! `kafka_server_ReplicaManager_Count{name="IsrShrinksPerSec"}` without rules, `kafka_server_replicamanager_isrshrinks_total`
//! with those of its examples and Strimzi, and `kafka_server_replica_manager_isr_shrinks_per_sec` with others. So names are
//! compared in lower case, without underscores, together with the label `name`, and by their end.

use std::collections::BTreeMap;

use klamm_rules::evidence::{HostMetrics, HostRole};

use super::text::Sample;

/// File systems that hold no data, or another's.
const NO_VOLUMES: [&str; 10] =
    ["tmpfs", "devtmpfs", "ramfs", "overlay", "squashfs", "proc", "sysfs", "cgroup2", "autofs", "iso9660"];
/// Parts of names of rates and of percentiles: no counters.
const NO_COUNTERS: [&str; 5] = ["rate", "mean", "stddev", "percentile", "quantile"];

/// One look at an endpoint.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Look {
    metrics: Vec<Metric>,
}

#[derive(Debug, Clone, PartialEq)]
struct Metric {
    /// Name in lower case without underscores.
    name: String,
    /// Its name with the label `name`.
    full: String,
    /// Labels by name in lower case without underscores.
    labels: BTreeMap<String, String>,
    value: f64,
}

/// A look, and one before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Looks<'a> {
    pub(crate) newest: &'a Look,
    /// With the seconds between them.
    pub(crate) before: Option<(&'a Look, f64)>,
}

impl Look {
    pub(crate) fn new(samples: &[Sample]) -> Self {
        let metric = |sample: &Sample| {
            let labels: BTreeMap<_, _> =
                sample.labels.iter().map(|(name, value)| (squeezed(name), value.clone())).collect();
            let name = squeezed(&sample.name);
            let full =
                labels.get("name").map_or_else(|| name.clone(), |label| name.clone() + &squeezed(label));
            Metric { name, full, labels, value: sample.value }
        };
        Look { metrics: samples.iter().filter(|sample| sample.value.is_finite()).map(metric).collect() }
    }

    fn all<'a>(&'a self, fits: impl Fn(&Metric) -> bool + 'a) -> impl Iterator<Item = &'a Metric> {
        self.metrics.iter().filter(move |metric| fits(metric))
    }

    /// The one metric of this name, lower-cased without underscores; of several the sum.
    fn named(&self, name: &str) -> Option<f64> {
        sum(self.all(|metric| metric.name == name))
    }

    /// Metrics of one counter: of several names that could be it the best.
    fn counter(&self, fits: impl Fn(&Metric) -> bool) -> Vec<&Metric> {
        let is_counter =
            |metric: &&Metric| fits(metric) && !NO_COUNTERS.iter().any(|part| metric.full.contains(part));
        let found: Vec<_> = self.metrics.iter().filter(is_counter).collect();
        let rank = |metric: &Metric| {
            let ends = ["total", "count", "persec"].iter().position(|end| metric.name.ends_with(end));
            (ends.unwrap_or(usize::MAX), metric.name.clone())
        };
        let best = found.iter().map(|metric| rank(metric)).min();
        found.into_iter().filter(|metric| Some(rank(metric)) == best).collect()
    }

    fn count(&self, fits: impl Fn(&Metric) -> bool) -> Option<f64> {
        sum(self.counter(fits).into_iter())
    }

    /// Requests that ended in an error whose code ends so. Brokers count an error from its first time on, so that with
    /// other ones counted there were none of these.
    fn errors(&self, codes: &[&str]) -> Option<u64> {
        let is_error = |metric: &Metric| {
            metric.full.contains("requestmetrics")
                && metric.full.contains("errors")
                && metric.labels.contains_key("error")
        };
        let all = self.counter(is_error);
        let is_one = |metric: &&&Metric| {
            let code = metric.labels.get("error").map(|code| code.to_ascii_uppercase());
            code.is_some_and(|code| codes.iter().any(|known| code.ends_with(known)))
        };
        let found = sum(all.iter().filter(is_one).copied());
        (!all.is_empty()).then(|| whole(found.unwrap_or(0.0)))
    }

    /// The largest value.
    fn largest(&self, fits: impl Fn(&Metric) -> bool) -> Option<f64> {
        self.all(fits).map(|metric| metric.value).reduce(f64::max)
    }

    fn role(&self) -> HostRole {
        let begins = |beginnings: &[&str]| {
            self.metrics.iter().any(|metric| beginnings.iter().any(|begin| metric.name.starts_with(begin)))
        };
        if begins(&["kafkaserver", "kafkacontroller", "kafkalog", "kafkacluster"]) {
            HostRole::Broker
        } else if begins(&["kafkaproducer", "kafkaconsumer", "kafkastreams", "kafkaconnect", "kafkaadmin"]) {
            HostRole::Client
        } else {
            HostRole::Unknown
        }
    }

    fn disks(&self) -> BTreeMap<String, (f64, f64)> {
        let is_volume = |metric: &Metric| {
            let label = |name: &str| metric.labels.get(name).map(String::as_str).unwrap_or_default();
            !NO_VOLUMES.contains(&label("fstype")) && !label("mountpoint").is_empty()
        };
        let by_mount = |name: &'static str| -> BTreeMap<String, f64> {
            let found = self.all(move |metric| metric.name == name && is_volume(metric));
            found
                .filter_map(|metric| Some((metric.labels.get("mountpoint")?.clone(), metric.value)))
                .collect()
        };
        let (sizes, free) = (by_mount("nodefilesystemsizebytes"), by_mount("nodefilesystemavailbytes"));
        let with_free = |(mount, size): (String, f64)| Some((mount.clone(), (size, *free.get(&mount)?)));
        sizes.into_iter().filter_map(with_free).collect()
    }

    /// Seconds of CPU that were used, and all.
    fn cpu(&self) -> Option<(f64, f64)> {
        let (mut used, mut all) = (0.0, 0.0);
        for metric in self.all(|metric| metric.name == "nodecpusecondstotal") {
            let mode = metric.labels.get("mode")?;
            all += metric.value;
            used += if ["idle", "iowait"].contains(&mode.as_str()) { 0.0 } else { metric.value };
        }
        (all > 0.0).then_some((used, all))
    }
}

impl Looks<'_> {
    /// What the rules ask for.
    pub(crate) fn metrics(&self, at: &str, host: &str) -> HostMetrics {
        let newest = self.newest;
        let failed = |metric: &Metric| is_failed_authentication(metric);
        let shrinks = |metric: &Metric| metric.full.contains("isrshrinks");
        HostMetrics {
            at: at.to_owned(),
            host: host.to_owned(),
            role: newest.role(),
            cpu_thousandths: self.cpu_thousandths(),
            memory_available_bytes: newest.named("nodememorymemavailablebytes").map(whole),
            memory_bytes: newest.named("nodememorymemtotalbytes").map(whole),
            disks: self.disks(),
            failed_authentications_thousandths: self.rate_thousandths(failed),
            failed_authentications: newest.count(failed).map(whole),
            denied_requests: newest.errors(&["AUTHORIZATION_FAILED"]),
            clients: self.clients(),
            deprecated_requests: self.deprecated_requests(),
            poll_interval_max_ms: newest
                .largest(|metric| metric.full.ends_with("timebetweenpollmax"))
                .map(whole),
            uncleanable_partitions: sum(
                newest.all(|metric| metric.full.contains("uncleanablepartitionscount"))
            )
            .map(whole),
            cleaner_stalled_seconds: newest
                .largest(|metric| {
                    metric.full.contains("cleaner") && metric.full.contains("timesincelastrunms")
                })
                .map(|ms| whole(ms / 1_000.0)),
            fenced_producers: newest.errors(&["PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH"]),
            throttled_thousandths: self.throttled_thousandths(),
            network_idle_thousandths: self.idle("networkprocessoravgidle"),
            handler_idle_thousandths: self.idle("requesthandleravgidle"),
            files: self.files(),
            isr_shrinks_thousandths: self.rate_thousandths(shrinks),
        }
    }

    /// Thousandths a second. A counter that went down was started anew, and has no rate.
    fn rate_thousandths(&self, fits: impl Fn(&Metric) -> bool) -> Option<u64> {
        let (before, seconds) = self.before.filter(|(_, seconds)| *seconds > 0.0)?;
        let more = self.newest.count(&fits)? - before.count(&fits)?;
        (more >= 0.0).then(|| whole(more / seconds * 1_000.0))
    }

    fn cpu_thousandths(&self) -> Option<u64> {
        if let (Some((used, all)), Some((before, _))) = (self.newest.cpu(), self.before) {
            let (used_before, all_before) = before.cpu()?;
            let (used, all) = (used - used_before, all - all_before);
            return (all > 0.0).then(|| share(used / all));
        }
        // What the JVM says of its machine; below 0 it does not know.
        let load = |metric: &Metric| {
            metric.name.starts_with("javalangoperatingsystem")
                && ["systemcpuload", "cpuload"].iter().any(|end| metric.name.ends_with(end))
                && !metric.name.ends_with("processcpuload")
        };
        self.newest.largest(load).filter(|load| *load >= 0.0).map(share)
    }

    fn disks(&self) -> BTreeMap<String, (u64, u64, i64)> {
        let before = self.before.filter(|(_, seconds)| *seconds > 0.0);
        let before = before.map(|(look, seconds)| (look.disks(), seconds));
        let disk = |(mount, (size, free)): (String, (f64, f64))| {
            let fills = before.as_ref().and_then(|(disks, seconds)| {
                disks.get(&mount).map(|(_, free_before)| (free_before - free) / seconds)
            });
            (mount, (whole(size), whole(free), fills.unwrap_or(0.0) as i64))
        };
        self.newest.disks().into_iter().map(disk).collect()
    }

    /// Connections by software; brokers count them for each listener and network thread (KIP-511).
    fn clients(&self) -> Option<Vec<(String, u64)>> {
        let mut clients: BTreeMap<String, f64> = BTreeMap::new();
        for metric in self.newest.all(|metric| metric.name.ends_with("connections")) {
            let label = |name: &str| metric.labels.get(name).filter(|text| !text.is_empty());
            let Some(name) = label("clientsoftwarename") else { continue };
            let version = label("clientsoftwareversion").map(String::as_str).unwrap_or("unknown");
            *clients.entry(format!("{name} {version}")).or_default() += metric.value;
        }
        let clients = clients.into_iter().filter(|(_, connections)| *connections > 0.0);
        let clients: Vec<_> = clients.map(|(client, connections)| (client, whole(connections))).collect();
        (!clients.is_empty()).then_some(clients)
    }

    /// Requests of versions that are going (KIP-896), by API.
    fn deprecated_requests(&self) -> Option<BTreeMap<String, u64>> {
        let found = self.newest.counter(|metric| metric.full.contains("deprecatedrequests"));
        let mut requests: BTreeMap<String, f64> = BTreeMap::new();
        for metric in &found {
            let api = metric.labels.get("request").cloned().unwrap_or_default();
            *requests.entry(api).or_default() += metric.value;
        }
        let requests = requests.into_iter().map(|(api, count)| (api, whole(count)));
        (!found.is_empty()).then(|| requests.filter(|(_, count)| *count > 0).collect())
    }

    /// The share of time for which quotas made a client wait: milliseconds of each request, times requests a second.
    fn throttled_thousandths(&self) -> Option<u64> {
        let of = |throttle: &'static str, rate: &'static str| {
            let share = move |throttled: &Metric| {
                let is_its =
                    |metric: &Metric| metric.name.ends_with(rate) && metric.labels == throttled.labels;
                match throttled.value {
                    0.0 => Some(0),
                    ms => self.newest.largest(is_its).map(|rate| whole(ms * rate).min(1_000)),
                }
            };
            self.newest.all(move |metric| metric.name.ends_with(throttle)).filter_map(share).max()
        };
        let produce = of("producethrottletimeavg", "producermetricsrequestrate");
        let fetch = of("fetchthrottletimeavg", "fetchmanagermetricsfetchrate");
        produce.into_iter().chain(fetch).max()
    }

    /// A share that brokers give as a meter or a gauge: of the newest minute, when there is a choice.
    fn idle(&self, what: &str) -> Option<u64> {
        let found: Vec<_> = self.newest.all(|metric| metric.full.contains(what)).collect();
        let order = ["oneminuterate", "value", "percent", "meanrate"];
        let ranked = order.iter().find_map(|end| {
            found.iter().find(|metric| metric.full.contains("avgidle") && metric.name.ends_with(end))
        });
        let usable = |metric: &&&Metric| !["count", "total"].iter().any(|end| metric.name.ends_with(end));
        let best = ranked.or_else(|| found.iter().find(usable))?;
        // Some give percent; a fresh meter may be a little above 1.
        Some(share(if best.value > 2.0 { best.value / 100.0 } else { best.value }))
    }

    /// Of the machine, when its exporter tells. Otherwise the numbers are those of the process that was asked: the JVM.
    fn files(&self) -> Option<(u64, u64)> {
        let pair =
            |open: &str, most: &str| Some((whole(self.newest.named(open)?), whole(self.newest.named(most)?)));
        let is_node = self.newest.metrics.iter().any(|metric| metric.name.starts_with("nodecpu"));
        pair("nodefilefdallocated", "nodefilefdmaximum")
            .or_else(|| pair("processopenfds", "processmaxfds").filter(|_| !is_node))
    }
}

/// Of brokers only: a client counts its own failures under the same name.
fn is_failed_authentication(metric: &Metric) -> bool {
    metric.full.contains("socketserver") && metric.full.contains("failedauthentication")
}

fn sum<'a>(metrics: impl Iterator<Item = &'a Metric>) -> Option<f64> {
    metrics.map(|metric| metric.value).reduce(|sum, value| sum + value)
}

fn squeezed(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|char| char.to_ascii_lowercase()).collect()
}

/// Saturates; a negative number is 0.
fn whole(value: f64) -> u64 {
    value.round() as u64
}

fn share(value: f64) -> u64 {
    whole(value * 1_000.0).min(1_000)
}

/// The looks of a Prometheus server, by instance.
pub(crate) fn by_instance(samples: Vec<Sample>) -> BTreeMap<String, Look> {
    let mut groups: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
    for sample in samples {
        let instance = sample.labels.get("instance").or_else(|| sample.labels.get("job"));
        groups.entry(instance.cloned().unwrap_or_default()).or_default().push(sample);
    }
    groups.into_iter().map(|(instance, samples)| (instance, Look::new(&samples))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::text::parse;
    use super::*;

    fn look(text: &str) -> Look {
        Look::new(&parse(text).samples)
    }

    fn once(text: &str) -> HostMetrics {
        Looks { newest: &look(text), before: None }.metrics("b1:7071", "b1")
    }

    fn twice(before: &str, newest: &str) -> HostMetrics {
        let before = look(before);
        Looks { newest: &look(newest), before: Some((&before, 10.0)) }.metrics("b1:7071", "b1")
    }

    #[test]
    fn a_nodes_cpu_memory_disks_and_files_are_read() {
        let text = |idle: u64, user: u64, free: u64| {
            format!(
                "node_cpu_seconds_total{{cpu=\"0\",mode=\"idle\"}} {idle}\n\
                 node_cpu_seconds_total{{cpu=\"0\",mode=\"iowait\"}} 5\n\
                 node_cpu_seconds_total{{cpu=\"0\",mode=\"user\"}} {user}\n\
                 node_memory_MemAvailable_bytes 2e9\nnode_memory_MemTotal_bytes 8e9\n\
                 node_filesystem_size_bytes{{device=\"/dev/sda\",fstype=\"ext4\",mountpoint=\"/data\"}} 1e12\n\
                 node_filesystem_avail_bytes{{device=\"/dev/sda\",fstype=\"ext4\",mountpoint=\"/data\"}} {free}\n\
                 node_filesystem_size_bytes{{device=\"tmpfs\",fstype=\"tmpfs\",mountpoint=\"/run\"}} 1e6\n\
                 node_filesystem_avail_bytes{{device=\"tmpfs\",fstype=\"tmpfs\",mountpoint=\"/run\"}} 1e6\n\
                 node_filefd_allocated 2000\nnode_filefd_maximum 100000\nprocess_open_fds 9\nprocess_max_fds 1024\n"
            )
        };
        let found = twice(&text(100, 50, 500_000_000_000), &text(102, 58, 499_999_000_000));
        assert_eq!(found.cpu_thousandths, Some(800));
        assert_eq!(
            (found.memory_available_bytes, found.memory_bytes),
            (Some(2_000_000_000), Some(8_000_000_000))
        );
        assert_eq!(found.disks.len(), 1);
        assert_eq!(found.disks["/data"], (1_000_000_000_000, 499_999_000_000, 100_000));
        assert_eq!(found.files, Some((2_000, 100_000)));
        assert_eq!(found.role, HostRole::Unknown);
    }

    #[test]
    fn the_usual_names_of_a_brokers_beans_mean_the_same() {
        let plain = |shrinks: u64| {
            format!(
                "kafka_server_ReplicaManager_Count{{name=\"IsrShrinksPerSec\",}} {shrinks}\n\
                 kafka_server_ReplicaManager_OneMinuteRate{{name=\"IsrShrinksPerSec\",}} 0.3\n\
                 kafka_network_SocketServer_Value{{name=\"NetworkProcessorAvgIdlePercent\",}} 0.91\n\
                 kafka_server_KafkaRequestHandlerPool_OneMinuteRate{{name=\"RequestHandlerAvgIdlePercent\",}} 0.42\n\
                 kafka_server_KafkaRequestHandlerPool_Count{{name=\"RequestHandlerAvgIdlePercent\",}} 1e12\n\
                 kafka_log_LogCleanerManager_Value{{name=\"uncleanable-partitions-count\",logDirectory=\"/d\",}} 2\n\
                 kafka_log_LogCleanerManager_Value{{name=\"time-since-last-run-ms\",}} 7000\n"
            )
        };
        let ruled = |shrinks: u64| {
            format!(
                "kafka_server_replicamanager_isrshrinks_total {shrinks}\n\
                 kafka_network_socketserver_networkprocessoravgidle_percent 0.91\n\
                 kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent 0.42\n\
                 kafka_log_logcleanermanager_uncleanable_partitions_count 2\n\
                 kafka_log_logcleanermanager_time_since_last_run_ms 7000\n"
            )
        };
        let snake = |shrinks: u64| {
            format!(
                "kafka_server_replica_manager_isr_shrinks_per_sec {shrinks}\n\
                 kafka_network_socket_server_network_processor_avg_idle_percent 91.0\n\
                 kafka_server_request_handler_avg_idle_percent 0.42\n\
                 kafka_log_log_cleaner_manager_uncleanable_partitions_count_value 2\n\
                 kafka_log_log_cleaner_manager_time_since_last_run_ms_value 7000\n"
            )
        };
        let forms: [&dyn Fn(u64) -> String; 3] = [&plain, &ruled, &snake];
        for text in forms {
            let found = twice(&text(3), &text(8));
            assert_eq!(found.isr_shrinks_thousandths, Some(500), "{}", text(8));
            assert_eq!(found.network_idle_thousandths, Some(910), "{}", text(8));
            assert_eq!(found.handler_idle_thousandths, Some(420), "{}", text(8));
            assert_eq!(found.uncleanable_partitions, Some(2), "{}", text(8));
            assert_eq!(found.cleaner_stalled_seconds, Some(7), "{}", text(8));
            assert_eq!(found.role, HostRole::Broker);
        }
    }

    #[test]
    fn refused_clients_are_counted() {
        let found = twice(
            "kafka_server_socket_server_metrics_failed_authentication_total{listener=\"A\",networkProcessor=\"0\"} 1\n\
             kafka_server_socket_server_metrics_failed_authentication_total{listener=\"A\",networkProcessor=\"1\"} 2\n",
            "kafka_server_socket_server_metrics_failed_authentication_total{listener=\"A\",networkProcessor=\"0\"} 5\n\
             kafka_server_socket_server_metrics_failed_authentication_total{listener=\"A\",networkProcessor=\"1\"} 3\n\
             kafka_server_socket_server_metrics_failed_authentication_rate{listener=\"A\",networkProcessor=\"1\"} 9\n\
             kafka_server_socket_server_metrics_connections{clientSoftwareName=\"apache-kafka-java\",clientSoftwareVersion=\"2.0.1\",networkProcessor=\"0\"} 2\n\
             kafka_server_socket_server_metrics_connections{clientSoftwareName=\"apache-kafka-java\",clientSoftwareVersion=\"2.0.1\",networkProcessor=\"1\"} 1\n\
             kafka_network_RequestMetrics_Count{name=\"ErrorsPerSec\",request=\"Fetch\",error=\"TOPIC_AUTHORIZATION_FAILED\"} 4\n\
             kafka_network_RequestMetrics_Count{name=\"ErrorsPerSec\",request=\"Fetch\",error=\"NONE\"} 400\n\
             kafka_network_RequestMetrics_Count{name=\"DeprecatedRequestsPerSec\",request=\"Fetch\",version=\"2\"} 6\n",
        );
        assert_eq!(found.failed_authentications, Some(8));
        assert_eq!(found.failed_authentications_thousandths, Some(500));
        assert_eq!(found.denied_requests, Some(4));
        assert_eq!(found.fenced_producers, Some(0));
        assert_eq!(found.clients, Some(vec![("apache-kafka-java 2.0.1".to_owned(), 3)]));
        assert_eq!(found.deprecated_requests, Some(BTreeMap::from([("Fetch".to_owned(), 6)])));
    }

    #[test]
    fn a_client_tells_of_polls_and_quotas() {
        let found = once(
            "kafka_consumer_consumer_metrics_time_between_poll_max{client_id=\"a\"} 12000.0\n\
             kafka_consumer_consumer_metrics_time_between_poll_max{client_id=\"b\"} NaN\n\
             kafka_producer_producer_metrics_produce_throttle_time_avg{client_id=\"a\"} 25\n\
             kafka_producer_producer_metrics_request_rate{client_id=\"a\"} 8\n\
             kafka_producer_producer_metrics_request_rate{client_id=\"b\"} 900\n",
        );
        assert_eq!((found.role, found.poll_interval_max_ms), (HostRole::Client, Some(12_000)));
        assert_eq!(found.throttled_thousandths, Some(200));
    }

    #[test]
    fn what_was_not_told_is_not_known() {
        let found = once("up 1\n");
        assert_eq!(found, HostMetrics { at: "b1:7071".into(), host: "b1".into(), ..HostMetrics::default() });
        let text = |count: u64| format!("kafka_server_replicamanager_isrshrinks_total {count}\n");
        assert_eq!(twice(&text(9), &text(2)).isr_shrinks_thousandths, None, "the broker was started anew");
    }

    proptest! {
        #[test]
        fn no_numbers_break_anything(
            numbers in proptest::collection::vec(any::<f64>(), 8), seconds in any::<f64>(),
        ) {
            let names = [
                "node_cpu_seconds_total{mode=\"idle\"}", "node_cpu_seconds_total{mode=\"user\"}",
                "node_filesystem_size_bytes{fstype=\"xfs\",mountpoint=\"/\"}",
                "node_filesystem_avail_bytes{fstype=\"xfs\",mountpoint=\"/\"}",
            ];
            let text = |numbers: &[f64]| {
                names.iter().zip(numbers).map(|(name, number)| format!("{name} {number}\n")).collect::<String>()
            };
            let (before, newest) = (look(&text(&numbers[..4])), look(&text(&numbers[4..])));
            let found = Looks { newest: &newest, before: Some((&before, seconds)) }.metrics("a", "a");
            prop_assert!(found.cpu_thousandths.is_none_or(|share| share <= 1_000));
        }
    }
}
