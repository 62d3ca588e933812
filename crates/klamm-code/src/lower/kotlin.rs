//! Kotlin. Its grammar names few fields: most parts are told by their kind and place.

use tree_sitter::Node;

use super::build::plain_type;
use super::{Lower, Shape, Spec, child_of, named, span};
use crate::tree::{
    Annotation, Arg, Arm, Bind, Call, Catch, Class, Expr, ExprKind, Function, Import, Loop, LoopKind, Param,
    Stmt, StmtKind,
};

pub(crate) static SPEC: Spec =
    Spec { name: "kotlin", grammar: || tree_sitter_kotlin_ng::LANGUAGE.into(), shape };

const TYPES: &[&str] =
    &["user_type", "nullable_type", "non_nullable_type", "function_type", "parenthesized_type"];
const BODIES: &[&str] = &["class_body", "enum_class_body"];

fn shape(kind: &str) -> Shape {
    match kind {
        "identifier" | "this_expression" | "super_expression" => Shape::Expr(name),
        "string_literal" | "multiline_string_literal" | "character_literal" => Shape::Text,
        "number_literal" | "float_literal" => Shape::Number,
        "navigation_expression" => Shape::Expr(member),
        "index_expression" => Shape::Expr(index),
        "call_expression" => Shape::Expr(call),
        "callable_reference" => Shape::Expr(reference),
        "object_literal" => Shape::Expr(object),
        "parenthesized_expression" | "annotated_expression" | "spread_expression" | "labeled_expression" => {
            Shape::Inner
        }
        "as_expression" => Shape::Field("left"),
        "unary_expression" => Shape::Field("argument"),
        "collection_literal" => Shape::List,
        "binary_expression" => Shape::Binary,
        "infix_expression" => Shape::Expr(infix),
        "assignment" => Shape::Assign,
        "lambda_literal" => Shape::Expr(lambda),
        "anonymous_function" => Shape::Expr(anonymous),
        "return_expression" => Shape::Return,
        "throw_expression" => Shape::Throw,
        "break_expression" => Shape::Break,
        "continue_expression" => Shape::Continue,
        "block" | "source_file" | "anonymous_initializer" | "class_body" | "enum_class_body" => Shape::Block,
        "companion_object" => Shape::Stmts(companion),
        "if_expression" => Shape::Stmts(condition),
        "while_statement" | "do_while_statement" => Shape::Stmts(while_loop),
        "for_statement" => Shape::Stmts(each),
        "when_expression" => Shape::Stmts(when),
        "try_expression" => Shape::Stmts(attempt),
        "property_declaration" => Shape::Stmts(property),
        "function_declaration" => Shape::Stmts(function),
        "class_declaration" | "object_declaration" => Shape::Stmts(class),
        "import" => Shape::Stmts(import),
        "line_comment" | "block_comment" | "modifiers" | "package_header" | "type_arguments" | "label"
        | "annotation" | "type_parameters" | "user_type" | "nullable_type" | "type_alias"
        | "file_annotation" | "shebang" => Shape::Skip,
        _ => Shape::Other,
    }
}

/// `true`, `false`, `null`, `break` and `continue` are identifiers to the grammar.
fn name(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    let kind = match lower.text(node) {
        "true" => ExprKind::Bool(true),
        "false" => ExprKind::Bool(false),
        "null" => ExprKind::Null,
        "break" => ExprKind::Block(vec![Stmt { span: span(node), kind: StmtKind::Break }]),
        "continue" => ExprKind::Block(vec![Stmt { span: span(node), kind: StmtKind::Continue }]),
        text => ExprKind::Name(text.split('@').next().unwrap_or(text).to_owned()),
    };
    Expr { span: span(node), kind }
}

fn member(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    let parts = named(node);
    let kind = match (parts.first(), parts.last()) {
        (Some(of), Some(last)) if parts.len() > 1 => {
            ExprKind::Member { of: Box::new(lower.expr(*of)), name: lower.text(*last).to_owned() }
        }
        _ => ExprKind::Other(lower.exprs(node)),
    };
    Expr { span: span(node), kind }
}

fn index(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    let mut parts = lower.exprs(node).into_iter();
    let kind = match (parts.next(), parts.next()) {
        (Some(of), Some(index)) => ExprKind::Index { of: Box::new(of), index: Box::new(index) },
        (of, _) => ExprKind::Other(of.into_iter().collect()),
    };
    Expr { span: span(node), kind }
}

