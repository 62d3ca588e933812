//! `klamm apply`: the cluster agrees with the plan. It shows what would change, asks, does it, and looks again.

use std::path::Path;

use klamm_admin::Admin;
use klamm_apply::{ApplyOptions, DataLoss, Existing, Journaling, Layers, Mode, Receipt, SavedPlan};
use klamm_contract::Profile;
use klamm_plan::Plan;
use klamm_plan::spec::ClusterKind;
use serde_json::json;

use crate::args::{ApplyArgs, LayerArg};
use crate::ask::{self, Sure, Watch};
use crate::failure::{Exit, Failure, Outcome};
use crate::load::{self, Loaded, WhenMissing};
use crate::{connect, screen};

/// Exit code 0 when nothing was to be done or all of it was, 1 when changes are pending.
pub async fn run(args: &ApplyArgs) -> Outcome {
    let needs_spec = args.plan.is_none() && args.undo.is_none();
    let loaded = match needs_spec {
        true => Some(load::load(&args.spec, WhenMissing::Refuse)?),
        false => None,
    };
    let options = match &loaded {
        Some(loaded) => connect::options(&args.cluster, loaded)?,
        None => connect::options_of_plan(&args.cluster)?,
    };
    let admin = connect::connect(&options).await?;
    let work = Work { args, admin, bootstrap: options.bootstrap };
    if let Some(run) = args.undo {
        return work.make(&Target::Undo(run)).await;
    }
    let plan = match (&args.plan, &loaded) {
        (Some(file), _) => work.saved(file).await?,
        (None, Some(loaded)) => work.planned(loaded).await?,
        (None, None) => return Err(Failure::new("neither a spec nor a saved plan is given")),
    };
    if plan.cluster.kind == ClusterKind::Strimzi && !args.change.dry_run {
        return Err(Failure::new(
            "the topics of this cluster are the Strimzi operator's: it would set them back",
        )
        .hint("`klamm export --format strimzi` writes its resources; `--dry-run` shows what differs"));
    }
    let origin = loaded.map_or_else(|| "the saved plan".to_owned(), |loaded| loaded.origin);
    work.make(&Target::Plan(Box::new(plan), origin)).await
}

/// What the cluster is to be brought to.
enum Target {
    /// A plan, and where it comes from.
    Plan(Box<Plan>, String),
    /// What it was before a run.
    Undo(u64),
}

impl Target {
    fn profile(&self) -> Profile {
        match self {
            Target::Plan(plan, _) => plan.profile,
            Target::Undo(_) => Profile::Prod,
        }
    }
}

struct Work<'a> {
    args: &'a ApplyArgs,
    admin: Admin,
    bootstrap: Vec<String>,
}

impl Work<'_> {
    async fn planned(&self, loaded: &Loaded) -> Result<Plan, Failure> {
        let facts = self.admin.facts(&loaded.topics()).await.map_err(|error| connect::failed(&error))?;
        let plan = loaded.plan(Some(&facts))?;
        if let Some(file) = &self.args.out {
            let saved = SavedPlan::of(plan.clone(), &facts);
            std::fs::write(file, saved.to_json()).map_err(|error| {
                Failure::new(format!("cannot write {}: {error}", file.display()))
                    .hint("name another file with `--out FILE`")
            })?;
        }
        Ok(plan)
    }

    /// A plan that was looked at before: only for the cluster as it was then.
    async fn saved(&self, file: &Path) -> Result<Plan, Failure> {
        let name = file.display();
        let again = "plan again: `klamm apply --dry-run --out FILE`";
        let text = std::fs::read_to_string(file)
            .map_err(|error| Failure::new(format!("cannot read {name}: {error}")).hint(again))?;
        let saved = SavedPlan::from_json(&text)
            .map_err(|problem| Failure::new(format!("{name}: {problem}")).hint(again))?;
        let topics: Vec<String> = saved.plan.topics.iter().map(|topic| topic.name().to_owned()).collect();
        let facts = self.admin.facts(&topics).await.map_err(|error| connect::failed(&error))?;
        let changed = saved.changed(&facts);
        if changed.is_empty() {
            return Ok(saved.plan);
        }
        let details = changed.iter().map(|what| format!("changed   {what}\n")).collect::<String>();
        Err(Failure::new(format!("the cluster is not as it was when {name} was made"))
            .details(details)
            .hint(again))
    }

    async fn make(&self, target: &Target) -> Outcome {
        let preview = self.call(target, Mode::DryRun).await?;
        self.show(target, &preview);
        if preview.done.is_empty() {
            return Ok(Exit::Clean);
        }
        if self.args.change.dry_run {
            return Ok(Exit::Findings);
        }
        let sure = if self.args.change.yes { Sure::Yes } else { Sure::Ask };
        if !ask::agreed(sure, self.args.change.output.json, &preview).await? {
            eprintln!("nothing was changed");
            return Ok(Exit::Findings);
        }
        let receipt = self.call(target, Mode::Apply).await?;
        if self.args.change.output.json {
            screen::say_json(&json!({ "event": "receipt", "receipt": receipt }));
        } else {
            screen::say_text(&screen::receipt(&receipt, target.profile()));
        }
        Ok(Exit::Clean)
    }

    async fn call(&self, target: &Target, mode: Mode) -> Result<Receipt, Failure> {
        let data_loss = if self.args.allow_data_loss { DataLoss::Allow } else { DataLoss::Refuse };
        let journal = match self.args.no_journal {
            true => Journaling::Without,
            false => Journaling::Keep { lock_timeout: self.args.change.lock_timeout },
        };
        let throttle = self.args.throttle;
        let layers = Layers {
            access: self.args.layers.contains(&LayerArg::Access),
            passwords: self.args.layers.contains(&LayerArg::Passwords),
            brokers: self.args.layers.contains(&LayerArg::Brokers),
        };
        let options = ApplyOptions { existing: Existing::Adjust, mode, data_loss, journal, layers, throttle };
        let watch = Watch::start(self.args.change.output.json)?;
        let control = watch.control();
        let (done, origin) = match target {
            Target::Plan(plan, origin) => {
                (klamm_apply::apply_watched(&self.admin, plan, &options, control).await, origin.as_str())
            }
            Target::Undo(run) => {
                (klamm_apply::undo_watched(&self.admin, *run, &options, control).await, "SPEC")
            }
        };
        done.map_err(|error| screen::apply_failed(&error, &self.bootstrap, origin))
    }

    fn show(&self, target: &Target, preview: &Receipt) {
        if self.args.change.output.json {
            let event = if preview.done.is_empty() { "receipt" } else { "preview" };
            screen::say_json(&json!({ "event": event, "receipt": preview }));
            return;
        }
        let table = match target {
            Target::Plan(plan, _) if self.args.change.output.verbose => screen::plan_full(plan),
            Target::Plan(plan, _) => screen::plan_table(plan),
            Target::Undo(_) => String::new(),
        };
        screen::say_text(&format!("{table}{}", screen::receipt(preview, target.profile())));
    }
}
