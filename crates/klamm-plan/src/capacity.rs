//! What the brokers carry together: disk, network, memory, files; and what is left when one of them is gone.

use serde::{Deserialize, Serialize};

use crate::spec::{MachineSpec, PerSecond};
use crate::text;

/// Network of a broker when nobody says: 10 Gbit/s.
const NETWORK_GUESS: u64 = 1_250_000_000;
/// Share of the network that is planned to be used, in percent: above it, a peak makes replicas late.
const NETWORK_FILL: u64 = 60;
/// Share of the disk that is planned to be used, in percent: the rest is for what is late to be deleted, and for moves.
const DISK_FILL: u64 = 75;
/// Newest records that are to be read from memory, in seconds: replicas and readers that are not late.
const TAIL_SECONDS: u64 = 30;
/// Heap of a broker: more is better left to the page cache.
const HEAP: u64 = 6 << 30;
/// Index and time index of a segment are each mapped.
const MAPS_A_SEGMENT: u64 = 2;
/// Log, index and time index of a segment.
const FILES_A_SEGMENT: u64 = 3;
/// `vm.max_map_count` of Linux, unless somebody raised it.
const MAPS_DEFAULT: u64 = 65_530;
/// Connections, jars and logs.
const FILES_BESIDE: u64 = 10_000;

/// What the brokers carry together.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Capacity {
    /// Each figure, with its arithmetic.
    pub figures: Vec<Figure>,
    /// How the figures move when an input does.
    pub sensitivity: Vec<Sensitivity>,
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figure {
    /// What is counted: `disk of a broker`.
    pub what: String,
    /// The number, in `unit`.
    pub value: u64,
    /// `bytes`, `bytes/s`, `seconds`, `percent`, or what is counted.
    pub unit: String,
    /// The arithmetic.
    pub because: String,
    /// A number in it is klamm's guess.
    pub guessed: bool,
}

/// How figures move when one input does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sensitivity {
    /// The input and how it changes: `all rates x 1.5`.
    pub input: String,
    /// What it does to the number of brokers, to disk and to network.
    pub effect: String,
}

/// One topic, as far as brokers feel it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Burden {
    pub(crate) partitions: u64,
    pub(crate) copies: u64,
    pub(crate) peak: u64,
    /// Over all copies; `None` when it grows without end.
    pub(crate) disk: Option<u64>,
    pub(crate) segment_bytes: u64,
    /// Groups that read it.
    pub(crate) readers: u64,
}

/// What each broker has to carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Totals {
    disk: u64,
    inbound: u64,
    outbound: u64,
    replicas: u64,
    segments: u64,
    endless: bool,
}

/// `percent` of `value`.
fn percent(value: u64, percent: u64) -> u64 {
    u64::try_from(u128::from(value) * u128::from(percent) / 100).unwrap_or(u64::MAX)
}

fn share(total: u64, brokers: u64) -> u64 {
    total.div_ceil(brokers.max(1))
}

impl Totals {
    fn of(burdens: &[Burden]) -> Totals {
        let sum = |part: fn(&Burden) -> u128| {
            u64::try_from(burdens.iter().map(part).fold(0_u128, u128::saturating_add)).unwrap_or(u64::MAX)
        };
        Totals {
            disk: sum(|b| b.disk.unwrap_or(0).into()),
            inbound: sum(|b| u128::from(b.peak) * u128::from(b.copies)),
            outbound: sum(|b| u128::from(b.peak) * u128::from(b.copies.saturating_sub(1) + b.readers)),
            replicas: sum(|b| u128::from(b.partitions) * u128::from(b.copies)),
            segments: sum(|b| {
                let replicas = u128::from(b.partitions) * u128::from(b.copies);
                let full = u128::from(b.disk.unwrap_or(0)) / u128::from(b.segment_bytes.max(1));
                replicas + full
            }),
            endless: burdens.iter().any(|b| b.disk.is_none()),
        }
    }

