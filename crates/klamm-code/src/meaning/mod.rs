//! What a program does with Kafka, from the language-neutral tree. Nothing here knows a language's grammar.
//!
//! [`Scopes`] says which name means what; [`value`] which constants and settings an expression gives; [`clients`] which variables are clients;
//! then sends, loops and secrets are read off. What cannot be told stays unknown: rules are silent then.

mod calls;
mod clients;
mod effects;
mod failure;
mod handoff;
mod pause;
mod result;
mod scope;
mod secrets;
mod send;
mod settings;
mod value;
mod visit;
mod walk;

use klamm_rules::evidence::{Effect, EffectKind, Library, Place, PollLoop, SendSite, SourceUnit};

use self::clients::Made;
use self::effects::Trace;
use self::visit::Around;
use crate::libraries::{Does, Table, of_language};
use crate::tree::{Annotation, Expr, ExprKind, Function, Module, Span, Stmt, StmtKind};

pub(crate) use scope::{MODULE, ScopeId, Scopes};
pub(crate) use settings::Found;
pub(crate) use value::{Raw, collect_returns};

/// A file while it is read.
pub(crate) struct File<'t> {
    path: &'t str,
    language: &'static str,
    text: &'t str,
    /// Byte at which each line begins.
    lines: Vec<u32>,
    pub(crate) scopes: Scopes<'t>,
    tables: Vec<&'static Table>,
    clients: Vec<Made<'t>>,
    /// Names that are returned or stored: others may use them.
    kept: Vec<String>,
    /// Names of channels that somebody receives from.
    received: Vec<String>,
}

/// A setting that is found behind the making of its client: Java's name, value, own name, place.
type LaterSetting = (String, Option<String>, String, Place);
/// Such settings with the variable of the client.
type Later<'t> = (Option<(&'t str, ScopeId)>, Vec<LaterSetting>);

/// What a module does; `None` when it uses no library.
pub(crate) fn read(path: &str, language: &'static str, text: &str, module: &Module) -> Option<SourceUnit> {
    let scopes = Scopes::of(module);
    let uses = |table: &&'static Table| scopes.imports.iter().any(|import| table.is_import(&import.path));
    let tables: Vec<&'static Table> = of_language(language).filter(uses).collect();
    if tables.is_empty() {
        return None;
    }
    let starts = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at as u32 + 1);
    let lines = std::iter::once(0).chain(starts).collect();
    let mut file = File {
        path,
        language,
        text,
        lines,
        scopes,
        tables,
        clients: Vec::new(),
        kept: Vec::new(),
        received: Vec::new(),
    };
    file.find_clients(module);
    let mut unit = file.unit(module);
    if module.partial {
        // What could not be read may set more, and do more.
        unit.clients.iter_mut().for_each(|client| client.open = true);
        let why = "parts of the file could not be read";
        unit.loops.iter_mut().for_each(|each| each.unclear.push(why.to_owned()));
    }
    Some(unit)
}

impl<'t> File<'t> {
    fn find_clients(&mut self, module: &'t Module) {
        let mut clients = Vec::new();
        let mut kept = Vec::new();
        let mut received = Vec::new();
        visit::each(module, &self.scopes, &mut |expr, scope, around| {
            clients.extend(self.client(expr, scope, around));
            match (&expr.kind, around.last()) {
                (ExprKind::Name(name), Some(Around::Stmt(Stmt { kind: StmtKind::Return(_), .. }))) => {
                    kept.push(name.clone())
                }
                (ExprKind::Receive(channel), _) => received.extend(channel.last_word().map(str::to_owned)),
                (ExprKind::Map { entries, .. }, _) => {
                    kept.extend(entries.iter().filter_map(|entry| entry.value.as_name().map(str::to_owned)));
                }
                _ => {}
            }
        });
        each_loop(&module.body, MODULE, &self.scopes, &mut |stmt, _| {
            if let StmtKind::Loop(turn) = &stmt.kind {
                received.extend(turn.head.iter().filter_map(|head| head.last_word().map(str::to_owned)));
            }
        });
        self.clients = clients;
        self.kept = kept;
        self.received = received;
        self.subscribe(module);
    }

    /// Topics of clients: where they are subscribed and sent to.
    fn subscribe(&mut self, module: &'t Module) {
        let mut found = Vec::new();
        let mut settings = Vec::new();
        visit::each(module, &self.scopes, &mut |expr, scope, around| {
            settings.extend(self.later_settings(expr, scope));
            if let ExprKind::Call(call) = &expr.kind
                && let Some(topics) = self.subscriptions(call, scope)
            {
                found.push((self.variable_of(call, scope), topics));
            } else if let Some((site, variable)) = self.send(expr, scope, around) {
                found.push((variable, site.topic.into_iter().collect()));
            }
        });
        for (variable, more) in settings {
            let made = self.clients.iter_mut().find(|made| variable.is_some() && made.variable == variable);
            if let Some(made) = made {
                made.later(more);
            }
        }
        for (variable, topics) in found {
            let made = self.clients.iter_mut().find(|made| variable.is_some() && made.variable == variable);
            let Some(made) = made else { continue };
            for topic in topics {
                if !made.client.topics.contains(&topic) {
                    made.client.topics.push(topic);
                }
            }
        }
    }

