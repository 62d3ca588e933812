//! Fixes of client settings in the words of the file or the library that they stand in.

use klamm_plan::Risk;

use crate::evidence::{Client, Library, Line, Place, Role};
use crate::finding::Fix;
use crate::lines::{self, Block, is_springs};

/// A fix that sets settings (Java's names and values) of one client. It restarts what uses it.
pub fn set(client: &Client, what: impl Into<String>, settings: &[(&str, &str)]) -> Fix {
    let fix = Fix::new(what, Risk::RestartsClients);
    settings.iter().fold(fix, |fix, (name, to)| set_one(fix, client, name, to))
}

/// A fix that removes settings which somebody wrote.
pub fn remove(client: &Client, what: impl Into<String>, names: &[&str]) -> Fix {
    let fix = Fix::new(what, Risk::RestartsClients);
    names.iter().filter_map(|name| Some((name, client.setting(name)?))).fold(fix, |fix, (name, setting)| {
        if !is_code(&setting.place) {
            let from = lines::now(setting, name);
            let undo = format!("put `{}` back at {}", from.trim(), setting.place);
            return match setting.line {
                Line::Shared => fix.code(&setting.place, format!("remove `{from}`")),
                _ => fix.patch(&setting.place, from, ""),
            }
            .undo_by(undo);
        }
        let from = line(client, name, setting.value.as_deref().unwrap_or("…"));
        fix.code(&setting.place, format!("remove `{from}`"))
            .undo_by(format!("put `{from}` back at {}", setting.place))
    })
}

fn set_one(fix: Fix, client: &Client, name: &str, to: &str) -> Fix {
    let setting = client.setting(name);
    let place = setting.map_or(&client.place, |setting| &setting.place);
    if !is_code(place) {
        return in_file(fix, client, name, to);
    }
    let line_to = line(client, name, to);
    match setting {
        Some(setting) => match &setting.value {
            Some(value) => {
                let from = line(client, name, value);
                match from == line_to {
                    true => fix,
                    false => fix
                        .code(place, format!("`{line_to}` instead of `{from}`"))
                        .undo_by(format!("put `{from}` back at {place}")),
                }
            }
            None => fix
                .code(place, format!("make the computed value come to `{line_to}`"))
                .undo_by(format!("put the computed value back at {place}")),
        },
        None => fix
            .code(place, format!("add `{line_to}`"))
            .undo_by(format!("remove `{line_to}` from {}", place.file)),
    }
}

/// In a file of settings: the line as it stands there, or words where it has none of its own.
fn in_file(fix: Fix, client: &Client, name: &str, to: &str) -> Fix {
    match client.setting(name) {
        Some(setting) if setting.value.as_deref() == Some(to) => fix,
        Some(setting) if setting.value.is_none() => fix
            .code(&setting.place, format!("make the computed value of {name} come to {to}"))
            .undo_by(format!("put the computed value back at {}", setting.place)),
        // Clients' own files in YAML have no quotes.
        Some(setting)
            if setting.line == Line::Unknown && matches!(extension(&setting.place), "yaml" | "yml") =>
        {
            let written = setting.written.as_deref().unwrap_or(name);
            let value = setting.value.as_deref().unwrap_or_default();
            lines::patch(fix, &setting.place, format!("{written}: {value}"), format!("{written}: {to}"))
        }
        // The framework's own default stands nowhere.
        Some(setting) if setting.place.line == 0 && setting.line == Line::Shared => {
            let mut others = client.clone();
            others.settings.remove(name);
            in_file(fix, &others, name, to)
        }
        _ => Block { settings: &client.settings, place: &client.place }.set(
            fix,
            name,
            &in_framework(client, name),
            to,
        ),
    }
}

/// Is it source code, or a file of settings?
pub fn is_code(place: &Place) -> bool {
    const CODE: [&str; 13] =
        ["java", "kt", "kts", "scala", "groovy", "py", "go", "ts", "tsx", "js", "mjs", "cjs", "rs"];
    CODE.contains(&extension(place))
}

/// Is the value filled in when the program starts: `${POD}`, `{{ .Values.id }}`, `%s`?
pub fn templated(value: &str) -> bool {
    ["$", "{{", "%"].iter().any(|mark| value.contains(mark))
}

fn extension(place: &Place) -> &str {
    place.file.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map_or("", |(_, ending)| ending)
}

