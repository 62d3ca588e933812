//! `klamm up`: from a spec to a proven service. `docs/up.md` describes the steps and their bounds.

mod consume;
mod job;
mod orders;
mod pace;
mod produce;
mod proof;
mod service;
mod status;
mod stop;
pub mod target;
pub mod view;

use std::pin::pin;

use klamm_apply::{ApplyOptions, DataLoss, Existing, Journaling, Mode};
use serde_json::{Value, json};

use crate::args::UpArgs;
use crate::failure::{Exit, Failure, Json, Outcome};
use crate::load::{self, Loaded, WhenMissing};
use crate::{connect, screen};
use job::Job;
pub use stop::Signals;
use stop::{Stop, Why};
use target::Target;

/// Runs all steps. A first Ctrl-C drains what runs, a second one leaves at once.
pub async fn run(args: &UpArgs) -> Outcome {
    let mut signals = Signals::take()?;
    let stop = Stop::new();
    let mut steps = pin!(steps(args, &stop));
    tokio::select! {
        outcome = &mut steps => return outcome,
        () = signals.next() => stop.stop(Why::Interrupted),
    }
    tokio::select! {
        outcome = steps => outcome,
        () = signals.next() => Err(Failure::new("interrupted twice, left without a verdict")
            .hint("what was acknowledged is in the log, and the next `klamm up` goes on from the last commit")),
    }
}

async fn steps(args: &UpArgs, stop: &Stop) -> Outcome {
    let loaded = load::load(&args.spec, WhenMissing::Example)?;
    let target = tokio::select! {
        target = Target::open(args, &loaded) => target?,
        _ = stop.stopped() => return Err(interrupted()),
    };
    let outcome = on_target(args, stop, &loaded, &target).await;
    // What went wrong first is what is said.
    let closed = target.close().await;
    outcome.and_then(|exit| closed.map(|()| exit))
}

async fn on_target(args: &UpArgs, stop: &Stop, loaded: &Loaded, target: &Target) -> Outcome {
    let say = Say { json: if args.output.json { Json::Yes } else { Json::No } };
    let facts = target.admin.facts(&loaded.topics()).await.map_err(|error| connect::failed(&error))?;
    let plan = loaded.plan(Some(&facts))?;
    say.event("target", target.to_json(plan.profile), || target.to_text(plan.profile));
    let plan_text = || if args.output.verbose { screen::plan_full(&plan) } else { screen::plan_table(&plan) };
    say.event("plan", json!({ "plan": plan }), plan_text);
    let job = if args.apply_only { None } else { Some(Job::of(&plan, loaded)?) };
    // Not raced against a signal: half of a change is worse than a moment more.
    // It only creates what is missing, and may do so where it may not write a journal.
    let options = ApplyOptions {
        existing: Existing::Refuse,
        mode: Mode::Apply,
        data_loss: DataLoss::Refuse,
        journal: Journaling::Without,
        layers: klamm_apply::Layers::default(),
        throttle: None,
    };
    let receipt = klamm_apply::apply(&target.admin, &plan, &options)
        .await
        .map_err(|error| screen::apply_failed(&error, &target.options.bootstrap, &loaded.origin))?;
    say.event("receipt", json!({ "receipt": receipt }), || screen::receipt(&receipt, plan.profile));
    match job {
        None => Ok(Exit::Clean),
        Some(_) if stop.why() != Why::NotYet => Err(interrupted()),
        Some(job) => {
            let run = service::Run { args, stop, target, job: &job, profile: plan.profile, say };
            service::run(run).await
        }
    }
}

fn interrupted() -> Failure {
    Failure::new("interrupted before the service started")
        .hint("`klamm up` again: what is done is not done twice")
}

/// Prints each step for people or for programs.
#[derive(Debug, Clone, Copy)]
struct Say {
    json: Json,
}

impl Say {
    /// `fields` become one line of JSON that starts with `event`; `text` is what people see instead.
    fn event(self, event: &str, fields: Value, text: impl FnOnce() -> String) {
        match (self.json, fields) {
            (Json::No, _) => screen::say_text(&text()),
            (Json::Yes, Value::Object(fields)) => {
                let mut line = serde_json::Map::from_iter([("event".to_owned(), json!(event))]);
                line.extend(fields);
                screen::say_json(&line);
            }
            (Json::Yes, other) => screen::say_json(&json!({ "event": event, "value": other })),
        }
    }
}
