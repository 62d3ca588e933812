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

    /// Which of the exported files nodes are started with.
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Roles {
        Combined,
        /// A controller and a broker, each with its own.
        Apart,
    }

    /// Starts `release` with the exported files; only what belongs to this machine is put behind them.
    async fn starts(release: &str, roles: Roles) -> Result<()> {
        let version = release.rsplit_once('.').context("a patch release")?.0;
        let place = Place::with_spec(&spec(version))?;
        let exported = place.run(&["export", "--format", "server-properties", "--out", "out"]).await?;
        ensure!(exported.code == Some(0), "{exported:?}");
        let [clients, replication, controller] = ports()?;
        let serving = format!("CLIENTS://127.0.0.1:{clients},REPLICATION://127.0.0.1:{replication}");
        let quorum = format!("CONTROLLER://127.0.0.1:{controller}");
        let nodes = match roles {
            Roles::Combined => vec![("combined", 1, format!("{serving},{quorum}"))],
            Roles::Apart => vec![("controller", 1, quorum), ("broker", 2, serving)],
        };
        let jars = Jars::ensure_broker(release)?;
        let mut running = Vec::new();
        for (name, id, listeners) in &nodes {
            let file = place.file(&format!("out/{name}.properties"));
            let mut text = std::fs::read_to_string(&file)?;
            text.push_str(&format!(
                "\nnode.id={id}\nlisteners={listeners}\n\
                 controller.quorum.bootstrap.servers=127.0.0.1:{controller}\nlog.dirs={}\n",
                place.file(&format!("data-{name}")).display()
            ));
            std::fs::write(&file, text)?;
            let mut format = jars.java(&["-Xmx256m"]);
            format
                .args(["kafka.tools.StorageTool", "format", "-t", "4L6g3nShT-eMCtK--X86sw", "-c"])
                .arg(&file);
            if *name != "broker" {
                format.arg("--standalone");
            }
            run(&mut format)?;
            let log = std::fs::File::create(place.file(&format!("{name}.log")))?;
            let mut kafka = jars.java(&["-Xmx512m"]);
            kafka.args(["kafka.Kafka"]).arg(&file).stdout(Stdio::null()).stderr(log);
            running.push(Node(kafka.spawn()?));
        }
        let log = place.file(&format!("{}.log", nodes[nodes.len() - 1].0));
        let bootstrap = format!("127.0.0.1:{clients}");
        let applied = eventually(STARTS, "the broker to take the plan", || async {
            let arguments = ["apply", "--yes", "--bootstrap", &bootstrap, "--timeout", "5s"];
            let applied = place.run(&arguments).await?;
            ensure!(applied.code == Some(0), "{applied:?}");
            Ok(())
        })
        .await;
        let said = std::fs::read_to_string(&log)?;
        applied.with_context(|| format!("Kafka {release} said:\n{}", xtask::kafka::jars::tail(&said, 15)))?;
        let again = place.run(&["apply", "--dry-run", "--bootstrap", &bootstrap]).await?;
        let said = std::fs::read_to_string(&log)?;
        ensure!(again.code == Some(0), "nothing is left to change: {again:?}; Kafka said:\n{said}");
        Ok(())
    }

    #[tokio::test]
    async fn kafka_3_9_starts_with_its_file_and_takes_the_plan() -> Result<()> {
        starts(RELEASES[0], Roles::Combined).await
    }

    #[tokio::test]
    async fn kafka_4_3_starts_with_the_files_of_controller_and_broker_and_takes_the_plan() -> Result<()> {
        starts(RELEASES[1], Roles::Apart).await
    }

    #[tokio::test]
    async fn kafka_4_4_starts_with_its_file_and_takes_the_plan() -> Result<()> {
        starts(RELEASES[2], Roles::Combined).await
    }
}
