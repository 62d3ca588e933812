//! How long things took, in few bytes.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

/// Longest time that is told apart, in microseconds: one hour. Longer ones count as that.
const MAX_MICROS: u64 = 3_600_000_000;

/// A summary of durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Latency {
    /// Number of durations.
    pub count: u64,
    /// Half of them took no longer.
    pub p50: Duration,
    /// 99 of 100 took no longer.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

/// Records durations from 1 µs to 1 h with two significant digits, in about 20 KiB.
pub(crate) struct Recorder {
    histogram: Mutex<Option<Histogram<u64>>>,
}

impl Recorder {
    pub(crate) fn new() -> Recorder {
        // The bounds are constants that the histogram accepts; should it ever not, nothing is recorded.
        Recorder { histogram: Mutex::new(Histogram::new_with_bounds(1, MAX_MICROS, 2).ok()) }
    }

    pub(crate) fn record(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        if let Some(histogram) = &mut *self.histogram.lock().unwrap_or_else(PoisonError::into_inner) {
            histogram.saturating_record(micros.max(1));
        }
    }

    pub(crate) fn summary(&self) -> Latency {
        let histogram = self.histogram.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(histogram) = histogram.as_ref().filter(|histogram| !histogram.is_empty()) else {
            return Latency::default();
        };
        let at = |quantile| Duration::from_micros(histogram.value_at_quantile(quantile));
        Latency {
            count: histogram.len(),
            p50: at(0.5),
            p99: at(0.99),
            max: Duration::from_micros(histogram.max()),
        }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.summary().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_within_two_digits() {
        let recorder = Recorder::new();
        assert_eq!(recorder.summary(), Latency::default());
        (1..=1_000).for_each(|millis| recorder.record(Duration::from_millis(millis)));
        let summary = recorder.summary();
        let close = |ours: Duration, millis: f64| (ours.as_secs_f64() * 1e3 / millis - 1.0).abs() < 0.02;
        assert!(
            close(summary.p50, 500.0) && close(summary.p99, 990.0) && summary.count == 1_000,
            "{summary:?}"
        );
    }

    #[test]
    fn what_is_out_of_range_is_counted_at_the_end_of_it() {
        let recorder = Recorder::new();
        recorder.record(Duration::ZERO);
        recorder.record(Duration::from_secs(100_000));
        assert_eq!(recorder.summary().count, 2);
    }
}
