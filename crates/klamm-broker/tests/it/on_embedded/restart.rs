//! Stopped, dropped, or killed: what was acknowledged is there at the next start.

use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use klamm_broker::{Broker, BrokerConfig, BrokerErrorKind};
use klamm_wire::protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use klamm_wire::protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use klamm_wire::protocol::messages::{GroupId, OffsetCommitRequest, OffsetFetchRequest};
use rand::{Rng, SeedableRng};

use crate::client::*;

const CHILD_DIR: &str = "KLAMM_BROKER_TEST_CHILD_DIR";

fn at(dir: &Path) -> BrokerConfig {
    let mut config = BrokerConfig::default();
    config.data_dir = Some(dir.to_owned());
    config
}

fn commit(client: &mut Client, offset: i64) -> io::Result<i16> {
    let partition = OffsetCommitRequestPartition::default().with_committed_offset(offset);
    let topic = OffsetCommitRequestTopic::default().with_name(topic("t")).with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(text("g")))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic]);
    Ok(client.try_call(8, &request)?.topics[0].partitions[0].error_code)
}

fn committed(client: &mut Client) -> i64 {
    let topic = OffsetFetchRequestTopic::default().with_name(topic("t")).with_partition_indexes(vec![0]);
    let request =
        OffsetFetchRequest::default().with_group_id(GroupId(text("g"))).with_topics(Some(vec![topic]));
    client.call(5, &request).topics[0].partitions[0].committed_offset
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(at(dir.path())).await.unwrap();
    let cluster_id = broker.cluster_id().to_owned();
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 2, &[("retention.ms", "-1")]);
    let id = client.producer_id();
    client.produce("t", 0, idempotent(id, 0, 0, "a"));
    assert_eq!(commit(&mut client, 1).unwrap(), 0);
    broker.shutdown().await.unwrap();

    let broker = Broker::start(at(dir.path())).await.unwrap();
    assert_eq!(broker.cluster_id(), cluster_id);
    let mut client = Client::connect(&broker.bootstrap());
    assert_eq!(client.values("t", 0, 0), ["a"]);
    assert_eq!(committed(&mut client), 1);
    let again = client.produce("t", 0, idempotent(id, 0, 0, "a"));
    assert_eq!((again.error_code, again.base_offset), (0, 0), "a duplicate");
    assert!(client.producer_id() > id, "never given twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ephemeral_broker_leaves_nothing_behind() {
    let broker = start().await;
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 1, &[]);
    client.produce("t", 0, batch(&["a"]));
    let dir = broker.data_dir().to_owned();
    assert!(dir.join("t-0").exists());
    drop(broker);
    assert!(!dir.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_and_a_locked_directory_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(at(dir.path())).await.unwrap();
    let error = Broker::start(at(dir.path())).await.unwrap_err();
    let pid = Some(std::process::id());
    assert!(matches!(error.kind(), BrokerErrorKind::DataDirLocked { pid: found, .. } if *found == pid));
    let mut config = BrokerConfig::default();
    config.listen = broker.addr();
    let error = Broker::start(config).await.unwrap_err();
    assert!(matches!(error.kind(), BrokerErrorKind::PortTaken { addr } if *addr == broker.addr()));
}

/// Not a test by itself: the broker that the next test kills, in a process of its own.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let broker = Broker::start(at(Path::new(&dir))).await.unwrap();
    println!("\nlistening on {}", broker.bootstrap());
    // The parent kills this process; should it die itself, the closed pipe ends the wait.
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()))
        .await
        .unwrap()
        .unwrap();
}

fn spawn_child(dir: &Path) -> (Child, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "on_embedded::restart::child", "--nocapture"])
        .env(CHILD_DIR, dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address =
        lines.map_while(Result::ok).find_map(|line| line.strip_prefix("listening on ").map(str::to_owned));
    (child, address.expect("the child says where it listens"))
}

#[test]
fn a_kill_at_any_moment_loses_nothing_that_was_acknowledged() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let dir = tempfile::tempdir().unwrap();
    let (mut acknowledged, mut committed_offset, mut sequence) = (0, -1, 0);
    for round in 0..4 {
        let (mut child, address) = spawn_child(dir.path());
        let mut client = Client::connect(&address);
        if round == 0 {
            assert_eq!(client.create("t", 1, &[]), 0);
        }
        let stored = client.values("t", 0, 0);
        assert!(stored.len() >= acknowledged, "{} of {acknowledged} are there", stored.len());
        let expected: Vec<_> = (0..stored.len()).map(|index| index.to_string()).collect();
        assert_eq!(stored, expected, "in order, once");
        assert!(committed(&mut client) >= committed_offset);

        // The kill comes from beside, so it strikes anywhere in one of the requests that follow.
        let kill_at = sequence + random.random_range(1..300);
        let (now, strike) = mpsc::channel();
        let killer = std::thread::spawn(move || {
            strike.recv().unwrap();
            child.kill().unwrap();
            child.wait().unwrap();
        });
        // The producer repeats what it was not sure of, and goes on.
        loop {
            let records = idempotent(1_000_000, 0, sequence, &sequence.to_string());
            let Ok(answer) = client.try_call(9, &produce_request("t", 0, records)) else { break };
            let answer = &answer.responses[0].partition_responses[0];
            assert_eq!((answer.error_code, answer.base_offset), (0, i64::from(sequence)));
            sequence += 1;
            if sequence == kill_at {
                now.send(()).unwrap();
            }
            acknowledged = sequence as usize;
            if sequence % 10 == 0 {
                let Ok(error) = commit(&mut client, i64::from(sequence)) else { break };
                assert_eq!(error, 0);
                committed_offset = i64::from(sequence);
            }
        }
        killer.join().unwrap();
    }
    assert!(acknowledged > 0);
}
