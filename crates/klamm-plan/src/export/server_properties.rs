//! Brokers and controllers as files: `server.properties` for each role, and what the machine around them needs.

use klamm_kafka::UpdateMode;

use super::ExportFile;
use super::properties::{Page, plan_hash, protocol};
use crate::{Plan, Setting};

const GIB: u64 = 1 << 30;
/// More files or maps than that is a number of somebody who is testing klamm.
const MOST: u64 = 1 << 30;
/// Heap of a broker: what is left is page cache.
const HEAP_GIB: u64 = 6;

pub(super) fn files(plan: &Plan) -> Vec<ExportFile> {
    vec![
        role(plan, "broker", "broker"),
        role(plan, "controller", "controller"),
        role(plan, "combined", "broker,controller"),
        systemd(plan),
        sysctl(plan),
    ]
}

/// A file for one role. Each line can be read by Kafka as it is; what differs from node to node stands on top.
fn role(plan: &Plan, name: &str, roles: &str) -> ExportFile {
    let mut page = Page::new(&format!("server.properties of a {name} node"), plan);
    if name == "combined" {
        page.remark("Broker and controller in one process are for development: Kafka does not support it for critical use.");
    }
    page.extra("node.id", "1", "Another one on each node.");
    page.extra("process.roles", roles, "KRaft. [KIP-500]");
    let (broker, controller) = (roles.contains("broker"), roles.contains("controller"));
    let clients = protocol(plan).unwrap_or("PLAINTEXT");
    let mut listeners = Vec::new();
    if broker {
        listeners.push("CLIENTS://:9092,REPLICATION://:9094".to_owned());
        page.extra(
            "inter.broker.listener.name",
            "REPLICATION",
            "Replicas have a listener of their own: a flood of clients does not hold them up.",
        );
    }
    if controller {
        listeners.push("CONTROLLER://:9093".to_owned());
    }
    page.extra(
        "listeners",
        &listeners.join(","),
        "Set advertised.listeners to the names that clients resolve.",
    );
    page.extra("controller.listener.names", "CONTROLLER", "Where controllers are spoken to.");
    page.extra(
        "listener.security.protocol.map",
        &format!("CLIENTS:{clients},REPLICATION:{},CONTROLLER:{}", inner(plan), inner(plan)),
        "How clients and nodes connect; keystores (ssl.*) and JAAS are added where the secrets are.",
    );
    page.extra("controller.quorum.bootstrap.servers", "localhost:9093", "All controllers, host:port. With it controllers can be replaced later: format the first with --standalone or all with --initial-controllers. [KIP-853]");
    page.extra("log.dirs", "/var/lib/kafka/data", "Disks of their own, one path each.");
    authorizer(plan, &mut page);
    for setting in plan.brokers.iter().filter(|setting| broker || of_controllers(setting)) {
        page.setting(&setting.name, setting);
        if klamm_kafka::update_mode(&setting.name) == UpdateMode::ClusterWide {
            page.remark("Can be changed while brokers run; a dynamic value outranks this file.");
        }
    }
    ExportFile { path: format!("{name}.properties"), text: page.finish() }
}

/// What controllers decide, and so have to know.
fn of_controllers(setting: &Setting) -> bool {
    matches!(
        setting.name.as_str(),
        "default.replication.factor"
            | "min.insync.replicas"
            | "num.partitions"
            | "unclean.leader.election.enable"
            | "auto.leader.rebalance.enable"
    )
}

fn inner(plan: &Plan) -> &'static str {
    if plan.cluster.tls { "SSL" } else { "PLAINTEXT" }
}

fn authorizer(plan: &Plan, page: &mut Page) {
    let Some(mechanism) = &plan.cluster.sasl else { return };
    page.extra("sasl.enabled.mechanisms", mechanism.name(), "What the spec's clients use.");
    page.extra(
        "authorizer.class.name",
        "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "Rules are kept and asked. [KIP-801]",
    );
    page.extra("allow.everyone.if.no.acl.found", "false", "What no rule allows is denied.");
    page.extra("super.users", "User:admin", "Who mends the rules. With TLS between nodes, their names, too.");
}

fn systemd(plan: &Plan) -> ExportFile {
    let find = |what: &str| {
        plan.capacity.figures.iter().find(|figure| figure.what == what).map(|figure| figure.value)
    };
    let files = find("open files of a broker").unwrap_or(0).clamp(100_000, MOST).next_power_of_two();
    let text = format!(
        "# A broker under systemd: made by klamm from plan {}; the paths are those of the package that installed Kafka.\n\
         [Unit]\nDescription=Apache Kafka\nAfter=network-online.target\nWants=network-online.target\n\n\
         [Service]\nType=simple\nUser=kafka\n\
         # Heap of {HEAP_GIB} GiB: records are read from the page cache, which gets the rest of the memory.\n\
         Environment=\"KAFKA_HEAP_OPTS=-Xms{HEAP_GIB}g -Xmx{HEAP_GIB}g\"\n\
         Environment=\"KAFKA_JVM_PERFORMANCE_OPTS=-XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:+ExitOnOutOfMemoryError\"\n\
         ExecStart=/opt/kafka/bin/kafka-server-start.sh /etc/kafka/broker.properties\n\
         # Leaders are handed over before the process ends: that takes longer than systemd's 90 s on a broker with many of them.\n\
         TimeoutStopSec=300\n# Ended by SIGTERM the JVM exits with 143: that is no failure.\nSuccessExitStatus=143\nRestart=on-failure\nRestartSec=10\n\
         # Log, index and time index of each segment, and connections.\nLimitNOFILE={files}\n\n[Install]\nWantedBy=multi-user.target\n",
        plan_hash(plan)
    );
    ExportFile { path: "kafka.service".to_owned(), text }
}

fn sysctl(plan: &Plan) -> ExportFile {
    let maps = plan.capacity.figures.iter().find(|figure| figure.what == "memory maps of a broker");
    let maps = maps.map_or(0, |figure| figure.value);
    let limit = maps.saturating_mul(2).clamp(262_144, MOST).next_power_of_two();
    let text = format!(
        "# /etc/sysctl.d/99-kafka.conf: made by klamm from plan {}.\n\n\
         # Two maps a segment: {maps} planned, Linux's default is 65530.\nvm.max_map_count = {limit}\n\n\
         # A broker that is swapped out is late for everything.\nvm.swappiness = 1\n\n\
         # Write back early and steadily instead of in bursts that stop producers.\nvm.dirty_background_ratio = 5\nvm.dirty_ratio = 60\n\n\
         # Buffers for {} of bandwidth and delay.\nnet.core.rmem_max = 2097152\nnet.core.wmem_max = 2097152\n",
        plan_hash(plan),
        crate::bytes((GIB / 512).into())
    );
    ExportFile { path: "99-kafka.conf".to_owned(), text }
}
