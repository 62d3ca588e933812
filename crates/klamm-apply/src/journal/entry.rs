//! What the journal holds, as the records of a compacted topic: one key a lock, a run, a step.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

use klamm_plan::{Change, ChangeKind};
use serde::{Deserialize, Serialize};

/// Version of the values; later releases read earlier ones.
const VERSION: u32 = 1;

/// Who runs `apply`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Name of the user.
    pub user: String,
    /// Name of the machine.
    pub host: String,
    /// Process id there.
    pub pid: u32,
}

impl Holder {
    /// This process.
    pub fn here() -> Holder {
        let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
        let mut host = String::new();
        let read = std::fs::File::open("/proc/sys/kernel/hostname")
            .and_then(|file| file.take(256).read_to_string(&mut host));
        let host = if read.is_ok() { host.trim().to_owned() } else { String::new() };
        Holder {
            user: user.unwrap_or_else(|_| "unknown".to_owned()),
            host: if host.is_empty() { "unknown".to_owned() } else { host },
            pid: std::process::id(),
        }
    }

    /// It ran on this machine and has ended. That a process exists says nothing: ids are used again.
    pub(super) fn is_gone(&self) -> bool {
        let here = Holder::here();
        let local = here.host != "unknown" && here.host == self.host && self.pid != here.pid;
        local
            && std::path::Path::new("/proc/self").exists()
            && !std::path::Path::new(&format!("/proc/{}", self.pid)).exists()
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{} (process {})", self.user, self.host, self.pid)
    }
}

/// Whoever may change the cluster now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// Version of this form.
    pub version: u32,
    /// The run that it was taken for.
    pub run: u64,
    /// Who holds it.
    pub holder: Holder,
    /// Taken at, in milliseconds since 1970 by the holder's clock: for people.
    pub taken_ms: u64,
    /// Raised while the holder lives; who sees it stand still may take the lock over.
    pub beat: u64,
}

impl Lock {
    pub(super) fn new(run: u64, holder: Holder, taken_ms: u64) -> Lock {
        Lock { version: VERSION, run, holder, taken_ms, beat: 0 }
    }
}

/// One `apply` or `apply --undo`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Version of this form.
    pub version: u32,
    /// Number of the run; `--undo` takes it.
    pub id: u64,
    /// Service of the plan.
    pub service: String,
    /// Who ran it.
    pub holder: Holder,
    /// Started at, in milliseconds since 1970 by the holder's clock.
    pub started_ms: u64,
    /// How far it came.
    pub state: RunState,
    /// The run that this one takes back.
    pub undoes: Option<u64>,
    /// The run that took this one back.
    pub undone_by: Option<u64>,
}

impl Run {
    pub(super) fn new(id: u64, new: &NewRun, holder: Holder, started_ms: u64) -> Run {
        let NewRun { service, undoes } = new.clone();
        Run {
            version: VERSION,
            id,
            service,
            holder,
            started_ms,
            state: RunState::Open,
            undoes,
            undone_by: None,
        }
    }
}

/// What a run is for.
#[derive(Debug, Clone)]
pub(crate) struct NewRun {
    /// Service of the plan.
    pub service: String,
    /// The run that it takes back.
    pub undoes: Option<u64>,
}

/// How far a run came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunState {
    /// It goes on, or was interrupted without a word.
    Open,
    /// All its changes were made.
    Done,
    /// It ended in an error.
    Failed {
        /// The error.
        why: String,
    },
    /// It was cut off, and a later run noticed.
    Interrupted,
}

/// One change of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Version of this form.
    pub version: u32,
    /// Place in the run, from 0.
    pub index: u32,
    /// The change.
    pub change: Change,
    /// What takes it back.
    pub inverse: Inverse,
    /// How far it came.
    pub state: StepState,
    /// Id of the topic that it created: a topic of the same name that was made later is another one.
    pub topic_id: Option<String>,
}

impl Step {
    pub(crate) fn new(index: u32, change: &Change) -> Step {
        let (change, inverse) = (change.clone(), Inverse::of(change));
        Step { version: VERSION, index, change, inverse, state: StepState::Intended, topic_id: None }
    }
}

