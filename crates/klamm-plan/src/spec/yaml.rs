//! YAML text to a tree in which everything has its place. The one module that knows the YAML parser.
//!
//! `serde_saphyr`'s typed reading stops at the first structural error; its event parser (the same one underneath) lets us
//! build the tree first and then report everything that is wrong in one go. Anchors, aliases, tags and further documents
//! are refused: a spec has no interpolation and no includes, and without aliases its size bounds the work.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{Event, Marker, Parser, ScalarStyle, Span as YamlSpan};

use crate::{Diagnostic, Span};

/// A spec is a page or two; more than this is a mistake.
const MAX_BYTES: usize = 1 << 20;
/// The deepest spec has six levels.
const MAX_DEPTH: usize = 32;

/// One node of the tree.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) kind: Kind,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// Nothing after the colon, `~` or `null`.
    Null,
    /// Any other scalar, as text: units and numbers are read by those who know what they expect.
    Scalar(String),
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// One `key: value`.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

impl Node {
    /// `a mapping`, for messages.
    pub(crate) fn what(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Scalar(_) => "a single value",
            Kind::Sequence(_) => "a list",
            Kind::Mapping(_) => "a mapping",
        }
    }
}

/// Reads `text`. Duplicate keys are reported into `diagnostics` and reading goes on; text that is not YAML is `None`.
pub(crate) fn parse(file: &str, text: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<Node> {
    if text.len() > MAX_BYTES {
        let message = format!("the file has {} bytes, a spec has at most {MAX_BYTES}", text.len());
        diagnostics.push(Diagnostic::at(
            "spec-too-large",
            file,
            Span { line: 1, column: 1, ..Span::default() },
            message,
        ));
        return None;
    }
    let mut tree = Tree { file, text, parser: Parser::new_from_str(text), diagnostics };
    match tree.document() {
        Ok(node) => Some(node),
        Err(diagnostic) => {
            diagnostics.push(*diagnostic);
            None
        }
    }
}

struct Tree<'a> {
    file: &'a str,
    text: &'a str,
    parser: Parser<'a, serde_saphyr::granit_parser::StrInput<'a>>,
    diagnostics: &'a mut Vec<Diagnostic>,
}

type Read<T> = Result<T, Box<Diagnostic>>;

impl<'a> Tree<'a> {
    fn document(&mut self) -> Read<Node> {
        let start = Span { line: 1, column: 1, ..Span::default() };
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                Event::StreamEnd => return Ok(root.unwrap_or(Node { span: start, kind: Kind::Null })),
                _ if root.is_some() => {
                    return Err(self.refuse(
                        span,
                        "second-document",
                        "a spec is one YAML document, a second one starts here",
                    ));
                }
                event => root = Some(self.node(event, span, 0)?),
            }
        }
    }

    fn next(&mut self) -> Read<(Event<'a>, Span)> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, self.span(&span))),
            Some(Err(error)) => {
                let place = self.span(&YamlSpan::empty(*error.marker()));
                let info = error.info();
                let what = if info.is_empty() { "not valid YAML" } else { info.trim_end_matches('.') };
                Err(self.refuse(place, "yaml", &format!("this is not YAML: {what}")))
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Read<Node> {
        if depth > MAX_DEPTH {
            return Err(self.refuse(span, "too-deep", &format!("nested deeper than {MAX_DEPTH} levels")));
        }
        let refuse_extras = |tree: &Self, anchor: usize, tagged: bool| {
            if anchor != 0 || tagged {
                let message =
                    "anchors, aliases and tags are not part of a spec: what is written is what is meant";
                return Err(tree.refuse(span, "yaml-feature", message));
            }
            Ok(())
        };
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                refuse_extras(self, anchor, tag.is_some())?;
                let empty = style == ScalarStyle::Plain && matches!(text.as_ref(), "" | "~" | "null");
                let kind = if empty { Kind::Null } else { Kind::Scalar(text.into_owned()) };
                Ok(Node { span, kind })
            }
            Event::SequenceStart(_, anchor, tag) => {
                refuse_extras(self, anchor, tag.is_some())?;
                self.sequence(span, depth)
            }
            Event::MappingStart(_, anchor, tag) => {
                refuse_extras(self, anchor, tag.is_some())?;
                self.mapping(span, depth)
            }
            _ => {
                refuse_extras(self, 1, true)?;
                Ok(Node { span, kind: Kind::Null })
            }
        }
    }

    fn sequence(&mut self, start: Span, depth: usize) -> Read<Node> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd | Event::StreamEnd) {
                return Ok(Node { span: until(start, span), kind: Kind::Sequence(items) });
            }
            if is_content(&event) {
                items.push(self.node(event, span, depth + 1)?);
            }
        }
    }

    fn mapping(&mut self, start: Span, depth: usize) -> Read<Node> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        loop {
            let Some((event, span)) = self.content()? else {
                let end = entries.last().map_or(start, |entry| entry.value.span);
                return Ok(Node { span: until(start, end), kind: Kind::Mapping(entries) });
            };
            let key_node = self.node(event, span, depth + 1)?;
            let Kind::Scalar(key) = key_node.kind else {
                return Err(self.refuse(
                    span,
                    "key-not-text",
                    &format!("a key is text, this is {}", key_node.what()),
                ));
            };
            let Some((event, value_span)) = self.content()? else {
                return Err(self.refuse(span, "yaml", "this is not YAML: a key without a value"));
            };
            let value = self.node(event, value_span, depth + 1)?;
            if let Some(first) = places.get(&key).map(|place| &entries[*place]) {
                let diagnostic =
                    Diagnostic::at("duplicate-key", self.file, span, format!("{key:?} is given twice"))
                        .also(self.file, first.key_span, "first given here")
                        .help("remove one of them");
                self.diagnostics.push(diagnostic);
                continue;
            }
            places.insert(key.clone(), entries.len());
            entries.push(Entry { key, key_span: span, value });
        }
    }

    /// The next event of a mapping that is not a comment; `None` at its end.
    fn content(&mut self) -> Read<Option<(Event<'a>, Span)>> {
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd | Event::StreamEnd) {
                return Ok(None);
            }
            if is_content(&event) {
                return Ok(Some((event, span)));
            }
        }
    }

    fn refuse(&self, span: Span, code: &'static str, message: &str) -> Box<Diagnostic> {
        Box::new(Diagnostic::at(code, self.file, span, message))
    }

    fn span(&self, span: &YamlSpan) -> Span {
        let byte = |marker: &Marker| marker.byte_offset().unwrap_or(self.text.len()).min(self.text.len());
        let (start, end) = (byte(&span.start), byte(&span.end));
        Span { start, end: end.max(start), line: span.start.line(), column: span.start.col() + 1 }
    }
}

