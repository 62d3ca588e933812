//! Records where they arrived: in the bytes of the answer, or in what one batch decompressed to.

use bytes::Bytes;
use klamm_wire::batch::RecordBase;

use crate::RecordView;

/// Records of one partition, out of one answer. Each is read where it lies; an index says where it begins.
#[derive(Debug, Default)]
pub(crate) struct Fetched {
    bodies: Vec<Body>,
    entries: Vec<Entry>,
    size_bytes: usize,
}

/// The records of one batch, not compressed any more.
#[derive(Debug)]
struct Body {
    bytes: Bytes,
    base: RecordBase,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    body: u32,
    start: u32,
}

impl Fetched {
    /// Adds the records of a batch, of which none is in the index yet.
    pub(crate) fn push_body(&mut self, bytes: Bytes, base: RecordBase) {
        self.size_bytes += bytes.len();
        self.bodies.push(Body { bytes, base });
    }

    /// Enters the record that begins at `start` of the batch that was added last.
    pub(crate) fn push_record(&mut self, start: usize) {
        let body = u32::try_from(self.bodies.len().saturating_sub(1)).unwrap_or(u32::MAX);
        // A batch's length is an i32, and so is what it may decompress to.
        self.entries.push(Entry { body, start: u32::try_from(start).unwrap_or(u32::MAX) });
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Memory that the records take, the index included.
    pub(crate) fn size_bytes(&self) -> usize {
        self.size_bytes + self.entries.len() * size_of::<Entry>()
    }

    pub(crate) fn get(&self, index: usize) -> Option<RecordView<'_>> {
        let entry = self.entries.get(index)?;
        let body = self.bodies.get(entry.body as usize)?;
        let bytes = body.bytes.get(entry.start as usize..)?;
        body.base.record(bytes).map(RecordView::from)
    }
}
