//! Spreads records over time.

use std::time::Duration;

use crate::args::RateArg;

/// How many records are due: never more than a tenth of a second's worth at once, so that a pause of the machine is not
/// followed by a burst that no service would see.
#[derive(Debug)]
pub struct Pace {
    rate: RateArg,
    paid_until: Duration,
}

/// Most that is made up for after a pause.
const LARGEST_GAP: Duration = Duration::from_millis(100);

impl Pace {
    /// Starts at time zero.
    pub fn new(rate: RateArg) -> Self {
        Pace { rate, paid_until: Duration::ZERO }
    }

    /// Takes one record: how long to wait before it is due, seen from `now`.
    pub fn wait_before_next(&mut self, now: Duration) -> Duration {
        let RateArg::PerSecond(rate) = self.rate else {
            return Duration::ZERO;
        };
        self.paid_until = self.paid_until.max(now.saturating_sub(LARGEST_GAP));
        let wait = self.paid_until.saturating_sub(now);
        self.paid_until += Duration::from_secs_f64(1.0 / rate);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_due_at_the_rate() {
        let mut pace = Pace::new(RateArg::PerSecond(1_000.0));
        let mut now = Duration::ZERO;
        for _ in 0..5_000 {
            now += pace.wait_before_next(now);
        }
        assert!((4.99..5.01).contains(&(now.as_secs_f64())), "{now:?}");
    }

    #[test]
    fn a_pause_is_made_up_for_by_a_tenth_of_a_second_at_most() {
        let mut pace = Pace::new(RateArg::PerSecond(1_000.0));
        let now = Duration::from_secs(60);
        let at_once = (0..10_000).take_while(|_| pace.wait_before_next(now).is_zero()).count();
        assert!((95..=105).contains(&at_once), "{at_once}");
    }

    #[test]
    fn max_never_waits() {
        let mut pace = Pace::new(RateArg::Max);
        assert!((0..1_000).all(|_| pace.wait_before_next(Duration::ZERO).is_zero()));
    }
}
