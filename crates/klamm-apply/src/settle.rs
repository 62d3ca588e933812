//! Waiting until the cluster shows what was done: brokers answer before all of them know.

use std::time::Duration;

use klamm_admin::AdminError;
use tokio::time::{Instant, sleep};

use crate::ApplyErrorKind;

/// How long the brokers may take to show a change.
pub(crate) const SETTLE: Duration = Duration::from_secs(30);
/// Pause between looks: the first ones are quick, because one broker settles in milliseconds.
const FIRST_LOOK: Duration = Duration::from_millis(10);
const SLOWEST_LOOK: Duration = Duration::from_millis(500);

/// What a look found.
pub(crate) enum Look<T> {
    /// Everything shows.
    Shown(T),
    /// This does not show yet.
    Missing(String),
}

/// Looks until everything shows, for `within` at most. A look that fails for a while counts as one that shows nothing.
///
/// # Errors
/// `NotSettled` with what was missing last.
pub(crate) async fn settled<T, F: Future<Output = Result<Look<T>, AdminError>>>(
    within: Duration,
    mut look: impl FnMut() -> F,
) -> Result<T, ApplyErrorKind> {
    let deadline = Instant::now() + within;
    let mut pause = FIRST_LOOK;
    loop {
        let missing = match look().await {
            Ok(Look::Shown(found)) => return Ok(found),
            Ok(Look::Missing(missing)) => missing,
            Err(error) if error.is_retryable() => error.to_string(),
            Err(error) => return Err(ApplyErrorKind::Admin(error)),
        };
        if Instant::now() + pause > deadline {
            return Err(ApplyErrorKind::NotSettled { missing: format!("after {within:?} {missing}") });
        }
        sleep(pause).await;
        pause = (pause * 2).min(SLOWEST_LOOK);
    }
}
