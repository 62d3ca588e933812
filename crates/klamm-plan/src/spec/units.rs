//! Quantities as people write them: `20 MB/s`, `3x`, `7d`, `10 GiB`. Exact, and printed back as written.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use super::decode::{Context, Decode};
use super::yaml::Node;
use crate::text::nearest;

/// Bytes: `1 KB` (1000), `10 GiB` (1024 based).
#[derive(Debug, Clone)]
pub struct ByteSize {
    bytes: u64,
    text: String,
}

/// How fast records come: `20 MB/s` or `5000 records/s`.
#[derive(Debug, Clone)]
pub struct Rate {
    per_second: PerSecond,
    text: String,
}

/// What a [`Rate`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PerSecond {
    /// Bytes a second.
    Bytes(u64),
    /// Records a second.
    Records(u64),
}

/// A length of time: `3 ms`, `7d`.
#[derive(Debug, Clone)]
pub struct Duration {
    micros: u64,
    text: String,
}

/// A multiple: `3x`, `1.5x`.
#[derive(Debug, Clone)]
pub struct Factor {
    thousandths: u64,
    text: String,
}

/// A share: `3%`, `0.5%`.
#[derive(Debug, Clone)]
pub struct Percent {
    thousandths: u64,
    text: String,
}

/// How many: `1200`, `5M`.
#[derive(Debug, Clone)]
pub struct Count {
    count: u64,
    text: String,
}

/// How long records stay: `7d`, `500 GB`, `forever`, `compact`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retain {
    /// At least this long.
    Time(Duration),
    /// At least the newest so many bytes of the topic, one copy.
    Size(ByteSize),
    /// Nothing is deleted.
    Forever,
    /// The newest record of each key.
    Compact,
}

const SIZES: &[(&str, u64)] = &[
    ("B", 1),
    ("KB", 1_000),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("PB", 1_000_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("PiB", 1 << 50),
];

const TIMES: &[(&str, u64)] = &[
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("min", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
    ("w", 604_800_000_000),
];

impl ByteSize {
    /// Bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads `1 KB`.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        let bytes = quantity(text, SIZES, "size", "1 KB, 10 GiB")?;
        Ok(ByteSize { bytes, text: text.to_owned() })
    }
}

/// Defaults of the spec, as if somebody had written them.
impl ByteSize {
    pub(super) fn literal(text: &str, bytes: u64) -> Self {
        ByteSize { bytes, text: text.to_owned() }
    }
}

impl Rate {
    pub(super) fn literal(text: &str, bytes: u64) -> Self {
        Rate { per_second: PerSecond::Bytes(bytes), text: text.to_owned() }
    }
}

impl Duration {
    pub(super) fn literal(text: &str, micros: u64) -> Self {
        Duration { micros, text: text.to_owned() }
    }
}

impl Factor {
    pub(super) fn literal(text: &str, thousandths: u64) -> Self {
        Factor { thousandths, text: text.to_owned() }
    }
}

impl Rate {
    /// Bytes or records a second.
    pub fn per_second(&self) -> PerSecond {
        self.per_second
    }

    /// Reads `20 MB/s` or `5000 records/s`.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        const EXAMPLES: &str = "20 MB/s, 5000 records/s";
        let Some(amount) = text.strip_suffix("/s") else {
            return Err(UnitError::new(text, "rate", "it does not end in \"/s\"", EXAMPLES));
        };
        let per_second = if amount.trim_end().ends_with("records") || amount.trim_end().ends_with("record") {
            PerSecond::Records(quantity(amount, &[("records", 1), ("record", 1)], "rate", EXAMPLES)?)
        } else {
            PerSecond::Bytes(quantity(amount, SIZES, "rate", EXAMPLES)?)
        };
        Ok(Rate { per_second, text: text.to_owned() })
    }
}

impl Duration {
    /// Microseconds.
    pub fn micros(&self) -> u64 {
        self.micros
    }

    /// Milliseconds, rounded up.
    pub fn millis(&self) -> u64 {
        self.micros.div_ceil(1_000)
    }

    /// Reads `7d`.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        let micros = quantity(text, TIMES, "length of time", "3 ms, 90 s, 7d")?;
        Ok(Duration { micros, text: text.to_owned() })
    }
}

impl Factor {
    /// Thousandths: `1.5x` is 1500.
    pub fn thousandths(&self) -> u64 {
        self.thousandths
    }

    /// Reads `3x`.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        let thousandths = quantity(text, &[("x", 1_000)], "factor", "3x, 1.5x")?;
        Ok(Factor { thousandths, text: text.to_owned() })
    }
}

impl Percent {
    /// Thousandths of a percent: `1.5%` is 1500.
    pub fn thousandths(&self) -> u64 {
        self.thousandths
    }

    /// The share of `value`, rounded up.
    pub fn of(&self, value: u64) -> u64 {
        let share = u128::from(value) * u128::from(self.thousandths);
        u64::try_from(share.div_ceil(100_000)).unwrap_or(u64::MAX)
    }

