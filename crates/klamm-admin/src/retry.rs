//! Trying again: exponential backoff with jitter, within the call's deadline.

use std::time::Duration;

use rand::Rng;
use tokio::time::{Instant, sleep, timeout_at};

use crate::Admin;
use crate::error::{AdminError, Patience};

/// Which failures may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// All: doing it twice is as good as once.
    Always,
    /// Only those that left the cluster as it was: the second try would be refused, or do something else.
    IfNothingHappened,
}

/// As Java's `retry.backoff.ms` and `retry.backoff.max.ms`.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(1);
/// How long news may travel before it is taken for a mistake.
const SHORT_PATIENCE: Duration = Duration::from_secs(4);
/// A dead broker is advertised until its session ends (`broker.session.timeout.ms`, 9 s), and some more.
const OUTAGE_PATIENCE: Duration = Duration::from_secs(12);

impl Admin {
    /// Does `attempt` until it succeeds, fails for good, or `api_timeout` is over.
    pub(crate) async fn retry<T, F>(
        &self,
        what: &str,
        repeat: Repeat,
        attempt: impl Fn() -> F,
    ) -> Result<T, AdminError>
    where
        F: Future<Output = Result<T, AdminError>>,
    {
        let limit = self.api_timeout;
        let started = Instant::now();
        let mut last: Option<AdminError> = None;
        for tries in 0_u32.. {
            let error = match timeout_at(started + limit, attempt()).await {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(error)) => error,
                Err(_) => break,
            };
            let delay = backoff(tries, rand::rng().random());
            if !self.again(&error, repeat, started.elapsed() + delay) {
                return Err(error);
            }
            last = Some(error);
            if started.elapsed() + delay >= limit {
                break;
            }
            sleep(delay).await;
            // What moved is known only to newer metadata. When this fails, the next attempt says so.
            let _ = timeout_at(started + limit, self.cluster.refresh()).await;
        }
        Err(AdminError::timeout(what, limit, last.as_ref()))
    }

    pub(crate) fn again(&self, error: &AdminError, repeat: Repeat, elapsed: Duration) -> bool {
        if repeat == Repeat::IfNothingHappened && !error.effect().is_none() {
            return false;
        }
        match error.patience() {
            Patience::None => false,
            Patience::Short => elapsed < SHORT_PATIENCE,
            // The broker that answers at bootstrap is alive. When no advertised address works, its own does not
            // either: that is a mistake, no outage.
            Patience::Outage if self.cluster.has_reached_a_listener() => elapsed < OUTAGE_PATIENCE,
            Patience::Outage => elapsed < SHORT_PATIENCE,
            Patience::Full => true,
        }
    }
}

/// The pause after try number `tries`, between half and one and a half of its exponential step; `luck` in 0 to 1.
pub(crate) fn backoff(tries: u32, luck: f64) -> Duration {
    let step = FIRST.saturating_mul(1 << tries.min(10)).min(LONGEST);
    step.mul_f64(0.5 + luck.clamp(0.0, 1.0))
}

/// The broker does not know the request at all.
pub(crate) fn is_unsupported(error: &AdminError) -> bool {
    error.unsupported().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        assert_eq!(backoff(0, 0.5), FIRST);
        assert_eq!(backoff(1, 0.5), FIRST * 2);
        assert_eq!(backoff(u32::MAX, 0.5), LONGEST);
        assert_eq!(backoff(0, 0.0), FIRST / 2);
        assert!(backoff(u32::MAX, 1.0) <= LONGEST * 3 / 2);
    }
}
