//! Python.

use tree_sitter::Node;

use super::{Lower, Shape, Spec, child_of, named, span};
use crate::tree::{
    Annotation, Arg, Arm, Bind, Catch, Class, Entry, Expr, ExprKind, Function, Import, Loop, LoopKind, Param,
    Stmt, StmtKind,
};

pub(crate) static SPEC: Spec =
    Spec { name: "python", grammar: || tree_sitter_python::LANGUAGE.into(), shape };

fn shape(kind: &str) -> Shape {
    match kind {
        "identifier" => Shape::Name,
        "string" => Shape::Text,
        "concatenated_string" => Shape::Expr(concatenated),
        "integer" | "float" => Shape::Number,
        "true" => Shape::True,
        "false" => Shape::False,
        "none" => Shape::Null,
        "attribute" => Shape::Member { of: "object", name: "attribute" },
        "subscript" => Shape::Index { of: "value", index: "subscript" },
        "call" => Shape::Call { function: "function", args: "arguments" },
        "parenthesized_expression" | "unary_operator" => Shape::Inner,
        "await" => Shape::Await,
        "list" | "tuple" | "set" | "expression_list" | "pattern_list" | "tuple_pattern" => Shape::List,
        "dictionary" => Shape::Expr(dictionary),
        "binary_operator" | "boolean_operator" => Shape::Binary,
        "assignment" | "augmented_assignment" => Shape::Stmts(assignment),
        "conditional_expression" => Shape::Expr(choice),
        "lambda" => Shape::Lambda { params: "parameters", body: "body" },
        "list_comprehension" | "generator_expression" | "set_comprehension" => Shape::Expr(comprehension),
        "expression_statement" => Shape::ExprStmt,
        "return_statement" => Shape::Return,
        "raise_statement" => Shape::Throw,
        "break_statement" => Shape::Break,
        "continue_statement" => Shape::Continue,
        "block" | "module" => Shape::Block,
        "else_clause" => Shape::Stmts(body_of),
        "if_statement" | "elif_clause" => Shape::Stmts(condition),
        "while_statement" => Shape::While,
        "for_statement" => Shape::Stmts(each),
        "with_statement" => Shape::Stmts(with),
        "try_statement" => Shape::Stmts(attempt),
        "match_statement" => Shape::Stmts(matched),
        "function_definition" => Shape::Stmts(function),
        "class_definition" => Shape::Stmts(class),
        "decorated_definition" => Shape::Stmts(decorated),
        "import_statement" | "import_from_statement" => Shape::Stmts(import),
        "comment" | "type" | "pass_statement" | "global_statement" | "nonlocal_statement" => Shape::Skip,
        _ => Shape::Other,
    }
}

fn concatenated(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    let parts = lower.exprs(node);
    Expr { span: span(node), kind: ExprKind::Template(parts) }
}

fn dictionary(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    let mut entries = Vec::new();
    for child in named(node) {
        match child.kind() {
            "pair" => {
                let key = Some(lower.field(child, "key"));
                entries.push(Entry { key, value: lower.field(child, "value") });
            }
            "dictionary_splat" => {
                if let Some(value) = lower.first(child) {
                    entries.push(Entry { key: None, value });
                }
            }
            _ => {}
        }
    }
    Expr { span: span(node), kind: ExprKind::Map { ty: None, entries } }
}

fn choice(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    let mut parts = lower.exprs(node).into_iter();
    let kind = match (parts.next(), parts.next(), parts.next()) {
        (Some(then), Some(test), Some(otherwise)) => {
            ExprKind::Choice { test: Box::new(test), then: Box::new(then), otherwise: Box::new(otherwise) }
        }
        _ => ExprKind::Other(Vec::new()),
    };
    Expr { span: span(node), kind }
}

/// `[f(x) for x in xs]` is a call of `for` on what is iterated, with a lambda.
fn comprehension(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    let clause = child_of(node, &["for_in_clause"]);
    let left = clause.and_then(|clause| clause.child_by_field_name("left"));
    let names = left.map(|left| names_of(lower, left)).unwrap_or_default();
    let iterated = clause.map_or_else(|| Expr::other(span(node)), |clause| lower.field(clause, "right"));
    let value = lower.field(node, "body");
    let body = vec![Stmt { span: value.span, kind: StmtKind::Return(Some(value)) }];
    let params = names.into_iter().map(|name| Param { name, ..Param::default() }).collect();
    let lambda = Function { span: span(node), params, body, ..Function::default() };
    let lambda = Expr { span: span(node), kind: ExprKind::Lambda(Box::new(lambda)) };
    let function =
        Expr { span: span(node), kind: ExprKind::Member { of: Box::new(iterated), name: "for".to_owned() } };
    let args = vec![Arg { name: None, value: lambda, spread: false }];
    let call = crate::tree::Call { function, args, new: false };
    Expr { span: span(node), kind: ExprKind::Call(Box::new(call)) }
}

