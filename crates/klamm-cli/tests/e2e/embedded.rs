//! `klamm broker` alone, as people and test suites run it.

use anyhow::{Context, Result, ensure};
use klamm_broker::{Broker, BrokerConfig};
use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Place, Run};

const ANY_PORT: [&str; 4] = ["broker", "--json", "--listen", "127.0.0.1:0"];

async fn ready(run: &mut Run) -> Result<String> {
    let ready = run.wait_for("the broker", |line| line["event"] == "ready").await?;
    ensure!(ready["production"] == false, "{ready}");
    Ok(ready["bootstrap"].as_str().context("no address")?.to_owned())
}

/// Asks for the versions, and gives how many bytes were answered.
async fn ask(address: &str) -> Result<usize> {
    let mut socket = TcpStream::connect(address).await?;
    socket.write_all(b"\0\0\0\x0a\0\x12\0\0\0\0\0\x01\0\0").await?;
    Ok(socket.read_u32().await? as usize)
}

#[tokio::test]
async fn the_broker_serves_until_it_is_told_to_stop_and_its_data_is_there_again() -> Result<()> {
    let place = Place::new()?;
    let mut ids = Vec::new();
    for signal in [Signal::TERM, Signal::INT] {
        let config = ["--config", "log.retention.hours=24", "--partitions", "3"];
        let mut run = place.start(&[&ANY_PORT[..], &config].concat())?;
        let ready = run.wait_for("the broker", |line| line["event"] == "ready").await?;
        let address = ready["bootstrap"].as_str().context("no address")?;
        ensure!(ask(address).await? > 100, "it answers");
        ids.push(ready["cluster_id"].clone());
        run.signal(signal)?;
        let finished = run.finish().await?;
        ensure!(finished.code == Some(0), "{finished:?}");
        finished.event("stopped")?;
    }
    ensure!(ids[0] == ids[1], "the same data directory: {ids:?}");
    ensure!(place.file(".klamm/broker/klamm-broker.json").exists());
    Ok(())
}

#[tokio::test]
async fn people_read_what_it_is_and_where() -> Result<()> {
    let place = Place::new()?;
    let mut run = place.start(&["broker", "--ephemeral", "--listen", "127.0.0.1:0"])?;
    let mut lines = String::new();
    while !lines.contains("bootstrap.servers=127.0.0.1:") {
        lines += &run.next_line().await?;
    }
    ensure!(lines.contains("never for production"), "{lines}");
    run.signal(Signal::TERM)?;
    let finished = run.finish().await?;
    ensure!(finished.code == Some(0) && !place.file(".klamm").exists(), "{finished:?}");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_a_way_out() -> Result<()> {
    let place = Place::new()?;
    let mut first = place.start(&ANY_PORT)?;
    ready(&mut first).await?;
    let cases: [(&[&str], &[&str]); 3] = [
        (&ANY_PORT, &["is in use by process", "--data-dir"]),
        (&["broker", "--ephemeral", "--config", "num.io.threads=3"], &["num.io.threads", "does not honour"]),
        (&["broker", "--ephemeral", "--config", "num.partitions=0"], &["at least 1"]),
    ];
    for (args, words) in cases {
        place.run(args).await?.failed_with(words)?;
    }
    let mut config = BrokerConfig::default();
    config.auto_create_topics = false;
    let other = Broker::start(config).await?;
    let taken = place.run(&["broker", "--ephemeral", "--listen", &other.bootstrap()]).await?;
    taken.failed_with(&["something else listens", "--listen"])?;
    Ok(())
}

#[tokio::test]
async fn the_commands_for_real_brokers_are_still_there() -> Result<()> {
    let place = Place::new()?;
    let help = place.run(&["broker", "--help"]).await?;
    for words in ["drain", "replace", "restart-order", "--listen", "--auto-create", "--config"] {
        ensure!(help.stdout.contains(words), "{words}: {}", help.stdout);
    }
    Ok(())
}
