//! The whole plan as a document: Markdown, and HTML that is made of it.

use klamm_plan::{
    AccessPlan, Capacity, ConsumerPlan, Plan, RecoveryPlan, Setting, Step, StreamsPlan, Survival, TopicPlan,
};
use pulldown_cmark::{Options, Parser, html};

/// Everything that is planned, in Markdown.
pub fn plan_markdown(plan: &Plan) -> String {
    let mut page = Page { text: String::new() };
    page.line(&format!("# Plan of {}", plan.service));
    let cluster = &plan.cluster;
    page.line(&format!(
        "Kafka {}, {} brokers{}, {} controllers. {}",
        cluster.version,
        cluster.brokers,
        if cluster.racks.is_empty() {
            String::new()
        } else {
            format!(" over the racks {}", cluster.racks.join(", "))
        },
        cluster.controllers,
        super::profile_note(plan.profile)
    ));
    page.bullets(plan.notes.iter().map(String::as_str));
    plan.topics.iter().for_each(|topic| page.topic(topic));
    plan.consumers.iter().for_each(|consumer| page.consumer(consumer));
    plan.streams.iter().for_each(|streams| page.streams(streams));
    page.capacity(&plan.capacity);
    page.line("## Brokers");
    page.settings(&plan.brokers);
    page.access(&plan.access);
    plan.recovery.iter().for_each(|recovery| page.recovery(recovery));
    page.upgrade(&plan.upgrade);
    page.text.trim_end().to_owned() + "\n"
}

