//! `klamm apply`: the cluster agrees with the plan.

use klamm_apply::{ApplyOptions, Existing, Mode};

use crate::args::ApplyArgs;
use crate::failure::{Exit, Outcome};
use crate::load::{self, WhenMissing};
use crate::{connect, screen};

/// Plans against the live cluster and brings it to the plan; exit code 1 when a dry run finds something to change.
pub async fn run(args: &ApplyArgs) -> Outcome {
    let loaded = load::load(&args.spec, WhenMissing::Refuse)?;
    let options = connect::options(&args.cluster, &loaded)?;
    let admin = connect::connect(&options).await?;
    let facts = admin.facts(&loaded.topics()).await.map_err(|error| connect::failed(&error))?;
    let plan = loaded.plan(Some(&facts))?;
    let mode = if args.dry_run { Mode::DryRun } else { Mode::Apply };
    let receipt = klamm_apply::apply(&admin, &plan, &ApplyOptions { existing: Existing::Adjust, mode })
        .await
        .map_err(|error| screen::apply_failed(&error, &options.bootstrap, &loaded.origin))?;
    if args.output.json {
        screen::say_json(&serde_json::json!({ "event": "receipt", "receipt": receipt }));
    } else {
        let plan_text =
            if args.output.verbose { screen::plan_full(&plan) } else { screen::plan_table(&plan) };
        print!("{plan_text}{}", screen::receipt(&receipt, plan.profile));
    }
    Ok(if receipt.dry_run && !receipt.done.is_empty() { Exit::Findings } else { Exit::Clean })
}
