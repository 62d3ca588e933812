//! From arguments to evidence: what was asked for is collected at once, each piece by itself.

use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use indicatif::ProgressBar;
use klamm_admin::{Admin, ClientOptions};
use klamm_evidence::data::SampleOptions;
use klamm_evidence::host::{HostOptions, HostSource};
use klamm_evidence::live::LiveOptions;
use klamm_evidence::{certificates, code, data, files, group, host, live, spec};
use klamm_rules::Seen;
use klamm_rules::evidence::{EVIDENCE_VERSION, Evidence, Live};
use tokio::task::spawn_blocking;

use crate::args::AuditArgs;
use crate::connect;
use crate::failure::Failure;
use crate::load::{self, Loaded, WhenMissing};

/// Requests a second to one broker.
const PACE: u32 = 30;
const GENTLE_PACE: u32 = 5;

/// Looks at everything that was asked for; what was kept `before` stands where nobody looks now.
pub async fn gather(
    args: &AuditArgs,
    before: Option<Evidence>,
) -> Result<(Evidence, Option<Admin>), Failure> {
    let loaded = specs(args)?;
    let options = if before.is_some() { None } else { cluster(args, loaded.as_ref())? };
    let folders = args.look.files.is_some() || args.look.code.is_some();
    if loaded.is_none() && options.is_none() && before.is_none() && !folders && sources(args).is_empty() {
        return Err(Failure::new("there is nothing to look at")
            .hint("add `--bootstrap HOST:PORT`, `--files DIR` or `--code DIR`, or name a klamm.yaml"));
    }
    for folder in [&args.look.files, &args.look.code].into_iter().flatten() {
        check_folder(folder)?;
    }
    let progress = Progress::start();
    progress.say("reading files and code");
    let folders = Folders::start(args);
    let fresh = || Evidence { version: EVIDENCE_VERSION, at_ms: now_ms(), ..Evidence::default() };
    let mut evidence = before.unwrap_or_else(fresh);
    if let Some(loaded) = &loaded {
        evidence.spec = Seen::Full(spec::promises(&loaded.set, loaded.profile()));
    }
    let admin = match &options {
        None => None,
        Some(options) => {
            progress.say("asking the cluster");
            let admin = connect::connect(options).await?;
            look_at_cluster(args, &admin, &mut evidence, &progress).await;
            Some(admin)
        }
    };
    if let Some(second) = second_options(args, loaded.as_ref(), options.as_ref())? {
        progress.say("asking the second cluster");
        evidence.second = second_cluster(args, &second, admin.as_ref(), &mut evidence).await;
    }
    let sources: Vec<HostSource> = sources(args);
    if !sources.is_empty() {
        progress.say("reading metrics");
        evidence.host = host::collect(&sources, &HostOptions::default()).await;
    }
    progress.say("reading files and code");
    folders.finish(&mut evidence).await;
    progress.end();
    Ok((evidence, admin))
}

async fn look_at_cluster(args: &AuditArgs, admin: &Admin, evidence: &mut Evidence, progress: &Progress) {
    evidence.live = live::collect(admin, &live_options(args, &admin.options().bootstrap)).await;
    evidence.live.certificates = certificates::collect(&evidence.live, &admin.options().security).await;
    if args.look.window.is_zero() {
        progress.say("asking the groups");
    } else {
        progress.say(&format!("watching the groups for {:?}", args.look.window));
    }
    evidence.groups = group::collect(admin, &evidence.live, args.look.window).await;
    if let Some(records) = args.look.sample {
        progress.say("sampling records");
        let options = SampleOptions { records, requests_per_second: pace(args), ..SampleOptions::default() };
        evidence.data = data::collect(admin, &evidence.live, &options).await;
    }
}

/// What cannot be reached is evidence, too: the first cluster's audit goes on.
async fn second_cluster(
    args: &AuditArgs,
    options: &ClientOptions,
    first: Option<&Admin>,
    evidence: &mut Evidence,
) -> Live {
    let second = match Admin::connect(options).await {
        Ok(second) => second,
        Err(error) => {
            return Live {
                bootstrap: options.bootstrap.join(","),
                cluster: Seen::Failed { why: error.to_string() },
                ..Live::default()
            };
        }
    };
    let mut live = live::collect(&second, &live_options(args, &options.bootstrap)).await;
    let promised = evidence.spec.value().filter(|spec| spec.recovery.is_some());
    if let Some((first, promised)) = first.zip(promised) {
        let topics = promised.topics.keys().cloned().collect();
        // At once: the difference is how far the copy is behind.
        (evidence.live.newest, live.newest) = tokio::join!(
            live::newest(first, &evidence.live, &topics),
            live::newest(&second, &live, &topics),
        );
    }
    live
}

