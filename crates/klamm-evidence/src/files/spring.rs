//! Spring Boot's `application.yml` and `application.properties`: `spring.kafka.*`, with relaxed names and profiles.

use std::collections::BTreeMap;

use klamm_rules::evidence::{Client, Library, Line, Place, Role, Setting};

use super::names::Dialect;
use super::settings::{File, literal, topics};
use super::tree::{At, Pair};

/// How Spring writes a value that Kafka has as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Plain,
    /// `5s` for milliseconds.
    Duration,
    /// `16KB` for bytes.
    Size,
}

/// Spring's names (without dashes, in lower case), Kafka's, and the unit.
const NAMES: &[(&str, &str, Unit)] = &[
    ("bootstrapservers", "bootstrap.servers", Unit::Plain),
    ("clientid", "client.id", Unit::Plain),
    ("security.protocol", "security.protocol", Unit::Plain),
    ("ssl.keypassword", "ssl.key.password", Unit::Plain),
    ("ssl.keystorekey", "ssl.keystore.key", Unit::Plain),
    ("ssl.keystorelocation", "ssl.keystore.location", Unit::Plain),
    ("ssl.keystorepassword", "ssl.keystore.password", Unit::Plain),
    ("ssl.keystoretype", "ssl.keystore.type", Unit::Plain),
    ("ssl.truststorelocation", "ssl.truststore.location", Unit::Plain),
    ("ssl.truststorepassword", "ssl.truststore.password", Unit::Plain),
    ("ssl.truststoretype", "ssl.truststore.type", Unit::Plain),
    ("ssl.protocol", "ssl.protocol", Unit::Plain),
    ("acks", "acks", Unit::Plain),
    ("batchsize", "batch.size", Unit::Size),
    ("buffermemory", "buffer.memory", Unit::Size),
    ("compressiontype", "compression.type", Unit::Plain),
    ("keyserializer", "key.serializer", Unit::Plain),
    ("valueserializer", "value.serializer", Unit::Plain),
    ("retries", "retries", Unit::Plain),
    ("autocommitinterval", "auto.commit.interval.ms", Unit::Duration),
    ("autooffsetreset", "auto.offset.reset", Unit::Plain),
    ("enableautocommit", "enable.auto.commit", Unit::Plain),
    ("fetchmaxwait", "fetch.max.wait.ms", Unit::Duration),
    ("fetchminsize", "fetch.min.bytes", Unit::Size),
    ("groupid", "group.id", Unit::Plain),
    ("heartbeatinterval", "heartbeat.interval.ms", Unit::Duration),
    ("isolationlevel", "isolation.level", Unit::Plain),
    ("keydeserializer", "key.deserializer", Unit::Plain),
    ("valuedeserializer", "value.deserializer", Unit::Plain),
    ("maxpollrecords", "max.poll.records", Unit::Plain),
    ("maxpollinterval", "max.poll.interval.ms", Unit::Duration),
    ("applicationid", "application.id", Unit::Plain),
    ("replicationfactor", "replication.factor", Unit::Plain),
    ("statedir", "state.dir", Unit::Plain),
    ("statestorecachemaxsize", "statestore.cache.max.bytes", Unit::Size),
    ("cachemaxsizebuffering", "cache.max.bytes.buffering", Unit::Size),
];

/// A setting of `spring.kafka`: its part (`producer`, or nothing for all), and its name.
struct Own {
    part: String,
    name: String,
    unit: Unit,
}

/// `spring.kafka.producer.key-serializer` in whatever way Spring lets it be written.
fn own(written: &str) -> Option<Own> {
    let bracket = written.replace("properties[", "properties.").replace(']', "");
    let (head, free) = match bracket.split_once(".properties.") {
        Some((head, free)) => (head, Some(free)),
        None => (bracket.as_str(), None),
    };
    let plain = head.to_ascii_lowercase().replace(['-', '_'], "");
    let rest = match plain.strip_prefix("spring.kafka") {
        Some("") => "",
        Some(rest) => rest.strip_prefix('.')?,
        None => return None,
    };
    let (part, rest) = match rest.split_once('.').unwrap_or((rest, "")) {
        (part @ ("producer" | "consumer" | "streams" | "admin" | "listener" | "template"), rest) => {
            (part, rest)
        }
        _ => ("", rest),
    };
    if let Some(free) = free {
        return Some(Own { part: part.to_owned(), name: free.to_owned(), unit: Unit::Plain });
    }
    let known = NAMES.iter().find(|(spring, ..)| *spring == rest);
    let (name, unit) = known.map_or((rest, Unit::Plain), |(_, java, unit)| (*java, *unit));
    let name = match part {
        "listener" | "template" => format!("spring.kafka.{part}.{name}"),
        _ if known.is_none() => format!("spring.kafka.{name}"),
        _ => name.to_owned(),
    };
    Some(Own { part: part.to_owned(), name, unit })
}

