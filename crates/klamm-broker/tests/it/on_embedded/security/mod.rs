//! Security over a socket: who gets in, what they may do, and how much.

mod acls;
mod admin_rights;
mod authorization;
mod groups;
mod quotas;
mod reauthentication;
mod rights;
mod sasl;
mod tls;

use std::collections::BTreeMap;

use klamm_broker::{AuthorizerConfig, Broker, BrokerConfig, Listener, SaslMechanism, SecurityProtocol};
use klamm_kafka::{Acl, Operation, Pattern, Permission, ResourceType};
use klamm_wire::protocol::messages::create_acls_request::AclCreation;
use klamm_wire::protocol::messages::{
    CreateAclsRequest, SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest,
};

use crate::client::*;

/// A broker with one SASL_PLAINTEXT listener and every mechanism. `admin` may do everything, `alice` nothing.
pub fn config() -> BrokerConfig {
    let mut config = BrokerConfig::default();
    config.listeners = vec![Listener::local(SecurityProtocol::SaslPlaintext)];
    let users = BTreeMap::from([("admin", "admin-pw"), ("alice", "alice-pw")]);
    let users: BTreeMap<_, _> = users.into_iter().map(|(u, p)| (u.to_owned(), p.to_owned())).collect();
    config.security.sasl.mechanisms = SaslMechanism::ALL.to_vec();
    config.security.sasl.plain_users = users.clone();
    config.security.sasl.scram_users = users;
    config.security.failed_authentication_delay = std::time::Duration::ZERO;
    config.security.authorizer = Some(AuthorizerConfig {
        super_users: ["User:admin".to_owned()].into(),
        allow_everyone_if_no_acl_found: false,
    });
    config
}

pub async fn start() -> Broker {
    Broker::start(config()).await.unwrap()
}

impl Client {
    pub fn handshake(&mut self, mechanism: &str) -> i16 {
        self.call(1, &SaslHandshakeRequest::default().with_mechanism(text(mechanism))).error_code
    }

    /// One message of the exchange.
    pub fn message(&mut self, bytes: &[u8]) -> SaslAuthenticateResponse {
        self.call(2, &SaslAuthenticateRequest::default().with_auth_bytes(bytes.to_vec().into()))
    }

    pub fn plain(&mut self, user: &str, password: &str) -> SaslAuthenticateResponse {
        assert_eq!(self.handshake("PLAIN"), 0);
        self.message(format!("\0{user}\0{password}").as_bytes())
    }
}

/// A client that is let in.
pub fn login(broker: &Broker, user: &str) -> Client {
    login_as(broker, user, "test")
}

pub fn login_as(broker: &Broker, user: &str, client_id: &'static str) -> Client {
    let mut client = Client::named(&broker.bootstrap(), client_id);
    let answer = client.plain(user, &format!("{user}-pw"));
    assert_eq!(answer.error_code, 0, "{:?}", answer.error_message);
    client
}

pub fn allow(user: &str, operation: Operation, resource_type: ResourceType, name: &str) -> Acl {
    Acl {
        principal: format!("User:{user}"),
        host: "*".to_owned(),
        resource_type,
        resource: name.to_owned(),
        pattern: Pattern::Literal,
        operation,
        permission: Permission::Allow,
    }
}

pub fn create_acls(admin: &mut Client, acls: &[Acl]) -> Vec<i16> {
    let creation = |acl: &Acl| {
        AclCreation::default()
            .with_resource_type(acl.resource_type.code())
            .with_resource_name(text(&acl.resource))
            .with_resource_pattern_type(acl.pattern.code())
            .with_principal(text(&acl.principal))
            .with_host(text(&acl.host))
            .with_operation(acl.operation.code())
            .with_permission_type(acl.permission.code())
    };
    let request = CreateAclsRequest::default().with_creations(acls.iter().map(creation).collect());
    admin.call(3, &request).results.iter().map(|result| result.error_code).collect()
}
