//! What a member does in cases that have names.

use std::time::{Duration, Instant};

use bytes::Bytes;
use klamm_kafka::ErrorCode as Code;
use proptest::prelude::*;

use super::{Ask, Classic, JoinAnswer, JoinedMember, SyncAnswer, What};
use crate::group::assign::{
    ConsumerSubscription, Strategy as Assignor, Topics, decode_assignment, encode_assignment,
};
use crate::group::{Settings, Subscription, Told};
use crate::{ConsumeErrorKind, TopicPartition};

const SECOND: Duration = Duration::from_secs(1);

fn settings() -> Settings {
    Settings {
        group: "g".into(),
        instance_id: None,
        subscription: Subscription::Topics(vec!["t".into()]),
        rack: None,
        session_timeout: 45 * SECOND,
        heartbeat_interval: 3 * SECOND,
        max_poll_interval: 300 * SECOND,
        revoke_budget: 10 * SECOND,
    }
}

fn partition(number: i32) -> TopicPartition {
    TopicPartition::new("t", number)
}

fn topics(partitions: usize) -> Topics {
    [("t".into(), vec![Vec::new(); partitions])].into()
}

fn refused(error: Code) -> JoinAnswer {
    JoinAnswer::refused(error, "m")
}

/// A member and the clock.
struct Case {
    machine: Classic,
    now: Instant,
    strategy: Assignor,
}

impl Case {
    fn new(strategy: Assignor, settings: Settings) -> Case {
        let now = Instant::now();
        Case { machine: Classic::new(settings, vec![strategy], 7, now), now, strategy }
    }

    fn later(&mut self, by: Duration) {
        self.now += by;
    }

    fn ask(&mut self) -> Ask {
        self.machine.ask(self.now).expect("there is something to ask")
    }

    fn is_quiet(&mut self) -> bool {
        self.machine.ask(self.now).is_none()
    }

    fn ask_all(&mut self) {
        while self.machine.ask(self.now).is_some() {}
    }

    fn find(&mut self) {
        let ask = self.ask();
        assert_eq!(ask.what, What::Coordinator);
        self.machine.found(ask.id, Ok(1), self.now);
    }

    fn admit(&mut self, generation: i32, leader: &str) {
        let ask = self.ask();
        let What::Join { protocols, .. } = &ask.what else { panic!("{ask:?}") };
        let metadata = protocols[0].1.clone();
        let member = JoinedMember { id: "m".into(), instance_id: None, metadata };
        let answer = JoinAnswer {
            error: Code::NONE,
            generation,
            protocol_type: Some("consumer".into()),
            protocol: Some(self.strategy.name().into()),
            leader: leader.into(),
            members: if leader == "m" { vec![member] } else { Vec::new() },
            ..refused(Code::NONE)
        };
        self.machine.joined(ask.id, answer, self.now);
    }

    fn assign(&mut self, partitions: &[i32]) {
        let ask = self.ask();
        assert!(matches!(ask.what, What::Sync { .. }), "{ask:?}");
        let partitions: Vec<_> = partitions.iter().map(|number| partition(*number)).collect();
        self.sync(&ask, Code::NONE, encode_assignment(&partitions));
    }

    fn sync(&mut self, ask: &Ask, error: Code, assignment: Bytes) {
        self.machine.synced(ask.id, SyncAnswer { error, protocol: None, assignment }, self.now);
    }

    /// A member that follows and has these partitions.
    fn stable(strategy: Assignor, settings: Settings, partitions: &[i32]) -> Case {
        let mut case = Case::new(strategy, settings);
        case.find();
        case.admit(1, "other");
        case.assign(partitions);
        assert_eq!(case.told(), told("assigned", partitions));
        assert!(case.is_quiet());
        case
    }

    /// The next heartbeat, answered.
    fn beat(&mut self, answer: Result<(), Code>) {
        self.later(3 * SECOND);
        let ask = self.ask();
        assert!(matches!(ask.what, What::Heartbeat { .. }), "{ask:?}");
        self.machine.alive(ask.id, answer, self.now);
    }

