//! A Kafka Streams application keeps its state in a temporary folder.
//!
//! ## What it does
//! Reads `state.dir` of applications (`file`, `code`, `spec`). Without the setting Streams takes a folder under `java.io.tmpdir`: that counts where the application is known to keep state.
//!
//! ## Why it hurts
//! Temporary folders are cleared at a restart, by a cleaner, or with the container. Then the whole changelog is read again before a partition goes on. When only parts are cleared while it runs, the store
//! breaks; two applications on one machine share the folder.
//!
//! ## Example
//!     (state.dir is not set: /tmp/kafka-streams)
//!
//! ## Use instead
//!     state.dir=/var/lib/shop-totals
//!
//! ## Severity
//! Warning: it costs time, and after a cleared folder availability.

use klamm_plan::Risk;

use crate::amend::set_client;
use crate::check::{Cx, Out};
use crate::finding::{Finding, Fix, Severity};
use crate::frameworks::told;
use crate::streams::{apps, stateful, subject};

const DIR: &str = "state.dir";

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let apps = apps(cx, out);
    for (id, app) in &apps {
        if let Some(promise) = app.promise {
            out.judged();
            if temporary(&promise.state_dir) && promise.state_bytes.is_some() {
                let fix =
                    Fix::new(format!("keep the state of {id} on a disk that stays"), Risk::RestartsClients)
                        .ask(format!("say state-dir: /var/lib/{id} in {}", promise.place))
                        .undo_by(format!("say state-dir: {} again", promise.state_dir));
                let source = format!("spec, {}", promise.place);
                out.found(finding(id, &promise.state_dir, &source, fix).at(&promise.place));
            }
        }
        for client in &app.clients {
            let effective = told(client, DIR);
            let Some(dir) = effective.value() else {
                out.unclear(&client.subject(), effective.source());
                continue;
            };
            // Without state nothing is written there, so a default alone says nothing.
            if !effective.is_set() && stateful(cx, out, &apps, id).is_none() {
                continue;
            }
            out.judged();
            if temporary(dir) {
                let fix =
                    Fix::new(format!("keep the state of {id} on a disk that stays"), Risk::RestartsClients);
                let fix = set_client(fix, client, DIR, &format!("/var/lib/{id}"));
                out.found(finding(id, dir, effective.source(), fix).at(&client.place));
            }
        }
    }
}

fn finding(id: &str, dir: &str, source: &str, fix: Fix) -> Finding {
    Finding::new(Severity::Warning, subject(id), format!("its state is in a temporary folder: {dir}"))
        .fact(DIR, dir, source)
        .consequence(
            "when the folder is cleared, each of its partitions stands still until its changelog \
        is read again",
        )
        .fix(fix)
        .next("is the folder on a volume that a new container or machine gets back?")
}

fn temporary(dir: &str) -> bool {
    let dir = dir.trim();
    let under = |base: &str| dir == base || dir.starts_with(&format!("{base}/"));
    under("/tmp") || under("/var/tmp") || under("/dev/shm") || dir.contains("java.io.tmpdir")
}
