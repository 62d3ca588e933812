//! The events of the order service: what is written, and for whom.
//!
//! Orders of many customers are under way at once. Each goes placed → paid → shipped, or is cancelled on the way;
//! events of different orders interleave, events of one order keep their order. Customers are drawn from a Zipf
//! distribution, as real shops see them: few buy often, many once.

use std::fmt::Write as _;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, Zipf};
use serde::{Deserialize, Serialize};

/// Customers that may order.
const CUSTOMERS: f64 = 10_000.0;
/// Exponent of the Zipf distribution: about what shops report.
const SKEW: f64 = 1.1;
/// Orders that are under way at once.
const OPEN_ORDERS: usize = 1_000;
/// One in so many orders is cancelled at each step.
const CANCELLED_ONE_IN: u32 = 12;

/// What happened to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// The customer ordered.
    Placed,
    /// The money arrived.
    Paid,
    /// It left the house; final.
    Shipped,
    /// It will not leave the house; final.
    Cancelled,
}

impl OrderState {
    /// Nothing follows.
    pub fn is_final(self) -> bool {
        matches!(self, OrderState::Shipped | OrderState::Cancelled)
    }
}

/// One event, the value of one record in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderEvent {
    /// Which order; the record's key is its decimal text.
    pub order_id: u64,
    /// Who ordered.
    pub customer: u32,
    /// What happened.
    pub state: OrderState,
    /// Price of the order in cents.
    pub amount_cents: u32,
    /// Fills the record to the size that the spec states.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// One event with its place among the events of its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextEvent {
    /// The event.
    pub event: OrderEvent,
    /// 0 for the first event of the order.
    pub seq: u64,
}

struct OpenOrder {
    order_id: u64,
    customer: u32,
    amount_cents: u32,
    state: OrderState,
    seq: u64,
}

/// An endless, seeded stream of order events.
pub struct Orders {
    rng: SmallRng,
    customers: Zipf<f64>,
    open: Vec<OpenOrder>,
    next_order_id: u64,
    note: String,
}

impl Orders {
    /// `first_order_id` keeps the orders of different runs apart. Values are filled to about `record_bytes`.
    pub fn new(seed: u64, first_order_id: u64, record_bytes: usize) -> Self {
        let mut note = String::new();
        // What the other fields take, measured: between 70 and 90 bytes.
        let fill = record_bytes.saturating_sub(80);
        while note.len() < fill {
            let _ = write!(note, "{} ", note.len());
        }
        note.truncate(fill);
        Orders {
            rng: SmallRng::seed_from_u64(seed),
            // The parameters are constants above, valid by construction; the smallest distribution stands in otherwise.
            customers: Zipf::new(CUSTOMERS, SKEW)
                .or_else(|_| Zipf::new(1.0, 0.0))
                .unwrap_or_else(|_| unreachable!()),
            open: Vec::with_capacity(OPEN_ORDERS),
            next_order_id: first_order_id,
            note,
        }
    }

    /// The next event.
    pub fn next_event(&mut self) -> NextEvent {
        if self.open.len() < OPEN_ORDERS && (self.open.is_empty() || self.rng.random_ratio(1, 3)) {
            return self.place();
        }
        let at = self.rng.random_range(0..self.open.len());
        self.advance(at)
    }

    fn place(&mut self) -> NextEvent {
        // Zipf yields 1.0..=CUSTOMERS, so the cast keeps the value.
        let order = OpenOrder {
            order_id: self.next_order_id,
            customer: self.customers.sample(&mut self.rng) as u32,
            amount_cents: self.rng.random_range(100..50_000),
            state: OrderState::Placed,
            seq: 0,
        };
        self.next_order_id += 1;
        let next = self.event_of(&order);
        self.open.push(order);
        next
    }

    fn advance(&mut self, at: usize) -> NextEvent {
        let cancelled = self.rng.random_ratio(1, CANCELLED_ONE_IN);
        let order = &mut self.open[at];
        order.seq += 1;
        order.state = match order.state {
            _ if cancelled => OrderState::Cancelled,
            OrderState::Placed => OrderState::Paid,
            _ => OrderState::Shipped,
        };
        let next = self.event_of(&self.open[at]);
        if next.event.state.is_final() {
            self.open.swap_remove(at);
        }
        next
    }

    fn event_of(&self, order: &OpenOrder) -> NextEvent {
        NextEvent {
            event: OrderEvent {
                order_id: order.order_id,
                customer: order.customer,
                state: order.state,
                amount_cents: order.amount_cents,
                note: self.note.clone(),
            },
            seq: order.seq,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn each_order_goes_a_legal_way_and_its_events_are_numbered() {
        let mut orders = Orders::new(7, 100, 200);
        let mut seen: HashMap<u64, (u64, OrderState)> = HashMap::new();
        for _ in 0..50_000 {
            let NextEvent { event, seq } = orders.next_event();
            match seen.get(&event.order_id) {
                None => assert_eq!((seq, event.state), (0, OrderState::Placed)),
                Some(&(last_seq, last)) => {
                    assert_eq!(seq, last_seq + 1);
                    let legal = match last {
                        OrderState::Placed => matches!(event.state, OrderState::Paid | OrderState::Cancelled),
                        OrderState::Paid => event.state.is_final(),
                        OrderState::Shipped | OrderState::Cancelled => false,
                    };
                    assert!(legal, "{last:?} to {:?}", event.state);
                }
            }
            seen.insert(event.order_id, (seq, event.state));
        }
        assert!(seen.len() > 10_000);
    }

    #[test]
    fn the_same_seed_gives_the_same_events() {
        let (mut a, mut b) = (Orders::new(1, 0, 300), Orders::new(1, 0, 300));
        assert!((0..1_000).all(|_| a.next_event() == b.next_event()));
    }

    #[test]
    fn customers_are_skewed_as_zipf_says() {
        let mut orders = Orders::new(3, 0, 0);
        let mut placed_by: HashMap<u32, u32> = HashMap::new();
        for _ in 0..60_000 {
            let next = orders.next_event();
            if next.seq == 0 {
                *placed_by.entry(next.event.customer).or_default() += 1;
            }
        }
        let most = placed_by.values().max().copied().unwrap_or(0);
        assert_eq!(placed_by.get(&1).copied(), Some(most), "customer 1 orders most");
        assert!(placed_by.len() > 1_000, "many customers order at least once: {}", placed_by.len());
    }

    #[test]
    fn records_have_about_the_size_that_the_spec_states() {
        let mut orders = Orders::new(5, 1_000_000_000_000, 1_000);
        for _ in 0..100 {
            let bytes = serde_json::to_vec(&orders.next_event().event).unwrap().len();
            assert!((950..=1_050).contains(&bytes), "{bytes}");
        }
    }
}
