//! `SaslAuthenticate` (KIP-152): a message of the mechanism, and how long the session lasts (KIP-368).

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::{SaslAuthenticateRequest, SaslAuthenticateResponse};

use super::shape::{BLOB, Shape};
use super::{Call, Handler, text};

pub(crate) struct SaslAuthenticate;

impl Handler for SaslAuthenticate {
    type Request = SaslAuthenticateRequest;
    type Response = SaslAuthenticateResponse;

    const REQUEST: Shape = Shape { flexible: 2, fields: &[BLOB] };

    async fn handle(call: &Call<'_>, request: SaslAuthenticateRequest) -> SaslAuthenticateResponse {
        match call.session.authenticate(&call.node.security, &request.auth_bytes) {
            Ok(reply) => SaslAuthenticateResponse::default()
                .with_auth_bytes(reply.bytes.into())
                .with_session_lifetime_ms(reply.session_lifetime_ms),
            Err((error, why)) => SaslAuthenticateResponse::default()
                .with_error_code(error.code())
                .with_error_message(Some(text(why))),
        }
    }

    fn refuse(_: &Call<'_>, _: SaslAuthenticateRequest, error: ErrorCode) -> SaslAuthenticateResponse {
        SaslAuthenticateResponse::default()
            .with_error_code(error.code())
            .with_error_message(Some(text(error.meaning())))
    }
}
