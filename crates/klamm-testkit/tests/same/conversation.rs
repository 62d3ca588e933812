//! Sends generated steps to both sides until one answers otherwise.

use std::fmt::Debug;

use klamm_broker::BrokerConfig;
use klamm_testkit::anyhow::{Context, Result, ensure};
use klamm_testkit::{Cluster, Dice, KafkaOptions};

use crate::differences;
use crate::side::Side;

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
}

/// So many conversations of so many steps each, with one broker of each kind.
pub fn both<T: Talk>(new: impl Fn(usize) -> T, conversations: usize, steps: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut dice = Dice::new();
    let kafka = runtime.block_on(Cluster::real_with(KafkaOptions {
        name: "same".into(),
        properties: vec![
            ("auto.create.topics.enable".into(), "false".into()),
            ("group.initial.rebalance.delay.ms".into(), "0".into()),
            ("offsets.topic.num.partitions".into(), "50".into()),
        ],
        ..KafkaOptions::default()
    }))?;
    let mut config = BrokerConfig::default();
    config.auto_create_topics = false;
    let embedded = runtime.block_on(Cluster::embedded_with(config))?;
    for index in 0..conversations {
        let mut sides =
            [Side::new("embedded", &embedded.bootstrap())?, Side::new("Kafka", &kafka.bootstrap())?];
        let mut talk = new(index);
        for side in &mut sides {
            talk.begin(side).with_context(|| format!("before conversation {index}, {}", side.name))?;
        }
        let mut said = Vec::new();
        for _ in 0..steps {
            let step = talk.next(&mut dice);
            said.push(format!("{step:?}"));
            let [ours, theirs] = &mut sides;
            let ours = talk.ask(ours, &step).with_context(|| told(index, &said))?;
            let theirs = talk.ask(theirs, &step).with_context(|| told(index, &said))?;
            if let Some(reason) = differences::allowed(&ours, &theirs) {
                said.push(format!("    differs as it may: {reason}"));
                break;
            }
            ensure!(ours == theirs, "{}\n  embedded: {ours}\n  Kafka:    {theirs}", told(index, &said));
            said.push(format!("    {ours}"));
            talk.heard(&step, &ours);
        }
    }
    Ok(())
}

fn told(index: usize, said: &[String]) -> String {
    format!("conversation {index}:\n{}", said.join("\n"))
}
