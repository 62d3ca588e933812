//! Values of expressions as far as they are constant.

use super::scope::{HOPS, How, ScopeId, Scopes};
use crate::tree::{Call, Expr, ExprKind, Stmt, StmtKind};

/// A value as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Raw {
    Text(String),
    /// A constant of a library by its last word: `WaitForAll`.
    Symbol(String),
    /// A function is given: a callback.
    Function,
    Unknown,
}

impl Raw {
    /// Its text, when it is one.
    pub(crate) fn text(&self) -> Option<String> {
        match self {
            Raw::Text(text) => Some(text.clone()),
            _ => None,
        }
    }
}

/// Methods that give the same text again.
const SAME: &[&str] = &[
    "toString",
    "to_string",
    "to_owned",
    "into",
    "String",
    "as_str",
    "encode",
    "getBytes",
    "as_bytes",
    "valueOf",
    "str",
    "to_vec",
    "clone",
    "trim",
    "strip",
    "int",
    "bytes",
    "toByteArray",
    "format",
    "from",
    "from_str",
    "unwrap",
    "getName",
    "lower",
    "StringOf",
    "Itoa",
    "as_ref",
    "intern",
    "byte",
    "parseInt",
    "name",
    "toInt",
    "toLong",
    "toBytes",
];

/// `String.valueOf(x)` and `x.toString()` are about `x`: what such a call is about.
pub(crate) fn same_text(call: &Call) -> Option<&Expr> {
    if !SAME.contains(&call.method()) && call.function.path().is_none_or(|path| path != "[]byte") {
        return None;
    }
    match (call.receiver(), call.args.as_slice()) {
        (_, [only])
            if !matches!(call.method(), "encode" | "getBytes" | "toByteArray" | "toString" | "format") =>
        {
            Some(&only.value)
        }
        (Some(of), [] | [_]) => Some(of),
        _ => None,
    }
}

impl<'t> Scopes<'t> {
    /// The constant text of an expression.
    pub(crate) fn constant(&self, expr: &'t Expr, scope: ScopeId) -> Option<String> {
        self.raw_at(expr, scope, HOPS).text()
    }

    /// The value of an expression.
    pub(crate) fn raw(&self, expr: &'t Expr, scope: ScopeId) -> Raw {
        self.raw_at(expr, scope, HOPS)
    }

    pub(super) fn raw_at(&self, expr: &'t Expr, scope: ScopeId, hops: u32) -> Raw {
        let Some(hops) = hops.checked_sub(1) else { return Raw::Unknown };
        match &expr.kind {
            ExprKind::Text(text) => Raw::Text(text.clone()),
            ExprKind::Number(text) => Raw::Text(text.clone()),
            ExprKind::Bool(value) => Raw::Text(value.to_string()),
            ExprKind::Lambda(_) => Raw::Function,
            ExprKind::Template(parts) => self.joined(parts.iter(), scope, hops),
            ExprKind::Binary { op, left, right } if op == "+" => {
                match (self.raw_at(left, scope, hops), self.raw_at(right, scope, hops)) {
                    (Raw::Text(a), Raw::Text(b))
                        if a.parse::<f64>().is_err() || b.parse::<f64>().is_err() =>
                    {
                        Raw::Text(a + &b)
                    }
                    _ => Raw::Unknown,
                }
            }
            ExprKind::Binary { op, left, right } => self.arithmetic(op, left, right, scope, hops),
            ExprKind::Name(_) | ExprKind::Member { .. } => self.named_value(expr, scope, hops),
            ExprKind::Call(call) => match same_text(call) {
                Some(inner) => self.raw_at(inner, scope, hops),
                None => symbol(&call.function).filter(|_| call.args.is_empty()).unwrap_or(Raw::Unknown),
            },
            ExprKind::Try(inner) => self.raw_at(inner, scope, hops),
            ExprKind::List(items) => {
                let texts: Option<Vec<String>> =
                    items.iter().map(|item| self.raw_at(item, scope, hops).text()).collect();
                texts.map_or(Raw::Unknown, |texts| Raw::Text(texts.join(",")))
            }
            ExprKind::Other(inner) if inner.len() == 1 => Raw::Unknown,
            _ => Raw::Unknown,
        }
    }

