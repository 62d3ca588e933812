//! `klamm broker`: the embedded broker alone, for clients of any kind. For development and tests, never for production.

use klamm_broker::{Broker, BrokerConfig};

use crate::args::BrokerArgs;
use crate::failure::{Exit, Failure, Outcome};
use crate::screen;
use crate::up::{Signals, target};

/// Runs until Ctrl-C or SIGTERM.
pub async fn run(args: &BrokerArgs) -> Outcome {
    let mut signals = Signals::take()?;
    let mut config = BrokerConfig::default();
    config.listen = args.listen;
    config.data_dir = (!args.ephemeral).then(|| args.data_dir.clone());
    config.default_partitions = args.partitions;
    config.auto_create_topics = args.auto_create;
    config.fsync = args.fsync;
    let broker = tokio::select! {
        broker = Broker::start(config) => broker.map_err(|error| target::cannot_start(&error))?,
        () = signals.next() => return Ok(Exit::Clean),
    };
    screen::say_text(&format!(
        "embedded broker {} on {}, data in {}: one node, for development and tests, never for production\n\
         bootstrap.servers={}\n",
        broker.cluster_id(),
        broker.addr(),
        broker.data_dir().display(),
        broker.bootstrap()
    ));
    signals.next().await;
    tokio::select! {
        closed = broker.shutdown() => closed.map_err(|error| Failure::new(error).hint("what was acknowledged is in its files all the same"))?,
        () = signals.next() => return Err(Failure::new("interrupted twice, left without flushing")
            .hint("the next start checks the log first; nothing that was acknowledged is lost")),
    }
    Ok(Exit::Clean)
}
