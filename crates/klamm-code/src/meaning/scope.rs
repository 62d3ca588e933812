//! Who is called what: functions, classes, variables and what is done to them, without following any order.

use std::collections::HashMap;

use super::walk::Walk;
use crate::tree::{Annotation, Call, Class, Expr, ExprKind, Function, Import, Module, Stmt, StmtKind};

/// A scope: the module, a class, a function or a lambda.
pub(crate) type ScopeId = usize;

/// The module's scope.
pub(crate) const MODULE: ScopeId = 0;

/// How long chains of names, calls and receivers are followed.
pub(super) const HOPS: u32 = 12;

/// What gives a name its value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Def<'t> {
    pub value: Option<&'t Expr>,
    pub ty: Option<&'t str>,
    pub how: How,
    /// It happens only sometimes.
    pub sometimes: bool,
    /// Where `value` stands.
    pub scope: ScopeId,
    pub annotations: &'t [Annotation],
    /// The position among several names.
    pub position: usize,
    pub names: usize,
}

/// Kinds of definitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Bound,
    Assigned,
    /// A parameter at this position.
    Param(usize),
    /// Bound by each turn of a loop, by a pattern, by a catch.
    Turn,
}

/// Something done to a variable after it is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change<'t> {
    pub kind: ChangeKind<'t>,
    pub sometimes: bool,
    pub scope: ScopeId,
}

/// Kinds of changes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ChangeKind<'t> {
    /// `v.method(args)`.
    Called(&'t Call),
    /// `v[key] = value`.
    Put { key: &'t Expr, value: &'t Expr },
    /// `v.a.b = value`.
    Field { target: &'t Expr, value: &'t Expr },
    /// `f(…, v, …)`: at this position.
    Passed { call: &'t Call, at: usize },
}

/// A scope.
#[derive(Debug, Default)]
pub(crate) struct Scope<'t> {
    pub parent: Option<ScopeId>,
    pub function: Option<&'t Function>,
    pub class: Option<&'t Class>,
    /// The call that a lambda is an argument of, with where that stands.
    pub given_to: Option<(&'t Call, ScopeId)>,
    pub defs: HashMap<&'t str, Vec<Def<'t>>>,
    pub changes: HashMap<&'t str, Vec<Change<'t>>>,
    /// Where each name is read.
    pub reads: HashMap<&'t str, Vec<u32>>,
}

/// All scopes of a module.
#[derive(Debug, Default)]
pub(crate) struct Scopes<'t> {
    pub all: Vec<Scope<'t>>,
    pub imports: Vec<&'t Import>,
    /// Functions by name, with the scope that each makes.
    pub functions: HashMap<&'t str, Vec<ScopeId>>,
    /// Scopes of functions and lambdas by the address of their node.
    pub(super) by_node: HashMap<usize, ScopeId>,
    /// Calls of functions by name, with where they stand.
    pub calls: HashMap<&'t str, Vec<(&'t Call, ScopeId)>>,
}

impl<'t> Scopes<'t> {
    /// Of a module.
    pub(crate) fn of(module: &'t Module) -> Self {
        let mut scopes = Scopes::default();
        scopes.all.push(Scope::default());
        let mut walk = Walk { scopes: &mut scopes, sometimes: 0 };
        // Types first: methods that stand outside them (Go, Rust) look their fields up there.
        let is_class = |stmt: &&Stmt| matches!(stmt.kind, StmtKind::Class(_));
        module.body.iter().filter(is_class).for_each(|stmt| walk.stmt(stmt, MODULE));
        module.body.iter().filter(|stmt| !is_class(stmt)).for_each(|stmt| walk.stmt(stmt, MODULE));
        scopes
    }

    /// The scope that a function or lambda makes.
    pub(crate) fn of_function(&self, function: &Function) -> ScopeId {
        self.by_node.get(&address(function)).copied().unwrap_or(MODULE)
    }

    /// The function or method with this name, if there is only one.
    pub(crate) fn function(&self, name: &str) -> Option<(&'t Function, ScopeId)> {
        match self.functions.get(name)?.as_slice() {
            [one] => Some((self.all[*one].function?, *one)),
            _ => None,
        }
    }

    /// The function that a call runs, when it is in this file: `f()`, `this.f()`, `self.f()`, `Class.f()`.
    pub(crate) fn called(&self, call: &Call, scope: ScopeId) -> Option<(&'t Function, ScopeId)> {
        if call.new {
            return None;
        }
        match &call.function.kind {
            ExprKind::Name(name) if self.defs(name, scope).is_none() => self.function(name),
            ExprKind::Member { of, name } => {
                let of = of.as_name()?;
                let own = self.is_self(of, scope) || self.class_named(of).is_some();
                if own { self.function(name) } else { None }
            }
            _ => None,
        }
    }

    /// The scope of a class.
    pub(crate) fn class_scope(&self, class: &Class) -> Option<ScopeId> {
        self.by_node.get(&address(class)).copied()
    }

