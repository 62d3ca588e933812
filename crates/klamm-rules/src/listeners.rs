//! Listeners of brokers: who can reach them, and whether in clear.

use crate::evidence::{Broker, BrokerFile, Configs};
use crate::text::value;

/// One listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Name: `EXTERNAL`.
    pub name: String,
    /// Host that it is bound to; empty is all.
    pub host: String,
    /// `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT`, `SASL_SSL`; `None` when the map does not name it.
    pub protocol: Option<String>,
}

impl Listener {
    /// Only processes of its own host reach it.
    pub fn is_loopback(&self) -> bool {
        let host = self.host.trim_matches(['[', ']']);
        host == "localhost" || host == "::1" || host.starts_with("127.")
    }

    /// What goes over it can be read on the way.
    pub fn is_clear(&self) -> bool {
        self.protocol.as_deref().is_some_and(|protocol| protocol.ends_with("PLAINTEXT"))
    }
}

const PROTOCOLS: [&str; 4] = ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];

/// Listeners from Kafka's two settings. Without a map names are protocols, and the controllers' listener is in clear.
pub fn parse(listeners: &str, map: Option<&str>, controllers: &str) -> Vec<Listener> {
    let protocol = |name: &str| match map {
        Some(map) => map.split(',').find_map(|entry| {
            let (listener, protocol) = entry.trim().split_once(':')?;
            listener.eq_ignore_ascii_case(name).then(|| protocol.to_ascii_uppercase())
        }),
        None if PROTOCOLS.contains(&name) => Some(name.to_owned()),
        None => controllers.split(',').any(|one| one.trim() == name).then(|| "PLAINTEXT".to_owned()),
    };
    let parts = listeners.split(',').filter_map(|listener| listener.trim().split_once("://"));
    parts
        .map(|(name, address)| Listener {
            name: name.to_owned(),
            host: address.rsplit_once(':').map_or("", |(host, _)| host).to_owned(),
            protocol: protocol(name),
        })
        .collect()
}

/// Listeners of a live broker; `None` when they were not told.
pub fn of_broker(broker: &Broker) -> Option<Vec<Listener>> {
    let configs = broker.configs.value()?;
    let controllers = value(configs, "controller.listener.names").unwrap_or_default();
    Some(parse(value(configs, "listeners")?, value(configs, "listener.security.protocol.map"), controllers))
}

/// Listeners of a broker's file; `None` when it does not tell them.
pub fn of_file(file: &BrokerFile) -> Option<Vec<Listener>> {
    let get = |name: &str| file.settings.get(name).map(|setting| setting.value.as_deref());
    let listeners = match get("listeners") {
        Some(told) => told?,
        None if file.open => return None,
        None => "PLAINTEXT://:9092",
    };
    let map = match get("listener.security.protocol.map") {
        Some(told) => Some(told?),
        None if file.open => return None,
        None => None,
    };
    Some(parse(listeners, map, get("controller.listener.names").flatten().unwrap_or_default()))
}

/// What a live broker tells of a setting: `None` when it has none, `Some(None)` when it hides it.
pub fn told_live<'a>(configs: &'a Configs) -> impl Fn(&str) -> Option<Option<&'a str>> {
    |name| configs.get(name).map(|fact| fact.value.as_deref())
}

/// The same of a file, where what may be set elsewhere is hidden.
pub fn told_file<'a>(file: &'a BrokerFile) -> impl Fn(&str) -> Option<Option<&'a str>> {
    |name| match file.settings.get(name) {
        Some(setting) => Some(setting.value.as_deref()),
        None if file.open => Some(None),
        None => None,
    }
}

/// A setting as it holds for one listener: its own (`listener.name.out.…`) before that of all, with the key that it stands under. `None` when it
/// is hidden.
pub fn setting<'a>(
    listener: &Listener,
    name: &str,
    told: &impl Fn(&str) -> Option<Option<&'a str>>,
) -> Option<(String, Option<&'a str>)> {
    let own = format!("listener.name.{}.{name}", listener.name.to_lowercase());
    match told(&own) {
        Some(value) => Some((own, Some(value?))),
        None => match told(name) {
            Some(value) => Some((name.to_owned(), Some(value?))),
            None => Some((name.to_owned(), None)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_protocols_by_the_map_or_by_themselves() {
        let all = parse("IN://:9092,OUT://b1:9093,X://[::1]:9094", Some("IN:PLAINTEXT,OUT:SASL_SSL"), "");
        let clear: Vec<bool> = all.iter().map(Listener::is_clear).collect();
        assert_eq!(clear, [true, false, false]);
        assert_eq!(all[2].protocol, None);
        assert!(all[2].is_loopback() && !all[0].is_loopback());
        let own = parse("SSL://:9092,CONTROLLER://:9093", None, "CONTROLLER");
        assert_eq!(own.iter().map(Listener::is_clear).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn nonsense_is_no_listener() {
        assert!(parse("9092", None, "").is_empty());
        assert!(parse("", None, "").is_empty());
    }
}
