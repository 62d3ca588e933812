//! Length-prefixed frames with a maximum: what travels on a connection in both directions.

use std::io::{self, IoSlice};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The most that is set aside for a frame before its bytes arrive: a peer that only claims a length pays for it first.
const FIRST_RESERVE_BYTES: usize = 64 * 1024;

/// Why a frame could not be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum FrameError {
    /// The stream failed.
    Io(io::Error),
    /// The stream ended within a frame.
    CutOff {
        /// Bytes that arrived of it.
        got: usize,
        /// Bytes that it should have.
        size: usize,
    },
    /// The length is negative or beyond the limit. The stream cannot be used any more.
    Size {
        /// The length as read.
        size: i32,
        /// The limit.
        limit: usize,
    },
}

impl std::fmt::Display for FrameError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => write!(f, "reading a frame failed: {error}"),
            Self::CutOff { got, size } => write!(f, "frame is cut off: {got} of {size} bytes"),
            Self::Size { size, limit } => write!(f, "frame of {size} bytes is beyond the limit of {limit}"),
        }
    }
}

impl std::error::Error for FrameError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for FrameError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads one frame without its length; `None` if the stream ends before it.
///
/// Cancelling loses the bytes that were read: the stream cannot be used afterwards.
///
/// # Errors
/// `Size` for a negative length or one beyond `limit` bytes, `CutOff` if the stream ends within the frame.
pub async fn read_frame<R>(reader: &mut R, limit: usize) -> Result<Option<Bytes>, FrameError>
where
    R: AsyncRead + Unpin,
{
    let Some(size) = read_size(reader, limit).await? else { return Ok(None) };
    let mut frame = BytesMut::with_capacity(size.min(FIRST_RESERVE_BYTES));
    let mut rest = reader.take(size as u64);
    while frame.len() < size {
        if frame.len() == frame.capacity() {
            // Doubling keeps what is set aside within twice of what the peer has sent.
            frame.reserve((size - frame.len()).min(frame.len().max(FIRST_RESERVE_BYTES)));
        }
        if rest.read_buf(&mut frame).await? == 0 {
            return Err(FrameError::CutOff { got: frame.len(), size });
        }
    }
    Ok(Some(frame.freeze()))
}

async fn read_size<R>(reader: &mut R, limit: usize) -> Result<Option<usize>, FrameError>
where
    R: AsyncRead + Unpin,
{
    let mut prefix = [0_u8; 4];
    let mut got = 0;
    while got < prefix.len() {
        match reader.read(&mut prefix[got..]).await? {
            0 if got == 0 => return Ok(None),
            0 => return Err(FrameError::CutOff { got, size: prefix.len() }),
            read => got += read,
        }
    }
    let size = i32::from_be_bytes(prefix);
    match usize::try_from(size) {
        Ok(length) if length <= limit => Ok(Some(length)),
        _ => Err(FrameError::Size { size, limit }),
    }
}

/// Writes `payload` as one frame. Does not flush.
///
/// # Errors
/// When the stream fails, or `InvalidInput` if the payload exceeds what the length can say.
pub async fn write_frame<W>(writer: &mut W, payload: &[u8]) -> io::Result<()>
where
    W: AsyncWrite + Unpin,
{
    let size = i32::try_from(payload.len())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "frame exceeds 2 GiB"))?;
    // Length and payload in one call: two would be two packets on a connection without delay.
    let prefix = size.to_be_bytes();
    let mut frame = Buf::chain(prefix.as_slice(), payload);
    while frame.has_remaining() {
        let mut slices = [IoSlice::new(&[]); 2];
        let count = frame.chunks_vectored(&mut slices);
        match writer.write_vectored(&slices[..count]).await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => frame.advance(written),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(mut bytes: &[u8], limit: usize) -> Result<Option<Bytes>, FrameError> {
        read_frame(&mut bytes, limit).await
    }

    #[tokio::test]
    async fn frames_come_back_as_written() {
        let big = vec![7_u8; 300_000];
        let mut stream = Vec::new();
        for payload in [b"".as_slice(), b"abc", &big] {
            write_frame(&mut stream, payload).await.unwrap();
        }
        let mut rest = stream.as_slice();
        for payload in [b"".as_slice(), b"abc", &big] {
            assert_eq!(read_frame(&mut rest, big.len()).await.unwrap().unwrap(), payload);
        }
        assert!(read_frame(&mut rest, 10).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn lengths_beyond_the_limit_are_refused_before_anything_is_read() {
        for size in [11, -1, i32::MIN, i32::MAX] {
            let error = read(&size.to_be_bytes(), 10).await.unwrap_err();
            assert!(matches!(error, FrameError::Size { size: found, limit: 10 } if found == size));
        }
    }

    #[tokio::test]
    async fn an_end_within_a_frame_is_an_error() {
        assert!(matches!(read(&[0, 0], 10).await, Err(FrameError::CutOff { got: 2, size: 4 })));
        assert!(matches!(read(&[0, 0, 0, 5, 1, 2], 10).await, Err(FrameError::CutOff { got: 2, size: 5 })));
    }
}
