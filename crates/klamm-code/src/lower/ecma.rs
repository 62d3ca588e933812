//! JavaScript and TypeScript, with and without JSX: the grammars share their names.

use tree_sitter::Node;

use super::build::plain_type;
use super::{Lower, Shape, Spec, child_of, named, span};
use crate::tree::{
    Annotation, Arm, Bind, Catch, Class, Entry, Expr, ExprKind, Function, Import, Loop, LoopKind, Param,
    Stmt, StmtKind,
};

pub(crate) static JAVASCRIPT: Spec =
    Spec { name: "javascript", grammar: || tree_sitter_javascript::LANGUAGE.into(), shape };
pub(crate) static TYPESCRIPT: Spec =
    Spec { name: "typescript", grammar: || tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into(), shape };
pub(crate) static TSX: Spec =
    Spec { name: "typescript", grammar: || tree_sitter_typescript::LANGUAGE_TSX.into(), shape };

fn shape(kind: &str) -> Shape {
    match kind {
        "identifier"
        | "property_identifier"
        | "shorthand_property_identifier"
        | "private_property_identifier"
        | "this"
        | "super"
        | "type_identifier" => Shape::Name,
        "string" | "template_string" => Shape::Text,
        "number" => Shape::Number,
        "true" => Shape::True,
        "false" => Shape::False,
        "null" | "undefined" => Shape::Null,
        "member_expression" => Shape::Member { of: "object", name: "property" },
        "subscript_expression" => Shape::Index { of: "object", index: "index" },
        "call_expression" => Shape::Call { function: "function", args: "arguments" },
        "new_expression" => Shape::New { ty: "constructor", args: "arguments" },
        "parenthesized_expression" | "non_null_expression" | "as_expression" | "satisfies_expression" => {
            Shape::Inner
        }
        "unary_expression" => Shape::Expr(unary),
        "await_expression" => Shape::Await,
        "array" => Shape::List,
        "object" => Shape::Expr(object),
        "binary_expression" => Shape::Binary,
        "assignment_expression" | "augmented_assignment_expression" => Shape::Assign,
        "ternary_expression" => Shape::Choice,
        "arrow_function" | "function_expression" | "generator_function" => Shape::Expr(lambda),
        "expression_statement" => Shape::ExprStmt,
        "return_statement" => Shape::Return,
        "throw_statement" => Shape::Throw,
        "break_statement" => Shape::Break,
        "continue_statement" => Shape::Continue,
        "statement_block" | "class_body" | "program" | "export_statement" | "else_clause"
        | "class_static_block" => Shape::Block,
        "if_statement" => Shape::If,
        "while_statement" | "do_statement" => Shape::While,
        "for_statement" => Shape::Stmts(counted),
        "for_in_statement" => Shape::Stmts(each),
        "switch_statement" => Shape::Stmts(switch),
        "try_statement" => Shape::Stmts(attempt),
        "lexical_declaration" | "variable_declaration" => Shape::Stmts(bind),
        "public_field_definition" | "field_definition" => Shape::Stmts(field),
        "function_declaration" | "generator_function_declaration" | "method_definition" => {
            Shape::Stmts(function)
        }
        "class_declaration" | "class" | "abstract_class_declaration" => Shape::Stmts(class),
        "import_statement" => Shape::Stmts(import),
        "comment"
        | "type_annotation"
        | "type_arguments"
        | "type_parameters"
        | "interface_declaration"
        | "type_alias_declaration"
        | "accessibility_modifier"
        | "decorator"
        | "predefined_type"
        | "generic_type"
        | "union_type"
        | "object_type"
        | "empty_statement"
        | "export_clause"
        | "hash_bang_line" => Shape::Skip,
        _ => Shape::Other,
    }
}

/// `void f()` and `!x` are about what is behind them; a minus makes another number.
fn unary(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    let inner = lower.field(node, "argument");
    let kind = match (lower.field_text(node, "operator"), inner.kind) {
        ("-", ExprKind::Number(number)) => ExprKind::Number(format!("-{number}")),
        (_, kind) => ExprKind::Other(vec![Expr { span: inner.span, kind }]),
    };
    Expr { span: span(node), kind }
}

fn object(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    let mut entries = Vec::new();
    for child in named(node) {
        match child.kind() {
            "pair" => {
                let value = lower.field(child, "value");
                if let Some(key) = child.child_by_field_name("key") {
                    entries.push(lower.entry(key, value));
                }
            }
            "shorthand_property_identifier" => {
                let value = lower.expr(child);
                entries.push(lower.entry(child, value));
            }
            "method_definition" => {
                let made = function_of(lower, child);
                let value = Expr {
                    span: span(child),
                    kind: ExprKind::Lambda(Box::new(Function { name: String::new(), ..made })),
                };
                if let Some(key) = child.child_by_field_name("name") {
                    entries.push(lower.entry(key, value));
                }
            }
            "spread_element" => {
                if let Some(value) = lower.first(child) {
                    entries.push(Entry { key: None, value });
                }
            }
            _ => {}
        }
    }
    Expr { span: span(node), kind: ExprKind::Map { ty: None, entries } }
}