/// A spec that is named, or that is here.
fn specs(args: &AuditArgs) -> Result<Option<Loaded>, Failure> {
    if args.spec.spec.is_empty() && !Path::new("klamm.yaml").is_file() {
        return Ok(None);
    }
    load::load(&args.spec, WhenMissing::Refuse).map(Some)
}

/// The cluster that is named; else the spec's, unless only folders are asked for.
fn cluster(args: &AuditArgs, loaded: Option<&Loaded>) -> Result<Option<ClientOptions>, Failure> {
    let named = !args.cluster.bootstrap.is_empty() || args.cluster.cluster.is_some();
    let folders = args.look.files.is_some() || args.look.code.is_some();
    let described = loaded.and_then(Loaded::cluster).is_some_and(|cluster| !cluster.bootstrap.is_empty());
    let options = match loaded {
        Some(loaded) if named || described && !folders => connect::options(&args.cluster, loaded)?,
        None if named => connect::options_of_plan(&args.cluster)?,
        _ => return Ok(None),
    };
    Ok(Some(paced(args, options)))
}

fn paced(args: &AuditArgs, mut options: ClientOptions) -> ClientOptions {
    options.requests_per_second = Some(pace(args));
    options
}

fn pace(args: &AuditArgs) -> u32 {
    if args.look.gentle { GENTLE_PACE } else { PACE }
}

fn live_options(args: &AuditArgs, bootstrap: &[String]) -> LiveOptions {
    LiveOptions { bootstrap: bootstrap.join(","), call_timeout: args.cluster.timeout }
}

/// `--second`, with the security of the first cluster; else the cluster of the spec's `recovery:`.
fn second_options(
    args: &AuditArgs,
    loaded: Option<&Loaded>,
    first: Option<&ClientOptions>,
) -> Result<Option<ClientOptions>, Failure> {
    if !args.look.second.is_empty() {
        let security = first.map(|first| first.security.clone()).unwrap_or_default();
        let options = connect::options_for(&args.cluster, args.look.second.clone(), security);
        return Ok(Some(paced(args, options)));
    }
    let Some((loaded, _)) = loaded.zip(first) else { return Ok(None) };
    let Some((bootstrap, security)) = loaded.second()? else { return Ok(None) };
    Ok(Some(paced(args, connect::options_for(&args.cluster, bootstrap, security))))
}

fn sources(args: &AuditArgs) -> Vec<HostSource> {
    let exporters = args.look.metrics.iter().cloned().map(HostSource::Exporter);
    exporters.chain(args.look.prometheus.iter().cloned().map(HostSource::Prometheus)).collect()
}

fn check_folder(folder: &Path) -> Result<(), Failure> {
    if folder.is_dir() || folder.is_file() {
        return Ok(());
    }
    Err(Failure::new(format!("{} is no folder and no file", folder.display()))
        .hint("name the file, or the folder that holds the files"))
}

/// Folders are read on threads of their own while the cluster is asked.
struct Folders {
    files: Option<tokio::task::JoinHandle<Seen<klamm_rules::evidence::FileEvidence>>>,
    code: Option<tokio::task::JoinHandle<Seen<klamm_rules::evidence::CodeEvidence>>>,
}

impl Folders {
    fn start(args: &AuditArgs) -> Self {
        let files = args.look.files.clone().map(|folder| spawn_blocking(move || files::collect(&folder)));
        let code = args.look.code.clone().map(|folder| spawn_blocking(move || code::collect(&folder)));
        Folders { files, code }
    }

    async fn finish(self, evidence: &mut Evidence) {
        if let Some(files) = self.files {
            evidence.files = joined(files).await;
        }
        if let Some(code) = self.code {
            evidence.code = joined(code).await;
        }
    }
}

async fn joined<T>(task: tokio::task::JoinHandle<Seen<T>>) -> Seen<T> {
    task.await.unwrap_or_else(|error| Seen::Failed { why: format!("reading ended early: {error}") })
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A line on standard error that says what is being done, where somebody looks.
struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    fn start() -> Self {
        let bar = std::io::stderr().is_terminal().then(ProgressBar::new_spinner);
        if let Some(bar) = &bar {
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        Progress { bar }
    }

    fn say(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(text.to_owned());
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
