//! Reading configurations, and wording what many rules say.

use klamm_contract::facts::ConfigSource;

use crate::evidence::Configs;

/// A setting as a number.
pub fn number(configs: &Configs, name: &str) -> Option<i64> {
    value(configs, name)?.trim().parse().ok()
}

/// A setting as text; `None` when it is not there, null, or hidden.
pub fn value<'a>(configs: &'a Configs, name: &str) -> Option<&'a str> {
    configs.get(name)?.value.as_deref()
}

/// Where a setting comes from, in words.
pub fn source_of(configs: &Configs, name: &str) -> &'static str {
    match configs.get(name).map(|fact| fact.source) {
        Some(ConfigSource::Topic) => "set on the topic",
        Some(ConfigSource::DynamicBroker) => "set on this broker at run time",
        Some(ConfigSource::DynamicDefaultBroker) => "set for all brokers at run time",
        Some(ConfigSource::StaticBroker) => "server.properties",
        Some(ConfigSource::Default) => "Kafka's default",
        Some(ConfigSource::Other) => "another layer",
        None => "not told",
    }
}

/// `a`, `a and b`, `a, b and c`; of more than `most` the first and how many more.
pub fn listed<T: std::fmt::Display>(items: &[T], most: usize) -> String {
    let shown: Vec<String> = items.iter().take(most).map(ToString::to_string).collect();
    let more = items.len().saturating_sub(shown.len());
    match (shown.split_last(), more) {
        (None, _) => "none".to_owned(),
        (Some(_), 1..) => format!("{} and {more} more", shown.join(", ")),
        (Some((last, [])), 0) => last.clone(),
        (Some((last, rest)), 0) => format!("{} and {last}", rest.join(", ")),
    }
}

/// Milliseconds as people say them: `45 s`, `7 d`.
pub fn duration(ms: i64) -> String {
    const UNITS: [(i64, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")];
    let unit = UNITS.iter().find(|(size, _)| ms.abs() >= *size);
    match unit {
        Some((size, unit)) if ms % size == 0 => format!("{} {unit}", ms / size),
        Some((size, unit)) => format!("{:.1} {unit}", ms as f64 / *size as f64),
        None => format!("{ms} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_read_like_sentences() {
        assert_eq!(listed::<i32>(&[], 3), "none");
        assert_eq!(listed(&[1], 3), "1");
        assert_eq!(listed(&[1, 2, 3], 3), "1, 2 and 3");
        assert_eq!(listed(&[1, 2, 3, 4, 5], 3), "1, 2, 3 and 2 more");
    }

    #[test]
    fn durations_take_the_largest_unit_that_fits() {
        assert_eq!([duration(0), duration(1_500), duration(604_800_000)], ["0 ms", "1.5 s", "7 d"]);
    }
}
