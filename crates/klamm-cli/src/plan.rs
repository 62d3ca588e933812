//! `klamm plan`: every setting at every layer, with its reason.

use std::path::PathBuf;

use klamm_plan::{Plan, compare};

use crate::args::{LookArgs, PageArg, PlanArgs, SpecArgs};
use crate::failure::{Exit, Failure, Outcome};
use crate::load::{self, WhenMissing};
use crate::{connect, keys, screen};

/// Plans from the spec alone, or with `--bootstrap` against what the cluster is.
pub async fn run(args: &PlanArgs) -> Outcome {
    if let Some([old, new]) = args.diff.as_deref() {
        return diff(&args.look, old, new).await;
    }
    let plan = planned(&args.look, &args.look.spec, args.sample).await?;
    let output = args.look.output;
    let text = match args.format {
        Some(PageArg::Markdown) => screen::plan_markdown(&plan),
        Some(PageArg::Html) => screen::plan_html(&plan),
        None if output.json => plan.to_json(),
        None if output.verbose => screen::plan_full(&plan),
        None => screen::plan_table(&plan),
    };
    screen::say_text(&text);
    Ok(Exit::Clean)
}

async fn planned(look: &LookArgs, spec: &SpecArgs, sample: Option<u64>) -> Result<Plan, Failure> {
    let mut loaded = load::load(spec, WhenMissing::Refuse)?;
    if look.cluster.bootstrap.is_empty() {
        return loaded.plan(None);
    }
    let admin = connect::connect(&connect::options(&look.cluster, &loaded)?).await?;
    let facts = admin.facts(&loaded.topics()).await.map_err(|error| connect::failed(&error))?;
    if let Some(records) = sample {
        let keyed: Vec<String> = loaded.keyed().filter(|topic| facts.topics.contains_key(topic)).collect();
        for topic in keyed {
            let found = keys::sample(&admin, &topic, records).await?;
            eprint!("{}", keys::text(&topic, found.as_ref()));
            if let Some(found) = &found {
                loaded.set.sampled(&topic, found);
            }
        }
    }
    loaded.plan(Some(&facts))
}

/// 0 when nothing changes, 1 when something does.
async fn diff(look: &LookArgs, old: &PathBuf, new: &PathBuf) -> Outcome {
    let of = |path: &PathBuf| SpecArgs { spec: vec![path.clone()], ..look.spec.clone() };
    let found = compare(&planned(look, &of(old), None).await?, &planned(look, &of(new), None).await?);
    if look.output.json {
        screen::say_json(&found);
    } else {
        screen::say_text(&screen::comparison(&found));
    }
    Ok(if found.changes.is_empty() { Exit::Clean } else { Exit::Findings })
}