    fn joined(&self, parts: impl Iterator<Item = &'t Expr>, scope: ScopeId, hops: u32) -> Raw {
        let texts: Option<Vec<String>> = parts.map(|part| self.raw_at(part, scope, hops).text()).collect();
        texts.map_or(Raw::Unknown, |texts| Raw::Text(texts.concat()))
    }

    fn arithmetic(&self, op: &str, left: &'t Expr, right: &'t Expr, scope: ScopeId, hops: u32) -> Raw {
        let number = |expr: &'t Expr| self.raw_at(expr, scope, hops).text()?.parse::<i64>().ok();
        let (Some(a), Some(b)) = (number(left), number(right)) else { return Raw::Unknown };
        let made = match op {
            "*" => a.checked_mul(b),
            "-" => a.checked_sub(b),
            "<<" => u32::try_from(b).ok().and_then(|b| a.checked_shl(b)),
            _ => None,
        };
        made.map_or(Raw::Unknown, |made| Raw::Text(made.to_string()))
    }

    fn named_value(&self, expr: &'t Expr, scope: ScopeId, hops: u32) -> Raw {
        if self.defs_of(expr, scope).is_some() {
            let Some(def) = self.only(expr, scope) else { return Raw::Unknown };
            let plain = matches!(def.how, How::Bound | How::Assigned) && def.names == 1 && !def.sometimes;
            return match def.value {
                Some(value) if plain && def.annotations.is_empty() => self.raw_at(value, def.scope, hops),
                _ => Raw::Unknown,
            };
        }
        if let ExprKind::Member { of, name } = &expr.kind
            && let Some(of) = of.last_word()
        {
            if let Some(text) = java_constant(of, name) {
                return Raw::Text(text);
            }
            // `Settings.TOPIC` of a class in this file.
            if let Some(id) = self.all.iter().position(|scope| {
                scope.function.is_none() && scope.class.is_some_and(|class| class.name == of)
            }) && let Some([def]) = self.all[id].defs.get(name.as_str()).map(Vec::as_slice)
                && let Some(value) = def.value.filter(|_| def.names == 1 && !def.sometimes)
            {
                return self.raw_at(value, id, hops);
            }
        }
        if let Some(name) = expr.as_name()
            && self.function(name).is_some()
        {
            return Raw::Function;
        }
        if let Some(name) = expr.as_name()
            && let Some(text) = self.static_import(name)
        {
            return Raw::Text(text);
        }
        symbol(expr).unwrap_or(Raw::Unknown)
    }

    /// `import static org.apache.kafka.clients.producer.ProducerConfig.ACKS_CONFIG`.
    fn static_import(&self, name: &str) -> Option<String> {
        let import = self.imports.iter().find(|import| {
            import.path.contains("kafka") && import.path.rsplit('.').next().is_some_and(|last| last == name)
        })?;
        let class = import.path.rsplit('.').nth(1)?;
        java_constant(class, name)
    }
}

/// Expressions that a body returns, also the last one of a Rust or Kotlin body when nothing else is returned.
pub(crate) fn collect_returns<'t>(body: &'t [Stmt], out: &mut Vec<&'t Expr>) {
    for stmt in body {
        match &stmt.kind {
            StmtKind::Return(Some(value)) => out.push(value),
            StmtKind::Block(inner) => collect_returns(inner, out),
            StmtKind::If { then, otherwise, .. } => {
                collect_returns(then, out);
                collect_returns(otherwise, out);
            }
            StmtKind::Loop(turn) => collect_returns(&turn.body, out),
            StmtKind::Branch { arms, .. } => arms.iter().for_each(|arm| collect_returns(&arm.body, out)),
            StmtKind::Try { body, catches, finally } => {
                collect_returns(body, out);
                catches.iter().for_each(|catch| collect_returns(&catch.body, out));
                collect_returns(finally, out);
            }
            _ => {}
        }
    }
}

