//! Looks at the ends of the partitions from time to time.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use klamm_admin::{Admin, OffsetSpec};
use klamm_client::TopicPartition;
use tokio::time::{MissedTickBehavior, interval};

use super::progress::Progress;

/// Fills in how far the partitions reach. A failed look leaves the earlier one in place.
pub(super) struct Watch {
    pub(super) admin: Admin,
    pub(super) progress: Arc<Progress>,
    pub(super) group: String,
    pub(super) topics: Vec<String>,
    pub(super) interval: Duration,
}

impl Watch {
    /// Runs until it is dropped.
    pub(super) async fn run(self) -> Infallible {
        let mut ticks = interval(self.interval.max(Duration::from_millis(10)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.look().await;
        }
    }

    async fn look(&self) {
        for topic in &self.topics {
            let Ok(ends) = self.admin.list_offsets(topic, OffsetSpec::Latest).await else { continue };
            let topic: Arc<str> = topic.as_str().into();
            for (partition, end) in ends {
                self.progress.saw_end(&TopicPartition::new(Arc::clone(&topic), partition), end);
            }
        }
        if self.progress.waits_for_first_record() {
            let Ok(committed) = self.admin.group_offsets(&self.group, &self.topics).await else { return };
            for offset in committed {
                let partition = TopicPartition::new(offset.topic, offset.partition);
                self.progress.saw_committed(&partition, offset.offset);
            }
        }
    }
}
