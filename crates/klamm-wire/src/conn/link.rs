//! The callers' side of a connection: encode, wait for a place, hand over, decode.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::ConnectOptions;
use super::dial::Transport;
use super::driver::{Driver, Outgoing};
use crate::error::{Api, WireError, WireErrorKind};
use crate::protocol::messages::{RequestHeader, ResponseHeader};
use crate::protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

/// The way to the task that owns the socket. Dropping it ends the task.
pub(super) struct Link {
    address: Arc<str>,
    client_id: StrBytes,
    requests: mpsc::Sender<Outgoing>,
    places: Arc<Semaphore>,
    end: Arc<OnceLock<WireError>>,
    task: AbortHandle,
}

impl Link {
    pub(super) fn spawn(address: &str, transport: Transport, options: &ConnectOptions) -> Self {
        let address: Arc<str> = Arc::from(address);
        let in_flight = options.max_in_flight.max(1);
        // A place is held until the answer is there, so the channel never has more than `in_flight` waiting.
        let (requests, inbox) = mpsc::channel(in_flight);
        let end = Arc::new(OnceLock::new());
        let driver = Driver::new(Arc::clone(&address), transport, inbox, Arc::clone(&end), options);
        let task = tokio::spawn(driver.run()).abort_handle();
        let client_id = StrBytes::from_string(options.client_id.clone());
        Link { address, client_id, requests, places: Arc::new(Semaphore::new(in_flight)), end, task }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn is_closed(&self) -> bool {
        self.requests.is_closed()
    }

    /// One request in `version`, and its answer.
    pub(super) async fn call<R: Request>(
        &self,
        request: &R,
        version: i16,
        timeout: Duration,
    ) -> Result<R::Response, WireError> {
        self.begin(request, version, timeout).await?.await
    }

    /// Hands one request in `version` over. What it gives resolves to the answer and keeps no handle on the connection.
    pub(super) async fn begin<R: Request>(
        &self,
        request: &R,
        version: i16,
        timeout: Duration,
    ) -> Result<impl Future<Output = Result<R::Response, WireError>> + Send + use<R>, WireError> {
        let answer = self.submit(request, version, timeout).await?;
        let (address, end) = (Arc::clone(&self.address), Arc::clone(&self.end));
        Ok(async move {
            let frame = receive(answer, &address, &end).await?;
            let header = R::Response::header_version(version);
            decode(frame, header, version).map_err(|message| {
                let api = Api(R::KEY);
                let kind = WireErrorKind::Codec { api, message: format!("version {version}: {message}") };
                WireError::new(&*address, kind).after_sending()
            })
        })
    }

    /// One request in `version`, and its answer undecoded, starting with the response header.
    pub(super) async fn exchange<R: Request>(
        &self,
        request: &R,
        version: i16,
        timeout: Duration,
    ) -> Result<Bytes, WireError> {
        let answer = self.submit(request, version, timeout).await?;
        receive(answer, &self.address, &self.end).await
    }

    /// Waits for a place and hands the request to the task.
    async fn submit<R: Request>(
        &self,
        request: &R,
        version: i16,
        timeout: Duration,
    ) -> Result<oneshot::Receiver<Result<Bytes, WireError>>, WireError> {
        let api = Api(R::KEY);
        let frame = encode(request, version, &self.client_id)
            .map_err(|message| self.failed(WireErrorKind::Codec { api, message }))?;
        let deadline = Instant::now() + timeout;
        let place = timeout_at(deadline, Arc::clone(&self.places).acquire_owned()).await;
        let place = match place {
            Ok(Ok(place)) => place,
            Ok(Err(_)) => return Err(self.ended()),
            Err(_) => return Err(self.failed(WireErrorKind::Timeout { api, after: timeout })),
        };
        let (reply, answer) = oneshot::channel();
        let outgoing = Outgoing { api, frame, deadline, timeout, reply, place };
        self.requests.send(outgoing).await.map_err(|_| self.ended())?;
        Ok(answer)
    }

    fn ended(&self) -> WireError {
        ended(&self.address, &self.end)
    }

    pub(super) fn failed(&self, kind: WireErrorKind) -> WireError {
        WireError::new(self.address(), kind)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Nobody is left who could wait for an answer.
        self.task.abort();
    }
}

/// The task answers each request that it took; only its abortion drops one.
async fn receive(
    answer: oneshot::Receiver<Result<Bytes, WireError>>,
    address: &Arc<str>,
    end: &OnceLock<WireError>,
) -> Result<Bytes, WireError> {
    answer.await.unwrap_or_else(|_| Err(ended(address, end).after_sending()))
}

/// Why the connection has ended.
fn ended(address: &Arc<str>, end: &OnceLock<WireError>) -> WireError {
    let reason = || WireErrorKind::Closed { reason: "it was ended on this side".to_owned() };
    end.get().cloned().unwrap_or_else(|| WireError::new(&**address, reason()))
}

/// Where the correlation id is in a frame: after size, API key and version. The task fills it in.
pub(super) const CORRELATION_AT: usize = 8;

/// A frame with its size, the correlation id still zero.
fn encode<R: Request>(request: &R, version: i16, client_id: &StrBytes) -> Result<BytesMut, String> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_client_id(Some(client_id.clone()));
    let header_version = R::header_version(version);
    // Records may be most of it: growing would copy them again and again.
    let size = request.compute_size(version).unwrap_or(0) + header.compute_size(header_version).unwrap_or(0);
    let mut frame = BytesMut::with_capacity(4 + size);
    frame.put_u32(0);
    header.encode(&mut frame, header_version).map_err(|error| error.to_string())?;
    request.encode(&mut frame, version).map_err(|error| format!("version {version}: {error}"))?;
    let size = i32::try_from(frame.len() - 4).map_err(|_| "a request over 2 GiB".to_owned())?;
    frame[..4].copy_from_slice(&size.to_be_bytes());
    Ok(frame)
}

/// Decodes header and body; bytes that are left over are an error, since they mean that the schema is another one.
pub(super) fn decode<T: Decodable>(
    mut answer: Bytes,
    header_version: i16,
    version: i16,
) -> Result<T, String> {
    ResponseHeader::decode(&mut answer, header_version).map_err(|error| error.to_string())?;
    let message = T::decode(&mut answer, version).map_err(|error| error.to_string())?;
    match answer.remaining() {
        0 => Ok(message),
        left => Err(format!("{left} bytes are left over")),
    }
}
