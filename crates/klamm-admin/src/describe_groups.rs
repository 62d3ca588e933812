//! State and members of groups of all protocols: classic, consumer (KIP-848), share (KIP-932) and streams (KIP-1071).

use std::collections::BTreeMap;

use klamm_kafka::ErrorCode;
use klamm_wire::protocol::messages::consumer_group_describe_response as consumer;
use klamm_wire::protocol::messages::describe_groups_response as classic;
use klamm_wire::protocol::messages::share_group_describe_response as share;
use klamm_wire::protocol::messages::{
    ConsumerGroupDescribeRequest, DescribeGroupsRequest, ListGroupsRequest, ShareGroupDescribeRequest,
};

use crate::Admin;
use crate::consumer_protocol::{Assignment, assignment, subscription};
use crate::each::PerBroker;
use crate::error::AdminError;
use crate::groups::{group_id, group_resource};
use crate::pace::Peer;
use crate::retry::Repeat;
use crate::rights::Rights;
use crate::streams_groups::{StreamsGroup, StreamsGroupDescribeRequest};

/// Groups in one request: members of classic groups may carry a lot.
const GROUPS_PER_REQUEST: usize = 50;

/// Kafka's word for a group that does not exist.
const DEAD: &str = "Dead";

/// `protocol.type` of classic groups whose members read topics.
const CONSUMER: &str = "consumer";

/// Which protocol a group speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupProtocol {
    /// The members assign partitions.
    Classic,
    /// The broker assigns partitions (KIP-848).
    Consumer,
    /// Records are shared (KIP-932).
    Share,
    /// A Kafka Streams application (KIP-1071).
    Streams,
}

/// A group as the broker lists it that coordinates it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupListing {
    /// `group.id`.
    pub group: String,
    /// `protocol.type`: `consumer`, `connect`, `share` … and empty for a group that only has offsets.
    pub protocol_type: String,
    /// State in Kafka's words; empty before 2.6.
    pub state: String,
    /// Protocol. Before 3.8 brokers do not tell, and it is `Classic`.
    pub protocol: GroupProtocol,
}

/// A group as its coordinator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    /// `group.id`.
    pub group: String,
    /// Protocol.
    pub protocol: GroupProtocol,
    /// `protocol.type` of a classic group: `consumer`, `connect`, `sr`.
    pub protocol_type: String,
    /// State in Kafka's words: `Stable`, `Empty`, `PreparingRebalance`, … and `Dead` for a group that does not exist.
    pub state: String,
    /// Epoch of the group; `None` for a classic one, which does not show its generation.
    pub epoch: Option<i32>,
    /// Assignor that the members agreed on; empty without members.
    pub assignor: String,
    /// Members, in the coordinator's order.
    pub members: Vec<GroupMember>,
    /// What this client may do with the group; `None` when the broker does not tell.
    pub rights: Option<Rights>,
}

/// One member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// Id that the coordinator knows it by.
    pub member_id: String,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// `client.id`.
    pub client_id: String,
    /// Host that it connects from.
    pub host: String,
    /// Partitions that it was given; `None` when that cannot be read.
    pub assigned: Option<Assignment>,
    /// Topics that it subscribes to, where the protocol tells.
    pub subscribed: Vec<String>,
}

impl Admin {
    /// Names of all groups, sorted. Each broker knows those that it coordinates, so all of them are asked.
    pub async fn list_groups(&self) -> Result<Vec<String>, AdminError> {
        let mut names = std::collections::BTreeSet::new();
        for listed in self.groups_by_broker().await.into_values() {
            names.extend(listed?.into_iter().map(|group| group.group));
        }
        Ok(names.into_iter().collect())
    }

    /// All groups, by the broker that coordinates them. Without DESCRIBE on the cluster only those that this client may
    /// describe.
    pub async fn groups_by_broker(&self) -> PerBroker<Vec<GroupListing>> {
        self.at_each("list the groups", &list).await
    }

    /// State and members of `group`. A group that does not exist is `Dead`, as Kafka has it.
    pub async fn describe_group(&self, group: &str) -> Result<GroupDescription, AdminError> {
        self.retry(&format!("describe group {group}"), Repeat::Always, || async {
            let peer = self.coordinator(group).await?;
            let groups = [group.to_owned()];
            let mut told = ask(&peer, GroupProtocol::Classic, &groups).await?;
            told.remove(group).ok_or_else(|| nothing_about(group))?
        })
        .await
    }

