//! Places where records are sent, and what their keys are.

use klamm_rules::evidence::{KeyShape, SendSite};

use super::File;
use super::scope::{HOPS, How, ScopeId};
use super::value::same_text;
use super::visit::{self, Around};
use crate::libraries::{Does, Key, Sent};
use crate::tree::{Call, Expr, ExprKind};

/// Calls that give another value each time, with what that is.
const SCATTER: &[(&str, &str)] = &[
    ("randomUUID", "uuid"),
    ("uuid4", "uuid"),
    ("uuid1", "uuid"),
    ("uuidv4", "uuid"),
    ("new_v4", "uuid"),
    ("now_v7", "uuid"),
    ("NewString", "uuid"),
    ("NewUUID", "uuid"),
    ("NewRandom", "uuid"),
    ("v4", "uuid"),
    ("currentTimeMillis", "time"),
    ("nanoTime", "time"),
    ("now", "time"),
    ("Now", "time"),
    ("time_ns", "time"),
    ("utcnow", "time"),
    ("time.time", "time"),
    ("UnixNano", "time"),
    ("UnixMilli", "time"),
    ("nextInt", "random"),
    ("nextLong", "random"),
    ("random", "random"),
    ("randint", "random"),
    ("Intn", "random"),
    ("randrange", "random"),
    ("Int63", "random"),
    ("gen_range", "random"),
    ("token_hex", "random"),
    ("randomBytes", "random"),
];

impl<'t> File<'t> {
    /// The send that an expression is.
    pub(super) fn send(
        &self,
        expr: &'t Expr,
        scope: ScopeId,
        around: &[Around<'t>],
    ) -> Option<(SendSite, Option<(&'t str, ScopeId)>)> {
        let (call, into) = match &expr.kind {
            ExprKind::Call(call) => (call.as_ref(), None),
            ExprKind::ChannelSend { channel, value } => (channel.as_call()?, Some(value.as_ref())),
            _ => return None,
        };
        let (table, method) = self.method(call, scope)?;
        let Does::Send(send) = method.does else { return None };
        // `producer.Input()` is the send only where something goes into it.
        if into.is_none() && around_is_channel(expr, around) {
            return None;
        }
        let record = (send.record)(&self.scopes, scope, Sent { call, into });
        let topic = record.topic.and_then(|topic| self.scopes.constant(topic, record.scope));
        let (key, key_text) = match record.key {
            Key::Missing => (KeyShape::Missing, None),
            Key::At(key) => (self.key(key, record.scope), Some(self.shown(key))),
            Key::Unknown => (KeyShape::Unknown, None),
        };
        let site = SendSite {
            place: self.place(expr.span),
            library: table.library,
            function: self.scopes.function_name(scope),
            topic,
            result: self.result(send.report, call, expr, scope, around),
            key,
            key_text,
        };
        Some((site, self.variable_of(call, scope)))
    }

    /// A channel that this file makes: who receives from it waits for who sends.
    pub(super) fn is_own_channel(&self, channel: &'t Expr, scope: ScopeId) -> bool {
        let def = self.only_def(channel, scope);
        def.and_then(|def| def.value?.as_call()).is_some_and(|made| made.method() == "make")
    }

    /// The text of an expression, short enough to be shown.
    pub(super) fn shown(&self, expr: &Expr) -> String {
        let text = self.slice(expr.span);
        let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        match line.char_indices().nth(60) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        }
    }

    /// What a key is made of.
    pub(super) fn key(&self, expr: &'t Expr, scope: ScopeId) -> KeyShape {
        self.key_at(expr, scope, HOPS)
    }

    fn key_at(&self, expr: &'t Expr, scope: ScopeId, hops: u32) -> KeyShape {
        let Some(hops) = hops.checked_sub(1) else { return KeyShape::Unknown };
        match &expr.kind {
            ExprKind::Null => KeyShape::Missing,
            ExprKind::Text(text) => KeyShape::Constant(text.clone()),
            ExprKind::Number(text) => KeyShape::Constant(text.clone()),
            ExprKind::Template(_) | ExprKind::Binary { .. } => self.mixed(expr, scope),
            ExprKind::Await(inner) | ExprKind::Try(inner) => self.key_at(inner, scope, hops),
            ExprKind::Name(name) => self.named_key(expr, name, scope, hops),
            ExprKind::Member { name, .. } => self.member_key(expr, name, scope),
            ExprKind::Index { index, .. } => match &index.kind {
                ExprKind::Text(text) => KeyShape::Attribute(text.clone()),
                _ => KeyShape::Unknown,
            },
            ExprKind::Call(call) => self.call_key(expr, call, scope, hops),
            ExprKind::Other(inner) if inner.len() == 1 => self.key_at(&inner[0], scope, hops),
            _ => KeyShape::Unknown,
        }
    }

    fn member_key(&self, expr: &'t Expr, name: &str, scope: ScopeId) -> KeyShape {
        match self.scopes.constant(expr, scope) {
            Some(text) => KeyShape::Constant(text),
            None => KeyShape::Attribute(name.to_owned()),
        }
    }

    fn named_key(&self, expr: &'t Expr, name: &str, scope: ScopeId, hops: u32) -> KeyShape {
        if let Some(text) = self.scopes.constant(expr, scope) {
            return KeyShape::Constant(text);
        }
        let attribute = || KeyShape::Attribute(name.to_owned());
        let Some(def) = self.only_def(expr, scope) else {
            return if self.scopes.defs_of(expr, scope).is_some() { KeyShape::Unknown } else { attribute() };
        };
        let (Some(value), How::Bound | How::Assigned, 1) = (def.value, def.how, def.names) else {
            return attribute();
        };
        match self.key_at(value, def.scope, hops) {
            // A new identifier that has a name of its own identifies a new thing: `orderId = UUID.randomUUID()`.
            KeyShape::Scattered(what) if what == "uuid" && is_entity(name) && self.is_plain(value) => {
                attribute()
            }
            KeyShape::Unknown => {
                if matches!(value.kind, ExprKind::Call(_)) && !generic(name) {
                    attribute()
                } else {
                    KeyShape::Unknown
                }
            }
            known => known,
        }
    }

    /// The value is nothing but the call, perhaps as text.
    fn is_plain(&self, value: &Expr) -> bool {
        match &value.kind {
            ExprKind::Call(_) => true,
            ExprKind::Template(parts) => parts.len() == 1,
            _ => false,
        }
    }

    fn call_key(&self, expr: &'t Expr, call: &'t Call, scope: ScopeId, hops: u32) -> KeyShape {
        if let Some(what) = scatter(call) {
            return KeyShape::Scattered(what.to_owned());
        }
        if let Some(inner) = same_text(call) {
            return self.key_at(inner, scope, hops);
        }
        if matches!(call.method(), "concat" | "join" | "format" | "Sprintf") {
            return self.mixed(expr, scope);
        }
        match (call.method(), call.args.as_slice()) {
            ("get" | "getString" | "getOrDefault" | "asText" | "path" | "at", [only]) => {
                match &only.value.kind {
                    ExprKind::Text(text) => KeyShape::Attribute(text.clone()),
                    _ => KeyShape::Unknown,
                }
            }
            (method, []) if call.receiver().is_some() => match attribute_of(method) {
                Some(name) => KeyShape::Attribute(name),
                None => KeyShape::Unknown,
            },
            _ => self.mixed(expr, scope),
        }
    }

    /// Made of several parts: what changes with each record decides.
    fn mixed(&self, expr: &'t Expr, scope: ScopeId) -> KeyShape {
        let mut found = None;
        let mut look = |part: &'t Expr| {
            let (origin, _) = self.scopes.origin(part, scope);
            let mut scatters = |part: &'t Expr| {
                found = found.or_else(|| part.as_call().and_then(scatter_plain));
                found.is_some()
            };
            scatters(part) || visit::any(origin, &mut scatters)
        };
        visit::any(expr, &mut look);
        match found {
            Some(what) => KeyShape::Scattered(what.to_owned()),
            None => self.scopes.constant(expr, scope).map_or(KeyShape::Unknown, KeyShape::Constant),
        }
    }
}

