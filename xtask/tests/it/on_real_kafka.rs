use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use xtask::kafka::process::ProcessId;
use xtask::kafka::state::{self, ClusterState, Listener};
use xtask::kafka::{Controller, Kafka, KafkaOptions, Lifetime, Listeners};

fn options(root: &Path) -> KafkaOptions {
    KafkaOptions { name: "it".into(), root: Some(root.to_path_buf()), ..KafkaOptions::default() }
}

#[test]
fn a_killed_broker_comes_back_with_its_data_and_a_dropped_cluster_leaves_nothing() -> Result<()> {
    let root = tempfile::tempdir()?;
    let kafka = Kafka::start(options(root.path()))?;
    kafka.raw(1)?.create_topic("kept", 1, 1, &[])?;
    let produced = eventually(|| kafka.raw(1)?.produce_one("kept", b"one"))?;
    ensure!(produced == 0, "the first record is at {produced}");

    let process = kafka.process(1)?;
    kafka.kill(1)?;
    ensure!(kafka.process(1).is_err() && kafka.raw(1).is_err(), "the broker survived");
    kafka.start_node(1)?;
    let produced = eventually(|| kafka.raw(1)?.produce_one("kept", b"two"))?;
    ensure!(produced == 1, "the second record is at {produced}");

    let processes = [process, kafka.process(1)?];
    drop(kafka);
    ensure!(processes.iter().all(|process| !process.is_alive()), "a process is left");
    ensure!(fs::read_dir(root.path())?.next().is_none(), "files are left");
    Ok(())
}

#[test]
fn with_the_controller_apart_and_security_every_listener_is_there_and_a_stopped_node_says_so() -> Result<()> {
    let root = tempfile::tempdir()?;
    let kafka = Kafka::start(KafkaOptions {
        controller: Controller::Apart,
        listeners: Listeners::Secured,
        ..options(root.path())
    })?;
    for listener in [Listener::Plaintext, Listener::Ssl, Listener::SaslPlaintext, Listener::SaslSsl] {
        ensure!(kafka.bootstrap_of(listener).is_some(), "no {listener:?}");
    }
    kafka.pause(1)?;
    kafka.resume(1)?;
    kafka.stop_node(1)?;
    ensure!(kafka.kill(1).is_err_and(|error| error.to_string() == "node 1 does not run"));
    ensure!(kafka.kill(9).is_err(), "there is no node 9");
    Ok(())
}

/// A `sleep` stands in for a test program that was killed together with the guard of its cluster.
#[test]
fn the_next_start_ends_a_cluster_whose_owner_is_gone() -> Result<()> {
    let root = tempfile::tempdir()?;
    let mut owner = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn()?;
    let owner_id = ProcessId::of(i32::try_from(owner.id())?).context("no owner")?;

    // A detached cluster, said to belong to the owner.
    let kafka = Kafka::start(KafkaOptions { lifetime: Lifetime::Detached, ..options(root.path()) })?;
    let (dir, process) = (kafka.dir().to_path_buf(), kafka.process(1)?);
    let orphaned = ClusterState { owner: Some(owner_id), ..kafka.state().clone() };
    orphaned.write(&dir)?;
    drop(kafka);
    ensure!(process.is_alive(), "a detached cluster ends with its handle");

    owner.kill()?;
    owner.wait()?;
    let next = Kafka::prepare(KafkaOptions { name: "next".into(), ..options(root.path()) })?;
    ensure!(!process.is_alive() && !dir.exists(), "the orphan was not swept");
    ensure!(state::list(root.path()).len() == 1, "only the new cluster is there");
    drop(next);
    Ok(())
}

/// A new topic's leader takes a moment to serve.
fn eventually<T>(mut ask: impl FnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match ask() {
            Err(_) if Instant::now() < deadline => std::thread::yield_now(),
            outcome => return outcome,
        }
    }
}