    /// Settings that KafkaJS takes with a call: `subscribe({ fromBeginning })`, `run({ autoCommit })`, `send({ acks })`.
    fn later_settings(&self, expr: &'t Expr, scope: ScopeId) -> Option<Later<'t>> {
        let ExprKind::Call(call) = &expr.kind else { return None };
        if !matches!(self.language, "javascript" | "typescript") {
            return None;
        }
        let (table, method) = self.method(call, scope)?;
        if !matches!(method.does, Does::Send(_) | Does::Subscribe(_) | Does::Run(_)) {
            return None;
        }
        let found = self.scopes.settings(call.positional(0)?, scope);
        let mut more = Vec::new();
        for (own, (value, span)) in &found.entries {
            if let Some((name, text)) = (table.translate)(own, value) {
                more.push((name, text, own.clone(), self.place(*span)));
            }
        }
        // Confluent's client stores an offset when the handler has returned, not at delivery.
        if matches!(method.does, Does::Run(_)) && table.library == Library::Librdkafka {
            let name = "enable.auto.offset.store".to_owned();
            more.push((name.clone(), Some("false".to_owned()), name, self.place(expr.span)));
        }
        Some((self.variable_of(call, scope), more))
    }

    fn unit(&self, module: &'t Module) -> SourceUnit {
        let mut unit = SourceUnit {
            file: self.path.to_owned(),
            language: self.language.to_owned(),
            clients: self.clients.iter().map(|made| made.client.clone()).collect(),
            ..SourceUnit::default()
        };
        visit::each(module, &self.scopes, &mut |expr, scope, _| {
            self.given_secrets(expr, scope, &mut unit.secrets)
        });
        unit.secrets.dedup();
        let mut inner: Vec<Span> = Vec::new();
        let mut sends: Vec<SendSite> = Vec::new();
        visit::each(module, &self.scopes, &mut |expr, scope, around| {
            sends.extend(self.send(expr, scope, around).map(|(site, _)| site));
            if let Some(secret) = self.secret(expr, scope, around) {
                // What stands around it, or the setting that it is given to, is the place already.
                let around =
                    inner.iter().any(|outer| outer.start <= expr.span.start && expr.span.end <= outer.end);
                let near = |line: u32| line <= secret.place.line && secret.place.line <= line + 2;
                if !around && !unit.secrets.iter().any(|known| near(known.place.line)) {
                    unit.secrets.push(secret);
                }
                inner.push(expr.span);
            }
            unit.store_writes.extend(self.store_write(expr, scope));
        });
        unit.sends = sends;
        unit.loops = self.loops(module);
        unit
    }

    fn loops(&self, module: &'t Module) -> Vec<PollLoop> {
        let mut found: Vec<(PollLoop, bool)> = Vec::new();
        each_loop(&module.body, MODULE, &self.scopes, &mut |stmt, scope| {
            let Some((made, own)) = Trace::of_loop(self, stmt, scope) else { return };
            match found.iter_mut().find(|(known, _)| known.place == made.place) {
                Some(known) if own && !known.1 => *known = (made, own),
                Some(_) => {}
                None => found.push((made, own)),
            }
        });
        let mut loops: Vec<PollLoop> = found.into_iter().map(|(made, _)| made).collect();
        for scope in &self.scopes.all {
            loops.extend(scope.function.and_then(|function| self.listener(function)));
        }
        visit::each(module, &self.scopes, &mut |expr, scope, _| loops.extend(self.run_handlers(expr, scope)));
        loops
    }

    /// Spring calls methods with `@KafkaListener` or `@KafkaHandler`.
    fn listener(&self, function: &'t Function) -> Option<PollLoop> {
        let found = function.annotations.iter().find(|annotation| annotation.name == "KafkaListener")?;
        let topics = found.args.iter().filter(|arg| arg.name.as_deref().is_none_or(|name| name == "topics"));
        let scope = self.scopes.of_function(function);
        let topics =
            topics.flat_map(|arg| self.texts(&arg.value, scope)).filter(|topic| !topic.contains("${"));
        let mut made = Trace::of_handler(self, function, Library::Java, topics.collect());
        let class = self.scopes.class_of(scope).map(|class| class.annotations.as_slice()).unwrap_or_default();
        let beside = |annotation: &&Annotation| annotation.name == "Async";
        let works = |effect: &Effect| !matches!(effect.kind, EffectKind::Commit | EffectKind::Mark);
        if let Some(found) = function.annotations.iter().chain(class).find(beside)
            && made.effects.iter().any(works)
        {
            // Spring runs the method in a task of its own, and the listener returns at once.
            let place = self.place(found.span);
            made.effects.push(Effect { place, kind: EffectKind::HandOff, what: "@Async".to_owned() });
        }
        Some(made)
    }

    /// KafkaJS calls `eachMessage` and `eachBatch`.
    fn run_handlers(&self, expr: &'t Expr, scope: ScopeId) -> Vec<PollLoop> {
        let ExprKind::Call(call) = &expr.kind else { return Vec::new() };
        let Some((table, method)) = self.method(call, scope) else { return Vec::new() };
        let (Does::Run(names), Some(given)) = (method.does, call.positional(0)) else { return Vec::new() };
        let variable = self.variable_of(call, scope);
        let client = self.clients.iter().find(|made| variable.is_some() && made.variable == variable);
        let topics = client.map(|made| made.client.topics.clone()).unwrap_or_default();
        let (given, inner) = self.scopes.origin(given, scope);
        let ExprKind::Map { entries, .. } = &given.kind else { return Vec::new() };
        let mut loops = Vec::new();
        for entry in entries {
            let key = entry.key.as_ref().map(|key| &key.kind);
            let Some(ExprKind::Text(name)) = key else { continue };
            if !names.contains(&name.as_str()) {
                continue;
            }
            let (handler, _) = self.scopes.origin(&entry.value, inner);
            let function = match &handler.kind {
                ExprKind::Lambda(function) => Some(function.as_ref()),
                ExprKind::Name(name) => self.scopes.function(name).map(|(function, _)| function),
                _ => None,
            };
            loops.extend(
                function.map(|function| Trace::of_handler(self, function, table.library, topics.clone())),
            );
        }
        loops
    }

    /// A write to a store by the handler of a command.
    fn store_write(&self, expr: &'t Expr, scope: ScopeId) -> Option<Effect> {
        let ExprKind::Call(call) = &expr.kind else { return None };
        let class = self.scopes.class_of(scope).map(|class| class.name.as_str()).unwrap_or_default();
        let function = self.scopes.function_name(scope);
        let command =
            class.contains("Command") || function.contains("Command") || function.contains("_command");
        if !command || self.general(call, scope) != Some(EffectKind::Store) {
            return None;
        }
        let writes = matches!(
            call.method(),
            "save" | "saveAll" | "insert" | "persist" | "merge" | "insertOne" | "insert_one"
        ) || call.args.iter().any(|arg| {
            let text = self.scopes.constant(&arg.value, scope).unwrap_or_default().to_uppercase();
            ["INSERT ", "UPDATE ", "DELETE ", "MERGE "].iter().any(|word| text.trim_start().starts_with(word))
        });
        writes.then(|| Effect {
            place: self.place(expr.span),
            kind: EffectKind::Block,
            what: call.function.path().unwrap_or_else(|| call.method().to_owned()),
        })
    }

    /// An async function that nobody awaits runs beside (JavaScript), or not at all (Python).
    fn drops_unawaited(&self) -> bool {
        matches!(self.language, "javascript" | "typescript" | "python")
    }

    fn slice(&self, span: Span) -> &'t str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    fn place(&self, span: Span) -> Place {
        let line = self.lines.partition_point(|start| *start <= span.start);
        let start = line.checked_sub(1).and_then(|at| self.lines.get(at)).copied().unwrap_or(0);
        // Lines without end (minified code) are not counted through.
        let bytes = span.start.saturating_sub(start);
        let column = match bytes {
            0..=4096 => self.slice(Span { start, end: span.start }).chars().count() as u32,
            _ => bytes,
        };
        Place { file: self.path.to_owned(), line: line as u32, column: column + 1 }
    }
}

