//! A rate over sliding samples, as `org.apache.kafka.common.metrics.stats.Rate` measures it with the brokers' defaults:
//! `quota.window.num` 11 and `quota.window.size.seconds` 1.

use std::collections::VecDeque;

/// Length of a sample.
pub(super) const WINDOW_MS: i64 = 1_000;
const SAMPLES: i64 = 11;
/// Samples that always count as complete: a burst at the start is measured over ten seconds.
pub(super) const FULL_WINDOWS: f64 = (SAMPLES - 1) as f64;

/// What was used in each of the last seconds.
#[derive(Debug, Default)]
pub(super) struct Rate {
    samples: VecDeque<Sample>,
}

#[derive(Debug)]
struct Sample {
    start_ms: i64,
    last_ms: i64,
    value: f64,
}

impl Rate {
    pub fn record(&mut self, value: f64, now_ms: i64) {
        match self.samples.back_mut() {
            Some(sample) if now_ms - sample.start_ms < WINDOW_MS => {
                sample.value += value;
                sample.last_ms = now_ms;
            }
            _ => {
                // One more than counts: the oldest may still overlap the window.
                if self.samples.len() as i64 > SAMPLES {
                    self.samples.pop_front();
                }
                self.samples.push_back(Sample { start_ms: now_ms, last_ms: now_ms, value });
            }
        }
    }

    /// How long to wait until the rate is within `limit` a second. If O is the rate over a window W, then waiting X makes it
    /// O * W / (W + X); so X = (O - limit) / limit * W.
    pub fn throttle_ms(&mut self, limit: f64, now_ms: i64) -> i64 {
        self.samples.retain(|sample| now_ms - sample.last_ms < SAMPLES * WINDOW_MS);
        let used: f64 = self.samples.iter().map(|sample| sample.value).sum();
        let window_ms = self.window_ms(now_ms) as f64;
        let rate = used / (window_ms / 1000.0);
        if rate <= limit { 0 } else { ((rate - limit) / limit * window_ms).round() as i64 }
    }

    /// Nothing that counts was recorded.
    pub fn is_over(&self, now_ms: i64) -> bool {
        self.samples.back().is_none_or(|sample| now_ms - sample.last_ms >= SAMPLES * WINDOW_MS)
    }

    fn window_ms(&self, now_ms: i64) -> i64 {
        let elapsed_ms = self.samples.front().map_or(0, |oldest| now_ms - oldest.start_ms);
        let missing = (SAMPLES - 1 - elapsed_ms / WINDOW_MS).max(0);
        (elapsed_ms + missing * WINDOW_MS).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_burst_is_measured_over_ten_seconds() {
        let mut rate = Rate::default();
        rate.record(10_000.0, 0);
        assert_eq!(rate.throttle_ms(1_000.0, 0), 0);
        rate.record(2_000.0, 0);
        assert_eq!(rate.throttle_ms(1_000.0, 0), 2_000);
        assert_eq!(rate.throttle_ms(1_000.0, 500), 1_500);
        assert_eq!(rate.throttle_ms(1_000.0, 11_000), 0, "forgotten");
    }

    proptest! {
        /// What the wait is for: spread over the window and the wait, what was used is the limit.
        #[test]
        fn what_was_used_over_window_and_wait_is_the_limit(
            steps in prop::collection::vec((0_i64..3_000, 0.0..5_000.0_f64), 1..40), limit in 1.0..2_000.0_f64,
        ) {
            let mut rate = Rate::default();
            let mut now_ms = 0;
            for (pause_ms, value) in steps {
                now_ms += pause_ms;
                rate.record(value, now_ms);
            }
            let wait_ms = rate.throttle_ms(limit, now_ms);
            let used: f64 = rate.samples.iter().map(|sample| sample.value).sum();
            let (window_ms, allowed) = (rate.window_ms(now_ms) as f64, limit / 1000.0);
            prop_assert!((10_000.0..=13_000.0).contains(&window_ms), "{}", window_ms);
            if wait_ms == 0 {
                prop_assert!(used <= allowed * (window_ms + 0.5) + 1e-6);
            } else {
                prop_assert!((used - allowed * (window_ms + wait_ms as f64)).abs() <= allowed * 0.5 + 1e-6);
            }
            prop_assert_eq!(rate.throttle_ms(limit, now_ms + 11_000), 0, "forgotten");
        }
    }
}