    /// Reads `3%`.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        const EXAMPLES: &str = "3%, 0.5%";
        let thousandths = quantity(text, &[("%", 1_000)], "share", EXAMPLES)?;
        if thousandths > 100_000 {
            return Err(UnitError::new(text, "share", "it is more than 100%", EXAMPLES));
        }
        Ok(Percent { thousandths, text: text.to_owned() })
    }
}

impl Count {
    /// How many.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Reads `5M`.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        let units = &[("", 1), ("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000)];
        let count = quantity(text, units, "count", "1200, 200k, 5M")?;
        Ok(Count { count, text: text.to_owned() })
    }
}

impl Retain {
    /// Reads `7d`, `500 GB`, `forever` or `compact`.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        match text {
            "forever" => return Ok(Retain::Forever),
            "compact" => return Ok(Retain::Compact),
            _ => {}
        }
        let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == ' ');
        if SIZES.iter().any(|(name, _)| *name == unit) {
            return ByteSize::parse(text).map(Retain::Size);
        }
        let time = quantity(text, TIMES, "retention", "7d, 500 GB, forever, compact")?;
        Ok(Retain::Time(Duration { micros: time, text: text.to_owned() }))
    }
}

/// Why a text is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitError {
    message: String,
    examples: &'static str,
}

impl UnitError {
    fn new(text: &str, what: &str, why: impl fmt::Display, examples: &'static str) -> Self {
        UnitError { message: format!("{text:?} is no {what}: {why}"), examples }
    }
}

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for UnitError {}

/// A decimal number and one of `units`, as a whole number of the smallest unit. Nothing is rounded.
fn quantity(text: &str, units: &[(&str, u64)], what: &str, examples: &'static str) -> Result<u64, UnitError> {
    let fail = |why: String| UnitError::new(text, what, why, examples);
    let digits = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim();
    if digits == 0 {
        return Err(fail("it does not start with a number".to_owned()));
    }
    let Some((_, scale)) = units.iter().find(|(name, _)| *name == unit) else {
        let names: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
        return Err(fail(match nearest(unit, names.iter().copied()) {
            _ if unit.is_empty() => format!("the unit is missing ({})", names.join(", ")),
            Some(name) => format!("unknown unit {unit:?}, did you mean {name:?}?"),
            None => format!("unknown unit {unit:?} (known: {})", names.join(", ")),
        }));
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.contains('.') || number.ends_with('.') {
        return Err(fail(format!("{number:?} is not a number")));
    }
    if fraction.len() > 9 {
        return Err(fail("it has more than nine digits after the point".to_owned()));
    }
    let too_large = || fail("it is larger than klamm can count".to_owned());
    let mantissa: u64 = format!("{whole}{fraction}").parse().map_err(|_| too_large())?;
    let scaled = u128::from(mantissa) * u128::from(*scale);
    let divisor = 10_u128.pow(fraction.len() as u32);
    if !scaled.is_multiple_of(divisor) {
        return Err(fail(format!("it is not a whole number of {}", smallest(what))));
    }
    // Kafka counts in signed 64 bits.
    u64::try_from(scaled / divisor).ok().filter(|value| i64::try_from(*value).is_ok()).ok_or_else(too_large)
}

fn smallest(what: &str) -> &'static str {
    match what {
        "length of time" | "retention" => "microseconds",
        "factor" | "share" => "thousandths",
        "count" => "things",
        _ => "bytes",
    }
}

/// Equality by value, text as written, reading, and schema: the same for every unit.
macro_rules! unit {
    ($Type:ident, $value:ident, $pattern:literal, $doc:literal, [$($example:literal),*]) => {
        impl PartialEq for $Type {
            fn eq(&self, other: &Self) -> bool {
                self.$value == other.$value
            }
        }
        impl Eq for $Type {}
        impl fmt::Display for $Type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text)
            }
        }
        written!($Type, $pattern, $doc, [$($example),*]);
    };
}

macro_rules! written {
    ($Type:ident, $pattern:literal, $doc:literal, [$($example:literal),*]) => {
        impl Serialize for $Type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl Decode for $Type {
            fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
                let text = cx.scalar(node, concat!("text like ", $($example, " "),*).trim_end())?;
                match $Type::parse(text) {
                    Ok(value) => Some(value),
                    Err(error) => {
                        let help = format!("write it like {}", error.examples);
                        cx.error("bad-unit", node.span, error.message).help = Some(help);
                        None
                    }
                }
            }
        }
        impl JsonSchema for $Type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($Type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "description": $doc, "type": "string", "pattern": $pattern, "examples": [$($example),*]
                })
            }
        }
    };
}

