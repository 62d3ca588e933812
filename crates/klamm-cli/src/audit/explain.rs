//! `klamm explain`: the page of a rule.

use klamm_rules::{RULES, Rule};
use serde_json::json;

use crate::args::ExplainArgs;
use crate::failure::{Exit, Failure, Outcome};
use crate::screen;

/// Prints a page, or the list.
pub fn run(args: &ExplainArgs) -> Outcome {
    let Some(asked) = &args.rule else {
        list(args.json);
        return Ok(Exit::Clean);
    };
    let Some(rule) = klamm_rules::rule(asked) else {
        let failure = Failure::new(format!("no rule is {asked:?}"));
        return Err(match nearest(asked) {
            Some(near) => failure.hint(format!("did you mean {near}? `klamm explain` lists all rules")),
            None => failure.hint("`klamm explain` lists all rules"),
        });
    };
    match args.json {
        true => screen::say_json(&described(rule)),
        false => screen::say_text(&format!("# {} {}\n\n{}\n", rule.code(), rule.name(), rule.page())),
    }
    Ok(Exit::Clean)
}

fn described(rule: &Rule) -> serde_json::Value {
    json!({ "event": "rule", "code": rule.code(), "name": rule.name(), "summary": rule.summary(), "page": rule.page() })
}

fn list(json: bool) {
    for rule in RULES {
        match json {
            true => screen::say_json(&described(rule)),
            false => {
                let name = format!("{} {}", rule.code(), rule.name());
                screen::say_text(&format!("{name:<42} {}\n", rule.summary()));
            }
        }
    }
}

/// A rule whose name has a word of what was asked, or whose code begins as it does.
fn nearest(asked: &str) -> Option<String> {
    let words: Vec<String> = asked.to_ascii_lowercase().split(['-', '_', ' ']).map(str::to_owned).collect();
    let shares = |rule: &&Rule| {
        let name = rule.name();
        words.iter().any(|word| word.len() > 2 && name.split('-').any(|part| part == word))
    };
    let begins = |rule: &&Rule| {
        asked.len() >= 3 && rule.code().starts_with(&asked.to_ascii_uppercase()[..3.min(asked.len())])
    };
    let found = RULES.iter().find(shares).or_else(|| RULES.iter().find(begins))?;
    Some(format!("{} ({})", found.code(), found.name()))
}
