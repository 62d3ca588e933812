//! `klamm repartition`: another number of partitions, in steps between which the user stops and starts the clients.

use std::fmt::Write;

use klamm_admin::Admin;
use klamm_apply::{DataLoss, Misplaced, Receipt, Repartition, Standing};
use klamm_contract::Profile;
use serde_json::json;

use crate::args::{MisplacedArg, RepartitionArgs};
use crate::ask::{self, Sure, Watch};
use crate::failure::{Exit, Failure, Outcome};
use crate::{connect, screen};

/// Exit codes as for `apply`.
pub async fn run(args: &RepartitionArgs) -> Outcome {
    let options = connect::options_of_plan(&args.cluster)?;
    let admin = connect::connect(&options).await?;
    let what = Repartition {
        topic: args.topic.clone(),
        target: args.to.clone().unwrap_or_else(|| format!("{}-{}", args.topic, args.partitions)),
        partitions: args.partitions,
        misplaced: match args.misplaced {
            MisplacedArg::Refuse => Misplaced::Refuse,
            MisplacedArg::Copy => Misplaced::Copy,
        },
        throttle: args.throttle,
        lock_timeout: args.change.lock_timeout,
    };
    let work = Work { args, admin, what, bootstrap: options.bootstrap };
    let standing = work.standing().await?;
    work.show_standing(&standing);
    if args.change.dry_run {
        return Ok(Exit::Findings);
    }
    let sure = if args.change.yes { Sure::Yes } else { Sure::Ask };
    let (pending, step) = (format!("{} is not repartitioned yet", args.topic), work.step());
    let question = format!("{step} on cluster {}?", standing.cluster_id);
    if !ask::agreed_to(sure, args.change.output.json, &pending, &question).await? {
        eprintln!("nothing was changed");
        return Ok(Exit::Findings);
    }
    let receipt = work.make().await?;
    work.show(&receipt);
    Ok(Exit::Clean)
}

struct Work<'a> {
    args: &'a RepartitionArgs,
    admin: Admin,
    what: Repartition,
    bootstrap: Vec<String>,
}

impl Work<'_> {
    async fn standing(&self) -> Result<Standing, Failure> {
        let standing = klamm_apply::repartition_standing(&self.admin, &self.what).await;
        standing.map_err(|error| screen::apply_failed(&error, &self.bootstrap, "SPEC"))
    }

    /// What is about to be done, in words.
    fn step(&self) -> String {
        let Repartition { topic, target, .. } = &self.what;
        if self.args.cut_over {
            format!("copy what is left of {topic}, and move its groups to {target}")
        } else if self.args.roll_back {
            format!("delete {target}, and stay with {topic}")
        } else {
            format!("copy {topic} to {target}")
        }
    }

    async fn make(&self) -> Result<Receipt, Failure> {
        let watch = Watch::start(self.args.change.output.json)?;
        let (admin, what, control) = (&self.admin, &self.what, watch.control());
        let data_loss = if self.args.allow_data_loss { DataLoss::Allow } else { DataLoss::Refuse };
        let made = if self.args.cut_over {
            klamm_apply::repartition_cut_over(admin, what, control).await
        } else if self.args.roll_back {
            klamm_apply::repartition_roll_back(admin, what, data_loss, control).await
        } else {
            klamm_apply::repartition_copy(admin, what, control).await
        };
        made.map_err(|error| screen::apply_failed(&error, &self.bootstrap, "SPEC"))
    }

    fn show_standing(&self, standing: &Standing) {
        match self.args.change.output.json {
            true => screen::say_json(&json!({ "event": "standing", "standing": standing })),
            false => screen::say_text(&text(standing)),
        }
    }

    fn show(&self, receipt: &Receipt) {
        let next = self.next();
        if self.args.change.output.json {
            screen::say_json(&json!({ "event": "receipt", "receipt": receipt, "next": next }));
            return;
        }
        screen::say_text(&screen::receipt(receipt, Profile::Prod));
        let steps = next.iter().enumerate().map(|(index, step)| format!("  {}. {step}\n", index + 1));
        screen::say_text(&format!("next\n{}", steps.collect::<String>()));
    }

    /// What the user does from here on.
    fn next(&self) -> Vec<String> {
        let Repartition { topic, target, partitions, .. } = &self.what;
        let to = self.args.to.as_ref().map(|to| format!(" --to {to}")).unwrap_or_default();
        let command = format!("klamm repartition {topic} --partitions {partitions}{to}");
        if self.args.cut_over {
            vec![
                format!(
                    "in klamm.yaml name the topic {target}, with `partitions: {partitions}`; `klamm apply --with access` gives it its rules"
                ),
                format!("start the consumers on {target}: their groups go on where they stopped"),
                format!("start the producers on {target}"),
                format!(
                    "delete {topic} once nothing reads it any more; until the producers write to {target}, `{command} --roll-back` goes back"
                ),
            ]
        } else if self.args.roll_back {
            vec![format!(
                "start the clients on {topic}: it is as it was, and so are the offsets of its groups"
            )]
        } else {
            vec![
                format!("run it again shortly before the cut-over: it copies what was written since"),
                format!("stop the producers of {topic}, let its groups read to the end, and stop them"),
                format!("{command} --cut-over"),
            ]
        }
    }
}

fn text(standing: &Standing) -> String {
    let Standing { from, to, behind, exact, written, groups, started, .. } = standing;
    let mut text = format!("topic     {} with {} partitions, to be {} with {}\n", from.0, from.1, to.0, to.1);
    let state = if *started { "left to copy" } else { "to copy" };
    let _ = writeln!(text, "records   {behind} {state}");
    let offsets = match exact {
        true => "each new partition takes from one old one: no group reads a record twice",
        false => {
            "new partitions take from several old ones: a group that is not at the end reads some records twice (a multiple of the old number avoids it)"
        }
    };
    let _ = writeln!(text, "offsets   {offsets}");
    if *written > 0 {
        let _ =
            writeln!(text, "written   {written} records in {} are no copies: its producers have moved", to.0);
    }
    for group in groups {
        let members = match group.members.len() {
            0 => String::new(),
            _ => format!(", members: {}", group.members.join(", ")),
        };
        let _ = writeln!(
            text,
            "group     {} is {}, {} records behind{members}",
            group.group, group.state, group.lag
        );
    }
    text
}
