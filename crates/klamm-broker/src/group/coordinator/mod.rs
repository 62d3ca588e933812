//! All groups of the broker, the requests that wait for them, and the task that watches their deadlines.

mod classic;
mod commits;
mod consumer;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use klamm_kafka::ErrorCode;
use tokio::sync::{Notify, oneshot};

use super::classic_state::ClassicState;
use super::consumer::{Changes, ConsumerGroup, ConsumerSettings, Scene};
use super::image::TopicsImage;
use super::ledger::{Entry, GroupJournal, Recorded};
use super::messages::{Description, Phase, Replies, Reply, Token};
use super::settings::GroupSettings;
use super::state::Group;
use crate::clock::Clock;
use crate::disk::Disk;
use crate::error::{BrokerError, Refusal};
use crate::journal::Durability;
use crate::settings::Values;
use crate::sync::lock;
use crate::topics::Topics;

pub(crate) use commits::Committer;

/// The coordinator of every group.
#[derive(Debug)]
pub(crate) struct Coordinator {
    clock: Clock,
    settings: GroupSettings,
    state: Mutex<State>,
    /// When the watch task wakes by itself; an earlier deadline wakes it through `earlier`.
    wakes_at_ms: AtomicI64,
    earlier: Notify,
}

#[derive(Debug)]
struct State {
    groups: HashMap<String, Slot>,
    /// Settings that groups were given.
    own: BTreeMap<String, Values>,
    journal: GroupJournal,
    image: Arc<TopicsImage>,
    waiting: HashMap<Token, oneshot::Sender<Reply>>,
    next_token: Token,
}

#[derive(Debug)]
enum Slot {
    Classic {
        machine: Group,
        /// What the journal knows of it; `None` if nothing yet.
        recorded: Option<ClassicState>,
    },
    Consumer(ConsumerGroup),
}

impl Slot {
    fn next_deadline_ms(&self) -> Option<i64> {
        match self {
            Self::Classic { machine, .. } => machine.next_deadline_ms(),
            Self::Consumer(group) => group.next_deadline_ms(),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Classic { machine, .. } => machine.phase() == Phase::Empty,
            Self::Consumer(group) => group.is_empty(),
        }
    }
}

impl State {
    fn deliver(&mut self, replies: Replies) {
        for (token, reply) in replies {
            if let Some(waiting) = self.waiting.remove(&token) {
                // The connection may have gone meanwhile; the member's session tells.
                let _ = waiting.send(reply);
            }
        }
    }

    fn wait(&mut self) -> (Token, oneshot::Receiver<Reply>) {
        let (sender, receiver) = oneshot::channel();
        self.next_token += 1;
        self.waiting.insert(self.next_token, sender);
        (self.next_token, receiver)
    }

    /// The topics as they are now.
    fn look(&mut self, topics: &Topics) -> Arc<TopicsImage> {
        if let Some(newer) = self.image.newer(topics) {
            let changed = newer.changes_since(&self.image);
            for slot in self.groups.values_mut() {
                if let Slot::Consumer(group) = slot {
                    group.topics_changed(&changed);
                }
            }
            self.image = Arc::new(newer);
        }
        self.image.clone()
    }

    fn record(&mut self, entry: &Entry) -> io::Result<()> {
        self.journal.append(entry)
    }

    /// Rewrites the journal if it has grown; what it says is in memory by now.
    fn tidy(&mut self) {
        if !self.journal.wants_rewrite() {
            return;
        }
        let groups = self.groups.iter().filter_map(|(id, slot)| {
            let group = id.clone();
            match slot {
                Slot::Consumer(known) => {
                    let changes = Changes::between(&ConsumerGroup::new(id), known);
                    Some(Entry::Consumer { group, changes })
                }
                Slot::Classic { recorded, .. } => {
                    recorded.clone().map(|state| Entry::Classic { group, state })
                }
            }
        });
        let own = self
            .own
            .iter()
            .map(|(group, values)| Entry::Settings { group: group.clone(), values: values.clone() });
        // The old one stays when this fails; it says the same.
        let _ = self.journal.rewrite(groups.chain(own));
    }
}

