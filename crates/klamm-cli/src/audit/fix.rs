//! `klamm audit --fix`: the safe fixes, handed to apply.

use klamm_admin::Admin;
use klamm_apply::{ApplyOptions, DataLoss, Existing, Journaling, Layers, Mode, amend};
use klamm_contract::Profile;
use klamm_rules::Report;
use serde_json::json;

use super::safe_changes;
use crate::args::AuditFixArgs;
use crate::ask::{self, Sure};
use crate::failure::{Exit, Outcome};
use crate::screen;

/// What the journal names as the reason.
const SERVICE: &str = "klamm audit";

/// Shows, asks, and makes the safe fixes. `exit` is what the audit itself came to; what was fixed is seen by the next one.
pub async fn run(args: &AuditFixArgs, json: bool, admin: &Admin, report: &Report, exit: Exit) -> Outcome {
    let changes = safe_changes(report);
    if changes.is_empty() {
        note(json, "no finding has a fix that is safe and that apply can make");
        return Ok(exit);
    }
    let options = |mode| ApplyOptions {
        existing: Existing::Adjust,
        mode,
        data_loss: DataLoss::Refuse,
        journal: Journaling::Keep { lock_timeout: args.lock_timeout },
        layers: Layers::NONE,
        throttle: None,
    };
    let id = admin.cluster_id();
    let failed =
        |error: klamm_apply::ApplyError| screen::apply_failed(&error, &admin.options().bootstrap, "");
    let preview = amend(admin, &id, SERVICE, &changes, &options(Mode::DryRun)).await.map_err(failed)?;
    show(json, "preview", &preview);
    if preview.done.is_empty() || args.dry_run {
        return Ok(exit);
    }
    let sure = if args.yes { Sure::Yes } else { Sure::Ask };
    if !ask::agreed(sure, json, &preview).await? {
        eprintln!("nothing was changed");
        return Ok(exit);
    }
    let receipt = amend(admin, &id, SERVICE, &changes, &options(Mode::Apply)).await.map_err(failed)?;
    show(json, "receipt", &receipt);
    Ok(exit)
}

fn show(json: bool, event: &str, receipt: &klamm_apply::Receipt) {
    match json {
        true => screen::say_json(&json!({ "event": event, "receipt": receipt })),
        false => screen::say_text(&screen::receipt(receipt, Profile::Prod)),
    }
}

fn note(json: bool, text: &str) {
    match json {
        true => screen::say_json(&json!({ "event": "note", "note": text })),
        false => screen::say_text(&format!("fix       {text}\n")),
    }
}
