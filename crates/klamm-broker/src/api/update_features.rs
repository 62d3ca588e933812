//! `UpdateFeatures` (KIP-584): the levels that are finalized are those that this broker has; to set one to where it is succeeds,
//! and any other change is refused with `INVALID_UPDATE_VERSION`.

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::update_features_request::FeatureUpdateKey;
use klamm_wire::protocol::messages::update_features_response::UpdatableFeatureResult;
use klamm_wire::protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};

use super::rights::Right;
use super::shape::{BOOL, INT8, INT16, INT32, Shape, TEXT, structs};
use super::{Call, Handler, text};
use crate::error::Refusal;
use crate::features::{self, Feature};
use crate::node::NODE_ID;

/// The last version that answers for each feature by itself.
const EACH: i16 = 1;

/// `FeatureUpdate.UpgradeType`.
const UPGRADE: i8 = 1;
const UNSAFE_DOWNGRADE: i8 = 3;

pub(crate) struct UpdateFeatures;

impl Handler for UpdateFeatures {
    type Request = UpdateFeaturesRequest;
    type Response = UpdateFeaturesResponse;

    const REQUEST: Shape = Shape {
        flexible: 0,
        fields: &[INT32, structs(&[TEXT, INT16, BOOL.until(0), INT8.since(1)]), BOOL.since(1)],
    };

    async fn handle(call: &Call<'_>, request: UpdateFeaturesRequest) -> UpdateFeaturesResponse {
        if let Err(error) = call.check_cluster(Right::Alter) {
            return Self::refuse(call, request, error);
        }
        if let Err(refusal) = request.feature_updates.iter().try_for_each(check) {
            let message = format!(
                "The update failed for all features since the following feature had an error: {}",
                refusal.message
            );
            return UpdateFeaturesResponse::default()
                .with_error_code(refusal.code.code())
                .with_error_message(Some(text(message)));
        }
        let answer = UpdateFeaturesResponse::default().with_error_message(None);
        if call.version > EACH {
            return answer;
        }
        let results = request.feature_updates.into_iter().map(|update| {
            UpdatableFeatureResult::default().with_feature(update.feature).with_error_message(None)
        });
        answer.with_results(results.collect())
    }

    fn throttled(response: &mut UpdateFeaturesResponse, ms: i32) {
        response.throttle_time_ms = ms;
    }

    fn refuse(_: &Call<'_>, _: UpdateFeaturesRequest, error: ErrorCode) -> UpdateFeaturesResponse {
        UpdateFeaturesResponse::default()
            .with_error_code(error.code())
            .with_error_message(Some(text(error.meaning())))
    }
}

fn check(update: &FeatureUpdateKey) -> Result<(), Refusal> {
    let (name, level) = (&*update.feature, update.max_version_level);
    let refused = |why: &str| {
        let message = format!("Invalid update version {level} for feature {name}. {why}");
        Err(Refusal::new(ErrorCode::INVALID_UPDATE_VERSION, message))
    };
    if !(UPGRADE..=UNSAFE_DOWNGRADE).contains(&update.upgrade_type) {
        return refused("The controller does not support the given upgrade type.");
    }
    if level < 0 {
        return refused("A feature version cannot be less than 0.");
    }
    let Some(Feature { supported, finalized, .. }) = features::find(name) else {
        return match level {
            0 => refused(&format!("Feature {name} not found.")),
            _ => refused(&format!("Local controller {NODE_ID} does not support this feature.")),
        };
    };
    if !supported.contains(&level) {
        let (least, most) = (supported.start(), supported.end());
        return refused(&format!("Local controller {NODE_ID} only supports versions {least}-{most}"));
    }
    let upgrade = update.upgrade_type == UPGRADE;
    match level.cmp(finalized) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Less if upgrade => refused(
            "Can't downgrade the version of this feature without setting the upgrade type to either safe or \
             unsafe downgrade.",
        ),
        std::cmp::Ordering::Greater if !upgrade => refused("Can't downgrade to a newer version."),
        _ => refused("An embedded broker has its features at one level."),
    }
}
