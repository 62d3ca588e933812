//! What people write: the records of `klamm.yaml`. Doc comments here are what editors show.
//!
//! Within `klamm: 1` only optional fields are ever added, and defaults never change.

use std::borrow::Cow;

use klamm_contract::{Consistency, Delivery, Order, Profile};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::day::Day;
use super::decode::{Context, Decode, Named, Spanned, Word, Words, record};
use super::units::{ByteSize, Count, Duration, Factor, Percent, Rate, Retain};
use super::yaml::{Kind, Node};
use super::{ClusterKind, Effect, Mechanism, Membership, Produce, Protocol, Start, Timestamps};

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
        /// Topics that others own and this service writes to.
        writes: Option<Vec<Spanned<String>>>,
        /// Consumer groups of this service, by group id.
        consumers: Option<Named<RawConsumer>>,
        /// Kafka Streams applications of this service, by application id.
        streams: Option<Named<RawStreams>>,
        /// Who the service is to the cluster. Default: User: and the service's name.
        principal: Option<Spanned<String>>,
        /// The SCRAM user behind the principal: `klamm apply --with access` makes it.
        user: Option<Spanned<RawUser>>,
        /// What the service may take of each broker.
        quota: Option<Spanned<RawQuota>>,
        /// What is to be left when the whole cluster is lost.
        recovery: Option<Spanned<RawRecovery>>,
        /// What is agreed on with `klamm audit`.
        audit: Option<RawAudit>,
        /// Where else it runs, by name. An environment varies cluster, rates and profile, nothing else.
        environments: Option<Named<RawEnvironment>>,
    }
}

record! {
    /// What is agreed on with `klamm audit`.
    #[schemars(rename = "Audit")]
    struct RawAudit {
        /// Findings that are accepted, each for a reason and until a day.
        accept: Option<Vec<Spanned<RawAccept>>>,
    }
}

record! {
    /// A finding that is accepted.
    #[schemars(rename = "Accept")]
    struct RawAccept {
        /// The rule's code: KL504.
        rule: Spanned<String>,
        /// Subject as the finding names it (topic app-logs), or its beginning with a * at the end. Default: all of the rule's.
        on: Option<Spanned<String>>,
        /// Why it is accepted.
        reason: Spanned<String>,
        /// The last day on which it is.
        until: Spanned<Day>,
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
        /// Who runs it, and so which layers can be set. Default: self.
        kind: Option<Word<ClusterKind>>,
        /// Version of Kafka: 3.9, 4.0 … Default: 4.3.
        version: Option<Spanned<String>>,
        /// The version to upgrade to; the plan then has the steps.
        upgrade: Option<Spanned<String>>,
        /// Number of controllers, apart from the brokers. Default: 3.
        controllers: Option<Spanned<u32>>,
        /// What one partition takes in a second, as `klamm bench partition` measured it. Default: 10 MB/s, a guess.
        partition: Option<Spanned<Rate>>,
        /// What one broker has.
        machine: Option<Spanned<RawMachine>>,
    }
}

record! {
    /// What one broker has. Capacity is planned against it.
    #[schemars(rename = "Machine")]
    struct RawMachine {
        /// Disk for logs.
        disk: Option<Spanned<ByteSize>>,
        /// Memory.
        memory: Option<Spanned<ByteSize>>,
        /// Network, each way.
        network: Option<Spanned<Rate>>,
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
        /// Program, with its arguments, that prints the password.
        password_command: Option<Spanned<Vec<Spanned<String>>>>,
    }
}

record! {
    /// A user whose password the brokers keep.
    #[schemars(rename = "User")]
    struct RawUser {
        /// SCRAM-SHA-512 (default) or SCRAM-SHA-256.
        mechanism: Option<Spanned<Word<Mechanism>>>,
        /// File that holds the password.
        password_file: Option<Spanned<String>>,
        /// Environment variable that holds the password.
        password_env: Option<Spanned<String>>,
        /// Program, with its arguments, that prints the password.
        password_command: Option<Spanned<Vec<Spanned<String>>>>,
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
        /// Number of copies, when more are wanted than the planner's.
        copies: Option<Spanned<u32>>,
        /// What producers are tuned for: durable (default), throughput, low_latency. None loses records.
        produce: Option<Word<Produce>>,
        /// How many keys there are and how unevenly they are used.
        keys: Option<Spanned<RawKeys>>,
        /// How much more is written in the end: partitions are planned for it. Default: 1x.
        growth: Option<Spanned<Factor>>,
        /// Which time a record carries: create (default, the producer's clock) or append (the broker's).
        timestamps: Option<Word<Timestamps>>,
        /// Topic settings that are insisted on, by Kafka's names. What breaks the contract is refused.
        settings: Option<Named<Spanned<String>>>,
        /// Producer settings that are insisted on, by Java's names. What breaks the contract is refused.
        producer: Option<Named<Spanned<String>>>,
    }
}

record! {
    /// How many keys there are and how unevenly they are used.
    #[schemars(rename = "Keys")]
    struct RawKeys {
        /// Different keys.
        distinct: Option<Spanned<Count>>,
        /// Share of all records that the most used key has.
        hottest: Option<Spanned<Percent>>,
        /// Field inside the key that would spread it: session_id inside user_id.
        within: Option<Spanned<String>>,
        /// Different values of that field for one key.
        within_distinct: Option<Spanned<Count>>,
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
        /// Where the results of the work go: database (default), kafka, http.
        effect: Option<Spanned<Word<Effect>>>,
        /// How many processes of the group run.
        instances: Option<Spanned<u32>>,
        /// Threads that work in each of them. Default: 1.
        threads: Option<Spanned<u32>>,
        /// Whether members keep their name over a restart: dynamic or static.
        membership: Option<Word<Membership>>,
        /// Who assigns partitions: classic (the clients, default) or consumer (the broker, KIP-848).
        protocol: Option<Spanned<Word<Protocol>>>,
        /// The longest time that the group may be away and still miss nothing.
        outage: Option<Spanned<Duration>>,
        /// How far behind the group may be before somebody is called. Default: 5 min.
        lag: Option<Spanned<Duration>>,
        /// Consumer settings that are insisted on, by Java's names. What breaks the contract is refused.
        settings: Option<Named<Spanned<String>>>,
    }
}

