//! Settings of brokers: as the cluster tells them, and as files have them.

use std::collections::BTreeMap;

use klamm_contract::facts::ConfigSource;
use klamm_kafka::{UpdateMode, update_mode};
use klamm_plan::{Change, ChangeKind, Risk};

use crate::check::{Cx, Out};
use crate::evidence::{Broker, BrokerFile, Place, Setting};
use crate::finding::{Finding, Fix, Severity};
use crate::lines::{self, Block};
use crate::text::{listed, source_of};

/// A setting of one broker.
#[derive(Debug, Clone, Copy)]
pub struct Value<'a> {
    /// Who has it.
    pub home: Home<'a>,
    /// What it is.
    pub value: &'a str,
}

/// Who has a setting.
#[derive(Debug, Clone, Copy)]
pub enum Home<'a> {
    /// A live broker, with the layer that the value comes from.
    Live(&'a Broker, ConfigSource),
    /// A file; `None` when the value is Kafka's default.
    File(&'a BrokerFile, Option<&'a Setting>),
}

/// A setting that is to be another one.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// Kafka's name.
    pub name: &'a str,
    /// The value to be.
    pub to: &'a str,
    /// How bad it is as it is.
    pub severity: Severity,
    /// What is wrong.
    pub what: String,
    /// What comes of it.
    pub consequence: String,
    /// What doing it can do, where no restart is needed.
    pub risk: Risk,
    /// The next question.
    pub next: String,
}

impl Value<'_> {
    /// The value as a number.
    pub fn number(&self) -> Option<i64> {
        self.value.trim().parse().ok()
    }

    /// The value is `true`.
    pub fn is_true(&self) -> bool {
        self.value.trim().eq_ignore_ascii_case("true")
    }

    fn is_live(&self) -> bool {
        matches!(self.home, Home::Live(..))
    }
}

/// A setting of all brokers that were seen, alive and in files; `default` is what a file that does not set it means.
/// Writes down whose value is not known.
pub fn values<'a>(cx: &Cx<'a>, out: &mut Out, name: &str, default: &'a str) -> Vec<Value<'a>> {
    let mut all = live_values(cx, out, name);
    all.extend(file_values(cx, out, name, default));
    all
}

/// The setting of all live brokers.
pub fn live_values<'a>(cx: &Cx<'a>, out: &mut Out, name: &str) -> Vec<Value<'a>> {
    let Some(brokers) = out.see("brokers of the cluster", &cx.evidence.live.brokers) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for broker in brokers {
        let what = format!("configuration of broker {}", broker.id);
        let Some(configs) = out.see(&what, &broker.configs) else { continue };
        match configs.get(name).map(|fact| (fact.source, fact.value.as_deref())) {
            Some((source, Some(value))) => all.push(Value { home: Home::Live(broker, source), value }),
            _ => out.unclear(&format!("broker {}", broker.id), format!("{name} was not told")),
        }
    }
    all
}

/// The setting in all files of brokers.
pub fn file_values<'a>(cx: &Cx<'a>, out: &mut Out, name: &str, default: &'a str) -> Vec<Value<'a>> {
    let Some(files) = out.see("configuration files", &cx.evidence.files) else { return Vec::new() };
    let mut all = Vec::new();
    for file in files.brokers.iter().filter(|file| is_broker(file)) {
        match (file.settings.get(name), file.open) {
            (Some(setting), _) => match &setting.value {
                Some(value) => all.push(Value { home: Home::File(file, Some(setting)), value }),
                None => out.unclear(&subject(file), format!("{name} is set to what is not a constant")),
            },
            (None, true) => out.unclear(&subject(file), format!("{name} may be set where nobody looked")),
            (None, false) => all.push(Value { home: Home::File(file, None), value: default }),
        }
    }
    all
}

/// A file that makes a broker, perhaps a controller besides.
pub fn is_broker(file: &BrokerFile) -> bool {
    let roles = file.settings.get("process.roles").and_then(|setting| setting.value.as_deref());
    roles.is_none_or(|roles| roles.split(',').any(|role| role.trim() == "broker"))
}

/// How findings name a broker of a file.
pub fn subject(file: &BrokerFile) -> String {
    match file.name.as_str() {
        "" => format!("broker in {}", file.place.file),
        name => format!("broker {name} in {}", file.place.file),
    }
}

