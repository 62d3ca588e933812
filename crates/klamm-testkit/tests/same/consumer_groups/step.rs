//! What may be said next in a conversation of a `consumer` group.

use klamm_testkit::Dice;

use super::LETTERS;
use super::place::TOPICS;

/// What the members of a conversation do most of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// All of them read the same topics, shared by `uniform`.
    Uniform,
    /// Each reads what it likes, by `range`, and has an instance id that another one has, too.
    Static,
    /// Subscriptions, assignors and instances as they come.
    Mixed,
    /// Subscriptions are expressions.
    Regexes,
}

impl Style {
    pub fn of(index: usize) -> Self {
        [Self::Uniform, Self::Static, Self::Mixed, Self::Regexes][index % 4]
    }
}

/// Which epoch a member says that it is at.
#[derive(Debug, Clone, Copy)]
pub enum Epoch {
    Is(i32),
    /// What it was told last, or so much off.
    Told(i32),
    /// What it was told before that.
    Previous,
}

/// What a member says that it has.
#[derive(Debug, Clone, Copy)]
pub enum Owned {
    Silent,
    Nothing,
    Told,
    LessOne,
    MoreThanTold,
}

/// A heartbeat.
#[derive(Debug, Clone)]
pub struct Beat {
    pub member: usize,
    pub version: i16,
    pub epoch: Epoch,
    pub instance: Option<usize>,
    /// Topics by the bits of their places.
    pub names: Option<u64>,
    pub regex: Option<usize>,
    pub assignor: Option<&'static str>,
    pub owned: Owned,
    pub timeout: bool,
}

impl Beat {
    /// The heartbeat of a member that has done what it was told to do.
    pub fn at_rest(member: usize) -> Self {
        Self {
            member,
            version: 1,
            epoch: Epoch::Told(0),
            instance: None,
            names: None,
            regex: None,
            assignor: None,
            owned: Owned::Told,
            timeout: false,
        }
    }
}

/// A partition by the place of its topic and its number.
pub type At = (usize, i32);

#[derive(Debug, Clone)]
pub enum Step {
    Beat(Beat),
    Describe { version: i16 },
    DescribeClassic,
    List { state: &'static str, kind: &'static str },
    Delete,
    Commit { who: Option<usize>, epoch: Epoch, version: i16, at: At, offset: i64 },
    Fetch { who: Option<usize>, epoch: Epoch, version: i16 },
    DeleteOffset { at: At },
    TxnCommit { who: Option<usize>, epoch: Epoch, at: At, offset: i64, commit: bool },
    Grow { topic: usize, to: i32 },
    Remove { topic: usize },
    Make { topic: usize, partitions: i32 },
}

fn one_of<T: Copy, const N: usize>(dice: &mut Dice, all: [T; N]) -> T {
    all[dice.among(0..N as u64) as usize]
}

pub fn next(dice: &mut Dice, style: Style, counts: &[Option<i32>; TOPICS]) -> Step {
    let at = (dice.among(0..TOPICS as u64) as usize, dice.among(0..3) as i32);
    let who = (dice.among(0..4) != 0).then(|| member(dice));
    let epoch = match dice.among(0..8) {
        0 => Epoch::Told(1),
        1 => Epoch::Told(-1),
        2 => Epoch::Previous,
        _ => Epoch::Told(0),
    };
    let offset = dice.among(0..50) as i64;
    match dice.among(0..37) {
        0..8 => Step::Beat(join(dice, style)),
        8..17 => Step::Beat(stay(dice, style)),
        17..19 => Step::Beat(leave(dice, style)),
        19..22 => Step::Describe { version: one_of(dice, [0, 1]) },
        22 => Step::DescribeClassic,
        23 => Step::List {
            state: one_of(dice, ["", "Stable", "Empty", "Reconciling", "assigning"]),
            kind: one_of(dice, ["", "consumer", "Classic"]),
        },
        24 => Step::Delete,
        25..28 => Step::Commit { who, epoch, version: one_of(dice, [8, 9]), at, offset },
        28..30 => {
            let epoch = if who.is_none() { Epoch::Is(-1) } else { epoch };
            Step::Fetch { who, epoch, version: one_of(dice, [8, 9]) }
        }
        30 => Step::DeleteOffset { at },
        31..33 => Step::TxnCommit { who, epoch, at, offset, commit: dice.among(0..3) != 0 },
        _ => change_topic(dice, style, counts, at.0),
    }
}

