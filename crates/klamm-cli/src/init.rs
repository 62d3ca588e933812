//! `klamm init`: a commented spec to start from.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use klamm_plan::service::{Language, service};

use crate::args::{InitArgs, SpecArgs};
use crate::failure::{Exit, Failure, Outcome};
use crate::load::{self, WhenMissing};

/// Writes the template, never over an existing file unless told to.
pub fn run(args: &InitArgs) -> Outcome {
    if let Some(language) = args.service {
        return start(args, language);
    }
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

/// Writes a service for the spec; the spec itself, too, when there is none yet.
fn start(args: &InitArgs, language: Language) -> Outcome {
    if !args.file.exists() {
        write_new(&args.file, false, klamm_plan::spec::template())?;
        println!("wrote {}", args.file.display());
    }
    let spec = SpecArgs { spec: vec![args.file.clone()], environment: None, profile: None };
    let plan = load::load(&spec, WhenMissing::Refuse)?.plan(None)?;
    let files = service(&plan, language).map_err(|lack| Failure::new(lack).hint("add it to the spec"))?;
    for file in files {
        let path = args.out.join(&file.path);
        let folder = path.parent().unwrap_or(&args.out);
        std::fs::create_dir_all(folder)
            .map_err(|error| Failure::new(format!("cannot make {}: {error}", folder.display())))?;
        // Settings are made from the spec and made anew; the program is the user's from the first line that he changes.
        write_new(&path, args.force || file.path.starts_with("config/"), &file.text)?;
        println!("wrote {}", path.display());
    }
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
