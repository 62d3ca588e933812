//! Producing and consuming on three real brokers.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::report::{Better, Comparison, Sample};
use super::{Load, build_release};
use crate::java::{Programs, json_answer};
use crate::kafka::jars::run;
use crate::kafka::{Jvm, Kafka, KafkaOptions};
use crate::paths;

const PARTITIONS: i32 = 6;
const REPLICAS: i16 = 3;

/// Ours is the example `bench_produce` of klamm-client.
pub(super) fn produce(root: &Path, load: &Load) -> Result<()> {
    let bench = Bench::prepare(root, &["bench_produce"])?;
    let title = format!(
        "produce {} x {} B, {}, linger {} ms, batch.size {}",
        load.records, load.size, load.compression, load.linger_ms, load.batch_bytes
    );
    let mut comparison = Comparison::new(&title, "records/s", Better::Higher, ["klamm", "Java, warm"]);
    for round in 1..=load.rounds.rounds {
        let topic = bench.topic(&format!("produce-klamm-{round}"))?;
        let ours = bench.example("bench_produce").args(bench.flags(&topic, load)).json()?;
        bench.kafka.raw(1)?.delete_topic(&topic)?;

        let topic = bench.topic(&format!("produce-java-{round}"))?;
        let peer = bench.programs.java("BenchProduce").args(bench.flags(&topic, load)).json()?;
        bench.kafka.raw(1)?.delete_topic(&topic)?;
        comparison.add([ours, peer]);
    }
    comparison.publish(root, &command_line("produce", load))
}

/// Ours is the example `bench_consume` of klamm-client, the peer Kafka's own `ConsumerPerformance`. Neither counts the
/// time that joining the group takes; both read what our producer wrote. The JVM of the peer starts cold.
pub(super) fn consume(root: &Path, load: &Load) -> Result<()> {
    let bench = Bench::prepare(root, &["bench_produce", "bench_consume"])?;
    let topic = bench.topic("consume")?;
    bench.example("bench_produce").args(bench.flags(&topic, load)).json()?;

    let title = format!("consume {} x {} B, {}", load.records, load.size, load.compression);
    let names = ["klamm", "ConsumerPerformance"];
    let mut comparison = Comparison::new(&title, "records/s", Better::Higher, names);
    for round in 1..=load.rounds.rounds {
        let mut ours = bench.example("bench_consume");
        ours.args(["--bootstrap", &bench.kafka.bootstrap(), "--topic", &topic]);
        ours.args(["--records", &load.records.to_string()]);
        let ours = ours.json()?;
        comparison.add([ours, bench.consumer_performance(&topic, round, load.records)?]);
    }
    comparison.publish(root, &command_line("consume", load))
}

struct Bench<'a> {
    root: &'a Path,
    kafka: Kafka,
    programs: Programs,
}

impl Bench<'_> {
    fn prepare<'a>(root: &'a Path, examples: &[&str]) -> Result<Bench<'a>> {
        let examples = examples.iter().flat_map(|name| ["--example", *name]);
        build_release(root, &["-p", "klamm-client"].into_iter().chain(examples).collect::<Vec<_>>())?;
        let programs = Programs::compile(root)?;
        eprintln!("starting three brokers");
        let kafka = Kafka::start(KafkaOptions {
            name: "bench".into(),
            brokers: 3,
            jvm: Jvm::Fast,
            // Topics of finished rounds must not fill the disk.
            properties: vec![("log.segment.delete.delay.ms".into(), "1000".into())],
            ..KafkaOptions::default()
        })?;
        Ok(Bench { root, kafka, programs })
    }

    fn topic(&self, name: &str) -> Result<String> {
        self.kafka.raw(1)?.create_topic(name, PARTITIONS, REPLICAS, &[])?;
        Ok(name.to_owned())
    }

    fn example(&self, name: &str) -> Command {
        let mut command = Command::new(paths::target().join("release/examples").join(name));
        command.current_dir(self.root);
        command
    }

    fn flags(&self, topic: &str, load: &Load) -> Vec<String> {
        let pairs = [
            ("--bootstrap", self.kafka.bootstrap()),
            ("--topic", topic.to_owned()),
            ("--records", load.records.to_string()),
            ("--size", load.size.to_string()),
            ("--compression", load.compression.clone()),
            ("--linger-ms", load.linger_ms.to_string()),
            ("--batch-bytes", load.batch_bytes.to_string()),
        ];
        pairs.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
    }

    fn consumer_performance(&self, topic: &str, round: u32, records: u64) -> Result<Sample> {
        let mut tool = self.programs.java("org.apache.kafka.tools.ConsumerPerformance");
        tool.args(["--bootstrap-server", &self.kafka.bootstrap(), "--topic", topic, "--hide-header"]);
        tool.args(["--group", &format!("java-{round}"), "--num-records", &records.to_string()]);
        let output = run(&mut tool)?;
        parse_consumer_performance(&String::from_utf8_lossy(&output.stdout))
    }
}

/// The fifth column is the number of records; the last is records a second without the time to join the group.
fn parse_consumer_performance(text: &str) -> Result<Sample> {
    let line = text.lines().rev().find(|line| line.split(", ").count() == 10);
    let line = line.with_context(|| format!("ConsumerPerformance printed no figures: {text:?}"))?;
    let column = |index: usize| {
        let text = line.split(", ").nth(index).unwrap_or_default().trim();
        text.parse::<f64>().with_context(|| format!("column {index} of {line:?} is no number"))
    };
    let (records, rate) = (column(4)?, column(9)?);
    ensure!(rate > 0.0, "ConsumerPerformance read nothing: {line:?}");
    Ok(Sample { value: rate, seconds: records / rate, cpu_seconds: None })
}

trait Json {
    fn json(&mut self) -> Result<Sample>;
}

impl Json for Command {
    /// Runs the command and reads `{"records", "seconds", "cpu_seconds"}` off its last line.
    fn json(&mut self) -> Result<Sample> {
        let answer = json_answer(self)?;
        let number = |name: &str| answer[name].as_f64().with_context(|| format!("no `{name}` in {answer}"));
        let (records, seconds) = (number("records")?, number("seconds")?);
        ensure!(seconds > 0.0, "no time passed: {answer}");
        Ok(Sample { value: records / seconds, seconds, cpu_seconds: number("cpu_seconds").ok() })
    }
}

fn command_line(what: &str, load: &Load) -> String {
    format!(
        "cargo xtask bench {what} --records {} --size {} --compression {} --linger-ms {} --batch-bytes {} --rounds {}",
        load.records, load.size, load.compression, load.linger_ms, load.batch_bytes, load.rounds.rounds
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consumer_performances_last_line_is_read() -> Result<()> {
        let text = "WARNING: x\n2026-01-01 00:00:00:000, 2026-01-01 00:00:02:000, 95.3, 47.6, 1000000, 400000.0, 500, 2000, 47.7, 500000.0\n";
        let sample = parse_consumer_performance(text)?;
        assert_eq!((sample.value, sample.seconds), (500_000.0, 2.0));
        assert!(parse_consumer_performance("nothing").is_err());
        Ok(())
    }
}
