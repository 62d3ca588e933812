//! Disk over all copies.

use super::{Disk, Load};
use crate::settings::Segments;
use crate::spec::Retain;
use crate::text;

/// A record stays up to retention + the time that its segment is open: segments are deleted whole. Before compression;
/// indexes come on top. `values` is one record of each key, where their number is known: a compacted log is cleaned when half
/// of it is old, so it is twice that and the open segments.
pub(crate) fn disk(
    retain: &Retain,
    load: Load,
    segments: Segments,
    partitions: u32,
    copies: u32,
    values: Option<u64>,
) -> Disk {
    let (one, because) = match retain {
        Retain::Time(time) => {
            let held_ms = u128::from(time.millis()) + u128::from(segments.ms);
            let one = u128::from(load.bytes_per_second) * held_ms / 1_000;
            let because = format!(
                "{}/s x ({time} + {} until the segment closes) = {}",
                text::bytes(load.bytes_per_second.into()),
                text::millis(segments.ms),
                text::bytes(one)
            );
            (Some(one), because)
        }
        Retain::Size(size) => {
            let open = u128::from(segments.bytes) * u128::from(partitions);
            let one = u128::from(size.bytes()) + open;
            (Some(one), format!("{size} + {} of open segments = {}", text::bytes(open), text::bytes(one)))
        }
        Retain::Forever => {
            let a_day = u128::from(load.bytes_per_second) * 86_400;
            (None, format!("nothing is deleted: grows by {} a day", text::bytes(a_day)))
        }
        Retain::Compact if values.is_some() => {
            let values = u128::from(values.unwrap_or(0));
            let open = u128::from(segments.bytes).min(values + 1) * u128::from(partitions);
            let one = values * 2 + open;
            let because = format!(
                "one record of each key = {} x 2 until half is cleaned + {} of open segments = {}",
                text::bytes(values),
                text::bytes(open),
                text::bytes(one)
            );
            (Some(one), because)
        }
        Retain::Compact => {
            (None, "depends on the number of keys: one record each, and what is not cleaned yet".to_owned())
        }
    };
    let total_bytes = one.map(|one| u64::try_from(one.saturating_mul(copies.into())).unwrap_or(u64::MAX));
    let because = match total_bytes {
        Some(total) => {
            format!("{because} a copy, x {copies} = {}, before compression", text::bytes(total.into()))
        }
        None => format!("{because}, x {copies} copies"),
    };
    Disk { total_bytes, because }
}
