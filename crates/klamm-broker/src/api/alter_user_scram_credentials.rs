//! `AlterUserScramCredentials` (KIP-554): passwords come salted, and only keys that are derived from them are kept.

use std::collections::BTreeMap;

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::alter_user_scram_credentials_request::ScramCredentialUpsertion;
use klamm_wire::protocol::messages::alter_user_scram_credentials_response::AlterUserScramCredentialsResult;
use klamm_wire::protocol::messages::{AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse};
use klamm_wire::sasl::{Hash, ScramCredential};

use super::rights::Right;
use super::shape::{BLOB, INT8, INT32, Shape, TEXT, structs};
use super::{Call, Handler, text};
use crate::error::Refusal;
use crate::security::mechanism_code;
use crate::security::store::{Change, State};

/// `ScramMechanism.minIterations` and `ScramControlManager.MAX_ITERATIONS`.
const ITERATIONS: std::ops::RangeInclusive<i32> = 4_096..=16_384;

pub(crate) struct AlterUserScramCredentials;

impl Handler for AlterUserScramCredentials {
    type Request = AlterUserScramCredentialsRequest;
    type Response = AlterUserScramCredentialsResponse;

    const REQUEST: Shape =
        Shape { flexible: 0, fields: &[structs(&[TEXT, INT8]), structs(&[TEXT, INT8, INT32, BLOB, BLOB])] };

    async fn handle(call: &Call<'_>, request: AlterUserScramCredentialsRequest) -> Self::Response {
        if let Err(error) = call.check_cluster(Right::Alter) {
            return Self::refuse(call, request, error);
        }
        match call.node.security.store.change(|state| decide(state, &request)) {
            Ok(results) => respond(results),
            Err(_) => Self::refuse(call, request, ErrorCode::KAFKA_STORAGE_ERROR),
        }
    }

    fn throttled(response: &mut Self::Response, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(_: &Call<'_>, request: AlterUserScramCredentialsRequest, error: ErrorCode) -> Self::Response {
        let deleted = request.deletions.into_iter().map(|deletion| deletion.name);
        let users = deleted.chain(request.upsertions.into_iter().map(|upsertion| upsertion.name));
        respond(users.map(|user| (user.to_string(), Err(Refusal::from(error)))).collect())
    }
}

/// By user: each is answered once, and changed once or not at all.
type Results = BTreeMap<String, Result<(), Refusal>>;

fn decide(state: &State, request: &AlterUserScramCredentialsRequest) -> (Vec<Change>, Results) {
    let deletions = request.deletions.iter().map(|deletion| {
        let mechanism = deletion.mechanism;
        let user = deletion.name.to_string();
        let change = check(&user, mechanism).and_then(|_| {
            if !state.credentials.contains_key(&(user.clone(), mechanism)) {
                let message = "Attempt to delete a user credential that does not exist";
                return Err(Refusal::new(ErrorCode::RESOURCE_NOT_FOUND, message));
            }
            Ok(Change::ScramRemoved { user: user.clone(), mechanism })
        });
        (user, change)
    });
    let upsertions =
        request.upsertions.iter().map(|upsertion| (upsertion.name.to_string(), upsert(upsertion)));
    let mut decided: BTreeMap<String, Result<Change, Refusal>> = BTreeMap::new();
    for (user, change) in deletions.chain(upsertions) {
        let change = match decided.get(&user) {
            // The first error of a user stands.
            Some(Err(_)) => continue,
            Some(Ok(_)) => {
                let message = "A user credential cannot be altered twice in the same request";
                Err(Refusal::new(ErrorCode::DUPLICATE_RESOURCE, message))
            }
            None => change,
        };
        decided.insert(user, change);
    }
    let changes = decided.values().filter_map(|change| change.clone().ok()).collect();
    (changes, decided.into_iter().map(|(user, change)| (user, change.map(drop))).collect())
}

fn upsert(upsertion: &ScramCredentialUpsertion) -> Result<Change, Refusal> {
    let hash = check(&upsertion.name, upsertion.mechanism)?;
    let wrong = |message: &str| Refusal::new(ErrorCode::UNACCEPTABLE_CREDENTIAL, message);
    if upsertion.iterations < *ITERATIONS.start() {
        return Err(wrong("Too few iterations"));
    }
    if upsertion.iterations > *ITERATIONS.end() {
        return Err(wrong("Too many iterations"));
    }
    let iterations = upsertion.iterations.unsigned_abs();
    let salt = upsertion.salt.to_vec();
    let credential = ScramCredential::from_salted(hash, &upsertion.salted_password, salt, iterations);
    Ok(Change::ScramSet {
        user: upsertion.name.to_string(),
        mechanism: upsertion.mechanism,
        credential: credential.into(),
    })
}

fn check(user: &str, mechanism: i8) -> Result<Hash, Refusal> {
    if user.is_empty() {
        return Err(Refusal::new(ErrorCode::UNACCEPTABLE_CREDENTIAL, "Username must not be empty"));
    }
    let known = [Hash::Sha256, Hash::Sha512].into_iter().find(|hash| mechanism_code(*hash) == mechanism);
    let unknown = || Refusal::new(ErrorCode::UNSUPPORTED_SASL_MECHANISM, "Unknown SCRAM mechanism");
    known.ok_or_else(unknown)
}

fn respond(results: Results) -> AlterUserScramCredentialsResponse {
    let results = results.into_iter().map(|(user, result)| {
        let answer = match result {
            Ok(()) => AlterUserScramCredentialsResult::default(),
            Err(refusal) => AlterUserScramCredentialsResult::default()
                .with_error_code(refusal.code.code())
                .with_error_message(Some(text(refusal.message))),
        };
        answer.with_user(text(user))
    });
    AlterUserScramCredentialsResponse::default().with_results(results.collect())
}
