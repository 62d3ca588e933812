//! The cluster, and how clients connect to it.

use std::collections::BTreeMap;

use klamm_kafka::{Mechanism, Version};

use super::language;
use crate::Span;
use crate::spec::decode::{Context, Decode, Spanned};
use crate::spec::raw::{ClusterOrFile, RawCluster, RawClusterFile, RawMachine, RawSasl, RawTls, RawUser};
use crate::spec::units::{PerSecond, Rate};
use crate::spec::{ClusterSpec, MachineSpec, SaslSpec, SecretRef, SecuritySpec, TlsSpec, UserSpec, yaml};

/// No cluster has more; placements are computed for as many.
const MAX_BROKERS: u32 = 10_000;

pub(super) fn resolve(
    cluster: ClusterOrFile,
    files: &BTreeMap<String, String>,
    cx: &mut Context,
) -> Option<ClusterSpec> {
    let file = match cluster {
        ClusterOrFile::Here(raw) => return Some(check_cluster(*raw, cx)),
        ClusterOrFile::File(file) => file,
    };
    let Some(text) = files.get(&file.value) else {
        cx.error("missing-file", file.span, format!("the cluster file {:?} could not be read", file.value))
            .help = Some("it is looked for beside the spec".to_owned());
        return None;
    };
    let mut inner = Context { file: file.value.clone(), diagnostics: Vec::new() };
    let node = yaml::parse(&file.value, text, &mut inner.diagnostics);
    let cluster = node.and_then(|node| RawClusterFile::decode(&node, &mut inner)).map(|raw| {
        language(&raw.klamm, &mut inner);
        check_cluster(raw.cluster, &mut inner)
    });
    for diagnostic in inner.diagnostics {
        cx.diagnostics.push(diagnostic.also(&cx.file, file.span, "named here"));
    }
    cluster
}

fn check_cluster(raw: Spanned<RawCluster>, cx: &mut Context) -> ClusterSpec {
    let Spanned { value: raw, span } = raw;
    let bootstrap = raw.bootstrap.unwrap_or_default();
    for address in &bootstrap {
        if !is_address(&address.value) {
            cx.error("bad-address", address.span, format!("{:?} is no address", address.value)).help =
                Some("write host:port, like localhost:9092".to_owned());
        }
    }
    if let Some(brokers) = &raw.brokers {
        check_brokers(brokers, cx);
    }
    let racks = raw.racks.map(|racks| {
        for (at, rack) in racks.value.iter().enumerate() {
            if let Some(first) = racks.value[..at].iter().find(|other| other.value == rack.value) {
                let file = cx.file.clone();
                let diagnostic =
                    cx.error("duplicate-rack", rack.span, format!("rack {:?} is named twice", rack.value));
                *diagnostic = diagnostic.clone().also(&file, first.span, "first named here");
            }
        }
        Spanned {
            value: racks.value.into_iter().map(|rack| rack.value).collect::<Vec<_>>(),
            span: racks.span,
        }
    });
    if let (Some(brokers), Some(racks)) = (&raw.brokers, &racks)
        && racks.value.len() > brokers.value as usize
    {
        let message =
            format!("{} racks cannot each have one of {} brokers", racks.value.len(), brokers.value);
        cx.error("more-racks-than-brokers", racks.span, message);
    }
    let security = raw.security.map_or_else(SecuritySpec::default, |security| SecuritySpec {
        tls: security.tls.map(|tls| check_tls(tls, cx)),
        sasl: security.sasl.and_then(|sasl| check_sasl(sasl, cx)),
    });
    let version = raw.version.and_then(|version| check_version(&version, cx));
    let upgrade = raw.upgrade.and_then(|text| {
        let upgrade = check_version(&text, cx)?;
        if upgrade <= version.unwrap_or(Version::ASSUMED) {
            let message =
                format!("an upgrade from {} to {upgrade} goes nowhere", version.unwrap_or(Version::ASSUMED));
            cx.error("bad-upgrade", text.span, message);
        }
        Some(upgrade)
    });
    if let Some(controllers) = raw.controllers.as_ref().filter(|number| !matches!(number.value, 1 | 3 | 5)) {
        let message = format!("{} controllers: a quorum has 3 or 5, for a laptop 1", controllers.value);
        cx.error("bad-controllers", controllers.span, message).help =
            Some("an even number survives no more than one less does".to_owned());
    }
    ClusterSpec {
        kind: raw.kind.map_or_else(Default::default, |word| word.0),
        version,
        upgrade,
        controllers: raw.controllers.map(|number| number.value),
        partition: raw.partition.and_then(|rate| bytes_only(&rate, cx)),
        machine: raw.machine.map_or_else(MachineSpec::default, |machine| check_machine(machine.value, cx)),
        file: cx.file.clone(),
        span,
        bootstrap: bootstrap.into_iter().map(|address| address.value).collect(),
        brokers: raw.brokers,
        racks,
        security,
    }
}

fn check_brokers(brokers: &Spanned<u32>, cx: &mut Context) {
    if brokers.value == 0 {
        cx.error("no-brokers", brokers.span, "a cluster has at least 1 broker");
    }
    if brokers.value > MAX_BROKERS {
        let message = format!("{} brokers are more than {MAX_BROKERS}", brokers.value);
        cx.error("too-many-brokers", brokers.span, message);
    }
}

