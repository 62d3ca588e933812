//! Records that keep coming while a test breaks things.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use klamm_client::{Effect, Record, RecordSet};
use klamm_runtime::{DurableProducer, SendError};
use klamm_testkit::anyhow::Result;
use klamm_testkit::eventually;
use klamm_track::RecordId;
use tokio::task::JoinHandle;

use crate::setup::{Judge, RUN};

/// Each set has one record of each of so many keys.
const KEYS: u64 = 20;

/// Sets on their way at once: enough to fill the requests in flight, few enough that an outage does not pile them up.
const SETS_IN_FLIGHT: usize = 8;

const PACE: Duration = Duration::from_millis(10);

/// Sends from a task of its own until it is stopped, and reports each outcome to a judge. What fails is not sent again.
pub struct Traffic {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    task: JoinHandle<Result<u64>>,
}

impl Traffic {
    pub fn start(producer: DurableProducer, judge: &Judge) -> Traffic {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let source =
            Source { producer, judge: judge.clone(), acknowledged: acknowledged.clone(), refused: 0 };
        Traffic { task: tokio::spawn(source.run(stop.clone())), stop, acknowledged }
    }

    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until so many records are acknowledged.
    pub async fn is_acknowledged(&self, records: u64, within: Duration) -> Result<()> {
        eventually(within, &format!("{records} acknowledged records"), async || {
            let acknowledged = self.acknowledged();
            (acknowledged >= records).then_some(()).ok_or_else(|| acknowledged.to_string())
        })
        .await
    }

    /// Waits for what is on its way; returns how many records failed with the word that they are not in the log.
    pub async fn stop(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await?
    }
}

struct Source {
    producer: DurableProducer,
    judge: Judge,
    acknowledged: Arc<AtomicU64>,
    refused: u64,
}

impl Source {
    async fn run(mut self, stop: Arc<AtomicBool>) -> Result<u64> {
        let topic = self.producer.contract().topic.clone();
        let mut pace = tokio::time::interval(PACE);
        let mut pending = VecDeque::new();
        for seq in 0.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            pace.tick().await;
            let ids: Vec<RecordId> = (0..KEYS).map(|key| RecordId { run: RUN, key, seq }).collect();
            let mut set = RecordSet::new();
            for id in &ids {
                self.judge.with(|checker| checker.sent(*id));
                set.push(&Record::new(&topic).key(&id.key.to_string()).value(&id.to_bytes()));
            }
            match self.producer.send_batch(&set).await {
                Ok(acks) => pending.push_back((ids, acks)),
                Err(error) => ids.into_iter().for_each(|id| self.outcome(id, Err(error.clone()))),
            }
            if pending.len() >= SETS_IN_FLIGHT
                && let Some((ids, acks)) = pending.pop_front()
            {
                self.outcomes(ids, acks.await);
            }
        }
        for (ids, acks) in pending {
            self.outcomes(ids, acks.await);
        }
        Ok(self.refused)
    }

    fn outcomes(&mut self, ids: Vec<RecordId>, acks: klamm_client::Acks) {
        for (id, outcome) in ids.into_iter().zip(acks.iter()) {
            self.outcome(id, outcome.cloned().map_err(|error| SendError::from(error.clone())));
        }
    }

    fn outcome(&mut self, id: RecordId, outcome: Result<klamm_client::Receipt, SendError>) {
        match self.judge.outcome(id, outcome) {
            Ok(()) => _ = self.acknowledged.fetch_add(1, Ordering::Relaxed),
            Err(error) => self.refused += u64::from(error.effect() == Effect::None),
        }
    }
}
