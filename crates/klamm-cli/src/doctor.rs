//! `klamm doctor`: everything that the spec needs, tried from this machine one by one.

use klamm_apply::{DoctorReport, Outcome as Check, doctor};
use serde_json::json;

use crate::args::LookArgs;
use crate::failure::{Exit, Outcome};
use crate::load::{self, WhenMissing};
use crate::{connect, screen};

/// Tries; exit code 2 when something does not work, 1 when somebody should look at it.
pub async fn run(args: &LookArgs) -> Outcome {
    let loaded = load::load(&args.spec, WhenMissing::Example)?;
    let options = connect::options(&args.cluster, &loaded)?;
    // With the live cluster where it can be had; without it the checks say what is missing.
    let facts = match klamm_admin::Admin::connect(&options).await {
        Ok(admin) => admin.facts(&loaded.topics()).await.ok(),
        Err(_) => None,
    };
    let plan = loaded.plan(facts.as_ref())?;
    let report = doctor(&options, Some(&plan)).await;
    if args.output.json {
        screen::say_json(&json!({ "event": "doctor", "profile": plan.profile, "report": report }));
    } else {
        let note = screen::profile_note(plan.profile);
        screen::say_text(&text(&report, &loaded.origin, note, args.output.verbose));
    }
    Ok(match report.worst() {
        Check::Ok | Check::NotEvaluated => Exit::Clean,
        Check::Warn => Exit::Findings,
        Check::Fail => Exit::Failure,
    })
}

fn text(report: &DoctorReport, origin: &str, note: &str, verbose: bool) -> String {
    let cluster = report.cluster_id.as_deref().unwrap_or("no cluster answers");
    let mut text = format!("doctor    {origin} against {cluster} {note}").trim_end().to_owned();
    text.push('\n');
    let mut counts = [0_usize; 4];
    for check in &report.checks {
        counts[check.outcome as usize] += 1;
        // What nobody can tell is no news on a healthy cluster.
        if check.outcome == Check::NotEvaluated && !verbose {
            continue;
        }
        text.push_str(&format!("  {:<13} {}: {}\n", check.outcome, check.name, check.detail));
        if let Some(hint) = &check.hint {
            text.push_str(&format!("                hint: {hint}\n"));
        }
    }
    let [ok, not_evaluated, warn, fail] = counts;
    let more = if not_evaluated > 0 && !verbose { " (-v shows them)" } else { "" };
    text.push_str(&format!(
        "  {ok} ok, {warn} to look at, {fail} failed, {not_evaluated} not evaluated{more}\n"
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_is_a_line_and_the_counts_are_all() {
        let check = |name: &str, outcome, hint: Option<&str>| klamm_apply::Check {
            name: name.to_owned(),
            outcome,
            detail: "seen".to_owned(),
            hint: hint.map(str::to_owned),
        };
        let report = DoctorReport {
            version: 1,
            cluster_id: None,
            checks: vec![
                check("a", Check::Ok, None),
                check("b", Check::Fail, Some("mend it")),
                check("c", Check::NotEvaluated, None),
            ],
        };
        let text = text(&report, "klamm.yaml", "", false);
        assert!(text.contains("fail          b: seen") && text.contains("hint: mend it"), "{text}");
        assert!(
            !text.contains("c: seen") && text.contains("1 ok, 0 to look at, 1 failed, 1 not evaluated"),
            "{text}"
        );
    }
}
