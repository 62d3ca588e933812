//! Clients that a file makes, and which variables are clients.

use std::collections::BTreeMap;

use klamm_rules::evidence::{Client, Library, Role, Setting};

use super::scope::{ChangeKind, Def, How, MODULE, ScopeId};
use super::settings::Found;
use super::value::{Raw, collect_returns};
use super::visit::Around;
use super::{File, secrets};
use crate::libraries::{self, Does, From, Make, Method, Table};
use crate::tree::{Call, Expr, ExprKind, StmtKind};

/// A client that was found, with the variable that holds it.
pub(super) struct Made<'t> {
    pub client: Client,
    pub variable: Option<(&'t str, ScopeId)>,
    /// Settings under the library's own names.
    pub found: Found,
    pub at: &'t Expr,
}

impl Made<'_> {
    /// Settings that later calls give; two values for one name are none.
    pub(super) fn later(&mut self, more: Vec<super::LaterSetting>) {
        for (name, value, own, place) in more {
            let written = (own != name).then_some(own);
            let setting = Setting { value, written, place, ..Setting::default() };
            match self.client.settings.get_mut(&name) {
                Some(known) if known.value != setting.value => known.value = None,
                Some(_) => {}
                None => {
                    self.client.settings.insert(name, setting);
                }
            }
        }
    }
}

/// How far `client_of` follows variables, functions and call sites.
const FOLLOW: u32 = 6;

impl<'t> File<'t> {
    /// The client that an expression makes.
    pub(super) fn made(&self, expr: &'t Expr, scope: ScopeId) -> Option<(&'static Table, &'static Make)> {
        let path = match &expr.kind {
            ExprKind::Call(call) => call.function.path()?,
            ExprKind::Map { ty: Some(ty), .. } => ty.clone(),
            _ => return None,
        };
        for table in &self.tables {
            for make in table.makes {
                if self.is_path(&path, make.call, table, scope)
                    && !(make.settings == From::Fields && expr.as_call().is_some())
                {
                    return Some((*table, make));
                }
            }
        }
        None
    }

    /// Whether a path ends with what a table calls it, and its beginning does not come from somewhere else.
    fn is_path(&self, path: &str, wanted: &str, table: &Table, scope: ScopeId) -> bool {
        if let Some(method) = wanted.strip_prefix('.') {
            return path.rsplit_once('.').is_some_and(|(_, last)| last == method);
        }
        let actual = self.unaliased(path);
        let Some(before) = actual.strip_suffix(wanted) else { return false };
        if !(before.is_empty() || before.ends_with('.')) {
            return false;
        }
        let first = path.split('.').next().unwrap_or(path);
        self.comes_from(first, table, scope)
    }

    /// A path whose first word is an import's other name, under the name there.
    fn unaliased(&self, path: &str) -> String {
        let (first, rest) = path.split_once('.').map_or((path, ""), |(first, rest)| (first, rest));
        for import in &self.scopes.imports {
            for (there, here) in &import.names {
                if here == first && !there.is_empty() && there != here {
                    return if rest.is_empty() { there.clone() } else { format!("{there}.{rest}") };
                }
            }
        }
        path.to_owned()
    }

    /// A name that another import or a class of this file gives is not the library's.
    fn comes_from(&self, name: &str, table: &Table, scope: ScopeId) -> bool {
        if self.scopes.class_named(name).is_some() {
            return false;
        }
        let _ = scope;
        let mut importers = self
            .scopes
            .imports
            .iter()
            .filter(|import| import.names.iter().any(|(_, here)| here == name))
            .peekable();
        if importers.peek().is_none() {
            return true;
        }
        importers.any(|import| table.is_import(&import.path))
    }

    /// The library and part of a type's name.
    pub(super) fn client_type(&self, ty: &str) -> Option<(&'static Table, Role)> {
        let actual = self.unaliased(ty);
        let last = actual.rsplit(['.', ':', '*', '&', ' ']).next().unwrap_or(&actual);
        let first = ty.trim_start_matches(['*', '&']).split('.').next().unwrap_or(ty);
        for table in &self.tables {
            if let Some((_, role)) = table.types.iter().find(|(name, _)| *name == last)
                && self.comes_from(first, table, MODULE)
                && self.comes_explicitly(first, table)
            {
                return Some((*table, *role));
            }
        }
        None
    }

