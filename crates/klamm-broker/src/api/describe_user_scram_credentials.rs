//! `DescribeUserScramCredentials` (KIP-554): mechanisms and iterations, never keys.

use std::collections::BTreeMap;

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::describe_user_scram_credentials_response::{
    CredentialInfo, DescribeUserScramCredentialsResult,
};
use klamm_wire::protocol::messages::{
    DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse,
};

use super::rights::Right;
use super::shape::{Shape, TEXT, structs};
use super::{Call, Handler, text};
use crate::error::Refusal;
use crate::security::store::State;

pub(crate) struct DescribeUserScramCredentials;

impl Handler for DescribeUserScramCredentials {
    type Request = DescribeUserScramCredentialsRequest;
    type Response = DescribeUserScramCredentialsResponse;

    const REQUEST: Shape = Shape { flexible: 0, fields: &[structs(&[TEXT])] };

    async fn handle(call: &Call<'_>, request: DescribeUserScramCredentialsRequest) -> Self::Response {
        if let Err(error) = call.check_cluster(Right::Describe) {
            return Self::refuse(call, request, error);
        }
        let state = call.node.security.store.read();
        let mut asked: BTreeMap<String, usize> = BTreeMap::new();
        for user in request.users.unwrap_or_default() {
            *asked.entry(user.name.to_string()).or_default() += 1;
        }
        if asked.is_empty() {
            asked.extend(state.credentials.keys().map(|(user, _)| (user.clone(), 1)));
        }
        let results = asked.into_iter().map(|(user, times)| {
            let result = match describe(&state, &user, times) {
                Ok(infos) => DescribeUserScramCredentialsResult::default().with_credential_infos(infos),
                Err(refusal) => DescribeUserScramCredentialsResult::default()
                    .with_error_code(refusal.code.code())
                    .with_error_message(Some(text(refusal.message))),
            };
            result.with_user(text(user))
        });
        DescribeUserScramCredentialsResponse::default().with_results(results.collect())
    }

    fn throttled(response: &mut Self::Response, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(_: &Call<'_>, _: DescribeUserScramCredentialsRequest, error: ErrorCode) -> Self::Response {
        DescribeUserScramCredentialsResponse::default()
            .with_error_code(error.code())
            .with_error_message(Some(text(error.meaning())))
    }
}

fn describe(state: &State, user: &str, times: usize) -> Result<Vec<CredentialInfo>, Refusal> {
    if times > 1 {
        let message =
            format!("Cannot describe SCRAM credentials for the same user twice in a single request: {user}");
        return Err(Refusal::new(ErrorCode::DUPLICATE_RESOURCE, message));
    }
    let own = state.credentials.iter().filter(|((name, _), _)| name == user);
    let infos: Vec<_> = own
        .map(|((_, mechanism), credential)| {
            CredentialInfo::default()
                .with_mechanism(*mechanism)
                .with_iterations(i32::try_from(credential.iterations).unwrap_or(i32::MAX))
        })
        .collect();
    if infos.is_empty() {
        let message = format!("Attempt to describe a user credential that does not exist: {user}");
        return Err(Refusal::new(ErrorCode::RESOURCE_NOT_FOUND, message));
    }
    Ok(infos)
}