/// A call; the lambda behind the parentheses is the last argument.
fn call(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    let mut args = Vec::new();
    let mut function = None;
    let mut parentheses = false;
    for child in named(node) {
        match child.kind() {
            "value_arguments" => {
                parentheses = true;
                arguments(lower, child, &mut args);
            }
            "annotated_lambda" => {
                if let Some(inner) = child_of(child, &["lambda_literal"]) {
                    args.push(Arg { name: None, value: lower.expr(inner), spread: false });
                }
            }
            "lambda_literal" if function.is_some() => {
                args.push(Arg { name: None, value: lower.expr(child), spread: false })
            }
            "type_arguments" => {}
            _ => function = Some(lower.expr(child)),
        }
    }
    let mut function = function.unwrap_or_else(|| Expr::other(span(node)));
    if function.last_word().is_some_and(|word| NO_IT.contains(&word)) {
        args.iter_mut().for_each(without_it);
    }
    if !parentheses && let ExprKind::Call(inner) = &mut function.kind {
        inner.args.append(&mut args);
        return Expr { span: span(node), kind: function.kind };
    }
    let new = function.last_word().is_some_and(|word| word.starts_with(char::is_uppercase));
    Expr { span: span(node), kind: ExprKind::Call(Box::new(Call { function, args, new })) }
}

/// Functions whose lambda has no `it`: an outer one shows through.
const NO_IT: &[&str] = &[
    "launch",
    "async",
    "apply",
    "run",
    "with",
    "withContext",
    "runBlocking",
    "coroutineScope",
    "supervisorScope",
    "thread",
    "synchronized",
    "withLock",
    "lazy",
    "withTimeout",
    "runCatching",
];

fn without_it(arg: &mut Arg) {
    if let ExprKind::Lambda(function) = &mut arg.value.kind
        && function.params.len() == 1
    {
        function.params.retain(|param| param.name != "it");
    }
}

fn arguments(lower: &mut Lower<'_>, node: Node<'_>, args: &mut Vec<Arg>) {
    for child in named(node).into_iter().filter(|child| child.kind() == "value_argument") {
        let parts = named(child);
        let has_name = parts.len() > 1
            && parts[0].kind() == "identifier"
            && lower.text(child)[parts[0].end_byte() - child.start_byte()..].trim_start().starts_with('=');
        let name = has_name.then(|| lower.text(parts[0]).to_owned());
        let Some(value) = parts.last() else { continue };
        let spread = value.kind() == "spread_expression" || lower.text(child).starts_with('*');
        args.push(Arg { name, value: lower.expr(*value), spread });
    }
}

/// `a::b` is the member `b` of `a`, `::b` is `b`.
fn reference(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    let text = lower.text(node);
    let (of, name) = text.rsplit_once("::").unwrap_or(("", text));
    let kind = match of {
        "" => ExprKind::Name(name.to_owned()),
        of => {
            let of = Expr { span: span(node), kind: ExprKind::Name(of.to_owned()) };
            ExprKind::Member { of: Box::new(of), name: name.to_owned() }
        }
    };
    Expr { span: span(node), kind }
}

/// `object : Callback { … }` is made like Java's anonymous class.
fn object(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    let bases = child_of(node, &["delegation_specifiers"]).map_or("", |bases| lower.text(bases));
    let function = Expr { span: span(node), kind: ExprKind::Name(plain_type(bases)) };
    let mut args = Vec::new();
    if let Some(body) = child_of(node, BODIES) {
        let value = Expr { span: span(body), kind: ExprKind::Block(lower.body(Some(body))) };
        args.push(Arg { name: Some("{}".to_owned()), value, spread: false });
    }
    Expr { span: span(node), kind: ExprKind::Call(Box::new(Call { function, args, new: true })) }
}

fn infix(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    let parts = named(node);
    let kind = match parts.as_slice() {
        [left, op, right] => ExprKind::Binary {
            op: lower.text(*op).to_owned(),
            left: Box::new(lower.expr(*left)),
            right: Box::new(lower.expr(*right)),
        },
        _ => ExprKind::Other(lower.exprs(node)),
    };
    Expr { span: span(node), kind }
}

/// A lambda; without parameters it has `it`.
fn lambda(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    let mut params = Vec::new();
    let mut body = Vec::new();
    for child in named(node) {
        if child.kind() == "lambda_parameters" {
            for name in named(child) {
                variable_names(lower, name, &mut params);
            }
        } else {
            lower.stmt(child, &mut body);
        }
    }
    if params.is_empty() {
        params.push("it".to_owned());
    }
    // The last expression is the value; an assignment has none.
    if let Some(Stmt { span, kind: StmtKind::Expr(value) }) = body.pop_if(|last| is_value(last)) {
        body.push(Stmt { span, kind: StmtKind::Return(Some(value)) });
    }
    let params = params.into_iter().map(|name| Param { name, ..Param::default() }).collect();
    let made = Function { span: span(node), params, body, ..Function::default() };
    Expr { span: span(node), kind: ExprKind::Lambda(Box::new(made)) }
}

