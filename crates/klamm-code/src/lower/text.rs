//! String literals and numbers.

/// The text of a literal with its quotes and prefix removed, and escapes resolved unless it is raw.
pub(crate) fn unquote(literal: &str) -> String {
    let at = literal.find(['"', '\'', '`']).unwrap_or(0);
    let (prefix, rest) = literal.split_at(at);
    let prefix = prefix.trim_matches('#').to_ascii_lowercase();
    let raw = prefix.contains('r') || rest.starts_with('`');
    let rest = rest.trim_matches('#');
    let inner = ["\"\"\"", "'''", "\"", "'", "`"].iter().find_map(|quote| {
        let inner = rest.strip_prefix(quote)?;
        Some(inner.strip_suffix(quote).unwrap_or(inner))
    });
    let inner = inner.unwrap_or(rest);
    if raw { inner.to_owned() } else { unescape(inner) }
}

/// Resolves the escapes that all languages share; others stay as they are.
pub(crate) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(next) = chars.next() {
        if next != '\\' {
            out.push(next);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('\n') | None => {}
            Some(other @ ('"' | '\'' | '\\' | '`' | '$')) => out.push(other),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
        }
    }
    out
}

/// A number without underscores and without the suffixes of types.
pub(crate) fn number(literal: &str) -> String {
    let digits: String = literal.chars().filter(|c| *c != '_').collect();
    if digits.starts_with("0x") || digits.starts_with("0X") {
        return digits;
    }
    let end = digits.find(|c: char| c.is_ascii_alphabetic() && c != 'e' && c != 'E').unwrap_or(digits.len());
    digits[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_prefixes_go() {
        for (literal, text) in [
            ("\"a\\nb\"", "a\nb"),
            ("'x'", "x"),
            ("r#\"a\\b\"#", "a\\b"),
            ("b\"key\"", "key"),
            ("\"\"\"long\"\"\"", "long"),
            ("`raw\\`", "raw\\"),
            ("\"", ""),
            ("", ""),
        ] {
            assert_eq!(unquote(literal), text, "{literal}");
        }
    }

    #[test]
    fn numbers_lose_their_suffix() {
        assert_eq!(
            [number("1_000L"), number("5usize"), number("0x1F"), number("1.5")],
            ["1000", "5", "0x1F", "1.5"]
        );
    }
}
