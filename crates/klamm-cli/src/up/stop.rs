//! When a run stops: a time, a count, or a signal. A second signal leaves at once.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::failure::Failure;

/// Why the service stops writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It goes on.
    NotYet,
    /// `--for` or `--records` is reached.
    Done,
    /// Ctrl-C or SIGTERM.
    Interrupted,
    /// A record could not be sent, or the consumer stopped.
    Failed,
}

/// Ctrl-C and SIGTERM, taken over from the first moment so that no step is cut in the middle.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Takes the signals over.
    pub fn take() -> Result<Self, Failure> {
        let take =
            |kind| signal(kind).map_err(|error| Failure::new(format!("cannot take over signals: {error}")));
        Ok(Signals { interrupt: take(SignalKind::interrupt())?, terminate: take(SignalKind::terminate())? })
    }

    /// Waits for the next one. Cancelling loses none.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// One value that every part of the service watches.
#[derive(Debug, Clone)]
pub struct Stop {
    sender: watch::Sender<Why>,
}

impl Stop {
    /// Nobody has stopped.
    pub fn new() -> Self {
        Stop { sender: watch::Sender::new(Why::NotYet) }
    }

    /// Stops; the first reason stays.
    pub fn stop(&self, why: Why) {
        self.sender.send_if_modified(|now| {
            let first = *now == Why::NotYet;
            if first {
                *now = why;
            }
            first
        });
    }

    /// Why it stopped, or `NotYet`.
    pub fn why(&self) -> Why {
        *self.sender.borrow()
    }

    /// Waits until it is stopped. Cancel-safe.
    pub async fn stopped(&self) -> Why {
        let mut receiver = self.sender.subscribe();
        // The sender lives in `self`, so this cannot fail while we wait.
        match receiver.wait_for(|why| *why != Why::NotYet).await {
            Ok(why) => *why,
            Err(_) => Why::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_reason_stays() {
        let stop = Stop::new();
        assert_eq!(stop.why(), Why::NotYet);
        stop.stop(Why::Failed);
        stop.stop(Why::Done);
        assert_eq!(stop.stopped().await, Why::Failed);
    }
}
