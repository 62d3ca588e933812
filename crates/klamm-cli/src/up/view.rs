//! The read view of the order service: orders by state, and revenue.
//!
//! A view must survive a restart and may see a record twice (`at_least_once`). Both are solved by the same fact: the
//! view remembers, with its counts, the next offset of each partition. A record before it was seen already; after a crash
//! the records between it and the group's committed offset are read again (see `service::catch_up`).

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::orders::{OrderEvent, OrderState};

/// Version of the snapshot file; another one is read from the start of the log instead.
const SNAPSHOT_VERSION: u32 = 1;

/// Orders by state, and revenue: what the view shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Orders that are placed and not yet paid.
    pub placed: u64,
    /// Orders that are paid and not yet shipped.
    pub paid: u64,
    /// Orders that left the house.
    pub shipped: u64,
    /// Orders that will not.
    pub cancelled: u64,
    /// Money of paid and shipped orders, in cents.
    pub revenue_cents: i64,
}

impl Totals {
    fn count(&mut self, state: OrderState) -> &mut u64 {
        match state {
            OrderState::Placed => &mut self.placed,
            OrderState::Paid => &mut self.paid,
            OrderState::Shipped => &mut self.shipped,
            OrderState::Cancelled => &mut self.cancelled,
        }
    }

    fn plus(mut self, other: &Totals) -> Self {
        self.placed += other.placed;
        self.paid += other.paid;
        self.shipped += other.shipped;
        self.cancelled += other.cancelled;
        self.revenue_cents += other.revenue_cents;
        self
    }
}

/// Did a record change the view?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// Yes.
    Changed,
    /// No: it was seen before.
    SeenBefore,
}

/// What one partition contributes. Orders are keyed by order id, so an order lives in one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct PartitionView {
    next_offset: i64,
    totals: Totals,
    /// Orders under way; finished ones are only counted, so that memory follows the work and not the history.
    open: HashMap<u64, OrderState>,
}

/// The view of one topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderView {
    version: u32,
    /// Cluster and topic id that the offsets belong to; a view of another topic of the same name is not this one.
    belongs_to: String,
    partitions: BTreeMap<i32, PartitionView>,
}

impl OrderView {
    /// An empty view of the topic that `belongs_to` identifies.
    pub fn new(belongs_to: &str) -> Self {
        OrderView {
            version: SNAPSHOT_VERSION,
            belongs_to: belongs_to.to_owned(),
            partitions: BTreeMap::new(),
        }
    }

    /// The snapshot at `path`, or an empty view when there is none, or one that belongs to another topic.
    pub fn load(path: &Path, belongs_to: &str) -> io::Result<Self> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::new(belongs_to)),
            Err(error) => return Err(error),
        };
        // A view can always be built again from the log: what cannot be read is rebuilt, not an error.
        Ok(match serde_json::from_slice::<OrderView>(&text) {
            Ok(view) if view.version == SNAPSHOT_VERSION && view.belongs_to == belongs_to => view,
            _ => Self::new(belongs_to),
        })
    }

    /// Writes the snapshot at `path`, whole or not at all.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let aside: PathBuf = path.with_extension("new");
        let mut file = std::fs::File::create(&aside)?;
        serde_json::to_writer(&mut file, self).map_err(io::Error::other)?;
        file.flush()?;
        file.sync_data()?;
        std::fs::rename(&aside, path)
    }

    /// The first offset of `partition` that the view has not seen.
    pub fn next_offset(&self, partition: i32) -> i64 {
        self.partitions.get(&partition).map_or(0, |p| p.next_offset)
    }

    /// Takes the record at `offset` in.
    pub fn apply(&mut self, partition: i32, offset: i64, event: &OrderEvent) -> Applied {
        let part = self.partitions.entry(partition).or_default();
        if offset < part.next_offset {
            return Applied::SeenBefore;
        }
        part.next_offset = offset + 1;
        let before = part.open.remove(&event.order_id);
        if let Some(before) = before {
            let count = part.totals.count(before);
            *count = count.saturating_sub(1);
        }
        *part.totals.count(event.state) += 1;
        let amount = i64::from(event.amount_cents);
        part.totals.revenue_cents += match (before, event.state) {
            (_, OrderState::Paid) => amount,
            // Paid and then cancelled: the money goes back.
            (Some(OrderState::Paid), OrderState::Cancelled) => -amount,
            _ => 0,
        };
        if !event.state.is_final() {
            part.open.insert(event.order_id, event.state);
        }
        Applied::Changed
    }

    /// Steps over a record that is no order event.
    pub fn skip(&mut self, partition: i32, offset: i64) {
        let part = self.partitions.entry(partition).or_default();
        part.next_offset = part.next_offset.max(offset + 1);
    }

    /// All partitions together.
    pub fn totals(&self) -> Totals {
        self.partitions.values().fold(Totals::default(), |sum, part| sum.plus(&part.totals))
    }
}

#[cfg(test)]
mod tests {
    use super::super::orders::Orders;
    use super::*;

    fn events(seed: u64, count: usize) -> Vec<OrderEvent> {
        let mut orders = Orders::new(seed, 0, 0);
        (0..count).map(|_| orders.next_event().event).collect()
    }

    #[test]
    fn every_order_is_in_exactly_one_state() {
        let mut view = OrderView::new("c/t");
        let events = events(1, 5_000);
        for (offset, event) in events.iter().enumerate() {
            view.apply(0, offset as i64, event);
        }
        let totals = view.totals();
        let placed = events.iter().filter(|e| e.state == OrderState::Placed).count() as u64;
        assert_eq!(totals.placed + totals.paid + totals.shipped + totals.cancelled, placed);
        assert!(totals.revenue_cents > 0);
    }

    #[test]
    fn records_that_come_twice_change_nothing() {
        let events = events(2, 2_000);
        let (mut once, mut twice) = (OrderView::new("c/t"), OrderView::new("c/t"));
        for (offset, event) in events.iter().enumerate() {
            once.apply(0, offset as i64, event);
        }
        // A crash that repeats the second half.
        let order = (0..2_000).chain(1_000..2_000);
        for offset in order {
            twice.apply(0, offset as i64, &events[offset]);
        }
        assert_eq!(once, twice);
    }

    #[test]
    fn money_of_a_cancelled_order_goes_back_only_if_it_was_paid() {
        let event =
            |state| OrderEvent { order_id: 1, customer: 1, state, amount_cents: 500, note: String::new() };
        let mut view = OrderView::new("c/t");
        view.apply(0, 0, &event(OrderState::Placed));
        view.apply(0, 1, &event(OrderState::Paid));
        assert_eq!(view.totals().revenue_cents, 500);
        view.apply(0, 2, &event(OrderState::Cancelled));
        assert_eq!(view.totals(), Totals { cancelled: 1, ..Totals::default() });
    }

    #[test]
    fn a_snapshot_comes_back_and_one_of_another_topic_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("views/orders.json");
        let mut view = OrderView::new("c/t");
        for (offset, event) in events(3, 500).iter().enumerate() {
            view.apply(0, offset as i64, event);
        }
        view.save(&path).unwrap();
        assert_eq!(OrderView::load(&path, "c/t").unwrap(), view);
        assert_eq!(OrderView::load(&path, "c/other").unwrap(), OrderView::new("c/other"));
        std::fs::write(&path, b"{ torn").unwrap();
        assert_eq!(OrderView::load(&path, "c/t").unwrap(), OrderView::new("c/t"));
    }
}
