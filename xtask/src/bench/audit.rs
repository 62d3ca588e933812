//! Auditing at size: a cluster of 10,000 partitions, and a million lines of code.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::build_release;
use super::processes::kib;
use super::report::{Better, Comparison, Sample};
use crate::java::{Programs, json_answer};
use crate::kafka::jars::run;
use crate::kafka::{Jvm, Kafka, KafkaOptions};
use crate::paths;

const TOPICS: usize = 2_000;
const PARTITIONS: usize = 5;
const LINES: usize = 1_000_000;
/// Between two looks at the memory of a process.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// No run comes near it.
const LONGEST: Duration = Duration::from_secs(600);
/// The peer of code audits, as pip installs it.
const SEMGREP: &str = "semgrep==1.185.0";

/// Three brokers with 2,000 topics of five partitions each, one copy each: the machine is small.
pub(super) fn cluster(root: &Path, rounds: u32) -> Result<()> {
    build_release(root, &["-p", "klamm-cli"])?;
    let programs = Programs::compile(root)?;
    let kafka = Kafka::start(KafkaOptions {
        name: "bench-audit".into(),
        brokers: 3,
        jvm: Jvm::Fast,
        properties: vec![("log.index.size.max.bytes".into(), "4096".into())],
        ..KafkaOptions::default()
    })?;
    let java = |what: &str| {
        let mut command = programs.java("BenchAdmin");
        command.args(["--bootstrap", &kafka.bootstrap(), "--what", what, "--prefix", "audit"]);
        command.args(["--topics", &TOPICS.to_string(), "--partitions", &PARTITIONS.to_string()]);
        let answer = json_answer(&mut command)?;
        let seconds = answer["seconds"].as_f64().with_context(|| format!("no `seconds` in {answer}"))?;
        anyhow::Ok(Sample { value: seconds, seconds, cpu_seconds: None })
    };
    java("create")?;
    let title = format!("audit {TOPICS} topics x {PARTITIONS} partitions on 3 brokers");
    let names = ["klamm audit, from its start to its report", "Java Admin, warm, the same questions"];
    let mut audited = Comparison::new(&title, "s", Better::Lower, names);
    for _ in 0..rounds {
        let mut klamm = klamm();
        klamm.args(["audit", "--json", "--bootstrap", &kafka.bootstrap()]);
        audited.add([measured(&mut klamm, "\"event\":\"audit\"")?, java("audit")?]);
    }
    audited.publish(root, &format!("cargo xtask bench audit --rounds {rounds}"))
}

/// 4,000 files: one in five with Kafka in it, as in a large repository, and all of them, the worst case.
pub(super) fn code(root: &Path, rounds: u32) -> Result<()> {
    build_release(root, &["-p", "klamm-cli"])?;
    let semgrep = semgrep()?;
    let folder = tempfile::tempdir()?;
    let rule = folder.path().join("rule.yaml");
    fs::write(&rule, RULE)?;
    for every in [5, 1] {
        let tree = folder.path().join(format!("every-{every}"));
        write_tree(&tree, every)?;
        let kafka = if every == 1 { "all of it" } else { "one file in five" };
        let title = format!("audit {LINES} lines of Java, Python, Go and TypeScript, {kafka} with Kafka");
        let names = ["klamm audit --code, all rules", "semgrep, one rule for Java"];
        let mut audited = Comparison::new(&title, "s", Better::Lower, names);
        for _ in 0..rounds {
            let mut klamm = klamm();
            klamm.args(["audit", "--json", "--fail-on", "never", "--code"]).arg(&tree);
            let ours = measured(&mut klamm, "\"event\":\"audit\"")?;
            let mut peer = Command::new(&semgrep);
            peer.args(SCAN).arg("--config").arg(&rule).arg(&tree);
            audited.add([ours, measured(&mut peer, "\"results\"")?]);
        }
        audited.publish(root, &format!("cargo xtask bench audit-code --rounds {rounds}"))?;
    }
    Ok(())
}

/// Arguments of Semgrep: two jobs, and nothing sent anywhere.
const SCAN: [&str; 8] =
    ["scan", "--metrics=off", "--disable-version-check", "--no-git-ignore", "--quiet", "-j", "2", "--json"];

fn klamm() -> Command {
    Command::new(paths::target().join("release/klamm"))
}

/// Semgrep, installed once into the cache.
fn semgrep() -> Result<PathBuf> {
    let home = paths::cache().join(SEMGREP.replace("==", "-"));
    if !home.join("complete").exists() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home))?;
        run(Command::new(home.join("bin/pip")).args(["install", "-q", SEMGREP]))?;
        fs::write(home.join("complete"), "")?;
    }
    Ok(home.join("bin/semgrep"))
}

