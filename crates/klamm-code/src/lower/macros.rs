//! Rust's macros: the grammar gives their tokens, so what is between them is parsed once more.

use tree_sitter::{Node, Parser, Range};

use super::rust::bound;
use super::{Lower, named, span};
use crate::tree::{Arg, Arm, Call, Expr, ExprKind, Span, Stmt, StmtKind};

/// Macros that make a text of a format and its arguments.
const FORMATS: [&str; 2] = ["format", "format_args"];

/// `format!` is a template, `vec!` a list, `select!` a branch, any other a call.
pub(super) fn invocation(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    let path = lower.field_text(node, "macro");
    let name = path.rsplit("::").next().unwrap_or_default();
    let Some(tokens) = named(node).into_iter().find(|child| child.kind() == "token_tree") else {
        return Expr::other(span(node));
    };
    let kind = match name {
        "select" => ExprKind::Block(vec![Stmt { span: span(node), kind: select(lower, tokens) }]),
        "vec" => ExprKind::List(arguments(lower, tokens)),
        _ if FORMATS.contains(&name) => template(lower, tokens),
        _ => {
            let function = Expr { span: span(node), kind: ExprKind::Name(name.to_owned()) };
            let args = arguments(lower, tokens).into_iter();
            let args = args.map(|value| Arg { name: None, value, spread: false }).collect();
            ExprKind::Call(Box::new(Call { function, args, new: false }))
        }
    };
    Expr { span: span(node), kind }
}

