//! What a run counts while it runs, and the one live line that shows it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use klamm_contract::Profile;
use serde::Serialize;
use serde_json::json;

use crate::failure::Json;
use crate::screen;

/// Latencies are kept from 1 µs to 10 min with two significant digits: about 20 KB.
const HIGHEST_MICROS: u64 = 600_000_000;

/// Counters of a run; each has one writer, the line only reads.
#[derive(Debug)]
pub struct Counters {
    started: Instant,
    /// Records handed to the producer.
    pub sent: AtomicU64,
    /// Records with a receipt.
    pub acknowledged: AtomicU64,
    /// Records that the view has.
    pub processed: AtomicU64,
    /// Records between the view and the end of the log.
    pub lag: AtomicU64,
    latency: Mutex<Latency>,
}

#[derive(Debug)]
struct Latency {
    since_last: Histogram<u64>,
    whole_run: Histogram<u64>,
}

/// One reading of the counters.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// Seconds since the service started.
    pub elapsed_s: f64,
    /// Acknowledged records a second since the reading before.
    pub records_per_s: f64,
    /// Records handed to the producer.
    pub sent: u64,
    /// Records with a receipt.
    pub acknowledged: u64,
    /// Records that the view has.
    pub processed: u64,
    /// Records between the view and the end of the log.
    pub lag: u64,
    /// Median from send to processed, milliseconds.
    pub p50_ms: f64,
    /// 99th percentile from send to processed, milliseconds.
    pub p99_ms: f64,
}

impl Counters {
    /// All at zero, the clock running.
    pub fn new() -> Self {
        let histogram = || {
            // Bounds are constants and valid; the growing histogram is the same without the bound.
            Histogram::new_with_bounds(1, HIGHEST_MICROS, 2)
                .or_else(|_| Histogram::new(2))
                .unwrap_or_else(|_| unreachable!("two significant digits are valid"))
        };
        Counters {
            started: Instant::now(),
            sent: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            processed: AtomicU64::new(0),
            lag: AtomicU64::new(0),
            latency: Mutex::new(Latency { since_last: histogram(), whole_run: histogram() }),
        }
    }

    /// Time since the service started: what `klamm-sent` headers carry.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Takes the times from send to processed of one batch in.
    pub fn record_latencies(&self, latencies: &[Duration]) {
        let mut latency = self.latency.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        for each in latencies {
            let micros = u64::try_from(each.as_micros()).unwrap_or(HIGHEST_MICROS).clamp(1, HIGHEST_MICROS);
            latency.since_last.saturating_record(micros);
            latency.whole_run.saturating_record(micros);
        }
    }

    /// Takes a new reading of the lag in.
    pub fn saw_lag(&self, records: u64) {
        self.lag.store(records, Ordering::Relaxed);
    }

    /// Median and 99th percentile of the whole run, in milliseconds.
    pub fn whole_run_ms(&self) -> (f64, f64) {
        let latency = self.latency.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        percentiles(&latency.whole_run)
    }

    fn read(&self, previous: (u64, Instant)) -> Status {
        let acknowledged = self.acknowledged.load(Ordering::Relaxed);
        let seconds = previous.1.elapsed().as_secs_f64().max(1e-6);
        let (p50_ms, p99_ms) = {
            let mut latency = self.latency.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let both = percentiles(&latency.since_last);
            latency.since_last.reset();
            both
        };
        Status {
            elapsed_s: self.elapsed().as_secs_f64(),
            records_per_s: acknowledged.saturating_sub(previous.0) as f64 / seconds,
            sent: self.sent.load(Ordering::Relaxed),
            acknowledged,
            processed: self.processed.load(Ordering::Relaxed),
            lag: self.lag.load(Ordering::Relaxed),
            p50_ms,
            p99_ms,
        }
    }
}

fn percentiles(histogram: &Histogram<u64>) -> (f64, f64) {
    let ms = |q| histogram.value_at_quantile(q) as f64 / 1_000.0;
    (ms(0.50), ms(0.99))
}

/// The one live line: redrawn on a terminal, one line a reading elsewhere, one object a reading with `--json`.
pub struct StatusLine {
    bar: ProgressBar,
    previous: (u64, Instant),
    json: Json,
}

impl StatusLine {
    /// A line that says which profile it runs under. It is cut at the terminal's width, never wrapped.
    pub fn new(json: Json, profile: Profile) -> Self {
        let bar = if json == Json::Yes { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        let note = match profile {
            Profile::Prod => "",
            Profile::Dev => "[profile dev] ",
        };
        if let Ok(style) = ProgressStyle::with_template(&format!("{{spinner}} {note}{{wide_msg}}")) {
            bar.set_style(style);
        }
        StatusLine { bar, previous: (0, Instant::now()), json }
    }

    /// Shows a new reading.
    pub fn show(&mut self, counters: &Counters, phase: &str) {
        let status = counters.read(self.previous);
        self.previous = (status.acknowledged, Instant::now());
        if self.json == Json::Yes {
            let mut line = json!({ "event": "status", "phase": phase });
            if let (Some(line), Ok(serde_json::Value::Object(fields))) =
                (line.as_object_mut(), serde_json::to_value(&status))
            {
                line.extend(fields);
            }
            screen::say_json(&line);
            return;
        }
        if self.bar.is_hidden() {
            screen::say_text(&format!("{phase:<8} {}\n", status_text(&status)));
        } else {
            self.bar.set_message(live_text(&status, phase));
            self.bar.tick();
        }
    }

    /// Takes the line off the terminal.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn status_text(status: &Status) -> String {
    format!(
        "{:>7} records/s · acknowledged {} · consumed {} · lag {} · p50 {} ms p99 {} ms",
        screen::grouped(status.records_per_s.round() as u64),
        screen::grouped(status.acknowledged),
        screen::grouped(status.processed),
        screen::grouped(status.lag),
        screen::three_digits(status.p50_ms),
        screen::three_digits(status.p99_ms),
    )
}

/// What matters most comes first, because a narrow terminal cuts the end.
fn live_text(status: &Status, phase: &str) -> String {
    format!(
        "{phase} {}/s · lag {} · p50 {} p99 {} ms · acknowledged {} · consumed {}",
        screen::grouped(status.records_per_s.round() as u64),
        screen::grouped(status.lag),
        screen::three_digits(status.p50_ms),
        screen::three_digits(status.p99_ms),
        screen::grouped(status.acknowledged),
        screen::grouped(status.processed),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_counts_from_the_reading_before() {
        let counters = Counters::new();
        counters.acknowledged.store(500, Ordering::Relaxed);
        counters.record_latencies(&[Duration::from_millis(2), Duration::from_millis(4)]);
        let first = counters.read((0, Instant::now()));
        assert_eq!(first.acknowledged, 500);
        assert!(first.p50_ms >= 1.9 && first.p99_ms >= 3.9, "{first:?}");
        let second = counters.read((500, Instant::now()));
        assert_eq!((second.records_per_s, second.p99_ms), (0.0, 0.0), "the interval starts anew");
        assert!(counters.whole_run_ms().1 >= 3.9, "the whole run does not");
    }

    #[test]
    fn latencies_outside_the_bounds_are_clamped_and_not_lost() {
        let counters = Counters::new();
        counters.record_latencies(&[Duration::ZERO, Duration::from_secs(100_000)]);
        assert!(counters.whole_run_ms().1 > 500_000.0);
    }
}
