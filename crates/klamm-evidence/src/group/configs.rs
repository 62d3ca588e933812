//! Configurations of groups, where the protocol has them: those that the brokers drive (since 4.0).

use klamm_admin::Admin;
use klamm_rules::Seen;
use klamm_rules::evidence::{Group, GroupKind};

use crate::live::seen;

/// Puts the configuration into groups of the consumer, share and streams protocols. Nobody reads one of a classic group.
pub(super) async fn put(admin: &Admin, groups: &mut [Group]) {
    let has = |group: &&mut Group| !matches!(group.kind, GroupKind::Classic | GroupKind::Other);
    let groups: Vec<&mut Group> = groups.iter_mut().filter(has).collect();
    let names: Vec<String> = groups.iter().map(|group| group.name.clone()).collect();
    let mut configs = admin.group_configs(&names).await;
    for group in groups {
        group.configs = match configs.remove(&group.name) {
            Some(told) => seen(told, &format!("DESCRIBE_CONFIGS on Group:{}", group.name)),
            None => Seen::NotAsked,
        };
    }
}
