//! Settings that maps, builders and structs give, with what is done to them later.

use std::collections::BTreeMap;

use super::scope::{Change, ChangeKind, HOPS, How, ScopeId, Scopes};
use super::value::{Raw, collect_returns};
use crate::tree::{Call, Entry, Expr, ExprKind, Function, Span, Stmt, StmtKind};

/// Settings under the library's own names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    pub entries: BTreeMap<String, (Raw, Span)>,
    /// More may be set where nobody looked.
    pub open: bool,
}

impl Found {
    fn opened() -> Self {
        Found { open: true, ..Found::default() }
    }

    /// Two values for one name, or one that is set only sometimes: nobody can tell.
    fn put(&mut self, name: String, value: Raw, span: Span, sometimes: bool) {
        let value = if sometimes { Raw::Unknown } else { value };
        match self.entries.get_mut(&name) {
            Some(known) if known.0 != value => *known = (Raw::Unknown, span),
            Some(_) => {}
            None => {
                self.entries.insert(name, (value, span));
            }
        }
    }

    /// What stands later wins over what was copied.
    fn over(&mut self, name: String, value: Raw, span: Span) {
        self.entries.insert(name, (value, span));
    }

    fn take(&mut self, other: Found) {
        self.open |= other.open;
        self.entries.extend(other.entries);
    }
}

impl<'t> Scopes<'t> {
    /// Settings that an expression gives.
    pub(crate) fn settings(&self, expr: &'t Expr, scope: ScopeId) -> Found {
        self.settings_at(expr, scope, HOPS)
    }

    fn settings_at(&self, expr: &'t Expr, scope: ScopeId, hops: u32) -> Found {
        let Some(hops) = hops.checked_sub(1) else { return Found::opened() };
        match &expr.kind {
            ExprKind::Map { entries, .. } => self.entries(entries, scope, hops),
            ExprKind::Await(inner) | ExprKind::Try(inner) => self.settings_at(inner, scope, hops),
            ExprKind::Call(call) => self.call_settings(call, scope, hops),
            ExprKind::Name(_) | ExprKind::Member { .. } => self.variable_settings(expr, scope, hops),
            ExprKind::Null => Found::default(),
            _ => Found::opened(),
        }
    }

    pub(super) fn entries(&self, entries: &'t [Entry], scope: ScopeId, hops: u32) -> Found {
        let mut found = Found::default();
        for entry in entries {
            match &entry.key {
                None => found.take(self.settings_at(&entry.value, scope, hops)),
                Some(key) => match self.raw_at(key, scope, hops) {
                    Raw::Text(name) => {
                        if let ExprKind::Map { entries, .. } = &entry.value.kind {
                            let nested = self.entries(entries, scope, hops.saturating_sub(1));
                            for (inner, (value, span)) in nested.entries {
                                found.over(format!("{name}.{inner}"), value, span);
                            }
                        }
                        found.over(name, self.raw_at(&entry.value, scope, hops), key.span);
                    }
                    _ => found.open = true,
                },
            }
        }
        found
    }

    fn variable_settings(&self, expr: &'t Expr, scope: ScopeId, hops: u32) -> Found {
        let Some(name) = self.variable(expr, scope) else { return Found::opened() };
        let Some((_, home)) = self.defs_of(expr, scope) else { return Found::opened() };
        let mut found = match self.only(expr, scope) {
            Some(def) if def.names == 1 || def.position == 0 => match (def.value, def.how) {
                (Some(value), How::Bound | How::Assigned) if !def.sometimes => {
                    self.settings_at(value, def.scope, hops)
                }
                _ => Found::opened(),
            },
            _ => Found::opened(),
        };
        // A field may be changed by whoever holds the object: it is taken as it is in this file.
        for change in self.changes(name, home) {
            self.changed(&mut found, change, hops);
        }
        found
    }

    fn changed(&self, found: &mut Found, change: Change<'t>, hops: u32) {
        let Change { kind, sometimes, scope } = change;
        match kind {
            ChangeKind::Put { key, value } => self.put(found, key, value, scope, sometimes, hops),
            ChangeKind::Field { target, value } => {
                let Some(path) = target.path() else { return };
                let own = path.split_once('.').map_or(path.as_str(), |(_, own)| own).to_owned();
                found.put(own, self.raw_at(value, scope, hops), target.span, sometimes);
            }
            ChangeKind::Called(call) => self.called_on(found, call, scope, sometimes, hops),
            ChangeKind::Passed { call, at } => self.passed(found, call, at, scope, hops),
        }
    }

