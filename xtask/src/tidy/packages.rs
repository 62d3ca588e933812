//! Checks of what is linked: edges between our crates, licences, sources, duplicates, and a line for each dependency.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::Finding;
use super::ratchet::Ratchet;

/// Which crate may use which, `klamm-` left out. Tests may also use the testkit and what they test against.
const EDGES: [(&str, &[&str]); 17] = [
    ("klamm-kafka", &[]),
    ("klamm-contract", &["kafka"]),
    ("klamm-plan", &["kafka", "contract"]),
    ("klamm-rules", &["kafka", "contract", "plan"]),
    ("klamm-code", &["rules"]),
    ("klamm-evidence", &["rules", "code", "kafka", "contract", "plan", "wire", "admin"]),
    ("klamm-track", &[]),
    ("klamm-wire", &["kafka"]),
    ("klamm-broker", &["kafka", "wire"]),
    ("klamm-admin", &["kafka", "contract", "wire"]),
    ("klamm-client", &["kafka", "contract", "wire", "admin"]),
    ("klamm-runtime", &["kafka", "contract", "track", "admin", "client"]),
    ("klamm-apply", &["kafka", "contract", "plan", "admin", "wire"]),
    ("klamm", &["kafka", "contract", "admin", "client", "runtime", "broker"]),
    (
        "klamm-cli",
        &[
            "kafka", "contract", "plan", "rules", "evidence", "track", "wire", "broker", "admin", "apply",
            "client", "runtime",
        ],
    ),
    ("klamm-testkit", &["broker", "wire", "admin", "track", "contract", "kafka", "xtask"]),
    ("xtask", &[]),
];

const LICENCES: [&str; 12] = [
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "Unicode-3.0",
    "Zlib",
];

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What `cargo metadata` says, as far as it matters here.
#[derive(Debug, Deserialize)]
pub struct Metadata {
    packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
    manifest_path: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    path: Option<String>,
}

impl Metadata {
    /// Asks cargo. Only what is linked on Linux counts.
    pub fn read(root: &Path) -> Result<Metadata> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(root).args(["metadata", "--format-version=1", "--locked"]);
        command.args(["--filter-platform", "x86_64-unknown-linux-gnu"]);
        let output = command.output().context("cannot run cargo metadata")?;
        if !output.status.success() {
            bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
        }
        serde_json::from_slice(&output.stdout).context("cargo metadata speaks another language")
    }

    /// All checks but the duplicates, which are the ratchet's.
    pub fn check(&self, dependencies_page: &str) -> Vec<Finding> {
        let mut findings = self.edges();
        findings.extend(self.licences_and_sources());
        findings.extend(self.documented(dependencies_page));
        findings.extend(self.lints());
        findings
    }

    /// Adds every dependency that is linked in more than one version.
    pub fn measure(&self, ratchet: &mut Ratchet) {
        let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for package in &self.packages {
            versions.entry(&package.name).or_default().insert(&package.version);
        }
        let several = versions.into_iter().filter(|(_, versions)| versions.len() > 1);
        ratchet.duplicates.extend(several.map(|(name, versions)| (name.to_owned(), versions.len())));
    }

    fn ours(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }

    fn edges(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for package in self.ours() {
            let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == package.name) else {
                findings.push(Finding::of(
                    &package.name,
                    "is not in the table of edges in xtask/src/tidy/packages.rs",
                ));
                continue;
            };
            let internal = package.dependencies.iter().filter(|dependency| dependency.path.is_some());
            for dependency in internal {
                let short = dependency.name.trim_start_matches("klamm-");
                let for_tests = dependency.kind.as_deref() == Some("dev") && package.name != "xtask";
                if !for_tests && !allowed.contains(&short) {
                    let text = format!("may not use {}: the edge is not in the table", dependency.name);
                    findings.push(Finding::of(&package.name, &text));
                }
            }
        }
        findings
    }

    fn licences_and_sources(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for package in &self.packages {
            let name = format!("{} {}", package.name, package.version);
            let licence = package.license.as_deref().unwrap_or("none");
            if !is_allowed(licence) {
                findings.push(Finding::of(
                    &name,
                    &format!("has the licence {licence}, which is not on the list"),
                ));
            }
            if package.source.as_deref().is_some_and(|source| source != CRATES_IO) {
                findings.push(Finding::of(&name, "does not come from crates.io"));
            }
        }
        findings
    }

    fn documented(&self, page: &str) -> Vec<Finding> {
        const PAGE: &str = "docs/dependencies.md";
        let external = |package: &'_ Package| {
            let names = package.dependencies.iter().filter(|dependency| dependency.path.is_none());
            names.map(|dependency| dependency.name.clone()).collect::<Vec<_>>()
        };
        let used: BTreeSet<String> = self.ours().flat_map(external).collect();
        let rows = page.lines().filter_map(|line| line.strip_prefix('|')?.split('|').next());
        let documented: BTreeSet<String> = rows
            .flat_map(|cell| cell.split(',').map(|name| name.trim().trim_matches('`').to_owned()))
            .collect();
        let missing =
            used.difference(&documented).map(|name| Finding::of(name, &format!("has no line in {PAGE}")));
        let is_name = |name: &&String| !name.is_empty() && *name != "Dependency" && !name.starts_with('-');
        let gone = documented.difference(&used).filter(is_name);
        missing.chain(gone.map(|name| Finding::of(PAGE, &format!("{name} is not used any more")))).collect()
    }

    /// Every crate takes part in the workspace's lints, `missing_docs` among them.
    fn lints(&self) -> Vec<Finding> {
        let inherits = |package: &&Package| {
            let manifest = std::fs::read_to_string(&package.manifest_path).unwrap_or_default();
            let table: toml::Table = manifest.parse().unwrap_or_default();
            table.get("lints").and_then(|lints| lints.get("workspace")) != Some(&toml::Value::Boolean(true))
        };
        let text = "does not say `[lints] workspace = true`";
        self.ours().filter(inherits).map(|package| Finding::of(&package.name, text)).collect()
    }
}