    /// Brokers that it takes, by what takes the most, when one of them may be away.
    fn brokers(&self, machine: Machine, least: u64) -> (u64, &'static str) {
        let network = percent(machine.network, NETWORK_FILL);
        let carried = share(self.inbound.max(self.outbound), network.max(1)) + 1;
        let stored = machine.disk.map_or(0, |disk| share(self.disk, percent(disk, DISK_FILL).max(1)));
        let options =
            [(least, "copies"), (carried.max(2), "network with one of them away"), (stored, "disk")];
        let worst = options.into_iter().max_by_key(|(count, _)| *count).unwrap_or((least, "copies"));
        if least >= worst.0 { (least, "copies") } else { worst }
    }
}

/// What is known of a broker's machine.
#[derive(Debug, Clone, Copy)]
struct Machine {
    disk: Option<u64>,
    memory: Option<u64>,
    network: u64,
    network_guessed: bool,
}

impl Machine {
    fn of(spec: &MachineSpec) -> Machine {
        let network = spec.network.as_ref().map(|rate| match rate.per_second() {
            PerSecond::Bytes(bytes) | PerSecond::Records(bytes) => bytes,
        });
        Machine {
            disk: spec.disk.as_ref().map(|size| size.bytes()),
            memory: spec.memory.as_ref().map(|size| size.bytes()),
            network: network.unwrap_or(NETWORK_GUESS),
            network_guessed: network.is_none(),
        }
    }
}

/// Why the brokers that are there do not carry it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TooMuch {
    pub(crate) message: String,
    pub(crate) help: String,
}

/// The figures for `brokers` machines; an error when a machine that the spec describes does not carry its share.
pub(crate) fn capacity(
    burdens: &[Burden],
    brokers: u32,
    controllers: u32,
    machine: &MachineSpec,
) -> (Capacity, Vec<TooMuch>) {
    let (count, machine) = (u64::from(brokers.max(1)), Machine::of(machine));
    let totals = Totals::of(burdens);
    let least = burdens.iter().map(|b| b.copies).max().unwrap_or(1);
    let mut sheet = Sheet { figures: Vec::new() };
    let (needed, why) = totals.brokers(machine, least);
    sheet.add("brokers needed", needed, "brokers", format!("decided by {why}"), machine.network_guessed);
    disk(&mut sheet, totals, count, machine);
    network(&mut sheet, totals, count, machine);
    memory(&mut sheet, totals, count, machine);
    files(&mut sheet, totals, count);
    let survives = controllers.saturating_sub(1) / 2;
    sheet.add(
        "controllers",
        controllers.into(),
        "controllers",
        format!("a majority is left with {survives} of them down"),
        false,
    );
    let problems = too_much(totals, count, machine);
    let sensitivity = sensitivity(burdens, machine, least, (needed, totals));
    (Capacity { figures: sheet.figures, sensitivity }, problems)
}

struct Sheet {
    figures: Vec<Figure>,
}

impl Sheet {
    fn add(&mut self, what: &str, value: u64, unit: &str, because: String, guessed: bool) {
        self.figures.push(Figure { what: what.to_owned(), value, unit: unit.to_owned(), because, guessed });
    }
}

fn size(bytes: u64) -> String {
    text::bytes(bytes.into())
}

fn disk(sheet: &mut Sheet, totals: Totals, brokers: u64, machine: Machine) {
    let used = share(totals.disk, brokers);
    let endless = if totals.endless {
        "; topics that keep everything, or one record of each of an unknown number of keys, come on top"
    } else {
        ""
    };
    let because =
        format!("{} over all copies / {}{endless}", size(totals.disk), text::count(brokers, "broker"));
    sheet.add("disk used of a broker", used, "bytes", because, false);
    let needed = used.saturating_mul(100) / DISK_FILL;
    sheet.add("disk of a broker", needed, "bytes", format!("{} filled to {DISK_FILL}%", size(used)), true);
    // What is left of the network is there for copying while the peak goes on.
    let left = (machine.network.saturating_sub(share(totals.inbound, brokers))).max(machine.network / 10) / 2;
    let others = brokers.saturating_sub(1).max(1);
    let seconds = used / (left.max(1)).saturating_mul(others).max(1);
    let because = format!(
        "{} to copy to {} at {}/s each: half of the network that the peak leaves",
        size(used),
        text::count(others, "broker"),
        size(left)
    );
    sheet.add("time to replicate a lost broker", seconds, "seconds", because, machine.network_guessed);
}

