//! Waiting longer after each failure, with jitter (KIP-580).

use std::time::Duration;

use crate::random::mix;

/// Doubles from the first wait to the most, each a fifth shorter or longer by chance.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    failures: u32,
    random: u64,
}

impl Backoff {
    /// `random` decides the jitter.
    pub(crate) fn new(first: Duration, most: Duration, random: u64) -> Backoff {
        Backoff { first, most, failures: 0, random }
    }

    /// As Java's `retry.backoff.ms` and `retry.backoff.max.ms` have it: 100 ms to 1 s.
    pub(crate) fn of_java(random: u64) -> Backoff {
        Backoff::new(Duration::from_millis(100), Duration::from_secs(1), random)
    }

    /// Failures since it worked last.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// The same from the beginning, with its own jitter.
    pub(crate) fn with_random(&self, random: u64) -> Backoff {
        Backoff { failures: 0, random, ..*self }
    }

    /// How long to wait after one more failure.
    pub(crate) fn next(&mut self) -> Duration {
        let doubled = self.first.saturating_mul(1 << self.failures.min(20)).min(self.most);
        self.failures = self.failures.saturating_add(1);
        // 0.8 to 1.2, in thousandths.
        let thousandths = 800 + u32::try_from(mix(&mut self.random) % 401).unwrap_or(200);
        doubled * thousandths / 1_000
    }

    /// It works again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_the_most_and_start_again_after_success() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(100), ms(1_000), 7);
        let waits: Vec<_> = (0..40).map(|_| backoff.next()).collect();
        assert!(
            (ms(80)..=ms(120)).contains(&waits[0]) && (ms(160)..=ms(240)).contains(&waits[1]),
            "{waits:?}"
        );
        assert!(waits[4..].iter().all(|wait| (ms(800)..=ms(1_200)).contains(wait)), "{waits:?}");
        backoff.reset();
        assert!(backoff.next() <= ms(120));
    }
}
