//! Where a run goes: the embedded broker, or a cluster of yours.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use klamm_admin::{Admin, ClientOptions};
use klamm_broker::{Broker, BrokerConfig, BrokerError, BrokerErrorKind, raise_open_files};
use klamm_contract::Profile;
use serde_json::{Value, json};

use crate::args::UpArgs;
use crate::connect;
use crate::failure::Failure;
use crate::load::Loaded;
use crate::screen;

/// A cluster to run on, connected.
pub struct Target {
    /// The embedded broker, when it is ours; it lives as long as the run.
    broker: Option<Broker>,
    /// How clients connect.
    pub options: ClientOptions,
    /// The connection of the run itself.
    pub admin: Admin,
    /// Where the read view is kept; `None` keeps nothing.
    pub views: Option<PathBuf>,
}

impl Target {
    /// Connects to `--bootstrap`, or starts the embedded broker.
    pub async fn open(args: &UpArgs, loaded: &Loaded) -> Result<Self, Failure> {
        let kept = (!args.ephemeral).then_some(args.data_dir.as_path());
        let broker = if args.cluster.bootstrap.is_empty() { Some(start(args, kept).await?) } else { None };
        let options = match &broker {
            Some(broker) => connect::options_for(&args.cluster, vec![broker.bootstrap()], Default::default()),
            None => connect::options(&args.cluster, loaded)?,
        };
        let admin = connect::connect(&options).await?;
        Ok(Target { broker, options, admin, views: kept.map(|dir| dir.join("views")) })
    }

    /// Ends the embedded broker in good order.
    pub async fn close(self) -> Result<(), Failure> {
        let Some(broker) = self.broker else { return Ok(()) };
        broker.shutdown().await.map_err(|error| {
            Failure::new(format!("the embedded broker did not close cleanly: {error}"))
                .hint("what was acknowledged is in its files all the same; the next start checks them first")
        })
    }

    /// Why the embedded broker takes no more records, when it is ours and cannot.
    pub fn trouble(&self) -> Option<Failure> {
        let broker = self.broker.as_ref()?;
        let what = broker.storage_failure()?;
        let place = broker.data_dir().display();
        Some(
            Failure::new(format!("the embedded broker cannot write to {place}: {what}"))
                .hint("make room, or choose another `--data-dir DIR`; what was acknowledged is there"),
        )
    }

    /// The `target` event.
    pub fn to_json(&self, profile: Profile) -> Value {
        json!({
            "embedded": self.broker.is_some(),
            "bootstrap": self.options.bootstrap,
            "cluster_id": self.admin.cluster_id(),
            "profile": profile,
            "data_dir": self.broker.as_ref().map(|broker| broker.data_dir().display().to_string()),
        })
    }

    /// The first line of a run.
    pub fn to_text(&self, profile: Profile) -> String {
        let bootstrap = self.options.bootstrap.join(",");
        let what = match &self.broker {
            Some(broker) => format!(
                "embedded broker on {bootstrap}, data in {}: for development and tests, never for production",
                broker.data_dir().display()
            ),
            None => format!("{} at {bootstrap}", self.admin.cluster_id()),
        };
        format!("cluster   {what} {}", screen::profile_note(profile)).trim_end().to_owned() + "\n"
    }
}

async fn start(args: &UpArgs, kept: Option<&Path>) -> Result<Broker, Failure> {
    let mut config = BrokerConfig::default();
    config.listen = SocketAddr::from(([127, 0, 0, 1], args.port));
    config.data_dir = kept.map(|dir| dir.join("broker"));
    config.auto_create_topics = false;
    raise_open_files();
    Broker::start(config).await.map_err(|error| cannot_start(&error))
}

/// Why the embedded broker does not start, and what to do.
pub fn cannot_start(error: &BrokerError) -> Failure {
    let hint = match error.kind() {
        BrokerErrorKind::PortTaken { .. } => "choose another port, or leave --port out for a free one",
        BrokerErrorKind::DataDirLocked { .. } => {
            "end the other instance, or give this one its own `--data-dir DIR` or `--ephemeral`"
        }
        BrokerErrorKind::DiskFull { .. } => "make room, or choose another `--data-dir DIR`",
        BrokerErrorKind::DataDirVersion { .. } => "choose another `--data-dir DIR`",
        BrokerErrorKind::Corrupt { .. } => {
            "the embedded broker is for development: remove the directory, or choose another `--data-dir DIR`"
        }
        _ => "check the directory's permissions, or choose another `--data-dir DIR`",
    };
    Failure::new(format!("the embedded broker does not start: {error}")).hint(hint)
}
