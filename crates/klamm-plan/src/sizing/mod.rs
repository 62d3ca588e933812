//! How many partitions, and how much disk.

mod disk;
mod keeping_up;
mod partitions;

use klamm_contract::Order;
use serde::{Deserialize, Serialize};

pub(crate) use self::disk::disk;
pub(crate) use self::keeping_up::keeping_up;
pub(crate) use self::partitions::partitions;
use crate::spec::{Factor, PerSecond, WorkSpec, WriteSpec};

/// What one partition takes in a second: a guess until `klamm bench partition` has measured it on the cluster. One leader's log
/// on ordinary disks, three copies and `acks=all`, takes several times this; the guess errs towards more partitions.
pub(crate) const PARTITION_BYTES_PER_SECOND: u64 = 10_000_000;

/// The size of a topic and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizing {
    /// Partitions.
    pub partitions: u32,
    /// What each demand needs by itself; the largest decides.
    pub needs: Vec<Need>,
    /// How the needs became the number.
    pub because: String,
    /// Disk over all copies.
    pub disk: Disk,
    /// What is written at the peak, one copy.
    #[serde(default)]
    pub peak_bytes_per_second: u64,
}

/// Partitions that one demand needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    /// Whose: `write rate`, `group order-view`.
    pub what: String,
    /// Partitions.
    pub partitions: u32,
    /// The arithmetic.
    pub because: String,
    /// A number in it is klamm's guess and not the spec's or the cluster's.
    pub guessed: bool,
}

/// Disk that a topic takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Bytes over all copies; `None` when it grows without end or depends on the number of keys.
    pub total_bytes: Option<u64>,
    /// The arithmetic.
    pub because: String,
}

/// What is written to a topic, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) bytes_per_second: u64,
    pub(crate) peak_bytes_per_second: u64,
    pub(crate) peak_records_per_second: u64,
}

impl Load {
    pub(crate) fn of(write: &WriteSpec) -> Load {
        let record = write.record.bytes().max(1);
        let bytes_per_second = match write.rate.per_second() {
            PerSecond::Bytes(bytes) => bytes,
            PerSecond::Records(records) => records.saturating_mul(record),
        };
        let peak_bytes_per_second = times(bytes_per_second, &write.peak);
        Load {
            bytes_per_second,
            peak_bytes_per_second,
            peak_records_per_second: peak_bytes_per_second.div_ceil(record),
        }
    }

    /// The same after it has grown.
    pub(crate) fn grown(self, growth: &Factor) -> Load {
        Load {
            bytes_per_second: times(self.bytes_per_second, growth),
            peak_bytes_per_second: times(self.peak_bytes_per_second, growth),
            peak_records_per_second: times(self.peak_records_per_second, growth),
        }
    }
}

fn times(value: u64, factor: &Factor) -> u64 {
    let product = u128::from(value) * u128::from(factor.thousandths());
    u64::try_from(product.div_ceil(1_000)).unwrap_or(u64::MAX)
}

/// Mean work on one record in microseconds, from its median and its tail: nine of ten take the median, one of ten takes
/// the 99th percentile. Above the mean of the skewed distributions that services show, and simple enough to check.
pub(crate) fn mean_work_micros(work: &WorkSpec) -> u64 {
    let sum = u128::from(work.p50.micros()) * 9 + u128::from(work.p99.micros());
    u64::try_from(sum.div_ceil(10)).unwrap_or(u64::MAX)
}

/// What one partition takes in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartitionRate {
    pub(crate) bytes_per_second: u64,
    pub(crate) guessed: bool,
}

impl PartitionRate {
    pub(crate) fn of(measured: Option<u64>) -> PartitionRate {
        let guessed = measured.is_none();
        PartitionRate { bytes_per_second: measured.unwrap_or(PARTITION_BYTES_PER_SECOND).max(1), guessed }
    }

    /// `10 MB/s (a guess)`.
    pub(crate) fn text(self) -> String {
        let remark = if self.guessed { "a guess" } else { "measured" };
        format!("{}/s a partition ({remark})", crate::text::bytes(self.bytes_per_second.into()))
    }
}

/// What decides the number of partitions of a topic.
pub(crate) struct Demand<'a> {
    pub(crate) topic: &'a str,
    pub(crate) order: Order,
    pub(crate) write: &'a WriteSpec,
    /// Groups that read it and say how long their work takes.
    pub(crate) groups: Vec<(&'a str, &'a WorkSpec)>,
    /// Brokers over which leaders are to be even.
    pub(crate) brokers: u32,
    /// The number that the spec asks for.
    pub(crate) asked: Option<u32>,
    /// The number that the live topic has.
    pub(crate) live: Option<u32>,
    /// How much more is written in the end.
    pub(crate) growth: Factor,
    /// What one partition takes.
    pub(crate) rate: PartitionRate,
}
