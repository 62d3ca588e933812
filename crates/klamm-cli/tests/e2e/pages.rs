//! Plans as documents: those of the examples are in `docs/plan`, as the binary prints them.

use anyhow::{Result, ensure};

use xtask::paths::root;

use crate::harness::{Place, same_as_committed};

fn example(name: &str) -> String {
    root().join(format!("examples/{name}/klamm.yaml")).display().to_string()
}

/// `UPDATE=1 cargo test -p klamm-cli --test e2e pages` writes them anew.
#[tokio::test]
async fn the_plans_of_the_examples_are_those_in_the_docs() -> Result<()> {
    let place = Place::new()?;
    for name in ["orders", "clickstream", "reference"] {
        let printed = place.run(&["plan", &example(name), "--format", "markdown"]).await?;
        ensure!(printed.code == Some(0), "{printed:?}");
        same_as_committed(&format!("docs/plan/{name}.md"), &printed.stdout)?;
    }
    Ok(())
}

#[tokio::test]
async fn the_html_page_needs_nothing_from_elsewhere() -> Result<()> {
    let place = Place::new()?;
    let page = place.run(&["plan", &example("clickstream"), "--format", "html"]).await?;
    ensure!(page.code == Some(0) && page.stdout.starts_with("<!doctype html>"), "{page:?}");
    ensure!(page.stdout.contains("<table>") && page.stdout.trim_end().ends_with("</html>"), "{page:?}");
    for word in ["<script", "http://", "https://", "src="] {
        ensure!(!page.stdout.contains(word), "{word} in the page");
    }
    Ok(())
}

#[tokio::test]
async fn two_specs_are_compared_with_effect_and_cost() -> Result<()> {
    let place = Place::new()?;
    let old = std::fs::read_to_string(example("orders"))?;
    std::fs::write(place.file("old.yaml"), &old)?;
    std::fs::write(place.file("new.yaml"), old.replace("retain: 7d", "retain: 1d"))?;
    let same = place.run(&["plan", "--diff", "old.yaml", "old.yaml"]).await?;
    ensure!(same.code == Some(0) && same.stdout.contains("nothing changes"), "{same:?}");
    let found = place.run(&["plan", "--diff", "old.yaml", "new.yaml"]).await?;
    ensure!(found.code == Some(1) && found.stdout.contains("loses data"), "{found:?}");
    let json = place.run(&["plan", "--json", "--diff", "old.yaml", "new.yaml"]).await?;
    let value: serde_json::Value = serde_json::from_str(&json.stdout)?;
    ensure!(value["changes"].as_array().is_some_and(|changes| !changes.is_empty()), "{value}");
    Ok(())
}
