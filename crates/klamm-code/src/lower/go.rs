//! Go.

use tree_sitter::Node;

use super::build::plain_type;
use super::{Lower, Shape, Spec, child_of, named, span};
use crate::tree::{
    Arm, Bind, Class, Entry, Expr, ExprKind, Function, Import, Loop, LoopKind, Param, Stmt, StmtKind,
};

pub(crate) static SPEC: Spec = Spec { name: "go", grammar: || tree_sitter_go::LANGUAGE.into(), shape };

fn shape(kind: &str) -> Shape {
    match kind {
        "identifier" | "field_identifier" | "package_identifier" | "type_identifier" | "iota"
        | "blank_identifier" => Shape::Name,
        "interpreted_string_literal" | "raw_string_literal" | "rune_literal" => Shape::Text,
        "int_literal" | "float_literal" => Shape::Number,
        "true" => Shape::True,
        "false" => Shape::False,
        "nil" => Shape::Null,
        "selector_expression" => Shape::Member { of: "operand", name: "field" },
        "qualified_type" => Shape::Member { of: "package", name: "name" },
        "index_expression" => Shape::Index { of: "operand", index: "index" },
        "call_expression" => Shape::Call { function: "function", args: "arguments" },
        "type_conversion_expression" | "type_assertion_expression" | "slice_expression" => {
            Shape::Field("operand")
        }
        "generic_type" | "type_instantiation_expression" => Shape::Field("type"),
        "parenthesized_expression" | "variadic_argument" | "literal_element" | "pointer_type" => Shape::Inner,
        "unary_expression" => Shape::Expr(unary),
        "binary_expression" => Shape::Binary,
        "func_literal" => Shape::Expr(literal),
        "composite_literal" => Shape::Expr(composite),
        "literal_value" => Shape::Expr(plain_value),
        "expression_list" => Shape::Expr(list),
        "assignment_statement" => Shape::Assign,
        "short_var_declaration" | "var_spec" | "const_spec" => Shape::Stmts(bind),
        "field_declaration" => Shape::Stmts(field),
        "type_spec" | "type_alias" => Shape::Stmts(class),
        "function_declaration" | "method_declaration" => Shape::Stmts(function),
        "import_spec" => Shape::Stmts(import),
        "block" | "statement_list" => Shape::Block,
        "expression_statement" => Shape::ExprStmt,
        "return_statement" => Shape::Return,
        "break_statement" => Shape::Break,
        "continue_statement" => Shape::Continue,
        "if_statement" => Shape::Stmts(branch_if),
        "for_statement" => Shape::Stmts(turns),
        "expression_switch_statement" | "type_switch_statement" | "select_statement" => Shape::Stmts(switch),
        "go_statement" => Shape::Expr(|lower, node| wrap(lower, node, ExprKind::Spawn)),
        "defer_statement" => Shape::Stmts(defer),
        "send_statement" => Shape::Expr(send),
        "receive_statement" => Shape::Field("right"),
        "comment"
        | "package_clause"
        | "label_name"
        | "type_arguments"
        | "type_parameter_list"
        | "empty_statement" => Shape::Skip,
        _ => Shape::Other,
    }
}

fn wrap(lower: &mut Lower<'_>, node: Node<'_>, kind: fn(Box<Expr>) -> ExprKind) -> Expr {
    let inner = lower.first(node).unwrap_or_else(|| Expr::other(span(node)));
    Expr { span: span(node), kind: kind(Box::new(inner)) }
}

/// `<-c` receives; `&x`, `*x` and `!x` are what they stand before.
fn unary(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    let operand = lower.field(node, "operand");
    match lower.field_text(node, "operator") {
        "<-" => Expr { span: span(node), kind: ExprKind::Receive(Box::new(operand)) },
        "-" => match operand.kind {
            ExprKind::Number(digits) => {
                Expr { span: span(node), kind: ExprKind::Number(format!("-{digits}")) }
            }
            kind => Expr { span: operand.span, kind },
        },
        _ => operand,
    }
}