    /// State and members of groups that one broker coordinates, as it has listed them.
    ///
    /// # Errors
    /// Of a request; each group has its own, too.
    pub async fn describe_groups(
        &self,
        coordinator: i32,
        protocol: GroupProtocol,
        groups: &[String],
    ) -> Result<BTreeMap<String, Result<GroupDescription, AdminError>>, AdminError> {
        let mut described = BTreeMap::new();
        for some in groups.chunks(GROUPS_PER_REQUEST) {
            let ask = |peer: Peer| async move { ask(&peer, protocol, some).await };
            let mut told = self.at_broker("describe groups", coordinator, &ask).await?;
            for group in some {
                let told = told.remove(group).unwrap_or_else(|| Err(nothing_about(group)));
                described.insert(group.clone(), told);
            }
        }
        Ok(described)
    }
}

type Described = BTreeMap<String, Result<GroupDescription, AdminError>>;

async fn list(id: i32, peer: Peer) -> Result<Vec<GroupListing>, AdminError> {
    let answer = peer.call(&ListGroupsRequest::default()).await?;
    let refused = |code| AdminError::kafka(code, None, "list groups", &format!("broker {id}"));
    ErrorCode::from(answer.error_code).ok().map_err(refused)?;
    let listing = |group: &klamm_wire::protocol::messages::list_groups_response::ListedGroup| GroupListing {
        group: group.group_id.0.to_string(),
        protocol_type: group.protocol_type.to_string(),
        state: group.group_state.to_string(),
        protocol: match group.group_type.to_ascii_lowercase().as_str() {
            "consumer" => GroupProtocol::Consumer,
            "share" => GroupProtocol::Share,
            "streams" => GroupProtocol::Streams,
            _ => GroupProtocol::Classic,
        },
    };
    Ok(answer.groups.iter().map(listing).collect())
}

async fn ask(peer: &Peer, protocol: GroupProtocol, groups: &[String]) -> Result<Described, AdminError> {
    match protocol {
        GroupProtocol::Classic => ask_classic(peer, groups).await,
        GroupProtocol::Consumer => ask_consumer(peer, groups).await,
        GroupProtocol::Share => ask_share(peer, groups).await,
        GroupProtocol::Streams => ask_streams(peer, groups).await,
    }
}

async fn ask_classic(peer: &Peer, groups: &[String]) -> Result<Described, AdminError> {
    let rights = peer.version_of::<DescribeGroupsRequest>(None)? >= 3;
    let request = DescribeGroupsRequest::default()
        .with_groups(groups.iter().map(|group| group_id(group)).collect())
        .with_include_authorized_operations(rights);
    let answer = peer.call(&request).await?;
    let told = answer.groups.iter().map(|told| (told.group_id.0.to_string(), of_classic(told)));
    let mut described: Described = told.collect();
    // A group of the consumer protocol is unknown to the classic request.
    let dead = |told: &Result<GroupDescription, AdminError>| {
        told.as_ref().is_ok_and(|described| described.state == DEAD)
    };
    let unknown: Vec<_> =
        described.iter().filter(|(_, told)| dead(told)).map(|(group, _)| group.clone()).collect();
    if !unknown.is_empty() && peer.knows::<ConsumerGroupDescribeRequest>() {
        let newer = ask_consumer(peer, &unknown).await?;
        described.extend(newer.into_iter().filter(|(_, told)| !dead(told)));
    }
    Ok(described)
}

fn of_classic(told: &classic::DescribedGroup) -> Result<GroupDescription, AdminError> {
    let group = told.group_id.0.to_string();
    // From version 6 on a group that does not exist is an error.
    let missing = is_missing(told.error_code, told.error_message.as_deref(), &group)?;
    let reads = told.protocol_type.as_str() == CONSUMER;
    let member = |member: &classic::DescribedGroupMember| GroupMember {
        member_id: member.member_id.to_string(),
        instance_id: member.group_instance_id.as_ref().map(ToString::to_string),
        client_id: member.client_id.to_string(),
        host: member.client_host.to_string(),
        assigned: reads.then(|| assignment(&member.member_assignment)).flatten(),
        subscribed: reads.then(|| subscription(&member.member_metadata)).flatten().unwrap_or_default(),
    };
    Ok(GroupDescription {
        protocol: GroupProtocol::Classic,
        protocol_type: told.protocol_type.to_string(),
        state: if missing { DEAD.to_owned() } else { told.group_state.to_string() },
        epoch: None,
        assignor: told.protocol_data.to_string(),
        members: told.members.iter().map(member).collect(),
        rights: Rights::told(told.authorized_operations),
        group,
    })
}

async fn ask_consumer(peer: &Peer, groups: &[String]) -> Result<Described, AdminError> {
    let request = ConsumerGroupDescribeRequest::default()
        .with_group_ids(groups.iter().map(|group| group_id(group)).collect())
        .with_include_authorized_operations(true);
    let answer = peer.call(&request).await?;
    Ok(answer.groups.iter().map(|told| (told.group_id.0.to_string(), of_consumer(told))).collect())
}

