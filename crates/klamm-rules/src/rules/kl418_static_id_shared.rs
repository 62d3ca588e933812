//! Two consumers of a group use one `group.instance.id`.
//!
//! ## What it does
//! Fires where the same constant `group.instance.id` is given, at two places, to consumers of one `group.id`. An id with a variable in it is taken as made for each instance.
//!
//! Tests and examples run by themselves and are left out.
//!
//! ## Why it hurts
//! The id says who is who after a restart: the member that joins later fences the other with `FENCED_INSTANCE_ID` (with KIP-848 it is refused itself with
//! `UNRELEASED_INSTANCE_ID`), and one of the two stops.
//!
//! ## Example
//!     group.instance.id=billing      # in two services
//!
//! ## Use instead
//!     group.instance.id=billing-${POD_NAME}
//!
//! ## Severity
//! Error for two places that name the same cluster, warning where the cluster is not named.
//!
//! ## References
//! - KIP-345, KIP-848

use std::collections::BTreeMap;

use klamm_plan::Risk;

use crate::advice::templated;
use crate::check::{Cx, Out};
use crate::consumers::consumers;
use crate::evidence::Client;
use crate::finding::{Finding, Fix, Severity};

const ID: &str = "group.instance.id";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let mut users: BTreeMap<(&str, &str), Vec<&Client>> = BTreeMap::new();
    for client in consumers(cx, out).into_iter().filter(|client| !client.place.is_test()) {
        match (constant(client, ID), constant(client, "group.id")) {
            (Some(id), Some(group)) => users.entry((group, id)).or_default().push(client),
            (Some(_), None) => out.unclear(&client.subject(), "its group.id is not a constant"),
            _ => out.judged(),
        }
    }
    for ((group, id), clients) in users {
        out.judged();
        let Some((first, rest)) = clients.split_first() else { continue };
        let cluster = |client: &Client| constant(client, "bootstrap.servers").map(str::to_owned);
        let clash = |client: &&&Client| {
            client.place != first.place
                && (cluster(client).is_none()
                    || cluster(first).is_none()
                    || cluster(client) == cluster(first))
        };
        if let Some(other) = rest.iter().find(clash) {
            let same = cluster(first).is_some() && cluster(other).is_some();
            let severity = if same { Severity::Error } else { Severity::Warning };
            found(cx, out, (group, id), (first, other), severity);
        }
    }
}

fn constant<'a>(client: &'a Client, name: &str) -> Option<&'a str> {
    let value = client.setting(name)?.value.as_deref()?;
    (!value.is_empty() && !templated(value)).then_some(value)
}

fn found(
    cx: &Cx<'_>,
    out: &mut Out,
    (group, id): (&str, &str),
    (first, other): (&Client, &Client),
    severity: Severity,
) {
    let at = |client: &Client| {
        client.setting(ID).map_or_else(|| client.place.clone(), |setting| setting.place.clone())
    };
    let what = format!("{ID} {id:?} of group {group} is also used at {}", other.place);
    let finding = Finding::new(severity, first.subject(), what)
        .at(&at(first))
        .fact(ID, id, at(first).to_string())
        .fact(ID, id, at(other).to_string())
        .consequence("only one of the two can be a member: the other is fenced or refused, and stops")
        .fix(
            Fix::new("give each instance an id of its own", Risk::RestartsClients)
                .code(
                    &at(first),
                    format!("{ID}={id}-NAME, with a NAME that stays the same over restarts of one instance"),
                )
                .undo_by(format!("set {ID}={id} again")),
        )
        .next(format!(
            "kafka-consumer-groups.sh --bootstrap-server {} --describe --group {group} --members",
            cx.bootstrap()
        ))
        .weighed(cx.weight_of_all(&first.topics));
    out.found(finding);
}
