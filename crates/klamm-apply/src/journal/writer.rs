//! Writing under one epoch.

use klamm_admin::{Admin, AdminError, ProducerStamp};

use super::{JournalError, Key, Lock, TOPIC, history, is_fenced, now_ms, record};

/// Bytes of keys and values in one batch: well below a broker's default `message.max.bytes` of 1 MB.
const BATCH_BYTES: usize = 500_000;

pub(super) struct Writer {
    admin: Admin,
    /// The stamp of the next batch.
    stamp: ProducerStamp,
    lock: Lock,
    /// The fate of a batch is not known: whatever is written next would be out of sequence.
    broken: Option<AdminError>,
}

impl Writer {
    pub fn new(admin: Admin, stamp: ProducerStamp, lock: Lock) -> Writer {
        Writer { admin, stamp, lock, broken: None }
    }

    /// Appends the records in order, in as few batches as fit.
    pub async fn append(&mut self, records: &[(Key, Option<Vec<u8>>)]) -> Result<(), JournalError> {
        let mut rest = records;
        while !rest.is_empty() {
            if let Some(error) = &self.broken {
                return Err(JournalError::Admin(error.clone()));
            }
            let (now, later) = rest.split_at(fitting(rest));
            self.batch(now).await?;
            rest = later;
        }
        Ok(())
    }

    /// Shows that the holder lives.
    pub async fn beat(&mut self) -> Result<(), JournalError> {
        self.lock.beat += 1;
        let beat = record(Key::Lock, &self.lock);
        self.append(&[beat]).await
    }

    async fn batch(&mut self, records: &[(Key, Option<Vec<u8>>)]) -> Result<(), JournalError> {
        let keys: Vec<String> = records.iter().map(|(key, _)| key.text()).collect();
        let pairs: Vec<(&[u8], Option<&[u8]>)> =
            keys.iter().zip(records).map(|(key, (_, value))| (key.as_bytes(), value.as_deref())).collect();
        let now = i64::try_from(now_ms()).unwrap_or(i64::MAX);
        let count = i32::try_from(records.len()).unwrap_or(i32::MAX);
        match self.admin.append_under(self.stamp, TOPIC, 0, &pairs, now).await {
            Ok(_) => {
                self.stamp.base_sequence = self.stamp.base_sequence.wrapping_add(count) & i32::MAX;
                Ok(())
            }
            Err(error) => Err(self.failed(error).await),
        }
    }

    async fn failed(&mut self, error: AdminError) -> JournalError {
        self.broken = Some(error.clone());
        if !is_fenced(&error) {
            return JournalError::Admin(error);
        }
        let lock = history(&self.admin).await.ok().flatten().and_then(|history| history.lock);
        JournalError::Fenced(lock.map(Box::new))
    }
}

/// How many of `records` go into one batch: at least one.
fn fitting(records: &[(Key, Option<Vec<u8>>)]) -> usize {
    let mut bytes = 0;
    let size = |value: &Option<Vec<u8>>| value.as_ref().map_or(0, Vec::len);
    let fits = records.iter().take_while(|(key, value)| {
        bytes += key.text().len() + size(value);
        bytes <= BATCH_BYTES
    });
    fits.count().max(1)
}