/// One finding about the cluster for what live brokers have, and one about each file. `dress` adds to each what only the
/// rule knows.
pub fn report(
    cx: &Cx<'_>,
    out: &mut Out,
    bad: &[Value<'_>],
    wanted: &Wanted<'_>,
    dress: impl Fn(Finding) -> Finding,
) {
    let live: Vec<Value<'_>> = bad.iter().copied().filter(Value::is_live).collect();
    if !live.is_empty() {
        let finding = Finding::new(wanted.severity, "cluster", wanted.what.clone());
        let finding = facts(finding, wanted.name, &live).fix(live_fix(cx, wanted, &live));
        out.found(dress(finding.consequence(wanted.consequence.clone()).next(wanted.next.clone())));
    }
    for value in bad {
        let Home::File(file, setting) = value.home else { continue };
        let place = setting.map_or(&file.place, |setting| &setting.place);
        let source = if setting.is_some() { place.to_string() } else { "Kafka's default".to_owned() };
        let finding = Finding::new(wanted.severity, subject(file), wanted.what.clone())
            .fact(wanted.name, value.value, source)
            .consequence(wanted.consequence.clone())
            .fix(file_fix(file, setting, wanted.name, wanted.to))
            .next(wanted.next.clone())
            .at(place);
        out.found(dress(finding));
    }
}

/// A fact for each value that brokers have, with those that have it.
pub fn facts(finding: Finding, name: &str, values: &[Value<'_>]) -> Finding {
    let mut by_value: BTreeMap<(&str, &'static str), Vec<i32>> = BTreeMap::new();
    for value in values {
        if let Home::Live(broker, _) = value.home {
            let source = broker.configs.value().map_or("not told", |configs| source_of(configs, name));
            by_value.entry((value.value, source)).or_default().push(broker.id);
        }
    }
    by_value.into_iter().fold(finding, |finding, ((value, source), ids)| {
        let noun = if ids.len() == 1 { "broker" } else { "brokers" };
        finding.fact(name, value, format!("{source}, {noun} {}", listed(&ids, 5)))
    })
}

fn live_fix(cx: &Cx<'_>, wanted: &Wanted<'_>, live: &[Value<'_>]) -> Fix {
    let Wanted { name, to, risk, .. } = wanted;
    let homes: Vec<(i32, ConfigSource, &str)> = live
        .iter()
        .filter_map(|value| match value.home {
            Home::Live(broker, source) => Some((broker.id, source, value.value)),
            Home::File(..) => None,
        })
        .collect();
    if update_mode(name) != UpdateMode::ClusterWide {
        let ids: Vec<i32> = homes.iter().map(|(id, ..)| *id).collect();
        let before = homes.first().map_or("", |(.., value)| value);
        return restart_fix(cx, &ids, &format!("{name}={to}"), &format!("{name}={before}"));
    }
    let mut fix = Fix::new(format!("set {name} of all brokers to {to}"), *risk);
    let own = |source: ConfigSource| source == ConfigSource::DynamicBroker;
    for (id, _, before) in homes.iter().filter(|(_, source, _)| own(*source)) {
        fix = fix.command(of_broker(cx, *id, &format!("--delete-config {name}"))).undo(of_broker(
            cx,
            *id,
            &format!("--add-config {name}={before}"),
        ));
    }
    let told = homes.iter().find(|(_, source, _)| *source == ConfigSource::DynamicDefaultBroker);
    let from = homes.iter().find(|(_, source, _)| !own(*source)).or(homes.first());
    let kind = ChangeKind::SetBrokers {
        name: (*name).to_owned(),
        from: from.map(|(.., value)| (*value).to_owned()),
        told: told.is_some(),
        to: Some((*to).to_owned()),
    };
    let back = match told {
        Some((.., before)) => cx.set_brokers(name, before),
        None => cx.unset_brokers(name),
    };
    fix = fix.command(cx.set_brokers(name, to)).undo(back);
    let overridden = homes.iter().any(|(_, source, _)| own(*source));
    if overridden { fix } else { fix.change(Change { topic: String::new(), kind, risk: *risk }) }
}

/// What brokers read when they start: written by people, and brokers restarted in a safe order.
pub fn restart_fix(cx: &Cx<'_>, ids: &[i32], to: &str, from: &str) -> Fix {
    let noun = if ids.len() == 1 { "broker" } else { "brokers" };
    let ids = listed(ids, 20);
    Fix::new(format!("write {to} into the configuration of {noun} {ids}"), Risk::NeedsBrokerRestart)
        .ask(format!("write {to} into server.properties of {noun} {ids}"))
        .command(format!("klamm broker restart-order --bootstrap {}", cx.bootstrap()))
        .ask("restart the brokers in that order, one at a time")
        .undo_by(format!("write {from} there again, and restart in the same way"))
}

/// A broker's file as it is to be, and the restart that it needs.
pub fn file_fix(file: &BrokerFile, setting: Option<&Setting>, name: &str, to: &str) -> Fix {
    let what = format!("set {name} to {to}, and restart the brokers one at a time");
    let fix = Fix::new(what, Risk::NeedsBrokerRestart);
    match setting {
        Some(setting) => lines::replace(fix, setting, name, to),
        None => change_file(fix, &file.settings, &file.place, name, to),
    }
}

/// Sets a setting of a file in the form of that file.
pub fn change_file(
    fix: Fix,
    settings: &BTreeMap<String, Setting>,
    place: &Place,
    name: &str,
    to: &str,
) -> Fix {
    Block { settings, place }.set(fix, name, name, to)
}

/// The command that changes the configuration of one broker: `--add-config a=b`, `--delete-config a`.
pub fn of_broker(cx: &Cx<'_>, id: i32, change: &str) -> String {
    format!(
        "kafka-configs.sh --bootstrap-server {} --alter --entity-type brokers --entity-name {id} {change}",
        cx.bootstrap()
    )
}
