//! `DeleteTopics`, by name or (from version 6) by id. The data is gone when the answer comes; so are committed offsets.

use std::collections::{HashMap, HashSet};

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::delete_topics_request::DeleteTopicState;
use klamm_wire::protocol::messages::delete_topics_response::DeletableTopicResult;
use klamm_wire::protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse, TopicName};

use uuid::Uuid;

use super::rights::Right;
use super::shape::{INT32, Shape, TEXT, UUID, plain, structs};
use super::{Call, Handler, text};
use crate::error::Refusal;

pub(crate) struct DeleteTopics;

impl Handler for DeleteTopics {
    type Request = DeleteTopicsRequest;
    type Response = DeleteTopicsResponse;

    const REQUEST: Shape =
        Shape { flexible: 4, fields: &[structs(&[TEXT, UUID]).since(6), plain(&TEXT).until(5), INT32] };

    async fn handle(call: &Call<'_>, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
        let wanted = wanted(request);
        let times = Times::of(&wanted);
        let id_of = |name: &TopicName| call.node.topics.get(name).map_or(Uuid::nil(), |topic| topic.id);
        let named: HashSet<Uuid> = wanted
            .iter()
            .filter_map(|topic| topic.name.as_ref().map(id_of))
            .filter(|id| !id.is_nil())
            .collect();
        let mut answered = HashSet::new();
        let mut results = Vec::with_capacity(wanted.len());
        for mut topic in wanted {
            let by_id = topic.name.is_none();
            if !answered.insert((topic.name.clone(), topic.topic_id))
                || by_id && named.contains(&topic.topic_id)
            {
                // Answered already, or with the name that means the same topic.
                continue;
            }
            let rights = times.check(&topic).and_then(|()| check(call, &mut topic));
            let result = rights.and_then(|()| match topic.name.as_ref().map(id_of) {
                Some(id) if times.ids.contains_key(&id) => {
                    topic.topic_id = id;
                    Err(invalid("The provided topic name maps to an ID that was already supplied."))
                }
                _ => delete(call, &topic),
            });
            results.push(result.unwrap_or_else(|refusal| failed(topic, refusal)));
        }
        DeleteTopicsResponse::default().with_responses(results)
    }

    fn throttled(response: &mut DeleteTopicsResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn topics(call: &Call<'_>, request: &DeleteTopicsRequest) -> Vec<String> {
        let named = request.topics.iter().filter_map(|topic| match &topic.name {
            Some(name) => Some(name.to_string()),
            None => call.node.topics.get_by_id(topic.topic_id).map(|topic| topic.name.clone()),
        });
        named.chain(request.topic_names.iter().map(|name| name.to_string())).collect()
    }

    fn refuse(_: &Call<'_>, request: DeleteTopicsRequest, error: ErrorCode) -> DeleteTopicsResponse {
        let refused = |topic| failed(topic, Refusal::new(error, error.meaning()));
        DeleteTopicsResponse::default().with_responses(wanted(request).into_iter().map(refused).collect())
    }
}

/// How often each name and id is there.
struct Times {
    names: HashMap<TopicName, usize>,
    ids: HashMap<Uuid, usize>,
}

impl Times {
    fn of(wanted: &[DeleteTopicState]) -> Self {
        let (mut names, mut ids) = (HashMap::new(), HashMap::new());
        for topic in wanted {
            match &topic.name {
                Some(name) => *names.entry(name.clone()).or_default() += 1,
                None => *ids.entry(topic.topic_id).or_default() += 1,
            }
        }
        Self { names, ids }
    }

    /// Refuses what does not say one topic once.
    fn check(&self, topic: &DeleteTopicState) -> Result<(), Refusal> {
        let twice = |times: Option<&usize>| times.is_some_and(|times| *times > 1);
        let why = match &topic.name {
            None if topic.topic_id.is_nil() => "Neither topic name nor id were specified.",
            Some(_) if !topic.topic_id.is_nil() => "You may not specify both topic name and topic id.",
            Some(name) if twice(self.names.get(name)) => "Duplicate topic name.",
            None if twice(self.ids.get(&topic.topic_id)) => "Duplicate topic id.",
            _ => return Ok(()),
        };
        Err(invalid(why))
    }
}

fn invalid(message: &str) -> Refusal {
    Refusal::new(ErrorCode::INVALID_REQUEST, message)
}

fn wanted(request: DeleteTopicsRequest) -> Vec<DeleteTopicState> {
    let by_name =
        request.topic_names.into_iter().map(|name| DeleteTopicState::default().with_name(Some(name)));
    by_name.chain(request.topics).collect()
}

/// Describing comes first: whether a topic exists that may not be described is not told, nor the name behind an id.
fn check(call: &Call<'_>, wanted: &mut DeleteTopicState) -> Result<(), Refusal> {
    if call.check_cluster(Right::Delete).is_ok() {
        return Ok(());
    }
    match &wanted.name {
        Some(name) => {
            call.check_topic(Right::Describe, name)?;
            call.node.topics.get(name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
            call.check_topic(Right::Delete, name)?;
        }
        None => {
            let topic = call.node.topics.get_by_id(wanted.topic_id).ok_or(ErrorCode::UNKNOWN_TOPIC_ID)?;
            let described = call.check_topic(Right::Describe, &topic.name);
            if let Err(error) = call.check_topic(Right::Delete, &topic.name) {
                wanted.name = described.ok().map(|()| TopicName(text(topic.name.as_str())));
                return Err(error.into());
            }
        }
    }
    Ok(())
}

fn delete(call: &Call<'_>, wanted: &DeleteTopicState) -> Result<DeletableTopicResult, Refusal> {
    let topics = &call.node.topics;
    let topic = match &wanted.name {
        Some(name) => topics.get(name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        None => topics.get_by_id(wanted.topic_id).ok_or(ErrorCode::UNKNOWN_TOPIC_ID),
    };
    let topic = topic.map_err(|error| Refusal::new(error, error.meaning()))?;
    topics.delete(&topic)?;
    call.node.offsets.remove_where(|_, committed| committed.topic == topic.name)?;
    let name = TopicName(text(topic.name.as_str()));
    Ok(DeletableTopicResult::default().with_name(Some(name)).with_topic_id(topic.id))
}

fn failed(wanted: DeleteTopicState, refusal: Refusal) -> DeletableTopicResult {
    DeletableTopicResult::default()
        .with_name(wanted.name)
        .with_topic_id(wanted.topic_id)
        .with_error_code(refusal.code.code())
        .with_error_message(Some(text(refusal.message)))
}
