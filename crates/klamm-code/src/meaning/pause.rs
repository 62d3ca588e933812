//! Pauses where a poll has found nothing: no record waits meanwhile.

use klamm_rules::evidence::EffectKind;

use super::File;
use super::effects::Trace;
use crate::tree::{Expr, ExprKind};

impl File<'_> {
    /// A test that holds where a poll has brought nothing: `records.isEmpty()`, `message is None`, `!messages.length`.
    pub(super) fn finds_nothing(&self, test: &Expr) -> bool {
        match &test.kind {
            ExprKind::Call(call) => {
                matches!(call.method(), "isEmpty" | "is_empty" | "IsEmpty" | "Empty") && !self.negated(test)
            }
            ExprKind::Binary { op, left, right } => match op.as_str() {
                "==" | "===" | "is" => is_nothing(right),
                "<" => matches!(&right.kind, ExprKind::Number(text) if text == "1"),
                "||" | "or" => self.finds_nothing(left),
                _ => false,
            },
            ExprKind::Name(_) | ExprKind::Member { .. } => self.negated(test),
            ExprKind::Other(inner) => match inner.as_slice() {
                [one] => {
                    let plain = matches!(one.kind, ExprKind::Name(_) | ExprKind::Member { .. });
                    if plain { self.negated(one) } else { !self.negated(one) && self.finds_nothing(one) }
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// The other way round.
    pub(super) fn finds_something(&self, test: &Expr) -> bool {
        match &test.kind {
            ExprKind::Call(call) => {
                matches!(call.method(), "isEmpty" | "is_empty" | "IsEmpty" | "Empty") && self.negated(test)
                    || call.method() == "isNotEmpty"
            }
            ExprKind::Binary { op, right, .. } => {
                matches!(op.as_str(), "!=" | "!==" | ">" | "is not") && is_nothing(right)
            }
            ExprKind::Name(_) | ExprKind::Member { .. } => !self.negated(test),
            ExprKind::Other(inner) => match inner.as_slice() {
                [one] => matches!(one.kind, ExprKind::Call(_)) && self.finds_something(one),
                _ => false,
            },
            _ => false,
        }
    }

    /// `!` or `not` stands before it.
    fn negated(&self, expr: &Expr) -> bool {
        let before = self.text.get(..expr.span.start as usize).unwrap_or_default().trim_end();
        before.ends_with('!') || before.ends_with("not")
    }
}

fn is_nothing(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Null => true,
        ExprKind::Number(text) => text == "0",
        ExprKind::Name(name) => name == "None",
        _ => false,
    }
}

impl Trace<'_, '_> {
    /// Sleeps since `before` are pauses.
    pub(super) fn drop_pauses(&mut self, before: usize) {
        let mut at = 0;
        self.effects.retain(|(effect, _)| {
            at += 1;
            let what = effect.what.to_ascii_lowercase();
            let sleeps = what.contains("sleep") || what.contains("delay");
            at <= before || effect.kind != EffectKind::Block || !sleeps
        });
    }
}
