//! kill -9 from beside, anywhere in a request: what was acknowledged stays, and what was begun is whole or undone.
//!
//! `KLAMM_KILL_SEED` repeats a run (up to when the kill strikes), `KLAMM_KILLS` makes it longer.

use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use klamm_broker::Broker;
use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, GroupId, JoinGroupResponse,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{consumer_groups, groups};
use crate::client::*;
use crate::producer::*;

const CHILD_DIR: &str = "KLAMM_BROKER_TEST_CHILD_DIR";

/// Longer than any round takes.
const SESSION_MS: i32 = 300_000;

/// Not a test by itself: the broker that the others kill, in a process of its own.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let broker = Broker::start(kept_in(Path::new(&dir))).await.unwrap();
    println!("\nlistening on {}", broker.bootstrap());
    // The parent kills this process; should it die itself, the closed pipe ends the wait.
    tokio::task::spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink())).await.unwrap().unwrap();
}

fn spawn_child(dir: &Path) -> (Child, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "on_embedded::kills::child", "--nocapture"])
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

/// Kills a child while the request after so many others is under way.
struct Killer {
    requests: u32,
    now: Option<mpsc::Sender<()>>,
    thread: JoinHandle<()>,
}

impl Killer {
    fn of(mut child: Child, requests: u32) -> Killer {
        let (now, strike) = mpsc::channel();
        let thread = thread::spawn(move || {
            // An end without a word is a failed test, and the child ends with it.
            let _ = strike.recv();
            child.kill().unwrap();
            child.wait().unwrap();
        });
        Killer { requests, now: Some(now), thread }
    }

    fn before_a_request(&mut self) {
        match self.requests.checked_sub(1) {
            Some(left) => self.requests = left,
            None => drop(self.now.take()),
        }
    }

    fn join(self) {
        drop(self.now);
        self.thread.join().unwrap();
    }
}

