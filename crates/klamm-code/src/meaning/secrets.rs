//! Secrets that stand in clear: only their place and kind are kept.

use klamm_rules::evidence::SecretPlace;

use super::File;
use super::scope::ScopeId;
use super::visit::Around;
use crate::tree::{Entry, Expr, ExprKind, StmtKind};

/// Settings (Java's names) that hold a secret.
const SECRET: &[&str] = &[
    "ssl.key.password",
    "ssl.keystore.password",
    "ssl.truststore.password",
    "ssl.keystore.key",
    "sasl.password",
    "basic.auth.user.info",
    "schema.registry.basic.auth.user.info",
    "sasl.oauthbearer.client.secret",
    "ssl.key.pem",
    "sasl.oauthbearer.client.credentials.client.secret",
];

/// Whether a setting with this value is a secret in clear.
pub(super) fn is_secret(name: &str, value: Option<&str>) -> bool {
    let Some(value) = value else { return false };
    if name.ends_with("sasl.jaas.config") {
        return jaas_password(value);
    }
    let known = SECRET.contains(&name) || name.ends_with(".password") && !name.ends_with("callback.password");
    known && real(value)
}

/// `password="…"` with something that is no placeholder.
fn jaas_password(value: &str) -> bool {
    let mut rest = value;
    while let Some(at) = rest.find("password") {
        rest = &rest[at + "password".len()..];
        let Some(given) = rest.trim_start().strip_prefix('=') else { continue };
        let given = given.trim_start().trim_start_matches(['"', '\'', '\\']);
        let end = given.find(['"', '\'', ';', ' ', '\\']).unwrap_or(given.len());
        if real(&given[..end]) {
            return true;
        }
    }
    false
}

