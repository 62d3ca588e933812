//! Real Apache Kafka on loopback, from Maven's jars: one or more nodes, killed, paused and started again at will.
//!
//! A cluster lives in one folder: `cluster.json` describes it, `node-<id>/` holds a node's properties, data, log and
//! pid file. Whoever holds a [`Kafka`] with [`Lifetime::Process`] takes the cluster with him when he goes, however he
//! goes; one with [`Lifetime::Detached`] stays until `cargo xtask kafka down`.

pub mod certificates;
pub mod cli;
pub mod jars;
pub mod process;
pub mod properties;
pub mod raw;
pub mod state;
pub mod tools;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use rustix::process::Signal;

use certificates::Certificates;
use jars::Jars;
use process::{ProcessId, spawn_guard, spawn_logged};
use state::{ClusterState, Listener, NodeState, Role, free_ports, node_dir, pid_file};

/// The version that is run unless another is asked for.
pub const VERSION: &str = "4.3.1";

/// The releases that exported broker files are tried on: the last of 3.x, the one of all other tests, the newest.
pub const RELEASES: [&str; 3] = ["3.9.1", VERSION, "4.4.0"];

/// The id of the controller when it runs apart from the brokers, which are numbered from 1.
pub const CONTROLLER_ID: i32 = 100;

/// How long a start may take. A quiet machine needs 10 s; two cores that also compile need far more.
const START_BOUND: Duration = Duration::from_secs(180);

/// How long a node may take to shut down after SIGTERM.
const STOP_BOUND: Duration = Duration::from_secs(60);

/// slf4j-simple writes to standard error, which goes to the node's log.
const LOGGING: [&str; 3] = [
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
    "-Dorg.slf4j.simpleLogger.showThreadName=false",
];

/// What to start.
#[derive(Debug, Clone)]
pub struct KafkaOptions {
    /// Names the folder; with [`Lifetime::Process`] the process id is added, so that programs do not meet.
    pub name: String,
    /// The folder that holds the cluster's folder; `None` is `kafka` in Cargo's target folder.
    pub root: Option<PathBuf>,
    /// How many brokers.
    pub brokers: u8,
    /// Where the metadata quorum runs.
    pub controller: Controller,
    /// Which listeners the brokers have.
    pub listeners: Listeners,
    /// Added to every node's `server.properties`, and stronger than what is there.
    pub properties: Vec<(String, String)>,
    /// How the JVMs are tuned.
    pub jvm: Jvm,
    /// What ends the cluster.
    pub lifetime: Lifetime,
    /// The version of Apache Kafka.
    pub version: String,
}

impl Default for KafkaOptions {
    fn default() -> Self {
        KafkaOptions {
            name: "dev".into(),
            root: None,
            brokers: 1,
            controller: Controller::Combined,
            listeners: Listeners::Plaintext,
            properties: Vec::new(),
            jvm: Jvm::Small,
            lifetime: Lifetime::Process,
            version: VERSION.into(),
        }
    }
}

/// Where the metadata quorum runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum Controller {
    /// In the brokers: with most of them gone, the metadata quorum is gone too.
    Combined,
    /// In one more node, [`CONTROLLER_ID`]: brokers can stop and the cluster still changes leaders and ISRs.
    Apart,
}

/// Which listeners the brokers have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listeners {
    /// PLAINTEXT only.
    Plaintext,
    /// Also SSL, SASL_PLAINTEXT and SASL_SSL, with an authorizer that knows a powerful and a powerless user.
    Secured,
}

/// How the JVMs are tuned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jvm {
    /// Small and quick to start: for tests.
    Small,
    /// As Kafka's own start script has it: for measurements.
    Fast,
}

impl Jvm {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Jvm::Small => &["-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"],
            Jvm::Fast => &["-Xms1g", "-Xmx1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"],
        }
    }
}

/// What ends a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// The end of this process, even by SIGKILL, or the drop of the handle, whichever is first.
    Process,
    /// Only [`Kafka::down`].
    Detached,
}

