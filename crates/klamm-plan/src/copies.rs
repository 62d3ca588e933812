//! How many copies, and how many of them in sync, survive what the spec names.

use klamm_contract::{Consistency, Profile, Survive};

use crate::text;

/// More copies than that of one partition is a mistake, not a plan.
pub(crate) const MAX_COPIES: u32 = 15;

/// Copies of each partition, the floor, and what they carry through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Copies {
    /// Copies to have.
    pub(crate) replication_factor: u32,
    /// `min.insync.replicas`.
    pub(crate) min_insync: u32,
    /// Copies that the spec asks for; more than `replication_factor` only under `dev`.
    pub(crate) wanted: u32,
    /// What is survived, as a sentence.
    pub(crate) survives: String,
}

/// What copies can be spread over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) brokers: u32,
    /// `None` when nothing is known of racks.
    pub(crate) racks: Option<u32>,
}

/// Why there is no number of copies that does it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoRoom {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) help: String,
}

pub(crate) fn copies(
    consistency: Consistency,
    survive: Survive,
    room: Room,
    profile: Profile,
) -> Result<Copies, NoRoom> {
    match (demanded(consistency, survive, room.racks), profile) {
        (Ok((wanted, floor)), _) if wanted <= room.brokers => Ok(Copies {
            replication_factor: wanted,
            min_insync: floor,
            wanted,
            survives: survives(consistency, survive, room.brokers),
        }),
        (Ok((wanted, floor)), Profile::Dev) => Ok(relaxed(wanted, floor, survive, room.brokers)),
        // Racks cannot carry it; under dev they are not asked for, so what brokers alone would need is relaxed.
        (Err(_), Profile::Dev) => {
            let (wanted, floor) = enough(consistency, survive.brokers);
            Ok(relaxed(wanted, floor, survive, room.brokers))
        }
        (Ok((wanted, _)), Profile::Prod) => Err(NoRoom {
            code: "too-few-brokers",
            message: format!(
                "surviving {} takes {}, but there {} {}",
                losses(survive),
                arithmetic(consistency, survive, wanted),
                if room.brokers == 1 { "is" } else { "are" },
                text::count(room.brokers, "broker")
            ),
            help: format!(
                "run at least {wanted} brokers, ask to survive less, or use --profile dev if losing this data is fine"
            ),
        }),
        (Err(no_room), Profile::Prod) => Err(no_room),
    }
}

/// Copies and floor that survive the loss of `lost` copies. A record counts as acknowledged once the floor has it, so
/// strong data needs a floor above `lost`, still reached by what is left: `2 * lost + 1` copies.
fn enough(consistency: Consistency, lost: u32) -> (u32, u32) {
    match consistency {
        Consistency::Strong => (2 * lost + 1, lost + 1),
        Consistency::Eventual => (lost + 1, 1),
    }
}

fn demanded(consistency: Consistency, survive: Survive, racks: Option<u32>) -> Result<(u32, u32), NoRoom> {
    if survive.racks == 0 {
        return Ok(enough(consistency, survive.brokers));
    }
    let Some(racks) = racks else {
        return Err(NoRoom {
            code: "racks-unknown",
            message: format!(
                "surviving {} takes brokers in racks, and none is known",
                text::count(survive.racks, "rack")
            ),
            help: "name them in cluster.racks, or set broker.rack on the brokers".to_owned(),
        });
    };
    let (mut wanted, _) = enough(consistency, survive.brokers.max(survive.racks));
    while wanted <= MAX_COPIES {
        // Kafka spreads copies over racks evenly: none holds more than this many.
        let in_one_rack = wanted.div_ceil(racks.max(1));
        let lost = survive.brokers.max((survive.racks * in_one_rack).min(wanted));
        let (needed, floor) = enough(consistency, lost);
        if needed <= wanted {
            return Ok((wanted, floor));
        }
        wanted += 1;
    }
    let needed = enough(consistency, survive.racks).0;
    Err(NoRoom {
        code: "too-few-racks",
        message: format!(
            "surviving {} takes {needed} racks, but there {} {racks}: with fewer, the racks that are lost can hold every \
             copy that acknowledged a record, or enough of them to stop writes",
            text::count(survive.racks, "rack"),
            if racks == 1 { "is" } else { "are" },
        ),
        help: format!("spread the brokers over {needed} racks, or ask to survive fewer"),
    })
}

fn relaxed(wanted: u32, floor: u32, survive: Survive, brokers: u32) -> Copies {
    let replication_factor = wanted.min(brokers).max(1);
    // One below the copies, so that one broker down does not stop a laptop's writes.
    let min_insync =
        if replication_factor == wanted { floor } else { floor.min(replication_factor - 1).max(1) };
    let survives = format!(
        "dev profile: {} on {}, so losing one can lose data or stop writes (asked: {})",
        text::copies(replication_factor),
        text::count(brokers, "broker"),
        losses(survive)
    );
    Copies { replication_factor, min_insync, wanted, survives }
}

