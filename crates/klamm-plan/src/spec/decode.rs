//! From the tree to typed values: one declaration of a record gives its fields, their reading, the refusal of others,
//! and their part of the JSON Schema.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use super::yaml::{Kind, Node};
use crate::text::nearest;
use crate::{Diagnostic, Span};

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    #[serde(skip)]
    pub span: Span,
}

/// What one file was read with: its name, and what is wrong with it.
pub(crate) struct Context {
    pub(crate) file: String,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// Reads a node. `None` means that what is wrong has been reported.
pub(crate) trait Decode: Sized {
    fn decode(node: &Node, cx: &mut Context) -> Option<Self>;
}

/// Reads a field of a record: `Option` may be absent, [`Spanned`] may not.
pub(crate) trait Field: Sized {
    fn field(record: &Node, name: &str, cx: &mut Context) -> Option<Self>;
}

impl Context {
    pub(crate) fn error(
        &mut self,
        code: &'static str,
        span: Span,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.diagnostics.push(Diagnostic::at(code, &self.file, span, message));
        let last = self.diagnostics.len() - 1;
        &mut self.diagnostics[last]
    }

    /// Reports every field of `node` that is not in `allowed`; `None` when it is no mapping at all.
    pub(crate) fn record(&mut self, node: &Node, allowed: &[&str]) -> Option<()> {
        let entries = match &node.kind {
            Kind::Mapping(entries) => entries,
            Kind::Null => return Some(()),
            _ => {
                let message = format!("expected a mapping, found {}", node.what());
                self.error("wrong-type", node.span, message).help =
                    Some(format!("allowed here: {}", allowed.join(", ")));
                return None;
            }
        };
        for entry in entries.iter().filter(|entry| !allowed.contains(&entry.key.as_str())) {
            let nearest = nearest(&entry.key, allowed.iter().copied());
            let meant = nearest.map_or(String::new(), |name| format!(", did you mean {name:?}?"));
            let help = if entry.key == "password" && allowed.contains(&"password_file") {
                "a secret is never written into a spec: use password_file, password_env or password_command"
                    .to_owned()
            } else {
                format!("allowed here: {}", allowed.join(", "))
            };
            self.error("unknown-field", entry.key_span, format!("unknown field {:?}{meant}", entry.key))
                .help = Some(help);
        }
        Some(())
    }

    /// The text of a scalar; anything else is reported as not being `expected`.
    pub(crate) fn scalar<'a>(&mut self, node: &'a Node, expected: &str) -> Option<&'a str> {
        if let Kind::Scalar(text) = &node.kind {
            return Some(text);
        }
        self.error("wrong-type", node.span, format!("expected {expected}, found {}", node.what()));
        None
    }
}

fn find<'a>(record: &'a Node, name: &str) -> Option<&'a Node> {
    let Kind::Mapping(entries) = &record.kind else { return None };
    let value = &entries.iter().find(|entry| entry.key == name)?.value;
    (!matches!(value.kind, Kind::Null)).then_some(value)
}

impl<T: Decode> Field for Option<T> {
    fn field(record: &Node, name: &str, cx: &mut Context) -> Option<Self> {
        match find(record, name) {
            Some(node) => T::decode(node, cx).map(Some),
            None => Some(None),
        }
    }
}

impl<T: Decode> Field for Spanned<T> {
    fn field(record: &Node, name: &str, cx: &mut Context) -> Option<Self> {
        match find(record, name) {
            Some(node) => Spanned::decode(node, cx),
            None => {
                cx.error("missing-field", record.span, format!("{name:?} is missing"));
                None
            }
        }
    }
}

impl<T: Decode> Decode for Spanned<T> {
    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        Some(Spanned { value: T::decode(node, cx)?, span: node.span })
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        let Kind::Sequence(items) = &node.kind else {
            cx.error("wrong-type", node.span, format!("expected a list, found {}", node.what())).help =
                Some("write [one] or [one, two]".to_owned());
            return None;
        };
        let read: Vec<Option<T>> = items.iter().map(|item| T::decode(item, cx)).collect();
        read.into_iter().collect()
    }
}

