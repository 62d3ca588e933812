//! Reads specs and what they refer to; the planner itself opens no file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use klamm_contract::Profile;
use klamm_plan::spec::{self, ClusterSpec, SecretRef, SecuritySpec, SpecSet};
use klamm_plan::{Diagnostic, Plan, PlanOptions};
use klamm_wire::{ClientCertificate, Sasl, Security, Tls};

use crate::args::{ProfileArg, SpecArgs};
use crate::failure::Failure;
use crate::screen::render_diagnostics;

/// The example that runs when there is no spec.
const ORDERS: &str = include_str!("../../../examples/orders/klamm.yaml");
/// How it is named in what is printed.
const ORDERS_NAME: &str = "examples/orders/klamm.yaml";
/// A spec is a page; a file that is larger was named by mistake.
const LARGEST_SPEC_BYTES: u64 = 1 << 20;

/// What to do when no spec is named and there is no klamm.yaml here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenMissing {
    /// Take the built-in orders example.
    Example,
    /// Say so.
    Refuse,
}

/// Specs with the text that diagnostics point into.
#[derive(Debug)]
pub struct Loaded {
    /// The specs.
    pub set: SpecSet,
    /// Names of the files, for people.
    pub origin: String,
    sources: BTreeMap<String, String>,
    folder: PathBuf,
    environment: Option<String>,
    profile: Option<Profile>,
}

/// Reads what `args` name.
pub fn load(args: &SpecArgs, missing: WhenMissing) -> Result<Loaded, Failure> {
    let mut sources = BTreeMap::new();
    let mut specs = Vec::new();
    let mut wrong = Vec::new();
    let here = PathBuf::from("klamm.yaml");
    let named = if args.spec.is_empty() && here.is_file() { vec![here] } else { args.spec.clone() };
    for path in &named {
        match parse_file(path, &mut sources)? {
            Ok(spec) => specs.push(spec),
            Err(diagnostics) => wrong.extend(diagnostics),
        }
    }
    if named.is_empty() {
        if missing == WhenMissing::Refuse {
            return Err(Failure::new("there is no klamm.yaml here")
                .hint("`klamm init` writes one to start from; or name a file"));
        }
        sources.insert(ORDERS_NAME.to_owned(), ORDERS.to_owned());
        specs.push(spec::parse(ORDERS_NAME, ORDERS).map_err(|wrong| refused(&wrong, &sources))?);
    }
    let set =
        if wrong.is_empty() { SpecSet::new(specs) } else { Err(wrong) }.map_err(|w| refused(&w, &sources))?;
    let origin = sources_of(&set);
    let folder = named.first().and_then(|path| path.parent()).map(Path::to_path_buf).unwrap_or_default();
    let profile = args.profile.map(|profile| match profile {
        ProfileArg::Prod => Profile::Prod,
        ProfileArg::Dev => Profile::Dev,
    });
    let loaded = Loaded { set, origin, sources, folder, environment: args.environment.clone(), profile };
    loaded.check_environment()?;
    Ok(loaded)
}

impl Loaded {
    /// Plans against `facts`.
    pub fn plan(&self, facts: Option<&klamm_contract::facts::ClusterFacts>) -> Result<Plan, Failure> {
        let options = PlanOptions { profile: self.profile, environment: self.environment.clone(), facts };
        klamm_plan::plan(&self.set, &options).map_err(|wrong| refused(&wrong, &self.sources))
    }

    /// The profile that was asked for, else that of the environment or of the specs.
    pub fn profile(&self) -> Profile {
        let of = |spec: &spec::Spec| {
            let asked = self.environment.as_ref();
            let here = spec.environments.iter().find(|place| Some(&place.name.value) == asked);
            here.and_then(|place| place.profile).unwrap_or(spec.profile)
        };
        let dev = self.set.specs().iter().any(|spec| of(spec) == Profile::Dev);
        self.profile.unwrap_or(if dev { Profile::Dev } else { Profile::Prod })
    }

    /// Names of the topics that the specs own.
    pub fn topics(&self) -> Vec<String> {
        self.set.specs().iter().flat_map(|spec| &spec.topics).map(|topic| topic.name.value.clone()).collect()
    }

    /// Names of the topics that the specs own and that have a key.
    pub fn keyed(&self) -> impl Iterator<Item = String> {
        let topics = self.set.specs().iter().flat_map(|spec| &spec.topics);
        topics.filter(|topic| topic.key.is_some()).map(|topic| topic.name.value.clone())
    }

    /// The cluster that the spec describes for the chosen environment.
    pub fn cluster(&self) -> Option<&ClusterSpec> {
        self.set.cluster(self.environment.as_deref())
    }

    /// How clients connect, with the secrets read from where the spec says they are.
    pub fn security(&self) -> Result<Security, Failure> {
        match self.cluster() {
            Some(cluster) => security(&cluster.security, &self.folder),
            None => Ok(Security::default()),
        }
    }

