//! What was changed, and what stands in the way of changing it.

use std::io::IsTerminal;
use std::time::Duration;

use klamm_apply::journal::Inverse;
use klamm_apply::{ApplyError, ApplyErrorKind, Progress, Receipt, Unit};
use klamm_contract::{Breach, Profile};
use klamm_plan::Risk;
use serde_json::json;

use super::plan::profile_note;
use crate::failure::Failure;

/// What one run changed.
pub fn receipt(receipt: &Receipt, profile: Profile) -> String {
    let verb = if receipt.dry_run { "would change" } else { "changed" };
    let count = match (receipt.done.len(), receipt.dry_run) {
        (0, _) if receipt.undoes.is_some() => "nothing is left to take back".to_owned(),
        (0, _) if receipt.copied.is_some() => "changed no setting".to_owned(),
        (0, _) => "nothing to change, the cluster is as planned".to_owned(),
        (1, _) => format!("{verb} 1 thing"),
        (n, _) => format!("{verb} {n} things"),
    };
    let head = format!("receipt   {count} (cluster {}) {}", receipt.cluster_id, profile_note(profile));
    let mut text = head.trim_end().to_owned() + "\n";
    for done in &receipt.done {
        let risk = if done.risk == Risk::Safe { String::new() } else { format!(" [{}]", done.risk) };
        text.push_str(&format!("  {}{risk}\n", done.what));
        if let Some(loss) = &done.loses {
            text.push_str(&format!("    {}\n", loss.text()));
        }
    }
    if let Some(copied) = receipt.copied {
        text.push_str(&format!("  {copied} records copied\n"));
    }
    for left in &receipt.left {
        text.push_str(&format!("  stays: {left}\n"));
    }
    for remark in &receipt.remarks {
        text.push_str(&format!("  not done: {remark}\n"));
    }
    let back = |done: &klamm_apply::Done| !matches!(Inverse::of(&done.change), Inverse::Never { .. });
    if let Some(run) = receipt.run.filter(|_| receipt.done.iter().any(back)) {
        text.push_str(&format!("  run {run}: `klamm apply --undo {run}` takes it back\n"));
    }
    text
}

/// How far a move of copies is: a line that overwrites itself where somebody looks, and JSON where that was asked for.
pub fn progress(progress: &Progress, json: bool) {
    let Progress { topic, unit, done, of, elapsed, left } = progress;
    let (event, counted) = match unit {
        Unit::Partitions => ("moving", "partitions"),
        Unit::Records => ("copying", "records"),
    };
    let seconds = |time: &Duration| time.as_secs_f64().round();
    if json {
        let left = left.as_ref().map(seconds);
        let elapsed = seconds(elapsed);
        super::say_json(
            &json!({ "event": event, "topic": topic, "done": done, "of": of, "elapsed_s": elapsed, "left_s": left }),
        );
        return;
    }
    let left = left.map_or("".to_owned(), |left| format!(", about {} s left", seconds(&left)));
    let line = format!("{event:<9} {topic}: {done} of {of} {counted} after {} s{left}", seconds(elapsed));
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K{line}{}", if done == of { "\n" } else { "" });
    } else if done == of || *done == 0 && elapsed.is_zero() {
        eprintln!("{line}");
    }
}

/// A refusal, whole: each breach with what would be lost and what mends it.
fn breaches(breaches: &[(String, Breach)]) -> String {
    let mut text = String::new();
    for (topic, b) in breaches {
        text.push_str(&format!(
            "refused   {topic}: {} layer: {} is {}, {} is needed\n",
            b.layer, b.setting, b.value, b.needed
        ));
        text.push_str(&format!("          lost: {}\n          fix:  {}\n", b.consequence, b.fix));
    }
    text
}

/// Why a plan was not applied, in a line and a hint.
pub fn apply_failed(error: &ApplyError, bootstrap: &[String], spec: &str) -> Failure {
    let reconcile = format!("klamm apply {spec} --bootstrap {}", bootstrap.join(","));
    let failure = Failure::new(error);
    let mut details = String::new();
    if !error.done().done.is_empty() {
        details.push_str(&receipt(error.done(), Profile::Prod));
    }
    match error.kind() {
        ApplyErrorKind::Weak { breaches: found } => {
            failure.details(breaches(found)).hint("mend it as said above, or run under `--profile dev`, which relaxes copies, racks and the in-sync floor, and nothing else")
        }
        ApplyErrorKind::Differs { changes } => {
            for change in changes {
                details.push_str(&format!("differs   {change} [{}]\n", change.risk));
            }
            failure.details(details).hint(format!("`{reconcile}` brings it to the plan; `--dry-run` shows what it would do"))
        }
        ApplyErrorKind::Conflict { conflicts } => {
            for c in conflicts {
                details.push_str(&format!("differs   {}: {} is {}, {} is planned: {}\n          fix: {}\n", c.topic, c.setting, c.has, c.wants, c.why, c.fix));
            }
            let hint = conflicts.first().map(|c| c.fix.clone()).unwrap_or_default();
            failure.details(details).hint(hint)
        }
        ApplyErrorKind::LosesData { losses } => {
            for (change, loss) in losses {
                details.push_str(&format!("deletes   {change}\n          {}\n", loss.text()));
            }
            failure.details(details).hint("`--allow-data-loss` does it; a longer `retain:` keeps the records")
        }
        ApplyErrorKind::Locked { .. } => {
            failure.hint("wait for it with `--lock-timeout 5m`; `klamm journal` shows what it does")
        }
        ApplyErrorKind::Fenced { .. } => {
            failure.details(details).hint("what was done by then stays; look at `klamm journal`, then apply again")
        }
        ApplyErrorKind::Journal { .. } => {
            failure.hint("mend or delete the topic klamm.journal, or `--no-journal` (then nothing can be undone)")
        }
        ApplyErrorKind::Cancelled { .. } => {
            failure.details(details).hint("apply again to move them; what was made before stays, and `klamm journal` has it")
        }
        ApplyErrorKind::ThrottleTooLow { inbound, .. } => {
            failure.hint(format!("at least twice as much: `--throttle \"{} B/s\"`", inbound.saturating_mul(2)))
        }
        ApplyErrorKind::Refused { fix, .. } => failure.details(details).hint(fix.clone()),
        ApplyErrorKind::Stopped { .. } => failure.details(details),
        ApplyErrorKind::UnknownRun { .. } => failure.hint("`klamm journal` lists the runs"),
        ApplyErrorKind::OtherCluster { .. } => failure.hint("plan again against this cluster"),
        ApplyErrorKind::Admin(error) => {
            let failure = crate::connect::failed(error);
            if details.is_empty() { failure } else { failure.details(details) }
        }
        ApplyErrorKind::NotSettled { .. } => {
            failure.details(details).hint(format!("`klamm doctor`, then `{reconcile}` again: what is done is not done twice"))
        }
        _ => failure,
    }
}
