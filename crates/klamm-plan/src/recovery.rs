//! What is left when the whole cluster is lost: a second one, and how far behind it may be.

use klamm_contract::Layer;
use serde::{Deserialize, Serialize};

use crate::Setting;
use crate::settings::{Internal, Settings};
use crate::spec::{PerSecond, RecoverySpec};
use crate::text;

/// A mirror that keeps up is behind by a poll, a batch, a produce and the way: nothing that copies after the
/// acknowledgement is closer than this.
const LEAST_RPO_MS: u64 = 5_000;
/// To notice, to decide, to point clients elsewhere, and for groups to form.
const SWITCH_MS: u64 = 120_000;
/// Share of the link that is planned to be used, in percent.
const LINK_FILL: u64 = 70;

/// The second cluster and the mirror to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryPlan {
    /// Name of this cluster in topics of the second one.
    pub alias: String,
    /// Addresses of the second cluster.
    pub to: Vec<String>,
    /// Topics that are mirrored.
    pub topics: Vec<String>,
    /// Groups whose offsets go with them.
    pub groups: Vec<String>,
    /// How far behind each topic may be, in milliseconds.
    pub lag_budget_ms: u64,
    /// Bytes a second that the mirror has to carry to catch up in time.
    pub bytes_per_second: u64,
    /// The arithmetic, one sentence each.
    pub because: Vec<String>,
    /// Settings of MirrorMaker 2.
    pub settings: Vec<Setting>,
}

/// What is mirrored.
pub(crate) struct Mirrored {
    pub(crate) topics: Vec<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) peak: u64,
    pub(crate) mean: u64,
    pub(crate) partitions: u32,
}

/// Why it cannot be: code, message, help.
pub(crate) type Impossible = (&'static str, String, String);

pub(crate) fn recovery(
    spec: &RecoverySpec,
    what: Mirrored,
    internal: Internal,
) -> Result<RecoveryPlan, Impossible> {
    let rpo_ms = spec.rpo.value.millis();
    if rpo_ms < LEAST_RPO_MS {
        return Err((
            "rpo-too-small",
            format!(
                "a mirror copies after the acknowledgement and is {} behind at best: it cannot promise to lose less than {}",
                text::millis(LEAST_RPO_MS),
                spec.rpo.value
            ),
            "stretch one cluster over the sites (survive: racks) for an RPO of 0, or ask for 5 s and more"
                .to_owned(),
        ));
    }
    if spec.rto.millis() <= SWITCH_MS {
        return Err((
            "rto-too-small",
            format!(
                "{} are over before anybody has noticed, decided and switched ({})",
                spec.rto,
                text::millis(SWITCH_MS)
            ),
            "ask for more than 2 min, or stretch one cluster over the sites (survive: racks)".to_owned(),
        ));
    }
    // A mirror that was away for the lag budget has to be level again within as much time, at the peak.
    let catch_up = what.peak.saturating_mul(2);
    carried_by_link(spec, what.peak, catch_up)?;
    let because = because(spec, &what, catch_up);
    let settings = settings(spec, &what, internal);
    Ok(RecoveryPlan {
        alias: spec.alias.clone(),
        to: spec.to.bootstrap.clone(),
        topics: what.topics,
        groups: what.groups,
        lag_budget_ms: rpo_ms,
        bytes_per_second: catch_up,
        because,
        settings,
    })
}

fn carried_by_link(spec: &RecoverySpec, peak: u64, catch_up: u64) -> Result<(), Impossible> {
    if let Some(link) = &spec.link {
        let bytes = match link.value.per_second() {
            PerSecond::Bytes(bytes) | PerSecond::Records(bytes) => bytes,
        };
        let usable = bytes / 100 * LINK_FILL;
        if usable < catch_up {
            return Err((
                "link-too-slow",
                format!(
                    "the mirror carries {}/s at the peak and needs twice that ({}/s) to catch up, the link of {} gives {}/s at {LINK_FILL}%",
                    text::bytes(peak.into()),
                    text::bytes(catch_up.into()),
                    link.value,
                    text::bytes(usable.into())
                ),
                "take a faster link, mirror fewer topics, or accept a larger RPO by mirroring the mean rate"
                    .to_owned(),
            ));
        }
    }
    Ok(())
}

fn because(spec: &RecoverySpec, what: &Mirrored, catch_up: u64) -> Vec<String> {
    vec![
        format!(
            "RPO {}: lag of every mirrored partition stays below it; a mirror is asynchronous, so the newest records can be lost",
            spec.rpo.value
        ),
        format!(
            "RTO {}: {} to notice and switch, the rest for groups to repeat up to {} of records",
            spec.rto,
            text::millis(SWITCH_MS),
            spec.rpo.value
        ),
        format!(
            "peak {}/s x 2 = {}/s, so that an interruption as long as the RPO is made up for in as much time",
            text::bytes(what.peak.into()),
            text::bytes(catch_up.into())
        ),
        format!(
            "the second cluster is sized like this one: it carries the full load (mean {}/s) after the switch",
            text::bytes(what.mean.into())
        ),
    ]
}

fn settings(spec: &RecoverySpec, what: &Mirrored, internal: Internal) -> Vec<Setting> {
    let mut s = Settings::of(Layer::Mirror);
    let seconds = (spec.rpo.value.millis() / 2_000).clamp(1, 60);
    s.set("replication.factor", internal.copies, "as many copies as here (the default is 2)", "KIP-382");
    s.set(
        "sync.group.offsets.enabled",
        "true",
        "offsets of groups that are idle there go with the records (off by default)",
        "KIP-545",
    );
    s.set("sync.group.offsets.interval.seconds", seconds, "half of the RPO", "KIP-545");
    s.set("emit.checkpoints.interval.seconds", seconds, "half of the RPO", "KIP-382");
    s.set(
        "offset.lag.max",
        0,
        "every batch gets an offset sync, so translated offsets repeat little",
        "KIP-382",
    );
    s.set("refresh.topics.interval.seconds", 60, "a new topic is mirrored within a minute", "KIP-382");
    s.set("sync.topic.configs.enabled", "true", "retention goes with the topic; min.insync.replicas, unclean election and message.timestamp.type do not: apply the plan there, too", "KIP-382");
    s.set("tasks.max", what.partitions.clamp(1, 16), "a task for each partition, sixteen at most", "KIP-382");
    s.set(
        "consumer.auto.offset.reset",
        "earliest",
        "what was there before the mirror is mirrored",
        "KIP-382",
    );
    s.set("producer.acks", "all", "a mirrored record is as safe as here", "KIP-382");
    s.settings
}
