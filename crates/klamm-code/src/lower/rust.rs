//! Rust.

use tree_sitter::Node;

use super::build::plain_type;
use super::macros;
use super::{Lower, Shape, Spec, child_of, named, span};
use crate::tree::{
    Arg, Arm, Bind, Call, Class, Entry, Expr, ExprKind, Function, Import, Loop, LoopKind, Param, Stmt,
    StmtKind,
};

pub(crate) static SPEC: Spec = Spec { name: "rust", grammar: || tree_sitter_rust::LANGUAGE.into(), shape };

fn shape(kind: &str) -> Shape {
    match kind {
        "identifier"
        | "type_identifier"
        | "field_identifier"
        | "shorthand_field_identifier"
        | "self"
        | "super"
        | "crate"
        | "primitive_type" => Shape::Name,
        "string_literal" | "raw_string_literal" | "char_literal" => Shape::Text,
        "integer_literal" | "float_literal" | "negative_literal" => Shape::Number,
        "boolean_literal" => Shape::Expr(boolean),
        "scoped_identifier" | "scoped_type_identifier" => Shape::Member { of: "path", name: "name" },
        "generic_type" | "generic_type_with_turbofish" => Shape::Field("type"),
        "generic_function" => Shape::Field("function"),
        "field_expression" => Shape::Member { of: "value", name: "field" },
        "index_expression" => Shape::Expr(index),
        "call_expression" => Shape::Expr(call),
        "closure_expression" => Shape::Expr(closure),
        "async_block" => Shape::Expr(async_block),
        "macro_invocation" => Shape::Expr(macros::invocation),
        "await_expression" => Shape::Await,
        "try_expression" => Shape::Try,
        "reference_expression" | "type_cast_expression" => Shape::Field("value"),
        "parenthesized_expression" | "unary_expression" => Shape::Inner,
        "tuple_expression" | "array_expression" => Shape::List,
        "binary_expression" => Shape::Binary,
        "assignment_expression" | "compound_assignment_expr" => Shape::Assign,
        "struct_expression" => Shape::Expr(struct_literal),
        "tuple_struct_pattern" => Shape::Expr(pattern_call),
        "expression_statement" => Shape::ExprStmt,
        "return_expression" => Shape::Return,
        "break_expression" => Shape::Break,
        "continue_expression" => Shape::Continue,
        "block" | "declaration_list" => Shape::Block,
        "if_expression" => Shape::Stmts(branch_if),
        "match_expression" => Shape::Stmts(matches),
        "while_expression" | "loop_expression" | "for_expression" => Shape::Stmts(turns),
        "let_declaration" | "const_item" | "static_item" => Shape::Stmts(bind),
        "function_item" => Shape::Stmts(function),
        "struct_item" => Shape::Stmts(class),
        "impl_item" => Shape::Stmts(implementation),
        "mod_item" | "trait_item" => Shape::Stmts(inner_module),
        "use_declaration" => Shape::Stmts(import),
        "line_comment"
        | "block_comment"
        | "attribute_item"
        | "inner_attribute_item"
        | "label"
        | "visibility_modifier"
        | "mutable_specifier"
        | "lifetime"
        | "enum_item"
        | "type_item"
        | "macro_definition"
        | "type_arguments"
        | "function_signature_item"
        | "empty_statement" => Shape::Skip,
        _ => Shape::Other,
    }
}

fn boolean(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    Expr { span: span(node), kind: ExprKind::Bool(lower.text(node) == "true") }
}

fn index(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    let mut inner = lower.exprs(node).into_iter();
    let kind = match (inner.next(), inner.next()) {
        (Some(of), Some(index)) => ExprKind::Index { of: Box::new(of), index: Box::new(index) },
        (Some(of), None) => of.kind,
        _ => ExprKind::Other(Vec::new()),
    };
    Expr { span: span(node), kind }
}

/// A call; the type of `f::<T>()` is an argument with the name `::`.
fn call(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    let callee = node.child_by_field_name("function");
    let function = lower.field(node, "function");
    let mut args = lower.args(node.child_by_field_name("arguments"));
    let generic = callee.filter(|callee| callee.kind() == "generic_function");
    if let Some(types) = generic.and_then(|callee| callee.child_by_field_name("type_arguments"))
        && let Some(ty) = named(types).into_iter().find(|ty| ty.kind() != "lifetime")
    {
        let value = Expr { span: span(ty), kind: ExprKind::Name(type_of(lower.text(ty))) };
        args.push(Arg { name: Some("::".to_owned()), value, spread: false });
    }
    Expr { span: span(node), kind: ExprKind::Call(Box::new(Call { function, args, new: false })) }
}