/// A handle on a running cluster.
#[derive(Debug)]
pub struct Kafka {
    dir: PathBuf,
    state: ClusterState,
    jars: Jars,
    jvm: Jvm,
    lifetime: Lifetime,
    /// Nodes that this process started: they must be reaped by it.
    children: Mutex<BTreeMap<i32, Child>>,
    guard: Option<Child>,
}

impl Kafka {
    /// Starts a cluster and returns when every broker serves and knows all the others.
    pub fn start(options: KafkaOptions) -> Result<Kafka> {
        let kafka = Kafka::prepare(options)?;
        let launched = kafka.state.nodes.keys().try_for_each(|&id| kafka.launch(id));
        if let Err(error) = launched.and_then(|()| kafka.wait_ready()) {
            // Nobody will have a handle on it, whatever its lifetime was to be.
            kafka.end_all();
            return Err(error);
        }
        Ok(kafka)
    }

    /// Does everything but start the nodes: storage formatted, ports chosen.
    pub fn prepare(options: KafkaOptions) -> Result<Kafka> {
        ensure!((1..=9).contains(&options.brokers), "{} brokers: 1 to 9 are possible", options.brokers);
        let jars = Jars::ensure(&options.version)?;
        let root = options.root.clone().unwrap_or_else(state::default_root);
        sweep(&root)?;
        let dir = root.join(folder_name(&options));
        if dir.exists() {
            let running = ClusterState::read(&dir).map_or(0, |state| state.running(&dir).len());
            ensure!(
                running == 0,
                "cluster {} already runs\nhint: cargo xtask kafka down --name {0}",
                options.name
            );
            fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
        }

        let state = describe(&options, &dir)?;
        state.write(&dir)?;
        let guard = match options.lifetime {
            Lifetime::Process => Some(spawn_guard(&dir)?),
            Lifetime::Detached => None,
        };
        let jvm = options.jvm;
        let lifetime = options.lifetime;
        let kafka = Kafka { dir, state, jars, jvm, lifetime, children: Mutex::default(), guard };
        kafka.format(&options.properties)?;
        Ok(kafka)
    }

    /// A handle on a detached cluster that runs already; dropping it leaves the cluster alone.
    pub fn open(dir: &Path) -> Result<Kafka> {
        let state = ClusterState::read(dir)?;
        Ok(Kafka {
            dir: dir.to_path_buf(),
            jars: Jars::ensure(&state.version)?,
            state,
            jvm: Jvm::Small,
            lifetime: Lifetime::Detached,
            children: Mutex::default(),
            guard: None,
        })
    }

    /// The addresses of all brokers, running or not: `127.0.0.1:port,127.0.0.1:port`.
    pub fn bootstrap(&self) -> String {
        self.bootstrap_of(Listener::Plaintext).unwrap_or_default()
    }

    /// The addresses of all brokers on one kind of listener; `None` if they do not have it.
    pub fn bootstrap_of(&self, listener: Listener) -> Option<String> {
        let ports = self.brokers().filter_map(|(_, node)| node.ports.get(&listener));
        let addresses: Vec<String> = ports.map(|port| format!("127.0.0.1:{port}")).collect();
        (!addresses.is_empty()).then(|| addresses.join(","))
    }

    /// A connection to a broker's PLAINTEXT listener, spoken by hand.
    pub fn raw(&self, id: i32) -> Result<raw::Raw> {
        raw::Raw::connect(self.port(id)?)
    }

    /// The port of a broker's PLAINTEXT listener.
    pub fn port(&self, id: i32) -> Result<u16> {
        let port = self.state.nodes.get(&id).and_then(|node| node.ports.get(&Listener::Plaintext));
        port.copied().with_context(|| format!("node {id} has no PLAINTEXT listener"))
    }

    /// The ids of all brokers, running or not.
    pub fn broker_ids(&self) -> Vec<i32> {
        self.brokers().map(|(id, _)| id).collect()
    }

    /// What is remembered about the cluster: ports, certificates, cluster id.
    pub fn state(&self) -> &ClusterState {
        &self.state
    }

    /// The folder of the cluster.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The jars that it runs from, for Kafka's own tools.
    pub fn jars(&self) -> &Jars {
        &self.jars
    }

