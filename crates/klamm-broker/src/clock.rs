//! Time as the broker sees it: the system's, or one that a test holds and steps.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

/// The broker's clock. Cloning gives another handle on the same clock.
#[derive(Debug, Clone)]
pub struct Clock {
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    System { start: Instant },
    Held { now_ms: watch::Sender<i64> },
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self { kind: Kind::System { start: Instant::now() } }
    }

    /// A clock that stands at `now_ms` (since the epoch) until [`Clock::advance`] moves it.
    pub fn held(now_ms: i64) -> Self {
        Self { kind: Kind::Held { now_ms: watch::Sender::new(now_ms) } }
    }

    /// Moves a held clock forward and fires what falls due. Does nothing to the system's clock.
    pub fn advance(&self, by: Duration) {
        if let Kind::Held { now_ms } = &self.kind {
            now_ms.send_modify(|now| *now = now.saturating_add(millis(by)));
        }
    }

    /// Milliseconds since the epoch: for what is stored.
    pub fn now_ms(&self) -> i64 {
        match &self.kind {
            Kind::System { .. } => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis),
            Kind::Held { now_ms } => *now_ms.borrow(),
        }
    }

    /// Milliseconds that only ever grow: for deadlines.
    pub(crate) fn monotonic_ms(&self) -> i64 {
        match &self.kind {
            Kind::System { start } => millis(start.elapsed()),
            Kind::Held { now_ms } => *now_ms.borrow(),
        }
    }

    /// Waits until [`Clock::monotonic_ms`] has reached `deadline_ms`. Cancel safe.
    pub(crate) async fn sleep_until(&self, deadline_ms: i64) {
        match &self.kind {
            Kind::System { start } => {
                let since_start = Duration::from_millis(deadline_ms.max(0).unsigned_abs());
                match start.checked_add(since_start) {
                    Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                    None => std::future::pending().await,
                }
            }
            Kind::Held { now_ms } => {
                let mut changes = now_ms.subscribe();
                // The sender lives in `self`, so this cannot fail.
                let _ = changes.wait_for(|now| *now >= deadline_ms).await;
            }
        }
    }
}

/// Whole milliseconds, as far as they fit.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_held_clock_moves_only_when_it_is_told_to() {
        let clock = Clock::held(1_000);
        let waiting = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep_until(1_500).await }
        });
        clock.advance(Duration::from_millis(499));
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        clock.advance(Duration::from_millis(1));
        waiting.await.unwrap();
        assert_eq!(clock.now_ms(), 1_500);
    }
}