record! {
    /// A Kafka Streams application.
    #[schemars(rename = "Streams")]
    struct RawStreams {
        /// Topics that it reads, owned or used by this service.
        reads: Spanned<Vec<Spanned<String>>>,
        /// Topics that it writes to, owned or written to by this service.
        writes: Option<Spanned<Vec<Spanned<String>>>>,
        /// How often a record may have an effect. Default: exactly_once.
        delivery: Option<Word<Delivery>>,
        /// State of all instances together.
        state: Option<Spanned<ByteSize>>,
        /// Copies of the state that stand by. Default: 1.
        standbys: Option<Spanned<u32>>,
        /// How many processes run. Default: 2.
        instances: Option<Spanned<u32>>,
        /// Threads in each of them. Default: 1.
        threads: Option<Spanned<u32>>,
        /// Where the state is kept. Default: /var/lib/kafka-streams.
        state_dir: Option<Spanned<String>>,
    }
}

record! {
    /// What a service may take of each broker.
    #[schemars(rename = "Quota")]
    struct RawQuota {
        /// Bytes that it may write to a broker in a second.
        write: Option<Spanned<Rate>>,
        /// Bytes that it may read from a broker in a second.
        read: Option<Spanned<Rate>>,
    }
}

record! {
    /// What is to be left when the whole cluster is lost.
    #[schemars(rename = "Recovery")]
    struct RawRecovery {
        /// The newest records that may be lost with the cluster, as time.
        rpo: Spanned<Duration>,
        /// The time in which the service works again.
        rto: Spanned<Duration>,
        /// The second cluster, or the file that describes it.
        to: Spanned<ClusterOrFile>,
        /// Name of this cluster in topics of the second one. Default: primary.
        alias: Option<Spanned<String>>,
        /// Bytes a second between the clusters.
        link: Option<Spanned<Rate>>,
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
        (Mechanism::Plain.name(), Mechanism::Plain, "Password as it is: only over TLS."),
        (Mechanism::ScramSha256.name(), Mechanism::ScramSha256, "Challenge and response with SHA-256."),
        (Mechanism::ScramSha512.name(), Mechanism::ScramSha512, "Challenge and response with SHA-512."),
    ];
}

impl Words for Start {
    const NAME: &'static str = "start";
    const WORDS: &'static [(&'static str, Self, &'static str)] = &[
        ("earliest", Start::Earliest, "At the oldest record that is there."),
        ("latest", Start::Latest, "At the records that come from now on."),
    ];
}

impl Words for ClusterKind {
    const NAME: &'static str = "kind";
    const WORDS: &'static [(&'static str, Self, &'static str)] = &[
        ("self", ClusterKind::Own, "Every layer can be set."),
        (
            "strimzi",
            ClusterKind::Strimzi,
            "The Strimzi operator owns brokers, topics and users: they are written as its resources.",
        ),
        (
            "msk",
            ClusterKind::Msk,
            "Amazon MSK: brokers are set by an MSK configuration, machines and controllers not at all.",
        ),
        (
            "confluent-cloud",
            ClusterKind::ConfluentCloud,
            "Confluent Cloud: brokers, copies and some topic settings are not yours.",
        ),
    ];
}

impl Words for Produce {
    const NAME: &'static str = "produce";
    const WORDS: &'static [(&'static str, Self, &'static str)] = &[
        ("durable", Produce::Durable, "Nothing is lost, in batches of 5 ms."),
        (
            "throughput",
            Produce::Throughput,
            "The same with larger batches and zstd: more bytes a second, later.",
        ),
        ("low_latency", Produce::LowLatency, "The same without waiting for a batch: sooner, more requests."),
    ];
}

impl Words for Timestamps {
    const NAME: &'static str = "timestamps";
    const WORDS: &'static [(&'static str, Self, &'static str)] = &[
        ("create", Timestamps::Create, "The producer's clock."),
        ("append", Timestamps::Append, "The broker's clock."),
    ];
}

impl Words for Effect {
    const NAME: &'static str = "effect";
    const WORDS: &'static [(&'static str, Self, &'static str)] = &[
        ("database", Effect::Database, "A store that can keep the offset beside the result."),
        ("kafka", Effect::Kafka, "Topics of the same cluster."),
        ("http", Effect::Http, "A call that cannot be taken back."),
    ];
}

impl Words for Membership {
    const NAME: &'static str = "membership";
    const WORDS: &'static [(&'static str, Self, &'static str)] = &[
        ("dynamic", Membership::Dynamic, "A restart moves partitions."),
        ("static", Membership::Static, "A restart within session.timeout.ms moves none (KIP-345)."),
    ];
}

impl Words for Protocol {
    const NAME: &'static str = "protocol";
    const WORDS: &'static [(&'static str, Self, &'static str)] = &[
        (
            "classic",
            Protocol::Classic,
            "The clients assign partitions, all of them stop meanwhile unless the assignor is cooperative.",
        ),
        ("consumer", Protocol::Consumer, "The broker assigns partitions, one by one (KIP-848, Kafka 4.0)."),
    ];
}
