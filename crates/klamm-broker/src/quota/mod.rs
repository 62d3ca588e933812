//! Client quotas (KIP-13, KIP-55, KIP-124, KIP-219): how much a user or client may produce, fetch and keep the broker busy.
//!
//! A client beyond its quota gets its answer at once, with the time that it is throttled for, and its connection is not read
//! for so long. Rates are measured as Kafka measures them, so that the times are Kafka's.

mod rate;

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use crate::sync::lock;
use rate::Rate;

/// What a quota is set for: types (`user`, `client-id`, `ip`) and names; no name means the default of the type.
pub(crate) type Entity = BTreeMap<String, Option<String>>;

/// The type of entity that stands alone.
pub(crate) const IP: &str = "ip";
/// Types of entities.
pub(crate) const ENTITY_TYPES: [&str; 3] = ["user", "client-id", IP];

/// What is set for each entity, by name of the quota.
pub(crate) type Limits = BTreeMap<Entity, BTreeMap<String, f64>>;

/// The quotas that are enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Bytes of produce requests a second.
    Produce,
    /// Bytes of fetch answers a second.
    Fetch,
    /// Percent of one thread's time.
    Request,
}

impl Kind {
    fn key(self) -> &'static str {
        match self {
            Self::Produce => "producer_byte_rate",
            Self::Fetch => "consumer_byte_rate",
            Self::Request => "request_percentage",
        }
    }
}

/// Whose consumption is added up: all with this user, this client id, or both.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Bucket {
    kind: Kind,
    user: Option<String>,
    client_id: Option<String>,
}

/// Who uses something up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Consumer<'a> {
    pub user: &'a str,
    pub client_id: &'a str,
}

/// What has been used lately. Bounded: what was not used within the window is forgotten once there are many.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    rates: Mutex<HashMap<Bucket, Rate>>,
}

/// Buckets after which old ones are looked for.
const MANY: usize = 1_000;

impl Usage {
    /// Adds `value`, and tells for how many milliseconds its consumer is to be throttled.
    pub fn record(&self, limits: &Limits, kind: Kind, who: Consumer<'_>, value: f64, now_ms: i64) -> i64 {
        let Some((bucket, limit)) = find(limits, kind, who) else { return 0 };
        let mut rates = lock(&self.rates);
        if rates.len() >= MANY {
            rates.retain(|_, rate| !rate.is_over(now_ms));
        }
        let rate = rates.entry(bucket).or_default();
        rate.record(value, now_ms);
        let throttle_ms = rate.throttle_ms(limit, now_ms);
        match kind {
            Kind::Request => throttle_ms.min(rate::WINDOW_MS),
            Kind::Produce | Kind::Fetch => throttle_ms,
        }
    }

    /// Takes back what was recorded, because it was not sent after all.
    pub fn take_back(&self, limits: &Limits, kind: Kind, who: Consumer<'_>, value: f64, now_ms: i64) {
        let Some((bucket, _)) = find(limits, kind, who) else { return };
        if let Some(rate) = lock(&self.rates).get_mut(&bucket) {
            rate.record(-value, now_ms);
        }
    }
}

/// The most that is not certainly throttled when nothing was used before: a fetch for more would never end.
pub(crate) fn most_in_window(limits: &Limits, kind: Kind, who: Consumer<'_>) -> Option<f64> {
    find(limits, kind, who).map(|(_, limit)| limit * rate::FULL_WINDOWS)
}

/// The quota that counts: the most specific one, a user's before a client's.
fn find(limits: &Limits, kind: Kind, who: Consumer<'_>) -> Option<(Bucket, f64)> {
    let (user, client) = (who.user, who.client_id);
    let order = [
        (Some(Some(user)), Some(Some(client))),
        (Some(Some(user)), Some(None)),
        (Some(Some(user)), None),
        (Some(None), Some(Some(client))),
        (Some(None), Some(None)),
        (Some(None), None),
        (None, Some(Some(client))),
        (None, Some(None)),
    ];
    order.into_iter().find_map(|(of_user, of_client)| {
        let mut entity = Entity::new();
        if let Some(name) = of_user {
            entity.insert("user".to_owned(), name.map(str::to_owned));
        }
        if let Some(name) = of_client {
            entity.insert("client-id".to_owned(), name.map(str::to_owned));
        }
        let limit = *limits.get(&entity)?.get(kind.key())?;
        let bucket = Bucket {
            kind,
            user: of_user.map(|_| user.to_owned()),
            client_id: of_client.map(|_| client.to_owned()),
        };
        Some((bucket, limit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Types and names.
    type Parts<'a> = &'a [(&'a str, Option<&'a str>)];

    fn limits(all: &[(Parts<'_>, f64)]) -> Limits {
        let entity = |parts: Parts<'_>| -> Entity {
            parts.iter().map(|(kind, name)| ((*kind).to_owned(), name.map(str::to_owned))).collect()
        };
        let one = |limit: f64| BTreeMap::from([("producer_byte_rate".to_owned(), limit)]);
        all.iter().map(|(parts, limit)| (entity(parts), one(*limit))).collect()
    }

    #[test]
    fn the_most_specific_quota_counts() {
        let all = limits(&[
            (&[("user", Some("u")), ("client-id", Some("c"))], 1.0),
            (&[("user", Some("u")), ("client-id", None)], 2.0),
            (&[("user", Some("u"))], 3.0),
            (&[("user", None), ("client-id", Some("c"))], 4.0),
            (&[("user", None), ("client-id", None)], 5.0),
            (&[("user", None)], 6.0),
            (&[("client-id", Some("c"))], 7.0),
            (&[("client-id", None)], 8.0),
        ]);
        let limit = |limits: &Limits, user, client_id| {
            find(limits, Kind::Produce, Consumer { user, client_id }).map(|(_, limit)| limit)
        };
        let mut left = all.clone();
        for (user, client, expected) in [
            ("u", "c", 1.0),
            ("u", "c", 2.0),
            ("u", "c", 3.0),
            ("u", "c", 4.0),
            ("u", "x", 5.0),
            ("u", "c", 6.0),
            ("u", "c", 7.0),
            ("u", "c", 8.0),
        ] {
            assert_eq!(limit(&left, user, client), Some(expected));
            left.retain(|_, values| values["producer_byte_rate"] > expected);
        }
        assert_eq!(limit(&left, "u", "c"), None);
        assert_eq!(find(&all, Kind::Fetch, Consumer { user: "u", client_id: "c" }), None);
    }

    #[test]
    fn users_with_the_default_quota_do_not_share_it() {
        let all = limits(&[(&[("user", None)], 10.0)]);
        let usage = Usage::default();
        let produce = |user, value, now_ms| {
            usage.record(&all, Kind::Produce, Consumer { user, client_id: "c" }, value, now_ms)
        };
        assert!(produce("a", 1_000.0, 0) > 0);
        assert_eq!(produce("b", 100.0, 0), 0);
        usage.take_back(&all, Kind::Produce, Consumer { user: "a", client_id: "d" }, 1_000.0, 0);
        assert_eq!(produce("a", 100.0, 0), 0);
    }
}
