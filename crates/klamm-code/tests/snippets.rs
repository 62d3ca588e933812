//! Programs with what the rules must say about them: `tests/snippets/<language>.md`. Each `## ` heading is one program: prose that tells why, a block of
//! the language, and a block `expect` with a line for each finding (`KL107 line 14`) or `clean`. Lines count from the block's first.
//!
//! A finding that no line names is a false one and fails. A line without its finding is a miss: misses are counted by rule in
//! `docs/rules/recall.md`, which `UPDATE=1` writes and which is compared otherwise. Rules that do not exist yet are printed and not counted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use klamm_rules::evidence::{CodeEvidence, Evidence};
use klamm_rules::{RULES, Seen, Severity, all_rules, audit};
use libtest_mimic::{Arguments, Failed, Trial};

/// Languages with the endings of their files.
const LANGUAGES: [(&str, &str); 7] = [
    ("java", "java"),
    ("kotlin", "kt"),
    ("python", "py"),
    ("go", "go"),
    ("typescript", "ts"),
    ("javascript", "js"),
    ("rust", "rs"),
];

/// A rule's code and a line.
type Label = (String, u32);

/// One program and what came of it.
struct Snippet {
    language: &'static str,
    name: String,
    labels: BTreeSet<Label>,
    found: BTreeSet<Label>,
    /// Those of `found` that are errors.
    errors: BTreeSet<Label>,
}

/// One rule over all programs.
#[derive(Default)]
struct Row {
    labelled: usize,
    found: usize,
    missed: Vec<String>,
    wrong: usize,
}

fn main() {
    let arguments = Arguments::from_args();
    let snippets: Vec<Snippet> = match LANGUAGES.iter().map(|(name, ending)| load(name, ending)).collect() {
        Ok(all) => Vec::<Vec<Snippet>>::into_iter(all).flatten().collect(),
        Err(why) => {
            eprintln!("{why}");
            std::process::exit(2);
        }
    };
    let rows = rows(&snippets);
    println!("{}", table(&rows));
    let mut trials: Vec<Trial> = Vec::new();
    for (language, _) in LANGUAGES {
        let wrong = wrong(&snippets, language);
        trials.push(Trial::test(format!("no_finding_is_false_in_{language}"), move || none(&wrong)));
    }
    let errors: Vec<String> = snippets
        .iter()
        .flat_map(|snippet| {
            let extra = snippet.errors.difference(&snippet.labels);
            extra.map(move |label| shown(snippet, label)).collect::<Vec<_>>()
        })
        .collect();
    trials.push(Trial::test("no_error_is_false", move || none(&errors)));
    let (count, clean) =
        (snippets.len(), snippets.iter().filter(|snippet| snippet.labels.is_empty()).count());
    trials.push(Trial::test("there_are_enough_programs_and_half_are_healthy", move || enough(count, clean)));
    let complete = rows.keys().all(|rule| exists(rule));
    let page = page(&snippets, &rows);
    trials.push(Trial::test("the_page_of_recall_is_up_to_date", move || match complete {
        true => compare(&page),
        // The page is about all rules that programs are labelled with.
        false => Ok(()),
    }));
    libtest_mimic::run(&arguments, trials).exit();
}

fn none(wrong: &[String]) -> Result<(), Failed> {
    if wrong.is_empty() { Ok(()) } else { Err(format!("false findings:\n{}", wrong.join("\n")).into()) }
}

fn enough(count: usize, clean: usize) -> Result<(), Failed> {
    let half = clean * 5 >= count * 2 && clean * 5 <= count * 3;
    if count >= 160 && half { Ok(()) } else { Err(format!("{clean} of {count} programs are clean").into()) }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn load(language: &'static str, ending: &str) -> Result<Vec<Snippet>, String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/snippets/{language}.md"));
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let cases = text.split("\n## ").skip(1);
    cases
        .map(|case| {
            let name = case.lines().next().unwrap_or_default().to_owned();
            run(language, ending, case).map_err(|why| format!("{language}: {name}: {why}"))
        })
        .collect()
}

fn run(language: &'static str, ending: &str, case: &str) -> Result<Snippet, String> {
    let name = case.lines().next().unwrap_or_default().to_owned();
    let code = block(case, language)?;
    let mut labels = BTreeSet::new();
    for line in block(case, "expect")?.lines().filter(|line| *line != "clean") {
        let (rule, at) = line.split_once(" line ").ok_or_else(|| format!("{line:?} is no label"))?;
        labels.insert((rule.to_owned(), at.parse().map_err(|_| format!("{line:?} has no line"))?));
    }
    let path = format!("src/snippet.{ending}");
    let lines = code.lines().count() as u64;
    let units = klamm_code::read(&path, code).into_iter().collect();
    let code = CodeEvidence { files: 1, lines, units, ..CodeEvidence::default() };
    let evidence = Evidence { code: Seen::Full(code), ..Evidence::default() };
    let report = audit(&evidence, &all_rules());
    let label = |finding: &klamm_rules::Finding| {
        (finding.rule.clone(), finding.place.as_ref().map_or(0, |place| place.line))
    };
    let found = report.findings().map(label).collect();
    let errors = report.findings().filter(|finding| finding.severity == Severity::Error).map(label).collect();
    Ok(Snippet { language, name, labels, found, errors })
}

fn block<'t>(case: &'t str, name: &str) -> Result<&'t str, String> {
    let start = format!("\n```{name}\n");
    let from = case.find(&start).ok_or_else(|| format!("no block {name}"))? + start.len();
    let length = case[from..].find("\n```").ok_or_else(|| format!("block {name} does not end"))?;
    Ok(&case[from..from + length])
}

