//! What brokers last said about a partition.
//!
//! librdkafka retries NOT_ENOUGH_REPLICAS and its like until the delivery timeout and then reports only "timed out".
//! Limiting its retries instead would leave a gap in the idempotent sequence. What the broker answered is in its debug
//! log alone: one line for each failed request, `<topic> [<partition>]: MessageSet with … encountered error: <text>
//! (actions …)`. A test on the embedded broker holds us to that form; when it is not met, the error is the plain timeout.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rdkafka::types::RDKafkaErrorCode;

/// The log facility of the line.
const FACILITY: &str = "MSGSET";

/// Answers that are worth knowing by code rather than by text.
const KNOWN: [RDKafkaErrorCode; 2] =
    [RDKafkaErrorCode::NotEnoughReplicas, RDKafkaErrorCode::NotEnoughReplicasAfterAppend];

/// The last answers, by partition. Its size is bounded by the partitions that this producer writes to.
#[derive(Debug, Default)]
pub(super) struct Answers {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    partitions: HashMap<String, HashMap<i32, Last>>,
    /// The last complaint that names no partition: connections, authentication.
    client: Option<(String, Instant)>,
}

#[derive(Debug, Clone)]
struct Last {
    text: String,
    code: Option<RDKafkaErrorCode>,
    at: Instant,
    /// When a request last failed in a way that leaves open whether it was appended.
    doubt: Option<Instant>,
}

/// The last thing that was heard about a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) text: String,
    pub(super) code: Option<RDKafkaErrorCode>,
    /// Some request of the window may have been appended without us knowing.
    pub(super) in_doubt: bool,
}

impl Answers {
    /// Takes a log line in; lines of other facilities are left alone.
    pub(super) fn log(&self, facility: &str, line: &str) {
        if facility != FACILITY {
            return;
        }
        let Some((topic, partition, text)) = parse(line) else { return };
        let code = KNOWN.into_iter().find(|code| code.to_string().contains(text));
        // The leader refused before it appended; anything else may have happened after.
        let certain = code == Some(RDKafkaErrorCode::NotEnoughReplicas);
        let now = Instant::now();
        let mut state = self.lock();
        let partitions = match state.partitions.get_mut(topic) {
            Some(partitions) => partitions,
            None => state.partitions.entry(topic.to_owned()).or_default(),
        };
        let doubt = if certain { partitions.get(&partition).and_then(|last| last.doubt) } else { Some(now) };
        partitions.insert(partition, Last { text: text.to_owned(), code, at: now, doubt });
    }

    /// Takes an error of the client as a whole in.
    pub(super) fn client_error(&self, reason: &str) {
        self.lock().client = Some((reason.to_owned(), Instant::now()));
    }

    /// What was last heard about the partition since then, or else the last complaint.
    ///
    /// The beginning is the record's own. A fixed window of the delivery timeout was too short: librdkafka looks for
    /// records that are out of time once a second, and by then the doubt of a first attempt had left the window.
    pub(super) fn last(&self, topic: &str, partition: i32, since: Instant) -> Option<Heard> {
        let of_partition = self
            .lock()
            .partitions
            .get(topic)
            .and_then(|partitions| partitions.get(&partition))
            .filter(|last| last.at >= since)
            .map(|last| Heard {
                text: last.text.clone(),
                code: last.code,
                in_doubt: last.doubt.is_some_and(|at| at >= since),
            });
        of_partition.or_else(|| Some(Heard { text: self.complaint()?, code: None, in_doubt: true }))
    }

    /// The last complaint that names no partition, with its age: librdkafka does not repeat itself while a broker stays
    /// away, and does not say when it is back.
    pub(super) fn complaint(&self) -> Option<String> {
        let state = self.lock();
        let (text, at) = state.client.as_ref()?;
        Some(match at.elapsed().as_secs() {
            0 => text.clone(),
            seconds => format!("{text} ({seconds} s ago)"),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Topic, partition and error text of the line.
fn parse(line: &str) -> Option<(&str, i32, &str)> {
    let (place, rest) = line.split_once("]: MessageSet with ")?;
    let (before, partition) = place.rsplit_once(" [")?;
    // The line starts with the thread and the broker: `[thrd:…]: host:port/1: orders [0]: …`.
    let topic = before.rsplit(' ').next()?;
    let (_, error) = rest.split_once(" encountered error: ")?;
    let (text, _) = error.rsplit_once(" (actions ")?;
    Some((topic, partition.parse().ok()?, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "[thrd:127.0.0.1:9092/1]: 127.0.0.1:9092/1: orders.events [3]: MessageSet with 2 message(s) \
                        (MsgId 1, BaseSeq 0) encountered error: Broker: Not enough in-sync replicas (actions \
                        Retry,MsgNotPersisted)";

    #[test]
    fn the_brokers_answer_is_read_from_the_line() {
        assert_eq!(parse(LINE), Some(("orders.events", 3, "Broker: Not enough in-sync replicas")));
    }

    #[test]
    fn a_refusal_leaves_no_doubt_and_a_lost_answer_does() {
        let answers = Answers::default();
        let before = Instant::now();
        answers.log("MSGSET", LINE);
        let heard = answers.last("orders.events", 3, before).unwrap();
        assert_eq!((heard.code, heard.in_doubt), (Some(RDKafkaErrorCode::NotEnoughReplicas), false));
        answers.log("MSGSET", &LINE.replace("Broker: Not enough in-sync replicas", "Local: Timed out"));
        let between = Instant::now();
        answers.log("MSGSET", LINE);
        assert!(answers.last("orders.events", 3, before).unwrap().in_doubt);
        let heard = answers.last("orders.events", 3, between).unwrap();
        assert!(!heard.in_doubt, "a record that came later was not in the request that got no answer");
        assert_eq!(answers.last("orders.events", 3, Instant::now()), None);
    }

    #[test]
    fn a_complaint_explains_what_no_answer_does() {
        let answers = Answers::default();
        answers.client_error("127.0.0.1:9092/1: Connect failed");
        let heard = answers.last("orders.events", 3, Instant::now()).unwrap();
        assert!(heard.in_doubt && heard.text.starts_with("127.0.0.1:9092/1: Connect failed"), "{heard:?}");
    }

    #[test]
    fn other_lines_and_other_partitions_say_nothing() {
        let (answers, before) = (Answers::default(), Instant::now());
        answers.log("PRODUCE", LINE);
        answers.log("MSGSET", "orders [0]: MessageSet with 2 message(s) (MsgId 1, BaseSeq 0) delivered");
        assert_eq!(answers.last("orders", 0, before), None);
    }
}
