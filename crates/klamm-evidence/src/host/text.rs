//! The text form in which exporters give their metrics (Prometheus 0.0.4 and OpenMetrics), as far as samples go: types and
//! help are passed over.

use std::collections::BTreeMap;

/// One sample.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// What was read of a text.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Parsed {
    pub(crate) samples: Vec<Sample>,
    /// Lines that are neither a sample nor a comment.
    pub(crate) unreadable: usize,
}

/// Reads a text line by line; a line that cannot be read costs no other.
pub(crate) fn parse(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    for line in lines {
        match sample(line) {
            Some(sample) => parsed.samples.push(sample),
            None => parsed.unreadable += 1,
        }
    }
    parsed
}

fn sample(line: &str) -> Option<Sample> {
    let is_name = |char: char| char.is_ascii_alphanumeric() || "_:".contains(char);
    let end = line.find(|char| !is_name(char))?;
    let (name, rest) = line.split_at(end);
    if name.is_empty() || name.starts_with(|char: char| char.is_ascii_digit()) {
        return None;
    }
    let (labels, rest) = match rest.trim_start().strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (BTreeMap::new(), rest),
    };
    // A time stamp may follow, and in OpenMetrics an exemplar.
    let mut words = rest.split_whitespace();
    let value = number(words.next()?)?;
    let time = words.next().is_none_or(|word| word == "#" || word.parse::<f64>().is_ok());
    time.then(|| Sample { name: name.to_owned(), labels, value })
}

/// The labels after `{`, and what follows `}`.
fn labels(mut rest: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        rest = rest.trim_start();
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, after) = rest.split_once('=')?;
        let (value, after) = quoted(after.trim_start())?;
        labels.insert(name.trim().to_owned(), value);
        rest = after.trim_start();
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.starts_with('}') => {}
            None => return None,
        }
    }
}

/// A quoted text with its escapes resolved, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix('"')?;
    let (mut value, mut chars) = (String::new(), inner.char_indices());
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, &inner[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

fn number(word: &str) -> Option<f64> {
    match word {
        "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        _ => word.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn samples_are_read_among_comments() {
        let parsed = parse(
            "# HELP up Whether it is.\n# TYPE up gauge\nup 1\n\n\
             disk{mount=\"/\", path=\"C:\\\\a\\n\\\"b\\\"\",} 1.5e+09 1700000000000\n\
             ticks_total{} 17 # {trace=\"1\"} 2\nodd NaN\nhigh +Inf\n<html>\nbroken{a=\"1\" 2\nname\nname x\n# EOF\n",
        );
        let names: Vec<_> = parsed.samples.iter().map(|sample| sample.name.as_str()).collect();
        assert_eq!(names, ["up", "disk", "ticks_total", "odd", "high"]);
        assert_eq!(parsed.unreadable, 4);
        assert_eq!(parsed.samples[1].labels["path"], "C:\\a\n\"b\"");
        assert_eq!(parsed.samples[1].value, 1.5e9);
        assert!(parsed.samples[3].value.is_nan());
    }

    fn escaped(value: &str) -> String {
        value.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            name in "[a-zA-Z_:][a-zA-Z0-9_:]{0,20}",
            labels in proptest::collection::btree_map("[a-z_][a-z0-9_]{0,8}", "[^\r\u{b}\u{c}\u{85}\u{2028}\u{2029}]{0,20}", 0..5),
            value in -1e12..1e12_f64,
        ) {
            let pairs: Vec<_> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
            let parsed = parse(&format!("{name}{{{}}} {value}\n", pairs.join(",")));
            prop_assert_eq!(parsed.unreadable, 0);
            prop_assert_eq!(&parsed.samples, &[Sample { name, labels, value }]);
        }

        #[test]
        fn no_text_breaks_reading(text: String, line in "[a-z]{1,3}\\{?[a-z=\",\\\\]{0,12}\\}? [0-9. ]{0,8}") {
            let lines = text.lines().count();
            let parsed = parse(&text);
            prop_assert!(parsed.samples.len() + parsed.unreadable <= lines);
            let _ = parse(&line);
        }
    }
}