/// Names that a pattern binds; `_` for what is no plain name.
fn names_of(lower: &mut Lower<'_>, node: Node<'_>) -> Vec<String> {
    match node.kind() {
        "identifier" => vec![lower.text(node).to_owned()],
        "pattern_list" | "tuple_pattern" | "list_pattern" | "expression_list" | "tuple" => named(node)
            .into_iter()
            .map(|child| match child.kind() {
                "identifier" => lower.text(child).to_owned(),
                _ => "_".to_owned(),
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// A plain name is made in this scope; `a.b = x` and `a[b] = x` change what is there.
fn assignment(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let Some(left) = node.child_by_field_name("left") else { return };
    let names = names_of(lower, left);
    let ty = node.child_by_field_name("type").map(|ty| plain(lower.text(ty)));
    let plain_assignment = node.kind() == "assignment";
    let value = node.child_by_field_name("right").map(|right| lower.expr(right));
    let kind = match (names.is_empty() || !plain_assignment, value) {
        (false, value) => {
            StmtKind::Bind(Box::new(Bind { names, ty, value, annotations: Vec::new(), constant: false }))
        }
        (true, Some(value)) => {
            let op = if plain_assignment { "=" } else { "+=" };
            let target = lower.expr(left);
            let targets = match target.kind {
                ExprKind::List(targets) => targets,
                _ => vec![target],
            };
            let kind = ExprKind::Assign { targets, value: Box::new(value), op: op.to_owned() };
            StmtKind::Expr(Expr { span: span(node), kind })
        }
        (true, None) => return,
    };
    out.push(Stmt { span: span(node), kind });
}

/// `Optional[a.T]` and `"T"` are `T`.
fn plain(text: &str) -> String {
    let text = text.trim_matches(['"', '\'']);
    let text = text.strip_prefix("Optional[").map_or(text, |inner| inner.trim_end_matches(']'));
    text.split(['|', '[']).next().unwrap_or(text).trim().to_owned()
}

fn body_of(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    out.extend(lower.body(node.child_by_field_name("body").or_else(|| child_of(node, &["block"]))));
}

/// `elif` is an `if` in the `else`.
fn condition(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let test = lower.field(node, "condition");
    let then = lower.body(node.child_by_field_name("consequence"));
    let mut otherwise = Vec::new();
    let mut cursor = node.walk();
    let clauses: Vec<Node<'_>> = node.children_by_field_name("alternative", &mut cursor).collect();
    for clause in clauses {
        lower.stmt(clause, &mut otherwise);
    }
    out.push(Stmt { span: span(node), kind: StmtKind::If { test, then, otherwise } });
}

fn each(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let names = node.child_by_field_name("left").map(|left| names_of(lower, left)).unwrap_or_default();
    let head = node.child_by_field_name("right").map(|head| lower.expr(head));
    let body = lower.body(node.child_by_field_name("body"));
    let turn = Loop { kind: LoopKind::Each, head, names, body };
    out.push(Stmt { span: span(node), kind: StmtKind::Loop(Box::new(turn)) });
}

fn with(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let mut body = Vec::new();
    for item in child_of(node, &["with_clause"]).map(named).unwrap_or_default() {
        let Some(value) = item.child_by_field_name("value") else { continue };
        if value.kind() != "as_pattern" {
            lower.stmt(value, &mut body);
            continue;
        }
        let names = value.child_by_field_name("alias").map(|alias| lower.text(alias).to_owned());
        let value = lower.first(value);
        let bind = Bind {
            names: names.into_iter().collect(),
            ty: None,
            value,
            annotations: Vec::new(),
            constant: true,
        };
        body.push(Stmt { span: span(item), kind: StmtKind::Bind(Box::new(bind)) });
    }
    body.extend(lower.body(node.child_by_field_name("body")));
    out.push(Stmt { span: span(node), kind: StmtKind::Block(body) });
}

fn attempt(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let mut body = lower.body(node.child_by_field_name("body"));
    let mut catches = Vec::new();
    let mut finally = Vec::new();
    for child in named(node) {
        match child.kind() {
            "except_clause" | "except_group_clause" => catches.push(catch(lower, child)),
            "finally_clause" => finally = lower.body(child_of(child, &["block"])),
            "else_clause" => lower.stmt(child, &mut body),
            _ => {}
        }
    }
    out.push(Stmt { span: span(node), kind: StmtKind::Try { body, catches, finally } });
}

fn catch(lower: &mut Lower<'_>, node: Node<'_>) -> Catch {
    let mut value = node.child_by_field_name("value");
    let mut name = node.child_by_field_name("alias").map(|alias| lower.text(alias).to_owned());
    if let Some(pattern) = value.filter(|value| value.kind() == "as_pattern") {
        name = pattern.child_by_field_name("alias").map(|alias| lower.text(alias).to_owned());
        value = named(pattern).first().copied();
    }
    let types = value.map_or("", |value| lower.text(value)).trim_matches(['(', ')']);
    let types = types.split(',').map(|ty| ty.trim().to_owned()).filter(|ty| !ty.is_empty()).collect();
    let body = lower.body(child_of(node, &["block"]));
    Catch { span: span(node), types, name, body }
}

fn matched(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let on = node.child_by_field_name("subject").map(|on| lower.expr(on));
    let cases = node.child_by_field_name("body").map(named).unwrap_or_default();
    let mut arms = Vec::new();
    for case in cases {
        let body = lower.body(case.child_by_field_name("consequence"));
        arms.push(Arm { pattern: None, names: Vec::new(), body });
    }
    out.push(Stmt { span: span(node), kind: StmtKind::Branch { on, arms } });
}

fn function(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let made = function_of(lower, node, Vec::new());
    out.push(Stmt { span: span(node), kind: StmtKind::Function(Box::new(made)) });
}

fn function_of(lower: &mut Lower<'_>, node: Node<'_>, annotations: Vec<Annotation>) -> Function {
    let mut params = Vec::new();
    for child in node.child_by_field_name("parameters").map(named).unwrap_or_default() {
        let name = match child.kind() {
            "identifier" => lower.text(child),
            "typed_parameter" => child_of(child, &["identifier"]).map_or("", |name| lower.text(name)),
            "default_parameter" | "typed_default_parameter" => lower.field_text(child, "name"),
            "keyword_separator" | "positional_separator" => continue,
            _ => lower.text(child),
        };
        params.push(Param {
            name: name.to_owned(),
            ty: child.child_by_field_name("type").map(|ty| plain(lower.text(ty))),
            default: child.child_by_field_name("value").map(|value| lower.expr(value)),
            annotations: Vec::new(),
        });
    }
    Function {
        span: span(node),
        name: lower.field_text(node, "name").to_owned(),
        of: None,
        params,
        body: lower.body(node.child_by_field_name("body")),
        annotations,
        is_async: lower.text(node).starts_with("async"),
    }
}

fn class(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let made = class_of(lower, node, Vec::new());
    out.push(Stmt { span: span(node), kind: StmtKind::Class(Box::new(made)) });
}

fn class_of(lower: &mut Lower<'_>, node: Node<'_>, annotations: Vec<Annotation>) -> Class {
    let bases = node.child_by_field_name("superclasses").map(named).unwrap_or_default();
    Class {
        name: lower.field_text(node, "name").to_owned(),
        bases: bases.into_iter().map(|base| lower.text(base).to_owned()).collect(),
        annotations,
        body: lower.body(node.child_by_field_name("body")),
    }
}

fn decorated(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let mut annotations = Vec::new();
    for child in named(node).into_iter().filter(|child| child.kind() == "decorator") {
        let Some(decorator) = lower.first(child) else { continue };
        let (name, args) = match decorator.kind {
            ExprKind::Call(call) => (call.method().to_owned(), call.args),
            _ => (decorator.last_word().unwrap_or_default().to_owned(), Vec::new()),
        };
        annotations.push(Annotation { name, args, span: span(child) });
    }
    let Some(definition) = node.child_by_field_name("definition") else { return };
    let kind = match definition.kind() {
        "class_definition" => StmtKind::Class(Box::new(class_of(lower, definition, annotations))),
        _ => StmtKind::Function(Box::new(function_of(lower, definition, annotations))),
    };
    out.push(Stmt { span: span(definition), kind });
}

fn import(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let mut cursor = node.walk();
    let names: Vec<Node<'_>> = node.children_by_field_name("name", &mut cursor).collect();
    let from = node.child_by_field_name("module_name").map(|module| lower.text(module).to_owned());
    let mut here = Vec::new();
    for name in names {
        let there = match name.kind() {
            "aliased_import" => lower.field_text(name, "name"),
            _ => lower.text(name),
        };
        let alias = match name.kind() {
            "aliased_import" => lower.field_text(name, "alias"),
            _ => there,
        };
        match &from {
            Some(_) => here.push((there.to_owned(), alias.to_owned())),
            None => {
                let first = if alias == there { there.split('.').next().unwrap_or(there) } else { alias };
                let names = vec![(String::new(), first.to_owned())];
                let import = Import { path: there.to_owned(), names };
                out.push(Stmt { span: span(node), kind: StmtKind::Import(import) });
            }
        }
    }
    if let Some(path) = from {
        if child_of(node, &["wildcard_import"]).is_some() {
            here.push(("*".to_owned(), "*".to_owned()));
        }
        out.push(Stmt { span: span(node), kind: StmtKind::Import(Import { path, names: here }) });
    }
}
