//! The plan, short as a table or whole.

use klamm_contract::{Consistency, Layer, Order, Profile};
use klamm_plan::{Grant, Plan, Setting, TopicPlan};

use super::table;

/// The settings that decide whether data survives; the table shows these with their reason.
const MATTER: [(Layer, &str); 4] = [
    (Layer::Topic, "replication.factor"),
    (Layer::Topic, "min.insync.replicas"),
    (Layer::Producer, "acks"),
    (Layer::Topic, "retention.ms"),
];

/// How a profile is named on every screen; nothing for `prod`.
pub fn profile_note(profile: Profile) -> &'static str {
    match profile {
        Profile::Prod => "",
        Profile::Dev => "[profile dev: survival demands relaxed]",
    }
}

/// Each topic in a line, then the settings that matter with their reason.
pub fn plan_table(plan: &Plan) -> String {
    let mut text = head(plan);
    let rows: Vec<Vec<String>> = plan.topics.iter().map(topic_row).collect();
    if !rows.is_empty() {
        text.push_str(&indent(&table(
            &["topic", "partitions", "copies", "consistency", "order", "survives"],
            &rows,
        )));
    }
    for topic in &plan.topics {
        let chosen = MATTER.iter().filter_map(|(layer, name)| topic.setting(*layer, name));
        text.push_str(&indent(&settings_lines(chosen)));
    }
    for consumer in &plan.consumers {
        let c = &consumer.contract;
        text.push_str(&format!(
            "  group {} reads {} {}\n",
            c.group,
            c.topics.join(", "),
            delivery(c.delivery)
        ));
    }
    text.push_str(&notes(plan));
    text
}

/// Everything: sizing with its arithmetic, every setting with reason and source.
pub fn plan_full(plan: &Plan) -> String {
    let mut text = head(plan);
    for topic in &plan.topics {
        let row = table(
            &["topic", "partitions", "copies", "consistency", "order", "survives"],
            &[topic_row(topic)],
        );
        text.push_str(&indent(&row));
        text.push_str(&format!("  partitions: {}\n", topic.sizing.because));
        for need in &topic.sizing.needs {
            let guess = if need.guessed { " (a guess until it is measured on this cluster)" } else { "" };
            text.push_str(&format!("    {} needs {}: {}{guess}\n", need.what, need.partitions, need.because));
        }
        text.push_str(&format!("  disk: {}\n", topic.sizing.disk.because));
        for row in &topic.survival {
            let unit = format!("{:?}", row.unit).to_lowercase();
            let word = |holds: bool| if holds { "go on" } else { "stop" };
            let records =
                if row.records { "no acknowledged record lost" } else { "acknowledged records can be lost" };
            text.push_str(&format!(
                "  any {} {unit}{} down: reads {}, writes {}, {records} ({})\n",
                row.count,
                plural(row.count as usize),
                word(row.reads),
                word(row.writes),
                row.witness
            ));
        }
        text.push_str(&format!("  all down: {}\n", topic.after_all_are_down));
        if let Some(change) = &topic.smallest_change {
            text.push_str(&format!("  does not hold; the smallest change: {change}\n"));
        }
        text.push_str(&indent(&full_settings(&topic.settings)));
    }
    for consumer in &plan.consumers {
        let c = &consumer.contract;
        text.push_str(&format!(
            "  group {} reads {} {}\n",
            c.group,
            c.topics.join(", "),
            delivery(c.delivery)
        ));
        text.push_str(&indent(&full_settings(&consumer.settings)));
    }
    for streams in &plan.streams {
        text.push_str(&format!("  application {} reads {}\n", streams.application, streams.reads.join(", ")));
        streams.disk.iter().for_each(|disk| text.push_str(&format!("  disk: {disk}\n")));
        text.push_str(&indent(&full_settings(&streams.settings)));
    }
    text.push_str(&together(plan));
    text.push_str(&notes(plan));
    text
}

