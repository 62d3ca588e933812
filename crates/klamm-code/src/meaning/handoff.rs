//! Work that goes elsewhere: what is waited for at the end of a block, and what lies in a collection until somebody takes it.

use klamm_rules::evidence::{Effect, EffectKind};

use super::File;
use super::effects::{FOLLOW, Trace};
use super::scope::{Change, ChangeKind, Def, ScopeId};
use super::value::collect_returns;
use super::visit;
use crate::tree::{Arg, Call, Expr, ExprKind, Span, Stmt, StmtKind};

/// What waits for work that was handed off, called on what the hand-off gave.
const JOINS: &[&str] = &[
    "get",
    "join",
    "result",
    "await",
    "getNow",
    "resultNow",
    "exception",
    "block",
    "wait",
    "Wait",
    "getDone",
];
/// What makes one of several such, and waits for none.
const COMBINES: &[&str] = &[
    "allOf",
    "anyOf",
    "allAsList",
    "successfulAsList",
    "toArray",
    "stream",
    "copyOf",
    "sequence",
    "asList",
    "of",
];
/// What runs a function when the work is done.
const CONTINUES: &[&str] = &[
    "thenRun",
    "thenAccept",
    "thenApply",
    "thenRunAsync",
    "thenAcceptAsync",
    "thenApplyAsync",
    "whenComplete",
    "whenCompleteAsync",
    "handle",
    "handleAsync",
    "addCallback",
    "then",
    "finally",
    "add_done_callback",
    "invokeOnCompletion",
];
/// JavaScript's own objects, whose methods wait for nothing.
const BUILT_IN: &[&str] = &[
    "Object", "Math", "JSON", "Buffer", "Array", "Number", "String", "Reflect", "Atomics", "console",
    "process",
];

impl<'t> Trace<'_, 't> {
    /// An executor or a group of tasks that a block opens is waited for at its end.
    pub(super) fn joined_at_end(&mut self, body: &'t [Stmt], before: usize, span: Span) {
        const GROUPS: &[&str] =
            &["Executors", "TaskGroup", "ThreadPoolExecutor", "ProcessPoolExecutor", "StructuredTaskScope"];
        let opens = |stmt: &Stmt| match &stmt.kind {
            StmtKind::Bind(bind) if bind.constant => {
                let path = bind.value.as_ref().and_then(Expr::path).unwrap_or_default();
                path.split('.').any(|word| GROUPS.contains(&word))
            }
            _ => false,
        };
        if self.handed_off_since(before) && body.iter().any(opens) {
            self.push(EffectKind::Join, span, "the end of the block".to_owned());
        }
    }

    pub(super) fn handed_off_since(&self, before: usize) -> bool {
        self.effects[before.min(self.effects.len())..]
            .iter()
            .any(|(effect, _)| effect.kind == EffectKind::HandOff)
    }

    /// A collection outside of the function that something else takes from.
    pub(super) fn is_backlog(&self, call: &'t Call, scope: ScopeId) -> bool {
        let scopes = &self.file.scopes;
        let Some(of) = call
            .receiver()
            .filter(|_| matches!(call.method(), "push" | "add" | "append" | "addLast" | "appendleft"))
        else {
            return false;
        };
        let (Some(name), Some((_, home))) = (scopes.variable(of, scope), scopes.defs_of(of, scope)) else {
            return false;
        };
        let takes = |change: &Change<'t>| {
            let taken = matches!(change.kind, ChangeKind::Called(call)
                if matches!(call.method(), "shift" | "pop" | "splice" | "poll" | "take" | "popleft" | "removeFirst"));
            taken
                && !self.following.iter().any(|here| scopes.within(change.scope, *here))
                && change.scope != scope
        };
        scopes.all[home].function.is_none() && scopes.changes(name, home).iter().any(takes)
    }
}

fn commits((effect, _): &(Effect, Span)) -> bool {
    matches!(effect.kind, EffectKind::Commit | EffectKind::CommitAsync | EffectKind::Mark)
}