fn network(sheet: &mut Sheet, totals: Totals, brokers: u64, machine: Machine) {
    let guess = machine.network_guessed;
    for (what, total, how) in [
        ("network into a broker", totals.inbound, "peak x copies"),
        ("network out of a broker", totals.outbound, "peak x (copies - 1 + groups that read)"),
    ] {
        let because = format!("{how} = {}/s / {}", size(total), text::count(brokers, "broker"));
        sheet.add(what, share(total, brokers), "bytes/s", because, false);
    }
    let busiest = totals.inbound.max(totals.outbound);
    let others = brokers.saturating_sub(1).max(1);
    let used = share(busiest, others).saturating_mul(100) / machine.network.max(1);
    let because = format!(
        "{}/s over {} of {}/s each{}",
        size(busiest),
        text::count(others, "broker"),
        size(machine.network),
        if guess { " (a guess: 10 Gbit/s)" } else { "" }
    );
    sheet.add("network used with one broker down", used, "percent", because, guess);
}

fn memory(sheet: &mut Sheet, totals: Totals, brokers: u64, machine: Machine) {
    let tail = share(totals.inbound, brokers).saturating_mul(TAIL_SECONDS);
    let because = format!(
        "the last {TAIL_SECONDS} s of {}/s stay in memory for replicas and readers",
        size(share(totals.inbound, brokers))
    );
    sheet.add("page cache of a broker", tail, "bytes", because, true);
    let needed = tail.saturating_add(HEAP);
    let has = machine.memory.map_or(String::new(), |memory| format!(", the machine has {}", size(memory)));
    sheet.add(
        "memory of a broker",
        needed,
        "bytes",
        format!("{} heap + {}{has}", size(HEAP), size(tail)),
        true,
    );
}

fn files(sheet: &mut Sheet, totals: Totals, brokers: u64) {
    let replicas = share(totals.replicas, brokers);
    sheet.add(
        "replicas on a broker",
        replicas,
        "replicas",
        format!("{} / {}", totals.replicas, text::count(brokers, "broker")),
        false,
    );
    let segments = share(totals.segments, brokers);
    let open = segments.saturating_mul(FILES_A_SEGMENT).saturating_add(FILES_BESIDE);
    let because =
        format!("{segments} segments x {FILES_A_SEGMENT} + {FILES_BESIDE} for connections and the rest");
    sheet.add("open files of a broker", open, "files", because, true);
    let maps = segments.saturating_mul(MAPS_A_SEGMENT);
    let limit = if maps > MAPS_DEFAULT {
        ": above Linux's default of 65530, raise vm.max_map_count"
    } else {
        ", Linux's default allows 65530"
    };
    sheet.add(
        "memory maps of a broker",
        maps,
        "maps",
        format!("{segments} segments x {MAPS_A_SEGMENT}{limit}"),
        false,
    );
}

fn too_much(totals: Totals, brokers: u64, machine: Machine) -> Vec<TooMuch> {
    let mut problems = Vec::new();
    let used = share(totals.disk, brokers);
    if let Some(disk) = machine.disk.filter(|disk| used > percent(*disk, DISK_FILL)) {
        problems.push(TooMuch {
            message: format!(
                "each of {} holds {}, and a disk of {} is full enough at {DISK_FILL}% = {}",
                text::count(brokers, "broker"),
                size(used),
                size(disk),
                size(percent(disk, DISK_FILL))
            ),
            help: format!(
                "run {} brokers, give each a larger disk, or retain less",
                share(totals.disk, percent(disk, DISK_FILL).max(1))
            ),
        });
    }
    let busiest = totals.inbound.max(totals.outbound);
    let others = brokers.saturating_sub(1).max(1);
    if !machine.network_guessed && share(busiest, others) > machine.network {
        problems.push(TooMuch {
            message: format!(
                "with one of {} down each other one carries {}/s at the peak, and its network {}/s",
                text::count(brokers, "broker"),
                size(share(busiest, others)),
                size(machine.network)
            ),
            help: format!(
                "run {} brokers",
                share(busiest, percent(machine.network, NETWORK_FILL).max(1)) + 1
            ),
        });
    }
    problems
}