/// Calls `see` for every loop that lies in no other loop of the same function.
fn each_loop<'t>(
    body: &'t [Stmt],
    scope: ScopeId,
    scopes: &Scopes<'t>,
    see: &mut dyn FnMut(&'t Stmt, ScopeId),
) {
    for stmt in body {
        loops_in(stmt, scope, see);
    }
    if scope != MODULE {
        return;
    }
    for (id, scope) in scopes.all.iter().enumerate() {
        if let Some(function) = scope.function {
            function.body.iter().for_each(|stmt| loops_in(stmt, id, see));
        }
    }
}

fn loops_in<'t>(stmt: &'t Stmt, scope: ScopeId, see: &mut dyn FnMut(&'t Stmt, ScopeId)) {
    let mut all = |body: &'t [Stmt]| body.iter().for_each(|stmt| loops_in(stmt, scope, see));
    match &stmt.kind {
        StmtKind::Loop(_) => see(stmt, scope),
        StmtKind::If { then, otherwise, .. } => {
            all(then);
            all(otherwise);
        }
        StmtKind::Branch { arms, .. } => arms.iter().for_each(|arm| all(&arm.body)),
        StmtKind::Try { body, catches, finally } => {
            all(body);
            catches.iter().for_each(|catch| all(&catch.body));
            all(finally);
        }
        StmtKind::Block(body) => all(body),
        StmtKind::Expr(Expr { kind: ExprKind::Block(body), .. }) => all(body),
        _ => {}
    }
}