/// The same as one HTML page without scripts and without anything from elsewhere.
pub fn plan_html(plan: &Plan) -> String {
    let markdown = plan_markdown(plan);
    let mut body = String::new();
    html::push_html(&mut body, Parser::new_ext(&markdown, Options::ENABLE_TABLES));
    let title: String = plan.service.chars().filter(|c| !matches!(c, '<' | '>' | '&')).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Plan of {title}</title>\n<style>\n\
         body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }}\n\
         table {{ border-collapse: collapse; margin: 1rem 0; }}\n\
         th, td {{ border-bottom: 1px solid #ccc; padding: .3rem .6rem; text-align: left; vertical-align: top; }}\n\
         code {{ background: #f3f3f3; padding: 0 .2rem; }}\n</style></head>\n<body>\n{body}</body></html>\n"
    )
}

struct Page {
    text: String,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push_str("\n\n");
    }

    fn bullets<'a>(&mut self, lines: impl Iterator<Item = &'a str>) {
        let before = self.text.len();
        lines.for_each(|line| self.text.push_str(&format!("- {}\n", cell(line))));
        if self.text.len() > before {
            self.text.push('\n');
        }
    }

    fn table(&mut self, head: &[&str], rows: impl Iterator<Item = Vec<String>>) {
        self.text.push_str(&format!("| {} |\n|{}\n", head.join(" | "), " --- |".repeat(head.len())));
        for row in rows {
            let cells: Vec<String> = row.iter().map(|text| cell(text)).collect();
            self.text.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
        self.text.push('\n');
    }

    fn topic(&mut self, topic: &TopicPlan) {
        self.line(&format!("## Topic {}", cell(topic.name())));
        self.line(&format!("{}.", cell(&topic.survives)));
        self.survival(&topic.survival);
        if let Some(change) = &topic.smallest_change {
            self.line(&format!("**This does not hold.** The smallest change: {}.", cell(change)));
        }
        self.line(&format!("After all copies were down: {}.", cell(&topic.after_all_are_down)));
        self.line(&format!("**{} partitions**: {}.", topic.sizing.partitions, cell(&topic.sizing.because)));
        let needs = topic.sizing.needs.iter().map(|need| {
            let measured = if need.guessed { "guessed" } else { "given" };
            vec![need.what.clone(), need.partitions.to_string(), measured.to_owned(), need.because.clone()]
        });
        self.table(&["Demand", "Partitions", "Rate of a partition", "Arithmetic"], needs);
        self.line(&format!("Disk: {}.", cell(&topic.sizing.disk.because)));
        self.settings(&topic.settings);
    }

    fn survival(&mut self, rows: &[Survival]) {
        let word = |holds: bool| if holds { "yes" } else { "no" }.to_owned();
        let rows = rows.iter().map(|row| {
            let unit = format!("{:?}", row.unit).to_lowercase();
            let lost =
                if row.count == 1 { format!("any 1 {unit}") } else { format!("any {} {unit}s", row.count) };
            vec![lost, word(row.reads), word(row.writes), word(row.records), row.witness.clone()]
        });
        self.table(&["Lost", "Reads go on", "Writes go on", "Acknowledged records stay", "Worst case"], rows);
    }

    fn consumer(&mut self, consumer: &ConsumerPlan) {
        let contract = &consumer.contract;
        self.line(&format!("## Group {}", cell(&contract.group)));
        self.line(&format!(
            "Reads {} {}.",
            cell(&contract.topics.join(", ")),
            super::plan::delivery(contract.delivery)
        ));
        self.settings(&consumer.settings);
    }

    fn streams(&mut self, streams: &StreamsPlan) {
        self.line(&format!("## Application {}", cell(&streams.application)));
        let writes =
            if streams.writes.is_empty() { "no topic".to_owned() } else { streams.writes.join(", ") };
        self.line(&format!("Reads {}, writes {}.", cell(&streams.reads.join(", ")), cell(&writes)));
        streams.disk.iter().for_each(|disk| self.line(&format!("Disk: {}.", cell(disk))));
        self.settings(&streams.settings);
    }

    fn capacity(&mut self, capacity: &Capacity) {
        self.line("## Capacity");
        let rows = capacity.figures.iter().map(|figure| {
            let guess = if figure.guessed { " (has a guess in it)" } else { "" };
            vec![
                figure.what.clone(),
                amount(figure.value, &figure.unit),
                format!("{}{guess}", figure.because),
            ]
        });
        self.table(&["What", "How much", "Arithmetic"], rows);
        let rows = capacity.sensitivity.iter().map(|one| vec![one.input.clone(), one.effect.clone()]);
        self.table(&["If", "Then"], rows);
    }

    fn access(&mut self, access: &[AccessPlan]) {
        self.line("## Who may do what");
        for service in access {
            let rate = |rate: Option<u64>| {
                rate.map_or("no limit".to_owned(), |rate| format!("{}/s of each broker", super::bytes(rate)))
            };
            self.line(&format!(
                "{} is `{}`; it may write {} and read {}.",
                cell(&service.service),
                cell(&service.principal),
                rate(service.producer_byte_rate),
                rate(service.consumer_byte_rate)
            ));
            if let Some(user) = &service.user {
                self.line(&format!(
                    "The brokers keep its password ({}), which klamm takes from {}.",
                    user.mechanism, user.password
                ));
            }
            let rows = service.grants.iter().map(|grant| {
                let resource = format!("{} {} ({})", grant.resource_type, grant.resource, grant.pattern);
                vec![resource, grant.operation.to_string(), grant.reason.clone()]
            });
            self.table(&["Resource", "Operation", "Why"], rows);
        }
    }

    fn recovery(&mut self, recovery: &RecoveryPlan) {
        self.line("## When the cluster is lost");
        self.bullets(recovery.because.iter().map(String::as_str));
        self.settings(&recovery.settings);
    }

    fn upgrade(&mut self, steps: &[Step]) {
        if steps.is_empty() {
            return;
        }
        self.line("## Upgrade");
        for (index, step) in steps.iter().enumerate() {
            let way = if step.reversible { "" } else { " **No way back from here.**" };
            self.text.push_str(&format!(
                "{}. {}: {}.{way}\n",
                index + 1,
                cell(&step.what),
                cell(&step.because)
            ));
        }
        self.text.push('\n');
    }

    fn settings(&mut self, settings: &[Setting]) {
        let rows = settings.iter().map(|s| {
            let by = s.set_by.as_ref().map_or(String::new(), |by| format!(" Set by {by}."));
            let since = if s.since.is_empty() { String::new() } else { format!(" ({})", s.since) };
            vec![
                s.layer.to_string(),
                format!("`{}={}`", s.name, s.value),
                format!("{}.{by}", s.reason),
                format!("{}{since}", s.otherwise),
                s.source.clone(),
            ]
        });
        self.table(&["Layer", "Setting", "Why", "Otherwise", "Source"], rows);
    }
}

/// What stands in a cell may not end it, nor be read as HTML.
fn cell(text: &str) -> String {
    let mut quoted = false;
    let mut safe = String::new();
    for c in text.chars() {
        match c {
            '`' => {
                quoted = !quoted;
                safe.push(c);
            }
            '|' => safe.push_str("\\|"),
            '<' if !quoted => safe.push_str("&lt;"),
            '\n' => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

/// A number with its unit, as capacity figures have them.
pub(super) fn amount(value: u64, unit: &str) -> String {
    match unit {
        "bytes" => super::bytes(value),
        "bytes/s" => format!("{}/s", super::bytes(value)),
        "percent" => format!("{value}%"),
        "seconds" if value >= 120 => format!("{} min", value / 60),
        "seconds" => format!("{value} s"),
        _ => value.to_string(),
    }
}
