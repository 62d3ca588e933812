//! `klamm journal`: what was changed on a cluster, by whom, and what takes it back.

use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use klamm_apply::journal::{self, History, Inverse, JournalError, RunRecord, RunState, StepState};
use serde_json::json;

use crate::args::JournalArgs;
use crate::failure::{Exit, Failure, Outcome};
use crate::{connect, screen};

/// Exit code 0, also when there is no journal: nothing was changed then.
pub async fn run(args: &JournalArgs) -> Outcome {
    let options = connect::options_of_plan(&args.cluster)?;
    let admin = connect::connect(&options).await?;
    let found = journal::history(&admin).await.map_err(|error| match error {
        JournalError::Admin(error) => connect::failed(&error),
        JournalError::Foreign(why) => Failure::new(format!("the journal cannot be read: {why}"))
            .hint("a newer klamm may have written it, or somebody else the topic klamm.journal"),
        _ => Failure::new("the journal cannot be read"),
    })?;
    let history = found.unwrap_or_default();
    let Some(id) = args.run else {
        match args.output.json {
            true => screen::say_json(&json!({ "event": "journal", "journal": history })),
            false => screen::say_text(&list(&history)),
        }
        return Ok(Exit::Clean);
    };
    let Some(record) = history.runs.get(&id) else {
        let known = history.runs.keys().next_back();
        let hint = known.map_or("it has none".to_owned(), |newest| format!("the newest is {newest}"));
        return Err(Failure::new(format!("the journal knows no run {id}")).hint(hint));
    };
    match args.output.json {
        true => screen::say_json(&json!({ "event": "run", "run": record })),
        false => screen::say_text(&one(record)),
    }
    Ok(Exit::Clean)
}

fn list(history: &History) -> String {
    let mut text = String::new();
    if history.runs.is_empty() {
        text.push_str("the journal is empty: klamm has changed nothing on this cluster\n");
    }
    for record in history.runs.values() {
        text.push_str(&head(record));
    }
    if let Some(lock) = &history.lock {
        let _ =
            writeln!(text, "locked    by {} for run {}, since {}", lock.holder, lock.run, ago(lock.taken_ms));
    }
    text
}

fn head(record: &RunRecord) -> String {
    let run = &record.run;
    let state = match &run.state {
        RunState::Open => "open".to_owned(),
        RunState::Done => "done".to_owned(),
        RunState::Failed { why } => format!("failed: {why}"),
        RunState::Interrupted => "interrupted".to_owned(),
        _ => "in a state that this klamm does not know".to_owned(),
    };
    let made = record.steps.values().filter(|step| step.state == StepState::Made).count();
    let undoes = run.undoes.map_or(String::new(), |of| format!(", takes run {of} back"));
    let undone = run.undone_by.map_or(String::new(), |by| format!(", taken back by run {by}"));
    let (id, service, count, holder) = (run.id, &run.service, record.steps.len(), &run.holder);
    format!(
        "run {id:<5} {service}: {made} of {count} changes made, {state}{undoes}{undone} ({holder}, {})\n",
        ago(run.started_ms)
    )
}

fn one(record: &RunRecord) -> String {
    let mut text = head(record);
    for step in record.steps.values() {
        let state = match step.state {
            StepState::Intended => "tried",
            StepState::Made => "made",
        };
        let back = match &step.inverse {
            Inverse::DeleteTopic => "taken back by deleting it".to_owned(),
            Inverse::RestoreConfig { to: Some(to), .. } => format!("taken back to {to}"),
            Inverse::RestoreConfig { to: None, .. } => "taken back by inheriting again".to_owned(),
            Inverse::MoveBack => "taken back by moving the copies back".to_owned(),
            Inverse::Never { why } => format!("cannot be taken back: {why}"),
            _ => "taken back in a way that this klamm does not know".to_owned(),
        };
        let _ = writeln!(text, "  {state:<6} {} [{}; {back}]", step.change, step.change.risk);
    }
    text
}

/// How long ago, in one unit.
fn ago(at_ms: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let seconds = now.saturating_sub(Duration::from_millis(at_ms)).as_secs();
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7_200 => format!("{} min ago", seconds / 60),
        7_200..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}
