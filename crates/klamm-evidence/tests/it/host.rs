//! Metrics, from small servers that behave and misbehave.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use klamm_evidence::host::{HostOptions, HostSource, collect};
use klamm_rules::Seen;
use klamm_rules::evidence::{HostEvidence, HostRole};
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// How a server answers.
#[derive(Clone)]
enum Answer {
    /// These in turn, the last one again and again.
    Bodies(Vec<String>),
    /// Says that there is more than comes.
    Truncated,
    /// Takes the request and says nothing.
    Hangs,
    /// Status 500.
    Fails,
    /// More than anybody wants.
    Endless,
}

fn options() -> HostOptions {
    HostOptions { interval: Duration::from_millis(50), timeout: Duration::from_secs(5), ca_pem: None }
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let (mut request, mut byte) = (Vec::new(), [0]);
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).await.is_ok_and(|read| read > 0) {
        request.push(byte[0]);
    }
    String::from_utf8_lossy(&request).into_owned()
}

async fn respond(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), answer: &Answer, turn: usize) {
    read_request(stream).await;
    let ok = |length: usize, body: &str| {
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
    };
    let text = match answer {
        Answer::Bodies(bodies) => {
            let body = &bodies[turn.min(bodies.len() - 1)];
            ok(body.len(), body)
        }
        Answer::Truncated => ok(10_000, "node_cpu_seconds_total{mode=\"idle\"} 1\nnode_me"),
        Answer::Hangs => {
            // Until the client gives up.
            read_request(stream).await;
            return;
        }
        Answer::Fails => "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
        Answer::Endless => {
            let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
            let line = "node_filefd_allocated 1\n".repeat(10_000);
            let mut sent = stream.write_all(head.as_bytes()).await;
            while sent.is_ok() {
                sent = stream.write_all(line.as_bytes()).await;
            }
            return;
        }
    };
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn serve(answer: Answer, tls: Option<Arc<ServerConfig>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let turns = Arc::new(AtomicUsize::new(0));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (answer, tls, turns) = (answer.clone(), tls.clone(), Arc::clone(&turns));
            tokio::spawn(async move {
                match tls {
                    None => {
                        respond(&mut stream, &answer, turns.fetch_add(1, Ordering::SeqCst)).await;
                    }
                    Some(config) => {
                        if let Ok(mut stream) = TlsAcceptor::from(config).accept(stream).await {
                            respond(&mut stream, &answer, turns.fetch_add(1, Ordering::SeqCst)).await;
                        }
                    }
                }
            });
        }
    });
    port
}

async fn exporter(answer: Answer) -> HostSource {
    HostSource::Exporter(format!("http://127.0.0.1:{}/metrics", serve(answer, None).await))
}

async fn failure(answer: Answer, options: &HostOptions) -> String {
    match collect(&[exporter(answer).await], options).await {
        Seen::Failed { why } => why,
        other => panic!("{other:?}"),
    }
}

fn node(user: u32, idle: u32) -> String {
    format!(
        "# HELP node_cpu_seconds_total Seconds the CPUs spent in each mode.\n# TYPE node_cpu_seconds_total counter\n\
         node_cpu_seconds_total{{cpu=\"0\",mode=\"idle\"}} {idle}\nnode_cpu_seconds_total{{cpu=\"0\",mode=\"user\"}} {user}\n\
         node_memory_MemAvailable_bytes 1.5e+09\nnode_memory_MemTotal_bytes 4e+09\n\
         node_filesystem_avail_bytes{{device=\"/dev/vda1\",fstype=\"ext4\",mountpoint=\"/var/lib/kafka\"}} 3e+10\n\
         node_filesystem_size_bytes{{device=\"/dev/vda1\",fstype=\"ext4\",mountpoint=\"/var/lib/kafka\"}} 1e+11\n\
         node_filefd_allocated 4064\nnode_filefd_maximum 9.2e+18\n"
    )
}

#[tokio::test]
async fn an_exporter_is_read_twice() {
    let answer = Answer::Bodies(vec![node(100, 200), node(103, 201)]);
    let Seen::Full(HostEvidence { hosts }) = collect(&[exporter(answer).await], &options()).await else {
        panic!("it answers")
    };
    assert_eq!((hosts.len(), hosts[0].host.as_str()), (1, "127.0.0.1"));
    assert_eq!(hosts[0].cpu_thousandths, Some(750));
    assert_eq!(hosts[0].memory_available_bytes, Some(1_500_000_000));
    assert_eq!(hosts[0].disks["/var/lib/kafka"], (100_000_000_000, 30_000_000_000, 0));
}

#[tokio::test]
async fn one_that_does_not_answer_costs_the_others_nothing() {
    let sources =
        [exporter(Answer::Fails).await, exporter(Answer::Bodies(vec![node(1, 2), node(2, 3)])).await];
    let Seen::Partial { value, missing } = collect(&sources, &options()).await else { panic!("one of two") };
    assert_eq!(value.hosts.len(), 1);
    assert!(missing.len() == 1 && missing[0].ends_with("/metrics: answers with status 500"), "{missing:?}");
}

