//! Rust source as the checks see it: without comments and string contents, with tests told from the rest.
//!
//! A lexer of one page instead of a parser: it also sees what is inside macros, and it costs nothing to build.

use std::ops::Range;

/// One Rust file.
#[derive(Debug)]
pub struct Source {
    /// Its path from the root of the repository, with slashes.
    pub path: String,
    /// The text as it is.
    pub text: String,
    /// The same text, byte for byte in the same place, with blanks for comments and what is in quotes.
    pub code: String,
    /// Where tests are: the bodies of `#[cfg(test)]` items, or everything in a file of tests.
    tests: Vec<Range<usize>>,
}

/// A function and where it is.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name, without its path.
    pub name: String,
    /// The first line, from 1.
    pub line: usize,
    /// How many lines it has, from `fn` to its closing brace.
    pub lines: usize,
}

impl Source {
    /// Prepares a file.
    pub fn new(path: &str, text: String) -> Source {
        let code = masked(&text);
        let tests =
            if is_test_file(path) { std::iter::once(0..code.len()).collect() } else { test_items(&code) };
        Source { path: path.to_owned(), text, code, tests }
    }

    /// Whether the byte at this offset belongs to tests.
    pub fn is_test(&self, offset: usize) -> bool {
        self.tests.iter().any(|range| range.contains(&offset))
    }

    /// The line of an offset, from 1.
    pub fn line(&self, offset: usize) -> usize {
        self.code.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count() + 1
    }

    /// Every place where `needle` stands in code, not as a part of a longer word.
    pub fn words<'a>(&'a self, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
        let bytes = self.code.as_bytes();
        let in_word = |offset: Option<usize>| {
            offset.and_then(|offset| bytes.get(offset)).is_some_and(|byte| is_word(*byte))
        };
        self.code.match_indices(needle).map(|(start, _)| start).filter(move |&start| {
            let end = start + needle.len();
            let opens = needle.as_bytes().first().is_some_and(|byte| is_word(*byte));
            let closes = needle.as_bytes().last().is_some_and(|byte| is_word(*byte));
            !(opens && in_word(start.checked_sub(1)) || closes && in_word(Some(end)))
        })
    }

    /// Whether the line, or the one before it, says `// tidy: allow(reason)`.
    pub fn is_allowed(&self, line: usize) -> bool {
        let has_reason = |line: &str| {
            let after = line.split_once("// tidy: allow(").and_then(|(_, rest)| rest.split_once(')'));
            after.is_some_and(|(reason, _)| !reason.trim().is_empty())
        };
        let first = line.saturating_sub(2);
        self.text.lines().skip(first).take(line - first).any(has_reason)
    }

    /// Every function with a body.
    pub fn functions(&self) -> Vec<Function> {
        let function = |start: usize| {
            let after = self.code[start + 2..].trim_start();
            let name: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let body = body(&self.code, start)?;
            let line = self.line(start);
            (!name.is_empty()).then(|| Function { name, line, lines: self.line(body.end - 1) - line + 1 })
        };
        self.words("fn").filter_map(function).collect()
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn is_test_file(path: &str) -> bool {
    let stem = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".rs");
    path.split('/').any(|part| part == "tests" || part == "benches")
        || stem == "tests"
        || stem.ends_with("_tests")
}

/// The bodies of items under `#[cfg(test)]`.
fn test_items(code: &str) -> Vec<Range<usize>> {
    let starts = code.match_indices("#[cfg(test)]").map(|(start, _)| start);
    starts.filter_map(|start| body(code, start + "#[cfg(test)]".len()).map(|body| start..body.end)).collect()
}

/// The next body in braces at or after `from`; `None` if a `;` outside parentheses comes first.
fn body(code: &str, from: usize) -> Option<Range<usize>> {
    let mut nested = 0usize;
    let mut open = None;
    for (offset, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' if open.is_none() => nested += 1,
            b')' | b']' if open.is_none() => nested = nested.saturating_sub(1),
            b';' if open.is_none() && nested == 0 => return None,
            b'{' => match &mut open {
                Some((_, depth)) => *depth += 1,
                None if nested == 0 => open = Some((offset, 1usize)),
                None => {}
            },
            b'}' => {
                if let Some((start, depth)) = &mut open {
                    *depth -= 1;
                    if *depth == 0 {
                        return Some(*start..offset + 1);
                    }
                }
            }
            _ => {}
        }
    }
    None
}

