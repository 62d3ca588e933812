//! Malformed input against a live broker, from a seed: no panic, no hang, no memory, and nobody else is harmed.
//!
//! `KLAMM_FUZZ_SEED` repeats a run, `KLAMM_FUZZ_CASES` makes it longer. `fuzz/` has the same for cargo-fuzz.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use klamm_broker::Api;
use klamm_wire::protocol::messages::{ApiKey, ApiVersionsRequest, MetadataRequest, RequestHeader, TopicName};
use klamm_wire::protocol::protocol::{Encodable, StrBytes};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::client::*;

/// Connections that are open at once.
const OPEN: usize = 32;

#[tokio::test(flavor = "multi_thread")]
async fn malformed_input_harms_nobody() {
    let seed = number("KLAMM_FUZZ_SEED").unwrap_or_else(rand::random);
    println!("KLAMM_FUZZ_SEED={seed}");
    let cases = number("KLAMM_FUZZ_CASES").unwrap_or(4_000);
    let broker = start().await;
    let mut bystander = Client::connect(&broker.bootstrap());
    bystander.create("t", 2, &[]);
    bystander.produce("t", 0, batch(&["kept"]));
    let before = memory();
    let mut random = StdRng::seed_from_u64(seed);
    let mut open = Vec::new();
    for case in 0..cases {
        let mut stream = TcpStream::connect(broker.addr()).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
        // The broker may have closed it already, which is its right.
        let _ = stream.write_all(&input(&mut random));
        if random.random_bool(0.5) {
            let _ = stream.shutdown(Shutdown::Write);
        }
        open.push(stream);
        if open.len() > OPEN {
            open.swap_remove(random.random_range(0..OPEN));
        }
        if case % 64 == 0 {
            let begin = Instant::now();
            assert!(!bystander.call(3, &ApiVersionsRequest::default()).api_keys.is_empty());
            assert!(begin.elapsed() < Duration::from_secs(10), "seed {seed}, case {case}: it hung");
        }
        assert_eq!(broker.handler_panics(), 0, "seed {seed}, case {case}");
    }
    drop(open);
    let kept = bystander.values("t", 0, 0);
    assert_eq!(kept.first().map(String::as_str), Some("kept"), "seed {seed}");
    bystander.call(12, &MetadataRequest::default());
    let (virtual_mib, resident_mib) = memory();
    assert!(resident_mib < before.1 + 512, "seed {seed}: {} MiB became {resident_mib} MiB", before.1);
    assert!(virtual_mib < before.0 + 4_096, "seed {seed}: {} MiB became {virtual_mib} MiB", before.0);
    let stopped = tokio::time::timeout(Duration::from_secs(10), broker.shutdown()).await;
    stopped.expect("it stops in time").unwrap();
}

/// Virtual and resident memory of this process, in MiB.
fn memory() -> (u64, u64) {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let mut pages = statm.split(' ').map(|pages| pages.parse::<u64>().unwrap() * 4_096 / (1 << 20));
    (pages.next().unwrap(), pages.next().unwrap())
}

/// What one connection sends.
fn input(random: &mut StdRng) -> Vec<u8> {
    match random.random_range(0..8) {
        0 => (0..random.random_range(0..300)).map(|_| random.random()).collect(),
        1 => [&random.random::<i32>().to_be_bytes()[..], &[0; 64]].concat(),
        2 => framed(&bytes(random, 100)),
        3 | 4 => {
            let mut frame = header(random);
            frame.extend(bytes(random, 200));
            framed(&frame)
        }
        5 => {
            let mut frame = header(random);
            // An array or a string that says that it is huge.
            frame.extend([0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x07]);
            framed(&frame)
        }
        6 => {
            let which = random.random_range(0..3);
            mutated(random, valid(which))
        }
        _ => {
            let mut several = Vec::new();
            for _ in 0..random.random_range(1..5) {
                let which = random.random_range(0..3);
                several.extend(valid(which));
            }
            mutated(random, several)
        }
    }
}

fn bytes(random: &mut StdRng, most: usize) -> Vec<u8> {
    // Small values are lengths that fit, more often than random ones are.
    let small = random.random_bool(0.7);
    let length = random.random_range(0..most);
    (0..length).map(|_| if small { random.random_range(0..5) } else { random.random() }).collect()
}

fn framed(frame: &[u8]) -> Vec<u8> {
    [&(frame.len() as u32).to_be_bytes(), frame].concat()
}

/// The header of any request in any version, sometimes one that is not offered.
fn header(random: &mut StdRng) -> Vec<u8> {
    let api = Api::ALL[random.random_range(0..Api::ALL.len())];
    let version = random.random_range(*api.versions().start()..=*api.versions().end() + 1);
    request_header(api as i16, version)
}

fn request_header(key: i16, version: i16) -> Vec<u8> {
    let mut out = BytesMut::new();
    let header = RequestHeader::default()
        .with_request_api_key(key)
        .with_request_api_version(version)
        .with_correlation_id(1)
        .with_client_id(Some(StrBytes::from_static_str("fuzz")));
    let header_version = ApiKey::try_from(key).unwrap().request_header_version(version);
    header.encode(&mut out, header_version).unwrap();
    out.to_vec()
}

/// A request that is right: produce, fetch or metadata.
fn valid(which: usize) -> Vec<u8> {
    let mut body = BytesMut::new();
    let (key, version) = match which {
        0 => {
            let records = batch(&["one", "two", "three"]);
            produce_request("t", 1, records).encode(&mut body, 9).unwrap();
            (ApiKey::Produce, 9)
        }
        1 => {
            fetch_request("t", 0, 0, Duration::ZERO).encode(&mut body, 12).unwrap();
            (ApiKey::Fetch, 12)
        }
        _ => {
            let mut topic = klamm_wire::protocol::messages::metadata_request::MetadataRequestTopic::default();
            topic.name = Some(TopicName(text("t")));
            MetadataRequest::default().with_topics(Some(vec![topic])).encode(&mut body, 12).unwrap();
            (ApiKey::Metadata, 12)
        }
    };
    framed(&[request_header(key as i16, version), body.to_vec()].concat())
}

/// Flips, cuts or grows.
fn mutated(random: &mut StdRng, mut input: Vec<u8>) -> Vec<u8> {
    for _ in 0..random.random_range(0..4) {
        let at = random.random_range(0..input.len());
        input[at] = random.random();
    }
    match random.random_range(0..4) {
        0 => input.truncate(random.random_range(0..input.len())),
        1 => input.extend(bytes(random, 50)),
        _ => {}
    }
    input
}
