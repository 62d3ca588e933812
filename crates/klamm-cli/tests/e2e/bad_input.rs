//! What people get wrong: one line that says what, one hint that says what to do, exit code 2.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use klamm_testkit::{Cluster, scenarios};

use crate::harness::Place;

/// An address where nobody listens: the port was free a moment ago.
fn nobody() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

#[tokio::test]
async fn no_broker_at_the_address() -> Result<()> {
    let address = nobody()?;
    let place = Place::new()?;
    for command in ["up", "apply", "doctor"] {
        let run = place.run(&[command, "--bootstrap", &address, "--timeout", "2s"]).await?;
        if command == "doctor" {
            ensure!(run.code == Some(2) && run.stdout.contains(&address), "{run:?}");
        } else {
            run.failed_with(&[&address, "hint: "])?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_port_that_is_not_kafka() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0; 64];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let run = Place::new()?.run(&["up", "--bootstrap", &address, "--timeout", "3s"]).await?;
    run.failed_with(&[&address, "HTTP"])
}

#[tokio::test]
async fn an_unknown_field_of_the_spec_names_the_nearest() -> Result<()> {
    let place = Place::with_spec(
        "klamm: 1\nservice: orders\ntopics:\n  TOPIC:\n    consistencey: strong\n    order: sideways\n",
    )?;
    for command in ["up", "plan"] {
        let run = place.run(&[command]).await?;
        run.failed_with(&["klamm.yaml", "consistencey", "consistency"])?;
        ensure!(
            run.stderr.contains(":5:5") || run.stderr.contains("5 |"),
            "line and column:\n{}",
            run.stderr
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_data_directory_in_use_is_refused_and_the_first_goes_on() -> Result<()> {
    let place = Place::new()?;
    let mut first = place.start(&["up", "--json", "--rate", "500"])?;
    first.wait_for_processed(100).await?;
    let second = place.run(&["up", "--records", "10"]).await?;
    second.failed_with(&[".klamm", "--data-dir"])?;
    first.signal(rustix::process::Signal::INT)?;
    first.finish().await?.held()?;
    Ok(())
}

#[tokio::test]
async fn a_disk_that_takes_no_more_ends_the_run_and_keeps_what_was_acknowledged() -> Result<()> {
    let place = Place::new()?;
    let began = Instant::now();
    let run = place.start_with_small_files(400, &["up", "--json", "--records", "500000"])?.finish().await?;
    run.failed_with(&["the embedded broker cannot write to .klamm/broker", "--data-dir"])?;
    ensure!(began.elapsed() < Duration::from_secs(60), "delivery.timeout.ms was waited for");
    let counts = run.event("verdict")?["counts"].clone();
    ensure!(counts["lost"] == 0 && counts["acknowledged"].as_u64() > Some(0), "{counts}");
    place.run(&["up", "--json", "--records", "100"]).await?.held()?;
    Ok(())
}

#[tokio::test]
async fn a_port_in_use_is_named() -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port().to_string();
    let run = Place::new()?.run(&["up", "--ephemeral", "--port", &port]).await?;
    run.failed_with(&[&port])
}

#[tokio::test]
async fn init_never_overwrites() -> Result<()> {
    let place = Place::new()?;
    place.run(&["init"]).await?.failed_with(&["klamm.yaml exists already", "--force"])?;
    let written = place.run(&["init", "new.yaml"]).await?;
    ensure!(written.code == Some(0) && place.file("new.yaml").is_file(), "{written:?}");
    let planned = place.run(&["plan", "new.yaml"]).await?;
    ensure!(planned.code == Some(0), "the template plans: {planned:?}");
    Ok(())
}

#[tokio::test]
async fn missing_spec_files_are_named() -> Result<()> {
    Place::new()?.run(&["plan", "nowhere.yaml"]).await?.failed_with(&["nowhere.yaml"])
}

async fn a_topic_with_other_settings_is_left_alone_and_the_difference_said(cluster: Cluster) -> Result<()> {
    let place = Place::new()?;
    let bootstrap = cluster.bootstrap();
    let applied = place
        .run(&["apply", "--yes", "--lock-timeout", "90s", "--bootstrap", &bootstrap, "--profile", "dev"])
        .await?;
    ensure!(applied.code == Some(0), "{applied:?}");
    let other = std::fs::read_to_string(place.file("klamm.yaml"))?.replace("retain: 7d", "retain: 3d");
    std::fs::write(place.file("klamm.yaml"), other)?;
    let run = place.run(&["up", "--bootstrap", &bootstrap, "--records", "10", "--profile", "dev"]).await?;
    run.failed_with(&[&place.topic, "retention.ms", "604800000", "259200000", "klamm apply"])?;
    let applied = place
        .run(&[
            "apply",
            "--yes",
            "--allow-data-loss",
            "--lock-timeout",
            "90s",
            "--bootstrap",
            &bootstrap,
            "--profile",
            "dev",
            "--json",
        ])
        .await?;
    ensure!(applied.code == Some(0), "{applied:?}");
    let run = place
        .run(&["up", "--bootstrap", &bootstrap, "--records", "10", "--profile", "dev", "--json"])
        .await?;
    run.held()?;
    Ok(())
}

async fn doctor_says_what_it_tried(cluster: Cluster) -> Result<()> {
    let place = Place::new()?;
    let run = place.run(&["doctor", "--bootstrap", &cluster.bootstrap(), "--profile", "dev"]).await?;
    ensure!(run.code == Some(0), "{run:?}");
    ensure!(
        run.stdout.contains(&cluster.bootstrap().split(',').next().unwrap_or_default().to_owned()),
        "{run:?}"
    );
    Ok(())
}

scenarios!(a_topic_with_other_settings_is_left_alone_and_the_difference_said, doctor_says_what_it_tried);

#[tokio::test]
async fn a_drain_without_time_is_not_proven_and_exits_with_2() -> Result<()> {
    let place = Place::new()?;
    let run = place.run(&["up", "--records", "3000", "--drain", "1ms"]).await?;
    run.failed_with(&["the drain did not end", "--drain"])?;
    ensure!(run.stdout.contains("not proven") && !run.stdout.contains("DID NOT HOLD"), "{run:?}");
    // The next run goes on with what was left.
    place.run(&["up", "--json", "--records", "10"]).await?.held()?;
    Ok(())
}

#[tokio::test]
async fn standard_output_that_cannot_be_written_is_a_failure() -> Result<()> {
    let place = Place::new()?;
    place.run_into("/dev/full", &["plan"]).await?.failed_with(&["standard output"])
}
