//! A Kafka Streams application.

use klamm_contract::{Delivery, Layer};
use klamm_kafka::Version;

use super::broker::Internal;
use super::{Setting, Settings};
use crate::spec::StreamsSpec;
use crate::text;

const DOCS: &str = "Kafka documentation: Streams Configs";

pub(crate) fn streams(spec: &StreamsSpec, internal: Internal, version: Version) -> Vec<Setting> {
    let mut s = Settings::of(Layer::Streams);
    s.set(
        "application.id",
        &spec.application.value,
        "the group, and the first part of the names of its topics",
        DOCS,
    );
    let (guarantee, why) = match spec.delivery {
        Delivery::ExactlyOnce => (
            "exactly_once_v2",
            "input, state and output are one transaction; results are seen at each commit",
        ),
        _ => ("at_least_once", "a crash repeats records: asked for"),
    };
    s.set("processing.guarantee", guarantee, why, "KIP-447");
    let standbys = spec.standbys.value;
    let state =
        spec.state.as_ref().map_or(String::new(), |state| format!(" instead of reading {state} again"));
    let why = if standbys == 0 {
        "asked for: a lost instance is down until its state is read again".to_owned()
    } else {
        format!("a lost instance is replaced by a copy of its state{state}")
    };
    s.set("num.standby.replicas", standbys, why, "KIP-441");
    s.set("state.dir", &spec.state_dir, "a disk of its own: the default is under /tmp", DOCS);
    s.settings.extend(brokered(spec, internal, version));
    s.settings
}

/// What its topics and its group are on the brokers.
fn brokered(spec: &StreamsSpec, internal: Internal, version: Version) -> Vec<Setting> {
    let mut s = Settings::of(Layer::Streams);
    s.set(
        "num.stream.threads",
        spec.threads,
        format!(
            "{} in each of {}",
            text::count(spec.threads, "thread"),
            text::count(spec.instances, "instance")
        ),
        DOCS,
    );
    s.set(
        "replication.factor",
        internal.copies,
        "changelogs and repartition topics are as safe as what is read",
        DOCS,
    );
    s.set(
        "topic.min.insync.replicas",
        internal.floor,
        "a changelog record is acknowledged on as many copies as a record that is read",
        DOCS,
    );
    let commit = if spec.delivery == Delivery::ExactlyOnce { 100 } else { 30_000 };
    s.set(
        "commit.interval.ms",
        commit,
        "Kafka's default for this guarantee: how late results are seen",
        DOCS,
    );
    s.set(
        "statestore.cache.max.bytes",
        10 << 20,
        "updates of one key within a commit go downstream as one",
        "KIP-770",
    );
    if spec.standbys.value > 0 {
        s.set(
            "acceptable.recovery.lag",
            10_000,
            "a task moves only to an instance that is this close",
            "KIP-441",
        );
    }
    if version.has_streams_protocol() {
        s.set("group.protocol", "classic", "with the streams protocol (ready since 4.2) standbys are the group's setting streams.num.standby.replicas: change both at once", "KIP-1071");
    }
    s.settings
}

/// What an instance needs on its disk, with the arithmetic; `None` when nobody says how large the state is.
pub(crate) fn state_disk(spec: &StreamsSpec) -> Option<String> {
    let state = spec.state.as_ref()?;
    let copies = u64::from(spec.standbys.value) + 1;
    // What the instances that are left take over when one of them is gone.
    let left = u64::from(spec.instances.max(2)) - 1;
    let each = state.bytes().saturating_mul(copies).div_ceil(left);
    Some(format!(
        "state of {state} x {copies} copies / {left} instances (one may be gone) = {} on each, and as much again while RocksDB compacts",
        text::bytes(each.into())
    ))
}
