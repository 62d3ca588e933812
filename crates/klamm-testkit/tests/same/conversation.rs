//! Sends generated steps to both sides until one answers otherwise.

use std::fmt::Debug;

use klamm_broker::BrokerConfig;
use klamm_testkit::anyhow::{Context, Result, ensure};
use klamm_testkit::{Cluster, Dice, KafkaOptions, eventually};

use crate::differences;
use crate::side::{KAFKA, SOON, Side};

/// A kind of conversation: what may be said next, and how one side is asked.
pub trait Talk {
    type Step: Debug;

    /// What both sides need before the first step.
    fn begin(&self, side: &mut Side) -> Result<()>;

    fn next(&mut self, dice: &mut Dice) -> Self::Step;

    /// Asks, and gives the answer as it is compared.
    fn ask(&self, side: &mut Side, step: &Self::Step) -> Result<String>;

    /// Learns from an answer that both gave.
    fn heard(&mut self, step: &Self::Step, answer: &str);

    /// Waits for what a side does after its answer.
    fn rest(&self, _: &mut [Side; 2], _: &Self::Step) -> Result<()> {
        Ok(())
    }
}

/// Waits until both say the same, with a bound. What asks must not wait itself.
pub fn alike(
    sides: &mut [Side; 2],
    what: &str,
    mut ask: impl FnMut(&mut Side) -> Result<String>,
) -> Result<()> {
    let waits = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let what = format!("{what} to be the same on both sides");
    waits.block_on(eventually(SOON, &what, async || {
        let [ours, theirs] = [ask(&mut sides[0])?, ask(&mut sides[1])?];
        ensure!(ours == theirs, "\n  embedded: {ours}\n  Kafka:    {theirs}");
        Ok(())
    }))
}

/// So many conversations of so many steps each, with one broker of each kind.
pub fn both<T: Talk>(new: impl Fn(usize) -> T, conversations: usize, steps: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let kafka = runtime.block_on(Cluster::real_with(KafkaOptions {
        name: "same".into(),
        properties: vec![
            ("auto.create.topics.enable".into(), "false".into()),
            ("group.initial.rebalance.delay.ms".into(), "0".into()),
            // As here: what a group is to have is computed at once.
            ("group.consumer.assignment.interval.ms".into(), "0".into()),
            ("offsets.topic.num.partitions".into(), "50".into()),
        ],
        ..KafkaOptions::default()
    }))?;
    let mut config = BrokerConfig::default();
    config.auto_create_topics = false;
    let embedded = runtime.block_on(Cluster::embedded_with(config))?;
    for (round, seed) in Dice::seeds().into_iter().enumerate() {
        let mut dice = Dice::of(seed);
        let mut steps_compared = 0;
        for index in 0..conversations {
            let mut sides =
                [Side::new("embedded", &embedded.bootstrap())?, Side::new(KAFKA, &kafka.bootstrap())?];
            let talk = new(round * conversations + index);
            steps_compared += converse(talk, index, &mut sides, &mut dice, steps)
                .with_context(|| format!("KLAMM_SEED={seed}"))?;
        }
        println!("{steps_compared} answers of {} compared", conversations * steps);
    }
    Ok(())
}

/// One conversation; gives how many answers were the same before one differed as it may.
fn converse<T: Talk>(
    mut talk: T,
    index: usize,
    sides: &mut [Side; 2],
    dice: &mut Dice,
    steps: usize,
) -> Result<usize> {
    for side in sides.iter_mut() {
        talk.begin(side).with_context(|| format!("before conversation {index}, {}", side.name))?;
    }
    let mut said = Vec::new();
    for number in 0..steps {
        let step = talk.next(dice);
        said.push(format!("{step:?}"));
        let [ours, theirs] = sides;
        let ours = talk.ask(ours, &step).with_context(|| told(index, &said))?;
        let theirs = talk.ask(theirs, &step).with_context(|| told(index, &said))?;
        if let Some(reason) = differences::allowed(&ours, &theirs) {
            println!("conversation {index} ends after {number} answers: {reason}");
            return Ok(number);
        }
        ensure!(ours == theirs, "{}\n  embedded: {ours}\n  Kafka:    {theirs}", told(index, &said));
        said.push(format!("    {ours}"));
        talk.rest(sides, &step).with_context(|| told(index, &said))?;
        talk.heard(&step, &ours);
    }
    Ok(steps)
}

fn told(index: usize, said: &[String]) -> String {
    format!("conversation {index}:\n{}", said.join("\n"))
}
