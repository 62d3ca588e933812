//! `klamm acl simulate`: who could do what under the plan's rules, before they are there.

use klamm_plan::{Answer, simulate};
use serde_json::json;

use crate::args::LookArgs;
use crate::failure::{Exit, Failure, Outcome};
use crate::load::{self, WhenMissing};
use crate::{connect, screen};

/// What the rules of plan and cluster say together.
async fn answers(args: &LookArgs) -> Result<Vec<Answer>, Failure> {
    let loaded = load::load(&args.spec, WhenMissing::Refuse)?;
    let admin = connect::connect(&connect::options(&args.cluster, &loaded)?).await?;
    let facts = admin.facts(&loaded.topics()).await.map_err(|error| connect::failed(&error))?;
    let plan = loaded.plan(Some(&facts))?;
    let live = admin.acls().await.map_err(|error| connect::failed(&error))?.ok_or_else(|| {
        Failure::new("the brokers have no authorizer: everybody may do everything").hint(
            "authorizer.class.name in server.properties: `klamm export --format server-properties` has it",
        )
    })?;
    Ok(simulate(&plan, &live))
}

/// Exit code 1 when something would be allowed, or denied, that is not now.
pub async fn simulate_and_print(args: &LookArgs) -> Outcome {
    let answers = answers(args).await?;
    let changes = answers.iter().any(|answer| answer.now != answer.then);
    if args.output.json {
        screen::say_json(&json!({ "event": "simulation", "answers": answers }));
    } else {
        let words = |list: &[String]| if list.is_empty() { "-".to_owned() } else { list.join(" ") };
        let row = |answer: &Answer| {
            vec![answer.principal.clone(), answer.resource.clone(), words(&answer.now), words(&answer.then)]
        };
        let rows: Vec<Vec<String>> = answers.iter().map(row).collect();
        screen::say_text(&screen::table(&["who", "what", "now", "then"], &rows));
        screen::say_text("super users, and allow.everyone.if.no.acl.found, stand above the rules\n");
    }
    Ok(if changes { Exit::Findings } else { Exit::Clean })
}