fn closure(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    let params = params(lower, node.child_by_field_name("parameters"));
    let body = match node.child_by_field_name("body") {
        Some(block) if block.kind() == "block" => valued(lower, Some(block)),
        other => lower.lambda_body(other),
    };
    let made = Function { span: span(node), params, body, ..Function::default() };
    Expr { span: span(node), kind: ExprKind::Lambda(Box::new(made)) }
}

/// `async { … }` does nothing by itself: a function that somebody may run.
fn async_block(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    let body = valued(lower, child_of(node, &["block"]));
    let made = Function { span: span(node), body, is_async: true, ..Function::default() };
    Expr { span: span(node), kind: ExprKind::Lambda(Box::new(made)) }
}

/// Statements of a block whose last expression is what it returns.
fn valued(lower: &mut Lower<'_>, block: Option<Node<'_>>) -> Vec<Stmt> {
    let mut body = lower.body(block);
    let last = block.and_then(|block| named(block).into_iter().last());
    let ends = last.is_some_and(|last| {
        let kind = last.kind();
        let value =
            kind.ends_with("_expression") || kind.ends_with("_literal") || kind.ends_with("identifier");
        value || kind == "macro_invocation"
    });
    if ends
        && let Some(Stmt { kind, .. }) = body.last_mut()
        && let StmtKind::Expr(value) = kind
    {
        *kind = StmtKind::Return(Some(value.clone()));
    }
    body
}

fn struct_literal(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    let ty = node.child_by_field_name("name").map(|name| type_of(lower.text(name)));
    let mut entries = Vec::new();
    for child in node.child_by_field_name("body").map(named).unwrap_or_default() {
        match child.kind() {
            "field_initializer" => {
                let value = lower.field(child, "value");
                if let Some(key) = child.child_by_field_name("field") {
                    entries.push(lower.entry(key, value));
                }
            }
            "shorthand_field_initializer" => {
                if let Some(name) = child_of(child, &["identifier"]) {
                    let value = lower.expr(name);
                    entries.push(lower.entry(name, value));
                }
            }
            "base_field_initializer" => {
                if let Some(value) = lower.first(child) {
                    entries.push(Entry { key: None, value });
                }
            }
            _ => {}
        }
    }
    Expr { span: span(node), kind: ExprKind::Map { ty, entries } }
}

/// The pattern `Err(e)` as if it were a call.
fn pattern_call(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    let ty = node.child_by_field_name("type");
    let function = lower.field(node, "type");
    let mut args = Vec::new();
    for child in named(node).into_iter().filter(|child| Some(child.id()) != ty.map(|ty| ty.id())) {
        args.push(Arg { name: None, value: lower.expr(child), spread: false });
    }
    Expr { span: span(node), kind: ExprKind::Call(Box::new(Call { function, args, new: false })) }
}

/// Names that a pattern binds: those in small letters that are no fields and no paths.
pub(super) fn bound(lower: &Lower<'_>, pattern: Node<'_>, out: &mut Vec<String>) {
    let text = lower.text(pattern);
    match pattern.kind() {
        "identifier" | "shorthand_field_identifier" => {
            if !text.starts_with(|first: char| first.is_uppercase()) {
                out.push(text.to_owned());
            }
        }
        "scoped_identifier" | "generic_type" => {}
        "_" => out.push("_".to_owned()),
        "match_pattern" => {
            let guard = pattern.child_by_field_name("condition").map(|guard| guard.id());
            for child in named(pattern).into_iter().filter(|child| Some(child.id()) != guard) {
                bound(lower, child, out);
            }
        }
        _ => {
            let ty = pattern.child_by_field_name("type").map(|ty| ty.id());
            for child in named(pattern).into_iter().filter(|child| Some(child.id()) != ty) {
                bound(lower, child, out);
            }
        }
    }
    if out.is_empty() && text == "_" {
        out.push("_".to_owned());
    }
}

fn names_of(lower: &Lower<'_>, pattern: Option<Node<'_>>) -> Vec<String> {
    let mut names = Vec::new();
    if let Some(pattern) = pattern {
        bound(lower, pattern, &mut names);
    }
    names
}

