//! Answers on their way out: encoded bytes, and between them stretches of the log that go from the file to the socket without
//! passing through the heap.

use std::io;
use std::ops::Range;

use bytes::{BufMut, BytesMut};
use klamm_wire::protocol::protocol::Encodable;

use crate::log::Slice;

/// Bytes of the length that a frame begins with.
pub(crate) const LENGTH_BYTES: usize = 4;

/// One frame with its length, as it is sent.
#[derive(Debug)]
pub(crate) struct Frame {
    bytes: BytesMut,
    /// Stretches of the log, each with the position in `bytes` that it comes before.
    stored: Vec<(usize, Slice)>,
    stored_bytes: usize,
}

/// A part of a frame.
#[derive(Debug)]
pub(crate) enum Piece<'a> {
    Bytes(&'a [u8]),
    Stored(&'a Slice),
}

impl Frame {
    pub fn new() -> Self {
        let mut bytes = BytesMut::new();
        bytes.put_bytes(0, LENGTH_BYTES);
        Self { bytes, stored: Vec::new(), stored_bytes: 0 }
    }

    /// A frame of bytes alone.
    pub fn of(payload: &[u8]) -> Self {
        let mut frame = Self::new();
        frame.bytes.extend_from_slice(payload);
        frame
    }

    /// Where the payload is encoded.
    pub fn bytes(&mut self) -> &mut BytesMut {
        &mut self.bytes
    }

    /// Puts a stretch of the log after what is encoded so far.
    pub fn push_stored(&mut self, slice: Slice) {
        self.stored_bytes += slice.len();
        self.stored.push((self.bytes.len(), slice));
    }

    /// The parts in the order in which they are sent.
    ///
    /// # Errors
    /// `InvalidInput` if the payload exceeds what the length can say.
    pub fn pieces(&mut self) -> io::Result<impl Iterator<Item = Piece<'_>>> {
        let payload = self.bytes.len() - LENGTH_BYTES + self.stored_bytes;
        let length = i32::try_from(payload)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "frame exceeds 2 GiB"))?;
        self.bytes[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
        let bytes = &self.bytes;
        let starts = std::iter::once(0).chain(self.stored.iter().map(|(at, _)| *at));
        let ends = self.stored.iter().map(|(at, _)| *at).chain([bytes.len()]);
        let stretches = self.stored.iter().map(|(_, slice)| Some(slice)).chain([None]);
        let parts = starts.zip(ends).zip(stretches).flat_map(|((start, end), slice)| {
            let encoded = Some(Range { start, end }).filter(|range| !range.is_empty());
            let encoded = encoded.map(|range| Piece::Bytes(&bytes[range]));
            encoded.into_iter().chain(slice.map(Piece::Stored))
        });
        Ok(parts)
    }

    /// The whole frame in memory.
    ///
    /// # Errors
    /// The log cannot be read, or the frame is too large.
    pub fn into_bytes(mut self) -> io::Result<Vec<u8>> {
        let mut all = Vec::with_capacity(self.bytes.len() + self.stored_bytes);
        for piece in self.pieces()? {
            match piece {
                Piece::Bytes(bytes) => all.extend_from_slice(bytes),
                Piece::Stored(slice) => all.extend_from_slice(&slice.read()?),
            }
        }
        Ok(all)
    }
}

/// What a handler gives back: how large it is as an answer, and its encoding.
pub(crate) trait Reply: Default + Send {
    /// Bytes of the encoding; `None` where this version has no place for what is said.
    fn bytes(&self, version: i16) -> Option<usize>;

    /// Adds the encoding to a frame.
    fn put(self, frame: &mut Frame, version: i16) -> anyhow::Result<()>;
}

impl<R: Encodable + Default + Send> Reply for R {
    fn bytes(&self, version: i16) -> Option<usize> {
        self.compute_size(version).ok()
    }

    fn put(self, frame: &mut Frame, version: i16) -> anyhow::Result<()> {
        self.encode(frame.bytes(), version)
    }
}
