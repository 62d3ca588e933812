//! The APIs of ACLs and of SCRAM users, and that what they made is there after a restart.

use klamm_broker::{Broker, BrokerConfig};
use klamm_kafka::{Acl, ErrorCode, Operation, Pattern, Permission, ResourceType};
use klamm_wire::protocol::messages::alter_user_scram_credentials_request::{
    ScramCredentialDeletion, ScramCredentialUpsertion,
};
use klamm_wire::protocol::messages::delete_acls_request::DeleteAclsFilter;
use klamm_wire::protocol::messages::describe_user_scram_credentials_request::UserName;
use klamm_wire::protocol::messages::{
    AlterUserScramCredentialsRequest, DeleteAclsRequest, DescribeAclsRequest,
    DescribeUserScramCredentialsRequest,
};
use klamm_wire::sasl::Hash;

use super::{allow, config, create_acls, login, start};
use crate::client::*;

/// Principal, resource and operation of all that are there.
pub fn all_acls(admin: &mut Client) -> Vec<String> {
    let everything = DescribeAclsRequest::default()
        .with_resource_type_filter(1)
        .with_pattern_type_filter(1)
        .with_resource_name_filter(None)
        .with_principal_filter(None)
        .with_host_filter(None)
        .with_operation(1)
        .with_permission_type(1);
    let answer = admin.call(3, &everything);
    assert_eq!(answer.error_code, 0);
    let mut all = Vec::new();
    for resource in answer.resources {
        for acl in resource.acls {
            let (kind, name) = (resource.resource_type, &*resource.resource_name);
            all.push(format!("{} {kind}:{name} {}", &*acl.principal, acl.operation));
        }
    }
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn acls_are_made_listed_and_deleted_and_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config();
    config.data_dir = Some(dir.path().to_owned());
    let broker = Broker::start(config.clone()).await.unwrap();
    let mut admin = login(&broker, "admin");
    let topic = allow("alice", Operation::Read, ResourceType::Topic, "t");
    let prefixed =
        Acl { pattern: Pattern::Prefixed, ..allow("bob", Operation::Write, ResourceType::Topic, "t") };
    let group = allow("alice", Operation::Read, ResourceType::Group, "g");
    assert_eq!(create_acls(&mut admin, &[topic.clone(), prefixed, group, topic]), [0, 0, 0, 0]);
    drop((admin, broker));

    let broker = Broker::start(config).await.unwrap();
    let mut admin = login(&broker, "admin");
    assert_eq!(all_acls(&mut admin), ["User:alice 2:t 3", "User:alice 3:g 3", "User:bob 2:t 4"]);
    let filter = |pattern: i8, name: &'static str| {
        DeleteAclsFilter::default()
            .with_resource_type_filter(2)
            .with_pattern_type_filter(pattern)
            .with_resource_name_filter(Some(text(name)))
            .with_principal_filter(None)
            .with_host_filter(None)
            .with_operation(1)
            .with_permission_type(1)
    };
    let unknown = filter(9, "t");
    let request = DeleteAclsRequest::default().with_filters(vec![unknown, filter(2, "topic")]);
    let answer = admin.call(3, &request);
    assert_eq!(answer.filter_results[0].error_code, ErrorCode::INVALID_REQUEST.code());
    let gone: Vec<_> =
        answer.filter_results[1].matching_acls.iter().map(|acl| acl.principal.to_string()).collect();
    assert_eq!(gone, ["User:bob"]);
    assert_eq!(all_acls(&mut admin), ["User:alice 2:t 3", "User:alice 3:g 3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn acls_that_mean_nothing_are_refused_one_by_one() {
    let broker = start().await;
    let mut admin = login(&broker, "admin");
    let good = allow("alice", Operation::Alter, ResourceType::Cluster, "kafka-cluster");
    let other_cluster = Acl { resource: "other".to_owned(), ..good.clone() };
    let nameless = Acl { resource: String::new(), resource_type: ResourceType::Topic, ..good.clone() };
    let no_type = Acl { principal: "alice".to_owned(), ..good.clone() };
    let invalid = ErrorCode::INVALID_REQUEST.code();
    let codes = create_acls(&mut admin, &[other_cluster, nameless, good, no_type]);
    assert_eq!(codes, [invalid, invalid, 0, invalid]);
    assert_eq!(all_acls(&mut admin), ["User:alice 4:kafka-cluster 7"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_authorizer_there_are_no_acls() {
    let broker = Broker::start(BrokerConfig::default()).await.unwrap();
    let mut client = Client::connect(&broker.bootstrap());
    let disabled = ErrorCode::SECURITY_DISABLED.code();
    assert_eq!(client.call(3, &DescribeAclsRequest::default()).error_code, disabled);
    let acl = allow("alice", Operation::Read, ResourceType::Topic, "t");
    assert_eq!(create_acls(&mut client, &[acl]), [disabled]);
    let filters = vec![DeleteAclsFilter::default()];
    let answer = client.call(3, &DeleteAclsRequest::default().with_filters(filters));
    assert_eq!(answer.filter_results[0].error_code, disabled);
}

fn upsertion(user: &str, password: &str, iterations: i32) -> ScramCredentialUpsertion {
    let salted = Hash::Sha256.salted_password(password, b"salt", 4096);
    ScramCredentialUpsertion::default()
        .with_name(text(user))
        .with_mechanism(1)
        .with_iterations(iterations)
        .with_salt(b"salt".to_vec().into())
        .with_salted_password(salted.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_scram_come_and_go() {
    let broker = start().await;
    let mut admin = login(&broker, "admin");
    let mut alter = |upsertions: Vec<ScramCredentialUpsertion>, deletions: Vec<ScramCredentialDeletion>| {
        let request =
            AlterUserScramCredentialsRequest::default().with_upsertions(upsertions).with_deletions(deletions);
        let results = admin.call(0, &request).results;
        results.into_iter().map(|result| (result.user.to_string(), result.error_code)).collect::<Vec<_>>()
    };
    let one = |user: &str, error: i16| vec![(user.to_owned(), error)];
    let try_in = |password: &str| {
        let mut client = Client::connect(&broker.bootstrap());
        assert_eq!(client.handshake("SCRAM-SHA-256"), 0);
        let first = klamm_wire::sasl::ScramFirst::new(Hash::Sha256, "carl", password, "nonce".to_owned());
        let answer = client.message(first.message().as_bytes());
        if answer.error_code != 0 {
            return false;
        }
        let challenge = String::from_utf8(answer.auth_bytes.to_vec()).unwrap();
        client.message(first.answer(&challenge).unwrap().0.as_bytes()).error_code == 0
    };
    assert!(!try_in("pw"));
    assert_eq!(alter(vec![upsertion("carl", "pw", 4096)], vec![]), one("carl", 0));
    assert!(try_in("pw") && !try_in("other"));
    let deletion = |user: &str, mechanism| {
        ScramCredentialDeletion::default().with_name(text(user)).with_mechanism(mechanism)
    };
    let unacceptable = ErrorCode::UNACCEPTABLE_CREDENTIAL.code();
    assert_eq!(alter(vec![upsertion("carl", "x", 4095)], vec![]), one("carl", unacceptable));
    assert_eq!(alter(vec![upsertion("carl", "x", 16_385)], vec![]), one("carl", unacceptable));
    assert_eq!(alter(vec![upsertion("", "x", 4096)], vec![]), one("", unacceptable));
    let twice = alter(vec![upsertion("carl", "x", 4096)], vec![deletion("carl", 1)]);
    assert_eq!(twice, one("carl", ErrorCode::DUPLICATE_RESOURCE.code()));
    assert_eq!(
        alter(vec![], vec![deletion("carl", 9)]),
        one("carl", ErrorCode::UNSUPPORTED_SASL_MECHANISM.code())
    );
    assert_eq!(alter(vec![], vec![deletion("carl", 2)]), one("carl", ErrorCode::RESOURCE_NOT_FOUND.code()));
    assert!(try_in("pw"), "nothing of that has happened");
    assert_eq!(alter(vec![], vec![deletion("carl", 1)]), one("carl", 0));
    assert!(!try_in("pw"));
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_scram_are_described_without_their_keys() {
    let broker = start().await;
    let mut admin = login(&broker, "admin");
    let all = admin.call(0, &DescribeUserScramCredentialsRequest::default().with_users(None));
    let told: Vec<_> = all
        .results
        .iter()
        .map(|user| {
            (
                user.user.to_string(),
                user.credential_infos.iter().map(|i| (i.mechanism, i.iterations)).collect(),
            )
        })
        .collect();
    let both = vec![(1, 4096), (2, 4096)];
    assert_eq!(told, [("admin".to_owned(), both.clone()), ("alice".to_owned(), both)]);
    let name = |name: &str| UserName::default().with_name(text(name));
    let users = Some(vec![name("alice"), name("alice"), name("nobody")]);
    let answer = admin.call(0, &DescribeUserScramCredentialsRequest::default().with_users(users));
    let codes: Vec<_> = answer.results.iter().map(|user| user.error_code).collect();
    assert_eq!(codes, [ErrorCode::DUPLICATE_RESOURCE.code(), ErrorCode::RESOURCE_NOT_FOUND.code()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_outweighs_at_the_socket_too() {
    let broker = start().await;
    let (mut admin, mut alice) = (login(&broker, "admin"), login(&broker, "alice"));
    admin.create("orders", 1, &[]);
    let read = allow("alice", Operation::Read, ResourceType::Topic, "orders");
    let everything = Acl {
        resource: "ord".to_owned(),
        pattern: Pattern::Prefixed,
        operation: Operation::All,
        ..read.clone()
    };
    create_acls(&mut admin, &[everything]);
    assert_eq!(alice.produce("orders", 0, batch(&["x"])).error_code, 0);
    let elsewhere = Acl { permission: Permission::Deny, host: "10.0.0.1".to_owned(), ..read.clone() };
    create_acls(&mut admin, &[elsewhere]);
    assert_eq!(alice.values("orders", 0, 0), ["x"], "the denial is for another host");
    create_acls(&mut admin, &[Acl { permission: Permission::Deny, ..read }]);
    let denied = ErrorCode::TOPIC_AUTHORIZATION_FAILED.code();
    assert_eq!(alice.fetch("orders", 0, 0, std::time::Duration::ZERO).error_code, denied);
    assert_eq!(alice.produce("orders", 0, batch(&["y"])).error_code, 0, "only reading is denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_an_acl_and_keeps_none() {
    let broker = start().await;
    let mut admin = login(&broker, "admin");
    let acl = allow("alice", Operation::Read, ResourceType::Topic, "t");
    broker.faults().fill_disk();
    assert_ne!(create_acls(&mut admin, std::slice::from_ref(&acl)), [0]);
    broker.faults().free_disk();
    assert!(all_acls(&mut admin).is_empty());
    assert_eq!(create_acls(&mut admin, &[acl]), [0]);
}