fn is_value(stmt: &Stmt) -> bool {
    matches!(&stmt.kind, StmtKind::Expr(value) if !matches!(value.kind, ExprKind::Assign { .. } | ExprKind::Block(_)))
}

fn anonymous(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    let made = Function { name: String::new(), ..function_of(lower, node) };
    Expr { span: span(node), kind: ExprKind::Lambda(Box::new(made)) }
}

fn variable_names(lower: &Lower<'_>, node: Node<'_>, out: &mut Vec<String>) {
    match node.kind() {
        "variable_declaration" => {
            out.extend(child_of(node, &["identifier"]).map(|name| lower.text(name).to_owned()))
        }
        "multi_variable_declaration" => {
            for child in named(node) {
                out.extend(child_of(child, &["identifier"]).map(|name| lower.text(name).to_owned()));
            }
        }
        "identifier" => out.push(lower.text(node).to_owned()),
        _ => {}
    }
}

fn companion(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    out.extend(lower.body(child_of(node, BODIES)));
}

fn condition(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let head = node.child_by_field_name("condition");
    let test = lower.field(node, "condition");
    let mut ways = named(node).into_iter().filter(|child| Some(child.id()) != head.map(|head| head.id()));
    let then = lower.body(ways.next());
    let otherwise = lower.body(ways.next());
    out.push(Stmt { span: span(node), kind: StmtKind::If { test, then, otherwise } });
}

fn while_loop(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let condition = node.child_by_field_name("condition");
    let head = condition.map(|head| lower.expr(head));
    let body = named(node)
        .into_iter()
        .find(|child| Some(child.id()) != condition.map(|head| head.id()) && child.kind() != "label");
    let body = lower.body(body);
    out.push(Stmt {
        span: span(node),
        kind: StmtKind::Loop(Box::new(Loop { kind: LoopKind::While, head, names: Vec::new(), body })),
    });
}

fn each(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let mut names = Vec::new();
    let mut rest = Vec::new();
    for child in named(node) {
        match child.kind() {
            "variable_declaration" | "multi_variable_declaration" => variable_names(lower, child, &mut names),
            "annotation" | "label" => {}
            _ => rest.push(child),
        }
    }
    let head = rest.first().map(|head| lower.expr(*head));
    let body = lower.body(rest.get(1).copied());
    let turn = Loop { kind: LoopKind::Each, head, names, body };
    out.push(Stmt { span: span(node), kind: StmtKind::Loop(Box::new(turn)) });
}

fn when(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let on = child_of(node, &["when_subject"]).and_then(|subject| lower.first(subject));
    let mut arms = Vec::new();
    for entry in named(node).into_iter().filter(|child| child.kind() == "when_entry") {
        let body = lower.body(named(entry).last().copied());
        arms.push(Arm { pattern: None, names: Vec::new(), body });
    }
    out.push(Stmt { span: span(node), kind: StmtKind::Branch { on, arms } });
}

fn attempt(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let body = lower.body(child_of(node, &["block"]));
    let mut catches = Vec::new();
    let mut finally = Vec::new();
    for child in named(node) {
        match child.kind() {
            "catch_block" => {
                let name = child_of(child, &["identifier"]).map(|name| lower.text(name).to_owned());
                let types = child_of(child, TYPES).map(|ty| lower.text(ty).to_owned()).into_iter().collect();
                let body = lower.body(child_of(child, &["block"]));
                catches.push(Catch { span: span(child), types, name, body });
            }
            "finally_block" => finally = lower.body(child_of(child, &["block"])),
            _ => {}
        }
    }
    out.push(Stmt { span: span(node), kind: StmtKind::Try { body, catches, finally } });
}

fn property(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let mut names = Vec::new();
    let mut ty = None;
    let mut value = None;
    for child in named(node) {
        match child.kind() {
            "variable_declaration" | "multi_variable_declaration" => {
                variable_names(lower, child, &mut names);
                ty = child_of(child, TYPES).map(|ty| plain_type(lower.text(ty)));
            }
            "property_delegate" => value = delegated(lower, child),
            "modifiers" | "type_parameters" | "type_constraints" | "getter" | "setter" | "type_modifiers" => {
            }
            kind if TYPES.contains(&kind) => {}
            _ => value = Some(lower.expr(child)),
        }
    }
    let constant =
        !lower.text(node).split('=').next().unwrap_or_default().split_whitespace().any(|word| word == "var");
    let bind = Bind { names, ty, value, annotations: annotations(lower, node), constant };
    out.push(Stmt { span: span(node), kind: StmtKind::Bind(Box::new(bind)) });
}

