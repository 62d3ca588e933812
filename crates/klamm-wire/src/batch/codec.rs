//! The four compression codecs as Kafka's clients write them, with a limit on what comes out.

use std::io::{Read, Write};

use super::{BatchError, BatchErrorKind};

/// How the records of a batch are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// Snappy in the framing of snappy-java ("xerial"), as Java writes it; raw Snappy is read too, as librdkafka writes it.
    Snappy,
    /// An LZ4 frame.
    Lz4,
    /// Zstandard (KIP-110).
    Zstd,
}

impl Compression {
    /// Every codec, in the order of their ids.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The id in a batch's attributes.
    pub fn id(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// The codec with this id.
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.get(usize::from(id)).copied()
    }

    /// The name in `compression.type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The codec with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name() == name)
    }
}

impl std::fmt::Display for Compression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What snappy-java's stream starts with; two big-endian i32 versions follow, then length-prefixed blocks.
const XERIAL_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const XERIAL_HEADER_BYTES: usize = 16;
/// snappy-java's default block size.
const XERIAL_BLOCK_BYTES: usize = 32 * 1024;

/// Decompresses `input` into `output`, which is cleared first.
pub(super) fn decompress(
    codec: Compression,
    input: &[u8],
    output: &mut Vec<u8>,
    limit_bytes: usize,
) -> Result<(), BatchError> {
    output.clear();
    let refused = |error: &dyn std::fmt::Display| -> BatchError {
        BatchErrorKind::Decompress { codec, message: error.to_string() }.into()
    };
    match codec {
        Compression::None => {
            check_limit(input.len(), limit_bytes)?;
            output.extend_from_slice(input);
            Ok(())
        }
        Compression::Gzip => {
            read_limited(flate2::read::MultiGzDecoder::new(input), codec, output, limit_bytes)
        }
        Compression::Lz4 => {
            read_limited(lz4_flex::frame::FrameDecoder::new(input), codec, output, limit_bytes)
        }
        Compression::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(input).map_err(|e| refused(&e))?;
            read_limited(decoder, codec, output, limit_bytes)
        }
        Compression::Snappy => match input.strip_prefix(XERIAL_MAGIC.as_slice()) {
            Some(_) => {
                let blocks = input
                    .get(XERIAL_HEADER_BYTES..)
                    .ok_or_else(|| refused(&"the stream header is cut off"))?;
                decompress_xerial(blocks, output, limit_bytes)
            }
            None => decompress_snappy(input, output, limit_bytes),
        },
    }
}

/// Compresses `input` onto the end of `output`.
pub(super) fn compress(codec: Compression, input: &[u8], output: &mut Vec<u8>) -> Result<(), BatchError> {
    let result: std::io::Result<()> = match codec {
        Compression::None => {
            output.extend_from_slice(input);
            Ok(())
        }
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(&mut *output, flate2::Compression::default());
            encoder.write_all(input).and_then(|()| encoder.finish().map(drop))
        }
        Compression::Lz4 => {
            // Java's reader knows only independent blocks; 64 KiB is what it writes.
            let info = lz4_flex::frame::FrameInfo::new()
                .block_size(lz4_flex::frame::BlockSize::Max64KB)
                .block_mode(lz4_flex::frame::BlockMode::Independent);
            let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, &mut *output);
            encoder.write_all(input).and_then(|()| encoder.finish().map(drop).map_err(std::io::Error::other))
        }
        Compression::Zstd => zstd::stream::copy_encode(input, &mut *output, 0),
        Compression::Snappy => compress_xerial(input, output),
    };
    result.map_err(|error| BatchErrorKind::Compress { codec, message: error.to_string() }.into())
}

fn read_limited(
    decoder: impl Read,
    codec: Compression,
    output: &mut Vec<u8>,
    limit_bytes: usize,
) -> Result<(), BatchError> {
    // One byte more than allowed tells "exactly the limit" from "beyond it".
    let most = u64::try_from(limit_bytes).unwrap_or(u64::MAX).saturating_add(1);
    decoder
        .take(most)
        .read_to_end(output)
        .map_err(|error| BatchErrorKind::Decompress { codec, message: error.to_string() })?;
    check_limit(output.len(), limit_bytes)
}

fn decompress_xerial(mut blocks: &[u8], output: &mut Vec<u8>, limit_bytes: usize) -> Result<(), BatchError> {
    let refused = |message: &str| -> BatchError {
        BatchErrorKind::Decompress { codec: Compression::Snappy, message: message.to_owned() }.into()
    };
    while let Some((prefix, rest)) = blocks.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*prefix) as usize;
        if length > rest.len() {
            return Err(refused("a block is longer than the stream"));
        }
        let (block, rest) = rest.split_at(length);
        decompress_snappy(block, output, limit_bytes)?;
        blocks = rest;
    }
    if blocks.is_empty() { Ok(()) } else { Err(refused("the last block is cut off")) }
}

/// Appends the raw Snappy `block` to `output`; the block's own header says how much that is.
fn decompress_snappy(block: &[u8], output: &mut Vec<u8>, limit_bytes: usize) -> Result<(), BatchError> {
    let refused = |error: snap::Error| -> BatchError {
        BatchErrorKind::Decompress { codec: Compression::Snappy, message: error.to_string() }.into()
    };
    let length = snap::raw::decompress_len(block).map_err(refused)?;
    let start = output.len();
    check_limit(start.saturating_add(length), limit_bytes)?;
    output.resize(start + length, 0);
    snap::raw::Decoder::new().decompress(block, &mut output[start..]).map_err(refused)?;
    Ok(())
}

fn compress_xerial(input: &[u8], output: &mut Vec<u8>) -> std::io::Result<()> {
    output.extend_from_slice(&XERIAL_MAGIC);
    output.extend_from_slice(&1_i32.to_be_bytes()); // version
    output.extend_from_slice(&1_i32.to_be_bytes()); // oldest version that can read it
    let mut encoder = snap::raw::Encoder::new();
    for chunk in input.chunks(XERIAL_BLOCK_BYTES) {
        let prefix = output.len();
        output.resize(prefix + 4 + snap::raw::max_compress_len(chunk.len()), 0);
        let length = encoder
            .compress(chunk, &mut output[prefix + 4..])
            .map_err(|e| std::io::Error::other(e.to_string()))?;
        // A 32 KiB block compresses to well under 4 GiB.
        output[prefix..prefix + 4].copy_from_slice(&(length as u32).to_be_bytes());
        output.truncate(prefix + 4 + length);
    }
    Ok(())
}

fn check_limit(size: usize, limit_bytes: usize) -> Result<(), BatchError> {
    if size > limit_bytes { Err(BatchErrorKind::TooLarge { limit_bytes }.into()) } else { Ok(()) }
}
