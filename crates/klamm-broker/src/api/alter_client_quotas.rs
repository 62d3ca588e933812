//! `AlterClientQuotas` (KIP-546). Enforced are `producer_byte_rate`, `consumer_byte_rate` and `request_percentage`;
//! `controller_mutation_rate` and `connection_creation_rate` are kept and told.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::alter_client_quotas_request::{EntryData, OpData};
use klamm_wire::protocol::messages::alter_client_quotas_response::{
    EntityData as AnsweredEntity, EntryData as Answer,
};
use klamm_wire::protocol::messages::{AlterClientQuotasRequest, AlterClientQuotasResponse};

use super::rights::Right;
use super::shape::{BOOL, INT64, Shape, TEXT, structs};
use super::{Call, Handler, text};
use crate::error::Refusal;
use crate::quota::{ENTITY_TYPES, Entity, IP};
use crate::security::store::{Change, State};

pub(crate) struct AlterClientQuotas;

impl Handler for AlterClientQuotas {
    type Request = AlterClientQuotasRequest;
    type Response = AlterClientQuotasResponse;

    const REQUEST: Shape = Shape {
        flexible: 1,
        fields: &[structs(&[structs(&[TEXT, TEXT]), structs(&[TEXT, INT64, BOOL])]), BOOL],
    };

    async fn handle(call: &Call<'_>, request: AlterClientQuotasRequest) -> AlterClientQuotasResponse {
        if let Err(error) = call.check_cluster(Right::AlterConfigs) {
            return Self::refuse(call, request, error);
        }
        let decided = call.node.security.store.change(|state| {
            let (changes, results) = decide(state, &request.entries);
            (if request.validate_only { Vec::new() } else { changes }, results)
        });
        match decided {
            Ok(results) => respond(request.entries.into_iter().zip(results)),
            Err(_) => Self::refuse(call, request, ErrorCode::KAFKA_STORAGE_ERROR),
        }
    }

    fn throttled(response: &mut AlterClientQuotasResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(
        _: &Call<'_>,
        request: AlterClientQuotasRequest,
        error: ErrorCode,
    ) -> AlterClientQuotasResponse {
        respond(request.entries.into_iter().map(|entry| (entry, Err(Refusal::from(error)))))
    }
}

fn decide(state: &State, entries: &[EntryData]) -> (Vec<Change>, Vec<Result<(), Refusal>>) {
    let mut seen = HashSet::new();
    let mut changes = Vec::new();
    let results = entries.iter().map(|entry| {
        let entity = entity(entry)?;
        if !seen.insert(entity.clone()) {
            let message = format!("Ignoring duplicate entity {entity:?}");
            return Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
        }
        let kept = state.quotas.get(&entity);
        let mut keys = HashSet::new();
        let mut own = Vec::new();
        for op in &entry.ops {
            if !keys.insert(&op.key) {
                let message = format!("Duplicate quota key {} not updating quota for this entity", &*op.key);
                return Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
            }
            let (entity, key) = (entity.clone(), op.key.to_string());
            match op.remove {
                true if kept.is_some_and(|values| values.contains_key(&key)) => {
                    own.push(Change::QuotaRemoved { entity, key });
                }
                true => {}
                false => {
                    check_value(&entity, op)?;
                    own.push(Change::QuotaSet { entity, key, value: op.value });
                }
            }
        }
        changes.extend(own);
        Ok(())
    });
    let results = results.collect();
    (changes, results)
}

fn entity(entry: &EntryData) -> Result<Entity, Refusal> {
    let invalid = |message: String| Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
    let mut entity: Entity = BTreeMap::new();
    for part in &entry.entity {
        let (kind, name) = (part.entity_type.to_string(), part.entity_name.as_deref().map(str::to_owned));
        if !ENTITY_TYPES.contains(&kind.as_str()) {
            return invalid(format!("Unhandled client quota entity type: {kind}"));
        }
        if name.as_deref() == Some("") {
            return invalid(format!("Empty {kind} not supported"));
        }
        if entity.contains_key(&kind) {
            return invalid(format!("Invalid client quota entity, duplicate entity entry {kind}"));
        }
        entity.insert(kind, name);
    }
    if entity.is_empty() {
        return invalid("Invalid empty client quota entity".to_owned());
    }
    if let Some(ip) = entity.get(IP) {
        if entity.len() > 1 {
            let message =
                "Invalid quota entity combination, IP entity should not be combined with User or ClientId";
            return invalid(message.to_owned());
        }
        if let Some(ip) = ip.as_deref().filter(|ip| ip.parse::<IpAddr>().is_err()) {
            return invalid(format!("{ip} is not a valid IP or resolvable host."));
        }
    }
    Ok(entity)
}

fn check_value(entity: &Entity, op: &OpData) -> Result<(), Refusal> {
    let invalid = |message: String| Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
    let (key, value) = (&*op.key, op.value);
    let most = match (entity.contains_key(IP), key) {
        (true, "connection_creation_rate") => Some(f64::from(i32::MAX)),
        (false, "producer_byte_rate" | "consumer_byte_rate") => Some(i64::MAX as f64),
        (false, "request_percentage" | "controller_mutation_rate") => None,
        _ => return invalid(format!("Invalid configuration key {key}")),
    };
    // Not a number is not greater than 0 either; Kafka keeps it.
    if value.is_nan() || value <= 0.0 {
        return invalid(format!("Quota {key} must be greater than 0"));
    }
    match most {
        Some(most) if value > most => {
            let kind = if most > f64::from(i32::MAX) { "a LONG" } else { "an INT" };
            invalid(format!("Proposed value for {key} is too large for {kind}."))
        }
        Some(_) if value % 1.0 > 1e-6 => invalid(format!("{key} cannot be a fractional value.")),
        _ => Ok(()),
    }
}

fn respond(results: impl Iterator<Item = (EntryData, Result<(), Refusal>)>) -> AlterClientQuotasResponse {
    let entries = results.map(|(entry, result)| {
        let answer = match result {
            Ok(()) => Answer::default(),
            Err(refusal) => Answer::default()
                .with_error_code(refusal.code.code())
                .with_error_message(Some(text(refusal.message))),
        };
        let entity = entry.entity.into_iter().map(|part| {
            AnsweredEntity::default().with_entity_type(part.entity_type).with_entity_name(part.entity_name)
        });
        answer.with_entity(entity.collect())
    });
    AlterClientQuotasResponse::default().with_entries(entries.collect())
}
