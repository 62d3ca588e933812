//! What happens to the result of a send.

use klamm_rules::evidence::ResultUse;

use super::File;
use super::clients::Made;
use super::scope::{ChangeKind, ScopeId};
use super::value::Raw;
use super::visit::Around;
use crate::libraries::Report;
use crate::tree::{Call, Expr, ExprKind, Function, Stmt, StmtKind};

/// Calls whose lambda is run for each element and whose value nobody wants.
const EACH: &[&str] = &[
    "forEach",
    "for_each",
    "forEachOrdered",
    "ForEach",
    "onEach",
    "each",
    "execute",
    "accept",
    "repeat",
    "launch",
    "also",
    "apply",
];
/// Calls that give what their lambda gives.
const THROUGH: &[&str] = &[
    "let",
    "run",
    "with",
    "use",
    "withContext",
    "runBlocking",
    "coroutineScope",
    "synchronized",
    "withLock",
];
/// Calls that tell of all failures of a transaction.
const COMMITS: &[&str] =
    &["commitTransaction", "commit_transaction", "CommitTransaction", "EndTransaction", "CommitTxn"];
/// Chained calls on a future that only look at success.
const SUCCESS_ONLY: &[&str] =
    &["thenAccept", "thenApply", "thenRun", "thenCompose", "add_callback", "then", "thenAcceptAsync"];
/// Chained calls that change nothing about who looks.
const SAME_FUTURE: &[&str] =
    &["orTimeout", "toCompletableFuture", "completable", "thenCombine", "timeout", "asCompletableFuture"];

