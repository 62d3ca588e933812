//! YAML, and JSON as the part of YAML that it is, into nodes with places. The one module that knows the parser.
//!
//! Configuration uses what a spec refuses: several documents, anchors, merge keys, tags. Templates of Helm and Jinja are taken out first,
//! character for character, so that places stay true.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span, StrInput};

use super::tree::{At, Entry, Kind, Node};

/// Stands where a template was: a value that holds it is not known.
pub(super) const TEMPLATE: char = '\u{E000}';
/// Aliases may not blow up a file of a few lines.
const MAX_NODES: usize = 200_000;
const MAX_DEPTH: usize = 64;

/// All documents, up to the first error, and that error with its line.
pub(super) fn documents(text: &str) -> (Vec<Node>, Option<String>) {
    let plain = without_templates(text);
    let mut reader = Reader {
        parser: Parser::new_from_str(&plain),
        anchors: HashMap::new(),
        nodes: 0,
        documents: Vec::new(),
    };
    let error = reader.stream().err();
    (reader.documents, error)
}

/// JSON: tabs are spaces there, and nowhere else than between tokens.
pub(super) fn json(text: &str) -> (Vec<Node>, Option<String>) {
    documents(&text.replace('\t', " "))
}

/// `{{ … }}` and `{% … %}` as as many characters without a meaning. A line that has nothing else becomes empty.
fn without_templates(text: &str) -> String {
    if !text.contains("{{") && !text.contains("{%") {
        return text.to_owned();
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = [rest.find("{{"), rest.find("{%")].into_iter().flatten().min() {
        let close = if rest[start..].starts_with("{{") { "}}" } else { "%}" };
        let Some(length) = rest[start..].find(close).map(|at| at + 2) else { break };
        plain.push_str(&rest[..start]);
        let (template, after) = rest[start..].split_at(length);
        plain.extend(template.chars().map(|c| if c == '\n' { '\n' } else { TEMPLATE }));
        rest = after;
    }
    plain.push_str(rest);
    let alone = |line: &str| {
        let content = line.trim().trim_start_matches("- ").trim();
        !content.is_empty() && content.chars().all(|c| c == TEMPLATE || c == ' ')
    };
    let lines: Vec<&str> = plain.split('\n').map(|line| if alone(line) { "" } else { line }).collect();
    lines.join("\n")
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    documents: Vec<Node>,
}

type Read<T> = Result<T, String>;

impl<'a> Reader<'a> {
    fn stream(&mut self) -> Read<()> {
        loop {
            let (event, at) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(()),
                event if event.is_node() || event.is_alias() => {
                    let node = self.node(event, at, 0)?;
                    self.documents.push(node);
                    self.anchors.clear();
                }
                _ => {}
            }
        }
    }

    fn next(&mut self) -> Read<(Event<'a>, At)> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, place(&span))),
            Some(Err(error)) => {
                let line = error.marker().line();
                Err(format!("line {line}: not YAML: {}", error.info().trim_end_matches('.')))
            }
            None => Ok((Event::StreamEnd, At::default())),
        }
    }

    /// The next event that is content; `None` at the end of a list or mapping.
    fn content(&mut self) -> Read<Option<(Event<'a>, At)>> {
        loop {
            let (event, at) = self.next()?;
            match event {
                Event::SequenceEnd | Event::MappingEnd | Event::StreamEnd => return Ok(None),
                event if event.is_node() || event.is_alias() => return Ok(Some((event, at))),
                _ => {}
            }
        }
    }

    fn node(&mut self, event: Event<'a>, at: At, depth: usize) -> Read<Node> {
        self.nodes += 1;
        if depth > MAX_DEPTH || self.nodes > MAX_NODES {
            return Err(format!("line {}: nested or repeated more than klamm reads", at.line));
        }
        let anchor = event.anchor_id();
        let kind = match event {
            Event::Scalar(text, style, ..) => {
                let plain = style == ScalarStyle::Plain;
                match plain && matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL") {
                    true => Kind::Null,
                    false => Kind::Text(text.into_owned()),
                }
            }
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                while let Some((event, at)) = self.content()? {
                    items.push(self.node(event, at, depth + 1)?);
                }
                Kind::List(items)
            }
            Event::MappingStart(..) => Kind::Map(self.mapping(depth)?),
            event => match event.alias_id().and_then(|id| self.anchors.get(&id)).cloned() {
                Some(node) => {
                    self.nodes += size(&node);
                    node.kind
                }
                None => Kind::Null,
            },
        };
        let node = Node { at, kind };
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn mapping(&mut self, depth: usize) -> Read<Vec<Entry>> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged = Vec::new();
        while let Some((event, at)) = self.content()? {
            let key = self.node(event, at, depth + 1)?;
            let Some((event, value_at)) = self.content()? else { break };
            let value = self.node(event, value_at, depth + 1)?;
            let Kind::Text(key) = key.kind else { continue };
            if key == "<<" {
                match value.kind {
                    Kind::List(items) => merged.extend(items.into_iter().flat_map(entries_of)),
                    _ => merged.extend(entries_of(value)),
                }
                continue;
            }
            // Nothing after the colon: the place is the key's.
            let value = match value.kind {
                Kind::Null => Node { at, kind: Kind::Null },
                kind => Node { at: value.at, kind },
            };
            entries.push(Entry { key, at, value });
        }
        let missing = |entry: &Entry| !entries.iter().any(|own| own.key == entry.key);
        let merged: Vec<Entry> = merged.into_iter().filter(missing).collect();
        entries.extend(merged);
        Ok(entries)
    }
}

