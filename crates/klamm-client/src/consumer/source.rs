//! A broker that is fetched from: its own connection, the session on it, and what an answer holds.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use klamm_admin::{Admin, AdminError, Routes};
use klamm_kafka::ErrorCode;
use klamm_wire::batch::AbortedTransaction;
use klamm_wire::protocol::messages::FetchRequest;
use klamm_wire::protocol::messages::fetch_response::PartitionData;
use klamm_wire::{CallOptions, Connection};
use uuid::Uuid;

use crate::fetch::{
    self, Bounds, Brought, Fetched, LAST_WITH_NAMES, Next, Part, Question, RequestOptions, Session, Taken,
};

/// What the broker may take beyond `fetch.max.wait.ms` before the connection counts as lost.
const GRACE: Duration = Duration::from_secs(30);

/// Ids of topics, as the newest metadata has them.
#[derive(Debug, Default)]
pub(super) struct Naming {
    ids: HashMap<Arc<str>, Uuid>,
}

/// What an answer has for one part of the question.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) index: usize,
    pub(super) brought: Brought,
    pub(super) records: Option<Fetched>,
}

#[derive(Debug, Default)]
pub(super) struct Source {
    connection: Option<Connection>,
    session: Session,
}

impl Naming {
    pub(super) fn of(routes: &Routes) -> Naming {
        let id = |(name, topic): (&String, &Result<klamm_admin::TopicRoute, ErrorCode>)| {
            Some((Arc::from(name.as_str()), topic.as_ref().ok()?.id?))
        };
        Naming { ids: routes.iter().filter_map(id).collect() }
    }

    /// Ids where every topic has one and the broker takes them, else names.
    fn choose(&self, question: &Question, version: i16) -> fetch::Naming<'_> {
        let known = |part: &Part| self.ids.contains_key(&part.partition.topic);
        match version > LAST_WITH_NAMES && question.parts.iter().all(known) {
            true => fetch::Naming::Ids(&self.ids),
            false => fetch::Naming::Names,
        }
    }
}

impl Source {
    /// Asks, waits, and takes what comes. Cancelling it loses the connection's session: call [`Source::lost`] then.
    pub(super) async fn fetch(
        &mut self,
        admin: &Admin,
        question: &Question,
        naming: &Naming,
        options: &RequestOptions,
        batch_bytes: usize,
    ) -> Result<Vec<Answered>, AdminError> {
        let connection = match self.connection.take().filter(Connection::is_usable) {
            Some(connection) => connection,
            None => {
                self.session.forget();
                admin.dial(question.broker).await?
            }
        };
        let newest = connection.version_of::<FetchRequest>(None)?;
        let naming = naming.choose(question, newest);
        let max_version = matches!(naming, fetch::Naming::Names).then_some(LAST_WITH_NAMES);
        let version = newest.min(max_version.unwrap_or(newest));
        let request = self.session.request(question, &naming, options, version);
        let call = CallOptions { max_version, timeout: Some(options.max_wait + GRACE) };
        let response = connection.call_with(&request, call).await?;
        self.connection = Some(connection);
        let bounds = Bounds { isolation: options.isolation, batch_bytes };
        let found = match self.session.answer(question, &naming, response) {
            Ok(found) => found,
            // The broker has forgotten the session, or never had it: the next request names everything.
            Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND | ErrorCode::INVALID_FETCH_SESSION_EPOCH) => Vec::new(),
            Err(error) => {
                let same = |index| Answered { index, brought: Brought::Error(error), records: None };
                return Ok((0..question.parts.len()).map(same).collect());
            }
        };
        let answered = found.into_iter().filter_map(|(index, data)| {
            let (brought, records) = bring(question.parts.get(index)?, data, bounds)?;
            Some(Answered { index, brought, records })
        });
        Ok(answered.collect())
    }

    /// The broker may or may not have had the last request.
    pub(super) fn lost(&mut self) {
        *self = Source::default();
    }
}

/// What the answer for one partition comes to; `None` is no news.
fn bring(part: &Part, data: PartitionData, bounds: Bounds) -> Option<(Brought, Option<Fetched>)> {
    if let Err(error) = ErrorCode::from(data.error_code).ok() {
        return Some((Brought::Error(error), None));
    }
    let diverging = &data.diverging_epoch;
    if diverging.epoch >= 0 && diverging.end_offset >= 0 {
        let end = Next { offset: diverging.end_offset, epoch: Some(diverging.epoch) };
        return Some((Brought::Diverged { end }, None));
    }
    let bytes = data.records.unwrap_or_default();
    if bytes.is_empty() {
        let nearer = data.preferred_read_replica.0;
        return (nearer >= 0).then_some((Brought::Nearer { broker: nearer }, None));
    }
    let aborted = data.aborted_transactions.unwrap_or_default();
    let aborted = aborted
        .iter()
        .map(|one| AbortedTransaction { producer_id: one.producer_id.0, first_offset: one.first_offset });
    let Taken { records, next, unreadable } = fetch::take(&bytes, part.from, aborted.collect(), bounds);
    match unreadable {
        // What came before it goes out first; the next fetch begins with it.
        Some(unreadable) if next == part.from => Some((Brought::Unreadable { why: unreadable.why }, None)),
        _ => Some((Brought::Records { next, bytes: records.size_bytes() }, Some(records))),
    }
}
