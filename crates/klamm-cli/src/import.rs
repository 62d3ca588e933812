//! `klamm import`: a spec of what a cluster has.

use std::collections::BTreeMap;
use std::path::Path;

use klamm_admin::Admin;
use klamm_plan::import::{ImportOptions, import};

use crate::args::ImportArgs;
use crate::failure::{Exit, Failure, Outcome};
use crate::{connect, init, screen};

/// Looks at topics and groups, and writes. Exit code 1 when some topic could not be said in a spec.
pub async fn run(args: &ImportArgs) -> Outcome {
    let options = connect::options_of_plan(&args.cluster)?;
    let bootstrap = options.bootstrap.clone();
    let admin = connect::connect(&options).await?;
    let failed = |error| connect::failed(&error);
    let mut topics = admin.list_topics().await.map_err(failed)?;
    // Kafka's own, and klamm's journal.
    topics.retain(|name| !name.starts_with("__") && name != klamm_apply::JOURNAL_TOPIC);
    topics.retain(|name| args.topics.is_empty() || args.topics.iter().any(|prefix| name.starts_with(prefix)));
    let facts = admin.facts(&topics).await.map_err(failed)?;
    let groups = groups(&admin).await?;
    let options = ImportOptions { service: args.service.clone(), bootstrap, groups };
    let imported = import(&facts, &options).map_err(|problems| {
        let details = problems.iter().map(|problem| format!("{problem}\n")).collect::<String>();
        Failure::new("the spec that was written does not hold: this is klamm's fault")
            .details(details)
            .hint("leave the topic out with `--topics PREFIX`, and report it")
    })?;
    if args.out == Path::new("-") {
        screen::say_text(&imported.text);
    } else {
        init::write_new(&args.out, args.force, &imported.text)?;
        let file = args.out.display();
        let count = facts.topics.len() - imported.left_out.len();
        screen::say_text(&format!(
            "wrote {file} with {count} topics; next: say what is marked \"guess\", then `klamm plan {file}`\n"
        ));
    }
    for (topic, why) in &imported.left_out {
        eprintln!("left out  {topic}: {why}");
    }
    Ok(if imported.left_out.is_empty() { Exit::Clean } else { Exit::Findings })
}

/// Groups, with the topics that they have committed offsets of.
async fn groups(admin: &Admin) -> Result<BTreeMap<String, std::collections::BTreeSet<String>>, Failure> {
    let failed = |error| connect::failed(&error);
    let mut groups = BTreeMap::new();
    for group in admin.list_groups().await.map_err(failed)? {
        let offsets = admin.group_offsets(&group, &[]).await.map_err(failed)?;
        groups.insert(group, offsets.into_iter().map(|offset| offset.topic).collect());
    }
    Ok(groups)
}