    /// Words that other libraries have too (`Consumer`) count only when they are imported by name or by package.
    fn comes_explicitly(&self, name: &str, table: &Table) -> bool {
        if !matches!(name, "Consumer" | "Producer" | "Admin" | "Client" | "Reader" | "Writer" | "Kafka") {
            return true;
        }
        self.scopes.imports.iter().any(|import| {
            let ours = table.is_import(&import.path);
            ours && import.names.iter().any(|(_, here)| here == name || here == "*")
        })
    }

    /// The library and part of the client that an expression is.
    pub(super) fn client_of(&self, expr: &'t Expr, scope: ScopeId) -> Option<(&'static Table, Role)> {
        self.client_at(expr, scope, FOLLOW)
    }

    fn client_at(&self, expr: &'t Expr, scope: ScopeId, hops: u32) -> Option<(&'static Table, Role)> {
        let hops = hops.checked_sub(1)?;
        match &expr.kind {
            ExprKind::Await(inner) | ExprKind::Try(inner) => self.client_at(inner, scope, hops + 1),
            ExprKind::Map { .. } => self.made(expr, scope).map(|(table, make)| (table, make.role)),
            ExprKind::Call(call) => self.client_of_call(expr, call, scope, hops),
            ExprKind::Name(_) | ExprKind::Member { .. } => self.client_of_variable(expr, scope, hops),
            _ => None,
        }
    }

    fn client_of_call(
        &self,
        expr: &'t Expr,
        call: &'t Call,
        scope: ScopeId,
        hops: u32,
    ) -> Option<(&'static Table, Role)> {
        if let Some((table, make)) = self.made(expr, scope) {
            return match make.role {
                Role::Unknown => self.type_argument(expr),
                role => Some((table, role)),
            };
        }
        if matches!(
            call.method(),
            "unwrap" | "expect" | "apply" | "also" | "clone" | "as_ref" | "lock" | "get_mut" | "stream"
        ) {
            return self.client_at(call.receiver()?, scope, hops);
        }
        let (function, inner) = self.scopes.called(call, scope)?;
        let mut returns = Vec::new();
        collect_returns(&function.body, &mut returns);
        let [one] = returns.as_slice() else { return None };
        self.client_at(one, inner, hops)
    }