/// Whether a file has to do with Spring's Kafka.
pub(super) fn applies(pairs: &[Pair]) -> bool {
    pairs.iter().any(|pair| own(&pair.name).is_some())
}

fn profile_of(document: &[Pair]) -> Option<&str> {
    let names = ["spring.config.activate.on-profile", "spring.config.activate.onProfile", "spring.profiles"];
    document.iter().find(|pair| names.contains(&pair.name.as_str())).map(|pair| pair.text.as_str())
}

/// The profile that a whole file is for: `application-prod.yml`.
fn profile_of_file(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next()?.strip_prefix("application-")?;
    name.split('.').next().filter(|profile| !profile.is_empty())
}

/// The documents of one file. Those of a profile are read over those without.
pub(super) fn read(documents: &[Vec<Pair>], file: &mut File<'_>) {
    let base: Vec<Pair> =
        documents.iter().filter(|document| profile_of(document).is_none()).flatten().cloned().collect();
    if applies(&base) {
        application(&base, profile_of_file(file.path), file);
    }
    for document in documents.iter().filter(|document| applies(document)) {
        if let Some(profile) = profile_of(document) {
            application(&[&base, document.as_slice()].concat(), Some(profile), file);
        }
    }
}

/// `SPRING_KAFKA_…` of a container, over what its application has in its own files.
pub(super) fn environment(pairs: &[Pair], container: &str, file: &mut File<'_>) {
    let named: Vec<Pair> =
        pairs.iter().filter_map(|pair| Some(pair.named(of_variable(&pair.name)?))).collect();
    if named.is_empty() {
        return;
    }
    let before = file.into.clients.len();
    application(&named, None, file);
    for client in &mut file.into.clients[before..] {
        client.open = true;
        // Whether the client commits, the application's own file may say.
        client.settings.retain(|_, setting| setting.place.line > 0);
        if client.name.is_empty() {
            container.clone_into(&mut client.name);
        }
    }
}

/// `SPRING_KAFKA_PRODUCER_KEYSERIALIZER` as `spring.kafka.producer.keyserializer`: variables have no dashes, and may have an underscore for each.
fn of_variable(variable: &str) -> Option<String> {
    let rest = variable.strip_prefix("SPRING_KAFKA_")?.to_ascii_lowercase();
    let parts = ["producer", "consumer", "streams", "admin", "listener", "template"];
    let (part, rest) = match rest.split_once('_') {
        Some((part, rest)) if parts.contains(&part) => (format!("{part}."), rest.to_owned()),
        _ => (String::new(), rest),
    };
    let free = rest.strip_prefix("properties_");
    let squeezed = rest.replace('_', "");
    let known = NAMES.iter().find(|(name, ..)| name.replace('.', "") == squeezed);
    let name = match (free, known) {
        (Some(free), _) => format!("properties.{}", free.replace('_', ".")),
        (None, Some((name, ..))) => (*name).to_owned(),
        (None, None) => rest.replace('_', "."),
    };
    Some(format!("spring.kafka.{part}{name}"))
}

fn application(pairs: &[Pair], profile: Option<&str>, file: &mut File<'_>) {
    let mut parts: BTreeMap<String, Vec<(Own, &Pair)>> = BTreeMap::new();
    for pair in pairs {
        if let Some(own) = own(&pair.name) {
            parts.entry(own.part.clone()).or_default().push((own, pair));
        }
    }
    // `application-prod.yml` goes over an `application.yml`, and imports bring what is not here.
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let open = name.starts_with("application-")
        || name.starts_with("bootstrap")
        || pairs.iter().any(|pair| pair.name.starts_with("spring.config.import"));
    let mut made = 0;
    for (role, belong) in [
        (Role::Producer, &["producer", "template"][..]),
        (Role::Consumer, &["consumer", "listener"]),
        (Role::Streams, &["streams"]),
    ] {
        if !belong.iter().any(|part| parts.contains_key(*part)) {
            continue;
        }
        made += 1;
        let client = of_profile(client(role, belong, &parts, file), profile);
        file.into.clients.push(Client { open: open || role == Role::Streams, ..client });
    }
    if made == 0 {
        let client = of_profile(client(Role::Unknown, &[], &parts, file), profile);
        file.into.clients.push(Client { open: true, ..client });
    }
}

