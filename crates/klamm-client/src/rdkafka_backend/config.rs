//! Our options in librdkafka's words.

use std::path::Path;
use std::time::Duration;

use klamm_admin::ClientOptions;
use klamm_wire::Security;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::{Assignor, ConsumerOptions, GroupProtocol, Isolation, OffsetReset};

/// Longest pause between two attempts to reach a broker; librdkafka's own is 10 s, which a restart would wait for.
const RECONNECT_MAX_MS: u64 = 1_000;

/// The consumer's configuration.
pub(super) fn consumer(cluster: &ClientOptions, options: &ConsumerOptions) -> ClientConfig {
    let mut config = common(cluster);
    let reset = match options.reset {
        OffsetReset::Earliest => "earliest",
        OffsetReset::Latest => "latest",
        // `validate` refuses a duration: librdkafka has none.
        OffsetReset::Error | OffsetReset::ByDuration(_) => "error",
    };
    let isolation = match options.isolation {
        Isolation::ReadUncommitted => "read_uncommitted",
        Isolation::ReadCommitted => "read_committed",
    };
    config
        .set("group.id", &options.group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", reset)
        .set("isolation.level", isolation)
        .set("max.poll.interval.ms", millis(options.max_poll_interval))
        .set("check.crcs", "true")
        .set("allow.auto.create.topics", "false")
        // Fetched and not taken yet, per partition. Fetching resumes within 10 ms of room instead of a second.
        .set("queued.max.messages.kbytes", (options.partition_bytes / 1_024).clamp(1, 2_097_151).to_string())
        .set("queued.min.messages", "100000")
        .set("fetch.queue.backoff.ms", "10")
        .set_log_level(RDKafkaLogLevel::Warning);
    match options.protocol {
        GroupProtocol::Classic => {
            let assignor = match options.assignor {
                Assignor::Range => "range",
                Assignor::RoundRobin => "roundrobin",
                Assignor::CooperativeSticky => "cooperative-sticky",
            };
            config
                .set("partition.assignment.strategy", assignor)
                .set("session.timeout.ms", millis(options.session_timeout))
                .set("heartbeat.interval.ms", millis(options.heartbeat_interval));
        }
        // Session, heartbeat and assignor are the broker's there, and setting them is refused.
        GroupProtocol::Consumer => {
            config.set("group.protocol", "consumer");
        }
    }
    if let Some(instance) = &options.instance {
        config.set("group.instance.id", instance);
    }
    if let Some(rack) = &options.rack {
        config.set("client.rack", rack);
    }
    config
}

fn common(cluster: &ClientOptions) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", cluster.bootstrap.join(","))
        .set("client.id", &cluster.client_id)
        .set(
            "socket.connection.setup.timeout.ms",
            millis(cluster.connect_timeout.max(Duration::from_secs(1))),
        )
        .set("socket.timeout.ms", millis(cluster.request_timeout))
        .set("socket.nagle.disable", "true")
        .set("reconnect.backoff.max.ms", RECONNECT_MAX_MS.to_string())
        .set("retry.backoff.max.ms", RECONNECT_MAX_MS.to_string())
        // No word about us to the broker's telemetry (KIP-714).
        .set("enable.metrics.push", "false");
    security(&mut config, &cluster.security);
    config
}

fn security(config: &mut ClientConfig, security: &Security) {
    config.set("security.protocol", security.protocol().to_lowercase());
    if let Some(tls) = &security.tls {
        config.set("ssl.endpoint.identification.algorithm", "https");
        if let Some(ca) = &tls.ca_pem {
            config.set("ssl.ca.location", path(ca));
        }
        if let Some(client) = &tls.client {
            config
                .set("ssl.certificate.location", path(&client.chain_pem))
                .set("ssl.key.location", path(&client.key_pem));
        }
    }
    if let Some(sasl) = &security.sasl {
        config
            .set("sasl.mechanism", sasl.mechanism.name())
            .set("sasl.username", &sasl.username)
            .set("sasl.password", &sasl.password);
    }
}

fn millis(duration: Duration) -> String {
    // librdkafka's settings are 32-bit.
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX).to_string()
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn librdkafka_accepts_what_the_defaults_come_to() {
        let cluster = ClientOptions::new(["127.0.0.1:1"]);
        let mut options = ConsumerOptions::new("g", ["t"]);
        consumer(&cluster, &options).create_native_config().unwrap();
        options.protocol = GroupProtocol::Consumer;
        consumer(&cluster, &options).create_native_config().unwrap();
    }
}
