//! tree-sitter's grammars into the one [`tree`](crate::tree).
//!
//! A language is a file here: its grammar, and a table [`Spec::shape`] that says for each kind of node which [`Shape`] it has. Most shapes name the
//! grammar's fields, and [`build`] makes the tree of them; what fits no shape is a function of the language.
//! What the table does not name becomes [`ExprKind::Other`] with the expressions inside it, so nothing is lost.

mod build;
mod ecma;
mod go;
mod java;
mod kotlin;
mod macros;
mod python;
mod rust;
mod text;

use tree_sitter::{Node, Parser};

use crate::tree::{Expr, Module, Span, Stmt};

/// How deep nodes may lie in one another; what lies deeper is left out, and the module is then partial.
const DEPTH: u32 = 150;
/// Nodes of one file that are made into a tree; a file with more is cut.
const NODES: u32 = 2_000_000;

/// A language.
#[derive(Debug)]
pub(crate) struct Spec {
    /// As `SourceUnit` names it.
    pub name: &'static str,
    /// Its parser.
    pub grammar: fn() -> tree_sitter::Language,
    /// What a kind of node is.
    pub shape: fn(&str) -> Shape,
}

/// What a node is. Texts are names of the grammar's fields.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// A string literal: quotes go, escapes are resolved, children that are computed make it a template.
    Text,
    Number,
    True,
    False,
    Null,
    /// The text is the name.
    Name,
    Member {
        of: &'static str,
        name: &'static str,
    },
    Index {
        of: &'static str,
        index: &'static str,
    },
    Call {
        function: &'static str,
        args: &'static str,
    },
    /// `new T(…)`.
    New {
        ty: &'static str,
        args: &'static str,
    },
    /// Its only expression: parentheses, casts, references.
    Inner,
    /// One field's expression.
    Field(&'static str),
    Await,
    Try,
    List,
    /// Fields `left`, `operator`, `right`.
    Binary,
    /// Fields `left` and `right`, perhaps `operator`.
    Assign,
    /// Fields `condition`, `consequence`, `alternative`.
    Choice,
    /// Parameters and body.
    Lambda {
        params: &'static str,
        body: &'static str,
    },
    /// A statement that is an expression.
    ExprStmt,
    Return,
    Throw,
    Break,
    Continue,
    /// Statements.
    Block,
    /// Fields `condition`, `consequence`, `alternative`.
    If,
    /// Fields `condition` (may be missing) and `body`.
    While,
    /// The language makes an expression of it.
    Expr(fn(&mut Lower<'_>, Node<'_>) -> Expr),
    /// The language makes statements of it.
    Stmts(fn(&mut Lower<'_>, Node<'_>, &mut Vec<Stmt>)),
    /// Neither it nor what is inside it counts: comments, types, punctuation.
    Skip,
    /// Anything else: what is inside it is kept.
    Other,
}

/// One file on its way into the tree.
pub(crate) struct Lower<'s> {
    pub spec: &'static Spec,
    pub source: &'s str,
    depth: u32,
    nodes: u32,
    pub partial: bool,
}

/// The language of a file by its ending.
pub(crate) fn language(path: &str) -> Option<&'static Spec> {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let (_, ending) = name.rsplit_once('.')?;
    match ending {
        "go" => Some(&go::SPEC),
        "java" => Some(&java::SPEC),
        "kt" | "kts" => Some(&kotlin::SPEC),
        "py" => Some(&python::SPEC),
        "ts" | "mts" | "cts" => Some(&ecma::TYPESCRIPT),
        "tsx" => Some(&ecma::TSX),
        "js" | "jsx" | "mjs" | "cjs" => Some(&ecma::JAVASCRIPT),
        "rs" => Some(&rust::SPEC),
        _ => None,
    }
}

/// The tree of a source text; `None` when the parser gives nothing at all.
pub(crate) fn lower(spec: &'static Spec, source: &str) -> Option<Module> {
    let mut parser = Parser::new();
    parser.set_language(&(spec.grammar)()).ok()?;
    // Go's grammar takes a declaration without the end of its line for a broken one.
    let parsed = match source.ends_with('\n') {
        true => parser.parse(source, None)?,
        false => parser.parse(format!("{source}\n"), None)?,
    };
    let root = parsed.root_node();
    let mut lower = Lower { spec, source, depth: 0, nodes: 0, partial: root.has_error() };
    let mut body = Vec::new();
    lower.children(root, &mut body);
    Some(Module { body, partial: lower.partial })
}

pub(crate) fn span(node: Node<'_>) -> Span {
    let clamp = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    Span { start: clamp(node.start_byte()), end: clamp(node.end_byte()) }
}

impl<'s> Lower<'s> {
    /// The text of a node.
    pub(crate) fn text(&self, node: Node<'_>) -> &'s str {
        self.source.get(node.byte_range()).unwrap_or_default()
    }

    /// The text of a field; empty without one.
    pub(crate) fn field_text(&self, node: Node<'_>, field: &str) -> &'s str {
        node.child_by_field_name(field).map_or("", |field| self.text(field))
    }

    pub(crate) fn shape(&self, node: Node<'_>) -> Shape {
        (self.spec.shape)(node.kind())
    }

    /// Goes one level down; `None` when that is too deep or the file too large.
    fn enter(&mut self) -> Option<()> {
        self.nodes += 1;
        if self.depth >= DEPTH || self.nodes >= NODES {
            self.partial = true;
            return None;
        }
        self.depth += 1;
        Some(())
    }

    /// The statements under the root of another tree over the same source; bounded with the rest.
    pub(crate) fn stmts_in(&mut self, root: Node<'_>, out: &mut Vec<Stmt>) {
        if self.enter().is_some() {
            self.children(root, out);
            self.leave();
        }
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }
}

/// Named children of a node without comments and what else is extra.
pub(crate) fn named<'t>(node: Node<'t>) -> Vec<Node<'t>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor).filter(|child| !child.is_extra()).collect()
}

/// The first named child of one of these kinds.
pub(crate) fn child_of<'t>(node: Node<'t>, kinds: &[&str]) -> Option<Node<'t>> {
    named(node).into_iter().find(|child| kinds.contains(&child.kind()))
}
