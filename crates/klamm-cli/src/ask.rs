//! Between the user and a change: asking before it, showing it while it goes on, stopping it.

use std::io::{IsTerminal, Write};

use klamm_apply::{Control, Progress, Receipt};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::failure::Failure;
use crate::screen;
use crate::up::Signals;

/// Whether somebody has agreed already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sure {
    /// `--yes`.
    Yes,
    /// Whoever sits at the terminal is asked.
    Ask,
}

/// `--yes`, or the answer of whoever sits at the terminal.
pub async fn agreed(sure: Sure, json: bool, preview: &Receipt) -> Result<bool, Failure> {
    let count = preview.done.len();
    let question = format!("make these {count} changes on cluster {}?", preview.cluster_id);
    agreed_to(sure, json, &format!("{count} changes are pending"), &question).await
}

/// `--yes`, or the answer to `question`, about what is `pending`, of whoever sits at the terminal.
pub async fn agreed_to(sure: Sure, json: bool, pending: &str, question: &str) -> Result<bool, Failure> {
    if sure == Sure::Yes {
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() || json {
        return Err(Failure::new(format!("{pending}, and nobody is there to be asked"))
            .hint("`--yes` does it, `--dry-run` only shows it"));
    }
    eprint!("{question} [y/N] ");
    let _ = std::io::stderr().flush();
    let answer = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    let line = answer.await.ok().and_then(Result::ok).unwrap_or_default();
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

/// Shows progress, and passes Ctrl-C on: a request is let to its end and a move is cancelled; what has been made by then
/// stays, and the journal knows it.
pub struct Watch {
    say: Box<dyn Fn(&Progress) + Send + Sync>,
    stopped: watch::Receiver<bool>,
    signals: JoinHandle<()>,
}

impl Watch {
    /// Takes the signals over.
    pub fn start(json: bool) -> Result<Watch, Failure> {
        let (stop, stopped) = watch::channel(false);
        let mut signals = Signals::take()?;
        let signals = tokio::spawn(async move {
            signals.next().await;
            // Nobody listens any more when the work has ended.
            let _ = stop.send(true);
        });
        let say = Box::new(move |progress: &Progress| screen::progress(progress, json));
        Ok(Watch { say, stopped, signals })
    }

    /// For the work that is watched.
    pub fn control(&self) -> Control<'_> {
        Control { say: &*self.say, stop: Some(&self.stopped) }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.signals.abort();
    }
}
