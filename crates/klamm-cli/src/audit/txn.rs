//! `klamm txn`: open transactions that nobody is going to end, and ending one.

use std::time::Duration;

use klamm_admin::{Admin, Hanging, HangingTransaction};
use serde_json::json;

use crate::args::{ClusterArgs, OutputArgs, TxnCommand};
use crate::ask::{self, Sure};
use crate::failure::{Exit, Outcome};
use crate::{connect, screen};

/// `find-hanging` exits with 1 when it found some, and with 2 when not everything could be looked at and none was found.
pub async fn run(command: &TxnCommand) -> Outcome {
    match command {
        TxnCommand::FindHanging { cluster, topic, longer_than, output } => {
            let topics: Vec<String> = topic.iter().cloned().collect();
            find(cluster, &topics, *longer_than, *output).await
        }
        TxnCommand::Abort { cluster, topic, partition, start_offset, yes, output } => {
            let sure = if *yes { Sure::Yes } else { Sure::Ask };
            abort(cluster, (topic, *partition, *start_offset), sure, *output).await
        }
    }
}

async fn connected(cluster: &ClusterArgs) -> Result<Admin, crate::failure::Failure> {
    connect::connect(&connect::options_of_plan(cluster)?).await
}

async fn find(cluster: &ClusterArgs, topics: &[String], idle: Duration, output: OutputArgs) -> Outcome {
    let admin = connected(cluster).await?;
    let hanging = admin.find_hanging_transactions(topics, idle).await;
    let hanging = hanging.map_err(|error| connect::failed(&error))?;
    let bootstrap = admin.options().bootstrap.join(",");
    for found in &hanging.found {
        if output.json {
            screen::say_json(&described(found, &bootstrap));
        } else {
            screen::say_text(&text(found, &bootstrap));
        }
    }
    tell_end(&hanging, output);
    Ok(match (hanging.found.is_empty(), hanging.missing.is_empty()) {
        (false, _) => Exit::Findings,
        (true, true) => Exit::Clean,
        (true, false) => Exit::Failure,
    })
}

fn tell_end(hanging: &Hanging, output: OutputArgs) {
    let Hanging { found, missing } = hanging;
    if output.json {
        screen::say_json(
            &json!({ "event": "hanging_transactions", "found": found.len(), "missing": missing }),
        );
        return;
    }
    for missing in missing {
        screen::say_text(&format!("not seen  {missing}\n"));
    }
    let count = match found.len() {
        0 if missing.is_empty() => "no transaction hangs".to_owned(),
        0 => "no transaction is seen to hang".to_owned(),
        1 => "1 transaction hangs".to_owned(),
        n => format!("{n} transactions hang"),
    };
    screen::say_text(&format!("{count}\n"));
}

fn command(found: &HangingTransaction, bootstrap: &str) -> String {
    let start = found.producer.transaction_start.unwrap_or(-1);
    format!(
        "klamm txn abort --bootstrap {bootstrap} --topic {} --partition {} --start-offset {start}",
        found.topic, found.partition
    )
}

fn text(found: &HangingTransaction, bootstrap: &str) -> String {
    let HangingTransaction { topic, partition, producer, transactional_id } = found;
    let owner = match transactional_id {
        Some(id) => format!("transactional id {id} has gone on without it"),
        None => "no coordinator knows the producer".to_owned(),
    };
    format!(
        "hanging   {topic}-{partition} from offset {}: producer {} epoch {}, {owner}\n          readers of committed \
         data stand still there\n          {}\n",
        producer.transaction_start.unwrap_or(-1),
        producer.producer_id,
        producer.epoch,
        command(found, bootstrap)
    )
}

fn described(found: &HangingTransaction, bootstrap: &str) -> serde_json::Value {
    json!({
        "event": "hanging_transaction", "topic": found.topic, "partition": found.partition,
        "start_offset": found.producer.transaction_start, "producer_id": found.producer.producer_id,
        "epoch": found.producer.epoch, "coordinator_epoch": found.producer.coordinator_epoch,
        "last_timestamp_ms": found.producer.last_timestamp_ms, "transactional_id": found.transactional_id,
        "abort": command(found, bootstrap),
    })
}

async fn abort(cluster: &ClusterArgs, at: (&str, i32, i64), sure: Sure, output: OutputArgs) -> Outcome {
    let (topic, partition, start) = at;
    let admin = connected(cluster).await?;
    let pending = format!("the transaction of {topic}-{partition} from offset {start} would be aborted");
    let question = format!("{pending}: readers of committed data never see its records. Abort it?");
    if !ask::agreed_to(sure, output.json, &pending, &question).await? {
        eprintln!("nothing was changed");
        return Ok(Exit::Findings);
    }
    let ended = admin.abort_transaction(topic, partition, start).await;
    let ended = ended.map_err(|error| connect::failed(&error))?;
    if output.json {
        screen::say_json(&json!({
            "event": "aborted", "topic": topic, "partition": partition, "start_offset": start,
            "producer_id": ended.producer_id, "epoch": ended.epoch,
        }));
    } else {
        let producer = ended.producer_id;
        screen::say_text(&format!(
            "aborted   {topic}-{partition} from offset {start}, producer {producer}\n"
        ));
    }
    Ok(Exit::Clean)
}
