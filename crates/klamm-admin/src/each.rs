//! The same question to many: every broker, or the leaders of many partitions. Each answer stands alone, so that one
//! broker that is down does not hide what the others say.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use futures_util::stream::iter;
use klamm_kafka::ErrorCode;
use tokio::time::{Instant, sleep, timeout_at};

use crate::Admin;
use crate::error::{AdminError, AdminErrorKind};
use crate::metadata::Topics;
use crate::pace::Peer;
use crate::retry::{Repeat, backoff};

/// What each broker said, by node id.
pub type PerBroker<T> = BTreeMap<i32, Result<T, AdminError>>;
/// What was said about each partition, by topic.
pub type PerPartition<T> = BTreeMap<String, BTreeMap<i32, Result<T, AdminError>>>;
/// Node id of each partition's leader, by topic; `None` when it has none.
pub type Leaders = BTreeMap<String, BTreeMap<i32, Option<i32>>>;

/// Partitions that one request is about.
pub(crate) type Wanted = BTreeMap<String, Vec<i32>>;
/// What one answer says about partitions.
pub(crate) type Told<T> = Vec<(String, i32, Result<T, AdminError>)>;

/// Brokers that are asked at once.
const AT_ONCE: usize = 16;

impl Admin {
    /// Asks one broker, which nobody else can stand in for: when it has left the cluster, that is the answer.
    pub(crate) async fn at_broker<T, F>(
        &self,
        what: &str,
        id: i32,
        ask: &impl Fn(Peer) -> F,
    ) -> Result<T, AdminError>
    where
        F: Future<Output = Result<T, AdminError>>,
    {
        self.retry(what, Repeat::Always, || async {
            match self.cluster.broker(id).await {
                Ok(peer) => ask(peer).await.map(Ok),
                Err(error) if matches!(error.kind(), AdminErrorKind::BrokerGone { .. }) => Ok(Err(error)),
                Err(error) => Err(error),
            }
        })
        .await?
    }

    /// Asks every broker that the last metadata had.
    pub(crate) async fn at_each<T, F>(&self, what: &str, ask: &impl Fn(i32, Peer) -> F) -> PerBroker<T>
    where
        F: Future<Output = Result<T, AdminError>>,
    {
        let one = |id: i32| async move { (id, self.at_broker(what, id, &|peer| ask(id, peer)).await) };
        iter(self.brokers()).map(one).buffer_unordered(AT_ONCE).collect().await
    }

    /// Asks the leader of each partition, no more than `at_most` of them in a request. One whose leader moves is asked
    /// again; one without a leader is not.
    pub(crate) async fn at_leaders<T, F>(
        &self,
        what: &str,
        leaders: &Leaders,
        at_most: usize,
        ask: &impl Fn(Peer, Wanted) -> F,
    ) -> PerPartition<T>
    where
        F: Future<Output = Result<Told<T>, AdminError>>,
    {
        let started = Instant::now();
        let deadline = started + self.api_timeout;
        let (mut found, mut pending) = (PerPartition::new(), leaders.clone());
        for tries in 0_u32.. {
            let requests = requests(&pending, at_most, &mut found);
            let one = |(leader, wanted): (i32, Wanted)| async move {
                let attempt = async { ask(self.cluster.broker(leader).await?, wanted.clone()).await };
                let told = timeout_at(deadline, attempt).await;
                let late =
                    || AdminError::timeout(&format!("{what} of broker {leader}"), self.api_timeout, None);
                let told = told.unwrap_or_else(|_| Err(late()));
                (wanted, told)
            };
            let mut answers = iter(requests).map(one).buffer_unordered(AT_ONCE);
            let delay = backoff(tries, 0.5);
            let again = |error: &AdminError| {
                let elapsed = started.elapsed() + delay;
                elapsed < self.api_timeout && self.again(error, Repeat::Always, elapsed)
            };
            let mut failed = Wanted::new();
            while let Some((wanted, told)) = answers.next().await {
                for (topic, partition, told) in complete(wanted, told) {
                    if told.as_ref().is_err_and(again) {
                        failed.entry(topic.clone()).or_default().push(partition);
                    }
                    found.entry(topic).or_default().insert(partition, told);
                }
            }
            if failed.is_empty() {
                break;
            }
            sleep(delay).await;
            pending = match timeout_at(deadline, self.leaders_of(&failed)).await {
                Ok(Ok(leaders)) => leaders,
                _ => break,
            };
        }
        found
    }

