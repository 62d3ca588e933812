//! What all formats are read into: nodes and pairs that know where they stand.

/// A place within one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct At {
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
}

/// A node of YAML or JSON.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// Where it begins.
    pub at: At,
    /// What it is.
    pub kind: Kind,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Null,
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// `key: value`.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub key: String,
    /// Where the key stands.
    pub at: At,
    pub value: Node,
}

/// A setting as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub name: String,
    pub text: String,
    pub at: At,
    /// The name as it stands there, where `name` is made of it.
    pub written: Option<String>,
}

impl Pair {
    /// A pair under the name that stands there.
    pub fn new(name: impl Into<String>, text: impl Into<String>, at: At) -> Pair {
        Pair { name: name.into(), text: text.into(), at, written: None }
    }

    /// The same under another name.
    pub fn named(&self, name: impl Into<String>) -> Pair {
        let name = name.into();
        let written = self.written.clone().or_else(|| (name != self.name).then(|| self.name.clone()));
        Pair { name, text: self.text.clone(), at: self.at, written }
    }
}

impl Node {
    /// Entries, if it is a mapping.
    pub fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Items, if it is a list.
    pub fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What the key holds.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// What the keys hold, one below the other.
    pub fn path(&self, keys: &[&str]) -> Option<&Node> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The text at the end of a path.
    pub fn text_at(&self, keys: &[&str]) -> Option<&str> {
        self.path(keys)?.text()
    }

    /// A number at the end of a path.
    pub fn number_at(&self, keys: &[&str]) -> Option<u32> {
        self.text_at(keys)?.trim().parse().ok()
    }

    /// Whether it is one of the words that mean yes.
    pub fn is_true(&self) -> bool {
        self.text().is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    /// All that hangs below it, as pairs with dotted names: lists of texts become one text, others are numbered.
    pub fn pairs(&self) -> Vec<Pair> {
        let mut pairs = Vec::new();
        flatten(self, String::new(), &mut pairs);
        pairs
    }

    /// The texts right below it, as pairs; what has more below it is left out.
    pub fn own_pairs(&self) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for entry in self.entries().iter().filter(|entry| !matches!(entry.value.kind, Kind::Map(_))) {
            flatten(&entry.value, entry.key.clone(), &mut pairs);
        }
        pairs
    }
}

fn flatten(node: &Node, name: String, pairs: &mut Vec<Pair>) {
    match &node.kind {
        Kind::Null if name.is_empty() => {}
        Kind::Null => pairs.push(Pair::new(name, "", node.at)),
        Kind::Text(text) => pairs.push(Pair::new(name, text, node.at)),
        Kind::List(items) => {
            let texts: Vec<&str> = items.iter().filter_map(Node::text).collect();
            if texts.len() == items.len() {
                let at = items.first().map_or(node.at, |first| first.at);
                pairs.push(Pair::new(name, texts.join(","), at));
                return;
            }
            for (at, item) in items.iter().enumerate() {
                flatten(item, format!("{name}[{at}]"), pairs);
            }
        }
        Kind::Map(entries) => {
            for entry in entries {
                // Spring writes keys that have dots in brackets.
                let key =
                    entry.key.strip_prefix('[').and_then(|key| key.strip_suffix(']')).unwrap_or(&entry.key);
                let dot = if name.is_empty() { "" } else { "." };
                flatten(&entry.value, format!("{name}{dot}{key}"), pairs);
            }
        }
    }
}

/// The value of a pair in a list of them; the last one counts, as everywhere.
pub(super) fn last<'a>(pairs: &'a [Pair], name: &str) -> Option<&'a Pair> {
    pairs.iter().rev().find(|pair| pair.name == name)
}

/// Pairs whose names begin with `prefix`, without it.
pub(super) fn below(pairs: &[Pair], prefix: &str) -> Vec<Pair> {
    pairs.iter().filter_map(|pair| pair.name.strip_prefix(prefix).map(|rest| pair.named(rest))).collect()
}