fn symbol(expr: &Expr) -> Option<Raw> {
    match &expr.kind {
        ExprKind::Member { of, name } if of.path().is_some() => Some(Raw::Symbol(name.clone())),
        _ => None,
    }
}

/// Constants of the Java client's classes of settings: `ProducerConfig.ACKS_CONFIG` is `acks`.
fn java_constant(class: &str, name: &str) -> Option<String> {
    const CLASSES: &[&str] = &[
        "ProducerConfig",
        "ConsumerConfig",
        "StreamsConfig",
        "AdminClientConfig",
        "CommonClientConfigs",
        "SaslConfigs",
        "SslConfigs",
        "TopicConfig",
        "KafkaAvroSerializerConfig",
        "AbstractKafkaSchemaSerDeConfig",
        "KafkaAvroDeserializerConfig",
        "AbstractKafkaAvroSerDeConfig",
    ];
    if !CLASSES.contains(&class) {
        return None;
    }
    match name {
        "AT_LEAST_ONCE" | "EXACTLY_ONCE" | "EXACTLY_ONCE_V2" | "EXACTLY_ONCE_BETA" => {
            return Some(name.to_lowercase());
        }
        "SASL_JAAS_CONFIG" => return Some("sasl.jaas.config".to_owned()),
        _ => {}
    }
    if name.ends_with("_DOC")
        // Java's other constants of this form are values: `DEFAULT_SECURITY_PROTOCOL`.
        || name.starts_with("DEFAULT_") && !(class == "StreamsConfig" && name.ends_with("_CONFIG"))
        || !name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
    {
        return None;
    }
    let name = name.strip_suffix("_CLASS_CONFIG").map_or_else(
        || name.strip_suffix("_CONFIG").unwrap_or(name).to_owned(),
        |name| match name {
            "KEY_SERIALIZER" | "VALUE_SERIALIZER" | "KEY_DESERIALIZER" | "VALUE_DESERIALIZER" => {
                name.to_owned()
            }
            // Of Kafka Streams: `DEFAULT_DESERIALIZATION_EXCEPTION_HANDLER_CLASS_CONFIG`, `DEFAULT_KEY_SERDE_CLASS_CONFIG`.
            other
                if ["_EXCEPTION_HANDLER", "_SERDE", "_TIMESTAMP_EXTRACTOR", "_CONFIG_SETTER"]
                    .iter()
                    .any(|end| other.ends_with(end)) =>
            {
                other.to_owned()
            }
            other => format!("{other}_CLASS"),
        },
    );
    Some(name.to_lowercase().replace('_', "."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_of_java_are_names_of_settings() {
        for (class, name, text) in [
            ("ProducerConfig", "ACKS_CONFIG", Some("acks")),
            (
                "ProducerConfig",
                "MAX_IN_FLIGHT_REQUESTS_PER_CONNECTION",
                Some("max.in.flight.requests.per.connection"),
            ),
            ("ProducerConfig", "KEY_SERIALIZER_CLASS_CONFIG", Some("key.serializer")),
            ("SaslConfigs", "SASL_JAAS_CONFIG", Some("sasl.jaas.config")),
            ("StreamsConfig", "EXACTLY_ONCE_V2", Some("exactly_once_v2")),
            (
                "StreamsConfig",
                "DEFAULT_DESERIALIZATION_EXCEPTION_HANDLER_CLASS_CONFIG",
                Some("default.deserialization.exception.handler"),
            ),
            (
                "StreamsConfig",
                "PROCESSING_EXCEPTION_HANDLER_CLASS_CONFIG",
                Some("processing.exception.handler"),
            ),
            ("StreamsConfig", "DEFAULT_KEY_SERDE_CLASS_CONFIG", Some("default.key.serde")),
            ("StreamsConfig", "TASK_ASSIGNOR_CLASS_CONFIG", Some("task.assignor.class")),
            ("CommonClientConfigs", "DEFAULT_SECURITY_PROTOCOL", None),
            ("MyConfig", "ACKS_CONFIG", None),
        ] {
            assert_eq!(java_constant(class, name).as_deref(), text, "{name}");
        }
    }
}