/// The scattering call that this is, or that it makes text of: `UUID.randomUUID().toString()`.
fn scatter(call: &Call) -> Option<&'static str> {
    if let Some(what) = scatter_plain(call) {
        return Some(what);
    }
    let inner = same_text(call)?.as_call()?;
    scatter(inner)
}

fn scatter_plain(call: &Call) -> Option<&'static str> {
    let method = call.method();
    let path = call.function.path().unwrap_or_default();
    let known = SCATTER.iter().find(|(name, _)| *name == method || *name == path);
    let from = path.split('.').next().unwrap_or_default();
    match known {
        Some((_, what)) => Some(what),
        None if method == "New" && from == "uuid" => Some("uuid"),
        None if method == "time" && from == "time" => Some("time"),
        None if call.new && method == "Date" && call.args.is_empty() => Some("time"),
        None => None,
    }
}

/// `getCustomerId` is `customerId`, `customer_id` stays.
fn attribute_of(method: &str) -> Option<String> {
    let name =
        method.strip_prefix("get").filter(|rest| rest.starts_with(char::is_uppercase)).unwrap_or(method);
    let name = name.strip_prefix("Get").filter(|rest| rest.starts_with(char::is_uppercase)).unwrap_or(name);
    let mut chars = name.chars();
    let first = chars.next()?;
    Some(first.to_lowercase().chain(chars).collect())
}

fn is_entity(name: &str) -> bool {
    let lower = name.to_lowercase();
    lower.ends_with("id")
        && !matches!(
            lower.as_str(),
            "id" | "uuid" | "eventid" | "messageid" | "event_id" | "message_id" | "key_id" | "keyid"
        )
}

/// Names that say nothing about the key.
fn generic(name: &str) -> bool {
    matches!(
        name.to_lowercase().as_str(),
        "key" | "k" | "partitionkey" | "partition_key" | "messagekey" | "message_key" | "recordkey"
    )
}

fn around_is_channel(expr: &Expr, around: &[Around<'_>]) -> bool {
    match around.last() {
        Some(Around::Expr(Expr { kind: ExprKind::ChannelSend { channel, .. }, .. })) => {
            std::ptr::eq(channel.as_ref(), expr)
        }
        _ => false,
    }
}
