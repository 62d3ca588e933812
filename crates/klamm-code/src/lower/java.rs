//! Java.

use tree_sitter::Node;

use super::build::plain_type;
use super::{Lower, Shape, Spec, child_of, named, span};
use crate::tree::{
    Annotation, Arg, Arm, Bind, Call, Catch, Class, Expr, ExprKind, Function, Import, Loop, LoopKind, Param,
    Stmt, StmtKind,
};

pub(crate) static SPEC: Spec = Spec { name: "java", grammar: || tree_sitter_java::LANGUAGE.into(), shape };

fn shape(kind: &str) -> Shape {
    match kind {
        "identifier" | "type_identifier" | "this" | "super" | "scoped_type_identifier" => Shape::Name,
        "string_literal" | "character_literal" => Shape::Text,
        "decimal_integer_literal" | "hex_integer_literal" | "decimal_floating_point_literal" => Shape::Number,
        "true" => Shape::True,
        "false" => Shape::False,
        "null_literal" => Shape::Null,
        "field_access" => Shape::Member { of: "object", name: "field" },
        "array_access" => Shape::Index { of: "array", index: "index" },
        "method_invocation" => Shape::Expr(invocation),
        "object_creation_expression" => Shape::Expr(creation),
        "method_reference" => Shape::Expr(reference),
        "parenthesized_expression" => Shape::Inner,
        "cast_expression" => Shape::Field("value"),
        "array_initializer" | "element_value_array_initializer" => Shape::List,
        "array_creation_expression" => Shape::Field("value"),
        "class_literal" => Shape::Expr(class_literal),
        "binary_expression" => Shape::Binary,
        "assignment_expression" => Shape::Assign,
        "ternary_expression" => Shape::Choice,
        "lambda_expression" => Shape::Lambda { params: "parameters", body: "body" },
        "expression_statement" => Shape::ExprStmt,
        "return_statement" => Shape::Return,
        "throw_statement" => Shape::Throw,
        "break_statement" => Shape::Break,
        "continue_statement" => Shape::Continue,
        "block"
        | "class_body"
        | "interface_body"
        | "enum_body"
        | "constructor_body"
        | "static_initializer"
        | "enum_body_declarations" => Shape::Block,
        "if_statement" => Shape::If,
        "while_statement" | "do_statement" => Shape::While,
        "for_statement" => Shape::Stmts(counted),
        "enhanced_for_statement" => Shape::Stmts(each),
        "switch_expression" | "switch_statement" => Shape::Stmts(switch),
        "try_statement" | "try_with_resources_statement" => Shape::Stmts(attempt),
        "local_variable_declaration" | "field_declaration" | "constant_declaration" => Shape::Stmts(bind),
        "method_declaration" | "constructor_declaration" | "compact_constructor_declaration" => {
            Shape::Stmts(method)
        }
        "class_declaration" | "interface_declaration" | "enum_declaration" | "record_declaration" => {
            Shape::Stmts(class)
        }
        "import_declaration" => Shape::Stmts(import),
        "line_comment"
        | "block_comment"
        | "modifiers"
        | "package_declaration"
        | "type_arguments"
        | "marker_annotation"
        | "annotation"
        | "label" => Shape::Skip,
        _ => Shape::Other,
    }
}

fn invocation(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    let name = lower.field_text(node, "name").to_owned();
    let function_span = node.child_by_field_name("name").map_or_else(|| span(node), span);
    let kind = match node.child_by_field_name("object") {
        Some(of) => ExprKind::Member { of: Box::new(lower.expr(of)), name },
        None => ExprKind::Name(name),
    };
    let function = Expr { span: function_span, kind };
    let args = lower.args(node.child_by_field_name("arguments"));
    Expr { span: span(node), kind: ExprKind::Call(Box::new(Call { function, args, new: false })) }
}