    /// What was told, as text.
    fn told(&mut self) -> Vec<String> {
        let list = |name: &str, partitions: &[TopicPartition]| {
            let numbers: Vec<i32> = partitions.iter().map(|partition| partition.partition).collect();
            told(name, &numbers).remove(0)
        };
        let text = |told: Told| match told {
            Told::Assigned(partitions) => list("assigned", &partitions),
            Told::Revoking(partitions) => list("revoking", &partitions),
            Told::Lost(partitions) => list("lost", &partitions),
            Told::Error(error) => format!("{:?}", error.kind()),
        };
        self.machine.told().into_iter().map(text).collect()
    }

    fn epoch(&self) -> Option<i32> {
        self.machine.membership().map(|membership| membership.epoch)
    }
}

fn told(name: &str, partitions: &[i32]) -> Vec<String> {
    vec![format!("{name} {partitions:?}")]
}

#[test]
fn a_member_takes_the_id_it_is_given_leads_and_assigns() {
    let mut case = Case::new(Assignor::Range, settings());
    case.find();
    let ask = case.ask();
    let What::Join { broker: 1, member_id, timeout, .. } = &ask.what else { panic!("{ask:?}") };
    assert_eq!((member_id.as_str(), *timeout), ("", 305 * SECOND));
    case.machine.joined(ask.id, refused(Code::MEMBER_ID_REQUIRED), case.now);
    assert_eq!(case.epoch(), None);
    case.admit(1, "m");
    assert_eq!(case.epoch(), Some(1));

    let ask = case.ask();
    assert_eq!(ask.what, What::Topics(vec!["t".into()]));
    case.machine.topics(ask.id, topics(3), case.now);
    let ask = case.ask();
    let What::Sync { assignments, member_id, generation: 1, .. } = &ask.what else { panic!("{ask:?}") };
    assert_eq!((member_id.as_str(), assignments[0].0.as_str()), ("m", "m"));
    let bytes = assignments[0].1.clone();
    assert_eq!(decode_assignment(&bytes).map(|list| list.len()), Some(3));
    case.sync(&ask, Code::NONE, bytes);
    assert_eq!(case.told(), told("assigned", &[0, 1, 2]));
    case.beat(Ok(()));

    // It looks after the topics of all.
    case.later(300 * SECOND);
    case.machine.polled(case.now);
    case.find();
    let asks = [case.ask(), case.ask()];
    let watch = asks.iter().find(|ask| matches!(ask.what, What::Topics(_))).expect("it looks");
    case.machine.topics(watch.id, topics(4), case.now);
    assert!(case.is_quiet());
    assert_eq!(case.told(), told("revoking", &[0, 1, 2]));
    case.machine.revoked(case.now);
    assert!(matches!(case.ask().what, What::Join { reason: "cached metadata has changed", .. }));
}

#[test]
fn an_eager_member_gives_up_all_before_it_joins_and_beats_meanwhile() {
    let mut case = Case::stable(Assignor::Range, settings(), &[0, 1]);
    case.beat(Err(Code::REBALANCE_IN_PROGRESS));
    assert!(case.is_quiet());
    assert_eq!(case.told(), told("revoking", &[0, 1]));
    // It is still in its generation: what is done can be committed.
    assert_eq!(case.epoch(), Some(1));
    case.beat(Err(Code::REBALANCE_IN_PROGRESS));
    assert!(case.is_quiet() && case.told().is_empty());
    case.machine.revoked(case.now);
    case.admit(2, "other");
    case.assign(&[1]);
    assert_eq!(case.told(), told("assigned", &[1]));
    assert_eq!(case.epoch(), Some(2));
}

#[test]
fn work_that_is_not_finished_in_its_time_is_lost() {
    let mut case = Case::stable(Assignor::Range, settings(), &[0]);
    case.beat(Err(Code::REBALANCE_IN_PROGRESS));
    assert!(case.is_quiet());
    case.told();
    assert!(case.machine.wake_at().is_some_and(|at| at <= case.now + 10 * SECOND));
    case.later(10 * SECOND);
    case.admit(2, "other");
    assert_eq!(case.told(), told("lost", &[0]));
    case.machine.revoked(case.now);
    case.assign(&[0]);
    assert_eq!(case.told(), told("assigned", &[0]));
}

