//! `ApiVersions` (KIP-35, KIP-511): exactly what the table offers, and the features (KIP-584) that are in force.

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::api_versions_response::{
    ApiVersion, FinalizedFeatureKey, SupportedFeatureKey,
};
use klamm_wire::protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};

use super::shape::{Shape, TEXT};
use super::{Api, Call, Handler, text};
use crate::features::FEATURES;

/// The first version with features.
const WITH_FEATURES: i16 = 3;

/// The first version whose clients accept a feature that begins at level 0.
const LEVEL_ZERO: i16 = 4;

pub(crate) struct ApiVersions;

impl Handler for ApiVersions {
    type Request = ApiVersionsRequest;
    type Response = ApiVersionsResponse;

    const REQUEST: Shape = Shape { flexible: 3, fields: &[TEXT.since(3), TEXT.since(3)] };

    async fn handle(call: &Call<'_>, _request: ApiVersionsRequest) -> ApiVersionsResponse {
        let keys = Api::ALL.iter().map(|api| {
            ApiVersion::default()
                .with_api_key(*api as i16)
                .with_min_version(*api.versions().start())
                .with_max_version(*api.versions().end())
        });
        let answer = ApiVersionsResponse::default().with_api_keys(keys.collect());
        if call.version < WITH_FEATURES {
            return answer;
        }
        let told = |least: i16| call.version >= LEVEL_ZERO || least > 0;
        let supported = FEATURES.iter().filter(|feature| told(*feature.supported.start())).map(|feature| {
            SupportedFeatureKey::default()
                .with_name(text(feature.name))
                .with_min_version(*feature.supported.start())
                .with_max_version(*feature.supported.end())
        });
        let finalized = FEATURES.iter().filter(|feature| feature.finalized > 0).map(|feature| {
            FinalizedFeatureKey::default()
                .with_name(text(feature.name))
                .with_min_version_level(feature.finalized)
                .with_max_version_level(feature.finalized)
        });
        answer
            .with_supported_features(supported.collect())
            .with_finalized_features_epoch(call.node.topics.metadata_changes())
            .with_finalized_features(finalized.collect())
    }

    fn throttled(response: &mut ApiVersionsResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(_call: &Call<'_>, _request: ApiVersionsRequest, error: ErrorCode) -> ApiVersionsResponse {
        ApiVersionsResponse::default().with_error_code(error.code())
    }
}
