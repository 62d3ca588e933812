//! What is checked of a batch before it is appended, in the order and with the errors of Kafka's `UnifiedLog` and
//! `LogValidator`.

use std::io;

use klamm_kafka::ErrorCode;
use klamm_wire::batch::{BatchError, BatchErrorKind, BatchView, TimestampType};

use crate::settings::LogSettings;

/// The most that one batch may decompress to. Kafka has no such bound; a bomb would take its memory.
const MAX_DECOMPRESSED_BYTES: usize = 256 * 1024 * 1024;

/// Record errors that are named in an answer; the rest would only make it longer.
const MAX_RECORD_ERRORS: usize = 16;

/// Why a batch was not appended.
#[derive(Debug)]
pub(crate) struct AppendError {
    pub code: ErrorCode,
    pub message: String,
    /// Index in the batch, and what is wrong with that record.
    pub records: Vec<(i32, String)>,
}

impl AppendError {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), records: Vec::new() }
    }

    fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::INVALID_RECORD, message)
    }
}

impl From<io::Error> for AppendError {
    fn from(error: io::Error) -> Self {
        Self::new(ErrorCode::KAFKA_STORAGE_ERROR, error.to_string())
    }
}

impl From<BatchError> for AppendError {
    fn from(error: BatchError) -> Self {
        let code = match error.kind() {
            BatchErrorKind::Crc { .. } | BatchErrorKind::Truncated { .. } | BatchErrorKind::Length { .. } => {
                ErrorCode::CORRUPT_MESSAGE
            }
            BatchErrorKind::Codec { .. } => ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
            _ => ErrorCode::INVALID_RECORD,
        };
        Self::new(code, error.to_string())
    }
}

/// Reads `records` as the one sound batch that a producer may send.
pub(super) fn check_batch<'a>(
    records: &'a [u8],
    settings: &LogSettings,
    now_ms: i64,
) -> Result<BatchView<'a>, AppendError> {
    let batch = BatchView::parse_single(records)?;
    check_header(&batch, settings)?;
    batch.verify_crc()?;
    check_records(&batch, settings, now_ms)?;
    Ok(batch)
}

fn check_header(batch: &BatchView<'_>, settings: &LogSettings) -> Result<(), AppendError> {
    if batch.base_offset() != 0 {
        let message = format!("the base offset of a produced batch must be 0, it is {}", batch.base_offset());
        return Err(AppendError::invalid(message));
    }
    let size = batch.size_bytes() as u64;
    if size > settings.max_message_bytes {
        let limit = settings.max_message_bytes;
        let message = format!("the batch has {size} bytes, max.message.bytes is {limit}");
        return Err(AppendError::new(ErrorCode::MESSAGE_TOO_LARGE, message));
    }
    if size > settings.segment_bytes {
        let message = format!("the batch has {size} bytes, segment.bytes is {}", settings.segment_bytes);
        return Err(AppendError::new(ErrorCode::RECORD_LIST_TOO_LARGE, message));
    }
    if batch.record_count() <= 0
        || i64::from(batch.last_offset_delta()) + 1 != i64::from(batch.record_count())
    {
        return Err(AppendError::invalid("the record count does not fit the offsets of the batch"));
    }
    if batch.is_control() {
        return Err(AppendError::invalid("clients may not write control batches"));
    }
    if batch.producer().is_some_and(|stamp| stamp.base_sequence < 0 || stamp.epoch < 0) {
        return Err(AppendError::invalid("an idempotent batch needs an epoch and a sequence"));
    }
    if batch.is_transactional() && batch.producer().is_none() {
        return Err(AppendError::invalid("a transactional batch needs a producer id"));
    }
    Ok(())
}

fn check_records(batch: &BatchView<'_>, settings: &LogSettings, now_ms: i64) -> Result<(), AppendError> {
    let mut scratch = Vec::new();
    let mut error: Option<AppendError> = None;
    for (index, record) in batch.records(&mut scratch, MAX_DECOMPRESSED_BYTES)?.enumerate() {
        let record = record?;
        let index = i32::try_from(index).unwrap_or(i32::MAX);
        let refused = if record.offset != i64::from(index) {
            Some((ErrorCode::INVALID_RECORD, "its offset does not follow the one before".to_owned()))
        } else if settings.compact && record.key.is_none() {
            Some((
                ErrorCode::INVALID_RECORD,
                "a compacted topic cannot accept a record without a key".to_owned(),
            ))
        } else {
            check_timestamp(record.timestamp_ms, settings, now_ms)
                .err()
                .map(|message| (ErrorCode::INVALID_TIMESTAMP, message))
        };
        if let Some((code, message)) = refused {
            let error =
                error.get_or_insert_with(|| AppendError::new(code, "one or more records were refused"));
            if error.records.len() < MAX_RECORD_ERRORS {
                error.records.push((index, message));
            }
        }
    }
    error.map_or(Ok(()), Err)
}

fn check_timestamp(timestamp_ms: i64, settings: &LogSettings, now_ms: i64) -> Result<(), String> {
    if settings.timestamp_type == TimestampType::LogAppendTime || timestamp_ms < 0 {
        return Ok(());
    }
    let late = now_ms.saturating_sub(timestamp_ms);
    if late > settings.timestamp_before_max_ms {
        let limit = settings.timestamp_before_max_ms;
        return Err(format!(
            "its timestamp {timestamp_ms} is {late} ms old, message.timestamp.before.max.ms is {limit}"
        ));
    }
    let early = timestamp_ms.saturating_sub(now_ms);
    if early > settings.timestamp_after_max_ms {
        let limit = settings.timestamp_after_max_ms;
        return Err(format!(
            "its timestamp {timestamp_ms} is {early} ms ahead, message.timestamp.after.max.ms is {limit}"
        ));
    }
    Ok(())
}
