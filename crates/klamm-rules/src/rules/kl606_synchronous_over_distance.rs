//! One cluster's in-sync replicas are in different regions.
//!
//! ## What it does
//! Reads regions from the names of racks, where they are named like zones of a cloud (`eu-west-1a`, `europe-west1-b`, `westeurope-1`), and
//! looks for topics with copies in more than one.
//!
//! ## Why it hurts
//! A write with acks=all waits for every in-sync copy: each takes the round trip between the regions, and when the link trembles, copies fall out of
//! the in-sync set all at once.
//!
//! ## Example
//!     racks eu-west-1a, eu-west-1b, us-east-1a
//!
//! ## Use instead
//!     a cluster in each region, and MirrorMaker 2 between them
//!
//! ## Severity
//! Warning: regions are inferred from names, and latency is not measured.
//!
//! ## References
//! - KIP-392: fetching from the closest replica helps readers, not writers

use std::collections::{BTreeMap, BTreeSet};

use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::cluster::topics_text;
use crate::finding::{Finding, Fix, Severity};
use crate::text::listed;

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    let Some(brokers) = out.see("brokers of the cluster", &cx.evidence.live.brokers) else { return };
    let mut regions: BTreeMap<i32, &str> = BTreeMap::new();
    for broker in brokers {
        match broker.rack.as_deref().map(region) {
            Some(Some(region)) => {
                regions.insert(broker.id, region);
            }
            Some(None) => out.unclear(
                &format!("broker {}", broker.id),
                "its rack is not named like a zone: its region is not known",
            ),
            None => out.unclear(&format!("broker {}", broker.id), "it has no rack: its region is not known"),
        }
    }
    let all: BTreeSet<&str> = regions.values().copied().collect();
    let Some(topics) = out.see("topics of the cluster", &cx.evidence.live.topics) else { return };
    let mut wide = Vec::new();
    for (name, topic) in topics {
        out.judged();
        let far = topic.partitions.iter().any(|partition| {
            partition.isr.iter().filter_map(|id| regions.get(id)).collect::<BTreeSet<_>>().len() > 1
        });
        if far {
            wide.push(name.as_str());
        }
    }
    if wide.is_empty() {
        return;
    }
    let all: Vec<&str> = all.into_iter().collect();
    out.found(
        Finding::new(Severity::Warning, "cluster", format!("in-sync replicas are in {}", listed(&all, 5)))
            .fact("regions", listed(&all, 10), "inferred from names of racks")
            .fact("topics over several regions", topics_text(&wide), "in-sync replicas")
            .consequence("each write with acks=all to them waits for the round trip between regions, and fails with the link")
            .fix(
                Fix::new("keep in-sync replicas within one region", Risk::CopiesData)
                    .ask("run a cluster in each region and copy with MirrorMaker 2: klamm export --format mm2")
                    .ask("or, where the latency is known and accepted, accept this finding in the spec with that reason")
                    .undo_by("nothing is changed by this"),
            )
            .next("what is the 99th percentile of the round trip between the regions?"),
    );
}

/// The region in a zone's name: `eu-west-1a` and `eu-west-1` (Amazon), `europe-west1-b` (Google), `westeurope-1` (Azure).
fn region(rack: &str) -> Option<&str> {
    let parts: Vec<&str> = rack.split('-').collect();
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let letters = |text: &str| text.len() > 1 && text.bytes().all(|byte| byte.is_ascii_lowercase());
    match parts.as_slice() {
        [area, direction, zone] if letters(area) && letters(direction) => {
            let number = zone.trim_end_matches(|c: char| c.is_ascii_lowercase());
            (digits(number) && zone.len() - number.len() <= 1)
                .then(|| &rack[..rack.len() - (zone.len() - number.len())])
        }
        [area, place, zone] if letters(area) && zone.len() == 1 => {
            let name = place.trim_end_matches(|c: char| c.is_ascii_digit());
            (letters(name) && name.len() < place.len()).then(|| &rack[..rack.len() - 2])
        }
        [name, zone]
            if name.len() > 5
                && digits(zone)
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) =>
        {
            Some(name)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::region;

    #[test]
    fn zones_of_clouds_tell_their_region_and_other_names_do_not() {
        let told = ["eu-west-1a", "us-east-1", "europe-west1-b", "westeurope-1", "rack-1", "a", "", "dc1-r2"]
            .map(region);
        let known = [
            Some("eu-west-1"),
            Some("us-east-1"),
            Some("europe-west1"),
            Some("westeurope"),
            None,
            None,
            None,
            None,
        ];
        assert_eq!(told, known);
    }
}
