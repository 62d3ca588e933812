//! The life of a group, told by its events.

use super::*;
use bytes::Bytes;

const SESSION_MS: i64 = 10_000;
const REBALANCE_MS: i64 = 60_000;
const SETTINGS: ClassicSettings = ClassicSettings { initial_delay_ms: 0, max_size: usize::MAX };

struct Story {
    group: Group,
    now_ms: i64,
    next_token: Token,
    replies: HashMap<Token, Reply>,
}

impl Story {
    fn new() -> Self {
        Self { group: Group::new(SETTINGS), now_ms: 0, next_token: 0, replies: HashMap::new() }
    }

    fn token(&mut self) -> Token {
        self.next_token += 1;
        self.next_token
    }

    fn collect(&mut self, out: Replies) {
        for (token, reply) in out {
            assert!(self.replies.insert(token, reply).is_none(), "token {token} is answered once");
        }
    }

    fn join_as(&mut self, identity: Identity, subscription: &'static str) -> Token {
        let (token, mut out) = (self.token(), Vec::new());
        let fresh_member_id = match &identity.instance_id {
            Some(instance) => format!("{instance}-{token}"),
            None => format!("m{token}"),
        };
        let request = JoinRequest {
            identity,
            client_id: "client".into(),
            client_host: "/127.0.0.1".into(),
            session_timeout_ms: SESSION_MS,
            rebalance_timeout_ms: REBALANCE_MS,
            protocol_type: "consumer".into(),
            protocols: vec![("range".into(), Bytes::from_static(subscription.as_bytes()))],
            requires_known_member_id: false,
            supports_skip_assignment: true,
            fresh_member_id,
        };
        self.group.join(request, token, self.now_ms, &mut out);
        self.collect(out);
        token
    }

    fn join(&mut self, member_id: &str) -> Token {
        self.join_as(dynamic(member_id), "topics")
    }

    fn joined(&mut self, token: Token) -> JoinAnswer {
        match self.replies.remove(&token) {
            Some(Reply::Join(answer)) => answer,
            other => panic!("{token}: {other:?}"),
        }
    }