fn entries_of(node: Node) -> Vec<Entry> {
    match node.kind {
        Kind::Map(entries) => entries,
        _ => Vec::new(),
    }
}

fn size(node: &Node) -> usize {
    match &node.kind {
        Kind::List(items) => items.iter().map(size).sum::<usize>() + 1,
        Kind::Map(entries) => entries.iter().map(|entry| size(&entry.value) + 1).sum::<usize>() + 1,
        _ => 1,
    }
}

fn place(span: &Span) -> At {
    At { line: number(span.start.line()), column: number(span.start.col() + 1) }
}

fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_anchors_and_merge_keys_are_read_with_places() {
        let (documents, error) = documents("a: &x { k: 1, l: 2 }\nb:\n  <<: *x\n  l: 3\n---\nc: [1, 2]\n");
        assert_eq!(error, None);
        let names =
            |node: &Node| node.pairs().iter().map(|p| format!("{}={}", p.name, p.text)).collect::<Vec<_>>();
        assert_eq!(names(&documents[0]), ["a.k=1", "a.l=2", "b.l=3", "b.k=1"]);
        assert_eq!(names(&documents[1]), ["c=1,2"]);
        assert_eq!(documents[1].pairs()[0].at, At { line: 6, column: 5 });
    }

    #[test]
    fn templates_do_not_break_the_rest() {
        let text = "{{- if .Values.x }}\na: {{ .Values.a | quote }}\nb: \"{{ x }}-1\"\n{{- end }}\n  {{- include \"x\" . | nindent 2 }}\nc: 3\n";
        let (documents, error) = documents(text);
        assert_eq!(error, None);
        let pairs = documents[0].pairs();
        assert!(pairs[0].text.contains(TEMPLATE) && pairs[1].text.contains(TEMPLATE), "{pairs:?}");
        assert_eq!((pairs[2].text.as_str(), pairs[2].at.line), ("3", 6));
    }

    #[test]
    fn what_precedes_an_error_is_kept() {
        let (documents, error) = documents("a: 1\n---\nb: [1\n");
        assert_eq!(documents.len(), 1);
        assert!(error.is_some_and(|error| error.contains("not YAML")));
    }

    #[test]
    fn aliases_do_not_blow_up() {
        let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..12 {
            let list = vec![format!("*a{}", level - 1); 9].join(",");
            text.push_str(&format!("a{level}: &a{level} [{list}]\n"));
        }
        assert!(documents(&text).1.is_some());
    }
}
