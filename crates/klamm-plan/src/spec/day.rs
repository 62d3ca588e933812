//! A day of the calendar.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::decode::{Context, Decode};
use super::yaml::Node;

/// Milliseconds of a day; UTC has no others.
const DAY_MS: i64 = 86_400_000;

/// A day of the calendar, as `2027-01-31`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day {
    year: u16,
    month: u8,
    day: u8,
}

impl Day {
    /// Reads `2027-01-31`; `None` when it is another form, or no day that exists.
    pub fn parse(text: &str) -> Option<Self> {
        let shape =
            |(at, byte): (usize, u8)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() };
        if text.len() != 10 || !text.bytes().enumerate().all(shape) {
            return None;
        }
        let (year, month, day): (u16, u8, u8) =
            (text[..4].parse().ok()?, text[5..7].parse().ok()?, text[8..].parse().ok()?);
        let exists = year >= 1970 && (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
        exists.then_some(Day { year, month, day })
    }

    /// The last millisecond of that day in UTC, since 1970.
    pub fn end_ms(self) -> i64 {
        let years: i64 = (1970..self.year).map(|year| 365 + i64::from(is_leap(year))).sum();
        let months: i64 = (1..self.month).map(|month| i64::from(days_in(self.year, month))).sum();
        (years + months + i64::from(self.day)) * DAY_MS - 1
    }
}

fn is_leap(year: u16) -> bool {
    (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400)
}

fn days_in(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl Decode for Day {
    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        let text = cx.scalar(node, "a day like 2027-01-31")?;
        let day = Day::parse(text);
        if day.is_none() {
            cx.error("bad-day", node.span, format!("{text:?} is no day")).help =
                Some("write it like 2027-01-31".to_owned());
        }
        day
    }
}

impl JsonSchema for Day {
    fn schema_name() -> Cow<'static, str> {
        "Day".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A day of the calendar.", "type": "string", "format": "date",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "examples": ["2027-01-31"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_with_its_last_millisecond() {
        for (text, end) in
            [("1970-01-01", 86_399_999), ("2000-02-29", 951_868_799_999), ("2027-01-31", 1_801_439_999_999)]
        {
            let day = Day::parse(text).expect(text);
            assert_eq!((day.end_ms(), day.to_string()), (end, text.to_owned()));
        }
    }

    #[test]
    fn what_is_no_day_is_none() {
        for text in [
            "2027-02-29",
            "2027-13-01",
            "2027-1-31",
            "31.01.2027",
            "2027-00-10",
            "1969-12-31",
            "2027-01-3é",
            "",
        ] {
            assert_eq!(Day::parse(text), None, "{text}");
        }
    }
}
