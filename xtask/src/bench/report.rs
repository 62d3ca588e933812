//! Medians, ratios, and the page that keeps them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

const PAGE: &str = "docs/benchmarks.md";

/// One run of one side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sample {
    /// What is compared, in the comparison's unit.
    pub(super) value: f64,
    /// How long it took.
    pub(super) seconds: f64,
    /// Processor time of the client, where it is known.
    pub(super) cpu_seconds: Option<f64>,
}

/// Which of two values is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Better {
    Higher,
    Lower,
}

/// Ours and the peer's, run in turn.
#[derive(Debug)]
pub(super) struct Comparison {
    title: String,
    unit: String,
    better: Better,
    sides: [(String, Vec<Sample>); 2],
}

impl Comparison {
    pub(super) fn new(title: &str, unit: &str, better: Better, names: [&str; 2]) -> Comparison {
        let sides = names.map(|name| (name.to_owned(), Vec::new()));
        Comparison { title: title.to_owned(), unit: unit.to_owned(), better, sides }
    }

    /// Adds one round.
    pub(super) fn add(&mut self, round: [Sample; 2]) {
        for ((name, samples), sample) in self.sides.iter_mut().zip(round) {
            eprintln!("  {name:<20} {} {} in {:.2} s", number(sample.value), self.unit, sample.seconds);
            samples.push(sample);
        }
    }

    /// How many times better ours is: above 1 it wins.
    fn ratio(&self) -> f64 {
        let [ours, peer] = [0, 1].map(|side| median(self.sides[side].1.iter().map(|sample| sample.value)));
        match self.better {
            Better::Higher => ours / peer,
            Better::Lower => peer / ours,
        }
    }

    /// Prints the result and appends it to the page.
    pub(super) fn publish(&self, root: &Path, command: &str) -> Result<()> {
        let text = self.markdown(command, &machine())?;
        print!("{text}");
        let page = root.join(PAGE);
        let mut all = fs::read_to_string(&page).unwrap_or_else(|_| {
            "# Benchmarks\n\nOurs beside Java's on the same machine and cluster, interleaved, medians. Only ratios \
             count: above 1, ours is better.\n"
                .to_owned()
        });
        all.push_str(&text);
        fs::write(&page, all).with_context(|| format!("cannot write {PAGE}"))
    }

    fn markdown(&self, command: &str, machine: &str) -> Result<String> {
        let mut text = String::new();
        let rounds = self.sides[0].1.len();
        writeln!(text, "\n## {}\n\n`{command}`, {machine}\n", self.title)?;
        writeln!(text, "| | {}, median of {rounds} | all | CPU s |\n| --- | ---: | --- | ---: |", self.unit)?;
        for (name, samples) in &self.sides {
            let values: Vec<String> = samples.iter().map(|sample| number(sample.value)).collect();
            let cpu: Vec<f64> = samples.iter().filter_map(|sample| sample.cpu_seconds).collect();
            let cpu = if cpu.is_empty() { "-".to_owned() } else { format!("{:.2}", median(cpu)) };
            let middle = number(median(samples.iter().map(|sample| sample.value)));
            writeln!(text, "| {name} | {middle} | {} | {cpu} |", values.join(" · "))?;
        }
        writeln!(text, "\nRatio: **{:.2}**", self.ratio())?;
        Ok(text)
    }
}

/// The middle value; of an even number, the upper of the two in the middle.
fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn number(value: f64) -> String {
    if value >= 10_000.0 { format!("{:.0}k", value / 1000.0) } else { format!("{value:.1}") }
}

/// The date, the commit and the number of processors: what one needs to judge a figure, and nothing about whose they are.
fn machine() -> String {
    let ask = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let date = ask("date", &["-u", "+%Y-%m-%d"]).unwrap_or_default();
    let commit = ask("git", &["rev-parse", "--short", "HEAD"]).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!("{date}, at {commit}, {cores} cores for clients and brokers together")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(better: Better) -> Comparison {
        let mut comparison = Comparison::new("t", "u", better, ["a", "b"]);
        for (ours, peer) in [(30.0, 10.0), (10.0, 10.0), (20.0, 11.0)] {
            let sample = |value| Sample { value, seconds: 1.0, cpu_seconds: None };
            comparison.add([sample(ours), sample(peer)]);
        }
        comparison
    }

    #[test]
    fn the_ratio_is_of_medians_and_above_one_when_ours_is_better() {
        assert!((comparison(Better::Higher).ratio() - 2.0).abs() < 1e-9);
        assert!((comparison(Better::Lower).ratio() - 0.5).abs() < 1e-9);
    }

    #[test]
    fn the_page_shows_command_medians_and_ratio() -> Result<()> {
        let text = comparison(Better::Higher).markdown("do it", "here")?;
        for part in ["`do it`, here", "| a | 20.0 | 30.0 · 10.0 · 20.0 | - |", "Ratio: **2.00**"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        Ok(())
    }
}
