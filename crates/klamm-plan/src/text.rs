//! Numbers as people read them, and the nearest known word.

/// `1 broker`, `2 brokers`.
pub(crate) fn count(number: impl Into<u64>, noun: &str) -> String {
    let number = number.into();
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// `text` in quotes, with what would end them escaped: a string of JSON, and so of YAML, Python and JavaScript, too.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// `1 record`, `7 records`.
pub(crate) fn records(number: i64) -> String {
    count(u64::try_from(number).unwrap_or(0), "record")
}

/// `words` in lines of at most `width` characters, where they have spaces to be broken at.
pub(crate) fn wrap(words: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words.split_whitespace() {
        let fits =
            |line: &String| line.is_empty() || line.chars().count() + 1 + word.chars().count() <= width;
        match lines.last_mut().filter(|line| fits(line)) {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// `1 copy`, `3 copies`.
pub(crate) fn copies(number: u32) -> String {
    if number == 1 { "1 copy".to_owned() } else { format!("{number} copies") }
}

/// Bytes in the largest decimal unit, to one digit after the point: `13.6 TB`.
pub fn bytes(bytes: u128) -> String {
    const UNITS: [&str; 6] = ["KB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut unit = 1000_u128;
    let mut name = UNITS[0];
    for next in &UNITS[1..] {
        if bytes < unit * 1000 {
            break;
        }
        unit *= 1000;
        name = next;
    }
    let tenths = bytes * 10 / unit;
    if tenths.is_multiple_of(10) {
        format!("{} {name}", tenths / 10)
    } else {
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    }
}

/// Milliseconds in the largest unit that is exact: `21h`, `90 min`, `1500 ms`.
pub(crate) fn millis(ms: u64) -> String {
    for (unit, name) in [(86_400_000, "d"), (3_600_000, "h"), (60_000, " min"), (1000, " s")] {
        if ms > 0 && ms.is_multiple_of(unit) {
            return format!("{}{name}", ms / unit);
        }
    }
    format!("{ms} ms")
}

/// Microseconds as milliseconds, without trailing zeros: `6.7 ms`.
pub(crate) fn micros(us: u64) -> String {
    if us.is_multiple_of(1000) {
        return millis(us / 1000);
    }
    let fraction = format!("{:03}", us % 1000);
    format!("{}.{} ms", us / 1000, fraction.trim_end_matches('0'))
}

/// `a, b and c`.
pub(crate) fn list<T: AsRef<str>>(items: &[T]) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [most @ .., last] => {
            let most: Vec<&str> = most.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", most.join(", "), last.as_ref())
        }
    }
}

/// The known word that `word` was probably meant to be.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edits between two words: insert, delete, replace, swap neighbours. Case does not count.
fn distance(one: &str, other: &str) -> usize {
    let one: Vec<char> = one.to_lowercase().chars().take(64).collect();
    let other: Vec<char> = other.to_lowercase().chars().take(64).collect();
    let mut rows = vec![(0..=other.len()).collect::<Vec<usize>>()];
    for i in 1..=one.len() {
        let mut row = vec![i];
        for j in 1..=other.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(one[i - 1] != other[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(20_000_000), "20 MB");
        assert_eq!(bytes(13_608_000_000_000), "13.6 TB");
        assert_eq!(bytes(u128::from(u64::MAX)), "18.4 EB");
        assert_eq!(millis(75_600_000), "21h");
        assert_eq!(millis(1_500), "1500 ms");
        assert_eq!(micros(6_700), "6.7 ms");
        assert_eq!(list(&["a", "b", "c"]), "a, b and c");
    }

    #[test]
    fn a_slip_of_the_finger_finds_its_word() {
        let known = ["consistency", "survive", "key", "order"];
        assert_eq!(nearest("consistancy", known), Some("consistency"));
        assert_eq!(nearest("oredr", known), Some("order"));
        assert_eq!(nearest("Key", known), Some("key"));
        assert_eq!(nearest("retention", known), None);
    }
}
