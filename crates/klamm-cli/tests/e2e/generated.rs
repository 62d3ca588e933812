//! What the binary generates about itself.

use anyhow::{Context, Result, ensure};

use crate::harness::Place;

#[tokio::test]
async fn completions_know_every_command_in_every_shell() -> Result<()> {
    let place = Place::new()?;
    let help = place.run(&["--help"]).await?.stdout;
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    // A name stands two columns in; the lines of a long description stand further.
    let names = listed.take_while(|line| !line.is_empty()).filter_map(|line| line.strip_prefix("  "));
    let commands: Vec<&str> =
        names.filter_map(|rest| rest.split(' ').next()).filter(|name| !name.is_empty()).collect();
    ensure!(commands.contains(&"up") && commands.contains(&"doctor"), "{help}");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = place.run(&["completions", shell]).await?;
        ensure!(script.code == Some(0), "{script:?}");
        for command in &commands {
            ensure!(script.stdout.contains(command), "{shell} does not know {command}");
        }
    }
    let man = place.run(&["man"]).await?;
    ensure!(man.code == Some(0) && man.stdout.contains(".TH klamm"), "{man:?}");
    Ok(())
}

#[tokio::test]
async fn the_schema_of_the_spec_is_the_one_in_the_docs() -> Result<()> {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/klamm.schema.json");
    let committed = std::fs::read_to_string(page).context("docs/klamm.schema.json")?;
    let printed = Place::new()?.run(&["spec", "schema"]).await?;
    ensure!(
        printed.stdout.trim_end() == committed.trim_end(),
        "docs/klamm.schema.json is not what is printed"
    );
    Ok(())
}
