//! What a handler asks the authorizer, and how refusals are told.

use klamm_kafka::ErrorCode;
pub(crate) use klamm_kafka::Operation as Right;
use klamm_kafka::ResourceType;

use super::{Call, text};
use crate::error::Refusal;
use crate::resource_type;
use crate::security::authorizer::{Asker, CLUSTER};
use klamm_wire::protocol::protocol::StrBytes;

/// What `authorized operations` fields hold when nobody asked.
pub(crate) const NOT_ASKED: i32 = i32::MIN;

impl Call<'_> {
    /// May who asks do this to the resource? Always, without an authorizer.
    pub fn authorize(&self, operation: Right, resource_type: ResourceType, name: &str) -> bool {
        self.ask(|asker| self.node.security.may(asker, operation, (resource_type, name)))
    }

    /// As [`Call::authorize`], with Kafka's error for this type of resource.
    pub fn check(&self, operation: Right, resource_type: ResourceType, name: &str) -> Result<(), ErrorCode> {
        match self.authorize(operation, resource_type, name) {
            true => Ok(()),
            false => Err(denied(resource_type)),
        }
    }

    pub fn check_topic(&self, operation: Right, name: &str) -> Result<(), ErrorCode> {
        self.check(operation, ResourceType::Topic, name)
    }

    pub fn check_group(&self, operation: Right, id: &str) -> Result<(), ErrorCode> {
        self.check(operation, ResourceType::Group, id)
    }

    pub fn check_transactional_id(&self, operation: Right, id: &str) -> Result<(), ErrorCode> {
        self.check(operation, ResourceType::TransactionalId, id)
    }

    /// As [`Call::check`], of the cluster as a whole.
    pub fn check_cluster(&self, operation: Right) -> Result<(), ErrorCode> {
        self.check(operation, ResourceType::Cluster, CLUSTER)
    }

    /// May who asks do this to any resource of the type (KIP-679)?
    pub fn authorize_any(&self, operation: Right, resource_type: ResourceType) -> bool {
        self.ask(|asker| self.node.security.may_on_any(asker, operation, resource_type))
    }

    /// As [`Call::check`], of what has a configuration: topics and groups by their name, all else by the cluster.
    pub fn check_config(&self, operation: Right, resource_type: i8, name: &str) -> Result<(), ErrorCode> {
        match resource_type {
            resource_type::TOPIC => self.check_topic(operation, name),
            resource_type::GROUP => self.check_group(operation, name),
            _ => self.check_cluster(operation),
        }
    }

    /// Operations that who asks may do, as the bit field of KIP-430: one bit for each `AclOperation`.
    pub fn operations(&self, asked: bool, resource_type: ResourceType, name: &str) -> i32 {
        if !asked {
            return NOT_ASKED;
        }
        let allowed =
            resource_type.operations().iter().filter(|one| self.authorize(**one, resource_type, name));
        allowed.map(|one| 1 << one.code()).sum()
    }

    /// The same of the cluster: none for who may not describe it.
    pub fn cluster_operations(&self, asked: bool) -> i32 {
        match asked && self.check_cluster(Right::Describe).is_err() {
            true => 0,
            false => self.operations(asked, ResourceType::Cluster, CLUSTER),
        }
    }

    /// Host and port that the client is told to reach this broker by.
    pub fn advertised(&self) -> (StrBytes, u16) {
        let host = match &self.session.listener.advertised_host {
            Some(host) => host.clone(),
            None => self.local.ip().to_string(),
        };
        (text(host), self.local.port())
    }

    fn ask(&self, question: impl FnOnce(Asker<'_>) -> bool) -> bool {
        if !self.node.security.has_authorizer() {
            return true;
        }
        let (principal, host) = (self.principal.to_string(), self.peer.ip().to_string());
        question(Asker { principal: &principal, host: &host })
    }
}

/// Kafka's error for what may not be done (`AclEntry.authorizationError`).
fn denied(resource_type: ResourceType) -> ErrorCode {
    match resource_type {
        ResourceType::Topic => ErrorCode::TOPIC_AUTHORIZATION_FAILED,
        ResourceType::Group => ErrorCode::GROUP_AUTHORIZATION_FAILED,
        ResourceType::TransactionalId => ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        ResourceType::DelegationToken | ResourceType::User => {
            ErrorCode::DELEGATION_TOKEN_AUTHORIZATION_FAILED
        }
        ResourceType::Cluster => ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
    }
}

impl From<ErrorCode> for Refusal {
    /// With the meaning of the error as its message.
    fn from(error: ErrorCode) -> Self {
        Self::new(error, error.meaning())
    }
}
