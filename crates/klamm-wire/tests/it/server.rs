//! Servers of a few lines: a broker that answers what the test says, and things that are not brokers.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use klamm_wire::ConnectOptions;
use klamm_wire::protocol::messages::api_versions_response::ApiVersion;
use klamm_wire::protocol::messages::{ApiKey, ApiVersionsResponse, RequestHeader, ResponseHeader};
use klamm_wire::protocol::protocol::{Encodable, HeaderVersion, decode_request_header_from_buffer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Impatient enough that a test of a timeout is quick, patient enough for a busy machine.
pub fn options() -> ConnectOptions {
    ConnectOptions {
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(20),
        ..ConnectOptions::default()
    }
}

/// A request as the server sees it: its header, its correlation id, its body.
pub struct Asked {
    pub header: RequestHeader,
    pub body: Bytes,
}

/// What the server does with a request.
pub enum Answer {
    Frame(Bytes),
    Silence,
    Close,
}

/// Serves every connection with `answer`; gives `127.0.0.1:port`.
pub async fn broker(answer: impl Fn(&mut Asked) -> Answer + Clone + Send + 'static) -> String {
    listen(move |stream| {
        let answer = answer.clone();
        async move { serve(stream, answer).await }
    })
    .await
}

/// Accepts for ever; each connection gets its own task.
pub async fn listen<F>(handle: impl Fn(TcpStream) -> F + Send + 'static) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(handle(stream));
        }
    });
    address
}

pub async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: impl Fn(&mut Asked) -> Answer) {
    while let Some(mut asked) = read(&mut stream).await {
        match answer(&mut asked) {
            Answer::Frame(frame) => {
                let size = u32::try_from(frame.len()).expect("small").to_be_bytes();
                if stream.write_all(&[&size, &frame[..]].concat()).await.is_err() {
                    return;
                }
                let _ = stream.flush().await;
            }
            Answer::Silence => {}
            Answer::Close => return,
        }
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Asked> {
    let size = stream.read_u32().await.ok()?;
    // What a broker does with the bytes of another protocol: socket.request.max.bytes is 100 MiB.
    if size > 100 << 20 {
        return None;
    }
    let mut frame = vec![0; size as usize];
    stream.read_exact(&mut frame).await.ok()?;
    let mut body = Bytes::from(frame);
    let header = decode_request_header_from_buffer(&mut body).ok()?;
    Some(Asked { header, body })
}

/// An answer to `asked` in the version that it asks for.
pub fn frame<T: Encodable + HeaderVersion>(asked: &Asked, response: &T) -> Answer {
    frame_in(asked, response, asked.header.request_api_version)
}

pub fn frame_in<T: Encodable + HeaderVersion>(asked: &Asked, response: &T, version: i16) -> Answer {
    let mut bytes = BytesMut::new();
    let header = ResponseHeader::default().with_correlation_id(asked.header.correlation_id);
    header.encode(&mut bytes, T::header_version(version)).expect("encodes");
    response.encode(&mut bytes, version).expect("encodes");
    Answer::Frame(bytes.freeze())
}

pub fn is(asked: &Asked, key: ApiKey) -> bool {
    asked.header.request_api_key == key as i16
}

/// The answer to ApiVersions of a broker that speaks `ranges`.
pub fn versions(ranges: &[(ApiKey, i16, i16)]) -> ApiVersionsResponse {
    let api = |(key, min, max): &(ApiKey, i16, i16)| {
        ApiVersion::default().with_api_key(*key as i16).with_min_version(*min).with_max_version(*max)
    };
    ApiVersionsResponse::default().with_api_keys(ranges.iter().map(api).collect())
}

/// ApiVersions and Metadata, as a broker of today speaks them.
pub const MODERN: &[(ApiKey, i16, i16)] = &[
    (ApiKey::ApiVersions, 0, 4),
    (ApiKey::Metadata, 0, 13),
    (ApiKey::SaslHandshake, 0, 1),
    (ApiKey::SaslAuthenticate, 0, 2),
];
