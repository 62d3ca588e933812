//! How a frame leaves through a connection: stored batches from the page cache into the socket where the system can, through one
//! small buffer where TLS has to encrypt them.

use std::io;

use klamm_wire::ServerStream;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::api::{Frame, Piece};
use crate::log::Slice;

/// What is read of the log at a time where it has to pass through memory.
const COPY_BYTES: usize = 64 * 1024;

/// The stream of a connection.
pub(crate) trait Outlet: AsyncRead + AsyncWrite + Unpin + Send {
    /// Sends a stretch of the log. Cancelling leaves the frame cut off: the stream cannot be used afterwards.
    fn send_stored(&mut self, slice: &Slice) -> impl Future<Output = io::Result<()>> + Send;
}

impl Outlet for TcpStream {
    #[cfg(target_os = "linux")]
    async fn send_stored(&mut self, slice: &Slice) -> io::Result<()> {
        use tokio::io::Interest;

        let mut sent = 0;
        while sent < slice.len() {
            self.writable().await?;
            match self.try_io(Interest::WRITABLE, || slice.send_to(&*self, sent)) {
                Ok(0) => return Err(cut_off(slice, sent)),
                Ok(bytes) => sent += bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    async fn send_stored(&mut self, slice: &Slice) -> io::Result<()> {
        copy(self, slice).await
    }
}

impl Outlet for ServerStream {
    async fn send_stored(&mut self, slice: &Slice) -> io::Result<()> {
        copy(self, slice).await
    }
}

/// Writes a whole frame and flushes it.
pub(crate) async fn write_frame<S: Outlet>(stream: &mut S, mut frame: Frame) -> io::Result<()> {
    for piece in frame.pieces()? {
        match piece {
            Piece::Bytes(bytes) => stream.write_all(bytes).await?,
            Piece::Stored(slice) => stream.send_stored(slice).await?,
        }
    }
    stream.flush().await
}

async fn copy<S: AsyncWrite + Unpin>(stream: &mut S, slice: &Slice) -> io::Result<()> {
    let mut buffer = vec![0; COPY_BYTES.min(slice.len())];
    let mut sent = 0;
    while sent < slice.len() {
        let part = &mut buffer[..COPY_BYTES.min(slice.len() - sent)];
        slice.read_at(part, sent)?;
        stream.write_all(part).await?;
        sent += part.len();
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn cut_off(slice: &Slice, sent: usize) -> io::Error {
    let what = format!("the log ends after {sent} of {} bytes to send", slice.len());
    io::Error::new(io::ErrorKind::UnexpectedEof, what)
}
