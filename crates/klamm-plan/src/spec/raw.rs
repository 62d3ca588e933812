//! What people write: the records of `klamm.yaml`. Doc comments here are what editors show.
//!
//! Within `klamm: 1` only optional fields are ever added, and defaults never change.

use std::borrow::Cow;

use klamm_contract::{Consistency, Delivery, Order, Profile};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::decode::{Context, Decode, Named, Spanned, Word, Words, record};
use super::units::{ByteSize, Duration, Factor, Rate, Retain};
use super::yaml::{Kind, Node};
use super::{Mechanism, Start};

record! {
    /// What a service needs from Kafka.
    #[schemars(rename = "Spec")]
    struct RawSpec {
        /// Version of the spec's language: 1.
        klamm: Spanned<u32>,
        /// Name of the service that owns the topics and groups below.
        service: Spanned<String>,
        /// Which demands hold: prod (default) or dev.
        profile: Option<Word<Profile>>,
        /// The cluster, or the file that describes it.
        cluster: Option<ClusterOrFile>,
        /// Topics that this service owns, by name.
        topics: Option<Named<RawTopic>>,
        /// Topics that others own and this service reads.
        uses: Option<Vec<Spanned<String>>>,
        /// Consumer groups of this service, by group id.
        consumers: Option<Named<RawConsumer>>,
        /// Where else it runs, by name. An environment varies cluster, rates and profile, nothing else.
        environments: Option<Named<RawEnvironment>>,
    }
}

record! {
    /// A file that describes a cluster for several specs.
    #[schemars(rename = "ClusterFile")]
    struct RawClusterFile {
        /// Version of the spec's language: 1.
        klamm: Spanned<u32>,
        /// The cluster.
        cluster: Spanned<RawCluster>,
    }
}

record! {
    /// What is known of the cluster. The live one is asked for the rest.
    #[schemars(rename = "Cluster")]
    struct RawCluster {
        /// Addresses to start from: host:port.
        bootstrap: Option<Vec<Spanned<String>>>,
        /// Number of brokers.
        brokers: Option<Spanned<u32>>,
        /// Names of the racks (broker.rack) over which the brokers are spread.
        racks: Option<Spanned<Vec<Spanned<String>>>>,
        /// How clients connect; without it: in clear and without a name.
        security: Option<RawSecurity>,
    }
}

record! {
    /// How clients connect. Secrets appear by reference only.
    #[schemars(rename = "Security")]
    struct RawSecurity {
        /// Encrypt the connection; hostnames are always verified.
        tls: Option<RawTls>,
        /// Say who the client is.
        sasl: Option<Spanned<RawSasl>>,
    }
}

record! {
    /// TLS files, in PEM.
    #[schemars(rename = "Tls")]
    struct RawTls {
        /// Certificates to trust; the system's without it.
        ca: Option<Spanned<String>>,
        /// Client certificate.
        cert: Option<Spanned<String>>,
        /// Key of the client certificate.
        key: Option<Spanned<String>>,
    }
}

record! {
    /// SASL credentials.
    #[schemars(rename = "Sasl")]
    struct RawSasl {
        /// PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
        mechanism: Spanned<Word<Mechanism>>,
        /// User name.
        username: Spanned<String>,
        /// File that holds the password.
        password_file: Option<Spanned<String>>,
        /// Environment variable that holds the password.
        password_env: Option<Spanned<String>>,
    }
}

record! {
    /// What a topic's data needs.
    #[schemars(rename = "Topic")]
    struct RawTopic {
        /// strong (default): an acknowledged record may not be lost. eventual: it may be late, and the newest may be lost.
        consistency: Option<Word<Consistency>>,
        /// Losses that reading and writing go on through. Default: any 1 broker.
        survive: Option<Spanned<RawSurvive>>,
        /// Field of the record that is the key.
        key: Option<Spanned<String>>,
        /// Which records keep their order. Default: per_key with a key, none without.
        order: Option<Spanned<Word<Order>>>,
        /// How much is written. Default: 1 MB/s of 1 KB records with a peak of 2x.
        write: Option<Spanned<RawWrite>>,
        /// How long records stay: 7d (default), 500 GB, forever, compact.
        retain: Option<Spanned<Retain>>,
        /// Number of partitions, when the planner's is not wanted.
        partitions: Option<Spanned<u32>>,
    }
}

record! {
    /// What may be down at once, each taken by itself.
    #[schemars(rename = "Survive")]
    struct RawSurvive {
        /// Brokers. Default: 1.
        brokers: Option<Spanned<u32>>,
        /// Racks. Default: 0.
        racks: Option<Spanned<u32>>,
    }
}