fn of_consumer(told: &consumer::DescribedGroup) -> Result<GroupDescription, AdminError> {
    let group = told.group_id.0.to_string();
    let missing = is_missing(told.error_code, told.error_message.as_deref(), &group)?;
    let given =
        |given: &consumer::TopicPartitions| (given.topic_name.0.to_string(), given.partitions.clone());
    let member = |member: &consumer::Member| GroupMember {
        member_id: member.member_id.to_string(),
        instance_id: member.instance_id.as_ref().map(ToString::to_string),
        client_id: member.client_id.to_string(),
        host: member.client_host.to_string(),
        assigned: Some(member.assignment.topic_partitions.iter().map(given).collect()),
        subscribed: member.subscribed_topic_names.iter().map(|name| name.0.to_string()).collect(),
    };
    Ok(GroupDescription {
        protocol: GroupProtocol::Consumer,
        protocol_type: CONSUMER.to_owned(),
        state: if missing { DEAD.to_owned() } else { told.group_state.to_string() },
        epoch: (!missing).then_some(told.group_epoch),
        assignor: told.assignor_name.to_string(),
        members: told.members.iter().map(member).collect(),
        rights: Rights::told(told.authorized_operations),
        group,
    })
}

async fn ask_share(peer: &Peer, groups: &[String]) -> Result<Described, AdminError> {
    let request = ShareGroupDescribeRequest::default()
        .with_group_ids(groups.iter().map(|group| group_id(group)).collect());
    let answer = peer.call(&request).await?;
    Ok(answer.groups.iter().map(|told| (told.group_id.0.to_string(), of_share(told))).collect())
}

fn of_share(told: &share::DescribedGroup) -> Result<GroupDescription, AdminError> {
    let group = told.group_id.0.to_string();
    let missing = is_missing(told.error_code, told.error_message.as_deref(), &group)?;
    let given = |given: &share::TopicPartitions| (given.topic_name.0.to_string(), given.partitions.clone());
    let member = |member: &share::Member| GroupMember {
        member_id: member.member_id.to_string(),
        instance_id: None,
        client_id: member.client_id.to_string(),
        host: member.client_host.to_string(),
        assigned: Some(member.assignment.topic_partitions.iter().map(given).collect()),
        subscribed: member.subscribed_topic_names.iter().map(|name| name.0.to_string()).collect(),
    };
    Ok(GroupDescription {
        protocol: GroupProtocol::Share,
        protocol_type: "share".to_owned(),
        state: if missing { DEAD.to_owned() } else { told.group_state.to_string() },
        epoch: (!missing).then_some(told.group_epoch),
        assignor: told.assignor_name.to_string(),
        members: told.members.iter().map(member).collect(),
        rights: None,
        group,
    })
}

async fn ask_streams(peer: &Peer, groups: &[String]) -> Result<Described, AdminError> {
    let answer = peer.call(&StreamsGroupDescribeRequest { groups: groups.to_vec() }).await?;
    Ok(answer.groups.iter().map(|told| (told.group.clone(), of_streams(told))).collect())
}

fn of_streams(told: &StreamsGroup) -> Result<GroupDescription, AdminError> {
    let missing = is_missing(told.error_code, told.error_message.as_deref(), &told.group)?;
    let subscribed = told.subscribed();
    let members = told.members.iter().map(|member| GroupMember {
        member_id: member.member_id.clone(),
        instance_id: member.instance_id.clone(),
        client_id: member.client_id.clone(),
        host: member.host.clone(),
        assigned: Some(told.assigned(member)),
        subscribed: subscribed.clone(),
    });
    Ok(GroupDescription {
        protocol: GroupProtocol::Streams,
        protocol_type: "streams".to_owned(),
        state: if missing { DEAD.to_owned() } else { told.state.clone() },
        epoch: (!missing).then_some(told.epoch),
        assignor: String::new(),
        members: members.collect(),
        rights: None,
        group: told.group.clone(),
    })
}

/// Whether the group does not exist; any other error is one.
fn is_missing(code: i16, message: Option<&str>, group: &str) -> Result<bool, AdminError> {
    match ErrorCode::from(code) {
        ErrorCode::GROUP_ID_NOT_FOUND => Ok(true),
        // The group may be seen, and reads a topic that may not.
        code @ ErrorCode::TOPIC_AUTHORIZATION_FAILED => {
            Err(AdminError::kafka(code, message, "describe", &format!("topics of group {group}")))
        }
        code => {
            let refused = |code| AdminError::kafka(code, message, "describe", &group_resource(group));
            code.ok().map_err(refused).map(|()| false)
        }
    }
}

fn nothing_about(group: &str) -> AdminError {
    AdminError::unexpected(format!("the answer says nothing about group {group}"))
}
