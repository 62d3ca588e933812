//! Features of the cluster (KIP-584): what is finalized, and what each broker could do.

use std::collections::BTreeMap;

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::ApiVersionsRequest;
use klamm_wire::protocol::protocol::StrBytes;

use crate::Admin;
use crate::each::PerBroker;
use crate::error::AdminError;
use crate::pace::Peer;

/// Features as one broker knows them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Features {
    /// Highest level that this broker supports, by name.
    pub supported: BTreeMap<String, i16>,
    /// Level that is finalized for the cluster, by name.
    pub finalized: BTreeMap<String, i16>,
    /// Epoch of what is finalized; -1 when the broker does not know any.
    pub epoch: i64,
}

impl Admin {
    /// Features as each broker knows them. Needs no permission.
    pub async fn features(&self) -> PerBroker<Features> {
        self.at_each("ask for the features", &ask).await
    }
}

async fn ask(id: i32, peer: Peer) -> Result<Features, AdminError> {
    let request = ApiVersionsRequest::default();
    // From version 3 on the request says who asks, and the answer has features.
    let request = match peer.version_of::<ApiVersionsRequest>(None)? {
        3.. => request
            .with_client_software_name(StrBytes::from_static_str("klamm"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION"))),
        _ => request,
    };
    let answer = peer.call(&request).await?;
    let refused = |code| AdminError::kafka(code, None, "ask for versions", &format!("broker {id}"));
    ErrorCode::from(answer.error_code).ok().map_err(refused)?;
    let supported = answer.supported_features.iter();
    let finalized = answer.finalized_features.iter();
    Ok(Features {
        supported: supported.map(|feature| (feature.name.to_string(), feature.max_version)).collect(),
        finalized: finalized.map(|feature| (feature.name.to_string(), feature.max_version_level)).collect(),
        epoch: answer.finalized_features_epoch,
    })
}
