//! `DescribeClientQuotas` (KIP-546).

use std::collections::BTreeMap;

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::describe_client_quotas_request::ComponentData;
use klamm_wire::protocol::messages::describe_client_quotas_response::{EntityData, EntryData, ValueData};
use klamm_wire::protocol::messages::{DescribeClientQuotasRequest, DescribeClientQuotasResponse};

use super::rights::Right;
use super::shape::{BOOL, INT8, Shape, TEXT, structs};
use super::{Call, Handler, text};
use crate::error::Refusal;
use crate::quota::{ENTITY_TYPES, Entity, IP};

const EXACT: i8 = 0;
const DEFAULT: i8 = 1;
const SPECIFIED: i8 = 2;

pub(crate) struct DescribeClientQuotas;

impl Handler for DescribeClientQuotas {
    type Request = DescribeClientQuotasRequest;
    type Response = DescribeClientQuotasResponse;

    const REQUEST: Shape = Shape { flexible: 1, fields: &[structs(&[TEXT, INT8, TEXT]), BOOL] };

    async fn handle(call: &Call<'_>, request: DescribeClientQuotasRequest) -> DescribeClientQuotasResponse {
        match find(call, &request) {
            Ok(entries) => DescribeClientQuotasResponse::default().with_entries(Some(entries)),
            Err(refusal) => failed(refusal),
        }
    }

    fn throttled(response: &mut DescribeClientQuotasResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(
        _: &Call<'_>,
        _: DescribeClientQuotasRequest,
        error: ErrorCode,
    ) -> DescribeClientQuotasResponse {
        failed(error.into())
    }
}

/// For each type that was named: the name (`Some(None)` is the default), or whichever.
type Filter = BTreeMap<String, Option<Option<String>>>;

fn find(call: &Call<'_>, request: &DescribeClientQuotasRequest) -> Result<Vec<EntryData>, Refusal> {
    call.check_cluster(Right::DescribeConfigs)?;
    let filter = read(&request.components)?;
    let state = call.node.security.store.read();
    let taken = state.quotas.iter().filter(|(entity, _)| takes(&filter, request.strict, entity));
    let entries = taken.map(|(entity, values)| {
        let values = values
            .iter()
            .map(|(key, value)| ValueData::default().with_key(text(key.as_str())).with_value(*value));
        let entity = entity.iter().map(|(kind, name)| {
            EntityData::default()
                .with_entity_type(text(kind.as_str()))
                .with_entity_name(name.as_deref().map(text))
        });
        EntryData::default().with_entity(entity.collect()).with_values(values.collect())
    });
    Ok(entries.collect())
}

fn read(components: &[ComponentData]) -> Result<Filter, Refusal> {
    let invalid = |message: String| Refusal::new(ErrorCode::INVALID_REQUEST, message);
    let mut filter = Filter::new();
    for component in components {
        let kind = component.entity_type.to_string();
        if kind.is_empty() {
            return Err(invalid("Invalid empty entity type.".to_owned()));
        }
        if filter.contains_key(&kind) {
            return Err(invalid(format!("Entity type {kind} cannot appear more than once in the filter.")));
        }
        if !ENTITY_TYPES.contains(&kind.as_str()) {
            let message = format!("Unsupported entity type {kind}");
            return Err(Refusal::new(ErrorCode::UNSUPPORTED_VERSION, message));
        }
        let wanted = match (component.match_type, component._match.as_deref()) {
            (EXACT, Some(name)) => Some(Some(name.to_owned())),
            (EXACT, None) => {
                return Err(invalid(
                    "Request specified MATCH_TYPE_EXACT, but set match string to null.".to_owned(),
                ));
            }
            (DEFAULT, None) => Some(None),
            (SPECIFIED, None) => None,
            (DEFAULT | SPECIFIED, Some(_)) => {
                let name = if component.match_type == DEFAULT { "DEFAULT" } else { "SPECIFIED" };
                let message =
                    format!("Request specified MATCH_TYPE_{name}, but also specified a match string.");
                return Err(invalid(message));
            }
            (other, _) => return Err(invalid(format!("Unknown match type {other}"))),
        };
        filter.insert(kind, wanted);
    }
    if filter.contains_key(IP) && filter.len() > 1 {
        let message = "Invalid entity filter component combination. IP filter component should not be used with \
                       user or clientId filter component.";
        return Err(invalid(message.to_owned()));
    }
    Ok(filter)
}

fn takes(filter: &Filter, strict: bool, entity: &Entity) -> bool {
    if strict && entity.len() != filter.len() {
        return false;
    }
    filter.iter().all(|(kind, wanted)| match (wanted, entity.get(kind)) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(wanted), Some(own)) => wanted == own,
    })
}

fn failed(refusal: Refusal) -> DescribeClientQuotasResponse {
    DescribeClientQuotasResponse::default()
        .with_error_code(refusal.code.code())
        .with_error_message(Some(text(refusal.message)))
        .with_entries(None)
}