/// `new T(…)`; what an anonymous class has in its body is a last argument: callbacks are written so.
fn creation(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    let ty = node.child_by_field_name("type");
    let function = ty.map_or_else(|| Expr::other(span(node)), |ty| lower.type_name(ty));
    let mut args = lower.args(node.child_by_field_name("arguments"));
    if let Some(body) = child_of(node, &["class_body"]) {
        let inner = lower.body(Some(body));
        let value = Expr { span: span(body), kind: ExprKind::Block(inner) };
        args.push(Arg { name: Some("{}".to_owned()), value, spread: false });
    }
    Expr { span: span(node), kind: ExprKind::Call(Box::new(Call { function, args, new: true })) }
}

/// `a::b` is the member `b` of `a`.
fn reference(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    let children = named(node);
    let kind = match (children.first(), children.last()) {
        (Some(of), Some(name)) if children.len() > 1 => {
            ExprKind::Member { of: Box::new(lower.expr(*of)), name: lower.text(*name).to_owned() }
        }
        _ => ExprKind::Other(Vec::new()),
    };
    Expr { span: span(node), kind }
}

/// `T.class` is the text of the type's name.
fn class_literal(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    let name = lower.text(node).trim_end_matches(".class").to_owned();
    Expr { span: span(node), kind: ExprKind::Text(name) }
}

fn counted(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let mut inner = Vec::new();
    if let Some(init) = node.child_by_field_name("init") {
        lower.stmt(init, &mut inner);
    }
    let head = node.child_by_field_name("condition").map(|head| lower.expr(head));
    let kind = if head.is_some() { LoopKind::Counted } else { LoopKind::While };
    let body = lower.body(node.child_by_field_name("body"));
    let turn = Loop { kind, head, names: Vec::new(), body };
    inner.push(Stmt { span: span(node), kind: StmtKind::Loop(Box::new(turn)) });
    out.append(&mut inner);
}

fn each(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let head = node.child_by_field_name("value").map(|head| lower.expr(head));
    let names = vec![lower.field_text(node, "name").to_owned()];
    let body = lower.body(node.child_by_field_name("body"));
    let turn = Loop { kind: LoopKind::Each, head, names, body };
    out.push(Stmt { span: span(node), kind: StmtKind::Loop(Box::new(turn)) });
}

fn switch(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let on = node.child_by_field_name("condition").map(|on| lower.expr(on));
    let groups = node.child_by_field_name("body").map(named).unwrap_or_default();
    let mut arms = Vec::new();
    for group in groups {
        let mut body = Vec::new();
        lower.children(group, &mut body);
        arms.push(Arm { pattern: None, names: Vec::new(), body });
    }
    out.push(Stmt { span: span(node), kind: StmtKind::Branch { on, arms } });
}

fn attempt(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let mut body = Vec::new();
    for resource in node.child_by_field_name("resources").map(named).unwrap_or_default() {
        bind_resource(lower, resource, &mut body);
    }
    body.extend(lower.body(node.child_by_field_name("body")));
    let mut catches = Vec::new();
    let mut finally = Vec::new();
    for child in named(node) {
        match child.kind() {
            "catch_clause" => catches.push(catch(lower, child)),
            "finally_clause" => finally = lower.body(child_of(child, &["block"])),
            _ => {}
        }
    }
    out.push(Stmt { span: span(node), kind: StmtKind::Try { body, catches, finally } });
}

fn bind_resource(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let Some(value) = node.child_by_field_name("value") else { return };
    let bind = Bind {
        names: vec![lower.field_text(node, "name").to_owned()],
        ty: node.child_by_field_name("type").map(|ty| plain_type(lower.text(ty))),
        value: Some(lower.expr(value)),
        annotations: Vec::new(),
        constant: true,
    };
    out.push(Stmt { span: span(node), kind: StmtKind::Bind(Box::new(bind)) });
}

fn catch(lower: &mut Lower<'_>, node: Node<'_>) -> Catch {
    let head = child_of(node, &["catch_formal_parameter"]);
    let types = head.and_then(|head| child_of(head, &["catch_type"]));
    let types = types.map(|types| lower.text(types).split('|').map(|ty| ty.trim().to_owned()).collect());
    let name = head.and_then(|head| head.child_by_field_name("name")).map(|name| lower.text(name).to_owned());
    let body = lower.body(node.child_by_field_name("body"));
    Catch { span: span(node), types: types.unwrap_or_default(), name, body }
}