fn shown(snippet: &Snippet, (rule, line): &Label) -> String {
    format!("{}: {}: {rule} line {line}", snippet.language, snippet.name)
}

fn wrong(snippets: &[Snippet], language: &str) -> Vec<String> {
    let of_language = snippets.iter().filter(|snippet| snippet.language == language);
    of_language
        .flat_map(|snippet| snippet.found.difference(&snippet.labels).map(|label| shown(snippet, label)))
        .collect()
}

fn rows(snippets: &[Snippet]) -> BTreeMap<String, Row> {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for snippet in snippets {
        for label in &snippet.labels {
            let row = rows.entry(label.0.clone()).or_default();
            row.labelled += 1;
            match snippet.found.contains(label) {
                true => row.found += 1,
                false => row.missed.push(shown(snippet, label)),
            }
        }
        for label in snippet.found.difference(&snippet.labels) {
            rows.entry(label.0.clone()).or_default().wrong += 1;
        }
    }
    rows
}

fn exists(rule: &str) -> bool {
    RULES.iter().any(|known| known.code() == rule)
}

fn table(rows: &BTreeMap<String, Row>) -> String {
    let mut out = String::from("rule   labelled  found  missed  false\n");
    for (rule, row) in rows {
        let Row { labelled, found, missed, wrong } = row;
        let _ = match exists(rule) {
            true => writeln!(out, "{rule:<6} {labelled:>8} {found:>6} {:>7} {wrong:>6}", missed.len()),
            false => writeln!(out, "{rule:<6} {labelled:>8}  not yet"),
        };
        for miss in missed.iter().filter(|_| exists(rule)) {
            let _ = writeln!(out, "         missed: {miss}");
        }
    }
    out
}

fn page(snippets: &[Snippet], rows: &BTreeMap<String, Row>) -> String {
    let clean = snippets.iter().filter(|snippet| snippet.labels.is_empty()).count();
    let mut out = format!(
        "# What the rules find in code\n\nMeasured on {} labelled programs in {} languages, {} of them healthy look-alikes. Generated by\n\
         `UPDATE=1 cargo test -p klamm-code --test snippets` from `crates/klamm-code/tests/snippets/`.\n\n\
         | Rule | Labelled | Found | Recall | False |\n| --- | ---: | ---: | ---: | ---: |\n",
        snippets.len(),
        LANGUAGES.len(),
        clean
    );
    let known = || rows.iter().filter(|(rule, _)| exists(rule));
    for (rule, row) in known() {
        let recall = (row.found * 100)
            .checked_div(row.labelled)
            .map_or("none labelled".to_owned(), |all| format!("{all} %"));
        let _ = writeln!(out, "| {rule} | {} | {} | {recall} | {} |", row.labelled, row.found, row.wrong);
    }
    let missed: Vec<&String> = known().flat_map(|(_, row)| &row.missed).collect();
    if !missed.is_empty() {
        out.push_str("\n## Missed\n\n");
        missed.iter().for_each(|miss| {
            let _ = writeln!(out, "- {miss}");
        });
    }
    out
}

fn compare(page: &str) -> Result<(), Failed> {
    let file = root().join("docs/rules/recall.md");
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(root().join("docs/rules"))?;
        fs::write(&file, page)?;
        return Ok(());
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    if written == page {
        Ok(())
    } else {
        Err(format!("docs/rules/recall.md is not what is measured: UPDATE=1 writes it.\n{page}").into())
    }
}