    /// Addresses and security of the cluster to which the spec's data is replicated.
    pub fn second(&self) -> Result<Option<(Vec<String>, Security)>, Failure> {
        let mut recoveries = self.set.specs().iter().filter_map(|spec| spec.recovery.as_ref());
        let Some(recovery) = recoveries.find(|recovery| !recovery.to.bootstrap.is_empty()) else {
            return Ok(None);
        };
        Ok(Some((recovery.to.bootstrap.clone(), security(&recovery.to.security, &self.folder)?)))
    }

    fn check_environment(&self) -> Result<(), Failure> {
        let Some(asked) = &self.environment else { return Ok(()) };
        let known = self.set.environment_names();
        if known.contains(&asked.as_str()) {
            return Ok(());
        }
        let list = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Err(Failure::new(format!("{} has no environment {asked:?}", self.origin))
            .hint(format!("it has: {list}")))
    }
}

/// Addresses and security of a file that describes a cluster, as `cluster:` of a spec may name one.
pub fn cluster(path: &Path) -> Result<(Vec<String>, Security), Failure> {
    let name = path.display().to_string();
    let text = read(path)?;
    let quoted = serde_json::to_string(&name).unwrap_or_default();
    let spec = format!("klamm: 1\nservice: none\ncluster: {quoted}\n");
    let sources = BTreeMap::from([(name.clone(), text.clone()), ("--cluster".to_owned(), spec.clone())]);
    let files = BTreeMap::from([(name, text)]);
    let spec = spec::parse_with("--cluster", &spec, &files).map_err(|wrong| refused(&wrong, &sources))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    match &spec.cluster {
        Some(cluster) => Ok((cluster.bootstrap.clone(), security(&cluster.security, folder)?)),
        None => Ok((Vec::new(), Security::default())),
    }
}

type Parsed = Result<klamm_plan::spec::Spec, Vec<Diagnostic>>;

fn parse_file(path: &Path, sources: &mut BTreeMap<String, String>) -> Result<Parsed, Failure> {
    let name = path.display().to_string();
    let text = read(path)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut files = BTreeMap::new();
    for needed in spec::needs(&name, &text) {
        let needed_text = read(&folder.join(&needed))?;
        sources.insert(needed.clone(), needed_text.clone());
        files.insert(needed, needed_text);
    }
    sources.insert(name.clone(), text.clone());
    Ok(spec::parse_with(&name, &text, &files))
}

fn read(path: &Path) -> Result<String, Failure> {
    let name = path.display();
    let cannot = |error: std::io::Error| {
        Failure::new(format!("cannot read {name}: {error}")).hint("`klamm init` writes a spec to start from")
    };
    let bytes = std::fs::metadata(path).map_err(cannot)?.len();
    if bytes > LARGEST_SPEC_BYTES {
        return Err(Failure::new(format!(
            "{name} has {bytes} bytes; a spec has at most {LARGEST_SPEC_BYTES}"
        ))
        .hint("is it the right file?"));
    }
    std::fs::read_to_string(path).map_err(cannot)
}

fn refused(diagnostics: &[Diagnostic], sources: &BTreeMap<String, String>) -> Failure {
    let count = diagnostics.len();
    let hint = diagnostics.iter().find_map(|d| d.help.clone());
    let errors = if count == 1 { "error" } else { "errors" };
    let files: Vec<&str> = {
        let mut files: Vec<&str> =
            diagnostics.iter().map(|d| d.file.as_str()).filter(|f| !f.is_empty()).collect();
        files.dedup();
        files
    };
    let place = if files.is_empty() { "the plan".to_owned() } else { files.join(", ") };
    Failure::new(format!("{place}: {count} {errors}, nothing was changed"))
        .hint(hint.unwrap_or_else(|| "docs/spec.md describes every field".to_owned()))
        .details(render_diagnostics(diagnostics, sources))
}

fn sources_of(set: &SpecSet) -> String {
    set.specs().iter().map(|spec| spec.file.as_str()).collect::<Vec<_>>().join(", ")
}

fn security(spec: &SecuritySpec, folder: &Path) -> Result<Security, Failure> {
    let tls = spec.tls.as_ref().map(|tls| Tls {
        ca_pem: tls.ca.as_ref().map(|ca| folder.join(ca)),
        client: tls.client.as_ref().map(|(chain, key)| ClientCertificate {
            chain_pem: folder.join(chain),
            key_pem: folder.join(key),
        }),
    });
    let sasl = match &spec.sasl {
        None => None,
        Some(sasl) => Some(Sasl {
            mechanism: sasl.mechanism,
            username: sasl.username.clone(),
            password: secret(&sasl.password, folder)?,
        }),
    };
    Ok(Security { tls, sasl })
}

fn secret(place: &SecretRef, folder: &Path) -> Result<String, Failure> {
    let hint = match place {
        SecretRef::Env(name) => format!("export {name}=…"),
        SecretRef::File(_) => "the path is relative to the spec".to_owned(),
        SecretRef::Command(_) => "run it by hand: it must print the password and nothing else".to_owned(),
    };
    klamm_apply::read_secret(place, folder).map_err(|why| Failure::new(why).hint(hint))
}
