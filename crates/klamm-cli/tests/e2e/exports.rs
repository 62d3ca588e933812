//! Exports are taken by the programs that they are for.

use anyhow::{Context, Result, ensure};
use std::path::Path;

use crate::harness::Place;

fn files(folder: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        files.push(entry?.path().display().to_string());
    }
    files.sort();
    Ok(files)
}

#[tokio::test]
async fn each_topic_and_group_gets_a_file_with_reasons_and_the_hash_of_the_plan() -> Result<()> {
    let place = Place::new()?;
    for format in ["java", "librdkafka"] {
        let written = place.run(&["export", "--format", format, "--out", format]).await?;
        ensure!(written.code == Some(0), "{written:?}");
        let files = files(&place.file(format))?;
        ensure!(files.len() == 2, "{files:?}");
        let producer = std::fs::read_to_string(
            files.iter().find(|file| file.contains(&place.topic)).context("a file for the topic")?,
        )?;
        ensure!(producer.contains("\nacks=all\n") && producer.contains("from plan"), "{producer}");
        ensure!(producer.contains("partitioner=murmur2_random") == (format == "librdkafka"), "{producer}");
        let printed = place.run(&["export", "--format", format]).await?;
        ensure!(printed.stdout.contains("enable.auto.commit=false"), "{printed:?}");
    }
    std::fs::write(place.file("taken"), "")?;
    place
        .run(&["export", "--format", "java", "--out", "taken"])
        .await?
        .failed_with(&["cannot write", "--out"])
}

mod on_real_kafka {
    use super::*;
    use xtask::java::{Programs, json_answer};

    #[tokio::test]
    async fn javas_clients_know_every_key() -> Result<()> {
        let place = Place::new()?;
        let written = place.run(&["export", "--format", "java", "--out", "out"]).await?;
        ensure!(written.code == Some(0), "{written:?}");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let programs = Programs::compile(&root)?;
        let answer = json_answer(programs.java("CheckConfigs").args(files(&place.file("out"))?))?;
        ensure!(answer["keys"].as_u64() > Some(15), "{answer}");
        Ok(())
    }
}