#[test]
fn a_cooperative_member_gives_up_only_what_moves_and_then_joins_again() {
    let mut case = Case::stable(Assignor::CooperativeSticky, settings(), &[0, 1, 2]);
    case.beat(Err(Code::REBALANCE_IN_PROGRESS));
    case.admit(2, "other");
    assert!(case.told().is_empty());
    case.assign(&[0, 1, 3]);
    assert_eq!(case.told(), ["revoking [2]", "assigned [3]"]);
    assert!(case.is_quiet());
    case.machine.revoked(case.now);
    case.admit(3, "other");
    case.assign(&[0, 1, 3]);
    assert!(case.told().is_empty() && case.is_quiet());
}

#[test]
fn who_takes_no_events_leaves_and_is_back_with_the_next() {
    let mut case = Case::stable(Assignor::Range, settings(), &[0]);
    while let Some(wake) = case.machine.wake_at().filter(|wake| *wake < case.now + 300 * SECOND) {
        case.now = wake;
        let Some(ask) = case.machine.ask(case.now) else { break };
        match ask.what {
            What::Heartbeat { .. } => case.machine.alive(ask.id, Ok(()), case.now),
            What::Leave { ref member_id, .. } => {
                assert_eq!(member_id, "m");
                assert_eq!(case.told(), ["lost [0]", "LeftBehind"]);
                assert_eq!((case.epoch(), case.machine.wake_at()), (None, None));
                case.later(900 * SECOND);
                assert!(case.is_quiet());
                case.machine.polled(case.now);
                let ask = case.ask();
                assert!(matches!(&ask.what, What::Join { member_id, .. } if member_id.is_empty()), "{ask:?}");
                return;
            }
            what => panic!("{what:?}"),
        }
    }
    panic!("it does not leave");
}

#[test]
fn a_static_member_keeps_its_place() {
    let fixed = || Settings { instance_id: Some("i".into()), ..settings() };
    let mut case = Case::stable(Assignor::Range, fixed(), &[0]);
    case.machine.close(case.now);
    assert_eq!(case.told(), told("revoking", &[0]));
    case.machine.revoked(case.now);
    assert!(case.is_quiet() && case.machine.is_ended());

    let mut case = Case::stable(Assignor::Range, fixed(), &[0]);
    case.later(300 * SECOND);
    assert!(case.is_quiet());
    assert_eq!(case.told(), ["lost [0]", "LeftBehind"]);
}

#[test]
fn close_gives_up_all_leaves_and_ends() {
    let mut case = Case::stable(Assignor::CooperativeSticky, settings(), &[0, 1]);
    case.machine.close(case.now);
    assert_eq!(case.told(), told("revoking", &[0, 1]));
    assert!(case.is_quiet() && case.epoch() == Some(1));
    case.machine.revoked(case.now);
    let ask = case.ask();
    assert!(matches!(ask.what, What::Leave { broker: 1, .. }), "{ask:?}");
    assert!(!case.machine.is_ended() && case.epoch().is_none());
    case.machine.failed(ask.id, case.now);
    assert!(case.machine.is_ended() && case.is_quiet() && case.machine.wake_at().is_none());

    // What was asked for before is answered on its own.
    let mut case = Case::stable(Assignor::CooperativeSticky, settings(), &[0, 1]);
    case.beat(Err(Code::REBALANCE_IN_PROGRESS));
    case.admit(2, "other");
    case.assign(&[1]);
    case.machine.close(case.now);
    assert_eq!(case.told(), ["revoking [0]", "revoking [1]"]);
    case.machine.revoked(case.now);
    assert!(case.is_quiet());
    case.machine.revoked(case.now);
    assert!(matches!(case.ask().what, What::Leave { .. }));

    // In the middle of a rebalance there is nobody to commit for.
    let mut case = Case::stable(Assignor::CooperativeSticky, settings(), &[0]);
    case.beat(Err(Code::REBALANCE_IN_PROGRESS));
    assert!(matches!(case.ask().what, What::Join { .. }));
    case.machine.close(case.now);
    assert_eq!(case.told(), told("lost", &[0]));
    assert!(matches!(case.ask().what, What::Leave { .. }));
}

