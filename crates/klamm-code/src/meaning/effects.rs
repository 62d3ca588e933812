//! Loops that poll and handlers that a library calls: what they do, in order.

use std::collections::HashSet;

use klamm_rules::evidence::{Effect, EffectKind, Library, PollLoop, Role};

use super::File;
use super::scope::ScopeId;
use super::visit;
use crate::libraries::Does;
use crate::tree::{Arm, Call, Expr, ExprKind, Function, Loop, LoopKind, Span, Stmt, StmtKind};

/// How many calls deep a loop is followed.
pub(super) const FOLLOW: usize = 5;
/// Effects of one loop; more are not kept.
const EFFECTS: usize = 400;
/// What one loop does.
pub(super) struct Trace<'a, 't> {
    pub(super) file: &'a File<'t>,
    pub(super) effects: Vec<(Effect, Span)>,
    pub(super) unclear: Vec<String>,
    library: Library,
    topics: Vec<String>,
    pub(super) following: Vec<ScopeId>,
    /// Variables that hold records, or what is made of them.
    tainted: HashSet<(&'t str, ScopeId)>,
    /// Variables that hold what work was handed off to: futures, and collections of them.
    pub(super) handed: HashSet<(&'t str, ScopeId)>,
}

impl<'a, 't> Trace<'a, 't> {
    fn new(file: &'a File<'t>) -> Self {
        Trace {
            file,
            effects: Vec::new(),
            unclear: Vec::new(),
            library: Library::Unknown,
            topics: Vec::new(),
            following: Vec::new(),
            tainted: HashSet::new(),
            handed: HashSet::new(),
        }
    }

    /// Of a loop; `None` when it does not poll.
    pub(super) fn of_loop(file: &'a File<'t>, stmt: &'t Stmt, scope: ScopeId) -> Option<(PollLoop, bool)> {
        let mut trace = Trace::new(file);
        trace.stmt(stmt, scope);
        let (poll, span) = trace.effects.iter().find(|(effect, _)| effect.kind == EffectKind::Poll)?.clone();
        let own = span.start >= stmt.span.start && span.end <= stmt.span.end;
        Some((trace.finish(poll.place, scope, Handler::No), own))
    }

    /// Of a handler.
    pub(super) fn of_handler(
        file: &'a File<'t>,
        function: &'t Function,
        library: Library,
        topics: Vec<String>,
    ) -> PollLoop {
        let mut trace = Trace::new(file);
        let scope = file.scopes.of_function(function);
        trace.library = library;
        trace.topics = topics;
        trace.following.push(scope);
        for param in &function.params {
            let is_ours = param
                .ty
                .as_deref()
                .is_some_and(|ty| ty.ends_with("Acknowledgment") || ty.ends_with("Consumer"));
            // What KafkaJS gives beside the message.
            const BESIDE: &[&str] = &[
                "pause",
                "heartbeat",
                "resolveOffset",
                "commitOffsetsIfNecessary",
                "isRunning",
                "isStale",
                "topic",
                "partition",
                "uncommittedOffsets",
                "ack",
                "acknowledgment",
            ];
            if !is_ours && !BESIDE.contains(&param.name.as_str()) {
                trace.taint(&param.name, scope);
            }
        }
        trace.stmts(&function.body, scope);
        trace.finish(file.place(function.span), scope, Handler::Yes)
    }

    fn finish(self, place: klamm_rules::evidence::Place, scope: ScopeId, handler: Handler) -> PollLoop {
        PollLoop {
            place,
            library: self.library,
            function: self.file.scopes.function_name(scope),
            topics: self.topics,
            handler: matches!(handler, Handler::Yes),
            effects: self.effects.into_iter().map(|(effect, _)| effect).collect(),
            unclear: self.unclear,
        }
    }

    pub(super) fn push(&mut self, kind: EffectKind, span: Span, what: String) {
        if self.effects.len() < EFFECTS {
            self.effects.push((Effect { place: self.file.place(span), kind, what }, span));
        }
    }

    pub(super) fn unclear(&mut self, why: String) {
        if !self.unclear.contains(&why) && self.unclear.len() < 20 {
            self.unclear.push(why);
        }
    }

    pub(super) fn taint(&mut self, name: &'t str, scope: ScopeId) {
        if let Some((_, home)) = self.file.scopes.defs(name, scope) {
            self.tainted.insert((name, home));
        }
    }

    pub(super) fn is_tainted(&self, expr: &'t Expr, scope: ScopeId) -> bool {
        self.mentions(&self.tainted, expr, scope)
    }

    /// Whether an expression names one of these variables, also within a lambda.
    pub(super) fn mentions(
        &self,
        wanted: &HashSet<(&'t str, ScopeId)>,
        expr: &'t Expr,
        scope: ScopeId,
    ) -> bool {
        if wanted.is_empty() {
            return false;
        }
        let file = self.file;
        let mut look = |part: &'t Expr| match file.scopes.variable(part, scope) {
            Some(name) => {
                file.scopes.defs_of(part, scope).is_some_and(|(_, home)| wanted.contains(&(name, home)))
            }
            None => match &part.kind {
                ExprKind::Lambda(function) => {
                    let inner = file.scopes.of_function(function);
                    wanted.iter().any(|(name, home)| file.scopes.reads_within(name, *home, inner))
                }
                _ => false,
            },
        };
        visit::any(expr, &mut look)
    }

    pub(super) fn stmts(&mut self, body: &'t [Stmt], scope: ScopeId) {
        for (at, stmt) in body.iter().enumerate() {
            let before = self.effects.len();
            self.stmt(stmt, scope);
            match self.file.language {
                "go" => self.returned_failure(body, at, before, scope),
                "javascript" | "typescript" => self.dropped_promise(stmt, before, scope),
                _ => {}
            }
        }
    }

    fn stmt(&mut self, stmt: &'t Stmt, scope: ScopeId) {
        match &stmt.kind {
            StmtKind::Expr(expr) => self.expr(expr, scope),
            StmtKind::Return(expr) | StmtKind::Throw(expr) => {
                if let Some(expr) = expr {
                    self.expr(expr, scope);
                }
            }
            StmtKind::Bind(bind) => {
                if let Some(value) = &bind.value {
                    let before = self.effects.len();
                    self.expr(value, scope);
                    if self.is_tainted(value, scope) || self.polled_since(before) {
                        bind.names.iter().for_each(|name| self.taint(name, scope));
                    }
                    if self.handed_off_since(before) || self.is_handed(value, scope) {
                        bind.names.iter().for_each(|name| self.keep(name, scope));
                    }
                }
            }
            StmtKind::If { test, then, otherwise } => {
                self.expr(test, scope);
                let before = self.effects.len();
                self.stmts(then, scope);
                if self.file.finds_nothing(test) && self.is_tainted(test, scope) {
                    self.drop_pauses(before);
                }
                let before = self.effects.len();
                self.stmts(otherwise, scope);
                if self.file.finds_something(test) && self.is_tainted(test, scope) {
                    self.drop_pauses(before);
                }
            }
            StmtKind::Branch { on, arms } => self.branch(on.as_ref(), arms, scope),
            StmtKind::Loop(turn) => self.turn(turn, scope),
            StmtKind::Try { body, catches, finally } => self.attempt(body, catches, finally, scope),
            StmtKind::Block(body) => {
                let before = self.effects.len();
                self.stmts(body, scope);
                self.joined_at_end(body, before, stmt.span);
            }
            // Runs when the function ends, not in each turn.
            StmtKind::Defer(_) => {}
            _ => {}
        }
    }

    fn polled_since(&self, before: usize) -> bool {
        self.effects[before.min(self.effects.len())..]
            .iter()
            .any(|(effect, _)| effect.kind == EffectKind::Poll)
    }

    fn branch(&mut self, on: Option<&'t Expr>, arms: &'t [Arm], scope: ScopeId) {
        let before = self.effects.len();
        let mut tainted = false;
        if let Some(on) = on {
            self.expr(on, scope);
            tainted = self.is_tainted(on, scope) || self.polled_since(before);
        }
        for arm in arms {
            let start = self.effects.len();
            let mut own = tainted;
            if let Some(pattern) = &arm.pattern {
                self.expr(pattern, scope);
                own |= self.is_tainted(pattern, scope) || self.polled_since(start);
            }
            if own {
                arm.names.iter().for_each(|name| self.taint(name, scope));
            }
            self.stmts(&arm.body, scope);
        }
    }

    fn turn(&mut self, turn: &'t Loop, scope: ScopeId) {
        let before = self.effects.len();
        let mut tainted = false;
        if let Some(head) = &turn.head {
            self.expr(head, scope);
            if self.is_handed(head, scope) {
                turn.names.iter().for_each(|name| self.keep(name, scope));
            }
            // `for message in consumer` polls.
            if turn.kind == LoopKind::Each
                && let Some((table, Role::Consumer)) = self.file.client_of(head, scope)
            {
                self.library = table.library;
                let variable = self
                    .file
                    .scopes
                    .variable(head, scope)
                    .and_then(|name| self.file.scopes.defs_of(head, scope).map(|(_, home)| (name, home)));
                self.topics_of(variable);
                self.push(EffectKind::Poll, head.span, self.file.shown(head));
            }
            tainted = self.is_tainted(head, scope) || self.polled_since(before);
        }
        if tainted {
            turn.names.iter().for_each(|name| self.taint(name, scope));
        }
        self.stmts(&turn.body, scope);
    }

    fn expr(&mut self, expr: &'t Expr, scope: ScopeId) {
        match &expr.kind {
            ExprKind::Await(inner) => match &inner.kind {
                ExprKind::Call(call) => self.call(call, inner, scope, Waits::Yes),
                _ => self.await_other(inner, scope),
            },
            ExprKind::Call(call) => self.call(call, expr, scope, Waits::No),
            ExprKind::Spawn(inner) => {
                if self.is_tainted(inner, scope) || !self.effects.is_empty() {
                    self.push(EffectKind::HandOff, expr.span, format!("go {}", self.file.shown(inner)));
                }
            }
            ExprKind::Receive(channel) if self.file.is_own_channel(channel, scope) => {
                self.push(EffectKind::Join, expr.span, self.file.shown(expr));
            }
            ExprKind::ChannelSend { channel, value } => self.channel_send(expr, channel, value, scope),
            ExprKind::Assign { targets, value, .. } => {
                let before = self.effects.len();
                self.expr(value, scope);
                let tainted = self.is_tainted(value, scope) || self.polled_since(before);
                let handed = self.handed_off_since(before) || self.is_handed(value, scope);
                for target in targets {
                    let Some(name) = self.file.scopes.variable(target, scope) else { continue };
                    if tainted {
                        self.taint(name, scope);
                    }
                    if handed {
                        self.keep(name, scope);
                    }
                }
            }
            // What is in a lambda happens where it is called; those that calls are given are looked at there.
            ExprKind::Lambda(_) => {}
            ExprKind::Block(body) => self.stmts(body, scope),
            _ => visit::parts(expr).into_iter().for_each(|part| self.expr(part, scope)),
        }
    }

    /// Waiting for a variable that is a task.
    fn await_other(&mut self, inner: &'t Expr, scope: ScopeId) {
        let name = self.file.scopes.variable(inner, scope).unwrap_or_default().to_lowercase();
        if ["task", "handle", "future", "promise", "job"].iter().any(|word| name.contains(word)) {
            self.push(EffectKind::Join, inner.span, self.file.shown(inner));
        } else {
            self.expr(inner, scope);
        }
    }

    fn channel_send(&mut self, expr: &'t Expr, channel: &'t Expr, value: &'t Expr, scope: ScopeId) {
        if let Some(call) = channel.as_call()
            && let Some((_, method)) = self.file.method(call, scope)
            && matches!(method.does, Does::Send(_))
        {
            self.push(EffectKind::Send, expr.span, self.file.shown(channel));
            return;
        }
        self.expr(value, scope);
        if self.is_tainted(value, scope) {
            self.push(EffectKind::HandOff, expr.span, format!("{} <-", self.file.shown(channel)));
        }
    }

    fn call(&mut self, call: &'t Call, expr: &'t Expr, scope: ScopeId, waits: Waits) {
        let start = self.effects.len();
        // What the call is called on, and its arguments, come first.
        if let Some(receiver) = call.receiver() {
            self.expr(receiver, scope);
        }
        call.args.iter().for_each(|arg| self.expr(&arg.value, scope));
        let what = self.name_of(call);
        let tainted = call.args.iter().any(|arg| self.is_tainted(&arg.value, scope));
        let ours = self.of_client(call, expr, scope, &what) || self.file.is_log(call);
        if ours || self.waits_for_handed(call, expr, scope) {
            return;
        }
        match self.file.general(call, scope) {
            Some(EffectKind::HandOff) => {
                let from = call.receiver().is_some_and(|of| self.is_tainted(of, scope));
                if tainted || from {
                    self.hand_off(call, expr, scope, what);
                }
                return;
            }
            Some(kind) => {
                if tainted && matches!(kind, EffectKind::Block | EffectKind::Store) {
                    self.push(EffectKind::Work, expr.span, what.clone());
                }
                self.push(kind, expr.span, what);
                self.lambdas(call, scope);
                return;
            }
            None => {}
        }
        match self.file.scopes.called(call, scope) {
            Some((function, inner)) => self.follow(call, expr, function, inner, scope, waits),
            None => self.other_call(call, expr, scope, (tainted.then_some(what), start)),
        }
    }

    /// Effects of a client's own methods.
    fn of_client(&mut self, call: &'t Call, expr: &'t Expr, scope: ScopeId, what: &str) -> bool {
        let Some((table, method)) = self.file.method(call, scope) else { return false };
        let kind = match method.does {
            Does::Effect(kind) => kind,
            Does::Depends(kind) => kind(call),
            Does::PollAndCommit { .. } => EffectKind::Poll,
            Does::Send(_) => EffectKind::Send,
            Does::Subscribe(_) | Does::Run(_) | Does::Nothing => return true,
        };
        if kind == EffectKind::Poll {
            self.library = table.library;
            self.topics_of(self.file.variable_of(call, scope));
        }
        self.push(kind, expr.span, what.to_owned());
        if let Does::PollAndCommit { group } = method.does {
            self.commit_at_once(group, call, expr, scope);
        }
        true
    }

    /// Topics of the client that is polled.
    fn topics_of(&mut self, variable: Option<(&'t str, ScopeId)>) {
        if variable.is_some() {
            let client = self.file.clients.iter().find(|made| made.variable == variable);
            self.topics = client.map(|made| made.client.topics.clone()).unwrap_or_default();
        }
    }

    /// What is read is committed at once, where the client has a group.
    fn commit_at_once(&mut self, group: &str, call: &'t Call, expr: &'t Expr, scope: ScopeId) {
        let variable = self.file.variable_of(call, scope);
        let made = self.file.clients.iter().find(|made| variable.is_some() && made.variable == variable);
        match made {
            Some(made) if made.found.entries.contains_key(group) => {
                self.push(EffectKind::Commit, expr.span, self.name_of(call));
            }
            Some(made) if !made.found.open => {}
            _ => self.unclear(format!("{} commits at once if its reader has a group", self.name_of(call))),
        }
    }

    pub(super) fn name_of(&self, call: &Call) -> String {
        call.function.path().unwrap_or_else(|| call.method().to_owned())
    }

    /// Into a function of this file.
    fn follow(
        &mut self,
        call: &'t Call,
        expr: &'t Expr,
        function: &'t Function,
        inner: ScopeId,
        scope: ScopeId,
        waits: Waits,
    ) {
        let what = self.name_of(call);
        let skip = usize::from(
            function.params.first().is_some_and(|param| matches!(param.name.as_str(), "self" | "cls")),
        );
        let skip = skip + usize::from(function.of.is_some() && skip == 0 && self.has_receiver(function));
        let mut tainted = false;
        for (at, arg) in call.args.iter().enumerate() {
            if !self.is_tainted(&arg.value, scope) {
                continue;
            }
            tainted = true;
            let param = match &arg.name {
                Some(name) => function.params.iter().find(|param| param.name == *name),
                None => function.params.get(at + skip),
            };
            if let Some(param) = param {
                self.taint(&param.name, inner);
            }
        }
        // Nobody waits for it: it runs beside.
        let dropped = function.is_async && matches!(waits, Waits::No) && self.file.drops_unawaited();
        if dropped {
            if tainted {
                self.push(EffectKind::HandOff, expr.span, what);
            }
            return;
        }
        if self.following.contains(&inner) || self.following.len() >= FOLLOW {
            self.unclear(format!("{what} was not followed: it calls itself, or lies too deep"));
            return;
        }
        let before = self.effects.len();
        self.following.push(inner);
        self.stmts(&function.body, inner);
        self.following.pop();
        // Given the record, and nothing to be seen but waiting: the work is in what it waits for.
        let waits = |(effect, _): &(Effect, Span)| {
            matches!(effect.kind, EffectKind::Block | EffectKind::Store | EffectKind::Join)
        };
        if tainted && self.effects[before.min(self.effects.len())..].iter().all(waits) {
            self.push(EffectKind::Work, expr.span, what);
        }
    }

    fn has_receiver(&self, function: &Function) -> bool {
        self.file.language == "go" && function.of.is_some() && !function.params.is_empty()
    }

    /// A call of what is not in this file.
    fn other_call(
        &mut self,
        call: &'t Call,
        expr: &'t Expr,
        scope: ScopeId,
        (tainted, start): (Option<String>, usize),
    ) {
        let gives_client = call
            .args
            .iter()
            .any(|arg| matches!(self.file.client_of(&arg.value, scope), Some((_, Role::Consumer))));
        if gives_client && !call.new {
            self.unclear(format!("{} is given the consumer, and lies in another file", self.name_of(call)));
        }
        let before = self.effects.len();
        self.lambdas(call, scope);
        self.continued(call, expr, scope, (start, before));
        let waits = matches!(call.method(), "coroutineScope" | "runBlocking" | "supervisorScope");
        if waits && self.handed_off_since(before) {
            self.push(EffectKind::Join, expr.span, self.name_of(call));
        }
        let from = call.receiver().is_some_and(|of| self.is_tainted(of, scope));
        let each =
            matches!(call.method(), "EachRecord" | "forEach" | "EachPartition" | "EachTopic" | "for_each");
        if from && each && self.effects.len() == before {
            self.push(EffectKind::Work, expr.span, self.name_of(call));
            return;
        }
        let Some(what) = tainted else { return };
        if self.is_backlog(call, scope) {
            self.push(EffectKind::HandOff, expr.span, what);
            return;
        }
        if matches!(call.method(), "add" | "append" | "push" | "addAll" | "extend" | "put" | "set") {
            // Collected: whoever works on the collection works on the record.
            if let Some(name) = call.receiver().and_then(|of| self.file.scopes.variable(of, scope)) {
                self.taint(name, scope);
                if self.handed_off_since(start) || self.gives_handed(call, scope) {
                    self.keep(name, scope);
                }
                return;
            }
        }
        if self.gives_handed(call, scope) {
            return self.given_handed(call, expr);
        }
        if self.file.is_pure(call) || self.effects.len() > before {
            return;
        }
        let method = call.method().to_lowercase();
        if ["async", "submit", "enqueue", "dispatch", "schedule", "spawn", "publish", "emit"]
            .iter()
            .any(|word| method.contains(word))
        {
            self.unclear(format!("{what} may hand the record to a thread: it lies in another file"));
        }
        self.push(EffectKind::Work, expr.span, what);
    }
}

#[derive(Clone, Copy)]
enum Waits {
    Yes,
    No,
}

#[derive(Clone, Copy)]
enum Handler {
    Yes,
    No,
}