/// `by lazy { value }` has the value.
fn delegated(lower: &mut Lower<'_>, node: Node<'_>) -> Option<Expr> {
    let inner = lower.first(node)?;
    if let ExprKind::Call(call) = &inner.kind
        && call.method() == "lazy"
        && let Some(Arg { value: Expr { kind: ExprKind::Lambda(function), .. }, .. }) = call.args.last()
        && let [Stmt { kind: StmtKind::Return(Some(only)), .. }] = function.body.as_slice()
    {
        return Some(only.clone());
    }
    Some(inner)
}

fn annotations(lower: &mut Lower<'_>, node: Node<'_>) -> Vec<Annotation> {
    let holders = named(node)
        .into_iter()
        .filter(|child| matches!(child.kind(), "modifiers" | "parameter_modifiers" | "annotation"));
    let mut found = Vec::new();
    for holder in holders.collect::<Vec<_>>() {
        match holder.kind() {
            "annotation" => found.push(holder),
            _ => found.extend(named(holder).into_iter().filter(|child| child.kind() == "annotation")),
        }
    }
    let mut out = Vec::new();
    for node in found {
        let made = child_of(node, &["constructor_invocation"]);
        let ty = made.and_then(|made| child_of(made, TYPES)).or_else(|| child_of(node, TYPES));
        let name = ty.map_or_else(String::new, |ty| plain_type(lower.text(ty)));
        let mut args = Vec::new();
        if let Some(given) = made.and_then(|made| child_of(made, &["value_arguments"])) {
            arguments(lower, given, &mut args);
        }
        out.push(Annotation {
            name: name.rsplit('.').next().unwrap_or_default().to_owned(),
            args,
            span: span(node),
        });
    }
    out
}

fn function(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let made = function_of(lower, node);
    out.push(Stmt { span: span(node), kind: StmtKind::Function(Box::new(made)) });
}

fn function_of(lower: &mut Lower<'_>, node: Node<'_>) -> Function {
    let mut params = Vec::new();
    for child in child_of(node, &["function_value_parameters"]).map(named).unwrap_or_default() {
        if child.kind() == "parameter" {
            params.push(param(lower, child));
        }
    }
    let body = match child_of(node, &["function_body"]) {
        Some(body) => match child_of(body, &["block"]) {
            Some(block) => lower.body(Some(block)),
            None => lower.lambda_body(named(body).first().copied()),
        },
        None => Vec::new(),
    };
    Function {
        span: span(node),
        name: lower.field_text(node, "name").to_owned(),
        of: None,
        params,
        body,
        annotations: annotations(lower, node),
        is_async: false,
    }
}

fn param(lower: &mut Lower<'_>, node: Node<'_>) -> Param {
    Param {
        name: child_of(node, &["identifier"]).map_or_else(String::new, |name| lower.text(name).to_owned()),
        ty: child_of(node, TYPES).map(|ty| plain_type(lower.text(ty))),
        default: None,
        annotations: annotations(lower, node),
    }
}

/// A class; what its constructor takes are fields.
fn class(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let mut body = Vec::new();
    let constructor =
        child_of(node, &["primary_constructor"]).and_then(|made| child_of(made, &["class_parameters"]));
    for child in constructor.map(named).unwrap_or_default() {
        if child.kind() != "class_parameter" {
            continue;
        }
        let made = param(lower, child);
        let given = Annotation { name: "Parameter".to_owned(), args: Vec::new(), span: span(child) };
        let annotations = made.annotations.into_iter().chain(Some(given)).collect();
        let bind = Bind { names: vec![made.name], ty: made.ty, value: None, annotations, constant: true };
        body.push(Stmt { span: span(child), kind: StmtKind::Bind(Box::new(bind)) });
    }
    body.extend(lower.body(child_of(node, BODIES)));
    let bases = child_of(node, &["delegation_specifiers"]).map_or("", |bases| lower.text(bases));
    let class = Class {
        name: lower.field_text(node, "name").to_owned(),
        bases: bases.split(',').map(plain_type).filter(|base| !base.is_empty()).collect(),
        annotations: annotations(lower, node),
        body,
    };
    out.push(Stmt { span: span(node), kind: StmtKind::Class(Box::new(class)) });
}

fn import(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let text = lower.text(node).trim_start_matches("import").trim();
    let (path, alias) =
        text.split_once(" as ").map_or((text, None), |(path, alias)| (path.trim(), Some(alias.trim())));
    let last = path.rsplit('.').next().unwrap_or_default();
    let names = vec![(last.to_owned(), alias.unwrap_or(last).to_owned())];
    out.push(Stmt { span: span(node), kind: StmtKind::Import(Import { path: path.to_owned(), names }) });
}
