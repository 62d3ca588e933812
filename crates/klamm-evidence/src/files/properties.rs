//! Java's `.properties`, and the `name = value` files with `[sections]` that librdkafka and Python use.

use super::tree::{At, Pair};

/// Pairs of a `.properties` file: escapes and lines that go on are read as Java reads them.
pub(super) fn properties(text: &str) -> Vec<Pair> {
    let mut pairs = Vec::new();
    let mut lines = (1_u32..).zip(text.lines());
    while let Some((line, first)) = lines.next() {
        let start = first.trim_start();
        if start.is_empty() || start.starts_with(['#', '!']) {
            continue;
        }
        let indent = first.chars().count() - start.chars().count();
        let mut logical = start.to_owned();
        while goes_on(&logical) {
            logical.pop();
            match lines.next() {
                Some((_, next)) => logical.push_str(next.trim_start()),
                None => break,
            }
        }
        if let Some(pair) = pair(&logical, line, indent) {
            pairs.push(pair);
        }
    }
    pairs
}

/// An odd number of backslashes at the end.
fn goes_on(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

fn pair(logical: &str, line: u32, indent: usize) -> Option<Pair> {
    let mut escaped = false;
    let end = logical.char_indices().find(|(_, c)| {
        let ends = !escaped && matches!(c, '=' | ':' | ' ' | '\t');
        escaped = !escaped && *c == '\\';
        ends
    });
    let (name, rest) = logical.split_at(end.map_or(logical.len(), |(at, _)| at));
    let mut value = rest.trim_start();
    if let Some(after) = value.strip_prefix(['=', ':']) {
        value = after.trim_start();
    }
    let before = logical.len() - value.len();
    let column = indent + logical[..before].chars().count() + 1;
    let name = unescaped(name);
    let at = At { line, column: u32::try_from(column).unwrap_or(0) };
    (!name.is_empty()).then(|| Pair::new(name, unescaped(value.trim_end()), at))
}

fn unescaped(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => plain.push('\n'),
            Some('t') => plain.push('\t'),
            Some('r') => plain.push('\r'),
            Some('u') => {
                let hex =
                    chars.as_str().get(..4).filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
                let Some(hex) = hex else { continue };
                plain.extend(u32::from_str_radix(hex, 16).ok().and_then(char::from_u32));
                chars = chars.as_str()[4..].chars();
            }
            Some(other) => plain.push(other),
            None => {}
        }
    }
    plain
}

/// A section of an INI file; what stands before the first one has no name.
#[derive(Debug, Default)]
pub(super) struct Section {
    pub name: String,
    pub pairs: Vec<Pair>,
}

/// Sections of an INI or librdkafka file. Values are taken as they are, quotes around them apart.
pub(super) fn sections(text: &str) -> Vec<Section> {
    let mut sections = vec![Section::default()];
    for (line, raw) in (1_u32..).zip(text.lines()) {
        let start = raw.trim();
        if start.is_empty() || start.starts_with(['#', ';', '!']) {
            continue;
        }
        if let Some(name) = start.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            sections.push(Section { name: name.trim().to_owned(), pairs: Vec::new() });
            continue;
        }
        let Some((name, value)) = start.split_once('=').or_else(|| start.split_once(": ")) else { continue };
        let value = value.trim();
        let column = raw.find(value).map_or(1, |at| raw[..at].chars().count() + 1);
        let at = At { line, column: u32::try_from(column).unwrap_or(0) };
        let pair = Pair::new(name.trim(), unquoted(value), at);
        if let Some(section) = sections.last_mut() {
            section.pairs.push(pair);
        }
    }
    sections
}

fn unquoted(text: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String, u32, u32)> {
        properties(text).into_iter().map(|p| (p.name, p.text, p.at.line, p.at.column)).collect()
    }

    fn one(name: &str, value: &str, line: u32, column: u32) -> (String, String, u32, u32) {
        (name.to_owned(), value.to_owned(), line, column)
    }

    #[test]
    fn java_reads_them_so() {
        let text = "# comment\n! too\nacks = all\r\n  b:1\nempty=\nname only\npath=C:\\\\x\nlong=a,\\\n   b\nk\\ ey=\\u00e9\n";
        assert_eq!(
            read(text),
            [
                one("acks", "all", 3, 8),
                one("b", "1", 4, 5),
                one("empty", "", 5, 7),
                one("name", "only", 6, 6),
                one("path", "C:\\x", 7, 6),
                one("long", "a,b", 8, 6),
                one("k ey", "é", 10, 7),
            ]
        );
    }

    #[test]
    fn broken_text_is_read_as_far_as_it_goes() {
        assert_eq!(read("=x\n\\\nq=\\u12\nlast=\\"), [one("q", "12", 2, 3), one("last", "", 4, 6)]);
    }

    #[test]
    fn sections_keep_their_pairs() {
        let sections = sections("[default]\nbootstrap.servers = 'h:1'\n; no\n[consumer]\ngroup.id=g\n");
        let names: Vec<(&str, usize)> = sections.iter().map(|s| (s.name.as_str(), s.pairs.len())).collect();
        assert_eq!(names, [("", 0), ("default", 1), ("consumer", 1)]);
        assert_eq!(sections[1].pairs[0].text, "h:1");
    }
}