fn sensitivity(burdens: &[Burden], machine: Machine, least: u64, now: (u64, Totals)) -> Vec<Sensitivity> {
    let vary = |input: &str, change: &dyn Fn(&mut Burden)| {
        let mut varied = burdens.to_vec();
        varied.iter_mut().for_each(change);
        let totals = Totals::of(&varied);
        let (brokers, _) =
            totals.brokers(machine, least.max(varied.iter().map(|b| b.copies).max().unwrap_or(1)));
        let effect = format!(
            "{} (now {}), disk {} (now {}), network out {}/s (now {}/s)",
            text::count(brokers, "broker"),
            now.0,
            size(totals.disk),
            size(now.1.disk),
            size(totals.outbound),
            size(now.1.outbound)
        );
        Sensitivity { input: input.to_owned(), effect }
    };
    if burdens.is_empty() {
        return Vec::new();
    }
    vec![
        vary("all rates x 1.5", &|b| {
            b.peak = b.peak.saturating_mul(3) / 2;
            b.disk = b.disk.map(|disk| disk.saturating_mul(3) / 2);
        }),
        vary("all retention x 2", &|b| b.disk = b.disk.map(|disk| disk.saturating_mul(2))),
        vary("one more group reads everything", &|b| b.readers += 1),
        vary("one more copy of everything", &|b| {
            b.disk = b.disk.map(|disk| (disk / b.copies.max(1)).saturating_mul(b.copies + 1));
            b.copies += 1;
        }),
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(capacity: &Capacity, what: &str) -> u64 {
        capacity
            .figures
            .iter()
            .find(|figure| figure.what == what)
            .map(|figure| figure.value)
            .expect("a figure")
    }

    fn burden(peak: u64, copies: u64, readers: u64, disk: u64) -> Burden {
        Burden { partitions: 12, copies, peak, disk: Some(disk), segment_bytes: 1 << 30, readers }
    }

    #[test]
    fn the_orders_example_by_hand() {
        let (capacity, problems) =
            capacity(&[burden(60_000_000, 3, 1, 40_824_000_000_000)], 3, 3, &MachineSpec::default());
        assert_eq!(problems, []);
        assert_eq!(value(&capacity, "network into a broker"), 60_000_000);
        assert_eq!(value(&capacity, "network out of a broker"), 60_000_000);
        assert_eq!(value(&capacity, "disk used of a broker"), 13_608_000_000_000);
        assert_eq!(value(&capacity, "network used with one broker down"), 7);
        assert_eq!(value(&capacity, "page cache of a broker"), 1_800_000_000);
        assert_eq!(value(&capacity, "brokers needed"), 3);
    }

    #[test]
    fn a_machine_that_does_not_carry_its_share_is_told_with_the_arithmetic() {
        let machine = MachineSpec {
            disk: crate::spec::ByteSize::parse("4 TB").ok(),
            network: crate::spec::Rate::parse("100 MB/s").ok(),
            ..MachineSpec::default()
        };
        let (_, problems) = capacity(&[burden(300_000_000, 3, 2, 40_824_000_000_000)], 3, 3, &machine);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(
            problems[0].message.contains("13.6 TB") && problems[0].message.contains("75% = 3 TB"),
            "{problems:?}"
        );
        assert!(problems[1].message.contains("600 MB/s at the peak"), "{problems:?}");
    }

    proptest! {
        #[test]
        fn more_of_anything_never_needs_less_and_every_broker_holds_its_share(
            peak in 1..2_000_000_000_u64, more in 0..1_000_000_000_u64, copies in 1..6_u64, readers in 0..9_u64,
            disk in 0..1_u64 << 50, brokers in 1..40_u32,
        ) {
            let (few, _) = capacity(&[burden(peak, copies, readers, disk)], brokers, 3, &MachineSpec::default());
            let (many, _) = capacity(&[burden(peak + more, copies, readers + 1, disk + more)], brokers, 3, &MachineSpec::default());
            for (one, other) in few.figures.iter().zip(&many.figures) {
                prop_assert_eq!(&one.what, &other.what);
                prop_assert!(one.value <= other.value, "{} {} {}", one.what, one.value, other.value);
            }
            prop_assert!(value(&few, "disk used of a broker") * u64::from(brokers) >= disk);
            prop_assert!(value(&few, "network into a broker") * u64::from(brokers) >= peak * copies);
            prop_assert!(value(&few, "brokers needed") >= copies);
        }
    }
}
