//! Failures that are swallowed: caught or returned, perhaps logged, and the record is left behind.

use klamm_rules::evidence::{Effect, EffectKind};

use super::effects::Trace;
use super::scope::ScopeId;
use crate::tree::{Call, Catch, Expr, ExprKind, Span, Stmt, StmtKind};

/// Failures that stop a consumer or that concern no record.
const HARMLESS: &[&str] = &[
    "WakeupException",
    "InterruptedException",
    "CommitFailedException",
    "KeyboardInterrupt",
    "CancelledError",
    "StopIteration",
    "StopAsyncIteration",
    "CancellationException",
    "RebalanceInProgressException",
    "KafkaException",
    "KafkaError",
    "Full",
    "Empty",
    "QueueFull",
    "TimeoutError",
    "TimeoutException",
];

/// Parts of the names of failures that say that the work is done already: a consumer that stands records twice catches them.
const DONE: &[&str] =
    &["Duplicate", "UniqueViolation", "UniqueConstraint", "AlreadyExists", "AlreadyProcessed"];

/// Failures that a record which comes twice makes, and others, too.
const PERHAPS_DONE: &[&str] = &[
    "IntegrityError",
    "DataIntegrityViolationException",
    "ConstraintViolationException",
    "SQLIntegrityConstraintViolationException",
];

impl<'t> Trace<'_, 't> {
    pub(super) fn attempt(
        &mut self,
        body: &'t [Stmt],
        catches: &'t [Catch],
        finally: &'t [Stmt],
        scope: ScopeId,
    ) {
        let before = self.effects.len();
        self.stmts(body, scope);
        if let (Some(first), Some(last)) = (body.first(), body.last()) {
            self.joined_at_end(body, before, Span { start: first.span.start, end: last.span.end });
        }
        let worked = self.worked_since(before);
        for catch in catches {
            let names = || catch.types.iter().map(|ty| ty.rsplit(['.', ':']).next().unwrap_or(ty));
            let all = |is: &dyn Fn(&str) -> bool| !catch.types.is_empty() && names().all(is);
            let done = |ty: &str| DONE.iter().any(|part| ty.contains(part));
            let harmless = |ty: &str| HARMLESS.contains(&ty) || done(ty);
            if worked && !all(&harmless) && self.only_logs(&catch.body) {
                match all(&|ty| harmless(ty) || PERHAPS_DONE.contains(&ty)) {
                    true => self.unclear(format!(
                        "whether {} says that the record was worked on before cannot be told",
                        self.head_of(catch)
                    )),
                    false => self.push(EffectKind::Swallow, catch.span, self.head_of(catch)),
                }
            }
            self.stmts(&catch.body, scope);
        }
        self.stmts(finally, scope);
    }

    fn worked_since(&self, before: usize) -> bool {
        let works = |(effect, _): &(Effect, Span)| {
            matches!(effect.kind, EffectKind::Work | EffectKind::Block | EffectKind::Store | EffectKind::Send)
        };
        self.effects[before.min(self.effects.len())..].iter().any(works)
    }

    fn head_of(&self, catch: &Catch) -> String {
        match catch.types.as_slice() {
            [] => "catch".to_owned(),
            types => format!("catch {}", types.join(" | ")),
        }
    }

    /// Nothing but logs, and going on.
    fn only_logs(&self, body: &[Stmt]) -> bool {
        body.iter().all(|stmt| match &stmt.kind {
            StmtKind::Continue => true,
            StmtKind::Expr(expr) => match &expr.kind {
                ExprKind::Call(call) => self.only_tells(call),
                ExprKind::Other(inner) => inner.is_empty(),
                _ => false,
            },
            StmtKind::Block(inner) => self.only_logs(inner),
            _ => false,
        })
    }

    /// A log or a counter that nobody has to look at. Go's `log.Fatal` and `log.Panic` end the program.
    fn only_tells(&self, call: &Call) -> bool {
        let method = call.method();
        let path = call.function.path().unwrap_or_default();
        let ends = |word: &str| word.starts_with("Fatal") || word.starts_with("Panic");
        if self.file.language == "go" && path.split('.').any(ends) {
            return false;
        }
        // zerolog: `log.Error().Err(err).Msg("…")`.
        let chained = matches!(method, "Msg" | "Msgf")
            && path.split('.').any(|word| matches!(word, "Error" | "Err" | "Warn" | "Info" | "Debug"));
        chained || matches!(method, "Inc" | "inc" | "increment") || self.file.is_log(call)
    }

    /// Go's failures are values: `if err := work(m); err != nil { log.Print(err) }` goes on, `_ = work(m)` does not even look. `before` is where
    /// the effects of statement `at` begin.
    pub(super) fn returned_failure(&mut self, body: &'t [Stmt], at: usize, before: usize, scope: ScopeId) {
        let Some((stmt, rest)) = body.get(at..).and_then(<[Stmt]>::split_first) else { return };
        let Some((names, value, own)) = given(stmt) else { return };
        if !matches!(value.kind, ExprKind::Call(_)) || !self.worked_since(before) {
            return;
        }
        if names.iter().all(|name| *name == "_") {
            let what = format!("_ = {}", self.file.shown(value));
            return self.push(EffectKind::Swallow, stmt.span, what);
        }
        let (Some(name), Some((next, rest))) = (names.last().copied(), rest.split_first()) else { return };
        let StmtKind::If { test, then, otherwise } = &next.kind else { return };
        let goes_on = otherwise.is_empty() && self.only_logs(then) && !leaves(then);
        if !goes_on || !tests(test, name) {
            return;
        }
        let again = rest.iter().find(|stmt| gives(stmt, name)).map(|stmt| stmt.span.start);
        // What `:=` makes ends with its block.
        let end = body.last().filter(|_| own).map(|last| last.span.end);
        let until = again.or(end).unwrap_or(u32::MAX);
        let home = self.file.scopes.defs(name, scope).map_or(scope, |(_, home)| home);
        let reads = self.file.scopes.reads(name, home);
        match reads.iter().any(|read| (next.span.end..until).contains(read)) {
            true => self
                .unclear(format!("what becomes of the failure of {} cannot be told", self.file.shown(value))),
            false => self.push(EffectKind::Swallow, next.span, format!("if {}", self.file.shown(test))),
        }
    }
}