record! {
    /// How much is written.
    #[schemars(rename = "Write")]
    struct RawWrite {
        /// Mean rate: 20 MB/s or 5000 records/s. Default: 1 MB/s.
        rate: Option<Spanned<Rate>>,
        /// Mean size of a record. Default: 1 KB.
        record: Option<Spanned<ByteSize>>,
        /// Rate at the peak over the mean rate. Default: 2x.
        peak: Option<Spanned<Factor>>,
        /// Largest record. Default: 1 MB.
        largest: Option<Spanned<ByteSize>>,
    }
}

record! {
    /// What a consumer group reads, and how.
    #[schemars(rename = "Consumer")]
    struct RawConsumer {
        /// Topics, owned or used by this service.
        reads: Spanned<Vec<Spanned<String>>>,
        /// How often a record may be worked on. Default: at_least_once.
        delivery: Option<Word<Delivery>>,
        /// How long the work on one record takes.
        work: Option<Spanned<RawWork>>,
        /// Where a group without commits starts: earliest (default) or latest.
        start: Option<Word<Start>>,
    }
}

record! {
    /// How long the work on one record takes.
    #[schemars(rename = "Work")]
    struct RawWork {
        /// Half of the records take no longer.
        p50: Spanned<Duration>,
        /// 99 of 100 records take no longer.
        p99: Spanned<Duration>,
    }
}

record! {
    /// One place where the service runs.
    #[schemars(rename = "Environment")]
    struct RawEnvironment {
        /// The cluster there, or the file that describes it.
        cluster: Option<ClusterOrFile>,
        /// Which demands hold there.
        profile: Option<Word<Profile>>,
        /// How much is written there, by topic.
        rates: Option<Named<RawRate>>,
    }
}

record! {
    /// How much is written to a topic in one environment.
    #[schemars(rename = "Rate")]
    struct RawRate {
        /// Mean rate.
        rate: Option<Spanned<Rate>>,
        /// Rate at the peak over the mean rate.
        peak: Option<Spanned<Factor>>,
    }
}

/// The cluster in place, or the name of a file that holds it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ClusterOrFile {
    Here(Box<Spanned<RawCluster>>),
    File(Spanned<String>),
}

impl Decode for ClusterOrFile {
    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        match &node.kind {
            Kind::Scalar(file) => Some(ClusterOrFile::File(Spanned { value: file.clone(), span: node.span })),
            _ => Spanned::decode(node, cx).map(|here| ClusterOrFile::Here(Box::new(here))),
        }
    }
}

impl JsonSchema for ClusterOrFile {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ClusterOrFile".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let here = generator.subschema_for::<RawCluster>();
        json_schema!({
            "anyOf": [here, { "type": "string", "description": "File that describes the cluster, beside this one." }]
        })
    }
}

impl Words for Consistency {
    const NAME: &'static str = "consistency";
    const WORDS: &'static [(&'static str, Self, &'static str)] = &[
        ("strong", Consistency::Strong, "An acknowledged record may not be lost."),
        (
            "eventual",
            Consistency::Eventual,
            "A record may be late; losing the newest ones in a failure is accepted.",
        ),
    ];
}

impl Words for Order {
    const NAME: &'static str = "order";
    const WORDS: &'static [(&'static str, Self, &'static str)] = &[
        ("none", Order::None, "No order is promised."),
        ("per_key", Order::PerKey, "Records of one key keep their order."),
        ("global", Order::Global, "All records keep their order: one partition."),
    ];
}

impl Words for Delivery {
    const NAME: &'static str = "delivery";
    const WORDS: &'static [(&'static str, Self, &'static str)] = &[
        ("at_most_once", Delivery::AtMostOnce, "Committed before the work: a crash skips records."),
        ("at_least_once", Delivery::AtLeastOnce, "Committed after the work: a crash repeats records."),
        ("exactly_once", Delivery::ExactlyOnce, "Work and offsets are one transaction."),
    ];
}

impl Words for Profile {
    const NAME: &'static str = "profile";
    const WORDS: &'static [(&'static str, Self, &'static str)] = &[
        ("prod", Profile::Prod, "Everything that the spec asks."),
        ("dev", Profile::Dev, "Copies, racks and the in-sync floor are not asked for: one broker is enough."),
    ];
}

impl Words for Mechanism {
    const NAME: &'static str = "mechanism";
    const WORDS: &'static [(&'static str, Self, &'static str)] = &[
        ("PLAIN", Mechanism::Plain, "Password as it is: only over TLS."),
        ("SCRAM-SHA-256", Mechanism::ScramSha256, "Challenge and response with SHA-256."),
        ("SCRAM-SHA-512", Mechanism::ScramSha512, "Challenge and response with SHA-512."),
    ];
}

impl Words for Start {
    const NAME: &'static str = "start";
    const WORDS: &'static [(&'static str, Self, &'static str)] = &[
        ("earliest", Start::Earliest, "At the oldest record that is there."),
        ("latest", Start::Latest, "At the records that come from now on."),
    ];
}
