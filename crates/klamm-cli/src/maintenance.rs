//! `klamm can-stop`, `klamm broker drain` and `replace`: a broker is taken out of service.

use std::fmt::Write;

use klamm_apply::{ApplyOptions, DataLoss, Existing, Journaling, Mode, Receipt, StopReport};
use klamm_contract::Profile;
use serde_json::json;

use crate::args::{BrokerCommand, CanStopArgs, ClusterArgs, DrainArgs};
use crate::ask::{self, Sure, Watch};
use crate::failure::{Exit, Failure, Outcome};
use crate::{connect, screen};

/// Partitions that are named; the rest is counted.
const NAMED: usize = 20;

/// Exit code 0 when it can be stopped, 1 when partitions would not go on.
pub async fn can_stop(args: &CanStopArgs) -> Outcome {
    let options = connect::options_of_plan(&args.cluster)?;
    let admin = connect::connect(&options).await?;
    let report = klamm_apply::can_stop(&admin, args.broker).await.map_err(|error| connect::failed(&error))?;
    match args.output.json {
        true => screen::say_json(&json!({ "event": "can_stop", "report": report })),
        false => screen::say_text(&text(&report)),
    }
    Ok(if report.blocked.is_empty() { Exit::Clean } else { Exit::Findings })
}

fn text(report: &StopReport) -> String {
    let StopReport { broker, holds, leads, blocked } = report;
    if blocked.is_empty() {
        return format!(
            "broker {broker} can be stopped: {holds} copies have others in sync, {leads} leaders move\n"
        );
    }
    let mut text =
        format!("broker {broker} cannot be stopped: {} partitions would not go on\n", blocked.len());
    for found in blocked.iter().take(NAMED) {
        let lost = if found.is_offline() { "reads and writes" } else { "writes with acks=all" };
        let (topic, partition, left, floor) = (&found.topic, found.partition, found.in_sync, found.floor);
        let _ = writeln!(
            text,
            "  {topic}-{partition}: {left} in sync would be left, {floor} are needed; lost: {lost}"
        );
    }
    if let Some(more) = blocked.len().checked_sub(NAMED).filter(|more| *more > 0) {
        let _ = writeln!(text, "  and {more} more; `--json` names all");
    }
    text
}

/// Drains or replaces. Exit codes as for `apply`.
pub async fn broker(command: &BrokerCommand) -> Outcome {
    let (broker, instead, how) = match command {
        BrokerCommand::Drain { broker, how } => (*broker, None, how),
        BrokerCommand::Replace { broker, new, how } => (*broker, Some(*new), how),
        BrokerCommand::RestartOrder { cluster, output } => return restart_order(cluster, output.json).await,
    };
    let preview = drain(broker, instead, how, Mode::DryRun).await?;
    show(&preview, how, if preview.done.is_empty() { "receipt" } else { "preview" });
    if preview.done.is_empty() {
        return Ok(Exit::Clean);
    }
    if how.change.dry_run {
        return Ok(Exit::Findings);
    }
    let sure = if how.change.yes { Sure::Yes } else { Sure::Ask };
    if !ask::agreed(sure, how.change.output.json, &preview).await? {
        eprintln!("nothing was changed");
        return Ok(Exit::Findings);
    }
    let receipt = drain(broker, instead, how, Mode::Apply).await?;
    show(&receipt, how, "receipt");
    Ok(Exit::Clean)
}

/// Exit code 0 when every node can be restarted as things are now, 1 when some broker has to wait.
async fn restart_order(cluster: &ClusterArgs, json: bool) -> Outcome {
    let admin = connect::connect(&connect::options_of_plan(cluster)?).await?;
    let order = klamm_apply::restart_order(&admin).await.map_err(|error| connect::failed(&error))?;
    let waits = order.brokers.iter().any(|restart| restart.blocked > 0);
    let exit = if waits { Exit::Findings } else { Exit::Clean };
    if json {
        screen::say_json(&json!({ "event": "restart_order", "order": order }));
        return Ok(exit);
    }
    let controllers = order.controllers.iter().map(|id| (*id, None));
    let nodes = controllers.chain(order.brokers.iter().map(|restart| (restart.broker, Some(restart))));
    let row = |(index, (id, restart)): (usize, (i32, Option<&klamm_apply::Restart>))| {
        let active = if id == order.active { ", active controller" } else { "" };
        let (what, rack, remark) = match restart {
            None => (format!("controller {id}{active}"), String::new(), String::new()),
            Some(found) => (
                format!("broker {id}{active}"),
                found.rack.clone().unwrap_or_default(),
                match found.blocked {
                    0 => format!("{} leaders move", found.leads),
                    blocked => format!("not now: {blocked} partitions would not go on"),
                },
            ),
        };
        vec![(index + 1).to_string(), what, rack, remark]
    };
    let rows: Vec<Vec<String>> = nodes.enumerate().map(row).collect();
    screen::say_text(&screen::table(&["", "node", "rack", ""], &rows));
    screen::say_text("one at a time: `klamm can-stop BROKER` before each, and again after it is back\n");
    Ok(exit)
}

async fn drain(broker: i32, instead: Option<i32>, how: &DrainArgs, mode: Mode) -> Result<Receipt, Failure> {
    let options = connect::options_of_plan(&how.cluster)?;
    let admin = connect::connect(&options).await?;
    let apply = ApplyOptions {
        existing: Existing::Adjust,
        mode,
        data_loss: DataLoss::Refuse,
        journal: Journaling::Keep { lock_timeout: how.change.lock_timeout },
        layers: klamm_apply::Layers::default(),
        throttle: how.throttle,
    };
    let watch = Watch::start(how.change.output.json)?;
    klamm_apply::drain(&admin, broker, instead, &apply, watch.control())
        .await
        .map_err(|error| screen::apply_failed(&error, &options.bootstrap, "SPEC"))
}

fn show(receipt: &Receipt, how: &DrainArgs, event: &str) {
    match how.change.output.json {
        true => screen::say_json(&json!({ "event": event, "receipt": receipt })),
        false => screen::say_text(&screen::receipt(receipt, Profile::Prod)),
    }
}