/// Comments are events where the parser was built to tell them.
fn is_content(event: &Event<'_>) -> bool {
    event.is_node() || event.is_alias()
}

fn until(start: Span, end: Span) -> Span {
    Span { end: end.end.max(start.end), ..start }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<Node>, Vec<String>) {
        let mut diagnostics = Vec::new();
        let node = parse("f", text, &mut diagnostics);
        (node, diagnostics.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn everything_has_its_place() {
        let text = "a:\n  b: [x, 20 MB/s]\n";
        let (Some(Node { kind: Kind::Mapping(top), .. }), _) = read(text) else { panic!("a mapping") };
        let Kind::Mapping(inner) = &top[0].value.kind else { panic!("a mapping") };
        assert_eq!((inner[0].key_span.line, inner[0].key_span.column), (2, 3));
        let Kind::Sequence(items) = &inner[0].value.kind else { panic!("a list") };
        assert_eq!(&text[items[1].span.start..items[1].span.end], "20 MB/s");
    }

    #[test]
    fn comments_are_not_content() {
        let (node, problems) =
            read("# top\na: # why\n  # inner\n  b: 1 # what\n  c:\n    # item\n    - x # last\n");
        assert!(node.is_some() && problems.is_empty(), "{problems:?}");
    }

    #[test]
    fn what_a_spec_does_not_have_is_refused() {
        for (text, problem) in [
            ("a: &x 1\nb: *x\n", "anchors"),
            ("a: !t 1\n", "anchors"),
            ("a: 1\n---\nb: 2\n", "second one"),
            ("a: [1\n", "not YAML"),
            ("? [a]\n: b\n", "a key is text"),
            ("a: 1\na: 2\n", "\"a\" is given twice"),
        ] {
            let (_, problems) = read(text);
            assert_eq!(problems.len(), 1, "{text:?}: {problems:?}");
            assert!(problems[0].contains(problem), "{problems:?}");
        }
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let (_, problems) = read(&"[".repeat(200));
        assert_eq!(problems.len(), 1, "{problems:?}");
        let (_, problems) = read(&" ".repeat(MAX_BYTES + 1));
        assert!(problems[0].contains("at most"), "{problems:?}");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a-c:\\[\\]{}\\-\"'&*!|>#,~ \n\t]{0,60}") {
            let (node, problems) = read(&text);
            proptest::prop_assert!(node.is_some() || !problems.is_empty());
        }
    }
}