/// A group as `ListGroups` tells it.
#[derive(Debug, Clone)]
pub(crate) struct GroupListing {
    pub id: String,
    pub protocol_type: String,
    pub state: &'static str,
    /// `classic` or `consumer`.
    pub kind: &'static str,
}

/// What `DescribeGroups` finds.
#[derive(Debug)]
pub(crate) enum Described {
    Classic(Description),
    /// A group of the `consumer` protocol.
    NotClassic,
    Unknown,
}

impl Coordinator {
    /// Opens the journal in `data_dir`. Sessions of the members that it tells of begin now.
    pub fn open(
        data_dir: &Path,
        durability: Durability,
        clock: Clock,
        settings: GroupSettings,
    ) -> Result<Self, BrokerError> {
        let (journal, replayed) = GroupJournal::open(data_dir, durability)?;
        let now_ms = clock.monotonic_ms();
        let open = |(id, recorded): (String, Recorded)| {
            let slot = match recorded {
                Recorded::Classic(state) => Slot::Classic {
                    machine: Group::from_state(&state, settings.classic, now_ms),
                    recorded: Some(state),
                },
                Recorded::Consumer(mut group) => {
                    let own = replayed.settings.get(&id).cloned().unwrap_or_default();
                    group.start_timers(settings.of(&own).session_timeout_ms, now_ms);
                    Slot::Consumer(group)
                }
            };
            (id, slot)
        };
        let state = State {
            groups: replayed.groups.into_iter().map(open).collect(),
            own: replayed.settings,
            journal,
            image: Arc::default(),
            waiting: HashMap::new(),
            next_token: 0,
        };
        Ok(Self {
            clock,
            settings,
            state: Mutex::new(state),
            wakes_at_ms: AtomicI64::new(i64::MAX),
            earlier: Notify::new(),
        })
    }

    pub fn settings(&self) -> &GroupSettings {
        &self.settings
    }

    /// What a group was given as settings of its own.
    pub fn own_values(&self, group: &str) -> Values {
        lock(&self.state).own.get(group).cloned().unwrap_or_default()
    }

    /// Groups that were given settings of their own.
    pub fn groups_with_values(&self) -> Vec<String> {
        lock(&self.state).own.keys().cloned().collect()
    }

    /// Replaces a group's own settings. The group need not exist.
    pub fn set_own_values(&self, group: &str, values: Values) -> Result<(), Refusal> {
        self.settings.check(&values)?;
        let mut state = lock(&self.state);
        state.record(&Entry::Settings { group: group.to_owned(), values: values.clone() })?;
        match values.is_empty() {
            true => drop(state.own.remove(group)),
            false => drop(state.own.insert(group.to_owned(), values)),
        }
        state.tidy();
        Ok(())
    }

    pub fn describe(&self, group: &str) -> Described {
        match lock(&self.state).groups.get(group) {
            Some(Slot::Classic { machine, .. }) => Described::Classic(machine.describe()),
            Some(Slot::Consumer(_)) => Described::NotClassic,
            None => Described::Unknown,
        }
    }

    pub fn list(&self) -> Vec<GroupListing> {
        let state = lock(&self.state);
        let listing = |(id, slot): (&String, &Slot)| match slot {
            Slot::Classic { machine, .. } => GroupListing {
                id: id.clone(),
                protocol_type: machine.protocol_type().to_owned(),
                state: machine.phase().name(),
                kind: "classic",
            },
            Slot::Consumer(group) => GroupListing {
                id: id.clone(),
                protocol_type: super::embedded::PROTOCOL_TYPE.to_owned(),
                state: group.state(),
                kind: "consumer",
            },
        };
        state.groups.iter().map(listing).collect()
    }