/// Names that a statement gives a value to, that value, and whether it makes them.
fn given(stmt: &Stmt) -> Option<(Vec<&str>, &Expr, bool)> {
    match &stmt.kind {
        StmtKind::Bind(bind) => {
            Some((bind.names.iter().map(String::as_str).collect(), bind.value.as_ref()?, true))
        }
        StmtKind::Expr(Expr { kind: ExprKind::Assign { targets, value, .. }, .. }) => {
            let names: Option<Vec<&str>> = targets.iter().map(Expr::as_name).collect();
            Some((names?, value, false))
        }
        _ => None,
    }
}

/// Whether a statement, or the head of an `if`, gives a name another value.
fn gives(stmt: &Stmt, name: &str) -> bool {
    match &stmt.kind {
        StmtKind::Block(inner) => inner.first().is_some_and(|first| gives(first, name)),
        _ => given(stmt).is_some_and(|(names, ..)| names.contains(&name)),
    }
}

/// `err != nil`, perhaps with more conditions behind it.
fn tests(test: &Expr, name: &str) -> bool {
    match &test.kind {
        ExprKind::Binary { op, left, right } if op == "!=" => {
            left.as_name() == Some(name) && matches!(right.kind, ExprKind::Null)
        }
        ExprKind::Binary { op, left, .. } if op == "&&" => tests(left, name),
        _ => false,
    }
}

/// The turn ends there, so that nothing behind it commits the record.
fn leaves(body: &[Stmt]) -> bool {
    body.iter().any(|stmt| match &stmt.kind {
        StmtKind::Continue => true,
        StmtKind::Block(inner) => leaves(inner),
        _ => false,
    })
}