#[test]
fn who_is_not_known_any_more_has_lost_all_and_joins_anew() {
    for (error, keeps_id) in [(Code::UNKNOWN_MEMBER_ID, false), (Code::ILLEGAL_GENERATION, true)] {
        let mut case = Case::stable(Assignor::CooperativeSticky, settings(), &[0, 1]);
        case.beat(Err(error));
        assert_eq!(case.told(), ["LeftBehind", "lost [0, 1]"]);
        assert_eq!(case.epoch(), None);
        let ask = case.ask();
        let What::Join { member_id, .. } = &ask.what else { panic!("{ask:?}") };
        assert_eq!(!member_id.is_empty(), keeps_id, "{error}");
    }
}

#[test]
fn a_coordinator_that_moves_or_breaks_off_is_looked_up_again_and_nothing_is_lost() {
    for error in [Code::NOT_COORDINATOR, Code::COORDINATOR_NOT_AVAILABLE] {
        let mut case = Case::stable(Assignor::Range, settings(), &[0]);
        case.beat(Err(error));
        case.find();
        assert!(case.told().is_empty() && case.epoch() == Some(1));
        case.beat(Ok(()));
    }
    let mut case = Case::stable(Assignor::Range, settings(), &[0]);
    case.later(3 * SECOND);
    let ask = case.ask();
    case.machine.failed(ask.id, case.now);
    // An answer that comes all the same changes nothing.
    case.machine.alive(ask.id, Err(Code::UNKNOWN_MEMBER_ID), case.now);
    case.find();
    assert!(case.told().is_empty() && case.epoch() == Some(1));
}

#[test]
fn nobody_heard_for_a_session_means_that_another_may_be_the_coordinator() {
    let mut case = Case::stable(Assignor::Range, settings(), &[0]);
    case.later(3 * SECOND);
    let heartbeat = case.ask();
    case.later(42 * SECOND);
    case.find();
    case.machine.alive(heartbeat.id, Err(Code::UNKNOWN_MEMBER_ID), case.now);
    assert!(case.told().is_empty() && case.epoch() == Some(1));
}

#[test]
fn what_can_never_work_ends_the_member_and_what_may_is_tried_again() {
    for error in [Code::FENCED_INSTANCE_ID, Code::INCONSISTENT_GROUP_PROTOCOL, Code::INVALID_SESSION_TIMEOUT]
    {
        let mut case = Case::new(Assignor::Range, settings());
        case.find();
        let ask = case.ask();
        case.machine.joined(ask.id, refused(error), case.now);
        assert_eq!(case.told(), ["Fatal"], "{error}");
        assert!(case.machine.is_ended() && case.is_quiet());
    }
    let mut case = Case::stable(Assignor::Range, settings(), &[0]);
    case.beat(Err(Code::FENCED_INSTANCE_ID));
    assert_eq!(case.told(), ["lost [0]", "Fatal"]);

    for (error, told) in
        [(Code::GROUP_AUTHORIZATION_FAILED, "Denied"), (Code::GROUP_MAX_SIZE_REACHED, "Other")]
    {
        let mut case = Case::new(Assignor::Range, settings());
        case.find();
        for round in 0..5 {
            let ask = case.ask();
            case.machine.joined(ask.id, refused(error), case.now);
            let expected: &[&str] = if round == 0 { &[told] } else { &[] };
            assert_eq!(case.told(), expected, "{error}");
            assert!(case.is_quiet(), "it waits");
            case.later(2 * SECOND);
        }
    }
}

#[test]
fn a_join_that_is_refused_for_ever_does_not_run_hot() {
    let mut case = Case::new(Assignor::Range, settings());
    case.find();
    let mut joins = 0;
    while let Some(ask) = case.machine.ask(case.now) {
        joins += 1;
        assert!(joins < 10);
        case.machine.joined(ask.id, refused(Code::MEMBER_ID_REQUIRED), case.now);
    }
    assert!(case.machine.wake_at().is_some_and(|wake| wake > case.now));
}

