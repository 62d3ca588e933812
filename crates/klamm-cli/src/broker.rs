//! `klamm broker`: the embedded broker alone, for clients of any kind. For development and tests, never for production.

use klamm_broker::{Broker, BrokerConfig, BrokerError, BrokerErrorKind, raise_open_files};
use serde_json::json;

use crate::args::BrokerArgs;
use crate::failure::{Exit, Failure, Outcome};
use crate::screen;
use crate::up::{Signals, target};

/// Runs until Ctrl-C or SIGTERM; a second one leaves at once.
pub async fn run(args: &BrokerArgs) -> Outcome {
    let mut signals = Signals::take()?;
    let config = config(args)?;
    raise_open_files();
    let broker = tokio::select! {
        broker = Broker::start(config) => broker.map_err(|error| cannot_start(&error))?,
        () = signals.next() => return Ok(Exit::Clean),
    };
    say_ready(args, &broker);
    signals.next().await;
    tokio::select! {
        closed = broker.shutdown() => closed.map_err(|error| Failure::new(error).hint("what was acknowledged is in its files all the same"))?,
        () = signals.next() => return Err(Failure::new("interrupted twice, left without flushing")
            .hint("the next start checks the log first; nothing that was acknowledged is lost")),
    }
    if args.json {
        screen::say_json(&json!({ "event": "stopped" }));
    }
    Ok(Exit::Clean)
}

fn config(args: &BrokerArgs) -> Result<BrokerConfig, Failure> {
    let mut config = BrokerConfig::default();
    config.default_partitions = args.partitions;
    config.auto_create_topics = args.auto_create;
    for (name, value) in &args.config {
        config.set(name, value).map_err(|why| {
            Failure::new(format!("--config {name}={value}: {why}"))
                .hint("docs/broker.md lists the settings that it honours")
        })?;
    }
    config.listen = args.listen;
    config.data_dir = (!args.ephemeral).then(|| args.data_dir.clone());
    config.fsync = args.fsync;
    Ok(config)
}

/// The line that clients wait for comes last: from then on they are served.
fn say_ready(args: &BrokerArgs, broker: &Broker) {
    if args.json {
        screen::say_json(&json!({
            "event": "ready",
            "bootstrap": broker.bootstrap(),
            "cluster_id": broker.cluster_id(),
            "data_dir": broker.data_dir(),
            "ephemeral": args.ephemeral,
            "production": false,
        }));
        return;
    }
    screen::say_text(&format!(
        "embedded broker {} on {}, data in {}: one node, for development and tests, never for production\n\
         bootstrap.servers={}\n",
        broker.cluster_id(),
        broker.addr(),
        broker.data_dir().display(),
        broker.bootstrap()
    ));
}

fn cannot_start(error: &BrokerError) -> Failure {
    match error.kind() {
        BrokerErrorKind::PortTaken { .. } => {
            Failure::new(format!("the embedded broker does not start: {error}"))
                .hint("choose another `--listen ADDR:PORT`; port 0 takes a free one")
        }
        _ => target::cannot_start(error),
    }
}