    /// Who leads these partitions now; those of which metadata does not tell are left out.
    async fn leaders_of(&self, wanted: &Wanted) -> Result<Leaders, AdminError> {
        let names: Vec<String> = wanted.keys().cloned().collect();
        let mut leaders = Leaders::new();
        for topic in self.cluster.metadata(Topics::Named(&names)).await? {
            let Some(partitions) = wanted.get(&topic.name).filter(|_| topic.code.is_ok()) else { continue };
            let known = topic.partitions.iter().filter(|known| partitions.contains(&known.index));
            leaders.insert(topic.name.clone(), known.map(|known| (known.index, known.leader)).collect());
        }
        Ok(leaders)
    }
}

/// One request after another for each leader. What has no leader is answered here.
fn requests<T>(leaders: &Leaders, at_most: usize, found: &mut PerPartition<T>) -> Vec<(i32, Wanted)> {
    let mut by_leader: BTreeMap<i32, Vec<(Wanted, usize)>> = BTreeMap::new();
    for (topic, partitions) in leaders {
        for (partition, leader) in partitions {
            let Some(leader) = leader else {
                let resource = format!("topic {topic} partition {partition}");
                let error = AdminError::kafka(ErrorCode::LEADER_NOT_AVAILABLE, None, "describe", &resource);
                found.entry(topic.clone()).or_default().insert(*partition, Err(error));
                continue;
            };
            let requests = by_leader.entry(*leader).or_default();
            if requests.last().is_none_or(|(_, count)| *count >= at_most) {
                requests.push((Wanted::new(), 0));
            }
            if let Some((wanted, count)) = requests.last_mut() {
                wanted.entry(topic.clone()).or_default().push(*partition);
                *count += 1;
            }
        }
    }
    let flat = by_leader
        .into_iter()
        .flat_map(|(leader, requests)| requests.into_iter().map(move |(wanted, _)| (leader, wanted)));
    flat.collect()
}

/// Something about each partition that was asked for, whatever the answer says.
fn complete<T>(wanted: Wanted, told: Result<Told<T>, AdminError>) -> Told<T> {
    let flat = wanted
        .iter()
        .flat_map(|(topic, partitions)| partitions.iter().map(move |partition| (topic.clone(), *partition)));
    match told {
        Err(error) => flat.map(|(topic, partition)| (topic, partition, Err(error.clone()))).collect(),
        Ok(mut told) => {
            let known: std::collections::BTreeSet<(String, i32)> =
                told.iter().map(|(topic, partition, _)| (topic.clone(), *partition)).collect();
            told.retain(|(topic, partition, _)| {
                wanted.get(topic).is_some_and(|partitions| partitions.contains(partition))
            });
            told.extend(flat.filter(|at| !known.contains(at)).map(|(topic, partition)| {
                let what = format!("the answer says nothing about topic {topic} partition {partition}");
                (topic, partition, Err(AdminError::unexpected(what)))
            }));
            told
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaders() -> Leaders {
        let of = |led: &[(i32, Option<i32>)]| led.iter().copied().collect();
        [
            ("a".to_owned(), of(&[(0, Some(1)), (1, Some(2)), (2, None)])),
            ("b".to_owned(), of(&[(0, Some(1)), (1, Some(1))])),
        ]
        .into()
    }

    #[test]
    fn partitions_are_asked_for_in_bounded_requests_at_their_leader() {
        let mut found = PerPartition::<()>::new();
        let requests = requests(&leaders(), 2, &mut found);
        let count = |wanted: &Wanted| wanted.values().map(Vec::len).sum::<usize>();
        let sizes: Vec<_> = requests.iter().map(|(leader, wanted)| (*leader, count(wanted))).collect();
        assert_eq!(sizes, [(1, 2), (1, 1), (2, 1)]);
        assert!(found["a"][&2].is_err(), "it has no leader");
    }

    #[test]
    fn what_an_answer_leaves_out_is_an_error_and_what_nobody_asked_for_is_dropped() {
        let wanted: Wanted = [("a".to_owned(), vec![0, 1])].into();
        let told = vec![("a".to_owned(), 1, Ok(7)), ("a".to_owned(), 9, Ok(8))];
        let told = complete(wanted, Ok(told));
        assert_eq!(told.len(), 2);
        assert!(matches!(told[0], (_, 1, Ok(7))) && matches!(told[1], (_, 0, Err(_))));
    }
}
