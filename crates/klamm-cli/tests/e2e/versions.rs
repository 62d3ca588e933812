//! Versions of Kafka: each starts with the file that is exported for it, and is planned and applied against.

mod on_real_kafka {
    use std::net::TcpListener;
    use std::process::{Child, Stdio};
    use std::time::Duration;

    use anyhow::{Context, Result, ensure};
    use klamm_testkit::eventually;
    use xtask::kafka::RELEASES;
    use xtask::kafka::jars::{Jars, run};

    use crate::harness::Place;

    const STARTS: Duration = Duration::from_secs(90);

    /// A broker of the test's own, ended with it.
    struct Node(Child);

    impl Drop for Node {
        fn drop(&mut self) {
            // It may have ended by itself; there is nothing else to do with the answer.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn spec(version: &str) -> String {
        format!(
            "klamm: 1\nservice: orders\nprofile: dev\ncluster:\n  version: \"{version}\"\n  brokers: 1\n\
             topics:\n  TOPIC:\n    key: id\nconsumers:\n  GROUP:\n    reads: [TOPIC]\n"
        )
    }

    /// Three ports that are free now.
    fn ports() -> Result<[u16; 3]> {
        let held = [
            TcpListener::bind("127.0.0.1:0")?,
            TcpListener::bind("127.0.0.1:0")?,
            TcpListener::bind("127.0.0.1:0")?,
        ];
        Ok([held[0].local_addr()?.port(), held[1].local_addr()?.port(), held[2].local_addr()?.port()])
    }

    /// Starts `release` with the exported file; only what belongs to this machine is put behind it.
    async fn starts(release: &str) -> Result<()> {
        let version = release.rsplit_once('.').context("a patch release")?.0;
        let place = Place::with_spec(&spec(version))?;
        let exported = place.run(&["export", "--format", "server-properties", "--out", "out"]).await?;
        ensure!(exported.code == Some(0), "{exported:?}");
        let file = place.file("out/combined.properties");
        let [clients, replication, controller] = ports()?;
        let mut text = std::fs::read_to_string(&file)?;
        text.push_str(&format!(
            "\nlisteners=CLIENTS://127.0.0.1:{clients},REPLICATION://127.0.0.1:{replication},CONTROLLER://127.0.0.1:{controller}\n\
             controller.quorum.bootstrap.servers=127.0.0.1:{controller}\nlog.dirs={}\n",
            place.file("data").display()
        ));
        std::fs::write(&file, text)?;
        let jars = Jars::ensure_broker(release)?;
        let format = ["format", "--standalone", "-t", "4L6g3nShT-eMCtK--X86sw", "-c"];
        run(jars.java(&["-Xmx256m"]).arg("kafka.tools.StorageTool").args(format).arg(&file))?;
        let log = std::fs::File::create(place.file("kafka.log"))?;
        let mut kafka = jars.java(&["-Xmx512m"]);
        kafka.args(["kafka.Kafka"]).arg(&file).stdout(Stdio::null()).stderr(log);
        let _node = Node(kafka.spawn()?);
        let bootstrap = format!("127.0.0.1:{clients}");
        let applied = eventually(STARTS, "the broker to take the plan", || async {
            let arguments = ["apply", "--yes", "--bootstrap", &bootstrap, "--timeout", "5s"];
            let applied = place.run(&arguments).await?;
            ensure!(applied.code == Some(0), "{applied:?}");
            Ok(())
        })
        .await;
        let said = std::fs::read_to_string(place.file("kafka.log"))?;
        applied.with_context(|| format!("Kafka {release} said:\n{}", xtask::kafka::jars::tail(&said, 15)))?;
        let again = place.run(&["apply", "--dry-run", "--bootstrap", &bootstrap]).await?;
        let said = std::fs::read_to_string(place.file("kafka.log"))?;
        ensure!(again.code == Some(0), "nothing is left to change: {again:?}; Kafka said:\n{said}");
        Ok(())
    }

    #[tokio::test]
    async fn kafka_3_9_starts_with_its_file_and_takes_the_plan() -> Result<()> {
        starts(RELEASES[0]).await
    }

    #[tokio::test]
    async fn kafka_4_3_starts_with_its_file_and_takes_the_plan() -> Result<()> {
        starts(RELEASES[1]).await
    }

    #[tokio::test]
    async fn kafka_4_4_starts_with_its_file_and_takes_the_plan() -> Result<()> {
        starts(RELEASES[2]).await
    }
}