    fn sync(&mut self, member_id: &str, generation: i32, assignments: &[(&str, &'static str)]) -> Token {
        let (token, mut out) = (self.token(), Vec::new());
        let part = |(id, part): &(&str, &'static str)| (id.to_string(), Bytes::from_static(part.as_bytes()));
        let request = SyncRequest {
            identity: dynamic(member_id),
            generation,
            protocol_type: None,
            protocol: None,
            assignments: assignments.iter().map(part).collect(),
        };
        self.group.sync(request, token, self.now_ms, &mut out);
        self.collect(out);
        token
    }

    fn synced(&mut self, token: Token) -> Result<Bytes, ErrorCode> {
        match self.replies.remove(&token) {
            Some(Reply::Sync(SyncAnswer { error: None, assignment, .. })) => Ok(assignment),
            Some(Reply::Sync(SyncAnswer { error: Some(error), .. })) => Err(error),
            other => panic!("{token}: {other:?}"),
        }
    }

    /// Lets the time pass, stopping at each deadline.
    fn pass(&mut self, by_ms: i64) {
        let end = self.now_ms + by_ms;
        while let Some(deadline) = self.group.next_deadline_ms().filter(|deadline| *deadline <= end) {
            self.now_ms = self.now_ms.max(deadline);
            let mut out = Vec::new();
            self.group.tick(self.now_ms, &mut out);
            self.collect(out);
            let next = self.group.next_deadline_ms();
            assert!(next.is_none_or(|next| next > self.now_ms), "a tick leaves nothing due");
        }
        self.now_ms = end;
    }

    /// Two members, m1 leads, generation 2, stable.
    fn two_members() -> Self {
        let mut story = Self::new();
        let first = story.join("");
        story.joined(first);
        let second = story.join("");
        assert!(!story.replies.contains_key(&second), "it waits for the first one");
        let first = story.join("m1");
        let (leader, follower) = (story.joined(first), story.joined(second));
        assert_eq!((leader.generation, follower.generation), (2, 2));
        assert_eq!((leader.leader.as_str(), follower.leader.as_str()), ("m1", "m1"));
        assert_eq!((leader.members.len(), follower.members.len()), (2, 0));
        let waits = story.sync("m2", 2, &[]);
        let leads = story.sync("m1", 2, &[("m1", "part 0"), ("m2", "part 1")]);
        assert_eq!(story.synced(leads).unwrap(), "part 0");
        assert_eq!(story.synced(waits).unwrap(), "part 1");
        story
    }
}

fn dynamic(member_id: &str) -> Identity {
    Identity { member_id: member_id.into(), instance_id: None }
}

fn fixed(member_id: &str, instance: &str) -> Identity {
    Identity { member_id: member_id.into(), instance_id: Some(instance.into()) }
}

#[test]
fn two_members_share_the_leaders_assignment() {
    let story = Story::two_members();
    assert_eq!(story.group.describe().state, "Stable");
    assert_eq!(story.group.describe().members[1].assignment, "part 1");
}

#[test]
fn a_leaving_member_makes_the_other_rejoin() {
    let mut story = Story::two_members();
    assert_eq!(story.group.leave(&[dynamic("m1")], 0, &mut Vec::new()), [Ok(())]);
    assert_eq!(story.group.heartbeat(&dynamic("m2"), 2, 0), Err(ErrorCode::REBALANCE_IN_PROGRESS));
    let token = story.join("m2");
    let answer = story.joined(token);
    assert_eq!((answer.generation, answer.leader.as_str(), answer.members.len()), (3, "m2", 1));
    assert_eq!(story.group.heartbeat(&dynamic("m2"), 2, 0), Err(ErrorCode::ILLEGAL_GENERATION));
    assert_eq!(story.group.heartbeat(&dynamic("m1"), 3, 0), Err(ErrorCode::UNKNOWN_MEMBER_ID));
}

#[test]
fn a_silent_member_is_out_after_its_session_and_a_heard_one_is_not() {
    let mut story = Story::two_members();
    story.pass(SESSION_MS - 1);
    story.group.heartbeat(&dynamic("m2"), 2, story.now_ms).unwrap();
    story.pass(1);
    assert_eq!(story.group.describe().members.len(), 1);
    let token = story.join("m2");
    assert_eq!(story.joined(token).generation, 3);
}

#[test]
fn who_does_not_rejoin_in_time_is_out() {
    let mut story = Story::two_members();
    let third = story.join("");
    for _ in 0..REBALANCE_MS / 5_000 {
        let _ = story.group.heartbeat(&dynamic("m1"), 2, story.now_ms);
        let _ = story.group.heartbeat(&dynamic("m2"), 2, story.now_ms);
        story.pass(5_000);
    }
    let answer = story.joined(third);
    assert_eq!((answer.generation, answer.members.len()), (3, 1));
}

#[test]
fn a_leader_that_never_syncs_is_replaced() {
    let mut story = Story::new();
    let first = story.join("");
    story.joined(first);
    let (second, first) = (story.join(""), story.join("m1"));
    for token in [first, second] {
        story.joined(token);
    }
    let waits = story.sync("m2", 2, &[]);
    story.pass(SESSION_MS);
    assert_eq!(story.synced(waits), Err(ErrorCode::REBALANCE_IN_PROGRESS));
    let token = story.join("m2");
    let answer = story.joined(token);
    assert_eq!((answer.generation, answer.leader.as_str()), (3, "m2"));
}

#[test]
fn a_member_that_lost_its_answer_gets_it_again() {
    let mut story = Story::two_members();
    let again = story.join("m2");
    assert_eq!(story.joined(again).generation, 2, "nothing has changed");
    let changed = story.join_as(dynamic("m2"), "other topics");
    assert!(!story.replies.contains_key(&changed), "a rebalance begins");
}

#[test]
fn a_restarted_static_member_keeps_its_place_without_a_rebalance() {
    let mut story = Story::new();
    let token = story.join_as(fixed("", "static"), "topics");
    let old = story.joined(token).member_id;
    let token = story.sync(&old, 1, &[(&old, "all")]);
    story.synced(token).unwrap();

    let token = story.join_as(fixed("", "static"), "topics");
    let answer = story.joined(token);
    assert_eq!((answer.generation, answer.skip_assignment), (1, true));
    assert_ne!(answer.member_id, old);
    let token = story.sync(&answer.member_id, 1, &[]);
    assert_eq!(story.synced(token).unwrap(), "all");
    let fenced = story.group.heartbeat(&fixed(&old, "static"), 1, 0);
    assert_eq!(fenced, Err(ErrorCode::FENCED_INSTANCE_ID));
}

#[test]
fn a_new_member_must_come_back_with_its_id() {
    let mut story = Story::new();
    let (token, mut out) = (story.token(), Vec::new());
    let request = JoinRequest {
        identity: Identity::default(),
        client_id: String::new(),
        client_host: String::new(),
        session_timeout_ms: SESSION_MS,
        rebalance_timeout_ms: REBALANCE_MS,
        protocol_type: "consumer".into(),
        protocols: vec![("range".into(), Bytes::new())],
        requires_known_member_id: true,
        supports_skip_assignment: true,
        fresh_member_id: "given".into(),
    };
    story.group.join(request, token, 0, &mut out);
    story.collect(out);
    let answer = story.joined(token);
    assert_eq!((answer.error, answer.member_id.as_str()), (Some(ErrorCode::MEMBER_ID_REQUIRED), "given"));
    let token = story.join("given");
    assert_eq!(story.joined(token).generation, 1);
    let stranger = story.join("stranger");
    assert_eq!(story.joined(stranger).error, Some(ErrorCode::UNKNOWN_MEMBER_ID));
}

#[test]
fn an_id_that_never_comes_back_does_not_hold_the_others_up() {
    let mut story = Story::two_members();
    story.group.pending.insert("ghost".into(), story.now_ms + SESSION_MS);
    let third = story.join("");
    let (first, second) = (story.join("m1"), story.join("m2"));
    assert!(story.replies.is_empty(), "the ghost is waited for");
    story.pass(SESSION_MS);
    assert_eq!([first, second, third].map(|token| story.joined(token).generation), [3, 3, 3]);
}

#[test]
fn commits_are_taken_from_the_current_generation_only() {
    let mut story = Story::two_members();
    let mut commit = |member: &str, generation| {
        story.group.check_commit(&dynamic(member), generation, CommitKind::Plain, 0)
    };
    assert_eq!(commit("m1", 2), Ok(()));
    assert_eq!(commit("m1", 1), Err(ErrorCode::ILLEGAL_GENERATION));
    assert_eq!(commit("x", 2), Err(ErrorCode::UNKNOWN_MEMBER_ID));
    assert_eq!(commit("", -1), Err(ErrorCode::UNKNOWN_MEMBER_ID), "the group is not empty");
    assert_eq!(Group::new(SETTINGS).check_commit(&dynamic(""), -1, CommitKind::Plain, 0), Ok(()));
}

#[test]
fn a_member_with_no_protocol_in_common_is_refused() {
    let mut story = Story::two_members();
    let (token, mut out) = (story.token(), Vec::new());
    let request = JoinRequest {
        identity: Identity::default(),
        client_id: String::new(),
        client_host: String::new(),
        session_timeout_ms: SESSION_MS,
        rebalance_timeout_ms: REBALANCE_MS,
        protocol_type: "consumer".into(),
        protocols: vec![("cooperative-sticky".into(), Bytes::new())],
        requires_known_member_id: false,
        supports_skip_assignment: true,
        fresh_member_id: "other".into(),
    };
    story.group.join(request, token, 0, &mut out);
    story.collect(out);
    assert_eq!(story.joined(token).error, Some(ErrorCode::INCONSISTENT_GROUP_PROTOCOL));
}

#[test]
fn who_never_syncs_is_out_although_the_leader_did() {
    let mut story = Story::new();
    let first = story.join("");
    story.joined(first);
    let (second, first) = (story.join(""), story.join("m1"));
    for token in [first, second] {
        story.joined(token);
    }
    let token = story.sync("m1", 2, &[("m1", "part 0"), ("m2", "part 1")]);
    story.synced(token).unwrap();
    for _ in 0..REBALANCE_MS / 5_000 {
        let _ = story.group.heartbeat(&dynamic("m1"), 2, story.now_ms);
        let _ = story.group.heartbeat(&dynamic("m2"), 2, story.now_ms);
        story.pass(5_000);
    }
    let members: Vec<_> = story.group.describe().members.into_iter().map(|m| m.identity.member_id).collect();
    assert_eq!(members, ["m1"]);
    assert_eq!(story.group.heartbeat(&dynamic("m1"), 2, story.now_ms), Err(ErrorCode::REBALANCE_IN_PROGRESS));
}

#[test]
fn the_first_rebalance_waits_while_members_keep_coming() {
    let mut story = Story::new();
    story.group = Group::new(ClassicSettings { initial_delay_ms: 3_000, max_size: usize::MAX });
    let first = story.join("");
    story.pass(2_000);
    let second = story.join("");
    story.pass(2_000);
    assert!(story.replies.is_empty(), "the second one prolonged the delay");
    story.pass(2_000);
    let (first, second) = (story.joined(first), story.joined(second));
    assert_eq!((first.generation, second.generation, first.members.len()), (1, 1, 2));
}

#[test]
fn in_a_full_group_the_last_to_join_a_rebalance_are_kept_out() {
    let mut story = Story::two_members();
    story.group.settings.max_size = 1;
    let third = story.join("");
    assert_eq!(story.joined(third).error, Some(ErrorCode::GROUP_MAX_SIZE_REACHED));
    assert_eq!(story.group.heartbeat(&dynamic("m2"), 2, 0), Ok(()), "who is in stays in");
    let changed = story.join_as(dynamic("m2"), "other topics");
    let late = story.join("m1");
    assert_eq!(story.joined(late).error, Some(ErrorCode::GROUP_MAX_SIZE_REACHED));
    story.pass(REBALANCE_MS);
    assert_eq!(story.joined(changed).members.len(), 1);
}

#[test]
fn members_that_leave_together_cause_one_rebalance() {
    let mut story = Story::two_members();
    let third = story.join("");
    let (first, second) = (story.join("m1"), story.join("m2"));
    let third = story.joined(third).member_id;
    for token in [first, second] {
        story.joined(token);
    }
    let token = story.sync("m1", 3, &[]);
    story.synced(token).unwrap();
    let mut out = Vec::new();
    let left = story.group.leave(&[dynamic("m2"), dynamic(&third), dynamic("x")], 0, &mut out);
    assert_eq!(left, [Ok(()), Ok(()), Err(ErrorCode::UNKNOWN_MEMBER_ID)]);
    let alone = story.join("m1");
    assert_eq!(story.joined(alone).generation, 4);
}

#[test]
fn a_group_is_the_same_after_it_was_written_and_read() {
    let mut story = Story::two_members();
    let state = story.group.take_unrecorded(7).unwrap();
    assert_eq!(story.group.take_unrecorded(8), None, "nothing new");
    let written = serde_json::to_string(&state).unwrap();
    let read = serde_json::from_str(&written).unwrap();
    assert_eq!(state, read);
    let again = Group::from_state(&read, SETTINGS, 100);
    assert_eq!(again.to_record(7), state);
    assert_eq!(again.describe().state, "Stable");
    assert_eq!(again.next_deadline_ms(), Some(100 + SESSION_MS), "sessions begin anew");
}
