//! Code commits an offset before the work on its record is done.
//!
//! ## What it does
//! Follows the effects of each loop that polls: fires where a commit, or a mark that is committed later, comes after a poll and before the work; and where work is handed
//! to a queue, a thread or a task and the commit does not wait for it. A loop that could not be followed to its end is no pass, nor is one
//! that hands work off where the library commits by itself: KL402 judges that.
//!
//! ## Why it hurts
//! The commit says that everything before it is done. A crash after it loses what lay in memory: nobody reads those records again.
//!
//! ## Example
//!     records = consumer.poll(1000)
//!     consumer.commit()
//!     for record in records: work(record)
//!
//! ## Use instead
//!     records = consumer.poll(1000)
//!     for record in records: work(record)
//!     consumer.commit()
//!
//! ## Severity
//! Error where the data is strong, warning where nothing is known. Nothing where the spec promises at-most-once to a group that reads the topics.
//!
//! ## References
//! - Apache Kafka, design: message delivery semantics

use klamm_contract::Delivery;
use klamm_plan::Risk;

use crate::check::{Cx, Out};
use crate::consumers::{auto_commit, loops, subject, unjoined};
use crate::evidence::{Effect, EffectKind, PollLoop, Role, SourceUnit};
use crate::finding::{Finding, Fix};
use crate::producers::{Stake, by_weight, stake};

pub(super) fn check(cx: &Cx<'_>, out: &mut Out) {
    for (unit, each) in loops(cx, out) {
        match early(each) {
            Some(pair) if !at_most_once(cx, each) => {
                out.judged();
                found(cx, out, each, pair);
            }
            Some(_) => out.judged(),
            None if !each.unclear.is_empty() => out.unclear(&subject(each), each.unclear.join("; ")),
            None => match by_library(cx, unit, each) {
                Some(why) => out.unclear(&subject(each), why),
                None => out.judged(),
            },
        }
    }
}

/// Nothing here commits, and the library may do it while work that was handed off goes on: KL402 judges that where the topics are known.
fn by_library(cx: &Cx<'_>, unit: &SourceUnit, each: &PollLoop) -> Option<String> {
    let counts = matches!(stake(cx, &each.topics), Stake::Counts(_));
    let handed = unjoined(each).filter(|_| counts && !each.handler)?;
    let consumer = unit.clients.iter().find(|client| client.role == Role::Consumer);
    let off = consumer.is_some_and(|client| auto_commit(cx, client).flag() == Some(false));
    let commits = each.effects.iter().any(|effect| effect.kind == EffectKind::Commit);
    (!off && !commits).then(|| {
        format!("whether the library commits by itself what `{}` has only handed off: see KL402", handed.what)
    })
}

/// The commit that comes too early, and the work that it does not wait for.
fn early(each: &PollLoop) -> Option<(&Effect, &Effect)> {
    let commits = |effect: &Effect| {
        matches!(effect.kind, EffectKind::Commit | EffectKind::CommitAsync | EffectKind::Mark)
    };
    let works = |effect: &Effect| matches!(effect.kind, EffectKind::Work | EffectKind::Send);
    let mut handed: Option<&Effect> = None;
    let mut worked = false;
    let mut committed: Option<&Effect> = None;
    // A handler has been given its record; a loop has one after its first poll.
    let mut polled = each.handler;
    for effect in &each.effects {
        match effect.kind {
            EffectKind::Poll => (polled, worked, committed) = (true, false, None),
            EffectKind::HandOff => {
                if let Some(commit) = committed.filter(|_| !worked) {
                    return Some((commit, effect));
                }
                handed = Some(effect);
            }
            EffectKind::Join => handed = None,
            _ if !polled => {}
            _ if commits(effect) => match handed {
                Some(handed) => return Some((effect, handed)),
                None if !worked => committed = Some(effect),
                None => {}
            },
            // A sleep is not work on the record; a blocking call that is given the record is told as work too.
            EffectKind::Block | EffectKind::Store => worked = worked || committed.is_none(),
            _ if works(effect) => {
                if let Some(commit) = committed.filter(|_| !worked) {
                    return Some((commit, effect));
                }
                worked = true;
            }
            _ => {}
        }
    }
    None
}

fn at_most_once(cx: &Cx<'_>, each: &PollLoop) -> bool {
    let groups = cx.evidence.spec.value().into_iter().flat_map(|spec| spec.groups.values());
    let mut readers =
        groups.filter(|group| each.topics.iter().any(|topic| group.reads.contains(topic))).peekable();
    readers.peek().is_some() && readers.all(|group| group.delivery == Delivery::AtMostOnce)
}

fn found(cx: &Cx<'_>, out: &mut Out, each: &PollLoop, (commit, work): (&Effect, &Effect)) {
    let Stake::Counts(weight) = stake(cx, &each.topics) else { return };
    let handed = work.kind == EffectKind::HandOff;
    let (what, instead) = match handed {
        true => (
            format!("`{}` commits what `{}` has only handed off", commit.what, work.what),
            "wait for the work, or commit only up to the first record that is not finished",
        ),
        false => (
            format!("`{}` commits before `{}` works on the record", commit.what, work.what),
            "commit after the work",
        ),
    };
    let finding = Finding::new(by_weight(&weight), subject(each), what)
        .at(&commit.place)
        .fact("commit", commit.what.clone(), commit.place.to_string())
        .fact(if handed { "hand-off" } else { "work" }, work.what.clone(), work.place.to_string())
        .consequence("a crash in between loses the record: it is committed, and nobody has worked on it")
        .fix(
            Fix::new(instead, Risk::RestartsClients)
                .code(&commit.place, format!("move `{}` behind the end of `{}`", commit.what, work.what))
                .undo_by(format!("revert the change at {}", commit.place)),
        )
        .next("does the work stand a record that comes twice? after a crash it will")
        .weighed(weight);
    out.found(finding);
}
