//! A blocking connection and the frames of requests.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use klamm_wire::protocol::messages::{ApiKey, InitProducerIdRequest, RequestHeader, ResponseHeader};
use klamm_wire::protocol::protocol::{Decodable, Encodable, Request, StrBytes};

use crate::Result;

/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(50);

pub struct Connection(pub TcpStream);

impl Connection {
    pub fn open(address: &str) -> Result<Connection> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Connection(stream))
    }

    pub fn call<R: Request>(&mut self, version: i16, request: &R) -> Result<R::Response> {
        self.send(&frame(version, request)?)?;
        self.receive::<R>(version)
    }

    pub fn send(&mut self, frame: &[u8]) -> Result<()> {
        Ok(self.0.write_all(frame)?)
    }

    pub fn receive<R: Request>(&mut self, version: i16) -> Result<R::Response> {
        let mut frame = vec![0; self.length()?];
        self.0.read_exact(&mut frame)?;
        let mut frame = Bytes::from(frame);
        let key = ApiKey::try_from(R::KEY).map_err(|()| "an API without a key")?;
        ResponseHeader::decode(&mut frame, key.response_header_version(version))?;
        Ok(R::Response::decode(&mut frame, version)?)
    }

    /// Reads the length of the next frame.
    pub fn length(&mut self) -> Result<usize> {
        let mut size = [0; 4];
        self.0.read_exact(&mut size)?;
        Ok(usize::try_from(i32::from_be_bytes(size))?)
    }

    /// A new producer id. A coordinator that has just started is asked again.
    pub fn producer_id(&mut self) -> Result<i64> {
        const LOADING: i16 = 14;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.call(4, &InitProducerIdRequest::default().with_transactional_id(None))?;
            match answer.error_code {
                0 => return Ok(answer.producer_id.0),
                LOADING if Instant::now() < deadline => thread::sleep(PAUSE),
                code => return Err(format!("no producer id: error {code}").into()),
            }
        }
    }
}

/// A request as it travels, its length first.
pub fn frame<R: Request>(version: i16, request: &R) -> Result<BytesMut> {
    let mut frame = BytesMut::zeroed(4);
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_client_id(Some(StrBytes::from_static_str("load")));
    header.encode(&mut frame, R::header_version(version))?;
    request.encode(&mut frame, version)?;
    let size = i32::try_from(frame.len() - 4)?;
    frame[..4].copy_from_slice(&size.to_be_bytes());
    Ok(frame)
}
