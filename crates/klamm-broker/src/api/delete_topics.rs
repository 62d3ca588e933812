//! `DeleteTopics`, by name or (from version 6) by id. The data is gone when the answer comes; so are committed offsets.

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::delete_topics_request::DeleteTopicState;
use klamm_wire::protocol::messages::delete_topics_response::DeletableTopicResult;
use klamm_wire::protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse, TopicName};

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
        let results = wanted(request).into_iter().map(|wanted| match delete(call, &wanted) {
            Ok(result) => result,
            Err(refusal) => failed(wanted, refusal),
        });
        DeleteTopicsResponse::default().with_responses(results.collect())
    }

    fn refuse(_: &Call<'_>, request: DeleteTopicsRequest, error: ErrorCode) -> DeleteTopicsResponse {
        let refused = |topic| failed(topic, Refusal::new(error, error.meaning()));
        DeleteTopicsResponse::default().with_responses(wanted(request).into_iter().map(refused).collect())
    }
}

fn wanted(request: DeleteTopicsRequest) -> Vec<DeleteTopicState> {
    let by_name =
        request.topic_names.into_iter().map(|name| DeleteTopicState::default().with_name(Some(name)));
    by_name.chain(request.topics).collect()
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
