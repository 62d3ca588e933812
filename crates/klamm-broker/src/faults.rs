//! Faults on purpose: a test says which requests fail, and how.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use klamm_kafka::ErrorCode;

use crate::api::Api;
use crate::sync::lock;

/// What is done to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Answer with this error wherever the response has one; the request has no effect.
    Error(ErrorCode),
    /// Handle the request, but only after this long.
    Delay(Duration),
    /// Close the connection; the request has no effect.
    CloseBefore,
    /// Handle the request, then close the connection instead of answering: the client cannot know.
    CloseAfter,
}

/// The faults of one broker, in the order they were injected. Shared by all its connections.
#[derive(Debug, Default)]
pub struct Faults {
    rules: Mutex<Rules>,
}

#[derive(Debug, Default)]
struct Rules {
    waiting: VecDeque<Rule>,
    hits: u64,
}

#[derive(Debug)]
struct Rule {
    api: Api,
    /// Only requests with this client id, if set.
    client_id: Option<String>,
    left: usize,
    fault: Fault,
}

impl Faults {
    /// Does `fault` to the next `times` requests of `api`. Rules of the same API are used up one after another.
    pub fn inject(&self, api: Api, times: usize, fault: Fault) {
        self.push(api, None, times, fault);
    }

    /// As [`Faults::inject`], for requests with this client id only.
    pub fn inject_for_client(&self, client_id: &str, api: Api, times: usize, fault: Fault) {
        self.push(api, Some(client_id.to_owned()), times, fault);
    }

    /// Forgets all faults that have not happened.
    pub fn clear(&self) {
        lock(&self.rules).waiting.clear();
    }

    /// How many requests a fault was done to.
    pub fn hits(&self) -> u64 {
        lock(&self.rules).hits
    }

    fn push(&self, api: Api, client_id: Option<String>, times: usize, fault: Fault) {
        if times > 0 {
            lock(&self.rules).waiting.push_back(Rule { api, client_id, left: times, fault });
        }
    }

    /// The fault for this request, used up.
    pub(crate) fn take(&self, api: Api, client_id: &str) -> Option<Fault> {
        let mut rules = lock(&self.rules);
        let matches =
            |rule: &Rule| rule.api == api && rule.client_id.as_ref().is_none_or(|wanted| wanted == client_id);
        let at = rules.waiting.iter().position(matches)?;
        let rule = &mut rules.waiting[at];
        let fault = rule.fault;
        rule.left -= 1;
        if rule.left == 0 {
            rules.waiting.remove(at);
        }
        rules.hits += 1;
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_used_up_in_order_by_api_and_client() {
        let faults = Faults::default();
        faults.inject(Api::Produce, 2, Fault::CloseBefore);
        faults.inject(Api::Produce, 1, Fault::CloseAfter);
        faults.inject_for_client("only", Api::Fetch, 1, Fault::CloseBefore);
        assert_eq!(faults.take(Api::Fetch, "other"), None);
        assert_eq!(faults.take(Api::Fetch, "only"), Some(Fault::CloseBefore));
        let all: Vec<_> = std::iter::from_fn(|| faults.take(Api::Produce, "any")).collect();
        assert_eq!(all, [Fault::CloseBefore, Fault::CloseBefore, Fault::CloseAfter]);
        assert_eq!(faults.hits(), 4);
    }
}
