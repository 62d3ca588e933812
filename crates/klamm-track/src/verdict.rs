//! What a checked run came to.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::RecordId;

/// How often a consumer was allowed to process one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// A record may be left out, none may be processed again.
    AtMostOnce,
    /// No record may be left out, any may be processed again.
    AtLeastOnce,
    /// Each record once.
    ExactlyOnce,
}

/// One way in which a guarantee can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Acknowledged, and not in the log.
    Lost,
    /// Acknowledged, and never processed.
    Unprocessed,
    /// In the log more than once, without a resend after an unknown outcome that would explain it.
    Duplicated,
    /// In the log after a later record of its key.
    ReorderedStored,
    /// Processed for the first time after a later record of its key.
    ReorderedProcessed,
    /// Processed more than once.
    Repeated,
    /// In the log, and never sent.
    Unexpected,
    /// In the log in another partition than its key's earlier records.
    Misplaced,
    /// The receipts of a key name other places than those where its records are.
    WrongReceipt,
}

/// One record that shows a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// What is wrong with it.
    pub fault: Fault,
    /// The record.
    pub id: RecordId,
    /// Where it was seen; `None` when it was not.
    pub place: Option<(i32, i64)>,
}

/// The counts of a run, computed from its records.
///
/// Each count is a number of records, except `wrong_receipts`, which counts keys.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Verdict {
    /// Different records handed to the producer.
    pub sent: u64,
    /// Different records with a receipt.
    pub acknowledged: u64,
    /// Different records whose last outcome was a failure.
    pub failed: u64,
    /// Different records found in the log.
    pub stored: u64,
    /// Different records that a handler finished.
    pub processed: u64,
    /// Acknowledged, and not in the log.
    pub lost: u64,
    /// Acknowledged, and never processed.
    pub unprocessed: u64,
    /// Extra copies in the log that nothing explains.
    pub duplicated: u64,
    /// Extra copies in the log of records that were sent again after an unknown outcome: the sender's own choice.
    pub resent_copies: u64,
    /// In the log after a later record of their key.
    pub reordered_stored: u64,
    /// Processed for the first time after a later record of their key.
    pub reordered_processed: u64,
    /// Times that a record was processed again.
    pub repeated: u64,
    /// In the log, and never sent.
    pub unexpected: u64,
    /// In the log in another partition than their key's earlier records.
    pub misplaced: u64,
    /// Keys whose receipts do not name the places where the records are.
    pub wrong_receipts: u64,
    /// Records of other runs that were seen and left alone.
    pub foreign: u64,
    /// A few records for each fault.
    pub examples: Vec<Example>,
}

impl Verdict {
    /// Did the run keep what it promised? `delivery` says what the consumer was allowed to do.
    pub fn held(&self, delivery: Delivery) -> bool {
        self.breaches(delivery).is_empty()
    }

    /// The faults that break the promise, with their counts.
    pub fn breaches(&self, delivery: Delivery) -> Vec<(Fault, u64)> {
        let may_skip = delivery == Delivery::AtMostOnce;
        let may_repeat = delivery == Delivery::AtLeastOnce;
        let mut counts = vec![
            (Fault::Lost, self.lost),
            (Fault::Duplicated, self.duplicated),
            (Fault::ReorderedStored, self.reordered_stored),
            (Fault::ReorderedProcessed, self.reordered_processed),
            (Fault::Unexpected, self.unexpected),
            (Fault::Misplaced, self.misplaced),
            (Fault::WrongReceipt, self.wrong_receipts),
        ];
        if !may_skip {
            counts.push((Fault::Unprocessed, self.unprocessed));
        }
        if !may_repeat {
            counts.push((Fault::Repeated, self.repeated));
        }
        counts.retain(|(_, count)| *count > 0);
        counts
    }

    /// Records out of the order of their key, in the log or in processing.
    pub fn reordered(&self) -> u64 {
        self.reordered_stored + self.reordered_processed
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "sent {} · acknowledged {} · stored {} · processed {} · lost {} · unprocessed {} · duplicated {} · \
             reordered {} · repeated {}",
            self.sent,
            self.acknowledged,
            self.stored,
            self.processed,
            self.lost,
            self.unprocessed,
            self.duplicated,
            self.reordered(),
            self.repeated
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Lost => "lost",
            Fault::Unprocessed => "unprocessed",
            Fault::Duplicated => "duplicated",
            Fault::ReorderedStored => "reordered in the log",
            Fault::ReorderedProcessed => "reordered in processing",
            Fault::Repeated => "repeated",
            Fault::Unexpected => "unexpected",
            Fault::Misplaced => "misplaced",
            Fault::WrongReceipt => "wrong receipt",
        })
    }
}