fn send(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    let kind =
        ExprKind::ChannelSend { channel: lower.boxed(node, "channel"), value: lower.boxed(node, "value") };
    Expr { span: span(node), kind }
}

fn defer(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    if let Some(inner) = lower.first(node) {
        out.push(Stmt { span: span(node), kind: StmtKind::Defer(inner) });
    }
}

/// One expression is itself, several are a list.
fn list(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    let mut all = lower.exprs(node);
    match all.len() {
        1 => all.remove(0),
        _ => Expr { span: span(node), kind: ExprKind::List(all) },
    }
}

fn literal(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    let params = params(lower, node.child_by_field_name("parameters"));
    let body = lower.body(node.child_by_field_name("body"));
    let made = Function { span: span(node), params, body, ..Function::default() };
    Expr { span: span(node), kind: ExprKind::Lambda(Box::new(made)) }
}

/// `T{…}`: elements with keys are a map, those without a list.
fn composite(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    let ty = node.child_by_field_name("type");
    let is_map = ty.is_some_and(|ty| ty.kind() == "map_type");
    let is_list =
        ty.is_some_and(|ty| matches!(ty.kind(), "slice_type" | "array_type" | "implicit_length_array_type"));
    let name = ty.filter(|_| !is_map && !is_list).map(|ty| plain_type(lower.text(ty)));
    let body = node.child_by_field_name("body");
    let mut made = match body {
        Some(body) => elements(lower, body, is_map),
        None => ExprKind::List(Vec::new()),
    };
    match &mut made {
        ExprKind::Map { ty, .. } => *ty = name,
        ExprKind::List(items) if items.is_empty() && !is_list => {
            made = ExprKind::Map { ty: name, entries: Vec::new() };
        }
        _ => {}
    }
    Expr { span: span(node), kind: made }
}

fn plain_value(lower: &mut Lower<'_>, node: Node<'_>) -> Expr {
    let kind = elements(lower, node, false);
    Expr { span: span(node), kind }
}

/// Names before the colon are fields, and variables in a map.
fn elements(lower: &mut Lower<'_>, body: Node<'_>, is_map: bool) -> ExprKind {
    let mut entries = Vec::new();
    let mut items = Vec::new();
    for child in named(body) {
        match (child.kind(), child.child_by_field_name("key"), child.child_by_field_name("value")) {
            ("keyed_element", Some(key), Some(value)) => {
                let value = lower.expr(value);
                let inner = key.named_child(0).unwrap_or(key);
                match is_map {
                    true => entries.push(Entry { key: Some(lower.expr(key)), value }),
                    false => entries.push(lower.entry(inner, value)),
                }
            }
            ("comment", ..) => {}
            _ => items.push(lower.expr(child)),
        }
    }
    match entries.is_empty() {
        true => ExprKind::List(items),
        false => ExprKind::Map { ty: None, entries },
    }
}

/// `a, err := f()`, `var a, b T = x, y`, `const a = x`: one binding for each pair where there are pairs.
fn bind(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let (names, value) = match node.kind() {
        "short_var_declaration" => {
            let left = node.child_by_field_name("left").map(named).unwrap_or_default();
            (left, node.child_by_field_name("right"))
        }
        _ => {
            let mut cursor = node.walk();
            let names = node.children_by_field_name("name", &mut cursor).filter(Node::is_named).collect();
            (names, node.child_by_field_name("value"))
        }
    };
    let names: Vec<String> = names.into_iter().map(|name| lower.text(name).to_owned()).collect();
    let ty = node.child_by_field_name("type").map(|ty| type_of(lower, ty));
    let values = value.map(named).unwrap_or_default();
    let constant = node.kind() == "const_spec";
    let at = span(node);
    let push = |names: Vec<String>, value: Option<Expr>, out: &mut Vec<Stmt>| {
        let bind = Bind { names, ty: ty.clone(), value, annotations: Vec::new(), constant };
        out.push(Stmt { span: at, kind: StmtKind::Bind(Box::new(bind)) });
    };
    if values.len() > 1 && values.len() == names.len() {
        for (name, value) in names.into_iter().zip(values) {
            let value = lower.expr(value);
            push(vec![name], Some(value), out);
        }
    } else {
        let value = value.map(|value| lower.expr(value));
        push(names, value, out);
    }
}

