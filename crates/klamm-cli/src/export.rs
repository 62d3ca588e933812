//! `klamm export`: the plan in the form that a program reads.

use std::path::Path;

use klamm_plan::export::export;

use crate::args::ExportArgs;
use crate::failure::{Exit, Failure, Outcome};
use crate::load::{self, WhenMissing};
use crate::screen;

/// Plans offline and writes; files that exist are replaced, because they are made from the spec.
pub fn run(args: &ExportArgs) -> Outcome {
    let loaded = load::load(&args.spec, WhenMissing::Refuse)?;
    let plan = loaded.plan(None)?;
    let files = export(&plan, args.format);
    if files.is_empty() {
        return Err(Failure::new(format!("the plan has nothing for {}", args.format.name()))
            .hint("streams is for `streams:` of the spec, mm2 for `recovery:`"));
    }
    let Some(folder) = &args.out else {
        for file in &files {
            // Each file says in its first line what it is.
            screen::say_text(&format!("# --- {}\n{}\n", file.path, file.text));
        }
        return Ok(Exit::Clean);
    };
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    for file in &files {
        let path = folder.join(&file.path);
        std::fs::write(&path, &file.text).map_err(|error| failed(&path, &error))?;
        screen::say_text(&format!("wrote     {}\n", path.display()));
    }
    Ok(Exit::Clean)
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot write {}: {error}", path.display()))
        .hint("name another folder with `--out DIR`")
}