impl<'t> Trace<'_, 't> {
    /// A variable holds what work was handed off to.
    pub(super) fn keep(&mut self, name: &'t str, scope: ScopeId) {
        if let Some((_, home)) = self.file.scopes.defs(name, scope) {
            self.handed.insert((name, home));
        }
    }

    pub(super) fn is_handed(&self, expr: &'t Expr, scope: ScopeId) -> bool {
        self.mentions(&self.handed, expr, scope)
    }

    pub(super) fn gives_handed(&self, call: &'t Call, scope: ScopeId) -> bool {
        call.args.iter().any(|arg| self.is_handed(&arg.value, scope))
    }

    /// `future.get()`, `futures.forEach(Future::join)`.
    pub(super) fn waits_for_handed(&mut self, call: &'t Call, expr: &'t Expr, scope: ScopeId) -> bool {
        if !call.receiver().is_some_and(|of| self.is_handed(of, scope)) {
            return false;
        }
        let by_name = |arg: &Arg| arg.value.last_word().is_some_and(|word| JOINS.contains(&word));
        let joins = JOINS.contains(&call.method()) || call.args.iter().any(by_name);
        if joins {
            self.push(EffectKind::Join, expr.span, self.name_of(call));
        }
        joins
    }

    /// Another file is given what work was handed off to: it may wait for it.
    pub(super) fn given_handed(&mut self, call: &'t Call, expr: &'t Expr) {
        if COMBINES.contains(&call.method()) || self.file.is_pure(call) {
            return;
        }
        let what = self.name_of(call);
        self.unclear(format!("{what} may wait for what was handed off: it lies in another file"));
        self.push(EffectKind::Join, expr.span, what);
    }

    /// Work for another thread. What that commits by itself, after its work, is in order.
    pub(super) fn hand_off(&mut self, call: &'t Call, expr: &'t Expr, scope: ScopeId, what: String) {
        let (before, unclear) = (self.effects.len(), self.unclear.len());
        self.lambdas(call, scope);
        let inner = self.effects.split_off(before);
        if inner.iter().any(commits) {
            let waits =
                |(effect, _): &(Effect, Span)| matches!(effect.kind, EffectKind::Block | EffectKind::Store);
            self.effects.extend(inner.into_iter().filter(|each| !waits(each)));
            return;
        }
        self.unclear.truncate(unclear);
        if call.args.iter().any(|arg| self.file.is_acknowledgment(&arg.value, scope)) {
            self.unclear(format!(
                "{what} is given the acknowledgment, and when it acknowledges cannot be told"
            ));
            return;
        }
        self.push(EffectKind::HandOff, expr.span, what);
    }

    /// A commit in what runs when the work is done waits for it: `runAsync(…).thenRun(ack::acknowledge)`. The effects of the call itself
    /// begin at `start`, those of what it is given at `before`.
    pub(super) fn continued(
        &mut self,
        call: &'t Call,
        expr: &'t Expr,
        scope: ScopeId,
        (start, before): (usize, usize),
    ) {
        let handed =
            self.handed_off_since(start) || call.receiver().is_some_and(|of| self.is_handed(of, scope));
        let commits = self.effects[before.min(self.effects.len())..].iter().any(commits);
        if CONTINUES.contains(&call.method()) && handed && commits {
            let effect = Effect {
                place: self.file.place(expr.span),
                kind: EffectKind::Join,
                what: self.name_of(call),
            };
            self.effects.insert(before, (effect, expr.span));
        }
    }

    /// JavaScript's call that nobody awaits: its promise may still be under way when the handler returns. `before` is where the effects of the
    /// statement begin.
    pub(super) fn dropped_promise(&mut self, stmt: &'t Stmt, before: usize, scope: ScopeId) {
        let StmtKind::Expr(expr) = &stmt.kind else { return };
        // `void save(message)`.
        let expr = match &expr.kind {
            ExprKind::Other(inner) if inner.len() == 1 => &inner[0],
            _ => expr,
        };
        let (Some(call), Some(outer)) = (innermost(expr).as_call(), expr.as_call()) else { return };
        let given = |arg: &'t Arg| {
            !matches!(arg.value.kind, ExprKind::Lambda(_)) && self.is_tainted(&arg.value, scope)
        };
        if call.new || self.handed_off_since(before) || !call.args.iter().any(given) {
            return;
        }
        let known =
            self.file.method(call, scope).is_some() || self.file.is_log(call) || self.file.is_pure(call);
        let does = self.file.general(call, scope);
        if known || matches!(does, Some(kind) if !matches!(kind, EffectKind::Block | EffectKind::Store)) {
            return;
        }
        if let Some((function, _)) = self.file.scopes.called(call, scope) {
            let mut returns = Vec::new();
            collect_returns(&function.body, &mut returns);
            let calls = |expr: &&Expr| expr.as_call().is_some_and(|call| !self.file.is_pure(call));
            if function.is_async || !returns.iter().any(calls) {
                return;
            }
        }
        let what = self.name_of(call);
        match std::ptr::eq(call, outer) {
            true if self.is_synchronous(call, scope) => {}
            true => {
                self.unclear(format!("whether `{what}` gives a promise, which nobody awaits, cannot be told"))
            }
            false => self.push(EffectKind::HandOff, expr.span, what),
        }
    }

    /// JavaScript's own methods, and those of what this file makes.
    fn is_synchronous(&self, call: &'t Call, scope: ScopeId) -> bool {
        let root = call.function.path().and_then(|path| path.split('.').next().map(str::to_owned));
        let own = |of: &'t Expr| match self.file.only_def(of, scope).and_then(|def| def.value) {
            Some(Expr { kind: ExprKind::List(_) | ExprKind::Map { .. }, .. }) => true,
            Some(value) => value
                .as_call()
                .is_some_and(|made| made.new && matches!(made.method(), "Map" | "Set" | "Array" | "WeakMap")),
            None => false,
        };
        call.method().ends_with("Sync")
            || root.is_some_and(|root| BUILT_IN.contains(&root.as_str()))
            || call.receiver().is_some_and(own)
    }

    /// Lambdas that a call is given: run in place, with what the call is about.
    pub(super) fn lambdas(&mut self, call: &'t Call, scope: ScopeId) {
        let about = call.receiver().is_some_and(|of| self.is_tainted(of, scope))
            || call.args.iter().any(|arg| {
                !matches!(arg.value.kind, ExprKind::Lambda(_)) && self.is_tainted(&arg.value, scope)
            });
        let handed = call.receiver().is_some_and(|of| self.is_handed(of, scope));
        for arg in &call.args {
            if let ExprKind::Member { of, name } = &arg.value.kind
                && name == "acknowledge"
                && self.file.is_acknowledgment(of, scope)
            {
                self.push(EffectKind::Commit, arg.value.span, self.file.shown(&arg.value));
            }
            let ExprKind::Lambda(function) = &arg.value.kind else { continue };
            let inner = self.file.scopes.of_function(function);
            if about {
                function.params.iter().for_each(|param| self.taint(&param.name, inner));
            }
            if handed {
                function.params.iter().for_each(|param| self.keep(&param.name, inner));
            }
            if self.following.len() < FOLLOW && !self.following.contains(&inner) {
                self.following.push(inner);
                self.stmts(&function.body, inner);
                self.following.pop();
            }
        }
    }
}

