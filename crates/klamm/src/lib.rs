//! Kafka clients that hold to a contract.
//!
//! A contract says what a topic's data needs at every layer: acknowledgements and idempotence in the producer, copies
//! and their in-sync floor in the topic, elections in the broker. A [`DurableProducer`] asks the live cluster first and
//! refuses, layer by layer, one that would not keep it; then every send resolves to a receipt or to an error that says
//! whether the record may be stored all the same. A [`ConsumerLoop`] commits work that is finished, and no other.
//!
//! ```no_run
//! # #[cfg(feature = "client")]
//! # async fn doc() -> Result<(), Box<dyn std::error::Error>> {
//! use klamm::{ClientOptions, ConsumerContract, ConsumerLoop, DurableProducer, HandlerError, LoopOptions};
//! use klamm::{Record, TopicContract, Work};
//!
//! let cluster = ClientOptions::new(["localhost:9092"]);
//! let producer = DurableProducer::connect(&cluster, TopicContract::strong("orders")).await?;
//! let receipt = producer.send(Record::new("orders").key("4711").value("paid")).await?.await?;
//! println!("stored at {}/{}", receipt.partition, receipt.offset);
//!
//! let contract = ConsumerContract::at_least_once("billing", ["orders"]);
//! let consumer = ConsumerLoop::start(&cluster, &contract, LoopOptions::default(), |work: Work| async move {
//!     for record in work.records() {
//!         println!("{}: {:?}", record.offset, record.key);
//!     }
//!     Ok::<_, HandlerError>(())
//! })
//! .await?;
//! // Drains, commits what is finished, and leaves the group.
//! let report = consumer.stop(std::time::Duration::from_secs(30)).await;
//! assert!(report.is_clean());
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! | Feature | Adds | Brings along |
//! | --- | --- | --- |
//! | `client` (default) | everything above | librdkafka (built from source: a C compiler), tokio, rustls; no broker, no YAML parser, no web server |
//! | `testing` | [`testing`]: the embedded broker in this process | nothing beside the broker |
//!
//! The scale engine is Apache Kafka. The embedded broker is one node, for the first minute, development and tests.

#[cfg(feature = "client")]
pub use klamm_client::{
    Acks, BatchPending, ClientCertificate, ClientOptions, Effect, FetchedBatch, HeaderView, Mechanism,
    OffsetReset, ProduceError, ProduceErrorKind, Receipt, Record, RecordSet, RecordView, Sasl, Security, Tls,
    TopicPartition,
};
#[cfg(feature = "client")]
pub use klamm_contract::{
    Breach, Consistency, ConsumerContract, Delivery, Durability, Layer, Order, Profile, TopicContract,
};
#[cfg(feature = "client")]
pub use klamm_runtime::{
    ConnectError, ConnectErrorKind, ConsumerLoop, ConsumerStats, DurableProducer, Handler, HandlerError,
    Latency, LoopOptions, LoopReport, PartitionFailure, PartitionStats, Pending, ProducerStats, Retries,
    SendError, SendErrorKind, Work,
};

/// Contracts and their layers, as `klamm export --format rust` writes them.
#[cfg(feature = "client")]
pub use klamm_contract as contract;

/// Topics, configuration, offsets and groups of a live cluster.
#[cfg(feature = "client")]
pub use klamm_admin as admin;
/// The plain client, without contracts: for those who want only Kafka.
#[cfg(feature = "client")]
pub use klamm_client as client;

/// The embedded broker in this process, with faults on purpose: one node, for development and tests.
///
/// ```
/// # #[cfg(all(feature = "client", feature = "testing"))]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use klamm::admin::{Admin, Mode, NewTopic};
/// use klamm::testing::{Broker, BrokerConfig};
/// use klamm::{ClientOptions, DurableProducer, Record, TopicContract};
///
/// let broker = Broker::start(BrokerConfig::default()).await?;
/// let cluster = ClientOptions::new([broker.bootstrap()]);
/// let topic = NewTopic { name: "orders".into(), partitions: 1, replication_factor: 1, configs: vec![] };
/// Admin::connect(&cluster).await?.create_topics(&[topic], Mode::Execute).await?;
/// // One node keeps no second copy, and a contract says so: `dev` relaxes exactly that.
/// let producer = DurableProducer::connect(&cluster, TopicContract::strong("orders").dev()).await?;
/// let receipt = producer.send(Record::new("orders").key("4711").value("paid")).await?.await?;
/// assert_eq!((receipt.partition, receipt.offset), (0, 0));
/// producer.close(std::time::Duration::from_secs(10)).await?;
/// broker.shutdown().await?;
/// # Ok(())
/// # }
/// # #[cfg(not(all(feature = "client", feature = "testing")))]
/// # fn main() {}
/// ```
#[cfg(feature = "testing")]
pub mod testing {
    pub use klamm_broker::{
        Api, AuthorizerConfig, Broker, BrokerConfig, BrokerError, BrokerErrorKind, ClientAuth, Clock,
        ConsumerGroupConfig, Fault, FaultHandle, FaultRule, FaultStatus, Faults, Listener, MigrationPolicy,
        OauthConfig, SaslConfig, SaslMechanism, SecurityConfig, SecurityProtocol, ServerTls,
    };
}

/// The examples of the page on testing are tests.
#[cfg(all(doctest, feature = "client", feature = "testing"))]
#[doc = include_str!("../../../docs/testing.md")]
struct TestingPage;
