//! A broker reports a log directory that has failed.
//!
//! ## What it does
//! Reads the state of each log directory as its broker tells it.
//!
//! ## Why it hurts
//! All copies in the directory are gone from the broker until it is replaced: their partitions have one copy less, and those with one copy none. The
//! broker goes on with its other directories and looks healthy.
//!
//! ## Example
//!     broker 2: /data/disk3: KAFKA_STORAGE_ERROR
//!
//! ## Use instead
//!     replace the disk, restart the broker: it copies again what it had
//!
//! ## Severity
//! Error.
//!
//! ## References
//! - KIP-112: handle disk failure for JBOD; KIP-858 for KRaft

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::finding::{Finding, Fix, Severity};

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(dirs) = out.see("log directories", &cx.evidence.live.log_dirs) else { return };
    for dir in dirs {
        out.judged();
        let Some(error) = &dir.error else { continue };
        let (id, path) = (dir.broker, &dir.path);
        out.found(
            Finding::new(Severity::Error, format!("broker {id}"), format!("log directory {path} has failed"))
                .fact(path.clone(), error.clone(), "log directories of the broker")
                .consequence(format!("no copy in {path} of broker {id} takes records: its partitions have one copy less"))
                .fix(
                    Fix::new(format!("replace the volume of {path} on broker {id}"), Risk::NeedsBrokerRestart)
                        .command(format!("klamm can-stop {id} --bootstrap {}", cx.bootstrap()))
                        .ask(format!("repair or replace the volume (an empty one is right), then restart broker {id}: it copies from the leaders what it had"))
                        .ask(format!("partitions with their only copy in {path} need the old volume: do not clear it before they are saved"))
                        .undo_by("nothing to take back"),
                )
                .next(format!("on broker {id}: what do the kernel's log and Kafka's server.log say about {path}?")),
        );
    }
}
