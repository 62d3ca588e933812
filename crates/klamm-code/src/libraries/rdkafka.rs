//! rdkafka, the Rust client on librdkafka.

use klamm_rules::evidence::{EffectKind, Library, Role};

use super::{Does, From, Key, Make, Method, Record, Report, Send, Sent, Table, hidden, librdkafka};
use crate::meaning::{ScopeId, Scopes};
use crate::tree::{Call, Expr, ExprKind};

pub(crate) static RDKAFKA: Table = Table {
    library: Library::Librdkafka,
    languages: &["rust"],
    imports: &["rdkafka"],
    makes: &[
        Make { call: ".create", role: Role::Unknown, settings: From::Receiver },
        Make { call: ".create_with_context", role: Role::Unknown, settings: From::Receiver },
    ],
    types: &[
        ("FutureProducer", Role::Producer),
        ("BaseProducer", Role::Producer),
        ("ThreadedProducer", Role::Producer),
        ("StreamConsumer", Role::Consumer),
        ("BaseConsumer", Role::Consumer),
        ("AdminClient", Role::Admin),
    ],
    methods: &[
        Method { of: Role::Producer, name: "send", does: Does::Send(SEND) },
        Method { of: Role::Producer, name: "send_result", does: Does::Send(SEND_RESULT) },
        Method { of: Role::Producer, name: "commit_transaction", does: Does::Effect(EffectKind::Commit) },
        Method { of: Role::Consumer, name: "recv", does: Does::Effect(EffectKind::Poll) },
        Method { of: Role::Consumer, name: "poll", does: Does::Effect(EffectKind::Poll) },
        Method { of: Role::Consumer, name: "next", does: Does::Effect(EffectKind::Poll) },
        Method { of: Role::Consumer, name: "iter", does: Does::Effect(EffectKind::Poll) },
        Method { of: Role::Consumer, name: "commit", does: Does::Depends(mode) },
        Method { of: Role::Consumer, name: "commit_message", does: Does::Depends(mode) },
        Method { of: Role::Consumer, name: "commit_consumer_state", does: Does::Depends(mode) },
        Method { of: Role::Consumer, name: "store_offset", does: Does::Effect(EffectKind::Mark) },
        Method { of: Role::Consumer, name: "store_offsets", does: Does::Effect(EffectKind::Mark) },
        Method {
            of: Role::Consumer,
            name: "store_offset_from_message",
            does: Does::Effect(EffectKind::Mark),
        },
        Method { of: Role::Consumer, name: "pause", does: Does::Effect(EffectKind::Pause) },
        Method { of: Role::Consumer, name: "subscribe", does: Does::Subscribe(0) },
    ],
    translate: librdkafka::translate,
};

const SEND: Send = Send { record, report: Report::Context };
const SEND_RESULT: Send = Send { record, report: Report::Result };

/// `CommitMode::Async` does not wait.
fn mode(call: &Call) -> EffectKind {
    let waits = |arg: &Expr| arg.last_word() == Some("Async");
    if call.args.iter().any(|arg| waits(&arg.value)) { EffectKind::CommitAsync } else { EffectKind::Commit }
}

/// `FutureRecord::to(topic).key(key).payload(value)`.
fn record<'t>(scopes: &Scopes<'t>, scope: ScopeId, sent: Sent<'t>) -> Record<'t> {
    let Some(given) = sent.call.positional(0) else { return hidden(scope) };
    let (made, scope) = scopes.origin(given, scope);
    let mut key = Key::Missing;
    let mut at = made;
    // Inwards along the chain, which is as deep as the tree at most.
    while let ExprKind::Call(call) = &at.kind {
        match call.method() {
            "key" => key = call.positional(0).map_or(Key::Unknown, Key::At),
            "to" | "with_opaque_to" => return Record { topic: call.positional(0), scope, key },
            _ => {}
        }
        match call.receiver() {
            Some(receiver) => at = receiver,
            None => break,
        }
    }
    hidden(scope)
}
