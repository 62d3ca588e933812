//! A cluster that answers at bootstrap and advertises an address that does not work.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::{Bytes, BytesMut};
use klamm_admin::{Admin, AdminErrorKind, ClientOptions, WireErrorKind};
use klamm_wire::frame::{read_frame, write_frame};
use klamm_wire::protocol::messages::api_versions_response::ApiVersion;
use klamm_wire::protocol::messages::metadata_response::MetadataResponseBroker;
use klamm_wire::protocol::messages::{
    ApiKey, ApiVersionsResponse, BrokerId, MetadataResponse, ResponseHeader,
};
use klamm_wire::protocol::protocol::{Encodable, HeaderVersion, StrBytes, decode_request_header_from_buffer};
use tokio::net::{TcpListener, TcpStream};

/// A broker that knows ApiVersions and Metadata, and says that it is at `host:port`.
async fn broker_that_says(host: &'static str, port: i32) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, host, port));
        }
    });
    Ok(address)
}

async fn serve(mut stream: TcpStream, host: &'static str, port: i32) -> Result<()> {
    while let Some(mut request) = read_frame(&mut stream, 1 << 20).await? {
        let header = decode_request_header_from_buffer(&mut request)?;
        let (id, version) = (header.correlation_id, header.request_api_version);
        let answer = if header.request_api_key == ApiKey::ApiVersions as i16 {
            let api = |key: ApiKey, max| ApiVersion::default().with_api_key(key as i16).with_max_version(max);
            let apis =
                vec![api(ApiKey::ApiVersions, 4), api(ApiKey::Metadata, 12), api(ApiKey::DescribeConfigs, 4)];
            encode(id, version, &ApiVersionsResponse::default().with_api_keys(apis))?
        } else {
            let broker = MetadataResponseBroker::default()
                .with_node_id(BrokerId(7))
                .with_host(StrBytes::from_static_str(host))
                .with_port(port);
            encode(id, version, &MetadataResponse::default().with_brokers(vec![broker]))?
        };
        write_frame(&mut stream, &answer).await?;
    }
    Ok(())
}

fn encode<T: Encodable + HeaderVersion>(correlation_id: i32, version: i16, response: &T) -> Result<Bytes> {
    let mut bytes = BytesMut::new();
    let header = ResponseHeader::default().with_correlation_id(correlation_id);
    header.encode(&mut bytes, T::header_version(version))?;
    response.encode(&mut bytes, version)?;
    Ok(bytes.freeze())
}

#[tokio::test]
async fn an_advertised_name_that_does_not_exist_is_named_at_once() -> Result<()> {
    let bootstrap = broker_that_says("kafka-7.invalid", 9092).await?;
    let admin = Admin::connect(&ClientOptions::new([bootstrap])).await?;
    let error = admin.facts(&[]).await.err().context("unreachable")?;
    let AdminErrorKind::ListenerUnreachable { broker: 7, host, port: 9092, source } = error.kind() else {
        anyhow::bail!("{error:?}");
    };
    ensure!(host == "kafka-7.invalid" && matches!(source.kind(), WireErrorKind::Dns { .. }), "{error:?}");
    ensure!(
        error.to_string().starts_with("broker 7 advertises kafka-7.invalid:9092, which cannot be used"),
        "{error}"
    );
    ensure!(error.hint().is_some_and(|hint| hint.contains("advertised.listeners")));
    Ok(())
}

#[tokio::test]
async fn an_advertised_port_where_nobody_listens_is_named_soon() -> Result<()> {
    let bootstrap = broker_that_says("127.0.0.1", 1).await?;
    let admin = Admin::connect(&ClientOptions::new([bootstrap])).await?;
    let started = Instant::now();
    let error = admin.facts(&[]).await.err().context("unreachable")?;
    let refused = matches!(error.kind(), AdminErrorKind::ListenerUnreachable { broker: 7, port: 1, .. });
    ensure!(refused && started.elapsed() < Duration::from_secs(10), "{error} after {:?}", started.elapsed());
    let probes = admin.probe().await?;
    ensure!(probes.len() == 1 && probes[0].outcome.is_err(), "{probes:?}");
    Ok(())
}

#[tokio::test]
async fn dead_bootstrap_addresses_are_passed_over_and_all_are_named_when_none_answers() -> Result<()> {
    let alive = broker_that_says("127.0.0.1", 1).await?;
    Admin::connect(&ClientOptions::new(["127.0.0.1:1".to_owned(), alive])).await?;
    let error = Admin::connect(&ClientOptions::new(["127.0.0.1:1", "no-such-host.invalid:9092"])).await;
    let error = error.err().context("nobody there")?;
    ensure!(matches!(error.kind(), AdminErrorKind::Unreachable { tried } if tried.len() == 2), "{error:?}");
    let text = error.to_string();
    ensure!(
        text.starts_with("no broker answers at 127.0.0.1:1: connection refused; no-such-host.invalid:9092: "),
        "{text}"
    );
    Ok(())
}
