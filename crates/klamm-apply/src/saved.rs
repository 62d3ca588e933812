//! A plan that was looked at and is applied later, to the cluster as it was then or not at all.

use std::collections::BTreeMap;

use klamm_contract::facts::ClusterFacts;
use klamm_plan::{Change, Plan, diff};
use serde::{Deserialize, Serialize};

/// Version of the saved form; later releases read earlier ones.
const VERSION: u32 = 1;

/// A plan with what it was made against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedPlan {
    /// Version of this form.
    pub version: u32,
    /// The cluster that it was made for.
    pub cluster_id: String,
    /// Ids of the topics that existed: a topic that was deleted and made again is another one.
    pub topic_ids: BTreeMap<String, Option<String>>,
    /// What applying it was to change.
    pub changes: Vec<Change>,
    /// The plan.
    pub plan: Plan,
}

impl SavedPlan {
    /// `plan`, bound to the cluster as it is in `facts`.
    pub fn of(plan: Plan, facts: &ClusterFacts) -> SavedPlan {
        SavedPlan {
            version: VERSION,
            cluster_id: facts.cluster_id.clone(),
            topic_ids: topic_ids(&plan, facts),
            changes: diff(&plan, facts).changes,
            plan,
        }
    }

    /// Reads the saved form.
    ///
    /// # Errors
    /// It is not JSON, not a saved plan, or of a later version.
    pub fn from_json(text: &str) -> Result<SavedPlan, String> {
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        let head: Head = serde_json::from_str(text).map_err(|error| format!("not a saved plan: {error}"))?;
        if head.version != VERSION {
            return Err(format!("version {}, and this klamm reads version {VERSION}", head.version));
        }
        serde_json::from_str(text).map_err(|error| format!("not a saved plan: {error}"))
    }

    /// The saved form.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// What is not as it was: empty when the plan may be applied.
    pub fn changed(&self, facts: &ClusterFacts) -> Vec<String> {
        if facts.cluster_id != self.cluster_id {
            return vec![format!(
                "it was made for cluster {}, and {} answers",
                self.cluster_id, facts.cluster_id
            )];
        }
        let mut changed = Vec::new();
        let now = topic_ids(&self.plan, facts);
        for topic in self.plan.topics.iter().map(|topic| topic.name()) {
            match (self.topic_ids.get(topic), now.get(topic)) {
                (None, Some(_)) => changed.push(format!("topic {topic} exists by now")),
                (Some(_), None) => changed.push(format!("topic {topic} is gone")),
                (before, after) if before != after => {
                    changed.push(format!("topic {topic} was deleted and made again"));
                }
                _ => {}
            }
        }
        let changes = diff(&self.plan, facts).changes;
        let news = changes.iter().filter(|change| !self.changes.contains(change));
        changed.extend(news.map(|change| format!("it would also {change}")));
        let gone = self.changes.iter().filter(|change| !changes.contains(change));
        changed.extend(gone.map(|change| format!("no longer needed, or from another value: {change}")));
        changed
    }
}

fn topic_ids(plan: &Plan, facts: &ClusterFacts) -> BTreeMap<String, Option<String>> {
    let names = plan.topics.iter().map(|topic| topic.name());
    names.filter_map(|name| Some((name.to_owned(), facts.topics.get(name)?.id.clone()))).collect()
}
