//! The number of partitions.

use klamm_contract::Order;

use super::{Demand, Load, Need, mean_work_micros};
use crate::text;

/// A create request is refused beyond 10,000 metadata records (POLICY_VIOLATION).
const MAX_PARTITIONS: u64 = 9_000;
/// Partitions of a keyed topic cannot be added later without moving keys: start with room. Six divides evenly over one,
/// two, three and six brokers or consumers.
const ROOM_FOR_KEYS: u32 = 6;

/// Why there is no number of partitions that does it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) help: String,
}

/// Partitions, what each demand needs, and how that became the number.
pub(crate) fn partitions(demand: &Demand<'_>) -> Result<(u32, Vec<Need>, String), Refusal> {
    let load = Load::of(demand.write).grown(&demand.growth);
    let mut needs = vec![write_need(demand, load)];
    needs.extend(demand.groups.iter().map(|(group, work)| {
        let mean = mean_work_micros(work);
        let busy = u128::from(load.peak_records_per_second) * u128::from(mean);
        let needed = u64::try_from(busy.div_ceil(1_000_000)).unwrap_or(u64::MAX).max(1);
        let because = format!(
            "{} records/s at the peak x {} mean work (0.9 x {} + 0.1 x {}) keep {needed} thread{} busy, one a partition",
            load.peak_records_per_second,
            text::micros(mean),
            work.p50,
            work.p99,
            if needed == 1 { "" } else { "s" }
        );
        (format!("group {group}"), needed, because, demand.write.assumed)
    }));
    let needed = needs.iter().map(|(_, needed, ..)| *needed).max().unwrap_or(1);
    if demand.order == Order::Global && needed > 1 {
        return Err(too_fast_for_one(demand, &needs));
    }
    if needed > MAX_PARTITIONS {
        let worst = needs.iter().max_by_key(|(_, needed, ..)| *needed);
        let because = worst.map_or(String::new(), |(what, _, why, _)| format!(" ({what}: {why})"));
        return Err(Refusal {
            code: "too-many-partitions",
            message: format!(
                "{} needs {needed} partitions{because}, more than {MAX_PARTITIONS}",
                demand.topic
            ),
            help: "split the topic, or do less work for each record".to_owned(),
        });
    }
    let needs: Vec<Need> = needs
        .into_iter()
        .map(|(what, needed, because, guessed)| Need { what, partitions: needed as u32, because, guessed })
        .collect();
    let (partitions, because) = choose(demand, &needs);
    Ok((partitions, needs, because))
}

type Asked = (String, u64, String, bool);

fn write_need(demand: &Demand<'_>, load: Load) -> Asked {
    let needed = load.peak_bytes_per_second.div_ceil(demand.rate.bytes_per_second).max(1);
    let because = format!(
        "{}{} x {}{} = {}/s at the peak, at {}",
        demand.write.rate,
        if demand.write.assumed { " (assumed)" } else { "" },
        demand.write.peak,
        if demand.growth.thousandths() == 1_000 {
            String::new()
        } else {
            format!(" x {} growth", demand.growth)
        },
        text::bytes(load.peak_bytes_per_second.into()),
        demand.rate.text()
    );
    ("write rate".to_owned(), needed, because, demand.rate.guessed || demand.write.assumed)
}

fn too_fast_for_one(demand: &Demand<'_>, needs: &[Asked]) -> Refusal {
    let reasons: Vec<String> = needs
        .iter()
        .filter(|(_, needed, ..)| *needed > 1)
        .map(|(what, needed, because, _)| format!("{what} needs {needed} ({because})"))
        .collect();
    Refusal {
        code: "global-order-too-fast",
        message: format!("{}: global order has 1 partition, but {}", demand.topic, reasons.join("; ")),
        help:
            "ask for order: per_key, write less, or split the topic into ones that need no order among them"
                .to_owned(),
    }
}