/// `if let p = v` is a branch with two arms.
fn branch_if(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let condition = node.child_by_field_name("condition");
    let otherwise_node =
        node.child_by_field_name("alternative").and_then(|clause| named(clause).into_iter().last());
    let pattern = condition.filter(|test| test.kind() == "let_condition");
    let kind = match pattern {
        Some(test) => {
            let on = test.child_by_field_name("value").map(|value| lower.expr(value));
            let form = test.child_by_field_name("pattern");
            let names = names_of(lower, form);
            let form = form.map(|form| lower.expr(form));
            let body = lower.body(node.child_by_field_name("consequence"));
            let mut arms = vec![Arm { pattern: form, names, body }];
            if otherwise_node.is_some() {
                arms.push(Arm { pattern: None, names: Vec::new(), body: lower.body(otherwise_node) });
            }
            StmtKind::Branch { on, arms }
        }
        None => StmtKind::If {
            test: lower.field(node, "condition"),
            then: lower.body(node.child_by_field_name("consequence")),
            otherwise: lower.body(otherwise_node),
        },
    };
    out.push(Stmt { span: span(node), kind });
}

fn matches(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let on = node.child_by_field_name("value").map(|on| lower.expr(on));
    let arms = node.child_by_field_name("body").map(named).unwrap_or_default();
    let arms = arms.into_iter().filter(|arm| arm.kind() == "match_arm");
    let arms: Vec<Arm> = arms
        .map(|arm| {
            let pattern = arm.child_by_field_name("pattern");
            let names = names_of(lower, pattern);
            let form = pattern.and_then(|pattern| lower.first(pattern));
            let body = lower.body(arm.child_by_field_name("value"));
            Arm { pattern: form, names, body }
        })
        .collect();
    out.push(Stmt { span: span(node), kind: StmtKind::Branch { on, arms } });
}

fn turns(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let condition = node.child_by_field_name("condition");
    let binding = condition.filter(|test| test.kind() == "let_condition");
    let (kind, head, pattern) = match node.kind() {
        "for_expression" => {
            (LoopKind::Each, node.child_by_field_name("value"), node.child_by_field_name("pattern"))
        }
        _ => match binding {
            Some(test) => {
                (LoopKind::While, test.child_by_field_name("value"), test.child_by_field_name("pattern"))
            }
            None => (LoopKind::While, condition, None),
        },
    };
    let head = head.map(|head| lower.expr(head));
    let names = names_of(lower, pattern);
    let body = lower.body(node.child_by_field_name("body"));
    let turn = Loop { kind, head, names, body };
    out.push(Stmt { span: span(node), kind: StmtKind::Loop(Box::new(turn)) });
}

fn bind(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let names = match node.child_by_field_name("pattern") {
        Some(pattern) => names_of(lower, Some(pattern)),
        None => vec![lower.field_text(node, "name").to_owned()],
    };
    let bind = Bind {
        names,
        ty: node.child_by_field_name("type").map(|ty| type_of(lower.text(ty))),
        value: node.child_by_field_name("value").map(|value| lower.expr(value)),
        annotations: Vec::new(),
        constant: child_of(node, &["mutable_specifier"]).is_none(),
    };
    out.push(Stmt { span: span(node), kind: StmtKind::Bind(Box::new(bind)) });
    let otherwise = lower.body(node.child_by_field_name("alternative"));
    if !otherwise.is_empty() {
        let kind = StmtKind::If { test: Expr::other(span(node)), then: otherwise, otherwise: Vec::new() };
        out.push(Stmt { span: span(node), kind });
    }
}

/// `&'a mut Arc<rdkafka::FutureProducer<C>>` is `rdkafka.FutureProducer`: references and owners go, paths have dots.
pub(super) fn type_of(text: &str) -> String {
    const OWNERS: [&str; 6] = ["Arc", "Rc", "Box", "Option", "Mutex", "Vec"];
    let mut rest = text.trim();
    // The text gets shorter with each turn.
    loop {
        rest = rest.trim_start_matches(['&', '*']).trim_start();
        for word in ["mut ", "const ", "dyn ", "impl "] {
            rest = rest.strip_prefix(word).unwrap_or(rest).trim_start();
        }
        if rest.starts_with('\'') {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            rest = &rest[end..];
            continue;
        }
        let inner = rest
            .split_once('<')
            .filter(|(head, _)| OWNERS.contains(&head.rsplit("::").next().unwrap_or_default().trim()));
        match inner {
            Some((_, inner)) => rest = inner.strip_suffix('>').unwrap_or(inner).trim(),
            None if rest.starts_with(['&', '*']) => {}
            None => break,
        }
    }
    plain_type(rest).trim_end_matches(':').replace("::", ".")
}

