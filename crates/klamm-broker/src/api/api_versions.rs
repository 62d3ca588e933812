//! `ApiVersions` (KIP-35, KIP-511): exactly what the table offers. No features are finalized.

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::api_versions_response::ApiVersion;
use klamm_wire::protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};

use super::shape::{Shape, TEXT};
use super::{Api, Call, Handler};

pub(crate) struct ApiVersions;

impl Handler for ApiVersions {
    type Request = ApiVersionsRequest;
    type Response = ApiVersionsResponse;

    const REQUEST: Shape = Shape { flexible: 3, fields: &[TEXT.since(3), TEXT.since(3)] };

    async fn handle(_call: &Call<'_>, _request: ApiVersionsRequest) -> ApiVersionsResponse {
        let keys = Api::ALL.iter().map(|api| {
            ApiVersion::default()
                .with_api_key(*api as i16)
                .with_min_version(*api.versions().start())
                .with_max_version(*api.versions().end())
        });
        ApiVersionsResponse::default().with_api_keys(keys.collect())
    }

    fn refuse(_call: &Call<'_>, _request: ApiVersionsRequest, error: ErrorCode) -> ApiVersionsResponse {
        ApiVersionsResponse::default().with_error_code(error.code())
    }
}