fn lambda(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    let params = match node.child_by_field_name("parameter") {
        Some(one) => vec![Param { name: lower.text(one).to_owned(), ..Param::default() }],
        None => params(lower, node),
    };
    let body = lower.lambda_body(node.child_by_field_name("body"));
    let is_async = lower.text(node).starts_with("async");
    let made = Function { span: span(node), params, body, is_async, ..Function::default() };
    Expr { span: span(node), kind: ExprKind::Lambda(Box::new(made)) }
}

/// Parameters; each name of a pattern is one.
fn params(lower: &mut Lower<'_>, node: Node<'_>) -> Vec<Param> {
    let mut out = Vec::new();
    for child in node.child_by_field_name("parameters").map(named).unwrap_or_default() {
        let pattern = child
            .child_by_field_name("pattern")
            .or_else(|| child.child_by_field_name("left"))
            .unwrap_or(child);
        let ty = child.child_by_field_name("type").map(|ty| type_of(lower.text(ty)));
        let default = child.child_by_field_name("value").map(|value| lower.expr(value));
        let mut names = Vec::new();
        pattern_names(lower, pattern, &mut names, 0);
        for name in names {
            out.push(Param { name, ty: ty.clone(), default: default.clone(), annotations: Vec::new() });
        }
    }
    out
}

fn type_of(annotation: &str) -> String {
    let text = annotation.trim_start_matches(':').trim();
    plain_type(text.split('|').next().unwrap_or(text))
}

/// Names that a pattern binds.
fn pattern_names(lower: &Lower<'_>, node: Node<'_>, out: &mut Vec<String>, depth: u32) {
    if depth > 20 {
        return;
    }
    match node.kind() {
        "identifier" | "shorthand_property_identifier_pattern" => out.push(lower.text(node).to_owned()),
        "pair_pattern" => {
            if let Some(value) = node.child_by_field_name("value") {
                pattern_names(lower, value, out, depth + 1);
            }
        }
        "assignment_pattern" | "object_assignment_pattern" => {
            if let Some(left) = node.child_by_field_name("left") {
                pattern_names(lower, left, out, depth + 1);
            }
        }
        _ => named(node).into_iter().for_each(|child| pattern_names(lower, child, out, depth + 1)),
    }
}

fn counted(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    if let Some(init) = node.child_by_field_name("initializer") {
        lower.stmt(init, out);
    }
    let condition = node
        .child_by_field_name("condition")
        .filter(|head| head.is_named() && head.kind() != "empty_statement");
    let head = condition.map(|head| lower.expr(head));
    let kind = if head.is_some() { LoopKind::Counted } else { LoopKind::While };
    let body = lower.body(node.child_by_field_name("body"));
    let turn = Loop { kind, head, names: Vec::new(), body };
    out.push(Stmt { span: span(node), kind: StmtKind::Loop(Box::new(turn)) });
}

fn each(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let mut names = Vec::new();
    if let Some(left) = node.child_by_field_name("left") {
        pattern_names(lower, left, &mut names, 0);
    }
    let head = node.child_by_field_name("right").map(|head| lower.expr(head));
    let body = lower.body(node.child_by_field_name("body"));
    let turn = Loop { kind: LoopKind::Each, head, names, body };
    out.push(Stmt { span: span(node), kind: StmtKind::Loop(Box::new(turn)) });
}

fn switch(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let on = node.child_by_field_name("value").map(|on| lower.expr(on));
    let mut arms = Vec::new();
    for case in node.child_by_field_name("body").map(named).unwrap_or_default() {
        let mut cursor = case.walk();
        let parts: Vec<Node<'_>> = case.children_by_field_name("body", &mut cursor).collect();
        let mut body = Vec::new();
        parts.into_iter().for_each(|part| lower.stmt(part, &mut body));
        arms.push(Arm { pattern: None, names: Vec::new(), body });
    }
    out.push(Stmt { span: span(node), kind: StmtKind::Branch { on, arms } });
}

fn attempt(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let body = lower.body(node.child_by_field_name("body"));
    let mut catches = Vec::new();
    if let Some(handler) = node.child_by_field_name("handler") {
        let name = handler.child_by_field_name("parameter").map(|name| lower.text(name).to_owned());
        let body = lower.body(handler.child_by_field_name("body"));
        catches.push(Catch { span: span(handler), types: Vec::new(), name, body });
    }
    let finalizer = node.child_by_field_name("finalizer");
    let finally = lower.body(finalizer.and_then(|clause| clause.child_by_field_name("body")));
    out.push(Stmt { span: span(node), kind: StmtKind::Try { body, catches, finally } });
}

