//! The tree from shapes.

use tree_sitter::Node;

use super::text::{number, unescape, unquote};
use super::{Lower, Shape, named, span};
use crate::tree::{Arg, Arm, Call, Entry, Expr, ExprKind, Function, Loop, LoopKind, Param, Stmt, StmtKind};

impl Lower<'_> {
    /// The statements among a node's children.
    pub(crate) fn children(&mut self, node: Node<'_>, out: &mut Vec<Stmt>) {
        for child in named(node) {
            self.stmt(child, out);
        }
    }

    /// A block or one statement as a list; nothing for nothing.
    pub(crate) fn body(&mut self, node: Option<Node<'_>>) -> Vec<Stmt> {
        let mut out = Vec::new();
        match node {
            Some(node) if matches!(self.shape(node), Shape::Block) => {
                self.stmts_in(node, &mut out);
            }
            Some(node) => self.stmt(node, &mut out),
            None => {}
        }
        out
    }

    /// One node as statements.
    pub(crate) fn stmt(&mut self, node: Node<'_>, out: &mut Vec<Stmt>) {
        if self.enter().is_none() {
            return;
        }
        self.stmt_inner(node, out);
        self.leave();
    }

    fn stmt_inner(&mut self, node: Node<'_>, out: &mut Vec<Stmt>) {
        let at = span(node);
        let kind = match self.shape(node) {
            Shape::Stmts(make) => return make(self, node, out),
            Shape::Skip => return,
            Shape::ExprStmt => return self.children(node, out),
            Shape::Return => StmtKind::Return(self.first(node)),
            Shape::Throw => StmtKind::Throw(self.first(node)),
            Shape::Break => StmtKind::Break,
            Shape::Continue => StmtKind::Continue,
            Shape::Block => {
                let mut inner = Vec::new();
                self.children(node, &mut inner);
                StmtKind::Block(inner)
            }
            Shape::If => {
                let test = self.field(node, "condition");
                let then = self.body(node.child_by_field_name("consequence"));
                let otherwise = self.body(node.child_by_field_name("alternative"));
                StmtKind::If { test, then, otherwise }
            }
            Shape::While => {
                let head = node.child_by_field_name("condition").map(|head| self.expr(head));
                let body = self.body(node.child_by_field_name("body"));
                StmtKind::Loop(Box::new(Loop { kind: LoopKind::While, head, names: Vec::new(), body }))
            }
            // An unknown statement: what is inside it may be statements again (labels, synchronized, unsafe).
            Shape::Other => {
                let mut inner = Vec::new();
                self.children(node, &mut inner);
                match inner.len() {
                    0 => return,
                    _ => StmtKind::Block(inner),
                }
            }
            _ => StmtKind::Expr(self.expr_inner(node)),
        };
        out.push(Stmt { span: at, kind });
    }

    /// One node as an expression.
    pub(crate) fn expr(&mut self, node: Node<'_>) -> Expr {
        if self.enter().is_none() {
            return Expr::other(span(node));
        }
        let made = self.expr_inner(node);
        self.leave();
        made
    }

    fn expr_inner(&mut self, node: Node<'_>) -> Expr {
        let kind = match self.shape(node) {
            Shape::Expr(make) => return make(self, node),
            Shape::Field(field) => return self.field(node, field),
            Shape::Inner => return self.first(node).unwrap_or_else(|| Expr::other(span(node))),
            Shape::Text => self.string(node),
            Shape::Number => ExprKind::Number(number(self.text(node))),
            Shape::True => ExprKind::Bool(true),
            Shape::False => ExprKind::Bool(false),
            Shape::Null => ExprKind::Null,
            Shape::Name => ExprKind::Name(self.text(node).to_owned()),
            Shape::List => ExprKind::List(self.exprs(node)),
            Shape::Await => self.wrapped(node, ExprKind::Await),
            Shape::Try => self.wrapped(node, ExprKind::Try),
            Shape::Skip => ExprKind::Other(Vec::new()),
            Shape::Other => ExprKind::Other(self.exprs(node)),
            Shape::Member { of, name } => self.member(node, of, name),
            Shape::Index { of, index } => {
                ExprKind::Index { of: self.boxed(node, of), index: self.boxed(node, index) }
            }
            Shape::Call { function, args } => self.call(node, function, args),
            Shape::New { ty, args } => self.new_object(node, ty, args),
            Shape::Binary => ExprKind::Binary {
                op: self.field_text(node, "operator").to_owned(),
                left: self.boxed(node, "left"),
                right: self.boxed(node, "right"),
            },
            Shape::Assign => self.assign(node),
            Shape::Choice => ExprKind::Choice {
                test: self.boxed(node, "condition"),
                then: self.boxed(node, "consequence"),
                otherwise: self.boxed(node, "alternative"),
            },
            Shape::Lambda { params, body } => self.lambda(node, params, body),
            _ => {
                let mut inner = Vec::new();
                self.stmt_inner(node, &mut inner);
                ExprKind::Block(inner)
            }
        };
        Expr { span: span(node), kind }
    }

    /// A field as an expression; an empty one without it.
    pub(crate) fn field(&mut self, node: Node<'_>, field: &str) -> Expr {
        match node.child_by_field_name(field) {
            Some(child) => self.expr(child),
            None => Expr::other(span(node)),
        }
    }

    pub(crate) fn boxed(&mut self, node: Node<'_>, field: &str) -> Box<Expr> {
        Box::new(self.field(node, field))
    }

    /// The first child that is an expression.
    pub(crate) fn first(&mut self, node: Node<'_>) -> Option<Expr> {
        let child = named(node).into_iter().find(|child| !matches!(self.shape(*child), Shape::Skip))?;
        Some(self.expr(child))
    }

    /// All children that are expressions.
    pub(crate) fn exprs(&mut self, node: Node<'_>) -> Vec<Expr> {
        let children = named(node);
        let kept =
            children.into_iter().filter(|child| !matches!((self.spec.shape)(child.kind()), Shape::Skip));
        kept.collect::<Vec<_>>().into_iter().map(|child| self.expr(child)).collect()
    }

    fn wrapped(&mut self, node: Node<'_>, wrap: fn(Box<Expr>) -> ExprKind) -> ExprKind {
        let inner = self.first(node).unwrap_or_else(|| Expr::other(span(node)));
        wrap(Box::new(inner))
    }

    fn member(&mut self, node: Node<'_>, of: &str, name: &str) -> ExprKind {
        let name = self.field_text(node, name).to_owned();
        match node.child_by_field_name(of) {
            Some(of) => ExprKind::Member { of: Box::new(self.expr(of)), name },
            None => ExprKind::Name(name),
        }
    }

    fn call(&mut self, node: Node<'_>, function: &str, args: &str) -> ExprKind {
        let function = self.field(node, function);
        let args = self.args(node.child_by_field_name(args));
        ExprKind::Call(Box::new(Call { function, args, new: false }))
    }

    fn new_object(&mut self, node: Node<'_>, ty: &str, args: &str) -> ExprKind {
        let function = match node.child_by_field_name(ty) {
            Some(ty) => self.type_name(ty),
            None => Expr::other(span(node)),
        };
        let args = self.args(node.child_by_field_name(args));
        ExprKind::Call(Box::new(Call { function, args, new: true }))
    }

    /// A type as a name: `a.b.T<X>` is `a.b.T`.
    pub(crate) fn type_name(&self, node: Node<'_>) -> Expr {
        let text = plain_type(self.text(node));
        Expr { span: span(node), kind: ExprKind::Name(text) }
    }

    /// Arguments: those of the languages' common forms; `name=value` is known by the fields `name` and `value`.
    pub(crate) fn args(&mut self, node: Option<Node<'_>>) -> Vec<Arg> {
        let Some(node) = node else { return Vec::new() };
        let mut args = Vec::new();
        for child in named(node) {
            if matches!(self.shape(child), Shape::Skip) {
                continue;
            }
            let (name, value) = match child.kind() {
                "keyword_argument" => {
                    (Some(self.field_text(child, "name").to_owned()), self.field(child, "value"))
                }
                _ => (None, self.expr(child)),
            };
            let spread = matches!(
                child.kind(),
                "list_splat"
                    | "dictionary_splat"
                    | "spread_element"
                    | "spread_expression"
                    | "variadic_argument"
            );
            args.push(Arg { name, value, spread });
        }
        args
    }

    fn assign(&mut self, node: Node<'_>) -> ExprKind {
        let target = self.field(node, "left");
        let targets = match target.kind {
            ExprKind::List(targets) => targets,
            _ => vec![target],
        };
        let value = self.boxed(node, "right");
        let op = match self.field_text(node, "operator") {
            "" => "=",
            op => op,
        };
        ExprKind::Assign { targets, value, op: op.to_owned() }
    }

    fn lambda(&mut self, node: Node<'_>, params: &str, body: &str) -> ExprKind {
        let params =
            node.child_by_field_name(params).map(|params| self.param_names(params)).unwrap_or_default();
        let body = self.lambda_body(node.child_by_field_name(body));
        let is_async = self.text(node).starts_with("async");
        ExprKind::Lambda(Box::new(Function {
            span: span(node),
            params,
            body,
            is_async,
            ..Function::default()
        }))
    }

    /// A lambda's body: an expression is what it returns.
    pub(crate) fn lambda_body(&mut self, body: Option<Node<'_>>) -> Vec<Stmt> {
        match body {
            Some(body) if matches!(self.shape(body), Shape::Block | Shape::Stmts(_)) => self.body(Some(body)),
            Some(body) => {
                let value = self.expr(body);
                vec![Stmt { span: value.span, kind: StmtKind::Return(Some(value)) }]
            }
            None => Vec::new(),
        }
    }

    /// Parameters by name alone: identifiers in a list, or an identifier.
    pub(crate) fn param_names(&mut self, node: Node<'_>) -> Vec<Param> {
        let plain = |name: &str| Param { name: name.to_owned(), ..Param::default() };
        if named(node).is_empty() {
            let text = self.text(node);
            return if text.starts_with(['(', '|', '{']) { Vec::new() } else { vec![plain(text)] };
        }
        named(node)
            .into_iter()
            .map(|child| {
                let inner =
                    ["name", "pattern", "left"].iter().find_map(|field| child.child_by_field_name(field));
                plain(self.text(inner.unwrap_or(child)))
            })
            .collect()
    }

    /// A string literal, or a template of its parts when some are computed.
    fn string(&mut self, node: Node<'_>) -> ExprKind {
        let computed = |child: &Node<'_>| matches!(child.kind(), "interpolation" | "template_substitution");
        let children = named(node);
        if !children.iter().any(computed) {
            return ExprKind::Text(unquote(self.text(node)));
        }
        let mut parts = Vec::new();
        for child in children {
            if computed(&child) {
                let inner = self.first(child).unwrap_or_else(|| Expr::other(span(child)));
                parts.push(inner);
            } else if !matches!(child.kind(), "string_start" | "string_end") {
                parts.push(Expr { span: span(child), kind: ExprKind::Text(unescape(self.text(child))) });
            }
        }
        ExprKind::Template(parts)
    }

    /// An entry `key: value`, whose key is a bare name in objects and structs.
    pub(crate) fn entry(&mut self, key: Node<'_>, value: Expr) -> Entry {
        let made = match self.shape(key) {
            Shape::Text => self.expr(key),
            Shape::Name => Expr { span: span(key), kind: ExprKind::Text(self.text(key).to_owned()) },
            _ => self.expr(key),
        };
        Entry { key: Some(made), value }
    }

    /// An arm from its parts.
    pub(crate) fn arm(&mut self, pattern: Option<Node<'_>>, body: Vec<Stmt>) -> Arm {
        let pattern = pattern.map(|pattern| self.expr(pattern));
        Arm { pattern, names: Vec::new(), body }
    }
}

/// `a.b.T<X>[]` is `a.b.T`.
pub(crate) fn plain_type(text: &str) -> String {
    let end = text.find(['<', '[', '(', '{']).unwrap_or(text.len());
    text[..end].trim().trim_end_matches('?').to_owned()
}