impl<'t> File<'t> {
    /// What happens to the result of the send `expr`.
    pub(super) fn result(
        &self,
        report: Report,
        call: &'t Call,
        expr: &'t Expr,
        scope: ScopeId,
        around: &[Around<'t>],
    ) -> ResultUse {
        let use_ = Use { file: self, scope, around };
        // Failures of sends come out when the transaction is committed.
        let told = COMMITS.iter().filter_map(|name| self.scopes.calls.get(name)).flatten();
        let function = self.scopes.function_name(scope);
        if told.into_iter().any(|(_, at)| self.scopes.function_name(*at) == function) {
            return ResultUse::Handled;
        }
        match report {
            Report::Future(callback) => {
                let given = callback.and_then(|at| {
                    call.positional(at).or_else(|| call.named("{}")).or_else(|| call.named("callback"))
                });
                match given.or_else(|| last_lambda(call)) {
                    Some(given) if !matches!(given.kind, ExprKind::Null) => self.callback(given, 1, scope),
                    _ => use_.climb(expr, Awaits::NotYet),
                }
            }
            Report::LaterFuture => use_.climb(expr, Awaits::Twice),
            Report::Promise => use_.climb(expr, Awaits::NotYet),
            Report::Result | Report::Error => use_.climb(expr, Awaits::Never),
            Report::Callback { names, at, error, setting } => {
                let given = names.iter().find_map(|name| call.named(name)).or_else(|| call.positional(at));
                let spread = call.args.iter().any(|arg| arg.spread);
                match given {
                    Some(given) if !matches!(given.kind, ExprKind::Null) => {
                        self.callback(given, error, scope)
                    }
                    _ if spread => ResultUse::Unknown,
                    _ => self.default_callback(setting, call, scope),
                }
            }
            Report::Events { method, at } => self.events(method, at, call, scope),
            Report::ErrorUnless { setting, callback } => match self.turned(setting, callback, call, scope) {
                Some(result) => result,
                None => use_.climb(expr, Awaits::Never),
            },
            Report::Context => match call.args.iter().filter(|arg| arg.name.is_none()).count() {
                1 => self.context(call, scope),
                _ => use_.climb(expr, Awaits::Never),
            },
        }
    }

    /// A callback: does it look at the error, its parameter at `error`?
    fn callback(&self, given: &'t Expr, error: usize, scope: ScopeId) -> ResultUse {
        let (given, scope) = self.scopes.origin(given, scope);
        match &given.kind {
            ExprKind::Lambda(function) => self.looks_at(function, error),
            ExprKind::Block(body) => match body.iter().find_map(method_of) {
                Some(function) => self.looks_at(function, error),
                None => ResultUse::Unknown,
            },
            ExprKind::Name(name) => self.named_callback(name, error),
            ExprKind::Member { of, name } => {
                let own = of.as_name().is_some_and(|of| {
                    self.scopes.is_self(of, scope) || self.scopes.class_named(of).is_some()
                });
                if own { self.named_callback(name, error) } else { ResultUse::Unknown }
            }
            ExprKind::Call(call) if call.new => match call.named("{}").map(|body| &body.kind) {
                Some(ExprKind::Block(body)) => match body.iter().find_map(method_of) {
                    Some(function) => self.looks_at(function, error),
                    None => ResultUse::Unknown,
                },
                _ => self.class_callback(call, error),
            },
            _ => ResultUse::Unknown,
        }
    }

    fn class_callback(&self, call: &Call, error: usize) -> ResultUse {
        let class = call.function.last_word().and_then(|name| self.scopes.class_named(name));
        match class.and_then(|class| {
            class.body.iter().find_map(|stmt| method_of(stmt).filter(|method| method.name == "onCompletion"))
        }) {
            Some(function) => self.looks_at(function, error),
            None => ResultUse::Unknown,
        }
    }

    fn named_callback(&self, name: &str, error: usize) -> ResultUse {
        match self.scopes.function(name) {
            Some((function, _)) => {
                let skip = usize::from(
                    function
                        .params
                        .first()
                        .is_some_and(|param| matches!(param.name.as_str(), "self" | "cls")),
                );
                self.looks_at(function, error + skip)
            }
            None => ResultUse::Unknown,
        }
    }

    fn looks_at(&self, function: &Function, error: usize) -> ResultUse {
        let scope = self.scopes.of_function(function);
        let Some(param) = function.params.get(error) else {
            // Fewer parameters than the library gives: `()` or `(metadata)`, or Kotlin's `it`.
            let names_all = function.params.iter().all(|param| !param.name.starts_with(['*', '.']));
            return if names_all { ResultUse::CallbackIgnoresError } else { ResultUse::Unknown };
        };
        let used = !self.scopes.reads(&param.name, scope).is_empty();
        if used { ResultUse::Handled } else { ResultUse::CallbackIgnoresError }
    }

    /// Without a callback of its own a send may have the client's.
    fn default_callback(&self, setting: &str, call: &'t Call, scope: ScopeId) -> ResultUse {
        let variable = self.variable_of(call, scope);
        let client = self.clients.iter().find(|made| made.variable.is_some() && made.variable == variable);
        let Some(client) = client else { return self.sole_default(setting, call, scope) };
        match client.found.entries.get(setting) {
            Some(_) => ResultUse::Handled,
            None if client.found.open && !setting.is_empty() => ResultUse::Unknown,
            None => ResultUse::Ignored,
        }
    }

    /// A client that is known by its type alone may be made anywhere.
    fn sole_default(&self, setting: &str, call: &'t Call, scope: ScopeId) -> ResultUse {
        if setting.is_empty() {
            return ResultUse::Ignored;
        }
        let role = call.receiver().and_then(|of| self.client_of(of, scope)).map(|(_, role)| role);
        let mut makers = self.clients.iter().filter(|made| Some(made.client.role) == role);
        match (makers.next(), makers.next()) {
            (Some(one), None) if !one.found.open && !one.found.entries.contains_key(setting) => {
                ResultUse::Ignored
            }
            _ => ResultUse::Unknown,
        }
    }

    /// The one client of this file that a call may be of.
    fn maker(&self, call: &'t Call, scope: ScopeId) -> Option<&Made<'t>> {
        let variable = self.variable_of(call, scope);
        let own = self.clients.iter().find(|made| made.variable.is_some() && made.variable == variable);
        let role = call.receiver().and_then(|of| self.client_of(of, scope)).map(|(_, role)| role);
        let mut same = self.clients.iter().filter(|made| Some(made.client.role) == role);
        own.or_else(|| same.next().filter(|_| same.next().is_none()))
    }

    /// A setting that takes the error away: the callback hears of it, or nobody. `None` when it is not on.
    fn turned(&self, setting: &str, callback: &str, call: &'t Call, scope: ScopeId) -> Option<ResultUse> {
        let made = self.maker(call, scope)?;
        let on = match made.found.entries.get(setting)? {
            (Raw::Text(text), _) => text == "true",
            _ => return Some(ResultUse::Unknown),
        };
        match (on, made.found.entries.get(callback)) {
            (false, _) => None,
            (true, Some(_)) => Some(ResultUse::Handled),
            (true, None) => Some(ResultUse::Ignored),
        }
    }

    /// rdkafka's producers tell their context: one of this file may look at it, the default one does not.
    fn context(&self, call: &'t Call, scope: ScopeId) -> ResultUse {
        let classes =
            self.scopes.all.iter().filter(|scope| scope.function.is_none()).filter_map(|scope| scope.class);
        let mut contexts = classes
            .filter(|class| class.bases.iter().any(|base| base.ends_with("ProducerContext")))
            .peekable();
        if contexts.peek().is_some() {
            let delivery = contexts.find_map(|class| {
                class.body.iter().filter_map(method_of).find(|method| method.name == "delivery")
            });
            return delivery.map_or(ResultUse::Unknown, |function| self.looks_at(function, 1));
        }
        match self.maker(call, scope).and_then(|made| made.at.as_call()) {
            Some(made) if made.method() == "create" => ResultUse::Ignored,
            _ => ResultUse::Unknown,
        }
    }

    /// Outcomes come elsewhere: does anybody in this file look there?
    fn events(&self, method: &str, at: Option<usize>, call: &'t Call, scope: ScopeId) -> ResultUse {
        if let Some(given) = at.and_then(|at| call.positional(at))
            && !matches!(given.kind, ExprKind::Null)
        {
            return if self.is_received(given, scope) { ResultUse::Handled } else { ResultUse::Unknown };
        }
        if self.scopes.calls.contains_key(method) {
            return ResultUse::Handled;
        }
        // The client may be watched by whoever else holds it.
        match self.variable_of(call, scope) {
            Some((name, home)) if self.scopes.all[home].class.is_none() => {
                let escapes = self
                    .scopes
                    .changes(name, home)
                    .iter()
                    .any(|change| matches!(change.kind, ChangeKind::Passed { .. }));
                let given = self.scopes.all[home]
                    .function
                    .is_some_and(|function| function.params.iter().any(|param| param.name == name));
                if escapes || given || self.is_returned(name) {
                    ResultUse::Unknown
                } else {
                    ResultUse::Ignored
                }
            }
            _ => ResultUse::Unknown,
        }
    }

    fn is_returned(&self, name: &str) -> bool {
        self.kept.iter().any(|kept| kept == name)
    }

    fn is_received(&self, channel: &'t Expr, scope: ScopeId) -> bool {
        let Some(name) = self.scopes.variable(channel, scope) else { return false };
        self.received.iter().any(|received| received == name)
    }
}

/// How often the outcome must still be awaited.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Awaits {
    /// Awaiting it once is waiting for the outcome.
    NotYet,
    /// The first awaiting gives the future only.
    Twice,
    /// Awaiting gives a value that has the error in it.
    Never,
}

struct Use<'a, 't> {
    file: &'a File<'t>,
    scope: ScopeId,
    around: &'a [Around<'t>],
}

