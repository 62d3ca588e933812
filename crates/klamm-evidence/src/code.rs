//! Source code in a folder, and the versions of the libraries that it is built with.

mod others;
mod versions;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use klamm_rules::Seen;
use klamm_rules::evidence::{CodeEvidence, Skipped, SourceUnit};

pub(crate) use self::versions::Versions;
use crate::walk::{self, Found};

/// Threads that read.
const READERS: usize = 2;
/// Source text may be nested deeply, and its tree is walked by recursion.
const STACK_BYTES: usize = 64 << 20;

/// Source text of the seven languages, by the file's name.
fn is_source(path: &str) -> bool {
    const ENDINGS: [&str; 13] =
        ["java", "kt", "kts", "py", "go", "ts", "tsx", "mts", "cts", "js", "jsx", "mjs", "cjs"];
    let ending =
        path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map_or("", |(_, ending)| ending);
    ENDINGS.contains(&ending) || ending == "rs"
}

/// What one reader has read.
#[derive(Default)]
struct Part {
    files: u64,
    lines: u64,
    units: Vec<SourceUnit>,
    skipped: Vec<Skipped>,
    versions: Versions,
}

/// Everything that the source files of a folder do with Kafka. Blocks while it reads.
pub fn collect(dir: &Path) -> Seen<CodeEvidence> {
    let walked = match walk::files(dir, &|path| {
        is_source(path) || Versions::reads(path) || others::language(path).is_some()
    }) {
        Ok(walked) => walked,
        Err(why) => return Seen::Failed { why },
    };
    let next = AtomicUsize::new(0);
    let mut evidence = CodeEvidence { skipped: walked.skipped, ..CodeEvidence::default() };
    // Whether these use Kafka is not known.
    evidence.skipped.retain(|skipped| others::language(&skipped.file).is_none());
    let mut versions = Versions::default();
    let mut missing = Vec::new();
    thread::scope(|scope| {
        let read = || part(&walked.files, &next);
        let readers: Vec<_> = (0..READERS)
            .map(|_| thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, read))
            .collect();
        for reader in readers {
            match reader.map(thread::ScopedJoinHandle::join) {
                Ok(Ok(part)) => {
                    evidence.files += part.files;
                    evidence.lines += part.lines;
                    evidence.units.extend(part.units);
                    evidence.skipped.extend(part.skipped);
                    versions.merge(part.versions);
                }
                // The other one reads on; what this one held is lost.
                Ok(Err(_)) => missing.push("a reader of source files stopped".to_owned()),
                Err(error) => missing.push(format!("a reader of source files did not start: {error}")),
            }
        }
    });
    evidence.units.sort_by(|a, b| a.file.cmp(&b.file));
    evidence.skipped.sort_by(|a, b| a.file.cmp(&b.file));
    for unit in &mut evidence.units {
        versions.fill(&mut unit.clients);
    }
    missing.extend(walk::missing(&evidence.skipped));
    Seen::from_parts(evidence, missing)
}

/// Takes files until there are no more.
fn part(files: &[Found], next: &AtomicUsize) -> Part {
    let mut part = Part::default();
    while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
        let text = match file.text() {
            Ok(text) => text,
            Err(_) if others::language(&file.path).is_some() => continue,
            Err(why) => {
                part.skipped.push(Skipped { file: file.path.clone(), why });
                continue;
            }
        };
        if Versions::reads(&file.path) {
            part.versions.read(&file.path, &text);
        }
        part.skipped.extend(others::passed_over(&file.path, &text));
        if is_source(&file.path) {
            part.files += 1;
            part.lines += text.lines().count() as u64;
            part.units.extend(klamm_code::read(&file.path, &text));
        }
    }
    part
}