    fn put(
        &self,
        found: &mut Found,
        key: &'t Expr,
        value: &'t Expr,
        scope: ScopeId,
        sometimes: bool,
        hops: u32,
    ) {
        match self.raw_at(key, scope, hops) {
            Raw::Text(name) => found.put(name, self.raw_at(value, scope, hops), key.span, sometimes),
            _ => found.open = true,
        }
    }

    /// What a method does to a map or builder that it is called on.
    fn called_on(&self, found: &mut Found, call: &'t Call, scope: ScopeId, sometimes: bool, hops: u32) {
        match (call.method(), call.positional(0), call.positional(1)) {
            ("put" | "setProperty" | "set" | "SetKey" | "__setitem__", Some(key), Some(value)) => {
                self.put(found, key, value, scope, sometimes, hops);
            }
            ("putIfAbsent" | "setdefault", Some(key), Some(value)) => {
                self.put(found, key, value, scope, true, hops);
            }
            ("putAll" | "update" | "extend", Some(other), None) => {
                let other = self.settings_at(other, scope, hops);
                found.open |= other.open;
                for (name, (value, span)) in other.entries {
                    found.put(name, value, span, sometimes);
                }
            }
            (
                "load" | "loadFromXML" | "remove" | "pop" | "clear" | "putAll" | "update" | "compute"
                | "merge" | "extend" | "replace",
                ..,
            ) => {
                found.open = true;
            }
            _ => {}
        }
    }

    /// A map is handed to a call: one of this file is followed, a constructor only reads it, others may add to it.
    fn passed(&self, found: &mut Found, call: &'t Call, at: usize, scope: ScopeId, hops: u32) {
        let Some(hops) = hops.checked_sub(3) else {
            found.open = true;
            return;
        };
        if let Some((function, inner)) = self.called(call, scope) {
            let skip = usize::from(function.params.first().is_some_and(|param| param.name == "self"));
            if let Some(param) = function.params.get(at + skip) {
                for change in self.changes(&param.name, inner) {
                    self.changed(found, change, hops);
                }
                return;
            }
        }
        let name = call.method();
        let constructor = call.new || name.starts_with(char::is_uppercase);
        const READS: &[&str] = &[
            "print",
            "println",
            "info",
            "debug",
            "warn",
            "error",
            "log",
            "len",
            "dict",
            "dumps",
            "create",
            "putAll",
            "update",
            "create_with_context",
            "producer",
            "consumer",
            "warning",
            "size",
            "printf",
            "Printf",
            "Println",
            "from_config",
        ];
        if !constructor && !READS.contains(&name) {
            found.open = true;
        }
    }

    fn call_settings(&self, call: &'t Call, scope: ScopeId, hops: u32) -> Found {
        let method = call.method();
        match method {
            "Properties" | "HashMap" | "LinkedHashMap" | "TreeMap" | "ConcurrentHashMap" | "dict"
            | "mutableMapOf" | "mapOf" | "hashMapOf" | "Map" | "ConfigMap" | "ClientConfig" | "NewConfig" => {
                self.fresh(call, scope, hops)
            }
            "new" if call.args.is_empty() => Found::default(),
            "of" | "ofEntries" if call.receiver().and_then(Expr::as_name) == Some("Map") => {
                self.pairs(call, scope, hops)
            }
            "entries" | "unmodifiableMap" | "copyOf" | "asMap" => match call.positional(0) {
                Some(inner) => self.settings_at(inner, scope, hops),
                None => Found::opened(),
            },
            "apply" | "also" | "let" => self.applied(call, scope, hops),
            "set" | "put" | "setProperty" | "toMap" | "toMutableMap" | "clone" | "to_owned"
            | "set_log_level" | "copy" => {
                let Some(of) = call.receiver() else { return Found::opened() };
                let mut found = self.settings_at(of, scope, hops);
                if let (Some(key), Some(value)) = (call.positional(0), call.positional(1)) {
                    match self.raw_at(key, scope, hops) {
                        Raw::Text(name) => found.over(name, self.raw_at(value, scope, hops), key.span),
                        _ => found.open = true,
                    }
                }
                found
            }
            _ => match self.called(call, scope) {
                Some((function, inner)) => self.returned(function, inner, hops),
                None => Found::opened(),
            },
        }
    }

