//! A walk over every expression with what lies around it.

use super::scope::{MODULE, ScopeId, Scopes};
use crate::tree::{Expr, ExprKind, Function, Module, Stmt, StmtKind};

/// What lies around an expression.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Around<'t> {
    Stmt(&'t Stmt),
    Expr(&'t Expr),
    Function(&'t Function),
}

/// Calls `see` for every expression, outer ones first, with its scope and what lies around it, innermost last.
pub(crate) fn each<'t>(
    module: &'t Module,
    scopes: &Scopes<'t>,
    see: &mut dyn FnMut(&'t Expr, ScopeId, &[Around<'t>]),
) {
    let mut visit = Visit { scopes, around: Vec::new(), see };
    visit.stmts(&module.body, MODULE);
}

struct Visit<'a, 't> {
    scopes: &'a Scopes<'t>,
    around: Vec<Around<'t>>,
    see: &'a mut dyn FnMut(&'t Expr, ScopeId, &[Around<'t>]),
}

impl<'t> Visit<'_, 't> {
    fn stmts(&mut self, body: &'t [Stmt], scope: ScopeId) {
        for stmt in body {
            self.around.push(Around::Stmt(stmt));
            self.stmt(stmt, scope);
            self.around.pop();
        }
    }

    fn stmt(&mut self, stmt: &'t Stmt, scope: ScopeId) {
        match &stmt.kind {
            StmtKind::Expr(expr) | StmtKind::Defer(expr) => self.expr(expr, scope),
            StmtKind::Return(expr) | StmtKind::Throw(expr) => {
                expr.iter().for_each(|expr| self.expr(expr, scope))
            }
            StmtKind::Bind(bind) => bind.value.iter().for_each(|value| self.expr(value, scope)),
            StmtKind::If { test, then, otherwise } => {
                self.expr(test, scope);
                self.stmts(then, scope);
                self.stmts(otherwise, scope);
            }
            StmtKind::Branch { on, arms } => {
                on.iter().for_each(|on| self.expr(on, scope));
                for arm in arms {
                    arm.pattern.iter().for_each(|pattern| self.expr(pattern, scope));
                    self.stmts(&arm.body, scope);
                }
            }
            StmtKind::Loop(turn) => {
                turn.head.iter().for_each(|head| self.expr(head, scope));
                self.stmts(&turn.body, scope);
            }
            StmtKind::Try { body, catches, finally } => {
                self.stmts(body, scope);
                catches.iter().for_each(|catch| self.stmts(&catch.body, scope));
                self.stmts(finally, scope);
            }
            StmtKind::Function(function) => self.function(function),
            StmtKind::Class(class) => {
                // Any scope inside the class will do for what stands in its body: fields are looked up upwards.
                let inner = self.scopes.class_scope(class).unwrap_or(scope);
                self.stmts(&class.body, inner);
            }
            StmtKind::Block(body) => self.stmts(body, scope),
            StmtKind::Import(_) | StmtKind::Break | StmtKind::Continue => {}
        }
    }

    fn function(&mut self, function: &'t Function) {
        let scope = self.scopes.of_function(function);
        self.around.push(Around::Function(function));
        for param in &function.params {
            param.default.iter().for_each(|default| self.expr(default, scope));
        }
        self.stmts(&function.body, scope);
        self.around.pop();
    }

    fn expr(&mut self, expr: &'t Expr, scope: ScopeId) {
        (self.see)(expr, scope, &self.around);
        self.around.push(Around::Expr(expr));
        match &expr.kind {
            ExprKind::Lambda(function) => self.function(function),
            ExprKind::Block(body) => self.stmts(body, scope),
            _ => parts(expr).into_iter().for_each(|part| self.expr(part, scope)),
        }
        self.around.pop();
    }
}

/// The expressions right inside an expression; not those in lambdas and blocks.
pub(crate) fn parts(expr: &Expr) -> Vec<&Expr> {
    match &expr.kind {
        ExprKind::Member { of, .. } => vec![of],
        ExprKind::Index { of, index } => vec![of, index],
        ExprKind::Call(call) => {
            let args = call.args.iter().map(|arg| &arg.value);
            std::iter::once(&call.function).chain(args).collect()
        }
        ExprKind::Template(inner) | ExprKind::List(inner) | ExprKind::Other(inner) => inner.iter().collect(),
        ExprKind::Map { entries, .. } => {
            entries.iter().flat_map(|entry| entry.key.iter().chain(Some(&entry.value))).collect()
        }
        ExprKind::Await(inner) | ExprKind::Try(inner) | ExprKind::Spawn(inner) | ExprKind::Receive(inner) => {
            vec![inner]
        }
        ExprKind::ChannelSend { channel: left, value: right } | ExprKind::Binary { left, right, .. } => {
            vec![left, right]
        }
        ExprKind::Assign { targets, value, .. } => targets.iter().chain(Some(value.as_ref())).collect(),
        ExprKind::Choice { test, then, otherwise } => vec![test, then, otherwise],
        _ => Vec::new(),
    }
}

/// Whether `wanted` holds for the expression or one inside it; lambdas and blocks are not looked into.
pub(crate) fn any<'t>(expr: &'t Expr, wanted: &mut dyn FnMut(&'t Expr) -> bool) -> bool {
    wanted(expr) || parts(expr).into_iter().any(|part| any(part, wanted))
}
