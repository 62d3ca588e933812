//! An earlier audit, so that only what is new counts.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::finding::Finding;

/// Version of the report's JSON form that is read.
const VERSION: u32 = 1;
/// How fingerprints are made: the second form has details, and names of documents.
pub const FINGERPRINT_FORM: u32 = 2;

/// What an earlier audit had found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baseline {
    /// Each fingerprint with how often it was there: a second defect that looks alike is new.
    fingerprints: BTreeMap<String, usize>,
    form: u32,
}

/// The part of a report in JSON that matters here.
#[derive(Deserialize)]
struct Earlier {
    version: u32,
    fingerprints: Vec<String>,
    #[serde(default)]
    fingerprint_form: u32,
}

impl Baseline {
    /// Of the JSON that an earlier audit printed.
    ///
    /// # Errors
    /// When it is none, or of another version.
    pub fn parse(text: &str) -> Result<Self, String> {
        let earlier: Earlier = serde_json::from_str(text)
            .map_err(|error| format!("it is no report of an audit in JSON: {error}"))?;
        if earlier.version != VERSION {
            return Err(format!("the report has version {}, this klamm reads {VERSION}", earlier.version));
        }
        let mut fingerprints = BTreeMap::new();
        for fingerprint in earlier.fingerprints {
            *fingerprints.entry(fingerprint).or_default() += 1;
        }
        Ok(Baseline { fingerprints, form: earlier.fingerprint_form })
    }

    /// Marks those that the earlier audit had found. What it calls the same comes before what only its former form does.
    pub(crate) fn mark(&self, mut findings: Vec<&mut Finding>) {
        let mut left = self.fingerprints.clone();
        let mut take = |fingerprint: &str| match left.get_mut(fingerprint) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        };
        for finding in &mut findings {
            finding.known = take(&finding.fingerprint());
        }
        if self.form >= FINGERPRINT_FORM {
            return;
        }
        for at in 0..2 {
            for finding in findings.iter_mut().filter(|finding| !finding.known) {
                finding.known = take(&finding.former_fingerprints()[at]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Severity;

    fn finding(subject: &str, detail: Option<&str>) -> Finding {
        let mut finding = Finding::new(Severity::Error, subject, "x");
        finding.rule = "KL101".to_owned();
        finding.detail = detail.map(str::to_owned);
        finding
    }

    fn known(report: &str, findings: &[Finding]) -> Vec<bool> {
        let baseline = Baseline::parse(report).expect("a report");
        let mut findings = findings.to_vec();
        baseline.mark(findings.iter_mut().collect());
        findings.iter().map(|finding| finding.known).collect()
    }

    fn report(form: u32, findings: &[Finding]) -> String {
        let fingerprints: Vec<String> = findings.iter().map(Finding::fingerprint).collect();
        serde_json::json!({ "version": 1, "fingerprint_form": form, "fingerprints": fingerprints })
            .to_string()
    }

    #[test]
    fn what_an_earlier_audit_found_is_known_wherever_it_moved_in_its_file() {
        let (a, b) = (finding("producer in a.py", None), finding("producer in b.py", None));
        assert_eq!(known(&report(2, std::slice::from_ref(&a)), &[a, b]), [true, false]);
    }

    #[test]
    fn a_second_one_that_looks_alike_is_new() {
        let one = finding("producer in a.yaml", None);
        let earlier = report(2, std::slice::from_ref(&one));
        assert_eq!(known(&earlier, &[one.clone(), one]), [true, false]);
        let send = |topic| finding("send in m of A.java", Some(topic));
        assert_eq!(known(&report(2, &[send("orders")]), &[send("payments"), send("orders")]), [false, true]);
    }

    #[test]
    fn a_report_of_the_former_form_still_knows_what_it_had_and_no_more() {
        let earlier = report(0, &[finding("producer in a.yaml", None), finding("send in m of A.java", None)]);
        let now = [
            finding("producer one/p.properties in a.yaml", None),
            finding("producer two/p.properties in a.yaml", None),
            finding("send in m of A.java", Some("orders")),
            finding("send in m of A.java", Some("payments")),
        ];
        assert_eq!(known(&earlier, &now), [true, false, true, false]);
        let today = earlier.replace("\"fingerprint_form\":0", "\"fingerprint_form\":2");
        assert_eq!(known(&today, &now), [false; 4]);
    }

    #[test]
    fn what_is_no_report_is_refused() {
        for text in ["", "[]", "{}", "{\"version\": 2, \"fingerprints\": []}"] {
            assert!(Baseline::parse(text).is_err(), "{text}");
        }
    }
}