fn children<'t>(tokens: Node<'t>) -> Vec<Node<'t>> {
    let mut cursor = tokens.walk();
    let all: Vec<Node<'t>> = tokens.children(&mut cursor).filter(|child| !child.is_extra()).collect();
    // Without the brackets around them.
    let end = all.len().saturating_sub(1);
    all.get(1..end).map(<[Node<'t>]>::to_vec).unwrap_or_default()
}

/// What stands between commas, each as an expression.
fn arguments(lower: &mut Lower<'_>, tokens: Node<'_>) -> Vec<Expr> {
    let all = children(tokens);
    let parts = all.split(|token| matches!(token.kind(), "," | ";"));
    let parts: Vec<&[Node<'_>]> = parts.filter(|part| !part.is_empty()).collect();
    parts.into_iter().filter_map(|part| expression(lower, part)).collect()
}

fn expression(lower: &mut Lower<'_>, part: &[Node<'_>]) -> Option<Expr> {
    let (first, last) = (part.first()?, part.last()?);
    let at = Span { start: span(*first).start, end: span(*last).end };
    let mut statements = parsed(lower, *first, *last);
    Some(match (statements.pop(), statements.is_empty()) {
        (Some(Stmt { kind: StmtKind::Expr(value), .. }), true) => value,
        (Some(last), _) => {
            statements.push(last);
            Expr { span: at, kind: ExprKind::Block(statements) }
        }
        (None, _) => Expr::other(at),
    })
}

/// Statements in the source from one token to another, parsed as if braces stood around them: those of the function that they are in do.
fn parsed(lower: &mut Lower<'_>, first: Node<'_>, last: Node<'_>) -> Vec<Stmt> {
    let inner = Range {
        start_byte: first.start_byte(),
        end_byte: last.end_byte(),
        start_point: first.start_position(),
        end_point: last.end_position(),
    };
    let bytes = lower.source.as_bytes();
    let open = bytes.get(..inner.start_byte).and_then(|before| before.iter().rposition(|byte| *byte == b'{'));
    let close = bytes.get(inner.end_byte..).and_then(|after| after.iter().position(|byte| *byte == b'}'));
    let (Some(open), Some(close)) = (open, close) else { return Vec::new() };
    let brace =
        |at: usize, point| Range { start_byte: at, end_byte: at + 1, start_point: point, end_point: point };
    let ranges = [brace(open, inner.start_point), inner, brace(inner.end_byte + close, inner.end_point)];
    let mut statements = within(lower, &ranges).unwrap_or_default();
    match (statements.pop(), statements.is_empty()) {
        (Some(Stmt { kind: StmtKind::Block(inside), .. }), true) => inside,
        (last, _) => {
            statements.extend(last);
            statements
        }
    }
}

fn within(lower: &mut Lower<'_>, ranges: &[Range]) -> Option<Vec<Stmt>> {
    let mut parser = Parser::new();
    parser.set_language(&(lower.spec.grammar)()).ok()?;
    parser.set_included_ranges(ranges).ok()?;
    let tree = parser.parse(lower.source, None)?;
    let mut out = Vec::new();
    lower.stmts_in(tree.root_node(), &mut out);
    Some(out)
}

/// `format!("{id}-{}", x)`: constant parts, and names and arguments in their places.
fn template(lower: &mut Lower<'_>, tokens: Node<'_>) -> ExprKind {
    let mut arguments = arguments(lower, tokens).into_iter();
    let Some(Expr { span, kind: ExprKind::Text(format) }) = arguments.next() else {
        return ExprKind::Template(arguments.collect());
    };
    let mut parts = Vec::new();
    let mut rest = format.as_str();
    let text = |text: &str| Expr { span, kind: ExprKind::Text(text.to_owned()) };
    while let Some((before, after)) = rest.split_once('{') {
        if !before.is_empty() {
            parts.push(text(before));
        }
        let (hole, after) = after.split_once('}').unwrap_or((after, ""));
        let name = hole.split(':').next().unwrap_or_default().trim();
        match name.is_empty() || name.chars().all(|c| c.is_ascii_digit()) {
            true => parts.extend(arguments.next()),
            false => parts.push(Expr { span, kind: ExprKind::Name(name.to_owned()) }),
        }
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(text(rest));
    }
    parts.extend(arguments);
    ExprKind::Template(parts)
}

/// `select! { pattern = future => body, … }`: each arm waits for its future.
fn select(lower: &mut Lower<'_>, tokens: Node<'_>) -> StmtKind {
    let all = children(tokens);
    let mut arms = Vec::new();
    let mut at = 0;
    while let Some(arrow) = all[at..].iter().position(|token| token.kind() == "=>").map(|step| at + step) {
        let head = &all[at..arrow];
        let (body, next) = body(&all, arrow + 1);
        let mut names = Vec::new();
        let equals = head.iter().position(|token| token.kind() == "=");
        if let Some(equals) = equals {
            head[..equals].iter().for_each(|token| bound(lower, *token, &mut names));
        }
        let future = equals.map_or(&[][..], |equals| &head[equals + 1..]);
        let future = future.split(|token| token.kind() == ",").next().unwrap_or_default();
        let pattern = expression(lower, future)
            .map(|future| Expr { span: future.span, kind: ExprKind::Await(Box::new(future)) });
        let statements = match (body.first(), body.last()) {
            (Some(block), Some(_)) if body.len() == 1 && block.kind() == "token_tree" => {
                let inner = children(*block);
                match (inner.first(), inner.last()) {
                    (Some(first), Some(last)) => parsed(lower, *first, *last),
                    _ => Vec::new(),
                }
            }
            (Some(first), Some(last)) => parsed(lower, *first, *last),
            _ => Vec::new(),
        };
        arms.push(Arm { pattern, names, body: statements });
        at = next;
    }
    StmtKind::Branch { on: None, arms }
}

/// Tokens of an arm's body from `at`, and where the next arm begins.
fn body<'a, 't>(all: &'a [Node<'t>], at: usize) -> (&'a [Node<'t>], usize) {
    let is_block = |token: &Node<'_>| {
        token.kind() == "token_tree" && token.child(0).is_some_and(|open| open.kind() == "{")
    };
    if all.get(at).is_some_and(is_block) {
        let comma = all.get(at + 1).is_some_and(|token| token.kind() == ",");
        return (&all[at..at + 1], at + 1 + usize::from(comma));
    }
    let end = all[at.min(all.len())..]
        .iter()
        .position(|token| token.kind() == ",")
        .map_or(all.len(), |step| at + step);
    (all.get(at..end).unwrap_or_default(), (end + 1).min(all.len()))
}
