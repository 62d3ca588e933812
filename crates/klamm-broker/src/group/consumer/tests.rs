//! The life of a `consumer` group, told by its heartbeats.

use proptest::prelude::*;

use super::*;

mod classic;
mod regexes;

const SESSION_MS: i64 = 45_000;
const REBALANCE_MS: i32 = 60_000;

fn settings() -> ConsumerSettings {
    ConsumerSettings {
        session_timeout_ms: SESSION_MS,
        heartbeat_interval_ms: 5_000,
        assignment_interval_ms: 0,
        max_size: 100,
        regex_refresh_interval_ms: 600_000,
        migration: MigrationPolicy::Bidirectional,
        classic_max_size: 100,
        assignors: Assignor::ALL.to_vec(),
    }
}

fn topic_id(number: u8) -> Uuid {
    Uuid::from_u128(number.into())
}

/// A group, the topics around it, and the time.
struct Story {
    group: ConsumerGroup,
    topics: Vec<(String, Uuid, i32)>,
    image: TopicsImage,
    settings: ConsumerSettings,
    now_ms: i64,
}

impl Story {
    fn new(topics: &[(&str, i32)]) -> Self {
        let topics = (1..).zip(topics).map(|(n, (name, count))| ((*name).to_owned(), topic_id(n), *count));
        let topics: Vec<_> = topics.collect();
        let image = TopicsImage::new(1, topics.clone());
        Self { group: ConsumerGroup::new("g"), topics, image, settings: settings(), now_ms: 0 }
    }

    /// Topics change: the image is a later one.
    fn topics_are(&mut self, topics: Vec<(String, Uuid, i32)>) {
        let grew = topics.iter().any(|(name, ..)| self.image.topic(name).is_none());
        let mut image = TopicsImage::new(self.image.version + 1, topics.clone());
        image.grown_at = if grew { image.version } else { self.image.grown_at };
        self.group.topics_changed(&image.changes_since(&self.image));
        (self.topics, self.image) = (topics, image);
    }

