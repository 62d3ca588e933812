//! Subscriptions by `SubscribedTopicRegex`.
//!
//! An expression must match a whole topic name. It is resolved after the heartbeat that brings it, so that its topics come
//! with the next one, as in Kafka; again when topics were created, at most every 10 s, and from time to time.
//! Kafka's engine is RE2/J, this is Rust's `regex`; both run in linear time and have neither look-around nor
//! back-references. RE2/J alone knows `\Q…\E`, `\C` and octal escapes; Rust's alone knows nested classes and `--`, `&&`, `~~` in them.

use std::collections::BTreeSet;
use std::sync::Arc;

use klamm_kafka::ErrorCode;
use regex::{Regex, RegexBuilder};

use super::{ConsumerGroup, Scene};
use crate::error::Refusal;
use crate::group::image::TopicsImage;

/// Least time between two refreshes of a group (`REGEX_BATCH_REFRESH_MIN_INTERVAL_MS`).
const REFRESH_LEAST_INTERVAL_MS: i64 = 10_000;
/// Memory that one compiled expression may take.
const REGEX_LIMIT_BYTES: usize = 1024 * 1024;

/// What a new expression of a member means for the group.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RegexChange {
    pub changed: bool,
    /// Its topics are known already, so that a new epoch can begin at once.
    pub resolved: bool,
    /// All expressions are to be resolved after this heartbeat.
    pub refresh: bool,
}

impl ConsumerGroup {
    /// A member's expression becomes `new`. Called before the group has the member with it.
    pub(super) fn change_regex(
        &mut self,
        old: &str,
        new: &str,
        scene: Scene<'_>,
    ) -> Result<RegexChange, Refusal> {
        let mut change = RegexChange { changed: old != new, ..RegexChange::default() };
        let known = self.regexes.len();
        let mut subscribed: Vec<String> =
            self.members.values().map(|m| m.regex.clone()).filter(|regex| !regex.is_empty()).collect();
        let anybody = !subscribed.is_empty();
        if change.changed {
            let subscribers = |regex: &str| subscribed.iter().filter(|other| *other == regex).count();
            if !old.is_empty() && subscribers(old) == 1 {
                self.regexes.remove(old);
            }
            if new.is_empty() {
                change.resolved = !old.is_empty();
            } else if subscribers(new) == 0 {
                compile(new)?;
                change.refresh = true;
            } else {
                change.resolved = self.regexes.contains_key(new);
            }
        }
        if !change.refresh && !anybody {
            return Ok(change);
        }
        let last = self.resolved.filter(|_| known > 0);
        if last.is_some_and(|(at_ms, _)| scene.now_ms <= at_ms.saturating_add(REFRESH_LEAST_INTERVAL_MS)) {
            change.refresh = false;
            return Ok(change);
        }
        if let Some(place) = subscribed.iter().position(|regex| change.changed && regex == old) {
            subscribed.swap_remove(place);
        }
        if change.changed && !new.is_empty() {
            subscribed.push(new.to_owned());
        }
        let distinct: BTreeSet<_> = subscribed.into_iter().collect();
        let interval_ms = scene.settings.regex_refresh_interval_ms;
        change.refresh |= distinct.len() != known
            || last.is_none_or(|(at_ms, version)| {
                version < scene.image.grown_at || scene.now_ms > at_ms.saturating_add(interval_ms)
            });
        change.refresh &= !distinct.is_empty();
        Ok(change)
    }

    /// Resolves all expressions, for all members to topics that the one who asks `may_describe`, as Kafka does. A new epoch
    /// begins if that changes what the group is subscribed to.
    pub(super) fn resolve_regexes(
        &mut self,
        scene: Scene<'_>,
        may_describe: &dyn Fn(&str) -> bool,
    ) -> Result<(), Refusal> {
        let subscribed: BTreeSet<String> =
            self.members.values().map(|m| m.regex.clone()).filter(|regex| !regex.is_empty()).collect();
        let mut changed = false;
        self.regexes.retain(|regex, _| subscribed.contains(regex));
        for regex in subscribed {
            let mut topics = matches(&regex, scene.image);
            topics.retain(|topic| may_describe(topic));
            let old = self.regexes.get(&regex);
            if old.is_none_or(|old| **old != topics) {
                changed |= old.is_some() || !topics.is_empty();
                self.regexes.insert(regex, Arc::new(topics));
            }
        }
        self.resolved = Some((scene.now_ms, scene.image.version));
        self.compare_topics(scene.image, changed)
    }

    /// Forgets the expressions that nobody is subscribed to any more.
    pub(super) fn forget_unused_regexes(&mut self) {
        let members = &self.members;
        self.regexes.retain(|regex, _| members.values().any(|member| member.regex == *regex));
    }
}

/// Topics whose whole name matches. An expression that was accepted once and is no longer matches nothing.
fn matches(regex: &str, image: &TopicsImage) -> BTreeSet<String> {
    let Ok(regex) = compile(regex) else { return BTreeSet::new() };
    image.names().filter(|name| regex.is_match(name)).map(str::to_owned).collect()
}

fn compile(regex: &str) -> Result<Regex, Refusal> {
    let build = |text: &str| RegexBuilder::new(text).size_limit(REGEX_LIMIT_BYTES).build();
    // By itself first: `a)|(b` must not become sound by what is put around it.
    let compiled = build(regex).and_then(|_| build(&format!(r"\A(?:{regex})\z")));
    compiled.map_err(|error| {
        let message = format!("SubscribedTopicRegex `{regex}` is not a valid regular expression: {error}.");
        Refusal::new(ErrorCode::INVALID_REGULAR_EXPRESSION, message)
    })
}