fn choose(demand: &Demand<'_>, needs: &[Need]) -> (u32, String) {
    let needed = needs.iter().map(|need| need.partitions).max().unwrap_or(1);
    if let Some(asked) = demand.asked {
        let remark = if asked < needed {
            format!(", fewer than the {needed} that the numbers need")
        } else {
            String::new()
        };
        return (asked, format!("{asked} as the spec says{remark}"));
    }
    if demand.order == Order::Global {
        return (1, "1, because the order is global".to_owned());
    }
    let floor = if demand.order == Order::PerKey { ROOM_FOR_KEYS } else { 1 };
    let brokers = demand.brokers.max(1);
    let chosen = needed.max(floor).next_multiple_of(brokers);
    if let Some(live) = demand.live.filter(|live| *live >= chosen) {
        return (live, format!("{live} as the topic has, the numbers need {needed}"));
    }
    let each: Vec<String> =
        needs.iter().map(|need| format!("{} needs {}", need.what, need.partitions)).collect();
    let mut because = text::list(&each);
    if floor > needed {
        because += &format!(", {floor} so that keys need not move when it grows");
    }
    if chosen > needed.max(floor) {
        because += &format!(", {chosen} to be even over {}", text::count(brokers, "broker"));
    }
    (chosen, because)
}

#[cfg(test)]
mod tests {
    use klamm_contract::Order;
    use proptest::prelude::*;

    use super::super::{PARTITION_BYTES_PER_SECOND, PartitionRate};
    use super::*;
    use crate::spec::{Spec, parse};

    fn spec(rate: &str, peak: &str, p50: &str, p99: &str) -> Spec {
        let text = format!(
            "klamm: 1\nservice: s\ntopics:\n  t:\n    key: k\n    write: {{ rate: {rate}, peak: {peak} }}\n\
             consumers:\n  g:\n    reads: [t]\n    work: {{ p50: {p50}, p99: {p99} }}\n"
        );
        parse("klamm.yaml", &text).unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    fn size(spec: &Spec, order: Order, brokers: u32) -> Result<u32, Refusal> {
        let work = spec.consumers[0].work.as_ref().map(|work| ("g", work));
        let write = &spec.topics[0].write;
        let groups = work.into_iter().collect();
        partitions(&Demand {
            topic: "t",
            order,
            write,
            groups,
            brokers,
            asked: None,
            live: None,
            growth: spec.topics[0].growth.clone(),
            rate: PartitionRate::of(None),
        })
        .map(|found| found.0)
    }

    #[test]
    fn the_slower_side_decides() {
        assert_eq!(size(&spec("20 MB/s", "3x", "1 us", "1 us"), Order::PerKey, 3), Ok(6));
        assert_eq!(size(&spec("20 MB/s", "3x", "100 us", "1 ms"), Order::PerKey, 3), Ok(12));
        assert_eq!(size(&spec("20 MB/s", "3x", "3 ms", "40 ms"), Order::PerKey, 3), Ok(402));
    }

    #[test]
    fn global_order_beyond_one_partition_is_refused_with_its_arithmetic() {
        let refused = size(&spec("20 MB/s", "3x", "1 us", "1 us"), Order::Global, 3).expect_err("too fast");
        assert_eq!(refused.code, "global-order-too-fast");
        assert!(
            refused.message.contains("20 MB/s x 3x = 60 MB/s at the peak, at 10 MB/s a partition"),
            "{}",
            refused.message
        );
        assert_eq!(size(&spec("1 MB/s", "3x", "1 us", "1 us"), Order::Global, 3), Ok(1));
    }

    proptest! {
        #[test]
        fn more_load_never_gives_fewer_partitions_and_never_less_than_it_needs(
            rate in 1..2_000u64, more in 0..500u64, peak in 1..9u64, p50 in 1..50u64, p99 in 50..900u64, brokers in 1..12u32,
        ) {
            let sized = |rate: u64| {
                let spec = spec(&format!("{rate} KB/s"), &format!("{peak}x"), &format!("{p50} us"), &format!("{p99} us"));
                size(&spec, Order::PerKey, brokers).map(|found| (found, Load::of(&spec.topics[0].write)))
            };
            let (few, load) = sized(rate).map_err(|refusal| TestCaseError::fail(refusal.message))?;
            let (many, _) = sized(rate + more).map_err(|refusal| TestCaseError::fail(refusal.message))?;
            prop_assert!(few <= many);
            prop_assert!(u64::from(few) * PARTITION_BYTES_PER_SECOND >= load.peak_bytes_per_second);
            prop_assert_eq!(few % brokers, 0);
        }
    }
}