impl<'t> Use<'_, 't> {
    /// Goes outwards from the send until somebody does something with what it gives.
    fn climb(&self, expr: &'t Expr, awaits: Awaits) -> ResultUse {
        let mut current = expr;
        let mut awaits = awaits;
        let mut index = self.around.len();
        while let Some(outer) = index.checked_sub(1).map(|at| self.around[at]) {
            index -= 1;
            match outer {
                Around::Expr(outer) => match self.outer(outer, current, &mut awaits, index) {
                    Step::On => current = outer,
                    Step::Skip(by) => {
                        index = index.saturating_sub(by);
                        if let Some(Around::Expr(outer)) = self.around.get(index) {
                            current = outer;
                        }
                    }
                    Step::Is(result) => return result,
                },
                Around::Stmt(stmt) => return self.stmt(stmt, awaits, index),
                Around::Function(_) => return ResultUse::Unknown,
            }
        }
        ResultUse::Unknown
    }

    fn outer(&self, outer: &'t Expr, current: &'t Expr, awaits: &mut Awaits, index: usize) -> Step {
        match &outer.kind {
            ExprKind::Await(_) => match *awaits {
                Awaits::NotYet => Step::Is(ResultUse::Handled),
                Awaits::Twice => {
                    *awaits = Awaits::NotYet;
                    Step::On
                }
                Awaits::Never => Step::On,
            },
            ExprKind::Try(_) => Step::Is(ResultUse::Handled),
            ExprKind::Member { of, name } if std::ptr::eq(of.as_ref(), current) => self.chained(name, index),
            ExprKind::Assign { targets, .. } => Step::Is(self.assigned(targets, outer)),
            // `void send(…)`.
            ExprKind::Other(inner) if inner.len() == 1 => Step::On,
            ExprKind::Call(_)
            | ExprKind::List(_)
            | ExprKind::Map { .. }
            | ExprKind::Choice { .. }
            | ExprKind::Binary { .. } => Step::Is(ResultUse::Passed),
            _ => Step::Is(ResultUse::Unknown),
        }
    }

    /// `send(…).name(…)`.
    fn chained(&self, name: &str, index: usize) -> Step {
        let call = match index.checked_sub(1).map(|at| self.around[at]) {
            Some(Around::Expr(Expr { kind: ExprKind::Call(call), .. })) => call,
            _ => return Step::Is(ResultUse::Unknown),
        };
        let lambda = |at: usize| call.positional(at);
        match name {
            "get" | "join" | "result" | "unwrap" | "expect" | "await" | "getNow" | "resultNow"
            | "FirstErr" | "exceptionally" | "add_errback" | "is_err" | "map_err" | "unwrap_or_else"
            | "is_ok" | "err" | "handleErr" | "addErrback" | "block" => Step::Is(ResultUse::Handled),
            "whenComplete" | "whenCompleteAsync" | "handle" | "handleAsync" => match lambda(0) {
                Some(given) => Step::Is(self.file.callback(given, 1, self.scope)),
                None => Step::Is(ResultUse::Unknown),
            },
            "addCallback" if call.args.len() >= 2 => match lambda(1) {
                Some(given) => Step::Is(self.file.callback(given, 0, self.scope)),
                None => Step::Is(ResultUse::Unknown),
            },
            "addCallback" => Step::Is(ResultUse::Handled),
            "catch" => match lambda(0).map(|given| &given.kind) {
                Some(ExprKind::Lambda(function)) if function.body.is_empty() => {
                    Step::Is(ResultUse::CallbackIgnoresError)
                }
                _ => Step::Is(ResultUse::Handled),
            },
            "then" if call.args.len() > 1 => Step::Is(ResultUse::Handled),
            "ok" => Step::Skip(1),
            name if SUCCESS_ONLY.contains(&name) || SAME_FUTURE.contains(&name) => Step::Skip(1),
            _ => Step::Is(ResultUse::Unknown),
        }
    }

    fn assigned(&self, targets: &'t [Expr], outer: &'t Expr) -> ResultUse {
        match targets.last() {
            Some(Expr { kind: ExprKind::Name(name), .. }) => self.bound(name, outer.span.end),
            Some(_) => ResultUse::Passed,
            None => ResultUse::Unknown,
        }
    }

    /// A name holds it: is it read afterwards?
    fn bound(&self, name: &str, from: u32) -> ResultUse {
        if name == "_" {
            return ResultUse::Ignored;
        }
        let Some((_, home)) = self.file.scopes.defs(name, self.scope) else { return ResultUse::Unknown };
        if self.file.scopes.all[home].function.is_none() {
            return ResultUse::Passed;
        }
        let reads = self.file.scopes.reads(name, home);
        match () {
            () if reads.is_empty() => ResultUse::Ignored,
            () if reads.iter().any(|at| *at >= from) => ResultUse::Passed,
            () => ResultUse::Unknown,
        }
    }

    fn stmt(&self, stmt: &'t Stmt, awaits: Awaits, index: usize) -> ResultUse {
        match &stmt.kind {
            StmtKind::Expr(_) | StmtKind::Defer(_) => ResultUse::Ignored,
            StmtKind::Bind(bind) => match bind.names.last() {
                Some(name) => match self.bound(name, stmt.span.end) {
                    // An error value that is read is looked at.
                    ResultUse::Passed if awaits == Awaits::Never => ResultUse::Handled,
                    other => other,
                },
                None => ResultUse::Unknown,
            },
            StmtKind::Return(_) => self.returned(index, awaits),
            StmtKind::Throw(_) | StmtKind::If { .. } | StmtKind::Branch { .. } => ResultUse::Handled,
            _ => ResultUse::Unknown,
        }
    }

    /// Returned from a function is handed to the caller; from a lambda that is run for each element it is lost.
    fn returned(&self, index: usize, awaits: Awaits) -> ResultUse {
        let rest = &self.around[..index];
        let lambda = rest.iter().rposition(|outer| matches!(outer, Around::Function(_)));
        let Some(at) = lambda else { return ResultUse::Passed };
        let (Around::Function(function), Some(outer)) = (rest[at], at.checked_sub(2)) else {
            return ResultUse::Passed;
        };
        if !function.name.is_empty() {
            return ResultUse::Passed;
        }
        match rest[outer] {
            Around::Expr(Expr { kind: ExprKind::Call(call), .. }) if EACH.contains(&call.method()) => {
                ResultUse::Ignored
            }
            Around::Expr(expr @ Expr { kind: ExprKind::Call(call), .. })
                if THROUGH.contains(&call.method()) =>
            {
                Use { file: self.file, scope: self.scope, around: &rest[..outer] }.climb(expr, awaits)
            }
            _ => ResultUse::Passed,
        }
    }
}

enum Step {
    /// One outwards.
    On,
    /// So many outwards: the call of a chain.
    Skip(usize),
    Is(ResultUse),
}

fn method_of(stmt: &Stmt) -> Option<&Function> {
    match &stmt.kind {
        StmtKind::Function(function) => Some(function),
        _ => None,
    }
}

/// Kotlin's `send(record) { metadata, error -> … }`.
fn last_lambda(call: &Call) -> Option<&Expr> {
    let last = call.args.last().filter(|_| call.args.len() > 1)?;
    matches!(last.value.kind, ExprKind::Lambda(_)).then_some(&last.value)
}
