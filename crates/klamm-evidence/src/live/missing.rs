//! From answers and errors to what was seen.

use std::collections::BTreeMap;

use klamm_admin::{AdminError, PerBroker};
use klamm_rules::Seen;

/// Different reasons that are written down; more of them only counts.
const REASONS: usize = 20;

/// Why it could not be had, in one line.
pub(crate) fn why(error: &AdminError) -> String {
    match error.unsupported() {
        Some(api) => format!("the broker does not know {api}"),
        None => error.to_string(),
    }
}

/// One answer.
pub(crate) fn seen<T>(told: Result<T, AdminError>, permission: &str) -> Seen<T> {
    match told {
        Ok(value) => Seen::Full(value),
        Err(error) if error.is_denied() => Seen::Denied { permission: permission.to_owned() },
        Err(error) => Seen::Failed { why: why(&error) },
    }
}

/// An answer of each broker.
pub(crate) fn of_brokers<T>(told: PerBroker<T>, permission: &str) -> Seen<BTreeMap<i32, T>> {
    let (mut found, mut missing, mut denied) = (BTreeMap::new(), Missing::default(), false);
    let mut unknown = None;
    for (broker, told) in told {
        match told {
            Ok(value) => {
                found.insert(broker, value);
            }
            Err(error) => {
                denied |= error.is_denied();
                unknown = unknown.or(error.unsupported().map(|_| why(&error)));
                let reason = if error.is_denied() { lacking(permission) } else { why(&error) };
                missing.note(format!("broker {broker}"), reason);
            }
        }
    }
    match (found.is_empty(), denied, unknown) {
        (true, true, _) => Seen::Denied { permission: permission.to_owned() },
        (true, false, Some(why)) => Seen::Failed { why },
        (true, false, None) if missing.is_empty() => Seen::Failed { why: "no broker is known".to_owned() },
        (true, false, None) => Seen::Failed { why: missing.lines().join("; ") },
        (false, ..) => Seen::from_parts(found, missing.lines()),
    }
}

pub(crate) fn lacking(permission: &str) -> String {
    format!("{permission} is missing")
}

/// What was not seen, by reason: ten thousand partitions of one dead broker are one line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Missing {
    by_reason: BTreeMap<String, (String, usize)>,
    /// Of reasons that are not written down.
    more: usize,
}

impl Missing {
    /// `what` was not seen, because of `reason`.
    pub(crate) fn note(&mut self, what: impl Into<String>, reason: impl Into<String>) {
        let reason = reason.into();
        if self.by_reason.len() >= REASONS && !self.by_reason.contains_key(&reason) {
            self.more += 1;
            return;
        }
        self.by_reason.entry(reason).or_insert_with(|| (what.into(), 0)).1 += 1;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_reason.is_empty()
    }

    /// A line for each reason.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |(reason, (first, count)): (&String, &(String, usize))| match count {
            1 => format!("{first}: {reason}"),
            _ => format!("{first} and {} more: {reason}", count - 1),
        };
        let mut lines: Vec<String> = self.by_reason.iter().map(line).collect();
        if self.more > 0 {
            lines.push(format!("{} more for other reasons", self.more));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_reason_is_one_line_and_many_reasons_have_a_bound() {
        let mut missing = Missing::default();
        for partition in 0..3 {
            missing.note(format!("topic t partition {partition}"), "broker 2 is down");
        }
        assert_eq!(missing.lines(), ["topic t partition 0 and 2 more: broker 2 is down"]);
        for other in 0..100 {
            missing.note("topic u", format!("reason {other}"));
        }
        assert_eq!(missing.lines().len(), REASONS + 1);
        assert!(missing.lines().last().is_some_and(|line| line == "81 more for other reasons"));
    }
}