    fn client_of_variable(
        &self,
        expr: &'t Expr,
        scope: ScopeId,
        hops: u32,
    ) -> Option<(&'static Table, Role)> {
        let (defs, home) = self.scopes.defs_of(expr, scope)?;
        let mut known: Option<(&'static Table, Role)> = None;
        for def in defs {
            let typed = def.ty.and_then(|ty| self.client_type(ty));
            let here = match (typed, def.value, def.how) {
                (Some(typed), ..) => Some(typed),
                (None, Some(value), How::Bound | How::Assigned) => {
                    if matches!(value.kind, ExprKind::Null) {
                        continue;
                    }
                    if def.position > 0 {
                        return None;
                    }
                    self.client_at(value, def.scope, hops)
                }
                (None, _, How::Param(at)) if def.ty.is_none() => self.client_of_argument(home, at, hops),
                (None, None, How::Bound) => continue,
                _ => None,
            }?;
            match known {
                Some((table, role)) if !std::ptr::eq(table, here.0) || role != here.1 => return None,
                _ => known = Some(here),
            }
        }
        known
    }

    /// What all calls of this file give for a parameter.
    fn client_of_argument(&self, scope: ScopeId, at: usize, hops: u32) -> Option<(&'static Table, Role)> {
        let function = self.scopes.all[scope].function?;
        // `KafkaConsumer(props).use { consumer -> … }`.
        if let Some((call, from)) = self.scopes.all[scope].given_to {
            let itself = at == 0 && matches!(call.method(), "use" | "let" | "also");
            return if itself { self.client_at(call.receiver()?, from, hops) } else { None };
        }
        let calls = self.scopes.calls.get(function.name.as_str())?;
        let skip = usize::from(
            function.params.first().is_some_and(|param| matches!(param.name.as_str(), "self" | "cls")),
        );
        let mut known: Option<(&'static Table, Role)> = None;
        for (call, from) in calls.iter().take(8) {
            let name = &function.params.get(at)?.name;
            let given = call.named(name).or_else(|| call.positional(at.checked_sub(skip)?))?;
            let here = self.client_at(given, *from, hops)?;
            match known {
                Some((table, role)) if !std::ptr::eq(table, here.0) || role != here.1 => return None,
                _ => known = Some(here),
            }
        }
        known
    }

    /// The method of a client that a call is, with the client's library.
    pub(super) fn method(&self, call: &'t Call, scope: ScopeId) -> Option<(&'static Table, &'static Method)> {
        let name = call.method();
        let known = self.tables.iter().any(|table| table.methods.iter().any(|method| method.name == name));
        if !known {
            return None;
        }
        let (table, role) = self.client_of(call.receiver()?, scope)?;
        let method = table.methods.iter().find(|method| method.name == name && method.of == role)?;
        Some((table, method))
    }

    /// The client that this expression makes, with its settings.
    pub(super) fn client(&self, expr: &'t Expr, scope: ScopeId, around: &[Around<'t>]) -> Option<Made<'t>> {
        let (table, make) = self.made(expr, scope)?;
        let holder = holder(around);
        let ty = holder.and_then(|(_, ty)| ty);
        // What makes things of many types makes a client only where the type says so.
        let role = match make.role {
            Role::Unknown => ty.and_then(|ty| self.client_type(ty)).or_else(|| self.type_argument(expr))?.1,
            role => role,
        };
        let mut found = self.settings_from(make.settings, expr, scope);
        let variable = holder.and_then(|(target, _)| self.home_of(target, scope));
        if make.settings == From::Fields {
            self.later_fields(&mut found, variable);
            zero_values(table.library, expr, &mut found);
        }
        let role = libraries::role_of(table.library, role, &found);
        let mut client = Client {
            role,
            library: table.library,
            version: None,
            name: String::new(),
            place: self.place(expr.span),
            topics: self.given_topics(table.library, expr, scope, &found),
            settings: BTreeMap::new(),
            open: found.open,
        };
        for (own, (value, span)) in &found.entries {
            let Some((name, text)) = (table.translate)(own, value) else { continue };
            let secret = secrets::is_secret(&name, text.as_deref());
            let setting = Setting {
                value: if secret { None } else { text },
                written: (*own != name).then(|| own.clone()),
                place: self.place(*span),
                secret,
                ..Setting::default()
            };
            client.settings.insert(name, setting);
        }
        // Confluent's JavaScript client turns librdkafka's own store off, and stores what a handler has returned from.
        if make.settings == From::ReceiverAndArg
            && table.library == Library::Librdkafka
            && role == Role::Consumer
        {
            let store = Setting {
                value: Some("false".to_owned()),
                place: client.place.clone(),
                ..Setting::default()
            };
            client.settings.entry("enable.auto.offset.store".to_owned()).or_insert(store);
        }
        let id = client.settings.get("client.id").and_then(|setting| setting.value.clone());
        client.name = id.or_else(|| variable.map(|(name, _)| name.to_owned())).unwrap_or_default();
        Some(Made { client, variable, found, at: expr })
    }

    /// Topics among the settings, or given by position: `KafkaConsumer("orders", "payments")`. One that is not known makes all of them unknown.
    fn given_topics(&self, library: Library, expr: &'t Expr, scope: ScopeId, found: &Found) -> Vec<String> {
        let by_position = matches!(library, Library::KafkaPython | Library::Aiokafka);
        let args =
            expr.as_call().filter(|_| by_position).map(|call| call.args.as_slice()).unwrap_or_default();
        let plain = args.iter().filter(|arg| arg.name.is_none());
        let given: Option<Vec<Vec<String>>> = plain
            .map(|arg| match &arg.value.kind {
                // `**options` are settings, `*TOPICS` are topics.
                _ if arg.spread && self.slice(arg.value.span).starts_with("**") => Some(Vec::new()),
                ExprKind::Other(inner) if arg.spread && inner.len() == 1 => {
                    Some(self.texts(&inner[0], scope)).filter(|texts| !texts.is_empty())
                }
                _ => Some(self.texts(&arg.value, scope)).filter(|texts| !texts.is_empty()),
            })
            .collect();
        let mut topics = libraries::topics_of(library, found);
        topics.extend(given.unwrap_or_default().into_iter().flatten());
        topics
    }

