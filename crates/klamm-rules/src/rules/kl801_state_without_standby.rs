//! A Kafka Streams application keeps state, and no copy of it stands by.
//!
//! ## What it does
//! For applications that keep state (by the spec, or by their changelogs on the cluster) reads how many standbys they have: `num.standby.replicas` in their files or code, and with the streams protocol (KIP-1071)
//! `streams.num.standby.replicas` of the group, since the client's setting is not read then. A spec that says `standbys: 0` accepts it.
//!
//! ## Why it hurts
//! When an instance dies, another one takes over its tasks and first reads the whole changelog: for 100 GB at 50 MB/s more than half an hour, in which those partitions stand still.
//!
//! ## Example
//!     (num.standby.replicas is not set: 0)
//!
//! ## Use instead
//!     num.standby.replicas=1
//!
//! ## Severity
//! Warning: it costs availability, no record.

use klamm_plan::Risk;

use crate::amend::{set_client, set_group};
use crate::check::{Cx, Out};
use crate::evidence::{Group, GroupKind};
use crate::finding::{Finding, Fix, Severity};
use crate::frameworks::told_text;
use crate::streams::{App, apps, stateful, subject};
use crate::text::{number, source_of};

const OF_CLIENT: &str = "num.standby.replicas";
const OF_GROUP: &str = "streams.num.standby.replicas";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let apps = apps(cx, out);
    for (id, app) in &apps {
        if app.promise.is_some_and(|promise| promise.standbys == 0) {
            out.judged();
            continue;
        }
        let Some(state) = stateful(cx, out, &apps, id) else { continue };
        match app.group.filter(|group| group.kind == GroupKind::Streams) {
            Some(group) => check_group(cx, out, id, group, &state),
            None => check_clients(cx, out, id, app, &state),
        }
    }
}

fn check_group(cx: &Cx<'_>, out: &mut Out, id: &str, group: &Group, state: &str) {
    let Some(configs) = out.see(&format!("configuration of group {id}"), &group.configs) else { return };
    let Some(standbys) = number(configs, OF_GROUP) else {
        out.unclear(&subject(id), format!("{OF_GROUP} was not told"));
        return;
    };
    out.judged();
    if standbys == 0 {
        let fix = Fix::new(format!("let one standby of {id} follow"), Risk::CopiesData);
        let fix = set_group(cx, fix, id, configs, OF_GROUP, "1");
        out.found(finding(cx, id, state, fix).fact(OF_GROUP, "0", source_of(configs, OF_GROUP)));
    }
}

fn check_clients(cx: &Cx<'_>, out: &mut Out, id: &str, app: &App<'_>, state: &str) {
    if app.clients.is_empty() {
        out.unclear(&subject(id), format!("{OF_CLIENT} is in its configuration, which nobody looked at"));
    }
    for client in &app.clients {
        if told_text(client, "group.protocol", out).is_some_and(|(protocol, _)| protocol == "streams") {
            out.unclear(&subject(id), format!("{OF_GROUP} is its group's, which was not seen"));
            continue;
        }
        let Some((standbys, source)) = told_text(client, OF_CLIENT, out) else { continue };
        out.judged();
        if standbys == "0" {
            let fix = Fix::new(format!("let one standby of {id} follow"), Risk::RestartsClients);
            let fix = set_client(fix, client, OF_CLIENT, "1");
            out.found(finding(cx, id, state, fix).fact(OF_CLIENT, "0", source).at(&client.place));
        }
    }
}

fn finding(cx: &Cx<'_>, id: &str, state: &str, fix: Fix) -> Finding {
    Finding::new(Severity::Warning, subject(id), "it keeps state and has no standby")
        .fact("state", state, "spec or topics of the cluster")
        .consequence(
            "when an instance dies, its partitions stand still until another one has read their \
        whole changelog",
        )
        .fix(fix)
        .next(format!(
            "kafka-log-dirs.sh --bootstrap-server {} --describe      # how large are the changelogs of {id}?",
            cx.bootstrap()
        ))
}
