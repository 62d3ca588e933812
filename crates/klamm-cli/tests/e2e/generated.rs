//! What the binary generates about itself.

use anyhow::{Context, Result, ensure};

use crate::harness::{Place, same_as_committed};

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

/// The chapters of the catalogue, by the beginning of codes.
const CHAPTERS: [(&str, &str); 9] = [
    ("KL1", "Producers"),
    ("KL2", "Keys and partitions"),
    ("KL3", "Schemas"),
    ("KL4", "Consumers"),
    ("KL5", "Cluster"),
    ("KL6", "Recovery"),
    ("KL7", "Event histories"),
    ("KL8", "Streams, Connect, MirrorMaker, share groups"),
    ("KL9", "Security"),
];

#[tokio::test]
async fn every_rule_has_its_page_in_the_docs() -> Result<()> {
    let listed = Place::new()?.run(&["explain", "--json"]).await?;
    let mut index = "# Audit rules\n\nGenerated from the rules (`UPDATE=1 cargo test -p klamm-cli every_rule_has_its_page`). \
        `klamm explain CODE` prints the same.\n"
        .to_owned();
    let mut chapter = "";
    let mut pages = std::collections::BTreeSet::from(["README.md".to_owned(), "recall.md".to_owned()]);
    for line in listed.stdout.lines() {
        let rule: serde_json::Value = serde_json::from_str(line)?;
        let text =
            |name: &str| rule[name].as_str().map(str::to_owned).with_context(|| format!("no {name}: {rule}"));
        let (code, name, summary, page) = (text("code")?, text("name")?, text("summary")?, text("page")?);
        let (begins, title) =
            CHAPTERS.into_iter().find(|(begins, _)| code.starts_with(begins)).context("a chapter")?;
        if chapter != begins {
            chapter = begins;
            index.push_str(&format!("\n## {title}\n\n"));
        }
        index.push_str(&format!("- [{code} {name}]({code}.md): {summary}\n"));
        same_as_committed(&format!("docs/rules/{code}.md"), &format!("# {code} {name}\n\n{page}\n"))?;
        pages.insert(format!("{code}.md"));
    }
    same_as_committed("docs/rules/README.md", &index)?;
    for entry in std::fs::read_dir(xtask::paths::root().join("docs/rules"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        ensure!(pages.contains(&name), "docs/rules/{name} is the page of no rule");
    }
    Ok(())
}