#[test]
fn an_assignment_that_makes_no_sense_is_told_and_asked_for_again() {
    let foreign = encode_assignment(&[TopicPartition::new("another", 0)]);
    for bytes in [Bytes::from_static(b"\0"), Bytes::from_static(b"\0\0\0\0\0\x07"), foreign] {
        let mut case = Case::new(Assignor::Range, settings());
        case.find();
        case.admit(1, "other");
        let ask = case.ask();
        case.sync(&ask, Code::NONE, bytes);
        assert_eq!(case.told(), ["Other"]);
        assert!(case.is_quiet());
        case.later(2 * SECOND);
        assert!(matches!(case.ask().what, What::Join { .. }));
    }
}

#[test]
fn a_leader_that_returns_leaves_the_assignment_as_it_is() {
    let mut case = Case::new(Assignor::Range, Settings { instance_id: Some("i".into()), ..settings() });
    case.find();
    let ask = case.ask();
    let answer = JoinAnswer {
        error: Code::NONE,
        generation: 4,
        protocol: Some("range".into()),
        leader: "m".into(),
        skip_assignment: true,
        ..refused(Code::NONE)
    };
    case.machine.joined(ask.id, answer, case.now);
    let ask = case.ask();
    case.machine.topics(ask.id, topics(2), case.now);
    assert!(matches!(case.ask().what, What::Sync { assignments, .. } if assignments.is_empty()));
}

#[test]
fn every_error_in_every_answer_leaves_the_member_at_work_or_ended() {
    for code in (-1..140).map(Code::from).filter(|code| !code.is_ok()) {
        for step in 0..4 {
            let mut case = Case::stable(Assignor::CooperativeSticky, settings(), &[0]);
            match step {
                0 => {
                    case.beat(Err(Code::NOT_COORDINATOR));
                    let ask = case.ask();
                    case.machine.found(ask.id, Err(code), case.now);
                }
                1 => case.beat(Err(code)),
                _ => {
                    case.beat(Err(Code::REBALANCE_IN_PROGRESS));
                    if step == 2 {
                        let ask = case.ask();
                        case.machine.joined(ask.id, refused(code), case.now);
                    } else {
                        case.admit(2, "other");
                        let ask = case.ask();
                        case.sync(&ask, code, Bytes::new());
                    }
                }
            }
            let is_fatal =
                case.machine.told().iter().any(
                    |told| matches!(told, Told::Error(error) if error.kind() == ConsumeErrorKind::Fatal),
                );
            assert_eq!(is_fatal, case.machine.is_ended(), "{code} {step}");
            case.later(4 * SECOND);
            assert!(is_fatal == case.is_quiet(), "{code} {step}");
        }
    }
}

proptest! {
    #[test]
    fn what_others_send_never_stops_a_member(
        said in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..5),
        user_data in prop::collection::vec(any::<u8>(), 0..20),
        assignment in prop::collection::vec(any::<u8>(), 0..20),
        partitions in 0..5_usize,
        strategy in 0..4_usize,
    ) {
        let strategy =
            [Assignor::Range, Assignor::RoundRobin, Assignor::Sticky, Assignor::CooperativeSticky][strategy];
        let mut case = Case::new(strategy, settings());
        case.find();
        let ask = case.ask();
        let half = ConsumerSubscription {
            topics: vec!["t".into()],
            user_data: Some(user_data.into()),
            ..ConsumerSubscription::default()
        };
        let metadata = said.into_iter().map(Bytes::from).chain([half.encode(1)]);
        let member = |(at, metadata)| JoinedMember { id: format!("m{at}"), instance_id: None, metadata };
        let answer = JoinAnswer {
            generation: 1,
            protocol: Some(strategy.name().into()),
            leader: "m".into(),
            members: metadata.enumerate().map(member).collect(),
            ..refused(Code::NONE)
        };
        case.machine.joined(ask.id, answer, case.now);
        let ask = case.ask();
        case.machine.topics(ask.id, topics(partitions), case.now);
        let ask = case.ask();
        let What::Sync { assignments, .. } = &ask.what else { panic!("{ask:?}") };
        let given: usize =
            assignments.iter().filter_map(|(_, bytes)| decode_assignment(bytes)).map(|list| list.len()).sum();
        prop_assert!(given == partitions || strategy == Assignor::CooperativeSticky);
        case.sync(&ask, Code::NONE, assignment.into());
        case.ask_all();
    }
}