    /// As the coordinator does: a refused event changes nothing, and the journal can tell the difference.
    fn event<T>(
        &mut self,
        event: impl FnOnce(&mut ConsumerGroup, Scene<'_>) -> Result<T, Refusal>,
    ) -> Result<T, ErrorCode> {
        let mut next = self.group.clone();
        let scene = Scene { image: &self.image, settings: &self.settings, now_ms: self.now_ms };
        let answer = event(&mut next, scene).map_err(|refusal| refusal.code)?;
        let changes = Changes::between(&self.group, &next);
        let written = serde_json::to_vec(&changes).unwrap();
        let mut replayed = self.group.clone();
        replayed.apply(serde_json::from_slice(&written).unwrap());
        assert!(Changes::between(&replayed, &next).is_empty(), "the journal tells the whole difference");
        assert!(next.epoch >= self.group.epoch && next.target_epoch >= self.group.target_epoch);
        self.group = next;
        Ok(answer)
    }

    fn beat(&mut self, beat: Beat) -> Result<BeatAnswer, ErrorCode> {
        let scene = Scene { image: &self.image, settings: &self.settings, now_ms: self.now_ms };
        match self.group.heartbeat_at_rest(&beat, scene) {
            Some(answer) => Ok(answer),
            None => self.event(|group, scene| group.heartbeat(beat, scene, &|_| true)),
        }
    }

    fn join(&mut self, id: &str, topics: &[&str]) -> BeatAnswer {
        self.beat(joining(id, topics)).unwrap()
    }

    /// A heartbeat that says what the member has.
    fn stay(&mut self, id: &str, epoch: i32, owned: &[(u8, &[i32])]) -> Result<BeatAnswer, ErrorCode> {
        self.beat(Beat { owned: Some(assignment(owned)), ..bare(id, epoch) })
    }

    fn leave(&mut self, id: &str, instance: Option<&str>, epoch: i32) -> Result<BeatAnswer, ErrorCode> {
        self.event(|group, scene| group.leave(id, instance, epoch, scene))
    }

    fn pass(&mut self, by_ms: i64) {
        let end = self.now_ms + by_ms;
        while let Some(deadline) = self.group.next_deadline_ms().filter(|deadline| *deadline <= end) {
            self.now_ms = self.now_ms.max(deadline);
            self.event(|group, scene| group.tick(scene)).unwrap();
            let next = self.group.next_deadline_ms();
            assert!(next.is_none_or(|next| next > self.now_ms), "a tick leaves nothing due");
        }
        self.now_ms = end;
    }

    fn member(&self, id: &str) -> &Member {
        &self.group.members[id]
    }

    /// No partition belongs to two members, not even while one of them has yet to give it up.
    fn nothing_is_held_twice(&self) {
        let mut seen = BTreeSet::new();
        for member in self.group.members() {
            for (topic, partitions) in member.held() {
                for partition in partitions {
                    assert!(seen.insert((topic, partition)), "{topic}-{partition} is held twice");
                }
            }
        }
    }
}

fn bare(id: &str, epoch: i32) -> Beat {
    let (client_id, client_host) = ("client".to_owned(), "/127.0.0.1".to_owned());
    Beat { member_id: id.to_owned(), epoch, client_id, client_host, ..Beat::default() }
}

fn joining(id: &str, topics: &[&str]) -> Beat {
    Beat {
        rebalance_timeout_ms: Some(REBALANCE_MS),
        topics: Some(topics.iter().map(|topic| (*topic).to_owned()).collect()),
        owned: Some(Assignment::new()),
        ..bare(id, 0)
    }
}

fn assignment(topics: &[(u8, &[i32])]) -> Assignment {
    topics.iter().map(|(topic, all)| (topic_id(*topic), all.iter().copied().collect())).collect()
}

#[test]
fn a_lone_member_has_everything_at_once() {
    let mut story = Story::new(&[("t", 3)]);
    let answer = story.join("a", &["t"]);
    assert_eq!(
        answer,
        BeatAnswer { member_id: "a".into(), epoch: 2, assignment: Some(assignment(&[(1, &[0, 1, 2])])) }
    );
    assert_eq!(story.group.state(), "Stable");
    let bare = story.beat(bare("a", 2)).unwrap();
    assert_eq!((bare.epoch, bare.assignment), (2, None), "nothing has changed");
}

#[test]
fn a_partition_changes_hands_only_when_it_was_given_up() {
    let mut story = Story::new(&[("t", 3)]);
    story.join("a", &["t"]);
    let joined = story.join("b", &["t"]);
    assert_eq!((joined.epoch, joined.assignment), (3, Some(Assignment::new())), "it waits");
    assert_eq!(story.group.state(), "Reconciling");
    assert_eq!(story.member("b").state, MemberState::UnreleasedPartitions);

    let told = story.stay("a", 2, &[(1, &[0, 1, 2])]).unwrap();
    assert_eq!((told.epoch, told.assignment), (2, Some(assignment(&[(1, &[0, 1])]))), "at its old epoch");
    assert_eq!(story.member("a").state, MemberState::UnrevokedPartitions);
    let waiting = story.stay("b", 3, &[]).unwrap();
    assert_eq!(waiting.assignment, None, "it was not given up yet");

    let done = story.stay("a", 2, &[(1, &[0, 1])]).unwrap();
    assert_eq!((done.epoch, done.assignment), (3, None));
    let got = story.stay("b", 3, &[]).unwrap();
    assert_eq!(got.assignment, Some(assignment(&[(1, &[2])])));
    assert_eq!(story.group.state(), "Stable");
    story.nothing_is_held_twice();
}

#[test]
fn a_member_that_does_not_give_up_in_time_is_fenced() {
    let mut story = Story::new(&[("t", 2)]);
    story.join("a", &["t"]);
    story.join("b", &["t"]);
    story.stay("a", 2, &[(1, &[0, 1])]).unwrap();
    for _ in 0..5 {
        story.pass(10_000);
        story.stay("a", 2, &[(1, &[0, 1])]).unwrap();
        story.stay("b", 3, &[]).unwrap();
    }
    story.pass(10_000);
    assert_eq!(story.beat(bare("a", 2)), Err(ErrorCode::UNKNOWN_MEMBER_ID));
    let got = story.stay("b", 3, &[]).unwrap();
    assert_eq!((got.epoch, got.assignment), (4, Some(assignment(&[(1, &[0, 1])]))));
}

#[test]
fn a_silent_member_is_fenced_when_its_session_ends() {
    let mut story = Story::new(&[("t", 2)]);
    story.join("a", &["t"]);
    story.join("b", &["t"]);
    story.pass(SESSION_MS - 1);
    story.beat(bare("b", 3)).unwrap();
    story.pass(1);
    assert_eq!(story.group.members().count(), 1);
    assert_eq!((story.group.epoch(), story.group.state()), (4, "Assigning"));
    let got = story.stay("b", 3, &[]).unwrap();
    assert_eq!((got.epoch, got.assignment), (4, Some(assignment(&[(1, &[0, 1])]))));
    story.pass(SESSION_MS);
    assert_eq!(story.group.state(), "Empty");
}

#[test]
fn epochs_that_are_not_the_members_are_fenced() {
    let mut story = Story::new(&[("t", 2)]);
    story.join("a", &["t"]);
    assert_eq!(story.beat(bare("a", 3)), Err(ErrorCode::FENCED_MEMBER_EPOCH), "ahead");
    assert_eq!(story.beat(bare("x", 2)), Err(ErrorCode::UNKNOWN_MEMBER_ID));
    story.join("b", &["t"]);
    story.stay("a", 2, &[(1, &[0, 1])]).unwrap();
    story.stay("a", 2, &[(1, &[0])]).unwrap();
    assert_eq!(story.member("a").epoch, 3);
    let again = story.stay("a", 2, &[(1, &[0])]).unwrap();
    assert_eq!(again.epoch, 3, "the answer was lost, and it has nothing that it should not have");
    assert_eq!(story.stay("a", 2, &[(1, &[0, 1])]), Err(ErrorCode::FENCED_MEMBER_EPOCH));
    assert_eq!(story.beat(bare("a", 2)), Err(ErrorCode::FENCED_MEMBER_EPOCH), "it does not say what it has");
    let fresh = story.join("a", &["t"]);
    assert_eq!(
        (fresh.epoch, fresh.assignment),
        (3, Some(assignment(&[(1, &[0])]))),
        "a fenced member rejoins"
    );
}

#[test]
fn a_changed_subscription_begins_an_epoch() {
    let mut story = Story::new(&[("t", 2), ("u", 1)]);
    story.join("a", &["t"]);
    let topics = Some(BTreeSet::from(["t".to_owned(), "u".to_owned()]));
    let more = story.beat(Beat { topics, ..bare("a", 2) }).unwrap();
    assert_eq!((more.epoch, more.assignment), (3, Some(assignment(&[(1, &[0, 1]), (2, &[0])]))));
    let topics = Some(BTreeSet::from(["u".to_owned()]));
    let beat = Beat { topics, owned: Some(assignment(&[(1, &[0, 1]), (2, &[0])])), ..bare("a", 3) };
    let less = story.beat(beat).unwrap();
    assert_eq!((less.epoch, less.assignment), (3, Some(assignment(&[(2, &[0])]))), "it has to give up first");
    assert_eq!(story.stay("a", 3, &[(2, &[0])]).unwrap().epoch, 4);
}

#[test]
fn topics_that_come_grow_and_go_begin_epochs() {
    let mut story = Story::new(&[("t", 1)]);
    story.join("a", &["t", "later"]);
    let with = |story: &Story, name: &str, id, count| {
        let mut topics = story.topics.clone();
        topics.retain(|(known, ..)| known != name);
        topics.push((name.to_owned(), id, count));
        topics
    };
    story.topics_are(with(&story, "unrelated", topic_id(9), 1));
    assert_eq!(story.beat(bare("a", 2)).unwrap().epoch, 2, "not subscribed to");
    story.topics_are(with(&story, "later", topic_id(2), 1));
    let came = story.beat(bare("a", 2)).unwrap();
    assert_eq!((came.epoch, came.assignment), (3, Some(assignment(&[(1, &[0]), (2, &[0])]))));
    story.topics_are(with(&story, "t", topic_id(1), 2));
    let grew = story.beat(bare("a", 3)).unwrap();
    assert_eq!((grew.epoch, grew.assignment), (4, Some(assignment(&[(1, &[0, 1]), (2, &[0])]))));
    // Deleted and made anew: the id is another one.
    story.topics_are(with(&story, "later", topic_id(3), 1));
    let gone = story.stay("a", 4, &[(1, &[0, 1]), (2, &[0])]).unwrap();
    assert_eq!((gone.epoch, gone.assignment), (4, Some(assignment(&[(1, &[0, 1])]))));
    let anew = story.stay("a", 4, &[(1, &[0, 1])]).unwrap();
    assert_eq!((anew.epoch, anew.assignment), (5, Some(assignment(&[(1, &[0, 1]), (3, &[0])]))));
}

#[test]
fn a_static_member_comes_back_to_its_partitions_without_an_epoch() {
    let mut story = Story::new(&[("t", 2)]);
    let fixed = |id: &str, instance: &str| Beat { instance_id: Some(instance.into()), ..joining(id, &["t"]) };
    story.beat(fixed("a", "i")).unwrap();
    assert_eq!(story.beat(fixed("b", "i")), Err(ErrorCode::UNRELEASED_INSTANCE_ID));
    assert_eq!(story.leave("b", Some("i"), LEFT_FOR_NOW), Err(ErrorCode::FENCED_INSTANCE_ID));
    assert_eq!(story.leave("a", Some("j"), LEFT_FOR_NOW), Err(ErrorCode::UNKNOWN_MEMBER_ID));
    assert_eq!(story.leave("a", Some("i"), LEFT_FOR_NOW).unwrap().epoch, LEFT_FOR_NOW);
    assert_eq!(story.member("a").epoch, LEFT_FOR_NOW);

    let back = story.beat(fixed("b", "i")).unwrap();
    assert_eq!((back.epoch, back.assignment), (2, Some(assignment(&[(1, &[0, 1])]))));
    assert_eq!((story.group.epoch(), story.group.members().count()), (2, 1));
    let old = Beat { instance_id: Some("i".into()), ..bare("a", 2) };
    assert_eq!(story.beat(old), Err(ErrorCode::FENCED_INSTANCE_ID));
    story.leave("b", Some("i"), LEFT_FOR_NOW).unwrap();
    story.pass(SESSION_MS);
    assert_eq!(story.group.state(), "Empty", "it did not come back in time");
}

#[test]
fn who_leaves_for_good_makes_room() {
    let mut story = Story::new(&[("t", 2)]);
    story.settings.max_size = 1;
    story.join("a", &["t"]);
    assert_eq!(story.beat(joining("b", &["t"])), Err(ErrorCode::GROUP_MAX_SIZE_REACHED));
    story.join("a", &["t"]);
    assert_eq!(story.leave("b", None, -1), Err(ErrorCode::UNKNOWN_MEMBER_ID));
    let left = story.leave("a", None, -1).unwrap();
    assert_eq!((left.member_id.as_str(), left.epoch), ("a", -1));
    assert_eq!((story.group.state(), story.group.epoch()), ("Empty", 3));
    assert_eq!(story.join("b", &["t"]).epoch, 4);
}

#[test]
fn the_assignor_that_most_members_ask_for_assigns() {
    let mut story = Story::new(&[("t", 2), ("u", 2)]);
    let asks = |id: &str, assignor: Option<&str>| Beat {
        server_assignor: assignor.map(str::to_owned),
        ..joining(id, &["t", "u"])
    };
    story.beat(asks("a", Some("range"))).unwrap();
    assert_eq!(story.group.assignor(&story.settings), Assignor::Range);
    story.beat(asks("b", Some("uniform"))).unwrap();
    assert_eq!(story.group.assignor(&story.settings), Assignor::Uniform, "of equals the default");
    story.beat(asks("c", Some("range"))).unwrap();
    assert_eq!(story.group.assignor(&story.settings), Assignor::Range);
}

#[test]
fn assignments_are_no_closer_than_their_interval() {
    let mut story = Story::new(&[("t", 2)]);
    story.settings.assignment_interval_ms = 1_000;
    assert_eq!(story.join("a", &["t"]).epoch, 2, "the first is made at once");
    let early = story.join("b", &["t"]);
    assert_eq!((early.epoch, early.assignment), (2, Some(Assignment::new())), "of the last assignment");
    assert_eq!(story.group.state(), "Assigning");
    story.pass(1_000);
    let due = story.stay("a", 2, &[(1, &[0, 1])]).unwrap();
    assert_eq!(due.assignment, Some(assignment(&[(1, &[0])])));
    assert_eq!(story.group.target_epoch(), 3);
}

/// Something that happens to a group; small numbers stand for members and topics.
#[derive(Debug, Clone)]
enum Event {
    Join {
        member: u8,
        topics: Vec<u8>,
        fixed: bool,
    },
    /// A heartbeat of a client that does what it is told.
    Obey {
        member: u8,
    },
    /// A heartbeat of a client that still has everything.
    Cling {
        member: u8,
    },
    Leave {
        member: u8,
        for_now: bool,
    },
    Grow {
        topic: u8,
    },
    Recreate {
        topic: u8,
    },
    Pass {
        ms: i64,
    },
}

fn any_event() -> impl Strategy<Value = Event> {
    let member = 0..4_u8;
    let topic = 0..3_u8;
    prop_oneof![
        3 => (member.clone(), prop::collection::vec(topic.clone(), 0..3), any::<bool>())
            .prop_map(|(member, topics, fixed)| Event::Join { member, topics, fixed }),
        8 => member.clone().prop_map(|member| Event::Obey { member }),
        3 => member.clone().prop_map(|member| Event::Cling { member }),
        1 => (member, any::<bool>()).prop_map(|(member, for_now)| Event::Leave { member, for_now }),
        1 => topic.clone().prop_map(|topic| Event::Grow { topic }),
        1 => topic.prop_map(|topic| Event::Recreate { topic }),
        1 => (0..30_000_i64).prop_map(|ms| Event::Pass { ms }),
    ]
}

/// What a client believes: its epoch, what it has, and what it was told to have.
#[derive(Debug, Clone, Default)]
struct ClientView {
    epoch: i32,
    has: Assignment,
    told: Assignment,
}

type Clients = BTreeMap<String, ClientView>;

fn happen(story: &mut Story, clients: &mut Clients, event: Event) {
    let name = |topic: u8| format!("t{topic}");
    match event {
        Event::Join { member, topics, fixed } => {
            let id = format!("m{member}");
            let instance_id = fixed.then(|| format!("i{member}"));
            let topics: Vec<_> = topics.into_iter().map(name).collect();
            let topics: Vec<_> = topics.iter().map(String::as_str).collect();
            // A client joins with nothing.
            if let Ok(answer) = story.beat(Beat { instance_id, ..joining(&id, &topics) }) {
                let told = answer.assignment.unwrap_or_default();
                clients.insert(id, ClientView { epoch: answer.epoch, has: Assignment::new(), told });
            }
        }
        Event::Obey { member } | Event::Cling { member } => {
            let id = format!("m{member}");
            let Some(mut client) = clients.remove(&id) else { return };
            if matches!(event, Event::Obey { .. }) {
                client.has = client.told.clone();
            }
            let instance_id = story.group.members.get(&id).and_then(|m| m.instance_id.clone());
            let beat = Beat { owned: Some(client.has.clone()), instance_id, ..bare(&id, client.epoch) };
            // Who is refused has lost everything.
            if let Ok(answer) = story.beat(beat) {
                client.epoch = answer.epoch;
                client.told = answer.assignment.unwrap_or(client.told);
                clients.insert(id, client);
            }
        }
        Event::Leave { member, for_now } => {
            let id = format!("m{member}");
            let instance = story.group.members.get(&id).and_then(|member| member.instance_id.clone());
            let epoch = if for_now && instance.is_some() { LEFT_FOR_NOW } else { -1 };
            let _ = story.leave(&id, instance.as_deref(), epoch);
            clients.remove(&id);
        }
        Event::Grow { topic } => {
            let mut topics = story.topics.clone();
            topics.iter_mut().filter(|(n, ..)| *n == name(topic)).for_each(|(.., count)| *count += 1);
            story.topics_are(topics);
        }
        Event::Recreate { topic } => {
            let mut topics = story.topics.clone();
            let fresh = Uuid::from_u128(u128::from(story.image.version) << 8 | u128::from(topic));
            topics.iter_mut().filter(|(n, ..)| *n == name(topic)).for_each(|(_, id, _)| *id = fresh);
            story.topics_are(topics);
        }
        Event::Pass { ms } => {
            story.pass(ms);
            clients.retain(|id, _| story.group.members.contains_key(id));
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens_the_group_settles(
        counts in prop::collection::vec(0..4_i32, 3),
        events in prop::collection::vec(any_event(), 0..60),
    ) {
        let names = ["t0", "t1", "t2"];
        let topics: Vec<_> = names.iter().copied().zip(counts).collect();
        let mut story = Story::new(&topics);
        let mut clients = Clients::new();
        for event in events {
            happen(&mut story, &mut clients, event);
            story.nothing_is_held_twice();
        }
        // Everybody obeys from now on: within a few rounds the group is stable and its topics are assigned.
        for _ in 0..12 {
            for member in 0..4 {
                happen(&mut story, &mut clients, Event::Obey { member });
                story.nothing_is_held_twice();
            }
        }
        let present = |member: &Member| clients.contains_key(&member.id);
        if story.group.members().count() == 0 || !story.group.members().all(present) {
            return Ok(());
        }
        prop_assert_eq!(story.group.state(), "Stable");
        let mut assigned = BTreeSet::new();
        for member in story.group.members() {
            prop_assert_eq!(member.assignment(), (*story.group.target(&member.id)).clone());
            prop_assert_eq!(&clients[&member.id].has, &member.assignment(), "the client knows");
            assigned.extend(member.assignment().into_iter().flat_map(|(t, all)| all.into_iter().map(move |p| (t, p))));
        }
        let wanted = story.group.subscribed_topics(&story.image);
        let all: BTreeSet<_> = wanted.into_iter().flat_map(|(t, n)| (0..n).map(move |p| (t, p))).collect();
        prop_assert_eq!(assigned, all);
    }
}