    /// `new HashMap<>(base)`, `dict(base, a=1)`, `mapOf(a to b)`.
    fn fresh(&self, call: &'t Call, scope: ScopeId, hops: u32) -> Found {
        let mut found = Found::default();
        for arg in &call.args {
            match (&arg.name, &arg.value.kind) {
                (Some(name), ExprKind::Block(body)) if name == "{}" => {
                    self.initializer(&mut found, body, scope, hops)
                }
                (Some(name), _) => {
                    found.over(name.clone(), self.raw_at(&arg.value, scope, hops), arg.value.span)
                }
                (None, ExprKind::Binary { op, left, right }) if op == "to" => {
                    match self.raw_at(left, scope, hops) {
                        Raw::Text(name) => found.over(name, self.raw_at(right, scope, hops), left.span),
                        _ => found.open = true,
                    }
                }
                // A capacity.
                (None, ExprKind::Number(_)) => {}
                (None, _) => found.take(self.settings_at(&arg.value, scope, hops)),
            }
        }
        found
    }

    /// `new Properties() {{ put(…); }}`.
    fn initializer(&self, found: &mut Found, body: &'t [Stmt], scope: ScopeId, hops: u32) {
        for stmt in body {
            match &stmt.kind {
                StmtKind::Block(inner) => self.initializer(found, inner, scope, hops),
                StmtKind::Expr(Expr { kind: ExprKind::Call(call), .. })
                | StmtKind::Return(Some(Expr { kind: ExprKind::Call(call), .. })) => {
                    self.called_on(found, call, scope, false, hops);
                }
                StmtKind::Expr(Expr { kind: ExprKind::Assign { targets, value, .. }, .. }) => {
                    for target in targets {
                        if let ExprKind::Index { of, index } = &target.kind
                            && matches!(of.as_name(), Some("this" | "it"))
                        {
                            self.put(found, index, value, scope, false, hops);
                        }
                    }
                }
                _ => found.open = true,
            }
        }
    }

    /// Kotlin's `Properties().apply { put(…) }`, `.also { it[…] = … }`.
    fn applied(&self, call: &'t Call, scope: ScopeId, hops: u32) -> Found {
        let Some(of) = call.receiver() else { return Found::opened() };
        let mut found = self.settings_at(of, scope, hops);
        match call.args.first().map(|arg| &arg.value.kind) {
            Some(ExprKind::Lambda(function)) => {
                let inner = self.of_function(function);
                self.initializer(&mut found, &function.body, inner, hops);
                if call.method() == "let" {
                    found.open = true;
                }
            }
            _ => found.open = true,
        }
        found
    }

    /// `Map.of(a, 1, b, 2)`, `Map.ofEntries(entry(a, 1))`.
    fn pairs(&self, call: &'t Call, scope: ScopeId, hops: u32) -> Found {
        let mut found = Found::default();
        if call.method() == "ofEntries" {
            for arg in &call.args {
                match arg.value.as_call() {
                    Some(entry) if entry.method() == "entry" && entry.args.len() == 2 => {
                        self.pair(&mut found, &entry.args[0].value, &entry.args[1].value, scope, hops);
                    }
                    _ => found.open = true,
                }
            }
            return found;
        }
        for pair in call.args.chunks(2) {
            match pair {
                [key, value] => self.pair(&mut found, &key.value, &value.value, scope, hops),
                _ => found.open = true,
            }
        }
        found
    }

    fn pair(&self, found: &mut Found, key: &'t Expr, value: &'t Expr, scope: ScopeId, hops: u32) {
        self.put(found, key, value, scope, false, hops);
    }

    /// The settings that a function of this file returns.
    fn returned(&self, function: &'t Function, scope: ScopeId, hops: u32) -> Found {
        let mut returns = Vec::new();
        collect_returns(&function.body, &mut returns);
        match returns.as_slice() {
            [one] => self.settings_at(one, scope, hops.saturating_sub(1)),
            _ => Found::opened(),
        }
    }
}
