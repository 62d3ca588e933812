//! The last screen of a run: what was counted, and whether it held.

use klamm_contract::Profile;
use klamm_track::{Delivery, Fault, Verdict};
use serde_json::{Value, json};

use super::{grouped, profile_note, three_digits};
use crate::up::view::Totals;

/// Everything that the last screen shows.
pub struct Ending<'a> {
    /// The counts.
    pub verdict: &'a Verdict,
    /// What the consumer was allowed to do.
    pub delivery: Delivery,
    /// The read view.
    pub totals: Totals,
    /// Median and 99th percentile from send to processed, milliseconds.
    pub latency_ms: (f64, f64),
    /// Committed offsets equal the end of the log.
    pub committed: Committed,
    /// How far the drain came.
    pub drain: Drain,
}

/// Whether everything that was acknowledged was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drain {
    /// The view has everything that was acknowledged.
    Whole,
    /// Its time was over before: what is not processed is not lost, and not proven.
    CutShort,
}

/// Where the group's committed offsets stand at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// At the end of what this run wrote.
    AtTheEnd,
    /// Behind by so many offsets.
    Behind(i64),
}

impl Ending<'_> {
    /// Did everything that was promised hold?
    pub fn held(&self) -> bool {
        let whole = self.drain == Drain::Whole && self.committed == Committed::AtTheEnd;
        whole && self.verdict.held(self.delivery)
    }

    /// The `verdict` event.
    pub fn to_json(&self) -> Value {
        let (p50_ms, p99_ms) = self.latency_ms;
        let behind = match self.committed {
            Committed::AtTheEnd => 0,
            Committed::Behind(by) => by,
        };
        json!({
            "held": self.held(), "drained": self.drain == Drain::Whole, "counts": self.verdict, "committed_behind": behind, "view": self.totals,
            "p50_ms": p50_ms, "p99_ms": p99_ms,
        })
    }
}

/// The last screen.
pub fn verdict(ending: &Ending<'_>, profile: Profile) -> String {
    let v = ending.verdict;
    let mut text = String::new();
    let head = match (ending.drain, ending.held()) {
        (Drain::CutShort, _) => "not proven: the drain was cut short",
        (Drain::Whole, true) => "the guarantees held",
        (Drain::Whole, false) => "A GUARANTEE DID NOT HOLD",
    };
    text.push_str(format!("verdict   {head} {}", profile_note(profile)).trim_end());
    text.push('\n');
    text.push_str(&format!(
        "          sent {} · acknowledged {} · stored {} · processed {}\n",
        grouped(v.sent),
        grouped(v.acknowledged),
        grouped(v.stored),
        grouped(v.processed)
    ));
    let (lost, pending) = match ending.drain {
        Drain::Whole => (v.lost + v.unprocessed, 0),
        Drain::CutShort => (v.lost, v.unprocessed),
    };
    if pending > 0 {
        text.push_str(&format!("          not processed yet {}\n", grouped(pending)));
    }
    text.push_str(&format!(
        "          lost {} · duplicated {} · reordered per key {}{}\n",
        grouped(lost),
        grouped(v.duplicated),
        grouped(v.reordered()),
        repeats(v, ending.delivery),
    ));
    let broken = v.breaches(ending.delivery).into_iter();
    for (fault, count) in broken.filter(|(fault, _)| pending == 0 || *fault != Fault::Unprocessed) {
        text.push_str(&format!("          breach: {} {fault}", grouped(count)));
        if let Some(example) = v.examples.iter().find(|e| e.fault == fault) {
            let place = example.place.map_or_else(
                || "seen nowhere".to_owned(),
                |(partition, offset)| format!("partition {partition} offset {offset}"),
            );
            text.push_str(&format!(
                ", for example order {} event {} ({place})",
                example.id.key, example.id.seq
            ));
        }
        text.push('\n');
    }
    if let (Committed::Behind(by), Drain::Whole) = (ending.committed, ending.drain) {
        text.push_str(&format!("          breach: committed offsets are {by} behind what was processed\n"));
    }
    if v.failed > 0 {
        text.push_str(&format!("          {} sends failed and were told to the caller\n", grouped(v.failed)));
    }
    let (p50, p99) = ending.latency_ms;
    text.push_str(&format!(
        "          end to end p50 {} ms · p99 {} ms\n",
        three_digits(p50),
        three_digits(p99)
    ));
    let t = ending.totals;
    text.push_str(&format!(
        "view      placed {} · paid {} · shipped {} · cancelled {} · revenue {}.{:02}\n",
        grouped(t.placed),
        grouped(t.paid),
        grouped(t.shipped),
        grouped(t.cancelled),
        grouped(u64::try_from(t.revenue_cents / 100).unwrap_or(0)),
        (t.revenue_cents % 100).abs()
    ));
    text
}

fn repeats(verdict: &Verdict, delivery: Delivery) -> String {
    match (verdict.repeated, delivery) {
        (0, _) => String::new(),
        (n, Delivery::AtLeastOnce) => {
            format!(" · processed again {} (at_least_once allows it; the view counted them once)", grouped(n))
        }
        (n, _) => format!(" · processed again {}", grouped(n)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(verdict: &Verdict, committed: Committed) -> Ending<'_> {
        let totals = Totals { paid: 2, revenue_cents: 123_456, ..Totals::default() };
        Ending {
            verdict,
            delivery: Delivery::AtLeastOnce,
            totals,
            latency_ms: (1.234, 12.34),
            committed,
            drain: Drain::Whole,
        }
    }

    #[test]
    fn a_run_without_a_fault_held() {
        let counts = Verdict {
            sent: 1_000,
            acknowledged: 1_000,
            stored: 1_000,
            processed: 1_000,
            ..Verdict::default()
        };
        let ending = ending(&counts, Committed::AtTheEnd);
        assert!(ending.held());
        let text = verdict(&ending, Profile::Prod);
        assert!(
            text.contains("the guarantees held")
                && text.contains("lost 0 · duplicated 0 · reordered per key 0")
        );
        assert!(text.contains("revenue 1,234.56"), "{text}");
    }

    #[test]
    fn one_lost_record_or_an_offset_behind_breaks_it() {
        let lost =
            Verdict { sent: 2, acknowledged: 2, stored: 1, processed: 1, lost: 1, ..Verdict::default() };
        assert!(!ending(&lost, Committed::AtTheEnd).held());
        assert!(verdict(&ending(&lost, Committed::AtTheEnd), Profile::Prod).contains("breach: 1 lost"));
        assert!(!ending(&Verdict::default(), Committed::Behind(3)).held());
    }

    #[test]
    fn what_a_short_drain_left_is_neither_lost_nor_proven() {
        let counts = Verdict { sent: 5, acknowledged: 5, stored: 5, unprocessed: 5, ..Verdict::default() };
        let ending = Ending { drain: Drain::CutShort, ..ending(&counts, Committed::Behind(5)) };
        let text = verdict(&ending, Profile::Prod);
        assert!(
            !ending.held() && text.contains("not proven") && text.contains("not processed yet 5"),
            "{text}"
        );
        assert!(text.contains("lost 0") && !text.contains("breach"), "{text}");
    }
}
