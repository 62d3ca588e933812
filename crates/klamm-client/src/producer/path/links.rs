//! The produce connection of each broker: dialled when the machine asks, renewed when it was idle for too long or its session is about
//! to end, given up when a request on it fails.
//!
//! A connection that is over is left only when all that was sent on it has come home. So no request overtakes an earlier one, and the
//! machine hears of each request before it hears that the connection is gone.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use klamm_admin::{Admin, AdminError};
use klamm_wire::protocol::messages::ProduceResponse;
use klamm_wire::{CallOptions, Connection, WireError};
use tokio::task::JoinSet;

use super::request::{self, LAST_WITH_NAMES, Terms};
use super::task::Done;
use crate::produce::{Failure, Producer, Request, RequestId, Slot};

/// All produce connections of a producer.
pub(super) struct Links {
    admin: Admin,
    terms: Terms,
    links: BTreeMap<i32, Link>,
}

#[derive(Default)]
struct Link {
    connection: Option<Connection>,
    dialing: bool,
    in_flight: usize,
    /// Requests that wait for a connection.
    waiting: VecDeque<Request>,
    /// Why the connection is over, while requests on it are still to come home.
    broken: Option<String>,
}

/// A request on its way.
#[derive(Debug)]
pub(super) struct Flight {
    broker: i32,
    id: RequestId,
    slots: Vec<Slot>,
}

impl Links {
    pub(super) fn new(admin: Admin, terms: Terms) -> Links {
        Links { admin, terms, links: BTreeMap::new() }
    }

    /// A broker that was once connected to, another one each time.
    pub(super) fn some_broker(&self, turn: usize) -> Option<i32> {
        self.links.keys().nth(turn.checked_rem(self.links.len())?).copied()
    }

    /// Opens the connection to a broker.
    pub(super) fn connect(&mut self, broker: i32, calls: &mut JoinSet<Done>) {
        let link = self.links.entry(broker).or_default();
        link.dialing = true;
        let admin = self.admin.clone();
        calls.spawn(async move { Done::Dialed(broker, admin.dial(broker).await) });
    }

    /// A connection was opened, or not.
    pub(super) async fn dialed(
        &mut self,
        broker: i32,
        dialed: Result<Connection, AdminError>,
        machine: &mut Producer,
        calls: &mut JoinSet<Done>,
    ) {
        let link = self.links.entry(broker).or_default();
        link.dialing = false;
        match dialed {
            Ok(connection) => {
                link.connection = Some(connection);
                machine.connected(broker);
                self.flush(broker, machine, calls).await;
            }
            Err(error) => {
                link.broken = Some(error.to_string());
                link.settle(broker, machine);
            }
        }
    }

    /// Sends a request, after all that were sent to its broker before.
    pub(super) async fn send(&mut self, request: Request, machine: &mut Producer, calls: &mut JoinSet<Done>) {
        let broker = request.broker;
        self.links.entry(broker).or_default().waiting.push_back(request);
        self.flush(broker, machine, calls).await;
    }

    /// A request came home.
    pub(super) async fn landed(
        &mut self,
        flight: Flight,
        answer: Result<ProduceResponse, WireError>,
        machine: &mut Producer,
        calls: &mut JoinSet<Done>,
    ) {
        let broker = flight.broker;
        self.links.entry(broker).or_default().land(flight, answer, machine);
        self.flush(broker, machine, calls).await;
    }

    /// Sends what waits, as far as there is a connection for it.
    async fn flush(&mut self, broker: i32, machine: &mut Producer, calls: &mut JoinSet<Done>) {
        let options =
            CallOptions { max_version: Some(LAST_WITH_NAMES), timeout: Some(self.terms.request_timeout) };
        let link = self.links.entry(broker).or_default();
        while link.is_ready() {
            let Some(connection) = link.connection.as_ref().filter(|connection| connection.is_usable())
            else {
                if link.in_flight == 0 {
                    link.connection = None;
                    self.connect(broker, calls);
                }
                return;
            };
            let Some(Request { id, parts, .. }) = link.waiting.pop_front() else { return };
            let (request, slots) = request::produce(parts, machine, self.terms);
            let flight = Flight { broker, id, slots };
            let begun = connection.begin(&request, options).await;
            link.in_flight += 1;
            match begun {
                Ok(answer) => {
                    calls.spawn(async move { Done::Landed(flight, answer.await) });
                }
                Err(error) => link.land(flight, Err(error), machine),
            }
        }
    }
}

impl Link {
    /// Something waits, and the connection is neither being opened nor known to be over.
    fn is_ready(&self) -> bool {
        !self.waiting.is_empty() && !self.dialing && self.broken.is_none()
    }

    fn land(&mut self, flight: Flight, answer: Result<ProduceResponse, WireError>, machine: &mut Producer) {
        let Flight { broker, id, slots } = flight;
        let now = Instant::now();
        self.in_flight = self.in_flight.saturating_sub(1);
        match answer {
            Ok(response) => {
                if let Ok(pause @ 1..) = u64::try_from(response.throttle_time_ms) {
                    machine.throttled(broker, now + std::time::Duration::from_millis(pause));
                }
                let answers = request::answers(response, &slots, machine);
                machine.answered(id, answers, now);
            }
            Err(error) => {
                let text = error.to_string();
                let failure = match error.effect().is_none() {
                    true => Failure::NotSent(text.clone()),
                    false => Failure::Lost(text.clone()),
                };
                machine.failed(id, &failure, now);
                self.broken.get_or_insert(text);
                // The last handle: what else is on its way ends with it.
                self.connection = None;
            }
        }
        self.settle(broker, machine);
    }

    /// When the last request of a connection that is over has come home, the machine hears of that.
    fn settle(&mut self, broker: i32, machine: &mut Producer) {
        if self.in_flight > 0 {
            return;
        }
        let Some(text) = self.broken.take() else { return };
        let now = Instant::now();
        for request in self.waiting.drain(..) {
            machine.failed(request.id, &Failure::NotSent(text.clone()), now);
        }
        machine.disconnected(broker, &text, now);
    }
}
