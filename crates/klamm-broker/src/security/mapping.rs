//! `ssl.principal.mapping.rules`: users' names out of the names in certificates.
//!
//! Rules are `DEFAULT` (the whole name) or `RULE:pattern/replacement/` with `L` or `U` for the letters' case, by commas; the
//! first whose pattern is the whole name decides. Java's regular expressions that look around or refer back have no
//! counterpart here: such a pattern is refused when the broker starts.

use regex::Regex;

/// Parsed rules.
#[derive(Debug)]
pub(crate) struct PrincipalMapping {
    rules: Vec<Rule>,
}

#[derive(Debug)]
enum Rule {
    Default,
    Pattern { whole: Regex, part: Regex, replacement: String, case: Case },
}

#[derive(Debug, Clone, Copy)]
enum Case {
    Kept,
    Lower,
    Upper,
}

impl PrincipalMapping {
    /// Reads Kafka's syntax.
    pub fn parse(rules: &str) -> Result<Self, String> {
        let mut rest = rules.trim();
        let mut parsed = Vec::new();
        while !rest.is_empty() {
            let (rule, after) = match rest.strip_prefix("RULE:") {
                Some(after) => pattern_rule(after)?,
                None => match rest.strip_prefix("DEFAULT") {
                    Some(after) => (Rule::Default, after),
                    None => return Err(format!("invalid rule: {rest:?}")),
                },
            };
            parsed.push(rule);
            let after = after.trim_start();
            rest = match after.strip_prefix(',') {
                Some(next) => next.trim_start(),
                None if after.is_empty() => after,
                None => return Err(format!("invalid rule: {after:?} follows it")),
            };
        }
        Ok(Self { rules: parsed })
    }

    /// The user's name; `None` if no rule applies.
    pub fn apply(&self, distinguished_name: &str) -> Option<String> {
        self.rules.iter().find_map(|rule| rule.apply(distinguished_name))
    }
}

impl Rule {
    fn apply(&self, name: &str) -> Option<String> {
        let Self::Pattern { whole, part, replacement, case } = self else { return Some(name.to_owned()) };
        if !whole.is_match(name) {
            return None;
        }
        let replaced = part.replace_all(name, |found: &regex::Captures<'_>| expand(replacement, found));
        Some(match case {
            Case::Kept => replaced.into_owned(),
            Case::Lower => replaced.to_lowercase(),
            Case::Upper => replaced.to_uppercase(),
        })
    }
}

/// What follows `RULE:`, and what is left after it.
fn pattern_rule(text: &str) -> Result<(Rule, &str), String> {
    let wrong = || format!("invalid rule: {text:?} is not pattern/replacement/");
    let (pattern, after) = up_to_slash(text).ok_or_else(wrong)?;
    let (replacement, after) = up_to_slash(after).ok_or_else(wrong)?;
    let (case, after) = match after.strip_prefix('L') {
        Some(after) => (Case::Lower, after),
        None => after.strip_prefix('U').map_or((Case::Kept, after), |after| (Case::Upper, after)),
    };
    let compile = |pattern: &str| Regex::new(pattern).map_err(|error| error.to_string());
    let (whole, part) = (compile(&format!("^(?:{pattern})$"))?, compile(pattern)?);
    Ok((Rule::Pattern { whole, part, replacement: replacement.to_owned(), case }, after))
}

/// Splits at the first slash that no backslash stands before.
fn up_to_slash(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (index, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '/' => return Some((&text[..index], &text[index + 1..])),
            _ => {}
        }
    }
    None
}

/// Java's replacement: `$3` is the third group, with as many digits as there are groups for; `\` takes the next letter as it
/// is. A group that does not exist stands for itself.
fn expand(replacement: &str, found: &regex::Captures<'_>) -> String {
    let groups = found.len() - 1;
    let mut out = String::new();
    let mut letters = replacement.chars().peekable();
    while let Some(letter) = letters.next() {
        let digit = letters.peek().and_then(|next| next.to_digit(10));
        match (letter, digit) {
            ('\\', _) => out.extend(letters.next()),
            ('$', Some(first)) if first as usize <= groups => {
                let mut group = first as usize;
                letters.next();
                while let Some(next) = letters.peek().and_then(|next| next.to_digit(10)) {
                    let longer = group * 10 + next as usize;
                    if longer > groups {
                        break;
                    }
                    group = longer;
                    letters.next();
                }
                out.push_str(found.get(group).map_or("", |group| group.as_str()));
            }
            (letter, _) => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "CN=kafka1,OU=SME,O=mycp,L=Fulton,ST=MD,C=US";

    fn mapped(rules: &str, name: &str) -> Option<String> {
        PrincipalMapping::parse(rules).unwrap().apply(name)
    }

    #[test]
    fn the_examples_of_kafkas_documentation_are_mapped_as_there() {
        let rules = "RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/, \
                     RULE:^CN=(.*?),OU=(.*?),O=(.*?),L=(.*?),ST=(.*?),C=(.*?)$/$1@$2/L, \
                     RULE:^.*[Cc][Nn]=([a-zA-Z0-9.]*).*$/$1/L, DEFAULT";
        let cases = [
            ("CN=Duke,OU=ServiceUsers,O=Org,C=US", "Duke"),
            ("CN=Duke,OU=SME,O=mycp,L=Fulton,ST=MD,C=US", "duke@sme"),
            ("cn=JavaSoft,OU=X", "javasoft"),
            ("OU=JavaSoft", "OU=JavaSoft"),
        ];
        for (name, user) in cases {
            assert_eq!(mapped(rules, name).as_deref(), Some(user));
        }
    }

    #[test]
    fn the_first_rule_that_applies_decides_and_without_one_there_is_no_user() {
        assert_eq!(mapped("DEFAULT", NAME).as_deref(), Some(NAME));
        assert_eq!(mapped("RULE:^CN=other$/x/", NAME), None);
        assert_eq!(mapped("RULE:^CN=(.*?),.*$/$1/U", NAME).as_deref(), Some("KAFKA1"));
        assert_eq!(mapped(r"RULE:^CN=(.*?),OU=(.*?),.*$/$1@$4\/\$2/", NAME).as_deref(), Some("kafka1@$4/$2"));
        assert_eq!(mapped("", NAME), None);
    }

    #[test]
    fn rules_that_are_not_rules_are_refused() {
        for wrong in ["default", "DEFAUL", "DEFAULT/L", "RULE:CN=(.*)", "RULE:a/b", "RULE:(/b/", "RULE:a/b/X"]
        {
            assert!(PrincipalMapping::parse(wrong).is_err(), "{wrong}");
        }
    }
}