fn params(lower: &Lower<'_>, node: Option<Node<'_>>) -> Vec<Param> {
    let children = node.map(named).unwrap_or_default().into_iter();
    children
        .filter(|child| child.kind() != "attribute_item")
        .map(|child| {
            if child.kind() == "self_parameter" {
                return Param { name: "self".to_owned(), ..Param::default() };
            }
            let pattern = child.child_by_field_name("pattern").unwrap_or(child);
            let name = names_of(lower, Some(pattern)).into_iter().next().unwrap_or_default();
            let ty = child.child_by_field_name("type").map(|ty| type_of(lower.text(ty)));
            Param { name, ty, ..Param::default() }
        })
        .collect()
}

fn function(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let made = function_of(lower, node, None);
    out.push(Stmt { span: span(node), kind: StmtKind::Function(Box::new(made)) });
}

/// A function; `of` is the type that it is a method of, when it has a `self`.
fn function_of(lower: &mut Lower<'_>, node: Node<'_>, of: Option<String>) -> Function {
    let modifiers = child_of(node, &["function_modifiers"]).map_or("", |words| lower.text(words));
    let params = params(lower, node.child_by_field_name("parameters"));
    let is_method = params.first().is_some_and(|first| first.name == "self");
    let mut body = valued(lower, node.child_by_field_name("body"));
    if let Some(ty) = node.child_by_field_name("return_type") {
        let ty = Expr { span: span(ty), kind: ExprKind::Name(result_of(lower.text(ty))) };
        if let Some(Stmt { kind: StmtKind::Return(Some(value)), .. }) = body.last_mut() {
            give_type(value, &ty);
        }
    }
    Function {
        span: span(node),
        name: lower.field_text(node, "name").to_owned(),
        of: of.filter(|_| is_method),
        params,
        is_async: modifiers.contains("async"),
        body,
        ..Function::default()
    }
}

/// What a function gives when all goes well: `Result<T, E>` is `T`.
fn result_of(text: &str) -> String {
    let inner = text.split_once('<').filter(|(head, _)| head.trim_end().ends_with("Result"));
    inner.map_or_else(|| type_of(text), |(_, inner)| type_of(inner.split([',', '>']).next().unwrap_or(inner)))
}

/// What a function returns decides what `config.create()` at its end makes: as if the type were written there.
fn give_type(value: &mut Expr, ty: &Expr) {
    match &mut value.kind {
        ExprKind::Try(inner) => give_type(inner, ty),
        ExprKind::Call(call)
            if matches!(call.method(), "create" | "create_with_context") && call.named("::").is_none() =>
        {
            call.args.push(Arg { name: Some("::".to_owned()), value: ty.clone(), spread: false });
        }
        ExprKind::Call(call)
            if matches!(call.method(), "Ok" | "map_err" | "context" | "unwrap" | "expect") =>
        {
            let inner = match &mut call.function.kind {
                ExprKind::Member { of, .. } => Some(of.as_mut()),
                _ => call.args.first_mut().map(|arg| &mut arg.value),
            };
            if let Some(inner) = inner {
                give_type(inner, ty);
            }
        }
        _ => {}
    }
}

fn class(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let mut body = Vec::new();
    let fields = node.child_by_field_name("body").map(named).unwrap_or_default();
    for field in fields.into_iter().filter(|field| field.kind() == "field_declaration") {
        let bind = Bind {
            names: vec![lower.field_text(field, "name").to_owned()],
            ty: field.child_by_field_name("type").map(|ty| type_of(lower.text(ty))),
            value: None,
            annotations: Vec::new(),
            constant: false,
        };
        body.push(Stmt { span: span(field), kind: StmtKind::Bind(Box::new(bind)) });
    }
    let name = lower.field_text(node, "name").to_owned();
    let class = Class { name, bases: Vec::new(), annotations: Vec::new(), body };
    out.push(Stmt { span: span(node), kind: StmtKind::Class(Box::new(class)) });
}

