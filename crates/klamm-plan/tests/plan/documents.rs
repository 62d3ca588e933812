//! Files that are generated or quoted stay true. `UPDATE=1 cargo test -p klamm-plan` writes the generated ones.

use std::path::Path;

use klamm_plan::json_schema;
use klamm_plan::spec::parse;

use crate::problems;

/// Compares `text` with a file of this crate (or of the repository, from `../../`), or writes it with `UPDATE=1`.
pub(crate) fn golden(path: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, text).expect("the file can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == text,
        "{} is out of date: run the tests with UPDATE=1 and look at the difference",
        path.display()
    );
}

#[test]
fn the_committed_schema_is_the_one_of_the_types() {
    golden("../../docs/klamm.schema.json", &json_schema());
}

#[test]
fn the_schema_knows_every_field_and_its_limits() {
    let schema: serde_json::Value = serde_json::from_str(&json_schema()).expect("JSON");
    let topic = &schema["$defs"]["Topic"];
    assert_eq!(topic["additionalProperties"], false);
    assert!(topic["properties"]["consistency"].to_string().contains("eventual"));
    assert!(
        topic["properties"]["survive"]["description"].as_str().is_some_and(|text| text.contains("Default"))
    );
    assert_eq!(schema["required"], serde_json::json!(["klamm", "service"]));
}

#[test]
fn every_spec_in_the_reference_parses() {
    let reference = include_str!("../../../../docs/spec.md");
    let mut specs = 0;
    for block in reference.split("```yaml\n").skip(1) {
        let text = block.split("```").next().unwrap_or_default();
        // A block that is no whole spec is put below the two fields that every spec has.
        let whole =
            if text.contains("klamm: 1") { text.to_owned() } else { format!("klamm: 1\nservice: s\n{text}") };
        if whole.contains("service:") {
            let parsed = parse("docs/spec.md", &whole);
            assert!(parsed.is_ok(), "{parsed:#?} in:\n{whole}");
            assert_eq!(problems(&whole), [], "in:\n{whole}");
            specs += 1;
        }
    }
    assert!(specs >= 5, "only {specs} specs found");
}