    /// The process of a node, if it runs.
    pub fn process(&self, id: i32) -> Result<ProcessId> {
        ensure!(self.state.nodes.contains_key(&id), "no node {id}: there are {:?}", self.state.nodes.keys());
        let process = ProcessId::read(&pid_file(&self.dir, id)).filter(|process| process.is_alive());
        process.with_context(|| format!("node {id} does not run"))
    }

    /// SIGKILL: the node gets no chance to say goodbye.
    pub fn kill(&self, id: i32) -> Result<()> {
        self.end(id, Signal::KILL)
    }

    /// SIGTERM, and waits for the orderly end: leaders move away first.
    pub fn stop_node(&self, id: i32) -> Result<()> {
        self.end(id, Signal::TERM)
    }

    /// SIGSTOP: the node keeps its connections and says nothing.
    pub fn pause(&self, id: i32) -> Result<()> {
        self.process(id)?.signal(Signal::STOP)
    }

    /// SIGCONT.
    pub fn resume(&self, id: i32) -> Result<()> {
        self.process(id)?.signal(Signal::CONT)
    }

    /// Starts a node that was killed or stopped, on its old data and ports, and waits until it serves. That its replicas
    /// are in sync again is the caller's to wait for.
    pub fn start_node(&self, id: i32) -> Result<()> {
        ensure!(self.process(id).is_err(), "node {id} runs already");
        self.launch(id)?;
        match self.state.nodes.get(&id) {
            Some(node) if node.role.is_broker() => self.wait_for(id, &[id]),
            _ => Ok(()),
        }
    }

    /// Adds settings to the properties of a node that does not run; the last of a name wins.
    pub fn configure(&self, id: i32, settings: &[(&str, &str)]) -> Result<()> {
        ensure!(self.process(id).is_err(), "node {id} runs: its file is read when it starts");
        let file = node_dir(&self.dir, id).join("server.properties");
        let mut text = fs::read_to_string(&file)?;
        settings.iter().for_each(|(name, value)| text.push_str(&format!("{name}={value}\n")));
        Ok(fs::write(file, text)?)
    }

    /// Starts a node that does not run with its wall clock so many seconds ahead; its monotonic clock stays as it is.
    pub fn start_node_ahead(&self, id: i32, seconds: i64) -> Result<()> {
        ensure!(self.process(id).is_err(), "node {id} runs already");
        let library = faketime()?;
        self.launch_with(id, |command| {
            command.env("LD_PRELOAD", &library).env("FAKETIME", format!("{seconds:+}s"));
            command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("FAKETIME_DONT_RESET", "1");
        })?;
        self.wait_for(id, &[id])
    }

    /// Ends every node at once and removes the folder. The data is not worth an orderly shutdown.
    pub fn down(mut self) -> Result<()> {
        self.lifetime = Lifetime::Detached;
        self.end_all();
        remove(&self.dir)
    }

    fn brokers(&self) -> impl Iterator<Item = (i32, &NodeState)> {
        self.state.nodes.iter().filter(|(_, node)| node.role.is_broker()).map(|(&id, node)| (id, node))
    }