/// How far a step came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Written down before it was tried: it may have been made.
    Intended,
    /// The cluster said that it was made.
    Made,
}

/// What takes a change back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Inverse {
    /// Deleting the topic.
    DeleteTopic,
    /// Setting a configuration of the topic to its former value, or unsetting it.
    RestoreConfig {
        /// Kafka's name.
        name: String,
        /// The topic's own value that it had, if it had one.
        to: Option<String>,
    },
    /// Removing the access rule.
    Revoke,
    /// Removing the user.
    RemoveUser,
    /// Setting the quota, or the setting of all brokers, to what it was.
    SetBack,
    /// Moving the copies back.
    MoveBack,
    /// Nothing does.
    Never {
        /// Why not.
        why: String,
    },
}

impl Inverse {
    /// What takes `change` back.
    pub fn of(change: &Change) -> Inverse {
        use klamm_contract::facts::ConfigSource;
        let never = |why: &str| Inverse::Never { why: why.to_owned() };
        match &change.kind {
            ChangeKind::CreateTopic { .. } => Inverse::DeleteTopic,
            ChangeKind::SetConfig { name, from, from_source, .. } => {
                // A value that was inherited comes back by taking the topic's own away.
                let own = *from_source == Some(ConfigSource::Topic);
                Inverse::RestoreConfig { name: name.clone(), to: from.clone().filter(|_| own) }
            }
            ChangeKind::RestoreConfig { name, from, .. } => {
                Inverse::RestoreConfig { name: name.clone(), to: from.clone() }
            }
            ChangeKind::Reassign { .. } => Inverse::MoveBack,
            ChangeKind::Allow { .. } => Inverse::Revoke,
            ChangeKind::SetPassword { exists: false, .. } => Inverse::RemoveUser,
            ChangeKind::SetPassword { exists: true, .. } => {
                never("brokers do not tell passwords: the former one is not known")
            }
            ChangeKind::RemoveUser { .. } => {
                never("a user that was removed is made again by applying the spec")
            }
            ChangeKind::SetQuota { .. } | ChangeKind::SetBrokers { .. } => Inverse::SetBack,
            ChangeKind::MoveGroup { .. } => never(
                "the group's offsets in the former topic are as they were: its members can start there again",
            ),
            ChangeKind::Revoke { .. } => {
                never("a rule that was removed is added by hand, if it is wanted again")
            }
            ChangeKind::Unthrottle { .. } => {
                never("the throttles were an interrupted run's, and nobody wants them")
            }
            ChangeKind::AddPartitions { .. } => never("Kafka cannot take partitions away"),
            ChangeKind::DeleteTopic { .. } => never("a topic that was deleted does not come back"),
            _ => never("this version of klamm does not know this change"),
        }
    }
}

/// All that the journal says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct History {
    /// Who may change the cluster now.
    pub lock: Option<Lock>,
    /// Runs by number.
    pub runs: BTreeMap<u64, RunRecord>,
}

/// A run with its steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunRecord {
    /// The run.
    pub run: Run,
    /// Its steps by index.
    pub steps: BTreeMap<u32, Step>,
}

/// A key of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Lock,
    Run(u64),
    Step(u64, u32),
}

impl Key {
    pub fn text(self) -> String {
        match self {
            Key::Lock => "lock".to_owned(),
            Key::Run(run) => format!("run {run}"),
            Key::Step(run, step) => format!("run {run} step {step}"),
        }
    }

    fn parse(text: &str) -> Option<Key> {
        if text == "lock" {
            return Some(Key::Lock);
        }
        let rest = text.strip_prefix("run ")?;
        match rest.split_once(" step ") {
            Some((run, step)) => Some(Key::Step(run.parse().ok()?, step.parse().ok()?)),
            None => Some(Key::Run(rest.parse().ok()?)),
        }
    }
}

/// Records as they come. Compaction leaves the newest record of a key where it was written, so that the steps of a run
/// may be read before the run itself.
#[derive(Debug, Default)]
pub(super) struct Fold {
    lock: Option<Lock>,
    runs: BTreeMap<u64, Run>,
    steps: BTreeMap<u64, BTreeMap<u32, Step>>,
}