fn random(seed: u64) -> StdRng {
    println!("KLAMM_KILL_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

fn seed() -> u64 {
    number("KLAMM_KILL_SEED").unwrap_or_else(rand::random)
}

fn kills(otherwise: u64) -> u64 {
    number("KLAMM_KILLS").unwrap_or(otherwise)
}

#[test]
fn a_kill_at_any_moment_loses_nothing_that_was_acknowledged() {
    let mut random = random(seed());
    let dir = tempfile::tempdir().unwrap();
    let (mut acknowledged, mut committed, mut sequence) = (0, -1, 0);
    for round in 0..kills(4) {
        let (child, address) = spawn_child(dir.path());
        let mut client = Client::connect(&address);
        if round == 0 {
            assert_eq!(client.create("t", 1, &[]), 0);
        }
        let stored = client.values("t", 0, 0);
        assert!(stored.len() >= acknowledged, "{} of {acknowledged} are there", stored.len());
        let expected: Vec<_> = (0..stored.len()).map(|index| index.to_string()).collect();
        assert_eq!(stored, expected, "in order, once");
        assert!(offset(&mut client, false).unwrap() >= committed);

        let mut killer = Killer::of(child, random.random_range(1..300));
        // The producer repeats what it was not sure of, and goes on.
        loop {
            killer.before_a_request();
            let records = idempotent(1_000_000, 0, sequence, &sequence.to_string());
            let Ok(answer) = client.try_call(9, &produce_request("t", 0, records)) else { break };
            let answer = &answer.responses[0].partition_responses[0];
            assert_eq!((answer.error_code, answer.base_offset), (0, i64::from(sequence)));
            sequence += 1;
            acknowledged = sequence as usize;
            if sequence % 10 == 0 {
                killer.before_a_request();
                let Ok(code) = try_commit(&mut client, i64::from(sequence)) else { break };
                assert_eq!(code, ErrorCode::NONE);
                committed = i64::from(sequence);
            }
        }
        killer.join();
    }
    assert!(acknowledged > 0);
}

/// Sends five at a time until the broker is gone, and gives the sequence behind the last acknowledged one.
fn send_until_it_is_gone(mut client: Client, partition: i32, mut sequence: i32) -> i32 {
    loop {
        let requests: Vec<_> = (sequence..sequence + 5)
            .map(|sequence| {
                let records = idempotent(1_000_000, 0, sequence, &sequence.to_string());
                produce_request("t", partition, records)
            })
            .collect();
        let answers = client.pipeline(9, &requests).unwrap_or_default();
        for answer in &answers {
            match ErrorCode::from(answer.responses[0].partition_responses[0].error_code) {
                ErrorCode::NONE => sequence += 1,
                // What it may not write any more, and what came behind that.
                ErrorCode::KAFKA_STORAGE_ERROR | ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER => return sequence,
                other => panic!("{other}"),
            }
        }
        if answers.len() < requests.len() {
            return sequence;
        }
    }
}

/// Its handlers end in their own time, and the next broker on the same data may be there before.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_dropped_broker_writes_nothing_into_the_data_of_the_next_one() {
    const PARTITIONS: usize = 4;
    let mut random = random(seed());
    let dir = tempfile::tempdir().unwrap();
    let mut sequences = [0; PARTITIONS];
    for round in 0..kills(4) * 10 {
        let broker = Broker::start(kept_in(dir.path())).await.unwrap();
        let address = broker.bootstrap();
        let mut client = Client::connect(&address);
        if round == 0 {
            assert_eq!(client.create("t", PARTITIONS as i32, &[]), 0);
        }
        // Whatever came in before goes on at once; the look at what is there comes when it is over.
        let senders: Vec<_> = (0..)
            .zip(sequences)
            .map(|(partition, sequence)| {
                let sender = Client::connect(&address);
                thread::spawn(move || send_until_it_is_gone(sender, partition, sequence))
            })
            .collect();
        for _ in 0..random.random_range(1..40) {
            client.producer_id();
        }
        drop(broker);
        let next = Broker::start(kept_in(dir.path())).await.unwrap();
        for (sequence, sender) in sequences.iter_mut().zip(senders) {
            *sequence = sender.join().unwrap();
        }
        let mut client = Client::connect(&next.bootstrap());
        for (partition, sequence) in (0..).zip(sequences) {
            let stored = client.values("t", partition, 0);
            let there = stored.len() as i32;
            assert!(there >= sequence, "round {round}: {there} of {sequence} are in partition {partition}");
            let expected: Vec<_> = (0..there).map(|index| index.to_string()).collect();
            assert_eq!(stored, expected, "round {round}: in order, once, in partition {partition}");
        }
    }
}

/// Members of two groups, one of each protocol, which never join again.
struct Members {
    classic: JoinGroupResponse,
    consumer: ConsumerGroupHeartbeatResponse,
}

impl Members {
    fn join(client: &mut Client) -> Members {
        let classic = groups::join_anew_for(client, SESSION_MS);
        let synced = groups::sync(client, &classic, &[(&classic.member_id, "all")]);
        assert_eq!(synced.0, 0);
        let joining = in_other_group(consumer_groups::joining("m", &["t"]));
        let consumer = consumer_groups::beat(client, &joining);
        assert_eq!(consumer_groups::partitions(&consumer), Some(vec![0, 1]));
        Members { classic, consumer }
    }

    fn are_still_in(&self, client: &mut Client) {
        assert_eq!(groups::heartbeat(client, &self.classic), 0);
        let beat = in_other_group(consumer_groups::owning("m", &self.consumer));
        let answer = consumer_groups::beat(client, &beat);
        assert_eq!((answer.error_code, answer.member_epoch), (0, self.consumer.member_epoch));
    }

    /// As commits of group `g` name the classic one.
    fn committer(&self) -> Member {
        Member { id: self.classic.member_id.to_string(), generation: self.classic.generation_id }
    }
}

fn in_other_group(request: ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeatRequest {
    request.with_group_id(GroupId(text("of the consumer protocol")))
}

/// How a transaction is meant to end.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Commit,
    Abort,
    /// Its offsets are refused, for a generation that is over.
    Stale,
}

/// One number to both partitions, and the offset behind it, in one transaction. An error is the kill.
fn transaction(
    producer: &mut Producer<'_>,
    member: &Member,
    number: i64,
    end: End,
    killer: &mut Killer,
) -> io::Result<()> {
    let mut step = |producer: &mut Producer<'_>,
                    wanted: ErrorCode,
                    request: &dyn Fn(&mut Producer<'_>) -> io::Result<ErrorCode>| {
        loop {
            killer.before_a_request();
            match request(producer)? {
                // The outcome before it is still carried out.
                ErrorCode::CONCURRENT_TRANSACTIONS => {}
                code => {
                    assert_eq!(code, wanted);
                    return io::Result::Ok(());
                }
            }
        }
    };
    let none = ErrorCode::NONE;
    if producer.versions == CLASSIC {
        step(producer, none, &|producer| producer.try_add(&[0, 1]))?;
        step(producer, none, &|producer| producer.try_add_group())?;
    }
    for partition in [0, 1] {
        step(producer, none, &|producer| producer.try_send(partition, &number.to_string()))?;
    }
    if end == End::Stale {
        let stale = Member { generation: member.generation - 1, ..member.clone() };
        let refused = ErrorCode::ILLEGAL_GENERATION;
        step(producer, refused, &|producer| producer.try_commit_offset(number + 1, &stale))?;
    } else {
        step(producer, none, &|producer| producer.try_commit_offset(number + 1, member))?;
    }
    step(producer, none, &|producer| producer.try_end(end == End::Commit))
}

/// Takes the transactional id over, which ends what its last holder has left.
fn take_over(client: &mut Client) -> (i64, i16) {
    let mut held = None;
    eventually("the end of the transaction before", || match init(client, (-1, -1), MINUTE) {
        Ok(identity) => {
            held = Some(identity);
            true
        }
        Err(ErrorCode::CONCURRENT_TRANSACTIONS) => false,
        Err(error) => panic!("{error}"),
    });
    held.unwrap()
}

#[test]
fn a_kill_at_any_moment_leaves_transactions_whole_or_undone_and_members_in_their_groups() {
    let mut random = random(seed());
    let dir = tempfile::tempdir().unwrap();
    let mut members = None;
    // What must be in the log, and what may be.
    let (mut acknowledged, mut tried) = (0, 0);
    let kills = kills(6);
    for round in 0..=kills {
        let (child, address) = spawn_child(dir.path());
        let mut client = Client::connect(&address);
        let members = members.get_or_insert_with(|| {
            assert_eq!(client.create("t", 2, &[]), 0);
            Members::join(&mut client)
        });
        members.are_still_in(&mut client);
        let (id, epoch) = take_over(&mut client);
        let done = offset(&mut client, true).unwrap().max(0);
        assert!((acknowledged..=tried).contains(&done), "{acknowledged} <= {done} <= {tried}");
        let expected: Vec<_> = (0..done).map(|number| number.to_string()).collect();
        for partition in [0, 1] {
            assert_eq!(client.committed_values("t", partition), expected, "partition {partition}");
        }

        // The last round only looks.
        let most = if round < kills { 400 } else { 1 };
        let mut killer = Killer::of(child, random.random_range(0..most));
        let versions = if random.random_bool(0.5) { CLASSIC } else { TWO };
        let mut producer = Producer { client: &mut client, versions, id, epoch, sequences: [0, 0] };
        acknowledged = done;
        loop {
            let end = match random.random_range(0..10) {
                0 | 1 => End::Abort,
                2 => End::Stale,
                _ => End::Commit,
            };
            if transaction(&mut producer, &members.committer(), acknowledged, end, &mut killer).is_err() {
                break;
            }
            acknowledged += i64::from(end == End::Commit);
        }
        tried = acknowledged + 1;
        killer.join();
    }
    assert!(acknowledged > 0);
}