/// Whether a licence expression can be met with what is on the list: one of each `OR`, all of each `AND`.
fn is_allowed(expression: &str) -> bool {
    // Old manifests write a slash for OR.
    let expression = expression.replace('/', " OR ");
    let expression = expression.trim();
    if let Some((left, right)) = split_outside(expression, " OR ") {
        return is_allowed(left) || is_allowed(right);
    }
    if let Some((left, right)) = split_outside(expression, " AND ") {
        return is_allowed(left) && is_allowed(right);
    }
    match expression.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
        Some(inner) => is_allowed(inner),
        None => LICENCES.contains(&expression),
    }
}

/// Splits at the first separator that is not in parentheses.
fn split_outside<'a>(text: &'a str, separator: &str) -> Option<(&'a str, &'a str)> {
    let nested = |upto: usize| {
        let count = |wanted: char| text[..upto].chars().filter(|c| *c == wanted).count();
        count('(') != count(')')
    };
    let at = text.match_indices(separator).map(|(at, _)| at).find(|at| !nested(*at))?;
    Some((&text[..at], &text[at + separator.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(package: &str, dependencies: &[(&str, Option<&str>, bool)]) -> Result<Metadata> {
        let dependency = |(name, kind, internal): &(&str, Option<&str>, bool)| serde_json::json!({ "name": name, "kind": kind, "path": internal.then_some("somewhere") });
        let dependencies: Vec<_> = dependencies.iter().map(dependency).collect();
        let packages = serde_json::json!([
            { "id": "1", "name": package, "version": "1.0.0", "license": "MIT", "source": null,
              "manifest_path": "", "dependencies": dependencies },
            { "id": "2", "name": "evil", "version": "1.0.0", "license": "Proprietary",
              "source": "git+https://example.com", "manifest_path": "", "dependencies": [] },
            { "id": "3", "name": "evil", "version": "2.0.0", "license": "MIT", "source": CRATES_IO,
              "manifest_path": "", "dependencies": [] },
        ]);
        Ok(serde_json::from_value(serde_json::json!({ "packages": packages, "workspace_members": ["1"] }))?)
    }

    #[test]
    fn an_edge_outside_the_table_is_found() -> Result<()> {
        assert!(metadata("klamm-broker", &[("klamm-wire", None, true)])?.edges().is_empty());
        assert_eq!(metadata("klamm-broker", &[("klamm-admin", None, true)])?.edges().len(), 1);
        assert!(metadata("klamm-broker", &[("klamm-admin", Some("dev"), true)])?.edges().is_empty());
        assert_eq!(metadata("xtask", &[("klamm-kafka", Some("dev"), true)])?.edges().len(), 1);
        assert_eq!(metadata("klamm-new", &[])?.edges().len(), 1);
        Ok(())
    }

    #[test]
    fn a_foreign_licence_and_a_foreign_source_are_found() -> Result<()> {
        assert_eq!(metadata("klamm-track", &[])?.licences_and_sources().len(), 2);
        Ok(())
    }

    #[test]
    fn a_dependency_without_a_line_and_a_line_without_a_dependency_are_found() -> Result<()> {
        let metadata = metadata("klamm-track", &[("serde", None, false), ("bytes", None, false)])?;
        let page = "| Dependency | Owner |\n| --- | --- |\n| `serde`, gone | x |\n";
        let found: Vec<String> = metadata.documented(page).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            ["bytes: has no line in docs/dependencies.md", "docs/dependencies.md: gone is not used any more"]
        );
        Ok(())
    }

    #[test]
    fn a_second_version_is_found() -> Result<()> {
        let mut ratchet = Ratchet::default();
        metadata("klamm-track", &[])?.measure(&mut ratchet);
        assert_eq!(ratchet.duplicates.get("evil"), Some(&2));
        Ok(())
    }

    #[test]
    fn licence_expressions_are_understood() {
        for good in ["MIT", "MIT/Apache-2.0", "GPL-3.0 OR MIT", "(MIT OR GPL-3.0) AND Unicode-3.0"] {
            assert!(is_allowed(good), "{good}");
        }
        for bad in ["GPL-3.0", "MIT AND GPL-3.0", "none", "(MIT OR Zlib) AND AGPL-3.0"] {
            assert!(!is_allowed(bad), "{bad}");
        }
    }
}
