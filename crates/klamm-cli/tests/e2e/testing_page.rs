//! The examples of `docs/testing.md` that are not Rust run as they stand there. The Rust ones are doc tests of `klamm`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use xtask::clients::Clients;
use xtask::kafka::VERSION;
use xtask::kafka::jars::{Jars, run};
use xtask::paths::root;

/// The page's one block in this language.
fn block(language: &str) -> Result<String> {
    let page = std::fs::read_to_string(root().join("docs/testing.md"))?;
    let begin = format!("```{language}\n");
    let mut blocks = page.split(&begin).skip(1).filter_map(|rest| rest.split("```").next());
    let block = blocks.next().with_context(|| format!("no example in {language}"))?;
    ensure!(blocks.next().is_none(), "several examples in {language}");
    Ok(block.to_owned())
}

/// Runs a program with `klamm` on its path, in a folder of its own.
fn passes(command: &mut Command, folder: &Path) -> Result<()> {
    let klamm = Path::new(env!("CARGO_BIN_EXE_klamm")).parent().context("a folder")?;
    let path = std::env::var("PATH").unwrap_or_default();
    run(command.current_dir(folder).env("PATH", format!("{}:{path}", klamm.display())))?;
    Ok(())
}

#[test]
fn the_example_in_python_passes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let program = folder.path().join("test_shop.py");
    std::fs::write(&program, block("python")?)?;
    passes(&mut Clients::ensure(&root())?.python_at(&program), folder.path())
}

#[test]
fn the_example_in_java_passes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let source = folder.path().join("ShopTest.java");
    std::fs::write(&source, block("java")?)?;
    let mut java = Command::new("java");
    java.args(["-cp", &Jars::ensure(VERSION)?.classpath()]).arg(&source);
    passes(&mut java, folder.path())
}

#[test]
fn the_example_for_the_shell_passes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    passes(Command::new("sh").args(["-e", "-c", &block("sh")?]), folder.path())
}