unit!(ByteSize, bytes, r"^[0-9]+(\.[0-9]+)? ?(B|[kKMGTP]B|[KMGTP]iB)$", "Bytes.", ["1 KB", "10 GiB"]);
unit!(
    Rate,
    per_second,
    r"^[0-9]+(\.[0-9]+)? ?(B|[kKMGTP]B|[KMGTP]iB|records?)/s$",
    "Bytes or records a second.",
    ["20 MB/s", "5000 records/s"]
);
unit!(Duration, micros, r"^[0-9]+(\.[0-9]+)? ?(us|ms|s|min|h|d|w)$", "A length of time.", ["3 ms", "7d"]);
unit!(Percent, thousandths, r"^[0-9]+(\.[0-9]+)? ?%$", "A share.", ["3%", "0.5%"]);
unit!(Count, count, r"^[0-9]+(\.[0-9]+)? ?[kMG]?$", "How many.", ["1200", "5M"]);
unit!(Factor, thousandths, r"^[0-9]+(\.[0-9]+)? ?x$", "A multiple.", ["3x", "1.5x"]);
written!(
    Retain,
    r"^(forever|compact|[0-9]+(\.[0-9]+)? ?(us|ms|s|min|h|d|w|B|[kKMGTP]B|[KMGTP]iB))$",
    "A length of time, a size of the whole topic (one copy), forever, or compact.",
    ["7d", "500 GB", "forever", "compact"]
);

impl fmt::Display for Retain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Retain::Time(time) => time.fmt(f),
            Retain::Size(size) => size.fmt(f),
            Retain::Forever => f.write_str("forever"),
            Retain::Compact => f.write_str("compact"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantities_are_exact_and_printed_as_written() {
        let rate = Rate::parse("20 MB/s").expect("a rate");
        assert_eq!(
            (rate.per_second(), rate.to_string()),
            (PerSecond::Bytes(20_000_000), "20 MB/s".to_owned())
        );
        assert_eq!(Rate::parse("5000 records/s").expect("a rate").per_second(), PerSecond::Records(5_000));
        assert_eq!(ByteSize::parse("10GiB").expect("a size").bytes(), 10 << 30);
        assert_eq!(ByteSize::parse("1.5 KB").expect("a size").bytes(), 1_500);
        assert_eq!(Duration::parse("7d").expect("a time").millis(), 604_800_000);
        assert_eq!(Duration::parse("0.1 ms").expect("a time").micros(), 100);
        assert_eq!(Factor::parse("1.25x").expect("a factor").thousandths(), 1_250);
        assert_eq!(Percent::parse("1.5%").expect("a share").of(1_000), 15);
        assert_eq!(Percent::parse("0.1%").expect("a share").of(1), 1);
        assert_eq!(Count::parse("1.2M").expect("a count").count(), 1_200_000);
        assert_eq!(Count::parse("42").expect("a count").count(), 42);
        assert!(
            Percent::parse("101%").is_err() && Count::parse("1.5").is_err() && Count::parse("5 m").is_err()
        );
        assert_eq!(Retain::parse("500 GB").expect("a retention").to_string(), "500 GB");
        assert_eq!(Retain::parse("compact"), Ok(Retain::Compact));
    }

    #[test]
    fn what_is_not_a_quantity_is_told_why() {
        let why = |result: Result<ByteSize, UnitError>| result.expect_err("no size").to_string();
        assert_eq!(
            why(ByteSize::parse("10 mb")),
            "\"10 mb\" is no size: unknown unit \"mb\", did you mean \"MB\"?"
        );
        assert!(why(ByteSize::parse("10")).contains("the unit is missing"));
        assert!(why(ByteSize::parse("MB")).contains("does not start with a number"));
        assert!(why(ByteSize::parse("-1 MB")).contains("does not start with a number"));
        assert!(why(ByteSize::parse("0.5 B")).contains("not a whole number of bytes"));
        assert!(why(ByteSize::parse("99999999999999999999 B")).contains("larger than klamm can count"));
        assert!(why(ByteSize::parse("99999 PB")).contains("larger than klamm can count"));
        assert!(why(ByteSize::parse("1..2 MB")).contains("not a number"));
        assert!(Rate::parse("20 MB").expect_err("no rate").to_string().contains("\"/s\""));
        assert!(
            Retain::parse("7 days").expect_err("no retention").to_string().contains("unknown unit \"days\"")
        );
    }

    proptest! {
        #[test]
        fn any_text_is_a_quantity_or_refused(text in "\\PC{0,24}") {
            let _ = (ByteSize::parse(&text), Rate::parse(&text), Duration::parse(&text), Factor::parse(&text));
            let _ = Retain::parse(&text);
        }

        #[test]
        fn a_size_is_what_its_digits_say(whole in 0..1_000_000u64, thousandths in 0..1_000u64, unit in 0..SIZES.len()) {
            let (name, scale) = SIZES[unit];
            let text = format!("{whole}.{thousandths:03} {name}");
            let wanted = (u128::from(whole) * 1000 + u128::from(thousandths)) * u128::from(scale);
            match ByteSize::parse(&text) {
                Ok(size) => prop_assert_eq!(u128::from(size.bytes()) * 1000, wanted),
                Err(_) => prop_assert!(wanted % 1000 != 0 || wanted / 1000 > i64::MAX as u128),
            }
        }
    }
}