/// `const { a } = f()`: the first name is none, since none of them is the value itself.
fn bind(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let constant = lower.field_text(node, "kind") == "const";
    for declarator in named(node).into_iter().filter(|child| child.kind() == "variable_declarator") {
        let Some(pattern) = declarator.child_by_field_name("name") else { continue };
        let mut names = Vec::new();
        pattern_names(lower, pattern, &mut names, 0);
        if let Some(path) = declarator.child_by_field_name("value").and_then(|value| required(lower, value)) {
            let whole = pattern.kind() == "identifier";
            let names = names
                .iter()
                .map(|name| (if whole { String::new() } else { name.clone() }, name.clone()))
                .collect();
            out.push(Stmt { span: span(declarator), kind: StmtKind::Import(Import { path, names }) });
            continue;
        }
        if pattern.kind() != "identifier" {
            names.insert(0, "_".to_owned());
        }
        let bind = Bind {
            names,
            ty: declarator.child_by_field_name("type").map(|ty| type_of(lower.text(ty))),
            value: declarator.child_by_field_name("value").map(|value| lower.expr(value)),
            annotations: Vec::new(),
            constant,
        };
        out.push(Stmt { span: span(declarator), kind: StmtKind::Bind(Box::new(bind)) });
    }
}

/// The path of `require('path')`.
fn required(lower: &Lower<'_>, value: Node<'_>) -> Option<String> {
    if value.kind() == "member_expression" {
        return required(lower, value.child_by_field_name("object")?);
    }
    if value.kind() != "call_expression" || lower.field_text(value, "function") != "require" {
        return None;
    }
    let path = child_of(value.child_by_field_name("arguments")?, &["string"])?;
    Some(lower.text(path).trim_matches(['"', '\'']).to_owned())
}

fn field(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let name = node.child_by_field_name("name").or_else(|| node.child_by_field_name("property"));
    let Some(name) = name.map(|name| lower.text(name).to_owned()) else { return };
    let bind = Bind {
        names: vec![name],
        ty: node.child_by_field_name("type").map(|ty| type_of(lower.text(ty))),
        value: node.child_by_field_name("value").map(|value| lower.expr(value)),
        annotations: Vec::new(),
        constant: false,
    };
    out.push(Stmt { span: span(node), kind: StmtKind::Bind(Box::new(bind)) });
}

fn function_of(lower: &mut Lower<'_>, node: Node<'_>) -> Function {
    let text = lower.text(node);
    let head = text.split('(').next().unwrap_or_default();
    Function {
        span: span(node),
        name: lower.field_text(node, "name").to_owned(),
        of: None,
        params: params(lower, node),
        body: lower.body(node.child_by_field_name("body")),
        annotations: Vec::new(),
        is_async: head.split_whitespace().any(|word| word == "async"),
    }
}

/// Parameters of a constructor with `private` or `readonly` are fields.
fn function(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    for child in node.child_by_field_name("parameters").map(named).unwrap_or_default() {
        let text = lower.text(child);
        let is_field =
            ["private ", "public ", "protected ", "readonly "].iter().any(|word| text.starts_with(word));
        if !is_field {
            continue;
        }
        let bind = Bind {
            names: vec![lower.field_text(child, "pattern").to_owned()],
            ty: child.child_by_field_name("type").map(|ty| type_of(lower.text(ty))),
            value: None,
            annotations: vec![Annotation {
                name: "Parameter".to_owned(),
                args: Vec::new(),
                span: span(child),
            }],
            constant: true,
        };
        out.push(Stmt { span: span(child), kind: StmtKind::Bind(Box::new(bind)) });
    }
    let made = function_of(lower, node);
    out.push(Stmt { span: span(node), kind: StmtKind::Function(Box::new(made)) });
}

fn class(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let heritage = child_of(node, &["class_heritage"]).map_or("", |heritage| lower.text(heritage));
    let class = Class {
        name: lower.field_text(node, "name").to_owned(),
        bases: heritage
            .split([' ', ','])
            .filter(|word| !matches!(*word, "" | "extends" | "implements"))
            .map(plain_type)
            .collect(),
        annotations: Vec::new(),
        body: lower.body(node.child_by_field_name("body")),
    };
    out.push(Stmt { span: span(node), kind: StmtKind::Class(Box::new(class)) });
}

fn import(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let path = lower.field_text(node, "source").trim_matches(['"', '\'']).to_owned();
    let mut names = Vec::new();
    for part in child_of(node, &["import_clause"]).map(named).unwrap_or_default() {
        match part.kind() {
            "identifier" => names.push((String::new(), lower.text(part).to_owned())),
            "namespace_import" => {
                let name = named(part).first().map_or("", |name| lower.text(*name));
                names.push((String::new(), name.to_owned()));
            }
            "named_imports" => {
                for specifier in named(part) {
                    let there = lower.field_text(specifier, "name").to_owned();
                    let alias = lower.field_text(specifier, "alias");
                    let here = if alias.is_empty() { there.clone() } else { alias.to_owned() };
                    names.push((there, here));
                }
            }
            _ => {}
        }
    }
    out.push(Stmt { span: span(node), kind: StmtKind::Import(Import { path, names }) });
}