/// One setting as code of this library writes it.
fn line(client: &Client, name: &str, value: &str) -> String {
    let setting = client.setting(name);
    let place = setting.map_or(&client.place, |setting| &setting.place);
    let written = setting.and_then(|setting| setting.written.clone());
    let written = written.unwrap_or_else(|| in_framework(client, name));
    match (client.library, extension(place)) {
        (Library::KafkaPython | Library::Aiokafka, _) => format!("{written}={}", python(value)),
        (Library::Kafkajs, _) => kafkajs(&written, name, value),
        (Library::Sarama, _) => format!("config.{written} = {}", sarama(name, value)),
        (Library::KafkaGo, _) => format!("{written}: {}", kafka_go(name, value)),
        (Library::FranzGo, _) => franz_go(&written, name, value),
        (Library::Librdkafka, "rs") => format!(".set(\"{written}\", \"{value}\")"),
        (Library::Librdkafka, _) => format!("\"{written}\": \"{value}\""),
        (Library::Java, "java") => format!("props.put(\"{written}\", \"{value}\");"),
        (Library::Java, _) => format!("props[\"{written}\"] = \"{value}\""),
        (Library::Unknown, _) => format!("{written}={value}"),
    }
}

/// Frameworks keep settings of clients under names of their own.
fn in_framework(client: &Client, name: &str) -> String {
    let role = match client.role {
        Role::Producer => "producer",
        Role::Consumer => "consumer",
        _ => return client.spelled(name),
    };
    match is_spring(client) {
        true => format!("spring.kafka.{role}.properties.{name}"),
        // In code the name is the library's own: `retry.retries` says nothing about where others stand.
        false if is_code(&client.place) => client.spelled(name),
        false => format!("{}{}", prefix(client), client.spelled(name)),
    }
}

/// What stands before the names of its other settings: `mp.messaging.outgoing.orders.`.
fn prefix(client: &Client) -> &str {
    let beside = client.settings.iter().filter(|(_, setting)| setting.place.file == client.place.file);
    let mut before =
        beside.filter_map(|(name, setting)| setting.written.as_deref()?.strip_suffix(name.as_str()));
    before.find(|before| before.ends_with('.')).unwrap_or_default()
}

/// Spring configures it: its listener container then commits, not the client.
pub fn is_spring(client: &Client) -> bool {
    let mut written = client.settings.values().filter_map(|setting| setting.written.as_deref());
    written.any(is_springs)
}

fn python(value: &str) -> String {
    match value {
        "true" => "True".to_owned(),
        "false" => "False".to_owned(),
        number if number.parse::<i64>().is_ok() => number.to_owned(),
        text => format!("\"{text}\""),
    }
}

fn kafkajs(written: &str, name: &str, value: &str) -> String {
    if let Some((outer, inner)) = written.split_once('.') {
        return format!("{outer}: {{ {} }}", kafkajs(inner, name, value));
    }
    match name {
        "auto.offset.reset" => format!("fromBeginning: {}", value == "earliest"),
        "isolation.level" => format!("readUncommitted: {}", value == "read_uncommitted"),
        "acks" => format!("acks: {}", if value == "all" { "-1" } else { value }),
        _ if value.parse::<i64>().is_ok() || matches!(value, "true" | "false") => {
            format!("{written}: {value}")
        }
        _ => format!("{written}: '{value}'"),
    }
}

fn sarama(name: &str, value: &str) -> String {
    match (name, value) {
        ("acks", "all" | "-1") => "sarama.WaitForAll".to_owned(),
        ("acks", "1") => "sarama.WaitForLocal".to_owned(),
        ("acks", "0") => "sarama.NoResponse".to_owned(),
        ("auto.offset.reset", "earliest") => "sarama.OffsetOldest".to_owned(),
        ("auto.offset.reset", _) => "sarama.OffsetNewest".to_owned(),
        ("isolation.level", "read_committed") => "sarama.ReadCommitted".to_owned(),
        ("isolation.level", _) => "sarama.ReadUncommitted".to_owned(),
        ("compression.type", "lz4") => "sarama.CompressionLZ4".to_owned(),
        ("compression.type", "none") => "sarama.CompressionNone".to_owned(),
        ("transactional.id" | "group.instance.id", _) => format!("\"{value}\""),
        _ => go_number(name, value),
    }
}

fn kafka_go(name: &str, value: &str) -> String {
    match (name, value) {
        ("acks", "all" | "-1") => "kafka.RequireAll".to_owned(),
        ("acks", "1") => "kafka.RequireOne".to_owned(),
        ("acks", "0") => "kafka.RequireNone".to_owned(),
        ("auto.offset.reset", "earliest") => "kafka.FirstOffset".to_owned(),
        ("auto.offset.reset", _) => "kafka.LastOffset".to_owned(),
        ("isolation.level", "read_committed") => "kafka.ReadCommitted".to_owned(),
        ("isolation.level", _) => "kafka.ReadUncommitted".to_owned(),
        ("compression.type", "lz4") => "kafka.Lz4".to_owned(),
        _ => go_number(name, value),
    }
}

