//! `SaslHandshake` (KIP-43): the client names a mechanism. Version 1 says that messages travel in `SaslAuthenticate`; after
//! version 0 they travel as they are.

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::{SaslHandshakeRequest, SaslHandshakeResponse};

use super::shape::{Shape, TEXT};
use super::{Call, Handler, text};

/// Messages travel in `SaslAuthenticate` (KIP-152).
const HEADERS: i16 = 1;

pub(crate) struct SaslHandshake;

impl Handler for SaslHandshake {
    type Request = SaslHandshakeRequest;
    type Response = SaslHandshakeResponse;

    const REQUEST: Shape = Shape { flexible: i16::MAX, fields: &[TEXT] };

    async fn handle(call: &Call<'_>, request: SaslHandshakeRequest) -> SaslHandshakeResponse {
        let security = &call.node.security;
        let result = call.session.handshake(security, &request.mechanism, call.version >= HEADERS);
        let error = result.err().unwrap_or(ErrorCode::NONE);
        if error == ErrorCode::ILLEGAL_SASL_STATE {
            return Self::refuse(call, request, error);
        }
        let enabled = security.config.sasl.mechanisms.iter().map(|mechanism| text(mechanism.name()));
        SaslHandshakeResponse::default().with_error_code(error.code()).with_mechanisms(enabled.collect())
    }

    fn refuse(_: &Call<'_>, _: SaslHandshakeRequest, error: ErrorCode) -> SaslHandshakeResponse {
        SaslHandshakeResponse::default().with_error_code(error.code())
    }
}