/// Methods of `impl T` are functions of `T`; those of `impl Trait for T` are in a class `T` whose base is the trait.
fn implementation(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let name = node.child_by_field_name("type").map(|ty| type_of(lower.text(ty))).unwrap_or_default();
    let of_trait = node.child_by_field_name("trait").map(|base| type_of(lower.text(base)));
    let items = node.child_by_field_name("body").map(named).unwrap_or_default();
    let mut body = Vec::new();
    for item in items {
        match item.kind() {
            "function_item" => {
                let of = of_trait.is_none().then(|| name.clone());
                let made = function_of(lower, item, of);
                body.push(Stmt { span: span(item), kind: StmtKind::Function(Box::new(made)) });
            }
            _ => lower.stmt(item, &mut body),
        }
    }
    match of_trait {
        None => out.append(&mut body),
        Some(base) => {
            let class = Class { name, bases: vec![base], annotations: Vec::new(), body };
            out.push(Stmt { span: span(node), kind: StmtKind::Class(Box::new(class)) });
        }
    }
}

fn inner_module(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let inner = lower.body(node.child_by_field_name("body"));
    out.push(Stmt { span: span(node), kind: StmtKind::Block(inner) });
}

fn import(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    if let Some(argument) = node.child_by_field_name("argument") {
        used(lower, argument, "", out);
    }
}

/// Each name of a `use` with its whole path.
fn used(lower: &Lower<'_>, node: Node<'_>, before: &str, out: &mut Vec<Stmt>) {
    let joined = |text: &str| match (before, text) {
        ("", text) => text.to_owned(),
        (before, "self") => before.to_owned(),
        (before, text) => format!("{before}::{text}"),
    };
    let mut push = |path: String, here: Option<&str>| {
        let there = path.rsplit("::").next().unwrap_or_default().to_owned();
        let here = here.map_or_else(|| there.clone(), str::to_owned);
        let names = vec![(there, here)];
        out.push(Stmt { span: span(node), kind: StmtKind::Import(Import { path, names }) });
    };
    match node.kind() {
        "scoped_use_list" => {
            let path = joined(lower.field_text(node, "path"));
            for child in node.child_by_field_name("list").map(named).unwrap_or_default() {
                used(lower, child, &path, out);
            }
        }
        "use_list" => {
            for child in named(node) {
                used(lower, child, before, out);
            }
        }
        "use_as_clause" => {
            push(joined(lower.field_text(node, "path")), Some(lower.field_text(node, "alias")))
        }
        _ => push(joined(lower.text(node)), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lower::lower;

    fn shown(source: &str) -> String {
        let module = lower(&SPEC, source).unwrap();
        assert!(!module.partial, "{source}");
        format!("{:?}", module.body)
    }

    #[test]
    fn types_lose_references_and_owners() {
        for (text, plain) in [
            ("&'a mut FutureProducer", "FutureProducer"),
            ("Arc<rdkafka::producer::FutureProducer<C>>", "rdkafka.producer.FutureProducer"),
            ("Option<&StreamConsumer>", "StreamConsumer"),
            ("&str", "str"),
            ("'", ""),
            ("&&&", ""),
        ] {
            assert_eq!(type_of(text), plain, "{text}");
        }
    }

    #[test]
    fn uses_are_spread_out() {
        let text = shown("use rdkafka::{config::ClientConfig, producer::{FutureProducer as P, self}};");
        for path in
            ["rdkafka::config::ClientConfig", "rdkafka::producer::FutureProducer", "\"rdkafka::producer\""]
        {
            assert!(text.contains(path), "{path}: {text}");
        }
        assert!(text.contains("(\"FutureProducer\", \"P\")"), "{text}");
    }

    #[test]
    fn the_last_expression_is_returned() {
        let text = shown("fn f(p: &P) -> R { g(); p.send(x) }");
        assert!(text.contains("Return(Some("), "{text}");
        let text = shown("fn f(p: &P) { p.send(x); }");
        assert!(!text.contains("Return("), "{text}");
    }

    #[test]
    fn names_in_patterns_are_bound() {
        let text = shown(
            "fn f() { if let Err((e, _)) = g() { h(e); } while let Some(Ok(m)) = s.next().await {} let _ = x; }",
        );
        for names in ["names: [\"e\"]", "names: [\"m\"]", "names: [\"_\"]"] {
            assert!(text.contains(names), "{names}: {text}");
        }
    }

    #[test]
    fn macros_are_looked_into() {
        let text = shown(
            "fn f() { let k = format!(\"{id}-{}\", now()); tokio::select! { m = c.recv() => { work(m); } _ = stop => break, } }",
        );
        assert!(text.contains("Template(["), "{text}");
        assert!(text.contains("Name(\"id\")") && text.contains("Name(\"now\")"), "{text}");
        assert!(text.contains("Branch {") && text.contains("names: [\"m\"]"), "{text}");
        assert!(text.contains("Name(\"work\")"), "{text}");
    }
}
