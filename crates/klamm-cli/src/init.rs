//! `klamm init`: a commented spec to start from.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use crate::args::InitArgs;
use crate::failure::{Exit, Failure, Outcome};

/// Writes the template, never over an existing file unless told to.
pub fn run(args: &InitArgs) -> Outcome {
    let text = klamm_plan::spec::template();
    if args.file == Path::new("-") {
        print!("{text}");
        return Ok(Exit::Clean);
    }
    let file = args.file.display();
    write_new(&args.file, args.force, text)?;
    println!("wrote {file}; next: `klamm plan {file}`, then `klamm up {file}`");
    Ok(Exit::Clean)
}

/// Writes a file that does not exist yet, or replaces one by force.
pub fn write_new(path: &Path, force: bool, text: &str) -> Result<(), Failure> {
    let file = path.display();
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let mut out = options.open(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::new(format!("{file} exists already"))
            .hint("name another file, or `--force` to replace it"),
        _ => Failure::new(format!("cannot write {file}: {error}")),
    })?;
    out.write_all(text.as_bytes()).map_err(|error| Failure::new(format!("cannot write {file}: {error}")))
}