/// People tell the clients of one file apart by the profile that makes them.
fn of_profile(client: Client, profile: Option<&str>) -> Client {
    let Some(profile) = profile else { return client };
    let name = format!("{} (profile {profile})", client.name).trim_start().to_owned();
    Client { name, ..client }
}

fn client(
    role: Role,
    belong: &[&str],
    parts: &BTreeMap<String, Vec<(Own, &Pair)>>,
    file: &mut File<'_>,
) -> Client {
    let mut settings = BTreeMap::new();
    let mut at: Option<At> = None;
    let mut reads = Vec::new();
    for part in [""].iter().chain(belong) {
        for (own, pair) in parts.get(*part).map(Vec::as_slice).unwrap_or_default() {
            if !part.is_empty() || belong.is_empty() {
                at = Some(at.filter(|at| at.line <= pair.at.line).unwrap_or(pair.at));
            }
            if own.name.ends_with("template.defaulttopic") {
                reads.extend(topics(&pair.text));
            }
            let setting = setting(own, pair, file);
            settings.insert(own.name.clone(), setting);
        }
    }
    if role == Role::Producer {
        // The prefix is made an id for each producer.
        let prefix = settings.get("spring.kafka.transactionidprefix").cloned();
        prefix
            .map(|prefix| settings.insert("transactional.id".to_owned(), Setting { value: None, ..prefix }));
    }
    if role == Role::Consumer && !settings.contains_key("enable.auto.commit") {
        // Spring's listeners commit by themselves and turn the client's own commits off, unless somebody turns them on.
        let place = Place { file: file.path.to_owned(), ..Place::default() };
        let value = Some("false".to_owned());
        let written = Some("Spring's default".to_owned());
        let made = Setting { value, written, place, line: Line::Shared, ..Setting::default() };
        settings.insert("enable.auto.commit".to_owned(), made);
    }
    let name = ["client.id", "application.id", "group.id"]
        .iter()
        .find_map(|name| settings.get(*name)?.value.clone());
    Client {
        role,
        library: Library::Java,
        name: name.and_then(|name| literal(&name)).unwrap_or_default(),
        place: file.place(at.unwrap_or_default()),
        topics: reads,
        settings,
        ..Client::default()
    }
}

fn setting(own: &Own, pair: &Pair, file: &mut File<'_>) -> Setting {
    let (_, setting) = file.setting(pair, Dialect::Java);
    let value = setting.value.and_then(|value| match own.unit {
        Unit::Duration => milliseconds(&value),
        Unit::Size => bytes(&value),
        Unit::Plain => Some(match own.name.as_str() {
            "isolation.level" => value.to_ascii_lowercase().replace('-', "_"),
            "acks" if value == "-1" => "all".to_owned(),
            _ => value,
        }),
    });
    let written = pair.written.as_ref().unwrap_or(&pair.name).clone();
    Setting { value, written: Some(written), ..setting }
}

fn quantity(text: &str, units: &[(&str, u64)]) -> Option<String> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim().to_ascii_lowercase();
    let (_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    Some(number.parse::<u64>().ok()?.checked_mul(*scale)?.to_string())
}

