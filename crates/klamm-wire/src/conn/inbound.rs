//! The answers' side of the stream: bytes in, frames out, and a name for what is not Kafka.

use bytes::{Buf, Bytes, BytesMut};

use crate::error::{Api, WireErrorKind};
use crate::protocol::messages::ApiKey;

/// Memory is taken at most this far ahead of the bytes that have arrived, whatever size the peer announces.
const STEP: usize = 1 << 20;
/// Least room that a read finds.
const LEAST: usize = 8 << 10;
/// Bytes of an unfamiliar answer that are shown.
const SHOWN: usize = 48;

/// Collects bytes until a frame is whole.
pub(super) struct Inbound {
    buffer: BytesMut,
    limit: usize,
    greeted: bool,
}

impl Inbound {
    pub(super) fn new(limit: usize) -> Self {
        Inbound { buffer: BytesMut::new(), limit, greeted: false }
    }

    /// Where the next read goes.
    pub(super) fn room(&mut self) -> &mut BytesMut {
        if self.buffer.capacity() - self.buffer.len() < LEAST {
            let missing = self.announced().map_or(0, |size| (4 + size).saturating_sub(self.buffer.len()));
            self.buffer.reserve(missing.clamp(LEAST, STEP));
        }
        &mut self.buffer
    }

    /// The next whole frame, without its length.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, WireErrorKind> {
        if !self.greeted
            && let Some(stranger) = stranger(&self.buffer)
        {
            return Err(stranger);
        }
        let Some(size) = self.announced() else {
            return Ok(None);
        };
        // Every answer starts with its correlation id.
        if !(4..=self.limit).contains(&size) {
            return Err(self.refuse(size));
        }
        if self.buffer.len() < 4 + size {
            return Ok(None);
        }
        self.buffer.advance(4);
        Ok(Some(self.buffer.split_to(size).freeze()))
    }

    /// The peer has proved that it speaks Kafka's protocol.
    pub(super) fn greeted(&mut self) {
        self.greeted = true;
    }

    /// Whether the peer ever spoke Kafka's protocol.
    pub(super) fn has_greeted(&self) -> bool {
        self.greeted
    }

    /// Nothing of a further frame has arrived.
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    fn announced(&self) -> Option<usize> {
        let size = u32::from_be_bytes(self.buffer.get(..4)?.try_into().ok()?);
        Some(usize::try_from(size).unwrap_or(usize::MAX))
    }

    fn refuse(&self, size: usize) -> WireErrorKind {
        if !self.greeted {
            return WireErrorKind::NotKafka { answer: format!("it answered {}", shown(&self.buffer)) };
        }
        if size < 4 {
            let message = format!("a frame of {size} bytes cannot hold a correlation id");
            return WireErrorKind::Codec { api: Api(ApiKey::ApiVersions as i16), message };
        }
        WireErrorKind::FrameTooLarge { size: size as u64, limit: self.limit as u64 }
    }
}

/// Recognises protocols by their first bytes, which would be absurd as a frame's size.
fn stranger(start: &[u8]) -> Option<WireErrorKind> {
    // A TLS record: alert (0x15) or handshake (0x16), major version 3.
    if let [0x15 | 0x16, 0x03, _, _, ..] = start {
        return Some(WireErrorKind::TlsExpected);
    }
    let known = [(&b"HTTP"[..], "an HTTP server"), (b"SSH-", "an SSH server"), (b"-ERR", "a Redis server")];
    known.iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, name)| {
        let answer = format!("{name} answered {}", shown(start));
        WireErrorKind::NotKafka { answer }
    })
}

/// The first line of what arrived, unprintable bytes escaped.
fn shown(bytes: &[u8]) -> String {
    let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    format!("\"{}\"", line.get(..SHOWN).unwrap_or(line).escape_ascii())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(frames: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for frame in frames {
            bytes.extend_from_slice(&u32::try_from(frame.len()).expect("small").to_be_bytes());
            bytes.extend_from_slice(frame);
        }
        bytes
    }

    proptest! {
        #[test]
        fn frames_come_out_whole_however_the_stream_is_cut(
            frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 4..200), 0..12),
            cut in 1_usize..64,
        ) {
            let mut inbound = Inbound::new(200);
            let mut out = Vec::new();
            for piece in framed(&frames).chunks(cut) {
                inbound.room().extend_from_slice(piece);
                while let Some(frame) = inbound.next().expect("frames within the limit") {
                    inbound.greeted();
                    out.push(frame.to_vec());
                }
            }
            prop_assert_eq!(out, frames);
            prop_assert!(inbound.is_empty());
        }

        #[test]
        fn any_bytes_are_frames_or_an_error_and_take_no_memory_ahead(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut inbound = Inbound::new(1 << 30);
            inbound.room().extend_from_slice(&bytes);
            while let Ok(Some(_)) = inbound.next() {}
            prop_assert!(inbound.room().capacity() <= 2 * STEP + LEAST);
        }
    }

    #[test]
    fn strangers_are_named() {
        let first = |bytes: &[u8]| {
            let mut inbound = Inbound::new(100 << 20);
            inbound.room().extend_from_slice(bytes);
            inbound.next()
        };
        let answer = |bytes: &[u8]| match first(bytes) {
            Err(WireErrorKind::NotKafka { answer }) => answer,
            other => panic!("{other:?}"),
        };
        assert_eq!(answer(b"HTTP/1.1 400 Bad\r\n\r\n"), "an HTTP server answered \"HTTP/1.1 400 Bad\"");
        assert_eq!(answer(b"220 mail ready\r\n"), "it answered \"220 mail ready\"");
        assert!(matches!(first(&[0x15, 3, 3, 0, 2, 2, 70]), Err(WireErrorKind::TlsExpected)));
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_before_it_is_read() {
        let mut inbound = Inbound::new(100);
        inbound.greeted();
        inbound.room().extend_from_slice(&101_u32.to_be_bytes());
        let refused = inbound.next();
        assert!(
            matches!(refused, Err(WireErrorKind::FrameTooLarge { size: 101, limit: 100 })),
            "{refused:?}"
        );
    }
}
