//! What rules about consumers and their loops share.

use crate::advice::is_spring;
use crate::check::{Cx, Out};
use crate::client::Effective;
use crate::evidence::{Client, EffectKind, Group, GroupKind, Library, PollLoop, Role, SourceUnit};

/// Consumers of files and code.
pub fn consumers<'a>(cx: &Cx<'a>, out: &mut Out) -> Vec<&'a Client> {
    cx.clients(&[Role::Consumer], out)
}

/// Loops of all source files, each with its file.
pub fn loops<'a>(cx: &Cx<'a>, out: &mut Out) -> Vec<(&'a SourceUnit, &'a PollLoop)> {
    let Some(code) = out.see("source code", &cx.evidence.code) else { return Vec::new() };
    for skipped in &code.skipped {
        out.unclear(&skipped.file, format!("it was not read: {}", skipped.why));
    }
    code.units.iter().flat_map(|unit| unit.loops.iter().map(move |each| (unit, each))).collect()
}

/// Does it read without a group? Then nothing is committed. Sarama and KafkaJS are given their group elsewhere.
pub fn ungrouped(client: &Client) -> bool {
    !client.open && client.effective("group.id").value().is_some_and(str::is_empty)
}

/// The loops in the file of a client that code makes.
pub fn loops_of<'a>(cx: &Cx<'a>, client: &Client) -> &'a [PollLoop] {
    let units = cx.evidence.code.value().map(|code| code.units.as_slice()).unwrap_or_default();
    units.iter().find(|unit| unit.file == client.place.file).map_or(&[], |unit| unit.loops.as_slice())
}

/// How findings name a loop: `loop run in src/app.py`.
pub fn subject(each: &PollLoop) -> String {
    let kind = if each.handler { "handler" } else { "loop" };
    match each.function.as_str() {
        "" => format!("{kind} in {}", each.place.file),
        function => format!("{kind} {function} in {}", each.place.file),
    }
}

/// `enable.auto.commit`; Spring turns it off where nobody says otherwise (`ContainerProperties`, since 2.3).
pub fn auto_commit(cx: &Cx<'_>, client: &Client) -> Effective {
    let told = client.setting("enable.auto.commit").is_some();
    let listener = client.library == Library::Java && loops_of(cx, client).iter().any(|each| each.handler);
    if !told && (is_spring(client) || listener) {
        let source = "default of Spring for Apache Kafka".to_owned();
        return Effective::Default { value: "false".to_owned(), source };
    }
    client.effective("enable.auto.commit")
}

/// When offsets that a library commits by itself are taken.
pub enum AutoCommit {
    /// When a record is handed out: the work on it has not begun.
    AtDelivery,
    /// At the next poll, those of the one before.
    AtNextPoll,
    /// When the handler has returned, or the program has marked the record.
    AfterWork,
    /// It cannot be told.
    Unknown(String),
}

/// When this library takes the offsets that it commits by itself.
///
/// librdkafka stores an offset when it hands the record out (`enable.auto.offset.store`); aiokafka's background task commits what `getone` has
/// moved past. Java, kafka-python and franz-go commit what the poll before returned; KafkaJS after the handler; Sarama what was marked.
pub fn auto_commit_time(client: &Client) -> AutoCommit {
    match client.library {
        Library::Librdkafka => match client.effective("enable.auto.offset.store") {
            store if store.flag() == Some(false) => AutoCommit::AfterWork,
            store if store.flag() == Some(true) => AutoCommit::AtDelivery,
            store => AutoCommit::Unknown(store.source().to_owned()),
        },
        Library::Aiokafka => AutoCommit::AtDelivery,
        Library::Java | Library::KafkaPython | Library::FranzGo => AutoCommit::AtNextPoll,
        Library::Kafkajs | Library::Sarama => AutoCommit::AfterWork,
        Library::KafkaGo => AutoCommit::Unknown("ReadMessage commits and FetchMessage does not".to_owned()),
        Library::Unknown => AutoCommit::Unknown("the library is not known".to_owned()),
    }
}

/// Work that was handed off and that nobody waits for before the loop ends or `until`.
pub fn unjoined(each: &PollLoop) -> Option<&crate::evidence::Effect> {
    let at = each.effects.iter().position(|effect| effect.kind == EffectKind::HandOff)?;
    let joined = each.effects[at..].iter().any(|effect| effect.kind == EffectKind::Join);
    if joined { None } else { each.effects.get(at) }
}

/// Groups that read by offsets, whose members and offsets rules judge.
pub fn reading_groups<'a>(cx: &Cx<'a>, out: &mut Out) -> Vec<&'a Group> {
    let Some(groups) = out.see("groups", &cx.evidence.groups) else { return Vec::new() };
    let reading = groups.iter().filter(|group| !matches!(group.kind, GroupKind::Share | GroupKind::Other));
    let reading: Vec<&Group> = reading.collect();
    for group in &reading {
        for missing in &group.missing {
            out.unclear(&format!("group {}", group.name), missing.clone());
        }
    }
    reading
}

/// Topics that a group has offsets of or reads, sorted.
pub fn topics_of(group: &Group) -> Vec<String> {
    let offsets = group.offsets.iter().map(|offset| offset.topic.clone());
    let assigned = group.members.iter().flat_map(|member| member.assigned.iter().flatten());
    let mut topics: Vec<String> = offsets.chain(assigned.map(|each| each.topic.clone())).collect();
    topics.sort();
    topics.dedup();
    topics
}

/// Partitions of these topics; `None` when one of them was not seen.
pub fn partitions_of(cx: &Cx<'_>, topics: &[String]) -> Option<u64> {
    let seen = cx.evidence.live.topics.value()?;
    topics.iter().map(|topic| seen.get(topic).map(|topic| topic.partitions.len() as u64)).sum()
}