    /// Forgets a group without members.
    ///
    /// # Errors
    /// `GROUP_ID_NOT_FOUND`; `NON_EMPTY_GROUP` if it has members.
    pub fn delete(&self, group: &str) -> Result<(), ErrorCode> {
        let mut state = lock(&self.state);
        match state.groups.get(group) {
            Some(slot) if !slot.is_empty() => Err(ErrorCode::NON_EMPTY_GROUP),
            Some(_) => {
                let gone = Entry::Gone { group: group.to_owned() };
                state.record(&gone).map_err(|_| ErrorCode::COORDINATOR_NOT_AVAILABLE)?;
                state.groups.remove(group);
                state.tidy();
                Ok(())
            }
            None => Err(ErrorCode::GROUP_ID_NOT_FOUND),
        }
    }

    /// Flushes to the disk.
    pub fn sync_journal(&self) -> io::Result<()> {
        lock(&self.state).journal.sync()
    }

    /// Ends sessions and phases when their time has come. Runs until it is cancelled.
    pub async fn watch_deadlines(&self, topics: &Topics) {
        loop {
            let next = self.tick(topics);
            self.wakes_at_ms.store(next, Ordering::SeqCst);
            // A deadline that moved forward between the tick and the store is caught by the notification's permit.
            tokio::select! {
                () = self.clock.sleep_until(next) => {}
                () = self.earlier.notified() => {}
            }
        }
    }

    /// From now on changes that the groups' journal is to know fail while `disk` is full.
    pub fn attach(&self, disk: &Disk) {
        lock(&self.state).journal.attach(disk);
    }

    /// Ends the session of a member of a classic group now. Gives whether it had one.
    pub fn expire_session(&self, group: &str, member_id: &str) -> bool {
        let mut state = lock(&self.state);
        let Some(Slot::Classic { machine, .. }) = state.groups.get_mut(group) else { return false };
        let mut replies = Replies::new();
        let expired = machine.expire_session(member_id, self.clock.monotonic_ms(), &mut replies);
        self.settle_classic(&mut state, group, replies);
        expired
    }

    /// Lets every group do what has fallen due, and gives the next deadline of all.
    fn tick(&self, topics: &Topics) -> i64 {
        let mut state = lock(&self.state);
        let now_ms = self.clock.monotonic_ms();
        let is_due = |slot: &Slot| slot.next_deadline_ms().is_some_and(|deadline| deadline <= now_ms);
        let due: Vec<_> =
            state.groups.iter().filter(|(_, slot)| is_due(slot)).map(|(id, _)| id.clone()).collect();
        for id in due {
            match state.groups.get_mut(&id) {
                Some(Slot::Classic { machine, .. }) => {
                    let mut replies = Replies::new();
                    machine.tick(now_ms, &mut replies);
                    self.settle_classic(&mut state, &id, replies);
                }
                Some(Slot::Consumer(_)) => self.tick_consumer(&mut state, &id, topics),
                None => {}
            }
        }
        let next = state.groups.values().filter_map(Slot::next_deadline_ms).min();
        // Not at once again, should a deadline stay behind: at most a thousand times a second.
        next.map_or(i64::MAX, |next| next.max(now_ms + 1))
    }

    /// Wakes the watch task if the group now has an earlier deadline than it sleeps for.
    fn watch(&self, state: &State, group: &str) {
        let deadline = state.groups.get(group).and_then(Slot::next_deadline_ms);
        if deadline.is_some_and(|deadline| deadline < self.wakes_at_ms.load(Ordering::SeqCst)) {
            self.earlier.notify_one();
        }
    }

    fn settings_of(&self, state: &State, group: &str) -> ConsumerSettings {
        match state.own.get(group) {
            Some(own) => self.settings.of(own),
            None => self.settings.consumer.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn scene<'a>(image: &'a TopicsImage, settings: &'a ConsumerSettings, now_ms: i64) -> Scene<'a> {
    Scene { image, settings, now_ms }
}