fn bind(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let ty = node.child_by_field_name("type").map(|ty| plain_type(lower.text(ty)));
    let constant = modifiers(lower, node).split_whitespace().any(|word| word == "final")
        || node.kind() == "constant_declaration";
    let annotations = annotations(lower, node);
    for declarator in named(node).into_iter().filter(|child| child.kind() == "variable_declarator") {
        let bind = Bind {
            names: vec![lower.field_text(declarator, "name").to_owned()],
            ty: ty.clone(),
            value: declarator.child_by_field_name("value").map(|value| lower.expr(value)),
            annotations: annotations.clone(),
            constant,
        };
        out.push(Stmt { span: span(declarator), kind: StmtKind::Bind(Box::new(bind)) });
    }
}

fn modifiers<'s>(lower: &Lower<'s>, node: Node<'_>) -> &'s str {
    child_of(node, &["modifiers"]).map_or("", |modifiers| lower.text(modifiers))
}

fn annotations(lower: &mut Lower<'_>, node: Node<'_>) -> Vec<Annotation> {
    let Some(modifiers) = child_of(node, &["modifiers"]) else { return Vec::new() };
    let mut out = Vec::new();
    for child in named(modifiers) {
        if !matches!(child.kind(), "annotation" | "marker_annotation") {
            continue;
        }
        let name = lower.field_text(child, "name").rsplit('.').next().unwrap_or_default().to_owned();
        let mut args = Vec::new();
        for arg in child.child_by_field_name("arguments").map(named).unwrap_or_default() {
            let (name, value) = match arg.kind() {
                "element_value_pair" => {
                    (Some(lower.field_text(arg, "key").to_owned()), lower.field(arg, "value"))
                }
                _ => (None, lower.expr(arg)),
            };
            args.push(Arg { name, value, spread: false });
        }
        out.push(Annotation { name, args, span: span(child) });
    }
    out
}

fn method(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let mut params = Vec::new();
    for child in node.child_by_field_name("parameters").map(named).unwrap_or_default() {
        let name = match child.kind() {
            "spread_parameter" => child_of(child, &["variable_declarator"]),
            _ => child.child_by_field_name("name"),
        };
        params.push(Param {
            name: name.map_or_else(String::new, |name| lower.text(name).to_owned()),
            ty: child.child_by_field_name("type").map(|ty| plain_type(lower.text(ty))),
            default: None,
            annotations: annotations(lower, child),
        });
    }
    let function = Function {
        span: span(node),
        name: lower.field_text(node, "name").to_owned(),
        of: None,
        params,
        annotations: annotations(lower, node),
        body: lower.body(node.child_by_field_name("body")),
        is_async: false,
    };
    out.push(Stmt { span: span(node), kind: StmtKind::Function(Box::new(function)) });
}

fn class(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let mut bases = Vec::new();
    for field in ["superclass", "interfaces"] {
        let text = lower.field_text(node, field);
        let text = text.trim_start_matches("extends").trim_start_matches("implements");
        bases.extend(text.split(',').map(plain_type).filter(|base| !base.is_empty()));
    }
    let class = Class {
        name: lower.field_text(node, "name").to_owned(),
        bases,
        annotations: annotations(lower, node),
        body: lower.body(node.child_by_field_name("body")),
    };
    out.push(Stmt { span: span(node), kind: StmtKind::Class(Box::new(class)) });
}

fn import(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let text = lower.text(node).trim_start_matches("import").trim_end_matches(';').trim();
    let path = text.trim_start_matches("static ").trim().to_owned();
    let last = path.rsplit('.').next().unwrap_or_default().to_owned();
    let names = vec![(last.clone(), last)];
    out.push(Stmt { span: span(node), kind: StmtKind::Import(Import { path, names }) });
}