/// The text with blanks for comments and for what is in quotes; line breaks stay.
fn masked(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = hidden_end(bytes, at);
        match end {
            Some(end) => {
                out[at..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
                at = end;
            }
            None => at += 1,
        }
    }
    // Only whole tokens were overwritten, by ASCII: what is left is still valid.
    String::from_utf8_lossy(&out).into_owned()
}

/// Where the comment, string or character that starts here ends; `None` if none does.
fn hidden_end(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    let end_of = |needle: &[u8], from: usize| {
        rest.get(from..)?.windows(needle.len()).position(|window| window == needle).map(|found| from + found)
    };
    let starts_word = at == 0 || !is_word(bytes[at - 1]);
    let length = if rest.starts_with(b"//") {
        end_of(b"\n", 0).unwrap_or(rest.len())
    } else if rest.starts_with(b"/*") {
        block_comment(rest)
    } else if let Some(quote) = raw_string(rest).filter(|_| starts_word) {
        let closing = [&b"\""[..], &vec![b'#'; quote.1]].concat();
        end_of(&closing, quote.0).map_or(rest.len(), |end| end + closing.len())
    } else if rest[0] == b'"' {
        quoted(rest, b'"')
    } else if rest[0] == b'\'' && (rest.get(1) == Some(&b'\\') || char_closes(rest)) {
        quoted(rest, b'\'')
    } else {
        return None;
    };
    Some(at + length)
}

fn block_comment(rest: &[u8]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
        } else {
            at += 1;
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// For `r"`, `r#"`, `br##"` and so on: where the content starts, and how many `#` there are.
fn raw_string(rest: &[u8]) -> Option<(usize, usize)> {
    let prefix = if rest.starts_with(b"br") || rest.starts_with(b"cr") { 2 } else { 1 };
    if rest.get(prefix - 1) != Some(&b'r') {
        return None;
    }
    let hashes = rest[prefix..].iter().take_while(|byte| **byte == b'#').count();
    (rest.get(prefix + hashes) == Some(&b'"')).then_some((prefix + hashes + 1, hashes))
}

/// Tells `'x'` from the lifetime `'x`: a character closes after one character of at most four bytes.
fn char_closes(rest: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&rest[1..rest.len().min(6)]);
    let mut chars = text.chars();
    chars.next().is_some_and(|first| first != '\'') && chars.next() == Some('\'')
}

fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new("crates/x/src/a.rs", text.to_owned())
    }

    #[test]
    fn comments_strings_and_characters_are_not_code() {
        let text = "a(\"unwrap\"); // unwrap\n/* unwrap /* unwrap */ unwrap */ b('\\'', '{', \"\\\"}\");\nr#\"un\"wrap\"#; c::<'a>('ä')";
        let source = source(text);
        assert_eq!(source.words("unwrap").count(), 0);
        assert_eq!(source.code.len(), text.len());
        assert!(!source.code.contains('{') && source.code.contains("c::<'a>("));
    }

    #[test]
    fn words_are_whole_words() {
        let source = source("my_fn fn_x fn; x.unwrap() x.unwrap_or()");
        assert_eq!(source.words("fn").count(), 1);
        assert_eq!(source.words(".unwrap()").count(), 1);
    }

    #[test]
    fn what_is_under_cfg_test_is_test_code_and_nothing_else_is() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() {}\n}\nfn c() {}\n#[cfg(test)]\nmod more;\nfn d() {}";
        let source = source(text);
        let kinds: Vec<bool> = source.words("fn").map(|offset| source.is_test(offset)).collect();
        assert_eq!(kinds, [false, true, false, false]);
    }

    #[test]
    fn functions_are_measured_from_signature_to_brace() {
        let text = "trait T { fn none(&self); }\nfn long(\n a: [u8; 3],\n) -> u8\nwhere\n{\n  if a { }\n}\nfn one() {}";
        let functions = source(text).functions();
        let expected = [("long", 2, 7), ("one", 9, 1)];
        let found: Vec<_> = functions.iter().map(|f| (f.name.as_str(), f.line, f.lines)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn an_escape_needs_a_reason() {
        let source = source(
            "x.unwrap(); // tidy: allow(checked above)\n\ny.unwrap(); // tidy: allow()\n// tidy: allow(so)\nz",
        );
        assert!(source.is_allowed(1) && source.is_allowed(2));
        assert!(!source.is_allowed(3));
        assert!(source.is_allowed(5));
    }
}
