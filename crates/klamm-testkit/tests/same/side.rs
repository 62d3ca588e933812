//! One of the two brokers: its connection, and what it calls by other names than the other one.

use std::collections::HashMap;
use std::time::Duration;

use klamm_kafka::ErrorCode;
use klamm_testkit::anyhow::Result;
use klamm_testkit::eventually;
use klamm_wire::protocol::messages::create_topics_request::CreatableTopic;
use klamm_wire::protocol::messages::metadata_request::MetadataRequestTopic;
use klamm_wire::protocol::messages::{
    CreateTopicsRequest, DescribeTransactionsRequest, MetadataRequest, TopicName, TransactionalId,
};
use klamm_wire::protocol::protocol::{Request, StrBytes};

use tokio::runtime::Runtime;

use crate::consumer_groups::Place;
use crate::wire::Wire;

/// Name of the side that is right.
pub const KAFKA: &str = "Kafka";

/// How long a side may say "not yet".
pub const SOON: Duration = Duration::from_secs(30);

pub struct Side {
    pub name: &'static str,
    wire: Wire,
    /// Producer ids by their first appearance.
    numbers: HashMap<i64, usize>,
    /// Who has held each transactional id, oldest first: producer id and epoch.
    pub held: HashMap<String, Vec<(i64, i16)>>,
    /// Members of groups, by the order in which they were named.
    pub members: Vec<String>,
    pub generation: i32,
    /// Where the `consumer` groups of this side stand.
    pub groups: Place,
    barriers: usize,
    waits: Runtime,
}

impl Side {
    pub fn new(name: &'static str, address: &str) -> Result<Side> {
        let wire = Wire::connect(address)?;
        let waits = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let (numbers, held, members) = (HashMap::new(), HashMap::new(), Vec::new());
        let groups = Place::default();
        Ok(Side { name, wire, numbers, held, members, generation: -1, groups, barriers: 0, waits })
    }

    pub fn is_kafka(&self) -> bool {
        self.name == KAFKA
    }

    pub fn call<R: Request>(&mut self, version: i16, request: &R) -> Result<R::Response> {
        self.wire.call(version, request)
    }

    /// Calls until the answer's error is none that a client simply asks again for.
    pub fn settled<R: Request>(
        &mut self,
        version: i16,
        request: &R,
        error: impl Fn(&R::Response) -> i16,
    ) -> Result<R::Response> {
        let what = format!("an answer of {} that is not passing", self.name);
        let Side { wire, waits, .. } = self;
        let answer = eventually(SOON, &what, async || match wire.call(version, request) {
            Ok(answer) if is_passing(error(&answer)) => Err(code(error(&answer))),
            answer => Ok(answer),
        });
        waits.block_on(answer)?
    }

    /// Waits until the broker knows all that its controller has decided: a topic that is made now comes last.
    pub fn barrier(&mut self, of: &str) -> Result<()> {
        self.barriers += 1;
        let name = format!("barrier-{of}-{}", self.barriers);
        let new = CreatableTopic::default()
            .with_name(topic(&name))
            .with_num_partitions(1)
            .with_replication_factor(1);
        let request = CreateTopicsRequest::default().with_topics(vec![new]).with_timeout_ms(30_000);
        self.settled(7, &request, |answer| answer.topics[0].error_code)?;
        let wanted = MetadataRequestTopic::default().with_name(Some(topic(&name)));
        let request =
            MetadataRequest::default().with_topics(Some(vec![wanted])).with_allow_auto_topic_creation(false);
        let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.code();
        let busy = ErrorCode::NOT_COORDINATOR.code();
        self.settled(12, &request, |answer| match answer.topics[0].error_code {
            code if code == unknown => busy,
            code => code,
        })?;
        Ok(())
    }

    /// A producer id as a number that both sides share.
    pub fn number(&mut self, producer_id: i64) -> String {
        if producer_id < 0 {
            return producer_id.to_string();
        }
        let next = self.numbers.len();
        format!("p{}", self.numbers.entry(producer_id).or_insert(next))
    }

    /// A holder of a transactional id: the present one, or one of so many holders before it.
    pub fn holder(&self, id: &str, back: usize) -> (i64, i16) {
        let held = self.held.get(id).map(Vec::as_slice).unwrap_or_default();
        let at = held.len().checked_sub(back + 1);
        at.and_then(|at| held.get(at)).copied().unwrap_or((-1, -1))
    }
}

/// Kafka writes markers after its answer.
pub fn wait_for_markers(side: &mut Side, id: &str) -> Result<()> {
    let id = TransactionalId(text(id));
    let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![id]);
    let busy = ErrorCode::CONCURRENT_TRANSACTIONS.code();
    side.settled(0, &request, |answer| {
        let state = &answer.transaction_states[0].transaction_state;
        if state.starts_with("Prepare") { busy } else { 0 }
    })?;
    Ok(())
}

/// Whether a client simply asks again.
fn is_passing(code: i16) -> bool {
    matches!(
        ErrorCode::from(code),
        ErrorCode::CONCURRENT_TRANSACTIONS
            | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
            | ErrorCode::COORDINATOR_NOT_AVAILABLE
            | ErrorCode::NOT_COORDINATOR
            | ErrorCode::NOT_LEADER_OR_FOLLOWER
    )
}

pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub fn topic(name: &str) -> TopicName {
    TopicName(text(name))
}

/// Name of an error on the wire.
pub fn code(code: i16) -> String {
    ErrorCode::from(code).to_string()
}
