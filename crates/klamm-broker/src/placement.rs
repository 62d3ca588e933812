//! Where replicas may be: on the one broker there is.

use std::collections::BTreeSet;

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::BrokerId;

use crate::error::Refusal;
use crate::node::NODE_ID;

/// Checks the replicas that a client wants for a partition.
///
/// # Errors
/// `INVALID_REPLICA_ASSIGNMENT` if there is none, one that is no broker, or one twice.
pub(crate) fn check_assignment(replicas: &[BrokerId]) -> Result<(), Refusal> {
    let refused = |why: String| {
        let message = format!("The manual partition assignment includes {why}");
        Err(Refusal::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message))
    };
    if replicas.is_empty() {
        return refused("an empty replica list.".to_owned());
    }
    let mut seen = BTreeSet::new();
    let mut sorted: Vec<i32> = replicas.iter().map(|id| id.0).collect();
    sorted.sort_unstable();
    for id in sorted {
        if id != NODE_ID {
            return refused(format!("broker {id}, but no such broker is registered."));
        }
        if !seen.insert(id) {
            return refused(format!("the broker {id} more than once."));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_lives_once_on_the_only_broker() {
        let check = |ids: &[i32]| {
            let ids: Vec<_> = ids.iter().map(|id| BrokerId(*id)).collect();
            check_assignment(&ids).map_err(|refusal| refusal.message)
        };
        assert_eq!(check(&[1]), Ok(()));
        assert!(check(&[]).is_err_and(|why| why.contains("empty replica list")));
        assert!(check(&[1, 1]).is_err_and(|why| why.contains("more than once")));
        assert!(check(&[1, 2]).is_err_and(|why| why.contains("broker 2, but no such broker")));
    }
}