/// A type by its name: `*kafka.Writer` is `kafka.Writer`, `[]*T` is `T`.
fn type_of(lower: &Lower<'_>, node: Node<'_>) -> String {
    match node.kind() {
        "pointer_type" | "slice_type" | "array_type" | "channel_type" => {
            let inner = named(node).into_iter().last();
            inner.map_or_else(String::new, |inner| type_of(lower, inner))
        }
        "map_type" => {
            node.child_by_field_name("value").map_or_else(String::new, |inner| type_of(lower, inner))
        }
        "function_type" => "func".to_owned(),
        _ => plain_type(lower.text(node)),
    }
}

/// A field of a struct; one that is embedded has the name of its type.
fn field(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let ty = node.child_by_field_name("type").map(|ty| type_of(lower, ty));
    let mut cursor = node.walk();
    let mut names: Vec<String> = node
        .children_by_field_name("name", &mut cursor)
        .filter(Node::is_named)
        .map(|name| lower.text(name).to_owned())
        .collect();
    if let (true, Some(ty)) = (names.is_empty(), &ty) {
        names.push(ty.rsplit('.').next().unwrap_or_default().to_owned());
    }
    for name in names {
        let bind =
            Bind { names: vec![name], ty: ty.clone(), value: None, annotations: Vec::new(), constant: false };
        out.push(Stmt { span: span(node), kind: StmtKind::Bind(Box::new(bind)) });
    }
}

fn class(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let ty = node.child_by_field_name("type");
    let mut body = Vec::new();
    let mut bases = Vec::new();
    match ty.map(|ty| ty.kind()) {
        Some("struct_type") => {
            let fields = ty.and_then(|ty| child_of(ty, &["field_declaration_list"]));
            if let Some(fields) = fields {
                lower.children(fields, &mut body);
            }
        }
        Some("interface_type") | None => {}
        Some(_) => bases.extend(ty.map(|ty| type_of(lower, ty))),
    }
    let class =
        Class { name: lower.field_text(node, "name").to_owned(), bases, annotations: Vec::new(), body };
    out.push(Stmt { span: span(node), kind: StmtKind::Class(Box::new(class)) });
}

fn params(lower: &Lower<'_>, node: Option<Node<'_>>) -> Vec<Param> {
    let mut out = Vec::new();
    for child in node.map(named).unwrap_or_default() {
        let ty = child.child_by_field_name("type").map(|ty| type_of(lower, ty));
        let mut cursor = child.walk();
        let names: Vec<Node<'_>> =
            child.children_by_field_name("name", &mut cursor).filter(Node::is_named).collect();
        let plain = |name: String| Param { name, ty: ty.clone(), ..Param::default() };
        match names.is_empty() {
            true => out.push(plain(String::new())),
            false => out.extend(names.into_iter().map(|name| plain(lower.text(name).to_owned()))),
        }
    }
    out
}

/// A function; a method's receiver is its first parameter.
fn function(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let receiver = params(lower, node.child_by_field_name("receiver")).into_iter().next();
    let of = receiver.as_ref().and_then(|receiver| receiver.ty.clone());
    let plain = params(lower, node.child_by_field_name("parameters"));
    let results = node.child_by_field_name("result").filter(|result| result.kind() == "parameter_list");
    let results = params(lower, results).into_iter().map(|result| result.name);
    let results: Vec<String> = results.filter(|name| !name.is_empty()).collect();
    let mut body = lower.body(node.child_by_field_name("body"));
    if !results.is_empty() {
        name_results(&mut body, &results);
    }
    let function = Function {
        span: span(node),
        name: lower.field_text(node, "name").to_owned(),
        of,
        params: receiver.into_iter().chain(plain).collect(),
        body,
        ..Function::default()
    };
    out.push(Stmt { span: span(node), kind: StmtKind::Function(Box::new(function)) });
}