fn franz_go(written: &str, name: &str, value: &str) -> String {
    match (name, value) {
        ("enable.idempotence", "true") => "kgo.NewClient without kgo.DisableIdempotentWrite()".to_owned(),
        ("enable.idempotence", _) => "kgo.DisableIdempotentWrite()".to_owned(),
        ("enable.auto.commit", "false") => "kgo.DisableAutoCommit()".to_owned(),
        ("enable.auto.commit", _) => "kgo.NewClient without kgo.DisableAutoCommit()".to_owned(),
        ("acks", "all" | "-1") => "kgo.RequiredAcks(kgo.AllISRAcks())".to_owned(),
        ("acks", "1") => "kgo.RequiredAcks(kgo.LeaderAck())".to_owned(),
        ("acks", _) => "kgo.RequiredAcks(kgo.NoAck())".to_owned(),
        ("auto.offset.reset", "earliest") => "kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())".to_owned(),
        ("auto.offset.reset", _) => "kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd())".to_owned(),
        ("isolation.level", "read_committed") => "kgo.FetchIsolationLevel(kgo.ReadCommitted())".to_owned(),
        ("isolation.level", _) => "kgo.FetchIsolationLevel(kgo.ReadUncommitted())".to_owned(),
        ("transactional.id" | "group.instance.id", _) => format!("{written}(\"{value}\")"),
        _ => format!("{written}({})", go_number(name, value)),
    }
}

/// Go's clients take durations where Java takes milliseconds.
fn go_number(name: &str, value: &str) -> String {
    match name.ends_with(".ms") {
        true => format!("{value} * time.Millisecond"),
        false => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Setting;
    use crate::finding::Step;

    fn client(library: Library, file: &str) -> Client {
        let place = Place { file: file.to_owned(), line: 3, column: 0 };
        let value = Setting { value: Some("1".to_owned()), place: place.clone(), ..Setting::default() };
        let settings = [("acks".to_owned(), value)].into();
        Client { role: Role::Producer, library, place, settings, ..Client::default() }
    }

    fn step(library: Library, file: &str) -> String {
        let fix = set(&client(library, file), "wait for all", &[("acks", "all")]);
        match fix.steps.first() {
            Some(Step::Patch { from, to, .. }) => format!("{from} -> {to}"),
            Some(Step::Code { instead, .. }) => instead.clone(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_fix_is_written_in_the_words_of_its_file() {
        assert_eq!(step(Library::Java, "app.properties"), "acks=1 -> acks=all");
        assert_eq!(step(Library::Java, "app.yaml"), "acks: 1 -> acks: all");
        assert_eq!(step(Library::KafkaPython, "app.py"), "`acks=\"all\"` instead of `acks=1`");
        assert!(
            step(Library::Sarama, "main.go").contains("config.Producer.RequiredAcks = sarama.WaitForAll")
        );
        assert!(step(Library::FranzGo, "main.go").contains("kgo.RequiredAcks(kgo.AllISRAcks())"));
    }

    #[test]
    fn what_is_not_there_is_added() {
        let fix = set(&client(Library::Java, "app.properties"), "x", &[("enable.idempotence", "true")]);
        let Some(Step::Patch { from, to, .. }) = fix.steps.first() else { unreachable!("a patch") };
        assert_eq!((from.as_str(), to.as_str()), ("", "enable.idempotence=true"));
        assert!(!fix.undo.is_empty());
    }

    #[test]
    fn nested_options_of_kafkajs_are_written_as_objects() {
        let mut client = client(Library::Kafkajs, "app.js");
        let mut retries = client.settings["acks"].clone();
        (retries.value, retries.written) = (Some("0".to_owned()), Some("retry.retries".to_owned()));
        client.settings.insert("retries".to_owned(), retries);
        let fix = set(&client, "x", &[("enable.idempotence", "true"), ("retries", "10")]);
        let steps: Vec<&str> = fix
            .steps
            .iter()
            .filter_map(|step| match step {
                Step::Code { instead, .. } => Some(instead.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(
            steps,
            ["add `idempotent: true`", "`retry: { retries: 10 }` instead of `retry: { retries: 0 }`"]
        );
    }

    #[test]
    fn what_is_added_stands_under_the_prefix_of_the_framework() {
        let mut client = client(Library::Java, "app.properties");
        let acks = client.settings.get_mut("acks").expect("it is set");
        acks.written = Some("mp.messaging.outgoing.orders.acks".to_owned());
        let fix = set(&client, "x", &[("max.request.size", "1000")]);
        let Some(Step::Patch { to, .. }) = fix.steps.first() else { unreachable!("a patch") };
        assert_eq!(to, "mp.messaging.outgoing.orders.max.request.size=1000");
    }
}
