//! The list of checks with krafka.

mod admin;
mod groups;
mod session;
mod transactions;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use krafka::Compression;

use session::{Session, Skipped};

const CHECKS: [&str; 21] = [
    "create_topic",
    "produce_none",
    "produce_gzip",
    "produce_snappy",
    "produce_lz4",
    "produce_zstd",
    "idempotent",
    "transactional",
    "read_committed",
    "group_rebalance_classic",
    "group_resume_classic",
    "groups_described_classic",
    "transform_classic",
    "group_rebalance_consumer",
    "group_resume_consumer",
    "groups_described_consumer",
    "transform_consumer",
    "offsets_by_time",
    "configs",
    "delete_records",
    "streams_exactly_once",
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().collect();
    let argument = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let only = argument("--only");
    let wanted = |check: &str| only.as_ref().is_none_or(|only| only.split(',').any(|name| name == check));
    let bootstrap = argument("--bootstrap").context("no --bootstrap")?;
    let session = Session::new(&bootstrap, argument("--name").context("no --name")?).await?;
    let mut code = ExitCode::SUCCESS;
    for check in CHECKS.into_iter().filter(|check| wanted(check)) {
        let outcome = match tokio::time::timeout(Duration::from_secs(80), run(&session, check)).await {
            Ok(Ok(())) => serde_json::json!({ "check": check, "ok": true }),
            Ok(Err(error)) if error.is::<Skipped>() => {
                serde_json::json!({ "check": check, "skipped": error.to_string() })
            }
            Ok(Err(error)) => {
                code = ExitCode::FAILURE;
                serde_json::json!({ "check": check, "ok": false, "error": format!("{error:#}") })
            }
            Err(_) => {
                code = ExitCode::FAILURE;
                serde_json::json!({ "check": check, "ok": false, "error": "it took too long" })
            }
        };
        println!("{outcome}");
    }
    Ok(code)
}

async fn run(session: &Session, check: &str) -> Result<()> {
    match check.rsplit_once('_') {
        Some(("produce", codec)) => return session.produce(codec, compression(codec)).await,
        Some(("group_rebalance", protocol)) => return session.rebalance(protocol).await,
        Some(("group_resume", protocol)) => return session.resume(protocol).await,
        Some(("groups_described", protocol)) => return session.described(protocol).await,
        Some(("transform", protocol)) => return session.transform(protocol).await,
        _ => {}
    }
    match check {
        "create_topic" => session.create_topic().await,
        "idempotent" => session.idempotent().await,
        "transactional" => session.transactional().await,
        "read_committed" => session.read_committed().await,
        "offsets_by_time" => session.offsets_by_time().await,
        "configs" => session.configs().await,
        "delete_records" => session.delete_records().await,
        _ => Err(Skipped("it is a Java library").into()),
    }
}

fn compression(codec: &str) -> Compression {
    match codec {
        "gzip" => Compression::Gzip,
        "snappy" => Compression::Snappy,
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        _ => Compression::None,
    }
}