impl<'t> File<'t> {
    /// Spring's `Acknowledgment`, or a lambda that uses one.
    pub(super) fn is_acknowledgment(&self, expr: &'t Expr, scope: ScopeId) -> bool {
        let typed = |defs: &[Def<'t>]| {
            let ours = |ty: &str| ty.trim_end_matches('?').ends_with("Acknowledgment");
            defs.iter().any(|def| def.ty.is_some_and(ours))
        };
        let scopes = &self.scopes;
        let mut ours = |part: &'t Expr| match &part.kind {
            ExprKind::Lambda(function) => {
                let inner = scopes.of_function(function);
                scopes.all.iter().enumerate().filter(|(id, _)| scopes.within(*id, inner)).any(
                    |(id, scope)| {
                        scope
                            .reads
                            .keys()
                            .any(|name| scopes.defs(name, id).is_some_and(|(defs, _)| typed(defs)))
                    },
                )
            }
            _ => scopes.defs_of(part, scope).is_some_and(|(defs, _)| typed(defs)),
        };
        visit::any(expr, &mut ours)
    }
}

/// `save(message)` of `save(message).then(…).catch(…)`.
fn innermost(expr: &Expr) -> &Expr {
    match expr.as_call() {
        Some(call) if matches!(call.method(), "then" | "catch" | "finally") => {
            call.receiver().map_or(expr, innermost)
        }
        _ => expr,
    }
}