/// Runs to the end, and says on standard error how much memory the process had at the most.
fn measured(command: &mut Command, says: &str) -> Result<Sample> {
    let out = tempfile::NamedTempFile::new()?;
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(out.reopen()?)
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start it")?;
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut peak = 0;
    while child.try_wait()?.is_none() {
        peak = peak.max(kib(&status, "VmHWM").unwrap_or(0));
        if start.elapsed() > LONGEST {
            child.kill().and_then(|()| child.wait()).context("cannot end it")?;
            bail!("it was not done within {LONGEST:?}");
        }
        sleep(LOOK_EVERY);
    }
    let seconds = start.elapsed().as_secs_f64();
    let text = fs::read_to_string(out.path())?;
    ensure!(text.contains(says), "it did not say {says:?}: {text:.300}");
    eprintln!("    memory at the most: {} MB", peak / 1024);
    Ok(Sample { value: seconds, seconds, cpu_seconds: None })
}

/// A send whose result nobody looks at: what one of the rules of the audit is about.
const RULE: &str = "rules:\n- id: ignored\n  languages: [java]\n  severity: ERROR\n  message: ignored\n  patterns:\n  - pattern: |\n      $P.send($R);\n";

/// A language's file ending, the lines of a file's head, of a function without Kafka, and of one with it; `N` is a number.
type Language = (&'static str, &'static str, &'static str, &'static str);

const LANGUAGES: [Language; 4] = [
    (
        "java",
        "package a;\nimport org.apache.kafka.clients.producer.*;\nimport java.util.*;\nclass FN {\n  Producer<String, String> producer;\n",
        "  int workN(int a) {\n    int b = a * N;\n    for (int i = 0; i < b; i++) {\n      a += i % 7;\n    }\n    return a;\n  }\n",
        "  void sendN(String key) {\n    producer.send(new ProducerRecord<>(\"orders\", key, \"vN\"), (m, e) -> {\n      if (e != null) throw new IllegalStateException(e);\n    });\n  }\n",
    ),
    (
        "py",
        "from kafka import KafkaProducer\nproducer = KafkaProducer(acks='all')\n",
        "def work_N(a):\n    b = a * N\n    for i in range(b):\n        a += i % 7\n    return a\n\n",
        "def send_N(key):\n    return producer.send('orders', key=key, value=b'N').get(timeout=30)\n\n",
    ),
    (
        "go",
        "package a\nimport \"github.com/IBM/sarama\"\nvar producer sarama.SyncProducer\n",
        "func workN(a int) int {\n\tb := a * N\n\tfor i := 0; i < b; i++ {\n\t\ta += i % 7\n\t}\n\treturn a\n}\n",
        "func sendN(key string) error {\n\t_, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: \"orders\", Key: sarama.StringEncoder(key)})\n\treturn err\n}\n",
    ),
    (
        "ts",
        "import { Kafka } from 'kafkajs';\nconst producer = new Kafka({ brokers: ['b:9092'] }).producer();\n",
        "export function workN(a: number): number {\n  const b = a * N;\n  for (let i = 0; i < b; i++) {\n    a += i % 7;\n  }\n  return a;\n}\n",
        "export async function sendN(key: string) {\n  await producer.send({ topic: 'orders', messages: [{ key, value: 'N' }] });\n}\n",
    ),
];

fn write_tree(tree: &Path, every: usize) -> Result<()> {
    const FILE_LINES: usize = 250;
    for file in 0..LINES / FILE_LINES {
        let (ending, head, plain, kafka) = LANGUAGES[file % LANGUAGES.len()];
        let uses_kafka = file % every == 0;
        let mut text = if uses_kafka || ending == "java" {
            head.replace("FN", &format!("F{file}"))
        } else {
            String::new()
        };
        if !uses_kafka {
            text = text
                .replace("import org.apache.kafka.clients.producer.*;\n", "")
                .replace("  Producer<String, String> producer;\n", "");
        }
        if ending == "go" && !uses_kafka {
            text.push_str("package a\n");
        }
        let mut number = 1;
        while text.lines().count() < FILE_LINES - 1 {
            let part = if uses_kafka && number % 3 == 0 { kafka } else { plain };
            text.push_str(&part.replace('N', &number.to_string()));
            number += 1;
        }
        if ending == "java" {
            writeln!(text, "}}")?;
        }
        let folder = tree.join(format!("module{}", file / 100));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("f{file}.{ending}")), text)?;
    }
    Ok(())
}