/// Not empty, and not a place where a value is put in later.
fn real(value: &str) -> bool {
    let value = value.trim();
    let placeholder =
        ["${", "{{", "$(", "#{", "<", "%s", "%v", "{}", "{0}"].iter().any(|start| value.starts_with(start));
    let masked = value.chars().all(|c| matches!(c, '*' | 'x' | 'X' | '.'));
    // `$password` is a string template of Kotlin, or a variable of a shell.
    let variable = value
        .strip_prefix('$')
        .is_some_and(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
    !value.is_empty() && !placeholder && !variable && !masked
}

impl<'t> File<'t> {
    /// Settings that are given a secret here: entries of maps, `put` and `set`, fields, keywords of clients.
    pub(super) fn given_secrets(&self, expr: &'t Expr, scope: ScopeId, out: &mut Vec<SecretPlace>) {
        match &expr.kind {
            ExprKind::Map { entries, .. } => self.map_secrets("", entries, scope, out),
            ExprKind::Call(call) => {
                if let (2, Some(key), Some(value)) = (call.args.len(), call.positional(0), call.positional(1))
                    && let Some(name) = self.scopes.constant(key, scope)
                {
                    self.given(&name, key, value, scope, out);
                }
                if self.made(expr, scope).is_some() {
                    for arg in &call.args {
                        if let Some(name) = &arg.name {
                            self.given(name, &arg.value, &arg.value, scope, out);
                        }
                    }
                }
            }
            ExprKind::Assign { targets, value, .. } => {
                for target in targets {
                    let name = match &target.kind {
                        ExprKind::Index { index, .. } => self.scopes.constant(index, scope),
                        ExprKind::Member { .. } => {
                            target.path().and_then(|path| path.split_once('.').map(|(_, own)| own.to_owned()))
                        }
                        _ => None,
                    };
                    if let Some(name) = name {
                        self.given(&name, target, value, scope, out);
                    }
                }
            }
            ExprKind::Binary { op, left, right } if op == "to" => {
                if let Some(name) = self.scopes.constant(left, scope) {
                    self.given(&name, left, right, scope, out);
                }
            }
            _ => {}
        }
    }

    fn map_secrets(&self, before: &str, entries: &'t [Entry], scope: ScopeId, out: &mut Vec<SecretPlace>) {
        for entry in entries {
            let Some(key) = &entry.key else { continue };
            let Some(name) = self.scopes.constant(key, scope) else { continue };
            let name = format!("{before}{name}");
            match &entry.value.kind {
                ExprKind::Map { entries, .. } if before.is_empty() => {
                    self.map_secrets(&format!("{name}."), entries, scope, out)
                }
                _ => self.given(&name, key, &entry.value, scope, out),
            }
        }
    }

    /// One setting: the constant that holds the secret is the place, where there is one.
    fn given(&self, own: &str, key: &'t Expr, value: &'t Expr, scope: ScopeId, out: &mut Vec<SecretPlace>) {
        let raw = self.scopes.raw(value, scope);
        let mut names = self.tables.iter().filter_map(|table| (table.translate)(own, &raw));
        let Some((name, _)) = names.find(|(name, text)| is_secret(name, text.as_deref())) else { return };
        let (origin, _) = self.scopes.origin(value, scope);
        let span = if std::ptr::eq(origin, value) { key.span } else { origin.span };
        let kind = if name.ends_with(".pem") || name.ends_with(".key") { "private key" } else { "password" };
        out.push(SecretPlace { place: self.place(span), name, kind: kind.to_owned() });
    }

    /// The secret that a text is by itself: a private key, or a login of JAAS.
    pub(super) fn secret(
        &self,
        expr: &'t Expr,
        scope: ScopeId,
        around: &[Around<'t>],
    ) -> Option<SecretPlace> {
        let whole = match &expr.kind {
            ExprKind::Text(text) => Some(text.clone()),
            ExprKind::Binary { .. } | ExprKind::Template(_) => self.scopes.constant(expr, scope),
            _ => None,
        };
        let text = whole.as_deref()?;
        let kind = match () {
            () if private_key(text) => "private key",
            () if text.contains("LoginModule") && jaas_password(text) => "password",
            () => return None,
        };
        Some(SecretPlace {
            place: self.place(expr.span),
            name: holder(around).unwrap_or_default(),
            kind: kind.to_owned(),
        })
    }
}

/// PEM with a body: the head alone is what code that parses keys has.
fn private_key(text: &str) -> bool {
    let Some(at) = text.find("PRIVATE KEY-----") else { return false };
    let body = &text[at + "PRIVATE KEY-----".len()..];
    text[..at].contains("-----BEGIN ")
        && body.chars().filter(|c| c.is_ascii_alphanumeric()).take(40).count() == 40
        && !body.trim_start().starts_with('$')
}

/// The variable or setting that a text is given to.
fn holder(around: &[Around<'_>]) -> Option<String> {
    around.iter().rev().find_map(|outer| match outer {
        Around::Stmt(stmt) => match &stmt.kind {
            StmtKind::Bind(bind) => bind.names.first().cloned(),
            _ => None,
        },
        Around::Expr(Expr { kind: ExprKind::Assign { targets, .. }, .. }) => {
            targets.first().and_then(|target| target.last_word().map(str::to_owned))
        }
        Around::Expr(Expr { kind: ExprKind::Call(call), .. }) => {
            match call.positional(0).map(|first| &first.kind) {
                Some(ExprKind::Text(name)) if name.contains('.') && name.len() < 60 => Some(name.clone()),
                _ => None,
            }
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_no_secrets() {
        for (name, value, secret) in [
            ("sasl.jaas.config", "x.PlainLoginModule required username=\"a\" password=\"hunter2\";", true),
            ("sasl.jaas.config", "x.PlainLoginModule required username=\"a\" password=\"${PW}\";", false),
            ("sasl.jaas.config", "x.PlainLoginModule required password=\"%s\";", false),
            ("ssl.keystore.password", "changeit", true),
            ("ssl.keystore.password", "$password", false),
            ("ssl.keystore.password", "", false),
            ("sasl.mechanism", "PLAIN", false),
        ] {
            assert_eq!(is_secret(name, Some(value)), secret, "{name}={value}");
        }
    }
}