    /// The client that a type argument names: `create::<FutureProducer>()`.
    fn type_argument(&self, expr: &Expr) -> Option<(&'static Table, Role)> {
        let ty = expr.as_call()?.named("::")?.as_name()?;
        self.client_type(ty)
    }

    /// Fields that are set after the struct is made: `w.RequiredAcks = kafka.RequireAll`.
    fn later_fields(&self, found: &mut Found, variable: Option<(&'t str, ScopeId)>) {
        let Some((name, home)) = variable else { return };
        for change in self.scopes.changes(name, home) {
            let ChangeKind::Field { target, value } = change.kind else { continue };
            let Some(field) = target.last_word() else { continue };
            let known = change.sometimes || found.entries.contains_key(field);
            let raw = if known { Raw::Unknown } else { self.scopes.raw(value, change.scope) };
            found.entries.insert(field.to_owned(), (raw, value.span));
        }
    }

    fn home_of(&self, target: Target<'t>, scope: ScopeId) -> Option<(&'t str, ScopeId)> {
        match target {
            Target::Name(name) => self.scopes.defs(name, scope).map(|(_, home)| (name, home)),
            Target::Expr(expr) => {
                let name = self.scopes.variable(expr, scope)?;
                self.scopes.defs_of(expr, scope).map(|(_, home)| (name, home))
            }
        }
    }

    fn settings_from(&self, from: From, expr: &'t Expr, scope: ScopeId) -> Found {
        let open = || Found { open: true, ..Found::default() };
        let call = match &expr.kind {
            ExprKind::Call(call) => call,
            ExprKind::Map { entries, .. } => return self.scopes.entries(entries, scope, super::scope::HOPS),
            _ => return open(),
        };
        match from {
            From::Arg(at) => {
                let mut found = call.positional(at).map_or_else(open, |arg| self.scopes.settings(arg, scope));
                if call.args.iter().any(|arg| arg.spread) {
                    found.open = true;
                }
                found
            }
            From::Named => self.named_settings(call, scope),
            From::Options => self.option_settings(call, scope),
            From::Receiver => call.receiver().map_or_else(open, |of| self.scopes.settings(of, scope)),
            From::ReceiverAndArg => {
                let mut found = match call.receiver().map(|of| self.scopes.origin(of, scope)) {
                    Some((made, inner)) => match made.as_call().and_then(|made| made.positional(0)) {
                        Some(map) => self.scopes.settings(map, inner),
                        None => open(),
                    },
                    None => open(),
                };
                if let Some(own) = call.positional(0) {
                    let own = self.scopes.settings(own, scope);
                    found.open |= own.open;
                    found.entries.extend(own.entries);
                }
                found
            }
            From::Fields | From::Nowhere => open(),
        }
    }

    fn named_settings(&self, call: &'t Call, scope: ScopeId) -> Found {
        let mut found = Found::default();
        for arg in &call.args {
            match &arg.name {
                Some(name) => {
                    found.entries.insert(name.clone(), (self.scopes.raw(&arg.value, scope), arg.value.span));
                }
                None if arg.spread => {
                    let more = match &arg.value.kind {
                        ExprKind::Other(inner) if inner.len() == 1 => self.scopes.settings(&inner[0], scope),
                        _ => self.scopes.settings(&arg.value, scope),
                    };
                    found.open |= more.open;
                    found.entries.extend(more.entries);
                }
                None => {}
            }
        }
        found
    }

    /// `kgo.NewClient(kgo.RequiredAcks(kgo.AllISRAcks()), opts...)`.
    fn option_settings(&self, call: &'t Call, scope: ScopeId) -> Found {
        let mut found = Found::default();
        for arg in &call.args {
            let (value, inner) = self.scopes.origin(&arg.value, scope);
            let items = match &value.kind {
                ExprKind::List(items) => items.iter().collect(),
                _ => vec![value],
            };
            for item in items {
                match item.as_call() {
                    Some(option) => {
                        let value = option
                            .positional(0)
                            .map_or(Raw::Text("true".to_owned()), |value| self.scopes.raw(value, inner));
                        found.entries.insert(option.method().to_owned(), (value, item.span));
                    }
                    None => found.open = true,
                }
            }
            found.open |= arg.spread && !matches!(value.kind, ExprKind::List(_));
        }
        found
    }

    /// Topics that a subscription names.
    pub(super) fn texts(&self, expr: &'t Expr, scope: ScopeId) -> Vec<String> {
        let (expr, scope) = self.scopes.origin(expr, scope);
        let items: Vec<&Expr> = match &expr.kind {
            ExprKind::List(items) => items.iter().collect(),
            ExprKind::Map { entries, .. } => {
                let wanted = entries.iter().filter(|entry| {
                    entry.key.as_ref().is_some_and(|key| matches!(&key.kind, ExprKind::Text(text) if text == "topic" || text == "topics"))
                });
                return wanted.flat_map(|entry| self.texts(&entry.value, scope)).collect();
            }
            ExprKind::Call(call)
                if matches!(
                    call.method(),
                    "of" | "asList"
                        | "singletonList"
                        | "singleton"
                        | "listOf"
                        | "setOf"
                        | "List"
                        | "arrayOf"
                        | "vec"
                ) =>
            {
                call.args.iter().map(|arg| &arg.value).collect()
            }
            _ => vec![expr],
        };
        items.into_iter().filter_map(|item| self.scopes.constant(item, scope)).collect()
    }

    /// Topics that are subscribed on a variable.
    pub(super) fn subscriptions(&self, call: &'t Call, scope: ScopeId) -> Option<Vec<String>> {
        let (_, method) = self.method(call, scope)?;
        let Does::Subscribe(at) = method.does else { return None };
        let list = call.positional(at).or_else(|| call.named("topics"))?;
        Some(self.texts(list, scope))
    }

    /// The variable a method is called on.
    pub(super) fn variable_of(&self, call: &'t Call, scope: ScopeId) -> Option<(&'t str, ScopeId)> {
        let of = call.receiver()?;
        let name = self.scopes.variable(of, scope)?;
        self.scopes.defs_of(of, scope).map(|(_, home)| (name, home))
    }

    /// The only definition of a variable.
    pub(super) fn only_def(&self, expr: &'t Expr, scope: ScopeId) -> Option<Def<'t>> {
        self.scopes.only(expr, scope)
    }
}

/// A struct's fields that nobody sets are zero: a `kafka.Writer` then waits for no broker, unlike one that `NewWriter` makes.
fn zero_values(library: Library, expr: &Expr, found: &mut Found) {
    if library == Library::KafkaGo && !found.open && !found.entries.contains_key("RequiredAcks") {
        found.entries.insert("RequiredAcks".to_owned(), (Raw::Text("0".to_owned()), expr.span));
    }
}

/// What an expression is assigned to.
#[derive(Clone, Copy)]
enum Target<'t> {
    Name(&'t str),
    Expr(&'t Expr),
}

/// The variable that holds what an expression makes, with its declared type.
fn holder<'t>(around: &[Around<'t>]) -> Option<(Target<'t>, Option<&'t str>)> {
    for outer in around.iter().rev() {
        match outer {
            Around::Expr(expr) => match &expr.kind {
                ExprKind::Await(_) | ExprKind::Try(_) => {}
                ExprKind::Member { name, .. }
                    if matches!(name.as_str(), "unwrap" | "expect" | "apply" | "also") => {}
                ExprKind::Call(call) if matches!(call.method(), "unwrap" | "expect" | "apply" | "also") => {}
                ExprKind::Assign { targets, .. } => {
                    return targets.first().map(|target| (Target::Expr(target), None));
                }
                _ => return None,
            },
            Around::Stmt(stmt) => {
                return match &stmt.kind {
                    StmtKind::Bind(bind) => {
                        bind.names.first().map(|name| (Target::Name(name.as_str()), bind.ty.as_deref()))
                    }
                    _ => None,
                };
            }
            Around::Function(_) => return None,
        }
    }
    None
}
