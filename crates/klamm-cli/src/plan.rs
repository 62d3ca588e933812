//! `klamm plan`: every setting at every layer, with its reason.

use crate::args::LookArgs;
use crate::failure::{Exit, Outcome};
use crate::load::{self, WhenMissing};
use crate::{connect, screen};

/// Plans from the spec alone, or with `--bootstrap` against what the cluster is.
pub async fn run(args: &LookArgs) -> Outcome {
    let loaded = load::load(&args.spec, WhenMissing::Refuse)?;
    let facts = if args.cluster.bootstrap.is_empty() {
        None
    } else {
        let admin = connect::connect(&connect::options(&args.cluster, &loaded)?).await?;
        Some(admin.facts(&loaded.topics()).await.map_err(|error| connect::failed(&error))?)
    };
    let plan = loaded.plan(facts.as_ref())?;
    if args.output.json {
        screen::say_text(&plan.to_json());
    } else if args.output.verbose {
        screen::say_text(&screen::plan_full(&plan));
    } else {
        screen::say_text(&screen::plan_table(&plan));
    }
    Ok(Exit::Clean)
}