/// `return` alone returns the results by their names.
fn name_results(body: &mut [Stmt], names: &[String]) {
    for stmt in body {
        let at = stmt.span;
        match &mut stmt.kind {
            StmtKind::Return(value) if value.is_none() => {
                let name = |name: &String| Expr { span: at, kind: ExprKind::Name(name.clone()) };
                let all = names.iter().map(name).collect();
                *value = Some(Expr { span: at, kind: ExprKind::List(all) });
            }
            StmtKind::Block(inner) => name_results(inner, names),
            StmtKind::Loop(turn) => name_results(&mut turn.body, names),
            StmtKind::Branch { arms, .. } => {
                arms.iter_mut().for_each(|arm| name_results(&mut arm.body, names))
            }
            StmtKind::If { then, otherwise, .. } => {
                name_results(then, names);
                name_results(otherwise, names);
            }
            _ => {}
        }
    }
}

/// `import kafka "path"`; without a name that of the package, as far as the path tells it.
fn import(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let path = lower.field_text(node, "path").trim_matches(['"', '`']).to_owned();
    let here = match lower.field_text(node, "name") {
        "" => package(&path),
        name => name.to_owned(),
    };
    let names = vec![(String::new(), here)];
    out.push(Stmt { span: span(node), kind: StmtKind::Import(Import { path, names }) });
}

/// `github.com/a/kafka-go` and `github.com/a/kafka/v2` are `kafka`.
fn package(path: &str) -> String {
    let version = |word: &&str| {
        word.strip_prefix('v').is_some_and(|digits| digits.chars().all(|digit| digit.is_ascii_digit()))
    };
    let last = path.rsplit('/').find(|word| !version(word)).unwrap_or(path);
    last.trim_end_matches("-go").trim_start_matches("go-").to_owned()
}

fn branch_if(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let mut inner = Vec::new();
    let first = node.child_by_field_name("initializer");
    if let Some(first) = first {
        lower.stmt(first, &mut inner);
    }
    let test = lower.field(node, "condition");
    let then = lower.body(node.child_by_field_name("consequence"));
    let otherwise = lower.body(node.child_by_field_name("alternative"));
    inner.push(Stmt { span: span(node), kind: StmtKind::If { test, then, otherwise } });
    enclose(node, first.is_some(), inner, out);
}

/// What the head binds holds only inside: in a block around it.
fn enclose(node: Node<'_>, has_head: bool, inner: Vec<Stmt>, out: &mut Vec<Stmt>) {
    match has_head {
        true => out.push(Stmt { span: span(node), kind: StmtKind::Block(inner) }),
        false => out.extend(inner),
    }
}

fn turns(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let mut inner = Vec::new();
    let body_node = node.child_by_field_name("body");
    let head_node = named(node).into_iter().find(|child| Some(child.id()) != body_node.map(|body| body.id()));
    let (mut kind, mut head, mut names) = (LoopKind::While, None, Vec::new());
    match head_node.map(|head| (head.kind(), head)) {
        Some(("range_clause", range)) => {
            kind = LoopKind::Each;
            head = range.child_by_field_name("right").map(|right| lower.expr(right));
            let left = range.child_by_field_name("left").map(named).unwrap_or_default();
            names = left.into_iter().map(|name| lower.text(name).to_owned()).collect();
        }
        Some(("for_clause", clause)) => {
            if let Some(first) = clause.child_by_field_name("initializer") {
                lower.stmt(first, &mut inner);
            }
            head = clause.child_by_field_name("condition").map(|test| lower.expr(test));
            kind = if head.is_some() { LoopKind::Counted } else { LoopKind::While };
        }
        Some((_, test)) => head = Some(lower.expr(test)),
        None => {}
    }
    let has_head = !inner.is_empty();
    let body = lower.body(body_node);
    let turn = Loop { kind, head, names, body };
    inner.push(Stmt { span: span(node), kind: StmtKind::Loop(Box::new(turn)) });
    enclose(node, has_head, inner, out);
}

