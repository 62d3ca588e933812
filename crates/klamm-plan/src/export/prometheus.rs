//! Alerts in the rule format of Prometheus, for the names that the JMX exporter and kafka_exporter give by default.

use std::fmt::Write;

use super::ExportFile;
use super::properties::{comment, plan_hash};
use crate::plan::{ConsumerPlan, TopicPlan};
use crate::text::quoted;
use crate::{Plan, text};

const WIDTH: usize = 110;

struct Alert {
    name: String,
    expr: String,
    wait: &'static str,
    page: bool,
    summary: String,
    why: String,
}

pub(super) fn files(plan: &Plan) -> Vec<ExportFile> {
    let mut text = String::new();
    comment(
        &mut text,
        &format!("Alerts: made by klamm from plan {}; change the spec and export again.", plan_hash(plan)),
    );
    comment(
        &mut text,
        "kafka_server_*, kafka_controller_* come from the JMX exporter, kafka_consumergroup_lag and kafka_topic_* from kafka_exporter.",
    );
    text.push_str("groups:\n  - name: ");
    let _ = writeln!(text, "{}\n    rules:", quoted(&format!("klamm-{}", plan.service)));
    for alert in alerts(plan) {
        for line in text::wrap(&alert.why, WIDTH) {
            let _ = writeln!(text, "      # {line}");
        }
        let _ = write!(
            text,
            "      - alert: {}\n        expr: {}\n        for: {}\n        labels:\n          severity: {}\n        annotations:\n          summary: {}\n",
            alert.name,
            quoted(&alert.expr),
            alert.wait,
            if alert.page { "page" } else { "ticket" },
            quoted(&alert.summary)
        );
    }
    vec![ExportFile { path: "kafka-rules.yaml".to_owned(), text }]
}

fn alerts(plan: &Plan) -> Vec<Alert> {
    let mut alerts = of_cluster(plan);
    alerts.extend(plan.topics.iter().map(of_topic));
    alerts.extend(plan.consumers.iter().flat_map(of_group));
    if let Some(recovery) = &plan.recovery {
        alerts.push(Alert {
            name: "KafkaMirrorBehind".to_owned(),
            expr: format!(
                "max(kafka_connect_mirror_mirrorsourceconnector_replication_latency_ms_max) > {}",
                recovery.lag_budget_ms
            ),
            wait: "5m",
            page: true,
            summary: format!(
                "the mirror is further behind than the RPO ({})",
                text::millis(recovery.lag_budget_ms)
            ),
            why: "What is not mirrored is lost with the cluster.".to_owned(),
        });
    }
    alerts
}

fn of_cluster(plan: &Plan) -> Vec<Alert> {
    let brokers = plan.cluster.brokers;
    let missing = format!("count(kafka_server_replicamanager_leadercount) < {brokers}");
    let missing_summary = format!("fewer than the {brokers} brokers of the plan");
    let rows = [
        (
            "KafkaNoController",
            "sum(kafka_controller_kafkacontroller_activecontrollercount) != 1",
            "1m",
            true,
            "not one active controller: no leader can be elected",
            "Without a controller the next broker that fails takes its partitions with it.",
        ),
        (
            "KafkaOfflinePartitions",
            "sum(kafka_controller_kafkacontroller_offlinepartitionscount) > 0",
            "1m",
            true,
            "partitions without a leader: nobody writes or reads them",
            "More was lost at once than the plan goes on through.",
        ),
        (
            "KafkaUnderMinIsr",
            "sum(kafka_server_replicamanager_underminisrpartitioncount) > 0",
            "1m",
            true,
            "partitions below min.insync.replicas: writes with acks=all are refused",
            "The floor that keeps acknowledged records is not reached.",
        ),
        (
            "KafkaUnderReplicated",
            "sum(kafka_server_replicamanager_underreplicatedpartitions) > 0",
            "10m",
            false,
            "partitions with a copy that is behind: one more loss can stop writes",
            "A restart takes minutes; what stays is a broker that is down or too slow.",
        ),
        (
            "KafkaBrokersMissing",
            missing.as_str(),
            "10m",
            false,
            missing_summary.as_str(),
            "Capacity is planned with one of them away, not with more.",
        ),
    ];
    let alert =
        |(name, expr, wait, page, summary, why): (&str, &str, &'static str, bool, &str, &str)| Alert {
            name: name.to_owned(),
            expr: expr.to_owned(),
            wait,
            page,
            summary: summary.to_owned(),
            why: why.to_owned(),
        };
    rows.map(alert).into()
}

fn of_topic(topic: &TopicPlan) -> Alert {
    let peak = topic.sizing.peak_bytes_per_second;
    Alert {
        name: "KafkaTopicAbovePeak".to_owned(),
        expr: format!(
            "sum(rate(kafka_server_brokertopicmetrics_bytesin_total{{topic={}}}[5m])) > {peak}",
            quoted(topic.name())
        ),
        wait: "15m",
        page: false,
        summary: format!(
            "{} is written faster than the peak it was planned for ({}/s)",
            topic.name(),
            crate::bytes(peak.into())
        ),
        why: "Partitions, disk and network were sized for the peak of the spec: say the new rate there."
            .to_owned(),
    }
}

fn of_group(group: &ConsumerPlan) -> Vec<Alert> {
    let name = &group.contract.group;
    let alert = |topic: &String| {
        // Lag is counted in records, the budget is time: divided by what comes in.
        let selector = format!("{{consumergroup={},topic={}}}", quoted(name), quoted(topic));
        let incoming =
            format!("sum(rate(kafka_topic_partition_current_offset{{topic={}}}[5m]))", quoted(topic));
        Alert {
            name: "KafkaGroupBehind".to_owned(),
            expr: format!(
                "sum(kafka_consumergroup_lag{selector}) / {incoming} > {}",
                group.lag_budget_ms.div_ceil(1_000)
            ),
            wait: "5m",
            page: true,
            summary: format!("{name} is more than {} behind on {topic}", text::millis(group.lag_budget_ms)),
            why: format!(
                "lag of the spec: {}; records behind over records a second.",
                text::millis(group.lag_budget_ms)
            ),
        }
    };
    group.contract.topics.iter().map(alert).collect()
}