#[tokio::test]
async fn the_second_look_may_fail_and_rates_are_not_known_then() {
    let answer = Answer::Bodies(vec![node(1, 2), "<html>".to_owned()]);
    let Seen::Partial { value, missing } = collect(&[exporter(answer).await], &options()).await else {
        panic!("half of it")
    };
    assert_eq!((value.hosts[0].cpu_thousandths, value.hosts[0].memory_bytes), (None, Some(4_000_000_000)));
    assert!(missing[0].contains("the second look failed: the answer is no metrics"), "{missing:?}");
}

#[tokio::test]
async fn every_misbehaviour_is_told_as_what_it_is() {
    let why = failure(Answer::Fails, &options()).await;
    assert!(why.ends_with("answers with status 500"), "{why}");
    let why = failure(Answer::Bodies(vec!["<html><body>Sign in</body></html>".to_owned()]), &options()).await;
    assert!(why.ends_with("the answer is no metrics"), "{why}");
    let why = failure(Answer::Bodies(vec![String::new()]), &options()).await;
    assert!(why.ends_with("the answer is no metrics"), "{why}");
    let why = failure(Answer::Truncated, &options()).await;
    assert!(!why.is_empty(), "a part is not taken for the whole");
    let short = HostOptions { timeout: Duration::from_millis(200), ..options() };
    let why = failure(Answer::Hangs, &short).await;
    assert!(why.ends_with("no whole answer within 200 ms"), "{why}");
    let why = failure(Answer::Endless, &options()).await;
    assert!(why.ends_with("the answer is longer than 16777216 bytes"), "{why}");
    let nobody = HostSource::Exporter("http://ann:hunter2@127.0.0.1:1/metrics".to_owned());
    let Seen::Failed { why } = collect(&[nobody], &options()).await else { panic!("nobody is there") };
    assert!(why.starts_with("http://127.0.0.1:1/metrics: ") && !why.contains("hunter2"), "{why}");
    let Seen::Failed { .. } = collect(&[HostSource::Exporter("no address".to_owned())], &options()).await
    else {
        panic!("no address")
    };
}

#[tokio::test]
async fn nothing_to_ask_is_not_asked() {
    assert_eq!(collect(&[], &options()).await, Seen::NotAsked);
}

fn series(instance: &str, name: &str, labels: &str, value: f64) -> String {
    format!(
        "{{\"metric\":{{\"__name__\":\"{name}\",\"instance\":\"{instance}\"{labels}}},\"value\":[1.7e9,\"{value}\"]}}"
    )
}

fn prometheus(shrinks: f64) -> String {
    let all = [
        series("b1:7071", "kafka_server_replicamanager_isrshrinks_total", "", shrinks),
        series("b1:9100", "node_memory_MemTotal_bytes", "", 4e9),
        series(
            "app:9404",
            "kafka_consumer_consumer_metrics_time_between_poll_max",
            ",\"client_id\":\"a\"",
            9e3,
        ),
    ];
    format!(
        "{{\"status\":\"success\",\"data\":{{\"resultType\":\"vector\",\"result\":[{}]}}}}",
        all.join(",")
    )
}

#[tokio::test]
async fn a_prometheus_server_tells_of_every_instance() {
    let answer = Answer::Bodies(vec![prometheus(33.0), prometheus(3.0)]);
    let url = format!("http://127.0.0.1:{}/", serve(answer, None).await);
    let Seen::Full(HostEvidence { hosts }) = collect(&[HostSource::Prometheus(url)], &options()).await else {
        panic!("it answers")
    };
    let told: Vec<_> = hosts.iter().map(|host| (host.at.as_str(), host.host.as_str(), host.role)).collect();
    let expected = [
        ("app:9404", "app", HostRole::Client),
        ("b1:7071", "b1", HostRole::Broker),
        ("b1:9100", "b1", HostRole::Unknown),
    ];
    assert_eq!(told, expected);
    assert_eq!(hosts[1].isr_shrinks_thousandths, Some(100), "30 in 300 s");
    assert_eq!(hosts[0].poll_interval_max_ms, Some(9_000));
}

#[tokio::test]
async fn https_is_verified_against_the_authorities_given() {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("valid");
    params.is_ca = rcgen::IsCa::ExplicitNoCa;
    let certificate = params.self_signed(&key).expect("signs");
    let folder = tempfile::tempdir().expect("a folder");
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, certificate.pem()).expect("written");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
        )
        .expect("valid");
    let answer = Answer::Bodies(vec![node(1, 2), node(2, 3)]);
    let port = serve(answer, Some(Arc::new(config))).await;
    let source = [HostSource::Exporter(format!("https://localhost:{port}"))];
    let trusting = HostOptions { ca_pem: Some(ca), ..options() };
    let Seen::Full(found) = collect(&source, &trusting).await else { panic!("it is trusted") };
    assert_eq!(found.hosts.len(), 1);
    let strange = HostOptions { ca_pem: Some(folder.path().join("none.pem")), ..options() };
    assert!(matches!(collect(&source, &strange).await, Seen::Failed { .. }));
}
