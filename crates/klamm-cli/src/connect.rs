//! From arguments and spec to a connected `Admin`, and from its errors to a line and a hint.

use klamm_admin::{Admin, AdminError, ClientOptions};
use klamm_wire::Security;

use crate::args::ClusterArgs;
use crate::failure::Failure;
use crate::load::{self, Loaded};

/// `--bootstrap`, else the spec's.
pub fn options(args: &ClusterArgs, loaded: &Loaded) -> Result<ClientOptions, Failure> {
    if args.cluster.is_some() {
        return options_of_plan(args);
    }
    let bootstrap = match loaded.cluster() {
        _ if !args.bootstrap.is_empty() => args.bootstrap.clone(),
        Some(cluster) => cluster.bootstrap.clone(),
        None => Vec::new(),
    };
    if bootstrap.is_empty() {
        return Err(Failure::new(format!("{} names no cluster", loaded.origin))
            .hint("add `--bootstrap HOST:PORT`, or `cluster: { bootstrap: [HOST:PORT] }` to the spec"));
    }
    Ok(options_for(args, bootstrap, loaded.security()?))
}

/// `--cluster` and `--bootstrap`, for what needs no spec.
pub fn options_of_plan(args: &ClusterArgs) -> Result<ClientOptions, Failure> {
    let described = args.cluster.as_deref().map(load::cluster).transpose()?;
    let (mut bootstrap, security) = described.unwrap_or_default();
    if !args.bootstrap.is_empty() {
        bootstrap.clone_from(&args.bootstrap);
    }
    if bootstrap.is_empty() {
        return Err(Failure::new("no cluster is named")
            .hint("add `--bootstrap HOST:PORT`, or `--cluster FILE` with addresses and security"));
    }
    Ok(options_for(args, bootstrap, security))
}

/// Options for these addresses.
pub fn options_for(args: &ClusterArgs, bootstrap: Vec<String>, security: Security) -> ClientOptions {
    let mut options = ClientOptions::new(bootstrap);
    options.security = security;
    options.client_id = "klamm".to_owned();
    // A broker that takes connections and answers nothing must leave time for another one.
    options.connect_timeout = options.connect_timeout.min(args.timeout / 2);
    options.request_timeout = options.request_timeout.min(args.timeout / 2);
    options.api_timeout = args.timeout;
    options
}

/// Connects, or says in one line why not.
pub async fn connect(options: &ClientOptions) -> Result<Admin, Failure> {
    Admin::connect(options).await.map_err(|error| failed(&error))
}

/// An administrative call that failed.
pub fn failed(error: &AdminError) -> Failure {
    let failure = Failure::new(error);
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure.hint("`klamm doctor` tries every address, listener and right one by one"),
    }
}
