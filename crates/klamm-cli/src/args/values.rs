//! Values of options: how they are written, and what they may be.

use std::time::Duration;

/// How fast to produce.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RateArg {
    /// Records a second.
    PerSecond(f64),
    /// As fast as the cluster takes them.
    Max,
}

pub(super) fn rate(text: &str) -> Result<RateArg, String> {
    if text == "max" {
        return Ok(RateArg::Max);
    }
    match text.parse::<f64>() {
        Ok(n) if n.is_finite() && (0.1..=10_000_000.0).contains(&n) => Ok(RateArg::PerSecond(n)),
        _ => Err("expected records a second from 0.1 to 10000000, or max".to_owned()),
    }
}

/// Languages by the names that the planner gives them.
pub(super) fn language() -> impl clap::builder::TypedValueParser<Value = klamm_plan::service::Language> {
    use clap::builder::TypedValueParser;
    use klamm_plan::service::Language;
    let names = Language::ALL.iter().map(|language| language.name());
    clap::builder::PossibleValuesParser::new(names).try_map(|name| {
        let found = Language::ALL.iter().copied().find(|language| language.name() == name);
        found.ok_or("no such language")
    })
}

/// Formats by the names that the planner gives them: a format more needs no line here.
pub(super) fn format() -> impl clap::builder::TypedValueParser<Value = klamm_plan::export::Format> {
    use clap::builder::TypedValueParser;
    let names = klamm_plan::export::Format::ALL.iter().map(|format| format.name());
    clap::builder::PossibleValuesParser::new(names).try_map(|name| {
        let found = klamm_plan::export::Format::ALL.iter().copied().find(|format| format.name() == name);
        found.ok_or("no such format")
    })
}

/// A name and its value.
pub(super) fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("expected KEY=VALUE, as in log.retention.hours=24".to_owned()),
    }
}

/// A rate in bytes.
pub(super) fn throttle(text: &str) -> Result<u64, String> {
    match klamm_plan::spec::Rate::parse(text).map_err(|error| error.to_string())?.per_second() {
        klamm_plan::spec::PerSecond::Bytes(bytes) => Ok(bytes),
        klamm_plan::spec::PerSecond::Records(_) => Err("expected bytes a second, as in 20 MB/s".to_owned()),
    }
}

/// A size of one record.
pub(super) fn record_size(text: &str) -> Result<u64, String> {
    match klamm_plan::spec::ByteSize::parse(text).map_err(|error| error.to_string())?.bytes() {
        bytes @ 1..=1_000_000 => Ok(bytes),
        _ => Err("expected 1 B to 1 MB".to_owned()),
    }
}

/// A duration that may be zero.
pub(super) fn patience(text: &str) -> Result<Duration, String> {
    match text {
        "0" | "0s" => Ok(Duration::ZERO),
        _ => duration(text),
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let seconds_per_unit = match unit.trim() {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return Err(format!("unknown unit {unit:?}; expected ms, s, m, h or d, as in 500ms or 10s")),
    };
    match number.parse::<f64>() {
        Ok(n) if n.is_finite() && n > 0.0 && n * seconds_per_unit <= 31_536_000.0 => {
            Ok(Duration::from_secs_f64(n * seconds_per_unit))
        }
        _ => Err("expected a time above zero and at most 365d, as in 500ms, 10s or 5m".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_take_the_units_that_people_write() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("10"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        for bad in ["", "s", "-1s", "0s", "10 parsecs", "1e9d", "NaNs"] {
            assert!(duration(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn rates_are_bounded() {
        assert_eq!(rate("max"), Ok(RateArg::Max));
        assert_eq!(rate("250"), Ok(RateArg::PerSecond(250.0)));
        for bad in ["0", "-5", "inf", "NaN", "fast"] {
            assert!(rate(bad).is_err(), "{bad:?} was taken");
        }
    }
}
