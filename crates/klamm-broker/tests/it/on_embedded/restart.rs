//! Stopped, dropped, or killed: what was acknowledged is there at the next start.

use klamm_broker::{Broker, BrokerConfig, BrokerErrorKind};

use crate::client::*;
use crate::producer::{offset, try_commit};

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::start(kept_in(dir.path())).await.unwrap();
    let cluster_id = broker.cluster_id().to_owned();
    let mut client = Client::connect(&broker.bootstrap());
    client.create("t", 2, &[("retention.ms", "-1")]);
    let id = client.producer_id();
    client.produce("t", 0, idempotent(id, 0, 0, "a"));
    assert!(try_commit(&mut client, 1).unwrap().is_ok());
    broker.shutdown().await.unwrap();

    let broker = Broker::start(kept_in(dir.path())).await.unwrap();
    assert_eq!(broker.cluster_id(), cluster_id);
    let mut client = Client::connect(&broker.bootstrap());
    assert_eq!(client.values("t", 0, 0), ["a"]);
    assert_eq!(offset(&mut client, true), Ok(1));
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
    let broker = Broker::start(kept_in(dir.path())).await.unwrap();
    let error = Broker::start(kept_in(dir.path())).await.unwrap_err();
    let pid = Some(std::process::id());
    assert!(matches!(error.kind(), BrokerErrorKind::DataDirLocked { pid: found, .. } if *found == pid));
    let mut config = BrokerConfig::default();
    config.listen = broker.addr();
    let error = Broker::start(config).await.unwrap_err();
    assert!(matches!(error.kind(), BrokerErrorKind::PortTaken { addr } if *addr == broker.addr()));
}