/// Spring's `5s`, ISO's `PT5S`, or milliseconds.
fn milliseconds(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_lowercase();
    let text = text.strip_prefix("pt").unwrap_or(&text);
    quantity(text, &[("", 1), ("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)])
}

/// Spring's `16KB`, which are 16384 bytes.
fn bytes(text: &str) -> Option<String> {
    quantity(text, &[("", 1), ("b", 1), ("kb", 1 << 10), ("mb", 1 << 20), ("gb", 1 << 30)])
}

#[cfg(test)]
mod tests {
    use klamm_rules::evidence::FileEvidence;

    use super::super::read;
    use super::*;

    fn clients(path: &str, text: &str) -> FileEvidence {
        let mut into = FileEvidence::default();
        read(path, text, &mut into);
        into
    }

    #[test]
    fn producers_and_consumers_take_what_all_share() {
        let text = "spring:\n  kafka:\n    bootstrap-servers: [h1:9092, h2:9092]\n    properties:\n      security.protocol: SASL_SSL\n      \"[sasl.mechanism]\": PLAIN\n    producer:\n      acks: 1\n      batchSize: 16KB\n      keySerializer: X\n    consumer:\n      group-id: g\n      fetch-max-wait: 2s\n      isolation-level: READ_COMMITTED\n";
        let found = clients("application.yml", text);
        let [producer, consumer] = found.clients.as_slice() else { panic!("{found:?}") };
        assert_eq!((producer.role, consumer.role), (Role::Producer, Role::Consumer));
        let value = |client: &Client, name: &str| client.settings[name].value.clone().unwrap_or_default();
        assert_eq!(value(producer, "bootstrap.servers"), "h1:9092,h2:9092");
        assert_eq!((value(producer, "acks"), value(producer, "batch.size")), ("1".into(), "16384".into()));
        assert_eq!(value(producer, "sasl.mechanism"), "PLAIN");
        assert_eq!(producer.settings["acks"].written.as_deref(), Some("spring.kafka.producer.acks"));
        assert_eq!((producer.settings["acks"].place.line, producer.settings["acks"].place.column), (8, 13));
        assert_eq!(value(consumer, "fetch.max.wait.ms"), "2000");
        assert_eq!(value(consumer, "isolation.level"), "read_committed");
        assert_eq!(value(consumer, "enable.auto.commit"), "false");
        assert!(!producer.open && !producer.settings.contains_key("group.id"));
    }

    #[test]
    fn a_profile_goes_over_the_rest() {
        let text = "spring.kafka.producer.acks: all\n---\nspring:\n  config.activate.on-profile: fast\n  kafka.producer.acks: ${ACKS:1}\n";
        let found = clients("application.yaml", text);
        let acks: Vec<_> =
            found.clients.iter().map(|client| client.settings["acks"].value.as_deref()).collect();
        assert_eq!(acks, [Some("all"), None]);
    }

    #[test]
    fn clients_of_a_profile_are_named_by_it() {
        let text = "spring.kafka.producer.acks: all\n---\nspring:\n  config.activate.on-profile: prod\n  kafka.producer: { acks: 1, client-id: w }\n";
        let names = |found: FileEvidence| found.clients.into_iter().map(|c| c.name).collect::<Vec<_>>();
        assert_eq!(names(clients("application.yaml", text)), ["", "w (profile prod)"]);
        let dev = clients("src/application-dev.properties", "spring.kafka.producer.acks=0\n");
        assert_eq!(names(dev), ["(profile dev)"]);
    }

    #[test]
    fn variables_of_a_container_are_springs_names() {
        for (variable, name) in [
            ("SPRING_KAFKA_PRODUCER_ACKS", "spring.kafka.producer.acks"),
            ("SPRING_KAFKA_BOOTSTRAP_SERVERS", "spring.kafka.bootstrapservers"),
            ("SPRING_KAFKA_CONSUMER_ENABLEAUTOCOMMIT", "spring.kafka.consumer.enableautocommit"),
            ("SPRING_KAFKA_PROPERTIES_SASL_JAAS_CONFIG", "spring.kafka.properties.sasl.jaas.config"),
            ("SPRING_KAFKA_SSL_TRUST_STORE_LOCATION", "spring.kafka.ssl.truststorelocation"),
        ] {
            assert_eq!(of_variable(variable).as_deref(), Some(name));
        }
    }

    #[test]
    fn properties_and_secrets() {
        let text = "spring.kafka.consumer.enable-auto-commit=true\nspring.kafka.ssl.key-store-password=hunter2\nspring.datasource.password=other\n";
        let found = clients("application-prod.properties", text);
        assert_eq!(found.secrets.len(), 1);
        assert!(found.clients[0].open && found.clients[0].settings["ssl.keystore.password"].secret);
        assert!(!format!("{found:?}").contains("hunter2"));
    }

    #[test]
    fn an_application_without_kafka_yields_nothing() {
        let found = clients(
            "application.yml",
            "spring:\n  datasource: { url: x, password: kafka }\nserver.port: 1\n",
        );
        assert!(found.clients.is_empty() && found.secrets.is_empty());
    }
}
