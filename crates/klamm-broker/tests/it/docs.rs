//! `docs/broker.md` tells what the code offers. `UPDATE=1 cargo test -p klamm-broker` writes it anew.

use klamm_broker::Api;

const BEGIN: &str = "<!-- generated: apis -->\n";
const END: &str = "<!-- end -->";

#[test]
fn the_page_lists_every_api_with_its_versions_and_differences() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let path = format!("{root}/docs/broker.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once(BEGIN).expect("the page has a place for the table");
    let (_, tail) = rest.split_once(END).expect("the table has an end");
    let current = format!("{head}{BEGIN}{}{END}{tail}", table());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, current).unwrap();
    } else {
        assert!(page == current, "docs/broker.md is not what the code says: run the test with UPDATE=1");
    }
}

fn table() -> String {
    let mut table = String::from("| Key | API | Versions | |\n| --- | --- | --- | --- |\n");
    for api in Api::ALL {
        let versions = api.versions();
        let (key, name, first, last) = (*api as i16, api.name(), versions.start(), versions.end());
        table.push_str(&format!("| {key} | {name} | {first} to {last} | {} |\n", notes(api.name())));
    }
    table
}

/// What the API's own file says about it: its module documentation, without the name that it begins with.
fn notes(name: &str) -> String {
    let mut module = String::new();
    for (index, letter) in name.char_indices() {
        if letter.is_ascii_uppercase() && index > 0 {
            module.push('_');
        }
        module.push(letter.to_ascii_lowercase());
    }
    let path = format!("{}/src/api/{module}.rs", env!("CARGO_MANIFEST_DIR"));
    let source = std::fs::read_to_string(path).unwrap();
    let doc = source.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim).collect::<Vec<_>>();
    let doc = doc.join(" ").replace("  ", " ");
    let rest = doc.strip_prefix(&format!("`{name}`")).expect("the file begins with the API's name");
    rest.trim_start_matches([':', ',', ' ']).to_owned()
}