    /// The class of this name in the file.
    pub(crate) fn class_named(&self, name: &str) -> Option<&'t Class> {
        self.all
            .iter()
            .filter(|scope| scope.function.is_none())
            .find_map(|scope| scope.class.filter(|class| class.name == name))
    }

    /// `this`, `self`, or Go's receiver.
    pub(crate) fn is_self(&self, name: &str, scope: ScopeId) -> bool {
        if matches!(name, "this" | "self" | "Self" | "cls") {
            return true;
        }
        let mut at = Some(scope);
        while let Some(id) = at {
            let scope = &self.all[id];
            if let Some(function) = scope.function
                && function.of.is_some()
                && function.params.first().is_some_and(|param| param.name == name)
            {
                return true;
            }
            at = scope.parent;
        }
        false
    }

    /// The class around a scope.
    pub(crate) fn class_of(&self, scope: ScopeId) -> Option<&'t Class> {
        let mut at = Some(scope);
        while let Some(id) = at {
            if self.all[id].function.is_none() && self.all[id].class.is_some() {
                return self.all[id].class;
            }
            at = self.all[id].parent;
        }
        None
    }

    /// The innermost function with a name around a scope.
    pub(crate) fn function_name(&self, scope: ScopeId) -> String {
        let mut at = Some(scope);
        while let Some(id) = at {
            if let Some(function) = self.all[id].function.filter(|function| !function.name.is_empty()) {
                return function.name.clone();
            }
            at = self.all[id].parent;
        }
        String::new()
    }

    /// The nearest scope that defines a name, with its definitions there.
    pub(crate) fn defs(&self, name: &str, scope: ScopeId) -> Option<(&[Def<'t>], ScopeId)> {
        let mut at = Some(scope);
        while let Some(id) = at {
            if let Some(defs) = self.all[id].defs.get(name) {
                return Some((defs, id));
            }
            at = self.all[id].parent;
        }
        None
    }

    /// The variable that an expression names: `x`, or the field `x` of `this.x`.
    pub(crate) fn variable<'e>(&self, expr: &'e Expr, scope: ScopeId) -> Option<&'e str> {
        match &expr.kind {
            ExprKind::Name(name) => Some(name),
            ExprKind::Member { of, name } => {
                let of = of.as_name()?;
                self.is_self(of, scope).then_some(name.as_str())
            }
            _ => None,
        }
    }

    /// The definitions of what an expression names.
    pub(crate) fn defs_of(&self, expr: &Expr, scope: ScopeId) -> Option<(&[Def<'t>], ScopeId)> {
        let name = self.variable(expr, scope)?;
        match &expr.kind {
            // A field: the scopes of functions do not count.
            ExprKind::Member { .. } => {
                let mut at = Some(scope);
                while let Some(id) = at {
                    let this = &self.all[id];
                    if this.function.is_none()
                        && let Some(defs) = this.defs.get(name)
                    {
                        return Some((defs, id));
                    }
                    at = this.parent;
                }
                None
            }
            _ => self.defs(name, scope),
        }
    }

    /// The one value that a name can have; `None` when there are several, or when it comes from outside.
    pub(crate) fn only(&self, expr: &Expr, scope: ScopeId) -> Option<Def<'t>> {
        let (defs, _) = self.defs_of(expr, scope)?;
        let with_value: Vec<&Def<'t>> =
            defs.iter().filter(|def| def.value.is_some() || def.how != How::Bound).collect();
        match with_value.as_slice() {
            [one] => Some(**one),
            [] => defs.first().copied(),
            _ => None,
        }
    }

    /// What a name stands for, followed as far as it is the only possibility.
    pub(crate) fn origin(&self, expr: &'t Expr, scope: ScopeId) -> (&'t Expr, ScopeId) {
        let (mut expr, mut scope) = (expr, scope);
        for _ in 0..HOPS {
            let Some(def) = self.only(expr, scope) else { break };
            let (Some(value), How::Bound | How::Assigned) = (def.value, def.how) else { break };
            if def.names != 1 {
                break;
            }
            (expr, scope) = (value, def.scope);
        }
        (expr, scope)
    }

    /// What happens to the variable that an expression names, wherever it is visible.
    pub(crate) fn changes(&self, name: &str, home: ScopeId) -> Vec<Change<'t>> {
        let mut found = Vec::new();
        for (id, scope) in self.all.iter().enumerate() {
            if let Some(changes) = scope.changes.get(name)
                && self.defs(name, id).is_some_and(|(_, at)| at == home)
            {
                found.extend(changes.iter().copied());
            }
        }
        found
    }

    /// Where a name of this home is read.
    pub(crate) fn reads(&self, name: &str, home: ScopeId) -> Vec<u32> {
        let all = self.all.iter().enumerate();
        let here = all.filter(|(id, scope)| {
            scope.reads.contains_key(name) && self.defs(name, *id).is_some_and(|(_, at)| at == home)
        });
        here.flat_map(|(_, scope)| scope.reads.get(name).into_iter().flatten().copied()).collect()
    }

    /// Whether a name of this home is read in `inner` or a scope inside it.
    pub(crate) fn reads_within(&self, name: &str, home: ScopeId, inner: ScopeId) -> bool {
        let mut all = self.all.iter().enumerate();
        all.any(|(id, scope)| {
            scope.reads.contains_key(name)
                && self.within(id, inner)
                && self.defs(name, id).is_some_and(|(_, at)| at == home)
        })
    }

    /// Whether `scope` lies in `outer`, or is it.
    pub(crate) fn within(&self, scope: ScopeId, outer: ScopeId) -> bool {
        let mut at = Some(scope);
        while let Some(id) = at {
            if id == outer {
                return true;
            }
            at = self.all[id].parent;
        }
        false
    }
}

/// What tells nodes apart.
pub(super) fn address<T>(node: &T) -> usize {
    std::ptr::from_ref(node) as usize
}
