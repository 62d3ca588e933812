//! What the README shows is what is printed.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::harness::Place;

/// Numbers become `#`, ids `ID`, and readings that follow each other one line.
fn masked<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut masked: Vec<String> = Vec::new();
    for line in lines {
        let words = line.split(' ').map(|word| match word.find("klamm-embedded-") {
            Some(_) => "ID".to_owned(),
            None => number(word),
        });
        let line = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        if !(line.starts_with("running") && masked.last().is_some_and(|last| last.starts_with("running"))) {
            masked.push(line);
        }
    }
    masked
}

fn number(word: &str) -> String {
    let mut text = String::new();
    for c in word.chars() {
        match c {
            '0'..='9' if !text.ends_with('#') => text.push('#'),
            '0'..='9' => {}
            ',' | '.' if text.ends_with('#') => {}
            other => text.push(other),
        }
    }
    text
}

#[tokio::test]
async fn the_readme_shows_what_klamm_up_prints() -> Result<()> {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md"))?;
    let after = readme.lines().skip_while(|line| !line.starts_with("    $ make up"));
    let shown = masked(after.skip(1).map_while(|line| line.strip_prefix("    ")));
    ensure!(shown.len() > 10, "the README shows no run");

    let place = Place::new()?;
    std::fs::remove_file(place.file("klamm.yaml"))?;
    let run = place.run(&["up", "--for", "3s"]).await?;
    ensure!(run.code == Some(0), "{run:?}");
    let printed = masked(run.stdout.lines());
    for (at, (shown, printed)) in shown.iter().zip(&printed).enumerate() {
        ensure!(shown == printed, "line {at}: the README shows\n{shown}\nand klamm prints\n{printed}");
    }
    ensure!(shown.len() == printed.len(), "{} lines shown, {} printed", shown.len(), printed.len());
    // The masks must leave something to compare.
    shown.iter().find(|line| line.contains("the guarantees held")).context("a verdict")?;
    Ok(())
}
