//! How often one broker may be asked.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use klamm_wire::protocol::protocol::Request;
use klamm_wire::{ApiRanges, CallOptions, Connection, WireError};
use tokio::time::{Instant, sleep_until};

/// A tenth more than the second that is promised: a request that left late still keeps the promise at the broker.
const WINDOW: Duration = Duration::from_millis(1_100);

/// The gates of all addresses. Clones of an [`Admin`](crate::Admin) share them.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    limit: Option<u32>,
    gates: Mutex<BTreeMap<String, Arc<Gate>>>,
}

impl Gates {
    pub(crate) fn new(limit: Option<u32>) -> Self {
        Gates { limit, gates: Mutex::default() }
    }

    /// The gate of an address: a broker's own, before it is known whose address that is.
    pub(crate) fn of(&self, address: &str) -> Arc<Gate> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.get(address) {
            return Arc::clone(gate);
        }
        let gate = Arc::new(Gate::new(self.limit));
        gates.insert(address.to_owned(), Arc::clone(&gate));
        gate
    }

    /// Requests that have passed each gate, by its address.
    pub(crate) fn passed(&self) -> BTreeMap<String, u64> {
        let gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = |gate: &Gate| gate.passed.load(Ordering::Relaxed);
        gates.iter().map(|(address, gate)| (address.clone(), passed(gate))).collect()
    }
}

/// Lets no more than `limit` requests through within any second.
#[derive(Debug)]
pub(crate) struct Gate {
    limit: Option<usize>,
    /// When the last `limit` requests may leave or have left, oldest first.
    recent: Mutex<VecDeque<Instant>>,
    passed: AtomicU64,
}

impl Gate {
    fn new(limit: Option<u32>) -> Self {
        let limit = limit.map(|limit| usize::try_from(limit.max(1)).unwrap_or(usize::MAX));
        Gate { limit, recent: Mutex::default(), passed: AtomicU64::new(0) }
    }

    /// Waits until one more request may leave. Dropping the future leaves the place unused.
    pub(crate) async fn pass(&self) {
        if let Some(at) = self.place(Instant::now()) {
            sleep_until(at).await;
        }
        self.passed.fetch_add(1, Ordering::Relaxed);
    }

    /// When the next request may leave; `None` is at once.
    fn place(&self, now: Instant) -> Option<Instant> {
        let limit = self.limit?;
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let mut at = now;
        if recent.len() >= limit
            && let Some(oldest) = recent.pop_front()
        {
            at = at.max(oldest + WINDOW);
        }
        // Places are given in order: a later caller never gets an earlier one.
        if let Some(last) = recent.back() {
            at = at.max(*last);
        }
        recent.push_back(at);
        (at > now).then_some(at)
    }
}

/// A connection to a broker, with the gate that its requests pass.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    connection: Connection,
    gate: Arc<Gate>,
}

impl Peer {
    pub(crate) fn new(connection: Connection, gate: Arc<Gate>) -> Self {
        Peer { connection, gate }
    }

    /// [`Connection::call`], in its turn.
    pub(crate) async fn call<R: Request>(&self, request: &R) -> Result<R::Response, WireError> {
        self.call_with(request, CallOptions::default()).await
    }

    /// [`Connection::call_with`], in its turn.
    pub(crate) async fn call_with<R: Request>(
        &self,
        request: &R,
        options: CallOptions,
    ) -> Result<R::Response, WireError> {
        // What the broker does not know is not sent, and takes nobody's turn.
        self.connection.version_of::<R>(options.max_version)?;
        self.gate.pass().await;
        self.connection.call_with(request, options).await
    }

    /// Waits for the turn of one request that [`call_now`](Self::call_now) sends.
    pub(crate) async fn turn<R: Request>(&self) -> Result<(), WireError> {
        self.connection.version_of::<R>(None)?;
        self.gate.pass().await;
        Ok(())
    }

    /// [`Connection::call`] right after [`turn`](Self::turn).
    pub(crate) async fn call_now<R: Request>(&self, request: &R) -> Result<R::Response, WireError> {
        self.connection.call(request).await
    }

    pub(crate) fn version_of<R: Request>(&self, max_version: Option<i16>) -> Result<i16, WireError> {
        self.connection.version_of::<R>(max_version)
    }

    /// The broker knows the request, in a version that is spoken here.
    pub(crate) fn knows<R: Request>(&self) -> bool {
        self.version_of::<R>(None).is_ok()
    }

    /// The connection itself, for requests that take nobody's turn.
    pub(crate) fn into_connection(self) -> Connection {
        self.connection
    }

    pub(crate) fn ranges(&self) -> &ApiRanges {
        self.connection.ranges()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_has_more_than_the_limit_and_the_first_ones_do_not_wait() {
        let gate = Gate::new(Some(5));
        let start = Instant::now();
        let mut left: Vec<Instant> = (0..23).map(|_| gate.place(start).unwrap_or(start)).collect();
        assert!(left[..5].iter().all(|at| *at == start) && left[5] > start);
        // Later, after a pause, others come.
        let later = left[22] + Duration::from_millis(300);
        left.extend((0..7).map(|_| gate.place(later).unwrap_or(later)));
        for some in left.windows(6) {
            assert!(some[5] - some[0] > Duration::from_secs(1), "six within a second");
        }
        assert!(left.is_sorted());
    }

    #[test]
    fn without_a_limit_nobody_waits_and_all_are_counted() {
        let gates = Gates::new(None);
        assert_eq!(gates.of("b:9092").place(Instant::now()), None);
        assert_eq!(gates.passed(), BTreeMap::from([("b:9092".to_owned(), 0)]));
    }
}
