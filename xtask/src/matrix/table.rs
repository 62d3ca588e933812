//! The matrix as a table: for people at the terminal, and in `docs/broker.md`.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::program::{Outcome, Run};
use super::{CHECKS, TOOLS};

const PAGE: &str = "docs/broker.md";
const BEGIN: &str = "<!-- generated: clients -->\n";
const END: &str = "<!-- end -->";

/// One line a check, one column a client.
pub fn text(runs: &[Run], checks: &[&str]) -> String {
    let mut text = format!("{:<37}", "");
    for run in runs {
        let _ = write!(text, "{:<21}", run.client.name);
    }
    for check in checks {
        let _ = write!(text, "\n{check:<37}");
        for run in runs {
            let cell = match run.outcome(check) {
                Some(Outcome::Passed) => "ok",
                Some(Outcome::Skipped(_)) => "-",
                Some(Outcome::Failed(_)) => "FAILED",
                None => "",
            };
            let _ = write!(text, "{cell:<21}");
        }
    }
    text
}

/// The table of the page: what a client cannot do has the number of a note.
pub fn markdown(runs: &[Run]) -> String {
    let tools = runs.iter().find(|run| run.client.checks == TOOLS);
    let runs: Vec<&Run> = runs.iter().filter(|run| run.client.checks == CHECKS).collect();
    let mut notes: Vec<String> = Vec::new();
    let mut table = String::from("| |");
    for run in &runs {
        let _ = write!(table, " {} {} |", run.client.title, run.client.version);
    }
    table.push_str(&format!("\n| --- |{}\n", " --- |".repeat(runs.len())));
    for check in CHECKS {
        let _ = write!(table, "| `{check}` |");
        for run in &runs {
            let cell = match run.outcome(check) {
                Some(Outcome::Passed) => "yes".to_owned(),
                Some(Outcome::Skipped(why)) => {
                    let note = notes.iter().position(|note| note == why).unwrap_or_else(|| {
                        notes.push(why.clone());
                        notes.len() - 1
                    });
                    format!("– ({})", note + 1)
                }
                Some(Outcome::Failed(_)) => "**no**".to_owned(),
                // It is listed as pending.
                None => "not yet".to_owned(),
            };
            let _ = write!(table, " {cell} |");
        }
        table.push('\n');
    }
    table.push('\n');
    for (index, note) in notes.iter().enumerate() {
        let _ = writeln!(table, "{}. {note}", index + 1);
    }
    if let Some(run) = tools {
        let same = TOOLS.iter().filter(|tool| run.outcome(tool) == Some(&Outcome::Passed));
        let names: Vec<_> = same.map(|tool| format!("`{tool}`")).collect();
        let _ = writeln!(
            table,
            "\nThe transcripts of Kafka's own tools ({}) are the same on both: {}.",
            run.client.version,
            names.join(", ")
        );
    }
    table
}

/// Writes the table into the page.
pub fn record(root: &Path, runs: &[Run]) -> Result<()> {
    let path = root.join(PAGE);
    let page = fs::read_to_string(&path).with_context(|| format!("no {PAGE}"))?;
    let (head, rest) =
        page.split_once(BEGIN).with_context(|| format!("{PAGE} has no place for the table"))?;
    let (_, tail) = rest.split_once(END).context("the place for the table has no end")?;
    ensure!(!runs.is_empty(), "nothing has run");
    fs::write(path, format!("{head}{BEGIN}{}{END}{tail}", markdown(runs)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::clients;
    use super::*;

    #[test]
    fn what_a_client_cannot_do_is_told_once_below_the_table() {
        let run = |outcome: Outcome| Run {
            client: &clients::ALL[0],
            outcomes: vec![("configs".into(), outcome.clone()), ("transactional".into(), outcome)],
            took: Duration::ZERO,
        };
        let table = markdown(&[run(Outcome::Passed), run(Outcome::Skipped("it has none".into()))]);
        assert!(table.contains("| `configs` | yes | – (1) |"), "{table}");
        assert!(table.contains("| `transactional` | yes | – (1) |"), "{table}");
        assert!(table.ends_with("\n1. it has none\n"), "{table}");
    }
}
