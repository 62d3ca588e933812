//! Findings of an audit that are accepted.

use crate::spec::decode::{Context, Spanned};
use crate::spec::raw::{RawAccept, RawAudit};
use crate::spec::{AcceptSpec, AuditSpec};

pub(super) fn check_audit(raw: RawAudit, cx: &mut Context) -> AuditSpec {
    let accept = raw.accept.unwrap_or_default();
    AuditSpec { accept: accept.into_iter().map(|accept| check_accept(accept, cx)).collect() }
}

fn check_accept(raw: Spanned<RawAccept>, cx: &mut Context) -> AcceptSpec {
    let Spanned { value: raw, span } = raw;
    // Which rules there are is known to those who run them; here only the form is.
    let digits = raw.rule.value.strip_prefix("KL").unwrap_or_default();
    if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let message = format!("{:?} is no rule", raw.rule.value);
        cx.error("bad-rule", raw.rule.span, message).help = Some("write its code, like KL504".to_owned());
    }
    if let Some(on) = &raw.on
        && (on.value.trim().is_empty() || on.value.trim_end_matches('*').is_empty())
    {
        let message = format!("{:?} names nothing", on.value);
        cx.error("bad-subject", on.span, message).help = Some(
            "write the subject as the finding names it, like topic app-logs; leave it out for all".to_owned(),
        );
    }
    if raw.reason.value.trim().is_empty() {
        let message = format!("{} is accepted without a reason", raw.rule.value);
        cx.error("empty-reason", raw.reason.span, message);
    }
    AcceptSpec {
        span,
        rule: raw.rule.value,
        on: raw.on.map(|on| on.value),
        reason: raw.reason.value,
        until: raw.until.value,
    }
}
