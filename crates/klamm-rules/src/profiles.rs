//! Findings about the profiles of one application: what all of them share is one finding, and what only runs at a desk is told as such.

use crate::finding::{Finding, Severity};

const MARK: &str = "(profile ";
/// Profiles that do not run in production.
const DEVELOPMENT: [&str; 8] = ["dev", "development", "local", "test", "tests", "it", "ci", "e2e"];

/// The profile that a subject names: `producer (profile prod) in application.yml`.
fn profile(finding: &Finding) -> Option<&str> {
    let (_, rest) = finding.subject.split_once(MARK)?;
    rest.split(')').next()
}

/// One finding for each line, and none above info for what does not run in production. Secrets and open doors stay as they are.
pub(crate) fn settle(findings: &mut Vec<Finding>) {
    let mut at = 0;
    while at < findings.len() {
        let one = &findings[at];
        let again = profile(one).is_some()
            && findings.iter().enumerate().any(|(other, known)| {
                let first = profile(known).is_none() || other < at;
                other != at && first && same_line(known, one)
            });
        if again {
            findings.remove(at);
        } else {
            at += 1;
        }
    }
    for finding in findings.iter_mut().filter(|finding| !finding.rule.starts_with("KL9")) {
        let Some(name) = profile(finding).map(str::to_owned) else { continue };
        if DEVELOPMENT.contains(&name.as_str()) && finding.severity > Severity::Info {
            finding.severity = Severity::Info;
            let said = finding.clone().fact("profile", name, "its name: it does not run in production");
            *finding = said;
        }
    }
}

/// The same is wrong with the same line.
fn same_line(a: &Finding, b: &Finding) -> bool {
    a.place.is_some()
        && a.place == b.place
        && (a.what == b.what && a.evidence == b.evidence && a.fix == b.fix && a.severity == b.severity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Place;

    fn finding(subject: &str, line: u32) -> Finding {
        let place = Place { file: "application.yml".to_owned(), line, column: 1 };
        Finding { rule: "KL101".to_owned(), ..Finding::new(Severity::Error, subject, "acks is 1").at(&place) }
    }

    fn settled(findings: &[Finding]) -> Vec<(String, Severity)> {
        let mut findings = findings.to_vec();
        settle(&mut findings);
        findings.into_iter().map(|finding| (finding.subject, finding.severity)).collect()
    }

    #[test]
    fn what_a_profile_takes_from_the_base_is_one_finding() {
        let (base, prod) = ("producer in application.yml", "producer (profile prod) in application.yml");
        let told = settled(&[finding(base, 4), finding(prod, 4), finding(prod, 9)]);
        assert_eq!(told, [(base.to_owned(), Severity::Error), (prod.to_owned(), Severity::Error)]);
    }

    #[test]
    fn what_does_not_run_in_production_is_worth_knowing_and_no_more() {
        let dev = "producer (profile dev) in application-dev.properties";
        assert_eq!(settled(&[finding(dev, 4)]), [(dev.to_owned(), Severity::Info)]);
        let secret = Finding { rule: "KL902".to_owned(), ..finding(dev, 5) };
        assert_eq!(settled(&[secret])[0].1, Severity::Error);
    }
}