fn arithmetic(consistency: Consistency, survive: Survive, wanted: u32) -> String {
    let lost = survive.brokers;
    match consistency {
        Consistency::Strong if wanted == 2 * lost + 1 => {
            format!("{wanted} copies (2 x {lost} + 1: what is left still has {} in sync)", lost + 1)
        }
        _ => text::copies(wanted),
    }
}

fn losses(survive: Survive) -> String {
    let brokers = text::count(survive.brokers, "broker");
    match (survive.brokers, survive.racks) {
        (0, 0) => "no loss".to_owned(),
        (_, 0) => brokers,
        (0, racks) => text::count(racks, "rack"),
        (_, racks) => format!("{brokers} or {}", text::count(racks, "rack")),
    }
}

fn survives(consistency: Consistency, survive: Survive, brokers: u32) -> String {
    if survive.brokers == 0 && survive.racks == 0 {
        return "no loss of a broker: the spec asks for none".to_owned();
    }
    let what = match consistency {
        Consistency::Strong => "writes go on and no acknowledged record is lost",
        Consistency::Eventual => "reads and writes go on, the newest records may be lost",
    };
    format!("any {} of {brokers} down: {what}", losses(survive))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const THREE: Room = Room { brokers: 3, racks: None };

    fn strong(brokers: u32, racks: u32, room: Room, profile: Profile) -> Result<(u32, u32), NoRoom> {
        copies(Consistency::Strong, Survive { brokers, racks }, room, profile)
            .map(|copies| (copies.replication_factor, copies.min_insync))
    }

    #[test]
    fn one_broker_takes_three_copies_and_a_floor_of_two() {
        assert_eq!(strong(1, 0, THREE, Profile::Prod), Ok((3, 2)));
        assert_eq!(strong(2, 0, Room { brokers: 5, racks: None }, Profile::Prod), Ok((5, 3)));
        assert_eq!(strong(0, 0, Room { brokers: 1, racks: None }, Profile::Prod), Ok((1, 1)));
    }

    #[test]
    fn two_brokers_are_refused_with_the_arithmetic() {
        let refused = strong(1, 0, Room { brokers: 2, racks: None }, Profile::Prod).expect_err("no room");
        assert_eq!(
            refused.message,
            "surviving 1 broker takes 3 copies (2 x 1 + 1: what is left still has 2 in sync), but there are 2 brokers"
        );
    }

    #[test]
    fn two_racks_cannot_survive_one() {
        let room = |racks| Room { brokers: 6, racks: Some(racks) };
        assert_eq!(strong(1, 1, room(3), Profile::Prod), Ok((3, 2)));
        assert_eq!(strong(1, 1, room(2), Profile::Prod).expect_err("no room").code, "too-few-racks");
        assert_eq!(
            strong(1, 1, Room { brokers: 6, racks: None }, Profile::Prod).expect_err("no room").code,
            "racks-unknown"
        );
    }

    #[test]
    fn dev_takes_what_is_there() {
        assert_eq!(strong(1, 0, Room { brokers: 1, racks: None }, Profile::Dev), Ok((1, 1)));
        assert_eq!(strong(1, 1, Room { brokers: 2, racks: Some(1) }, Profile::Dev), Ok((2, 1)));
        assert_eq!(strong(1, 0, THREE, Profile::Dev), Ok((3, 2)));
    }

    proptest! {
        #[test]
        fn whatever_is_lost_leaves_the_floor_and_every_acknowledged_record(
            brokers in 1..20u32, racks in prop::option::of(1..6u32),
            lost_brokers in 0..4u32, lost_racks in 0..3u32, strong in any::<bool>(),
        ) {
            let consistency = if strong { Consistency::Strong } else { Consistency::Eventual };
            let survive = Survive { brokers: lost_brokers, racks: lost_racks };
            if let Ok(found) = copies(consistency, survive, Room { brokers, racks }, Profile::Prod) {
                let in_one_rack = racks.map_or(0, |racks| found.replication_factor.div_ceil(racks));
                let lost = lost_brokers.max(lost_racks * in_one_rack);
                prop_assert!(found.replication_factor <= brokers);
                prop_assert!(found.replication_factor >= lost + found.min_insync);
                prop_assert!(!strong || found.min_insync > lost);
            }
        }

        #[test]
        fn asking_for_more_never_gives_fewer_copies(lost in 0..6u32, brokers in 13..20u32) {
            let room = Room { brokers, racks: None };
            prop_assert!(strong(lost, 0, room, Profile::Prod)? <= strong(lost + 1, 0, room, Profile::Prod)?);
        }
    }

    impl From<NoRoom> for TestCaseError {
        fn from(no_room: NoRoom) -> Self {
            TestCaseError::fail(no_room.message)
        }
    }
}