fn change_topic(dice: &mut Dice, style: Style, counts: &[Option<i32>; TOPICS], topic: usize) -> Step {
    match counts[topic] {
        // Three at a time: numbers stay different.
        Some(count) if dice.among(0..2) == 0 && count < 7 => Step::Grow { topic, to: count + 3 },
        Some(_) => Step::Remove { topic },
        // An expression finds it only 10 s after it was resolved last.
        None if style == Style::Regexes => Step::Describe { version: 1 },
        None => Step::Make { topic, partitions: [3, 4, 2][topic] },
    }
}

fn member(dice: &mut Dice) -> usize {
    // Two that are there most of the time, and others.
    one_of(dice, [0, 0, 0, 1, 1, 1, 2, 2, 3, 4]).min(LETTERS.len() - 1)
}

/// The instance under which a member joins, always the same: Kafka has no good answer to one that changes it, and no client does.
fn instance_of(style: Style, member: usize) -> Option<usize> {
    match (style, member) {
        (Style::Static, _) | (Style::Mixed, 0 | 1 | 3) => Some(member % 2),
        _ => None,
    }
}

/// The instance that a member names later, if any.
fn instance_said(dice: &mut Dice, style: Style, member: usize) -> Option<usize> {
    match dice.among(0..16) {
        0 => Some((member + 1) % 2),
        1..6 => None,
        _ => instance_of(style, member),
    }
}

fn names(dice: &mut Dice, style: Style) -> u64 {
    match style {
        Style::Uniform => one_of(dice, [0b0111, 0b0111, 0b0111, 0b0111, 0b0111, 0b1111, 0b0001]),
        Style::Static | Style::Mixed => one_of(dice, [0b0001, 0b0011, 0b0110, 0b0111, 0b1001, 0b0100, 0]),
        Style::Regexes => one_of(dice, [0, 0, 0, 0b0001]),
    }
}

/// The assignor that a member asks for. Nobody asks for the other one of the two: a tie is decided in Kafka by the order of a hash table.
fn assignor(dice: &mut Dice, style: Style) -> Option<&'static str> {
    match (style, dice.among(0..20)) {
        (_, 0) => Some("sticky"),
        (Style::Static, _) | (Style::Mixed, 1..6) => Some("range"),
        (Style::Uniform | Style::Regexes, 6..9) => Some("uniform"),
        _ => None,
    }
}

fn regex(dice: &mut Dice, style: Style) -> Option<usize> {
    match style {
        Style::Regexes => Some(one_of(dice, [0, 0, 0, 1, 1, 2, 3, 4, 5])),
        _ => (dice.among(0..15) == 0).then_some(5),
    }
}

fn join(dice: &mut Dice, style: Style) -> Beat {
    let member = member(dice);
    let regex = regex(dice, style);
    let names = Some(names(dice, style)).filter(|_| style != Style::Regexes || dice.among(0..4) == 0);
    Beat {
        member,
        version: if regex.is_some() { 1 } else { one_of(dice, [0, 1]) },
        epoch: Epoch::Is(0),
        instance: instance_of(style, member),
        names: names.filter(|_| dice.among(0..20) != 0),
        regex,
        assignor: assignor(dice, style),
        owned: match dice.among(0..20) {
            0 => Owned::Silent,
            1 => Owned::MoreThanTold,
            _ => Owned::Nothing,
        },
        timeout: dice.among(0..20) != 0,
    }
}

fn stay(dice: &mut Dice, style: Style) -> Beat {
    let member = member(dice);
    let changes = dice.among(0..4) == 0;
    let regex = regex(dice, style).filter(|_| changes);
    Beat {
        member,
        version: if regex.is_some() { 1 } else { one_of(dice, [0, 1]) },
        epoch: match dice.among(0..12) {
            0 => Epoch::Told(1),
            1 => Epoch::Told(-1),
            2 => Epoch::Previous,
            _ => Epoch::Told(0),
        },
        instance: instance_said(dice, style, member),
        names: changes.then(|| names(dice, style)),
        regex,
        assignor: assignor(dice, style).filter(|_| changes),
        owned: match dice.among(0..10) {
            0..2 => Owned::Silent,
            2 => Owned::Nothing,
            3 => Owned::LessOne,
            4 => Owned::MoreThanTold,
            _ => Owned::Told,
        },
        timeout: dice.among(0..4) == 0,
    }
}

fn leave(dice: &mut Dice, style: Style) -> Beat {
    let member = member(dice);
    let epoch = match style {
        Style::Static | Style::Mixed => one_of(dice, [-1, -2, -2, -2, -3]),
        _ => one_of(dice, [-1, -1, -1, -2, -3]),
    };
    Beat { epoch: Epoch::Is(epoch), instance: instance_of(style, member), ..Beat::at_rest(member) }
}