    /// Writes every node's properties and storage. The storage of one is formatted by Kafka's own tool, the others
    /// are copies with another node id: that saves a JVM start for each.
    fn format(&self, extra: &[(String, String)]) -> Result<()> {
        for (&id, node) in &self.state.nodes {
            let node_dir = node_dir(&self.dir, id);
            fs::create_dir_all(&node_dir)?;
            let text = properties::server_properties(&self.state, &self.dir, id, node, extra);
            fs::write(node_dir.join("server.properties"), text)?;
        }
        let Some(&first) = self.state.nodes.keys().next() else { return Ok(()) };
        let mut tool = self.jars.java(&["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]);
        tool.args(["kafka.tools.StorageTool", "format", "-t", &self.state.cluster_id, "-c"]);
        tool.arg(node_dir(&self.dir, first).join("server.properties"));
        if self.state.certificates.is_some() {
            for user in properties::scram_users() {
                tool.args(["--add-scram", &user]);
            }
        }
        jars::run(&mut tool).context("cannot format the storage")?;
        let template = node_dir(&self.dir, first).join("data");
        for &id in self.state.nodes.keys().filter(|&&id| id != first) {
            copy_storage(&template, &node_dir(&self.dir, id).join("data"), id)?;
        }
        Ok(())
    }

    /// Starts a node and does not wait for anything.
    pub fn launch(&self, id: i32) -> Result<()> {
        self.launch_with(id, |_| {})
    }

    fn launch_with(&self, id: i32, prepare: impl FnOnce(&mut Command)) -> Result<()> {
        let dir = node_dir(&self.dir, id);
        let mut arguments = self.jvm.arguments().to_vec();
        arguments.extend(LOGGING);
        let mut command = self.jars.java(&arguments);
        command.arg("kafka.Kafka").current_dir(&dir).arg(dir.join("server.properties"));
        prepare(&mut command);
        let child = spawn_logged(&mut command, &dir.join("log"))?;
        let pid = i32::try_from(child.id())?;
        self.children().insert(id, child);
        ProcessId::of(pid)
            .with_context(|| format!("node {id} ended at once"))?
            .write(&pid_file(&self.dir, id))
    }

    fn wait_ready(&self) -> Result<()> {
        let all = self.broker_ids();
        all.iter().try_for_each(|&id| self.wait_for(id, &all))
    }

    /// Waits until the broker `id` serves and knows the brokers `known`.
    fn wait_for(&self, id: i32, known: &[i32]) -> Result<()> {
        let port = self.port(id)?;
        let deadline = Instant::now() + START_BOUND;
        loop {
            let answer = raw::Raw::connect(port).and_then(|mut broker| broker.live_brokers());
            if answer.as_ref().is_ok_and(|live| known.iter().all(|id| live.contains(id))) {
                return Ok(());
            }
            for &other in self.state.nodes.keys().filter(|&&other| other == id || known.contains(&other)) {
                if self.process(other).is_err() {
                    bail!(
                        "node {other} ended while it started; the end of its log:\n{}",
                        self.log_tail(other)
                    );
                }
            }
            if Instant::now() > deadline {
                let log = self.log_tail(id);
                bail!(
                    "node {id} is not ready after {START_BOUND:?} ({answer:?}); the end of its log:\n{log}"
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn end(&self, id: i32, signal: Signal) -> Result<()> {
        let process = self.process(id)?;
        process.signal(signal)?;
        if signal == Signal::TERM {
            // A paused node would sleep through it.
            process.signal(Signal::CONT)?;
        }
        process.wait_ended(STOP_BOUND)?;
        self.reap(id);
        let _gone_already = fs::remove_file(pid_file(&self.dir, id));
        Ok(())
    }

    /// Ends whatever runs, as far as it goes: there is nobody to hear of an error.
    fn end_all(&self) {
        for (_, process) in self.state.running(&self.dir) {
            let _ended_by_itself = process.signal(Signal::KILL);
        }
        for (id, process) in self.state.running(&self.dir) {
            let _reported_as_running_by_status = process.wait_ended(STOP_BOUND);
            self.reap(id);
        }
        let ids: Vec<i32> = self.children().keys().copied().collect();
        ids.into_iter().for_each(|id| self.reap(id));
    }

    fn reap(&self, id: i32) {
        let child = self.children().remove(&id);
        if let Some(mut child) = child {
            let _status_does_not_matter = child.wait();
        }
    }

    fn children(&self) -> std::sync::MutexGuard<'_, BTreeMap<i32, Child>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log_tail(&self, id: i32) -> String {
        let log = fs::read_to_string(node_dir(&self.dir, id).join("log")).unwrap_or_default();
        jars::tail(&log, 15)
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        if self.lifetime == Lifetime::Process {
            self.end_all();
            let _swept_by_the_next_start = remove(&self.dir);
        }
        if let Some(mut guard) = self.guard.take() {
            // The end of its input wakes the guard, which finds nothing left to do.
            drop(guard.stdin.take());
            let _status_does_not_matter = guard.wait();
        }
    }
}

/// The library that shifts clocks (Debian's package `libfaketime`).
fn faketime() -> Result<PathBuf> {
    let all = fs::read_dir("/usr/lib").context("no /usr/lib")?;
    let folders = all.filter_map(|entry| Some(entry.ok()?.path().join("faketime/libfaketimeMT.so.1")));
    let found = folders.into_iter().find(|library| library.is_file());
    found.context("libfaketime is missing\nhint: apt-get install libfaketime")
}

fn folder_name(options: &KafkaOptions) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    match options.lifetime {
        Lifetime::Detached => options.name.clone(),
        Lifetime::Process => {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            format!("{}-{}-{count}", options.name, std::process::id())
        }
    }
}

/// Decides ids, roles, ports and certificates.
fn describe(options: &KafkaOptions, dir: &Path) -> Result<ClusterState> {
    let client_listeners: &[Listener] = match options.listeners {
        Listeners::Plaintext => &[Listener::Plaintext],
        Listeners::Secured => {
            &[Listener::Plaintext, Listener::Ssl, Listener::SaslPlaintext, Listener::SaslSsl]
        }
    };
    let broker_role = match options.controller {
        Controller::Combined => Role::Combined,
        Controller::Apart => Role::Broker,
    };
    let mut roles: BTreeMap<i32, Role> =
        (1..=i32::from(options.brokers)).map(|id| (id, broker_role)).collect();
    if options.controller == Controller::Apart {
        roles.insert(CONTROLLER_ID, Role::Controller);
    }

    let mut ports = free_ports(roles.len() * (client_listeners.len() + 1))?.into_iter();
    let mut nodes = BTreeMap::new();
    for (id, role) in roles {
        let clients = client_listeners.iter().filter(|_| role.is_broker());
        let quorum = [Listener::Controller];
        let listeners = clients.chain(quorum.iter().filter(|_| role.is_controller()));
        nodes.insert(id, NodeState { role, ports: listeners.copied().zip(&mut ports).collect() });
    }
    let certificates = match options.listeners {
        Listeners::Plaintext => None,
        Listeners::Secured => Some(Certificates::generate(&dir.join("certificates"))?),
    };
    let owner = match options.lifetime {
        Lifetime::Process => Some(ProcessId::own()?),
        Lifetime::Detached => None,
    };
    let version = options.version.clone();
    Ok(ClusterState {
        name: folder_name_of(dir),
        cluster_id: cluster_id()?,
        version,
        owner,
        nodes,
        certificates,
    })
}

fn folder_name_of(dir: &Path) -> String {
    dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A new cluster id as Kafka makes them: 16 random bytes in base64 for URLs, never with a leading dash.
fn cluster_id() -> Result<String> {
    use std::io::Read;
    let mut random = fs::File::open("/dev/urandom")?;
    loop {
        let mut bytes = [0; 16];
        random.read_exact(&mut bytes)?;
        let id = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
        if !id.starts_with('-') {
            return Ok(id);
        }
    }
}

fn copy_storage(from: &Path, to: &Path, id: i32) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_name() != "meta.properties" {
            fs::copy(entry.path(), target)?;
            continue;
        }
        let text = fs::read_to_string(entry.path())?;
        let line = |line: &str| match line.split_once('=') {
            Some(("node.id", _)) => Ok(format!("node.id={id}\n")),
            Some(("directory.id", _)) => cluster_id().map(|unique| format!("directory.id={unique}\n")),
            _ => Ok(format!("{line}\n")),
        };
        fs::write(target, text.lines().map(line).collect::<Result<String>>()?)?;
    }
    Ok(())
}

fn remove(dir: &Path) -> Result<()> {
    if std::env::var_os("KLAMM_KEEP").is_some() || !dir.exists() {
        return Ok(());
    }
    fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))
}

/// Ends clusters whose owner is gone without them: the guard was killed too, or the machine restarted.
fn sweep(root: &Path) -> Result<()> {
    for (dir, state) in state::list(root) {
        if state.owner.is_some_and(|owner| !owner.is_alive()) {
            for (_, process) in state.running(&dir) {
                let _ended_by_itself = process.signal(Signal::KILL);
            }
            remove(&dir)?;
        }
    }
    Ok(())
}
