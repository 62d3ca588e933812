//! Waiting for a condition, with a bound: the only way in which a test waits.

use std::fmt::Display;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// An answer that is either final or "not yet".
pub trait Settles {
    /// What is known when it is final.
    type Value;

    /// The value, or why not yet.
    fn settle(self) -> Result<Self::Value, String>;
}

impl Settles for bool {
    type Value = ();

    fn settle(self) -> Result<(), String> {
        if self { Ok(()) } else { Err("it is not so".into()) }
    }
}

impl<T> Settles for Option<T> {
    type Value = T;

    fn settle(self) -> Result<T, String> {
        self.ok_or_else(|| "there is none".into())
    }
}

impl<T, E: Display> Settles for Result<T, E> {
    type Value = T;

    fn settle(self) -> Result<T, String> {
        self.map_err(|error| format!("{error:#}"))
    }
}

/// Asks again and again until the answer is `true`, `Some` or `Ok`. When the bound has passed, the error says what was
/// waited for and what the last answer was.
pub async fn eventually<A: Settles>(
    bound: Duration,
    what: &str,
    mut ask: impl AsyncFnMut() -> A,
) -> Result<A::Value> {
    let deadline = Instant::now() + bound;
    let mut pause = FIRST_PAUSE;
    let mut last = String::from("never answered");
    loop {
        match tokio::time::timeout_at(deadline, ask()).await {
            Ok(answer) => match answer.settle() {
                Ok(value) => return Ok(value),
                Err(reason) => last = reason,
            },
            Err(_elapsed) => bail!("waited {bound:?} for {what}; the last answer: {last}"),
        }
        if Instant::now() + pause >= deadline {
            bail!("waited {bound:?} for {what}; the last answer: {last}");
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_value_is_returned_once_there_is_one() -> Result<()> {
        let mut asked = 0;
        let value = eventually(Duration::from_secs(5), "the third answer", async || {
            asked += 1;
            (asked == 3).then_some(asked)
        });
        assert_eq!(value.await?, 3);
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn the_bound_ends_the_wait_and_the_error_says_what_for() {
        let outcome = eventually(Duration::from_secs(1), "rain", async || Err::<(), _>("sunshine")).await;
        let text = outcome.map_or_else(|error| error.to_string(), |()| String::new());
        assert_eq!(text, "waited 1s for rain; the last answer: sunshine");
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_is_never_answered_ends_too() {
        let endless = async || std::future::pending::<Result<(), Infallible>>().await;
        assert!(eventually(Duration::from_secs(1), "an answer", endless).await.is_err());
    }
}