/// `host:port` or `[v6]:port`.
fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        let plain = !host.contains([':', '/', ' ', '@']);
        let v6 = host.starts_with('[') && host.ends_with(']');
        !host.is_empty() && (plain || v6) && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

fn check_tls(raw: RawTls, cx: &mut Context) -> TlsSpec {
    let alone = match (&raw.cert, &raw.key) {
        (Some(cert), None) => Some((cert.span, "cert without key")),
        (None, Some(key)) => Some((key.span, "key without cert")),
        _ => None,
    };
    if let Some((span, what)) = alone {
        cx.error("incomplete-tls", span, what).help =
            Some("a client certificate needs both cert and key".to_owned());
    }
    let client = raw.cert.zip(raw.key).map(|(cert, key)| (cert.value, key.value));
    TlsSpec { ca: raw.ca.map(|ca| ca.value), client }
}

fn check_sasl(raw: Spanned<RawSasl>, cx: &mut Context) -> Option<SaslSpec> {
    let Spanned { value: raw, span } = raw;
    let places = (raw.password_file, raw.password_env, raw.password_command);
    let password = check_password(places, "sasl", span, cx)?;
    Some(SaslSpec { mechanism: raw.mechanism.value.0, username: raw.username.value, password })
}

/// The user of a service, made by klamm: PLAIN users are in the brokers' own files.
pub(super) fn check_user(raw: Spanned<RawUser>, cx: &mut Context) -> Option<UserSpec> {
    let Spanned { value: raw, span } = raw;
    let mechanism = raw.mechanism.as_ref().map_or(Mechanism::ScramSha512, |mechanism| mechanism.value.0);
    if let Some(plain) = raw.mechanism.filter(|given| given.value.0 == Mechanism::Plain) {
        cx.error("bad-mechanism", plain.span, "PLAIN users are not made by klamm").help = Some(
            "SCRAM-SHA-512 or SCRAM-SHA-256; the brokers keep PLAIN users in their own configuration"
                .to_owned(),
        );
    }
    let places = (raw.password_file, raw.password_env, raw.password_command);
    Some(UserSpec { mechanism, password: check_password(places, "user", span, cx)? })
}

/// File, variable and command.
type Places = (Option<Spanned<String>>, Option<Spanned<String>>, Option<Spanned<Vec<Spanned<String>>>>);

/// The one place where a password is.
fn check_password(places: Places, of: &str, span: Span, cx: &mut Context) -> Option<SecretRef> {
    let (file, env, command) = places;
    let command = command.map(|command| {
        let words = command.value.into_iter().map(|word| word.value).collect();
        (SecretRef::Command(words), command.span)
    });
    let given: Vec<(SecretRef, Span)> = [
        file.map(|file| (SecretRef::File(file.value), file.span)),
        env.map(|env| (SecretRef::Env(env.value), env.span)),
        command,
    ]
    .into_iter()
    .flatten()
    .collect();
    match given.as_slice() {
        [(SecretRef::Command(words), span)] if words.is_empty() => {
            cx.error("bad-command", *span, "password_command has no program").help =
                Some("write it like password_command: [pass, show, kafka/orders]".to_owned());
            None
        }
        [(one, _)] => Some(one.clone()),
        [_, (_, span), ..] => {
            cx.error("two-passwords", *span, "the password is given in more than one place").help =
                Some("leave one of password_file, password_env and password_command".to_owned());
            None
        }
        [] => {
            cx.error("missing-field", span, format!("{of} has no password")).help =
                Some("add password_file, password_env or password_command".to_owned());
            None
        }
    }
}

fn check_version(text: &Spanned<String>, cx: &mut Context) -> Option<Version> {
    let known = format!("known: {} to {}", Version::OLDEST, Version::NEWEST);
    match text.value.parse::<Version>() {
        Ok(version) if (Version::OLDEST..=Version::NEWEST).contains(&version) => Some(version),
        Ok(version) => {
            cx.error("unknown-kafka", text.span, format!("Kafka {version} is not known here")).help =
                Some(known);
            None
        }
        Err(message) => {
            cx.error("unknown-kafka", text.span, message).help = Some(known);
            None
        }
    }
}

fn check_machine(raw: RawMachine, cx: &mut Context) -> MachineSpec {
    for size in [&raw.disk, &raw.memory].into_iter().flatten() {
        if size.value.bytes() < 1 << 30 {
            cx.error("bad-machine", size.span, format!("{} is less than a broker needs (1 GiB)", size.value));
        }
    }
    if let Some(network) = &raw.network {
        bytes_only(network, cx);
    }
    MachineSpec {
        disk: raw.disk.map(|size| size.value),
        memory: raw.memory.map(|size| size.value),
        network: raw.network.map(|rate| rate.value),
    }
}

/// A rate that only makes sense in bytes.
pub(super) fn bytes_only(rate: &Spanned<Rate>, cx: &mut Context) -> Option<u64> {
    match rate.value.per_second() {
        PerSecond::Bytes(bytes) if bytes > 0 => Some(bytes),
        _ => {
            cx.error("bad-rate", rate.span, format!("{} is no rate in bytes above 0", rate.value)).help =
                Some("write it like 100 MB/s".to_owned());
            None
        }
    }
}
