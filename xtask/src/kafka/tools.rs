//! Kafka's command-line tools as scripts in a folder, named as Kafka's own distribution names them, so that a command line
//! runs as it is printed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::jars::Jars;

/// The scripts, each with the class that it runs.
const TOOLS: [(&str, &str); 9] = [
    ("kafka-acls.sh", "org.apache.kafka.tools.AclCommand"),
    ("kafka-configs.sh", "kafka.admin.ConfigCommand"),
    ("kafka-consumer-groups.sh", "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"),
    ("kafka-features.sh", "org.apache.kafka.tools.FeatureCommand"),
    ("kafka-get-offsets.sh", "org.apache.kafka.tools.GetOffsetShell"),
    ("kafka-leader-election.sh", "org.apache.kafka.tools.LeaderElectionCommand"),
    ("kafka-reassign-partitions.sh", "org.apache.kafka.tools.reassign.ReassignPartitionsCommand"),
    ("kafka-topics.sh", "org.apache.kafka.tools.TopicCommand"),
    ("kafka-transactions.sh", "org.apache.kafka.tools.TransactionsCommand"),
];

/// The folder with the scripts.
#[derive(Debug, Clone)]
pub struct Tools {
    dir: PathBuf,
}

impl Tools {
    /// Writes the scripts into `dir`.
    pub fn write(jars: &Jars, dir: &Path) -> Result<Tools> {
        fs::create_dir_all(dir)?;
        for (name, class) in TOOLS {
            let script = dir.join(name);
            let text = format!(
                "#!/bin/sh\nexec java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto \
                 -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp '{}' {class} \"$@\"\n",
                jars.classpath()
            );
            fs::write(&script, text).with_context(|| format!("cannot write {}", script.display()))?;
            fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
        }
        Ok(Tools { dir: dir.to_path_buf() })
    }

    /// A shell that runs one command line with the scripts, and `also`, in front of its path.
    pub fn shell(&self, also: &Path, line: &str) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        command.env("PATH", format!("{}:{}:{path}", also.display(), self.dir.display()));
        command
    }
}
