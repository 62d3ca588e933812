//! The walk that fills [`Scopes`].

use super::scope::{Change, ChangeKind, Def, How, MODULE, Scope, ScopeId, Scopes, address};
use crate::tree::{Annotation, Arg, Bind, Call, Class, Entry, Expr, ExprKind, Function, Stmt, StmtKind};

pub(super) struct Walk<'a, 't> {
    pub scopes: &'a mut Scopes<'t>,
    /// How many conditions lie around.
    pub sometimes: u32,
}

impl<'t> Walk<'_, 't> {
    fn open(&mut self, parent: ScopeId) -> ScopeId {
        self.scopes.all.push(Scope { parent: Some(parent), ..Scope::default() });
        self.scopes.all.len() - 1
    }

    fn def(&mut self, name: &'t str, at: ScopeId, value: Option<&'t Expr>, how: How, scope: ScopeId) {
        let def = Def {
            value,
            ty: None,
            how,
            sometimes: self.sometimes > 0,
            scope,
            annotations: &[],
            position: 0,
            names: 1,
        };
        self.scopes.all[at].defs.entry(name).or_default().push(def);
    }

    fn stmts(&mut self, body: &'t [Stmt], scope: ScopeId) {
        for stmt in body {
            self.stmt(stmt, scope);
        }
    }

    fn maybe(&mut self, body: &'t [Stmt], scope: ScopeId) {
        self.sometimes += 1;
        self.stmts(body, scope);
        self.sometimes -= 1;
    }

    pub(super) fn stmt(&mut self, stmt: &'t Stmt, scope: ScopeId) {
        match &stmt.kind {
            StmtKind::Expr(expr) | StmtKind::Defer(expr) => self.expr(expr, scope),
            StmtKind::Return(expr) | StmtKind::Throw(expr) => {
                if let Some(expr) = expr {
                    self.expr(expr, scope);
                }
            }
            StmtKind::Bind(bind) => self.bind(bind, scope),
            StmtKind::If { test, then, otherwise } => {
                self.expr(test, scope);
                self.maybe(then, scope);
                self.maybe(otherwise, scope);
            }
            StmtKind::Branch { on, arms } => {
                if let Some(on) = on {
                    self.expr(on, scope);
                }
                for arm in arms {
                    for name in &arm.names {
                        self.def(name, scope, None, How::Turn, scope);
                    }
                    if let Some(pattern) = &arm.pattern {
                        self.expr(pattern, scope);
                    }
                    self.maybe(&arm.body, scope);
                }
            }
            StmtKind::Loop(turn) => {
                for name in &turn.names {
                    self.def(name, scope, turn.head.as_ref(), How::Turn, scope);
                }
                if let Some(head) = &turn.head {
                    self.expr(head, scope);
                }
                self.maybe(&turn.body, scope);
            }
            StmtKind::Try { body, catches, finally } => {
                self.stmts(body, scope);
                for catch in catches {
                    if let Some(name) = &catch.name {
                        self.def(name, scope, None, How::Turn, scope);
                    }
                    self.maybe(&catch.body, scope);
                }
                self.stmts(finally, scope);
            }
            StmtKind::Function(function) => self.function(function, scope),
            StmtKind::Class(class) => {
                let id = self.open(scope);
                self.scopes.all[id].class = Some(class);
                self.scopes.by_node.insert(address::<Class>(class), id);
                self.annotations(&class.annotations, id);
                let outer = std::mem::take(&mut self.sometimes);
                self.stmts(&class.body, id);
                self.sometimes = outer;
            }
            StmtKind::Block(body) => self.stmts(body, scope),
            StmtKind::Import(import) => self.scopes.imports.push(import),
            StmtKind::Break | StmtKind::Continue => {}
        }
    }

    fn bind(&mut self, bind: &'t Bind, scope: ScopeId) {
        for (position, name) in bind.names.iter().enumerate() {
            let def = Def {
                value: bind.value.as_ref(),
                ty: bind.ty.as_deref(),
                how: How::Bound,
                sometimes: self.sometimes > 0,
                scope,
                annotations: &bind.annotations,
                position,
                names: bind.names.len(),
            };
            self.scopes.all[scope].defs.entry(name).or_default().push(def);
        }
        self.annotations(&bind.annotations, scope);
        if let Some(value) = &bind.value {
            self.expr(value, scope);
        }
    }

    fn annotations(&mut self, annotations: &'t [Annotation], scope: ScopeId) {
        for annotation in annotations {
            self.args(&annotation.args, scope);
        }
    }

    fn function(&mut self, function: &'t Function, scope: ScopeId) {
        let of = function.of.as_deref().and_then(|of| {
            self.scopes.all.iter().position(|scope| scope.class.is_some_and(|class| class.name == of))
        });
        let id = self.open(of.unwrap_or(scope));
        self.scopes.all[id].function = Some(function);
        self.scopes.by_node.insert(address(function), id);
        if !function.name.is_empty() {
            self.scopes.functions.entry(&function.name).or_default().push(id);
        }
        for (position, param) in function.params.iter().enumerate() {
            let def = Def {
                value: None,
                ty: param.ty.as_deref(),
                how: How::Param(position),
                sometimes: false,
                scope: id,
                annotations: &param.annotations,
                position: 0,
                names: 1,
            };
            self.scopes.all[id].defs.entry(&param.name).or_default().push(def);
            if let Some(default) = &param.default {
                self.expr(default, scope);
            }
        }
        self.annotations(&function.annotations, id);
        // A lambda that is called at once is no condition, but nobody knows when others run.
        let outer = self.sometimes;
        self.sometimes = if function.name.is_empty() { outer } else { 0 };
        self.stmts(&function.body, id);
        self.sometimes = outer;
    }

    fn args(&mut self, args: &'t [Arg], scope: ScopeId) {
        for arg in args {
            self.expr(&arg.value, scope);
        }
    }

    fn expr(&mut self, expr: &'t Expr, scope: ScopeId) {
        match &expr.kind {
            ExprKind::Name(name) => {
                self.scopes.all[scope].reads.entry(name).or_default().push(expr.span.start)
            }
            ExprKind::Member { of, name } => {
                if self.scopes.variable(expr, scope).is_some() {
                    self.scopes.all[scope].reads.entry(name).or_default().push(expr.span.start);
                }
                self.expr(of, scope);
            }
            ExprKind::Index { of, index } => {
                self.expr(of, scope);
                self.expr(index, scope);
            }
            ExprKind::Call(call) => self.call(call, scope),
            ExprKind::Lambda(function) => self.function(function, scope),
            ExprKind::Template(inner) | ExprKind::List(inner) | ExprKind::Other(inner) => {
                inner.iter().for_each(|inner| self.expr(inner, scope));
            }
            ExprKind::Map { entries, .. } => entries.iter().for_each(|entry| self.entry(entry, scope)),
            ExprKind::Await(inner)
            | ExprKind::Try(inner)
            | ExprKind::Spawn(inner)
            | ExprKind::Receive(inner) => {
                self.expr(inner, scope);
            }
            ExprKind::ChannelSend { channel: left, value: right } | ExprKind::Binary { left, right, .. } => {
                self.expr(left, scope);
                self.expr(right, scope);
            }
            ExprKind::Assign { targets, value, op } => self.assign(targets, value, op, scope),
            ExprKind::Choice { test, then, otherwise } => {
                self.expr(test, scope);
                self.sometimes += 1;
                self.expr(then, scope);
                self.expr(otherwise, scope);
                self.sometimes -= 1;
            }
            ExprKind::Block(body) => self.stmts(body, scope),
            ExprKind::Text(_) | ExprKind::Number(_) | ExprKind::Bool(_) | ExprKind::Null => {}
        }
    }

    fn entry(&mut self, entry: &'t Entry, scope: ScopeId) {
        if let Some(key) = &entry.key {
            self.expr(key, scope);
        }
        self.expr(&entry.value, scope);
    }

    fn call(&mut self, call: &'t Call, scope: ScopeId) {
        if let Some(name) = call.function.last_word() {
            self.scopes.calls.entry(name).or_default().push((call, scope));
        }
        if let Some(variable) = call.receiver().and_then(|of| self.receiver_root(of, scope)) {
            self.change(variable, ChangeKind::Called(call), scope);
        }
        for (at, arg) in call.args.iter().enumerate() {
            if let Some(variable) = self.scopes.variable(&arg.value, scope) {
                self.change(variable, ChangeKind::Passed { call, at }, scope);
            }
        }
        self.expr(&call.function, scope);
        self.args(&call.args, scope);
        for arg in &call.args {
            if let ExprKind::Lambda(function) = &arg.value.kind
                && let Some(id) = self.scopes.by_node.get(&address::<Function>(function))
            {
                self.scopes.all[*id].given_to = Some((call, scope));
            }
        }
    }

    /// The variable at the root of a chain: `v` of `v.set(…).set(…)`.
    fn receiver_root(&self, of: &'t Expr, scope: ScopeId) -> Option<&'t str> {
        if let Some(variable) = self.scopes.variable(of, scope) {
            return Some(variable);
        }
        match &of.kind {
            ExprKind::Call(call) => self.receiver_root(call.receiver()?, scope),
            _ => None,
        }
    }

    fn change(&mut self, variable: &'t str, kind: ChangeKind<'t>, scope: ScopeId) {
        let sometimes = self.sometimes > 0;
        self.scopes.all[scope].changes.entry(variable).or_default().push(Change { kind, sometimes, scope });
    }

    fn assign(&mut self, targets: &'t [Expr], value: &'t Expr, op: &str, scope: ScopeId) {
        for (position, target) in targets.iter().enumerate() {
            self.target(target, value, op, scope, (position, targets.len()));
        }
        self.expr(value, scope);
    }

    fn target(&mut self, target: &'t Expr, value: &'t Expr, op: &str, scope: ScopeId, which: (usize, usize)) {
        match &target.kind {
            ExprKind::Index { of, index } => {
                if let Some(variable) = self.scopes.variable(of, scope) {
                    self.change(variable, ChangeKind::Put { key: index, value }, scope);
                }
                self.expr(of, scope);
                self.expr(index, scope);
            }
            ExprKind::Member { name, .. } if self.scopes.variable(target, scope).is_some() => {
                let home = self.field_home(scope);
                self.assigned(name, home, value, op, scope, which);
            }
            ExprKind::Member { of, .. } => {
                if let Some(variable) = self.root(of, scope) {
                    self.change(variable, ChangeKind::Field { target, value }, scope);
                }
                self.expr(of, scope);
            }
            ExprKind::Name(name) => {
                let home = self.scopes.defs(name, scope).map_or(scope, |(_, home)| home);
                self.assigned(name, home, value, op, scope, which);
            }
            _ => self.expr(target, scope),
        }
    }

    fn root(&self, of: &'t Expr, scope: ScopeId) -> Option<&'t str> {
        if let Some(variable) = self.scopes.variable(of, scope) {
            return Some(variable);
        }
        match &of.kind {
            ExprKind::Member { of, .. } => self.root(of, scope),
            _ => None,
        }
    }

    /// Where fields of `this` live: the class around; the module without one (Go, Rust).
    fn field_home(&self, scope: ScopeId) -> ScopeId {
        let mut at = Some(scope);
        while let Some(id) = at {
            let this = &self.scopes.all[id];
            if this.function.is_none() && this.class.is_some() {
                return id;
            }
            at = this.parent;
        }
        MODULE
    }

    fn assigned(
        &mut self,
        name: &'t str,
        home: ScopeId,
        value: &'t Expr,
        op: &str,
        scope: ScopeId,
        which: (usize, usize),
    ) {
        let def = Def {
            // `x += 1` makes the value another one.
            value: if op == "=" || op == ":=" { Some(value) } else { None },
            ty: None,
            how: How::Assigned,
            sometimes: self.sometimes > 0,
            scope,
            annotations: &[],
            position: which.0,
            names: which.1,
        };
        self.scopes.all[home].defs.entry(name).or_default().push(def);
    }
}
