//! Services that `klamm init --service` writes: they compile, run, finish what is in work when told to end, and go on after it.

use anyhow::{Result, ensure};

use xtask::paths::root;

use crate::harness::{Place, same_as_committed};

/// `UPDATE=1 cargo test -p klamm-cli --test e2e services` writes it anew; the stage `outside` compiles it.
#[tokio::test]
async fn the_service_in_rust_is_the_one_that_is_compiled_outside() -> Result<()> {
    let place = Place::new()?;
    std::fs::copy(root().join("examples/orders/klamm.yaml"), place.file("klamm.yaml"))?;
    let written = place.run(&["init", "--service", "rust"]).await?;
    ensure!(written.code == Some(0), "{written:?}");
    let fresh = std::fs::read_to_string(place.file("service/src/main.rs"))?;
    same_as_committed("tests/outside/src/bin/service.rs", &fresh)?;
    let twice = place.run(&["init", "--service", "rust"]).await?;
    twice.failed_with(&["exists already", "--force"])
}

#[tokio::test]
async fn a_service_without_a_spec_brings_one_and_one_without_a_group_is_told() -> Result<()> {
    let place = Place::with_spec("klamm: 1\nservice: s\ntopics:\n  TOPIC:\n")?;
    place.run(&["init", "--service", "python"]).await?.failed_with(&["no consumer group"])?;
    let fresh = place.run(&["init", "--service", "python", "new.yaml"]).await?;
    ensure!(fresh.code == Some(0) && place.file("new.yaml").exists(), "{fresh:?}");
    ensure!(place.file("service/config/kafka_settings.py").exists());
    Ok(())
}

mod on_real_kafka {
    use std::io::Write;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use anyhow::Context;
    use klamm_admin::{Admin, ClientOptions};
    use klamm_testkit::{Tier, eventually, run};
    use rustix::process::{Pid, Signal, kill_process};
    use xtask::clients::Clients;
    use xtask::kafka::VERSION;
    use xtask::kafka::jars::{self, Jars};

    use super::*;

    const WITHIN: Duration = Duration::from_secs(60);
    const LINES: usize = 200;

    /// Writes lines, reads them, ends the reader by SIGTERM: all of them were read, and their offsets are committed.
    fn holds(language: &str, command: impl Fn(&Place) -> Result<Command>) -> Result<()> {
        let place = Place::new()?;
        run(Tier::Real, async |cluster| {
            let bootstrap = cluster.bootstrap();
            let applied =
                place.run(&["apply", "--yes", "--bootstrap", &bootstrap, "--lock-timeout", "90s"]).await?;
            ensure!(applied.code == Some(0), "{applied:?}");
            let written = place.run(&["init", "--service", language]).await?;
            ensure!(written.code == Some(0), "{written:?}");
            let start = |what: &str, out: Stdio| {
                let mut service = command(&place)?;
                service.arg(what).current_dir(place.file("service")).env("KAFKA_BOOTSTRAP", &bootstrap);
                service.stdin(Stdio::piped()).stdout(out).spawn().context("cannot start the service")
            };
            let mut writer = start("produce", Stdio::null())?;
            let lines: String = (0..LINES).map(|line| format!("key-{}\tvalue {line}\n", line % 7)).collect();
            writer.stdin.take().context("a pipe")?.write_all(lines.as_bytes())?;
            ensure!(writer.wait()?.success(), "the producer failed");
            let out = std::fs::File::create(place.file("out"))?;
            let mut reader = start("consume", out.into())?;
            let read = || std::fs::read_to_string(place.file("out")).unwrap_or_default();
            let all = eventually(WITHIN, "all lines", async || {
                let count = read().lines().count();
                if count == LINES { Ok(()) } else { Err(format!("{count} lines")) }
            })
            .await;
            let pid = Pid::from_raw(i32::try_from(reader.id())?).context("a process id")?;
            kill_process(pid, Signal::TERM)?;
            reader.wait()?;
            all?;
            let mut got: Vec<String> = read().lines().map(str::to_owned).collect();
            let mut sent: Vec<String> = lines.lines().map(str::to_owned).collect();
            got.sort();
            sent.sort();
            ensure!(got == sent, "what was read is not what was written");
            let admin = Admin::connect(&ClientOptions::new([bootstrap.clone()])).await?;
            let committed: i64 =
                admin.group_offsets(&place.group, &[]).await?.iter().map(|offset| offset.offset).sum();
            ensure!(committed == LINES as i64, "{committed} committed");
            let members = admin.describe_group(&place.group).await?.members;
            ensure!(members.is_empty(), "it left the group: {members:?}");
            Ok(())
        })
    }

    #[test]
    fn the_service_in_java_stores_reads_commits_and_ends() -> Result<()> {
        let libs = Jars::ensure(VERSION)?;
        holds("java", |place| {
            let mut javac = Command::new("javac");
            let folder = place.file("service");
            javac.args(["-Xlint:all,-processing", "-Werror", "-cp", &libs.classpath(), "-d"]).arg(&folder);
            jars::run(javac.arg(folder.join("Service.java")))?;
            let mut java = Command::new("java");
            java.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
                .arg("-cp")
                .arg(format!("{}:{}", folder.display(), libs.classpath()))
                .arg("Service");
            Ok(java)
        })
    }

    #[test]
    fn the_service_in_python_stores_reads_commits_and_ends() -> Result<()> {
        let clients = Clients::ensure(&root())?;
        holds("python", |place| Ok(clients.python_at(&place.file("service/service.py"))))
    }
}