/// What is not of one topic or group: brokers, their capacity, access, recovery, upgrade.
fn together(plan: &Plan) -> String {
    let mut text = String::from("  capacity\n");
    for figure in &plan.capacity.figures {
        let guess = if figure.guessed { " (has a guess in it)" } else { "" };
        text.push_str(&format!(
            "    {}: {}: {}{guess}\n",
            figure.what,
            super::document::amount(figure.value, &figure.unit),
            figure.because
        ));
    }
    for one in &plan.capacity.sensitivity {
        text.push_str(&format!("    if {}: {}\n", one.input, one.effect));
    }
    text.push_str("  brokers\n");
    text.push_str(&indent(&full_settings(&plan.brokers)));
    for service in &plan.access {
        text.push_str(&format!("  {} as {}\n", service.service, service.principal));
        for grant in &service.grants {
            let Grant { resource_type, resource, pattern, operation, reason } = grant;
            text.push_str(&format!("    {operation} {resource_type} {resource} ({pattern}): {reason}\n"));
        }
    }
    if let Some(recovery) = &plan.recovery {
        text.push_str(&format!("  mirror to {}\n", recovery.to.join(",")));
        recovery.because.iter().for_each(|why| text.push_str(&format!("    {why}\n")));
        text.push_str(&indent(&full_settings(&recovery.settings)));
    }
    for (index, step) in plan.upgrade.iter().enumerate() {
        let way = if step.reversible { "" } else { " (no way back)" };
        text.push_str(&format!("  upgrade {}. {}{way}: {}\n", index + 1, step.what, step.because));
    }
    text
}

fn head(plan: &Plan) -> String {
    let topics = plan.topics.len();
    let settings: usize = plan.topics.iter().map(|t| t.settings.len()).sum::<usize>()
        + plan.consumers.iter().map(|c| c.settings.len()).sum::<usize>();
    let brokers = plan.cluster.brokers;
    let line = format!(
        "plan      {}: {topics} topic{}, {settings} settings, for {brokers} broker{} {}",
        plan.service,
        plural(topics),
        if brokers == 1 { "" } else { "s" },
        profile_note(plan.profile)
    );
    line.trim_end().to_owned() + "\n"
}

fn topic_row(topic: &TopicPlan) -> Vec<String> {
    let contract = &topic.contract;
    let consistency = match contract.durability.consistency {
        Consistency::Strong => "strong",
        Consistency::Eventual => "eventual",
    };
    let order = match contract.order {
        Order::None => "none",
        Order::PerKey => "per key",
        Order::Global => "global",
    };
    vec![
        topic.name().to_owned(),
        contract.layer_topic.partitions.to_string(),
        contract.layer_topic.replication_factor.to_string(),
        consistency.to_owned(),
        order.to_owned(),
        topic.survives.clone(),
    ]
}

fn settings_lines<'a>(settings: impl Iterator<Item = &'a Setting>) -> String {
    let rows: Vec<Vec<String>> =
        settings.map(|s| vec![format!("{} {}={}", s.layer, s.name, s.value), s.reason.clone()]).collect();
    table(&["", ""], &rows).lines().skip(1).map(|line| format!("{line}\n")).collect()
}

fn full_settings(settings: &[Setting]) -> String {
    let line = |s: &Setting| {
        let by = s.set_by.as_ref().map_or(String::new(), |by| format!("          set by {by}\n"));
        let since = if s.since.is_empty() { String::new() } else { format!(" ({})", s.since) };
        let otherwise = if s.otherwise.is_empty() {
            String::new()
        } else {
            format!("          otherwise: {}{since}\n", s.otherwise)
        };
        let layer = s.layer.to_string();
        format!("{layer:<9} {}={}\n          {} [{}]\n{otherwise}{by}", s.name, s.value, s.reason, s.source)
    };
    settings.iter().map(line).collect()
}

fn notes(plan: &Plan) -> String {
    plan.notes.iter().map(|note| format!("  note: {note}\n")).collect()
}

pub(super) fn delivery(delivery: klamm_contract::Delivery) -> &'static str {
    match delivery {
        klamm_contract::Delivery::AtMostOnce => "at most once",
        klamm_contract::Delivery::AtLeastOnce => "at least once",
        klamm_contract::Delivery::ExactlyOnce => "exactly once",
    }
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
