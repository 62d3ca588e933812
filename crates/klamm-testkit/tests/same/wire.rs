//! A blocking client of a few lines: what is compared must not pass through klamm's own client.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use klamm_testkit::anyhow::{Context, Result, ensure};
use klamm_wire::protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use klamm_wire::protocol::protocol::{Decodable, Encodable, Request, StrBytes};

/// No answer takes longer, not even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Wire {
    stream: TcpStream,
    correlation_id: i32,
}

impl Wire {
    pub fn connect(address: &str) -> Result<Wire> {
        let stream = TcpStream::connect(address).with_context(|| format!("no broker at {address}"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Wire { stream, correlation_id: 0 })
    }

    pub fn call<R: Request>(&mut self, version: i16, request: &R) -> Result<R::Response> {
        let key = ApiKey::try_from(R::KEY).ok().context("an API key")?;
        self.correlation_id += 1;
        let mut frame = BytesMut::new();
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id)
            .with_client_id(Some(StrBytes::from_static_str("same")));
        header.encode(&mut frame, R::header_version(version))?;
        request.encode(&mut frame, version)?;
        let size = i32::try_from(frame.len())?;
        self.stream.write_all(&[&size.to_be_bytes(), &frame[..]].concat())?;

        let mut size = [0; 4];
        let closed = || format!("{key:?} version {version} closed the connection");
        self.stream.read_exact(&mut size).with_context(closed)?;
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(size))?];
        self.stream.read_exact(&mut frame)?;
        let mut frame = Bytes::from(frame);
        let header = ResponseHeader::decode(&mut frame, key.response_header_version(version))?;
        ensure!(header.correlation_id == self.correlation_id, "an answer to another request");
        R::Response::decode(&mut frame, version)
    }
}