fn switch(lower: &mut Lower<'_>, node: Node<'_>, out: &mut Vec<Stmt>) {
    let mut inner = Vec::new();
    let first = node.child_by_field_name("initializer");
    if let Some(first) = first {
        lower.stmt(first, &mut inner);
    }
    let on = node.child_by_field_name("value").map(|on| lower.expr(on));
    let alias: Vec<String> = node
        .child_by_field_name("alias")
        .map(named)
        .unwrap_or_default()
        .into_iter()
        .map(|name| lower.text(name).to_owned())
        .collect();
    let mut arms = Vec::new();
    for case in named(node).into_iter().filter(|child| child.kind().ends_with("_case")) {
        arms.push(arm(lower, case, &alias));
    }
    inner.push(Stmt { span: span(node), kind: StmtKind::Branch { on, arms } });
    enclose(node, first.is_some(), inner, out);
}

fn arm(lower: &mut Lower<'_>, case: Node<'_>, alias: &[String]) -> Arm {
    let head = ["value", "type", "communication"].iter().find_map(|field| case.child_by_field_name(field));
    let mut names = alias.to_vec();
    let left = head.filter(|head| head.kind() == "receive_statement");
    for name in left.and_then(|head| head.child_by_field_name("left")).map(named).unwrap_or_default() {
        names.push(lower.text(name).to_owned());
    }
    let mut body = Vec::new();
    for child in named(case).into_iter().filter(|child| Some(child.id()) != head.map(|head| head.id())) {
        match child.kind() {
            "statement_list" => lower.children(child, &mut body),
            _ => lower.stmt(child, &mut body),
        }
    }
    let mut made = lower.arm(head, body);
    made.names = names;
    made
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
    fn imports_have_the_names_of_their_packages() {
        let names = [
            ("github.com/segmentio/kafka-go", "kafka"),
            ("github.com/confluentinc/confluent-kafka-go/v2/kafka", "kafka"),
            ("github.com/twmb/franz-go/pkg/kgo", "kgo"),
            ("github.com/IBM/sarama", "sarama"),
        ];
        for (path, name) in names {
            assert_eq!(package(path), name);
        }
        let text = shown("package p\nimport k \"github.com/segmentio/kafka-go\"\n");
        assert!(text.contains("names: [(\"\", \"k\")]"), "{text}");
    }

    #[test]
    fn a_last_line_without_an_end_is_not_broken() {
        assert!(shown("package p\n\ntype Order struct {\n\tID string\n}").contains("Class"));
    }

    #[test]
    fn results_with_names_are_returned() {
        let text = shown("package p\n\nfunc f() (n int, err error) {\n\tn, err = g()\n\treturn\n}\n");
        assert!(text.contains("Return(Some("), "{text}");
    }

    #[test]
    fn channels_goroutines_and_deferred_calls_are_told_apart() {
        let text = shown("package p\nfunc f() {\n\tdefer p.Close()\n\tgo work(m)\n\tc <- m\n\tx := <-c\n}\n");
        for kind in ["Defer(", "Spawn(", "ChannelSend {", "Receive("] {
            assert!(text.contains(kind), "{kind}: {text}");
        }
    }

    #[test]
    fn struct_literals_are_maps_and_slices_are_lists() {
        let text = shown("package p\nvar w = &kafka.Writer{Topic: \"t\"}\nvar s = []string{\"a\"}\n");
        assert!(text.contains("Map { ty: Some(\"kafka.Writer\")"), "{text}");
        assert!(text.contains("kind: List([Expr"), "{text}");
    }

    #[test]
    fn heads_of_if_and_select_bind_their_names() {
        let text = shown(
            "package p\nfunc (s *S) f() {\n\tif err := g(); err != nil {\n\t\treturn\n\t}\n\tselect {\n\tcase m, ok := <-c:\n\t\th(m)\n\tdefault:\n\t}\n}\n",
        );
        assert!(text.contains("names: [\"m\", \"ok\"]"), "{text}");
        assert!(text.contains("params: [Param { name: \"s\", ty: Some(\"S\")"), "{text}");
        assert!(text.contains("names: [\"err\"]"), "{text}");
    }
}
