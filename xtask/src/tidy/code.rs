//! Checks of Rust code: purity, banned calls, tests that sleep or are ignored.

use super::Finding;
use super::source::Source;

/// Crates that take values and return values: no IO, clock, randomness, threads or async.
pub const PURE_CRATES: [&str; 6] =
    ["klamm-kafka", "klamm-contract", "klamm-plan", "klamm-track", "klamm-rules", "klamm-code"];

const IMPURE_MODULES: [&str; 6] = ["env", "fs", "io", "net", "process", "thread"];
const IMPURE_WORDS: [&str; 7] = ["tokio", "async", "Instant", "SystemTime", "println!", "eprintln!", "rand"];

/// What library code must not do; each has a better way in the same place.
const BANNED: [(&str, &str); 5] = [
    (".unwrap()", "return an error, or say with `expect` why it cannot fail"),
    ("panic!", "return an error"),
    ("todo!", "write it"),
    ("unimplemented!", "write it, or return an error"),
    ("dbg!", "remove it"),
];

/// All checks of one file.
pub fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let crate_name = source.path.split('/').nth(1).unwrap_or_default();
    if PURE_CRATES.contains(&crate_name) && source.path.contains("/src/") {
        purity(source, &mut findings);
    }
    if source.path.contains("/src/") {
        for (call, instead) in BANNED {
            report(
                source,
                call,
                Part::Library,
                &format!("`{call}` in library code: {instead}"),
                &mut findings,
            );
        }
    }
    for sleep in ["thread::sleep", "time::sleep", "sleep("] {
        report(
            source,
            sleep,
            Part::Tests,
            "a test that sleeps: wait for a condition with a bound",
            &mut findings,
        );
    }
    findings.dedup_by_key(|finding| finding.place.clone());
    report(source, "#[ignore", Part::All, "an ignored test: run it or remove it", &mut findings);
    report(
        source,
        "allow(missing_docs",
        Part::All,
        "public items are documented, not excused",
        &mut findings,
    );
    findings
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    All,
    Library,
    Tests,
}

fn report(source: &Source, needle: &str, part: Part, text: &str, findings: &mut Vec<Finding>) {
    for offset in source.words(needle) {
        let line = source.line(offset);
        let concerned = part == Part::All || source.is_test(offset) == (part == Part::Tests);
        if concerned && !source.is_allowed(line) {
            findings.push(Finding::at(&source.path, line, text));
        }
    }
}

fn purity(source: &Source, findings: &mut Vec<Finding>) {
    let because =
        |what: &str| format!("`{what}` in a pure crate: no IO, clock, randomness, threads or async");
    for module in IMPURE_MODULES {
        let path = format!("std::{module}");
        report(source, &path, Part::Library, &because(&path), findings);
    }
    for word in IMPURE_WORDS {
        report(source, word, Part::Library, &because(word), findings);
    }
    for start in source.words("std::{") {
        let group = source.code[start..].split('}').next().unwrap_or_default();
        let named = |module: &&&str| group.split(|c: char| !c.is_alphanumeric()).any(|word| word == **module);
        let line = source.line(start);
        for module in IMPURE_MODULES.iter().filter(named) {
            if !source.is_test(start) && !source.is_allowed(line) {
                findings.push(Finding::at(&source.path, line, &because(&format!("std::{module}"))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        check(&Source::new(path, text.to_owned())).into_iter().map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn an_unwrap_in_library_code_is_found_with_its_line() {
        let found = found("crates/klamm-wire/src/a.rs", "fn a() {\n  b().unwrap();\n}");
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("crates/klamm-wire/src/a.rs:2: `.unwrap()`"), "{found:?}");
    }

    #[test]
    fn an_unwrap_with_a_reason_or_in_a_test_is_fine() {
        let text = "fn a() {\n  b().unwrap(); // tidy: allow(b is constant)\n}\n#[cfg(test)]\nmod tests { fn c() { b().unwrap() } }";
        assert!(found("crates/klamm-wire/src/a.rs", text).is_empty());
        assert!(found("crates/klamm-wire/tests/it.rs", "fn c() { b().unwrap() }").is_empty());
    }

    #[test]
    fn every_banned_macro_is_found() {
        let text = "fn a() { panic!(); todo!(); }\nfn b() { dbg!(1); }\nfn c() { unimplemented!() }";
        assert!(found("crates/klamm-wire/src/a.rs", text).len() >= 3);
    }

    #[test]
    fn a_pure_crate_may_not_touch_the_world() {
        for text in [
            "use std::fs;",
            "use std::{collections::BTreeMap, io};",
            "fn a() { std::time::Instant::now(); }",
            "async fn a() {}",
            "use tokio::sync::Mutex;",
        ] {
            assert_eq!(found("crates/klamm-plan/src/a.rs", text).len(), 1, "{text}");
            assert!(found("crates/klamm-wire/src/a.rs", text).is_empty(), "{text}");
        }
        assert!(
            found("crates/klamm-plan/src/a.rs", "// async in prose\nlet ratio = \"std::fs\";").is_empty()
        );
    }

    #[test]
    fn a_sleeping_and_an_ignored_test_are_found() {
        let sleeping = "fn a() { std::thread::sleep(x); }";
        assert_eq!(found("crates/klamm-wire/tests/it.rs", sleeping).len(), 1);
        assert!(found("crates/klamm-wire/src/a.rs", sleeping).is_empty());
        let ignored = concat!("#[te", "st]\n#[ign", "ore]\nfn a() {}");
        assert_eq!(found("crates/klamm-wire/tests/it.rs", ignored).len(), 1);
    }
}
