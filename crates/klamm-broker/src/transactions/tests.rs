//! Outcomes that were certain when the broker died.

use super::*;
use crate::config::BrokerConfig;
use crate::data_dir::DataDir;
use crate::log::Isolation;
use klamm_wire::batch::{BatchBuilder, Compression, ProducerStamp};

fn open(dir: &Path) -> (DataDir, Node) {
    let config = BrokerConfig { data_dir: Some(dir.to_owned()), ..BrokerConfig::default() };
    crate::open(config, &[]).unwrap()
}

/// Writes one record of an open transaction into both partitions of `t`.
fn write(node: &Node, holder: Holder) {
    let topic = node.topics.get("t").unwrap();
    for partition in 0..2 {
        let stamp = ProducerStamp { id: holder.0, epoch: holder.1, base_sequence: 0 };
        let mut builder = BatchBuilder::new(Compression::None).producer(stamp).transactional();
        builder.append(1, Some(b"k"), None, &[]);
        let records = builder.finish().unwrap().into();
        let place = ("t".to_owned(), partition);
        let log = topic.partition(partition).unwrap();
        let write = |verified| log.append(&records, &topic.settings(), 1, verified);
        let written = node.transactions.within(node, Some("id"), holder, place, Operation::Add, write);
        written.unwrap().unwrap();
    }
}

/// Ends and last stable offsets of both partitions, and how many transactions were aborted in them.
fn seen(node: &Node) -> Vec<(i64, i64, usize)> {
    let logs = node.topics.get("t").unwrap().partitions();
    let one = |log: &Arc<crate::log::PartitionLog>| {
        let bounds = log.bounds();
        let slice = log.slice(0, Isolation::ReadCommitted, 1 << 20, true).unwrap();
        let aborted = slice.map_or(0, |slice| log.aborted(0, &slice).len());
        (bounds.high_watermark, bounds.last_stable, aborted)
    };
    logs.iter().map(one).collect()
}

fn died_after(markers: usize, outcome: Outcome) -> Vec<(i64, i64, usize)> {
    let dir = tempfile::tempdir().unwrap();
    let (data_dir, node) = open(dir.path());
    node.topics.create("t", 2, crate::settings::Values::default()).unwrap();
    let holder = node.transactions.init(&node, "id", None, 60_000).unwrap();
    write(&node, holder);
    let shared = node.transactions.known("id").unwrap();
    let txn = lock(&shared).clone().unwrap();
    let version = TransactionVersion::Two;
    let ended = txn.end(holder, outcome, version, 1, &mut || node.new_producer_id()).unwrap();
    let End::Prepared(prepared) = ended else { unreachable!("it was open") };
    node.transactions.save("id", &mut lock(&shared), prepared.clone()).unwrap();
    let (marker, version) = prepared.marker().unwrap();
    let topic = node.topics.get("t").unwrap();
    for log in topic.partitions().iter().take(markers) {
        log.append_marker(&marker, version, &topic.settings(), 1).unwrap();
    }
    drop((node, data_dir));

    let (_data_dir, node) = open(dir.path());
    let txn = node.transactions.get("id").unwrap();
    assert_eq!(txn.phase, Phase::Complete(outcome));
    assert_eq!(txn.holder(), (holder.0, holder.1 + 1));
    seen(&node)
}

#[test]
fn a_certain_outcome_is_carried_out_at_the_next_start_and_no_marker_is_written_twice() {
    for markers in 0..=2 {
        assert_eq!(died_after(markers, Outcome::Commit), [(2, 2, 0); 2], "{markers} were written");
        assert_eq!(died_after(markers, Outcome::Abort), [(2, 2, 1); 2], "{markers} were written");
    }
}