impl Fold {
    /// Takes one record in. A key that this version does not know is left alone: a later one wrote it.
    pub fn take(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), String> {
        let Some(key) = std::str::from_utf8(key).ok().and_then(Key::parse) else { return Ok(()) };
        match (key, value) {
            (Key::Lock, value) => self.lock = value.map(read).transpose()?,
            (Key::Run(id), Some(value)) => drop(self.runs.insert(id, read(value)?)),
            (Key::Run(id), None) => drop(self.runs.remove(&id)),
            (Key::Step(id, index), Some(value)) => {
                self.steps.entry(id).or_default().insert(index, read(value)?);
            }
            (Key::Step(id, index), None) => {
                self.steps.entry(id).and_modify(|steps| drop(steps.remove(&index)));
            }
        }
        Ok(())
    }

    pub fn finish(self) -> History {
        let Fold { lock, runs, mut steps } = self;
        let record = |(id, run)| (id, RunRecord { run, steps: steps.remove(&id).unwrap_or_default() });
        History { lock, runs: runs.into_iter().map(record).collect() }
    }
}

fn read<'a, T: Deserialize<'a>>(value: &'a [u8]) -> Result<T, String> {
    #[derive(Deserialize)]
    struct Head {
        version: u32,
    }
    let head: Head = serde_json::from_slice(value).map_err(|error| error.to_string())?;
    if head.version != VERSION {
        return Err(format!("form {}, and this klamm reads form {VERSION}", head.version));
    }
    serde_json::from_slice(value).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use klamm_plan::Risk;

    use super::*;

    fn holder(pid: u32) -> Holder {
        Holder { user: "ada".to_owned(), host: Holder::here().host, pid }
    }

    fn json(value: &impl Serialize) -> Vec<u8> {
        serde_json::to_vec(value).expect("it has a JSON form")
    }

    #[test]
    fn what_compaction_leaves_says_the_same_as_the_whole_log() {
        let new = NewRun { service: "shop".to_owned(), undoes: None };
        let open = Run::new(7, &new, holder(1), 5);
        let done = Run { state: RunState::Done, ..open.clone() };
        let kind = ChangeKind::AddPartitions { from: 1, to: 2 };
        let step = Step::new(0, &Change { topic: "t".to_owned(), kind, risk: Risk::Safe });
        let made = Step { state: StepState::Made, ..step.clone() };
        let lock = Lock::new(7, holder(1), 5);
        let log = [
            (Key::Lock, Some(json(&lock))),
            (Key::Run(7), Some(json(&open))),
            (Key::Step(7, 0), Some(json(&step))),
            (Key::Step(7, 0), Some(json(&made))),
            (Key::Run(7), Some(json(&done))),
            (Key::Lock, None),
        ];
        let fold = |records: &[(Key, Option<Vec<u8>>)]| {
            let mut fold = Fold::default();
            for (key, value) in records {
                fold.take(key.text().as_bytes(), value.as_deref()).expect("it was just written");
            }
            fold.finish()
        };
        let whole = fold(&log);
        assert_eq!(whole.runs[&7].run, done);
        assert_eq!(whole.runs[&7].steps[&0], made);
        assert_eq!(whole, fold(&log[3..]), "the newest of each key");
        assert_eq!(fold(&log[..3]).lock, Some(lock));
    }

    #[test]
    fn a_later_form_is_refused_and_an_unknown_key_left_alone() {
        let mut fold = Fold::default();
        assert_eq!(fold.take(b"something new", Some(b"?")), Ok(()));
        let later = fold.take(b"lock", Some(br#"{"version": 2}"#)).expect_err("form 2");
        assert_eq!(later, "form 2, and this klamm reads form 1");
        assert!(fold.take(b"run 3", Some(b"not json")).is_err());
    }

    #[test]
    fn a_process_that_has_ended_is_gone_and_one_elsewhere_is_not() {
        // Larger than any process id of Linux (2^22).
        assert!(holder(1 << 30).is_gone());
        assert!(!holder(std::process::id()).is_gone());
        assert!(!Holder { host: "elsewhere".to_owned(), ..holder(1 << 30) }.is_gone());
    }
}