impl Decode for String {
    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        cx.scalar(node, "text").map(str::to_owned)
    }
}

impl Decode for u32 {
    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        let text = cx.scalar(node, "a number")?;
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            if let Ok(number) = text.parse() {
                return Some(number);
            }
            cx.error("number-too-large", node.span, format!("{text} is larger than {}", u32::MAX));
        } else {
            cx.error("not-a-number", node.span, format!("expected a whole number, found {text:?}"));
        }
        None
    }
}

/// Things by name, in the order in which they are written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Named<T>(pub(crate) Vec<(Spanned<String>, T)>);

impl<T: Decode> Decode for Named<T> {
    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        let Kind::Mapping(entries) = &node.kind else {
            cx.error(
                "wrong-type",
                node.span,
                format!("expected names with a mapping each, found {}", node.what()),
            );
            return None;
        };
        let mut named = Vec::new();
        let mut complete = true;
        for entry in entries {
            // A name with nothing below it means defaults throughout, placed at the name.
            let here = match entry.value.kind {
                Kind::Null => Node { span: entry.key_span, kind: Kind::Null },
                _ => entry.value.clone(),
            };
            match T::decode(&here, cx) {
                Some(value) => {
                    named.push((Spanned { value: entry.key.clone(), span: entry.key_span }, value))
                }
                None => complete = false,
            }
        }
        complete.then_some(Named(named))
    }
}

/// A type whose values are words, each with what it means.
pub(crate) trait Words: Copy + 'static {
    const NAME: &'static str;
    const WORDS: &'static [(&'static str, Self, &'static str)];
}

/// One of the words of `T`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word<T>(pub(crate) T);

impl<T: Words> Decode for Word<T> {
    fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
        let words: Vec<&str> = T::WORDS.iter().map(|(word, ..)| *word).collect();
        let text = cx.scalar(node, &format!("one of {}", words.join(", ")))?;
        if let Some((_, value, _)) = T::WORDS.iter().find(|(word, ..)| *word == text) {
            return Some(Word(*value));
        }
        let meant = nearest(text, words.iter().copied())
            .map_or(String::new(), |word| format!(", did you mean {word:?}?"));
        cx.error("unknown-value", node.span, format!("{text:?} is no {}{meant}", T::NAME)).help =
            Some(format!("allowed here: {}", words.join(", ")));
        None
    }
}

impl<T: JsonSchema> JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Named{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        // A name alone takes the defaults.
        json_schema!({ "type": "object", "additionalProperties": { "anyOf": [value, { "type": "null" }] } })
    }
}

impl<T: Words> JsonSchema for Word<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::NAME.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<serde_json::Value> = T::WORDS
            .iter()
            .map(|(word, _, meaning)| serde_json::json!({ "const": word, "description": meaning }))
            .collect();
        json_schema!({ "oneOf": words })
    }
}

/// Declares a mapping of the spec: its fields with their docs. Fields that are not declared are refused.
macro_rules! record {
    ($(#[$meta:meta])* struct $Name:ident { $($(#[$field_meta:meta])* $field:ident: $Type:ty,)* }) => {
        #[derive(Debug, Clone, PartialEq, schemars::JsonSchema)]
        #[schemars(deny_unknown_fields)]
        $(#[$meta])*
        pub(crate) struct $Name { $($(#[$field_meta])* pub(crate) $field: $Type,)* }

        impl $crate::spec::decode::Decode for $Name {
            fn decode(
                node: &$crate::spec::yaml::Node,
                cx: &mut $crate::spec::decode::Context,
            ) -> Option<Self> {
                cx.record(node, &[$(stringify!($field)),*])?;
                // All fields are read before the first failure is looked at, so that all problems are told.
                $(let $field = <$Type as $crate::spec::decode::Field>::field(node, stringify!($field), cx);)*
                Some($Name { $($field: $field?),* })
            }
        }
    };
}

pub(crate) use record;
