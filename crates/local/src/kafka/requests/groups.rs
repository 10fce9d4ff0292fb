//! Consumer groups: members come, are assigned partitions, stay and go; groups are told of and forgotten.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse, GroupId,
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
    ListGroupsRequest, ListGroupsResponse, SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;
use tokio::time::Instant;

use super::{Context, group_code, text};
use crate::kafka::error::Refused;
use crate::kafka::groups::{Answer, Join, NotJoined, Sync};
use crate::kafka::server::access::Action;

/// `group.min.session.timeout.ms` and `group.max.session.timeout.ms` of Kafka's brokers.
const SESSION_MILLIS: (i64, i64) = (6_000, 1_800_000);

/// A member joins and waits until the others have.
pub(crate) async fn join(context: &Context, request: JoinGroupRequest, version: i16) -> JoinGroupResponse {
    let id = request.member_id.to_string();
    let answer = match check_join(context, &request) {
        Err(code) => Err(NotJoined { code, member_id: id }),
        Ok(()) => {
            let group = request.group_id.to_string();
            let answer = context.cluster.groups.join(&group, asked(context, request, version), Instant::now());
            settled(context, answer, |code| Err(NotJoined { code, member_id: id })).await
        }
    };
    let joined = match answer {
        Ok(joined) => joined,
        Err(refused) => {
            return JoinGroupResponse::default()
                .with_error_code(refused.code.code())
                .with_generation_id(-1)
                .with_protocol_name(Some(StrBytes::new()))
                .with_member_id(text(&refused.member_id));
        }
    };
    let members = joined.members.into_iter().map(|(id, instance, metadata)| {
        JoinGroupResponseMember::default()
            .with_member_id(text(&id))
            .with_group_instance_id(instance.as_deref().filter(|_| version >= 5).map(text))
            .with_metadata(metadata)
    });
    JoinGroupResponse::default()
        .with_generation_id(joined.generation)
        .with_protocol_type(Some(text(&joined.protocol_type)).filter(|_| version >= 7))
        .with_protocol_name(Some(text(&joined.protocol)))
        .with_leader(text(&joined.leader))
        .with_skip_assignment(joined.skip_assignment)
        .with_member_id(text(&joined.member_id))
        .with_members(members.collect())
}

/// A member waits for its assignment.
pub(crate) async fn sync(context: &Context, request: SyncGroupRequest) -> SyncGroupResponse {
    let answer = match context.access.check(Action::AlterGroup, &request.group_id) {
        Err(refused) => Err(refused.code),
        Ok(()) => {
            let sync = Sync {
                member_id: request.member_id.to_string(),
                instance: request.group_instance_id.map(|instance| instance.to_string()),
                generation: request.generation_id,
                protocol_type: request.protocol_type.map(|name| name.to_string()),
                protocol: request.protocol_name.map(|name| name.to_string()),
                assignments: request
                    .assignments
                    .into_iter()
                    .map(|given| (given.member_id.to_string(), given.assignment))
                    .collect(),
            };
            let answer = context.cluster.groups.sync(&request.group_id, sync, Instant::now());
            settled(context, answer, Err).await
        }
    };
    let response = SyncGroupResponse::default().with_error_code(group_code(&answer));
    match answer {
        Ok(synced) => response
            .with_protocol_type(Some(text(&synced.protocol_type)))
            .with_protocol_name(Some(text(&synced.protocol)))
            .with_assignment(synced.assignment),
        Err(_) => response,
    }
}

/// A member is still there.
pub(crate) fn heartbeat(context: &Context, request: &HeartbeatRequest) -> HeartbeatResponse {
    let instance = request.group_instance_id.as_ref().map(|instance| instance.as_str());
    let beat = allowed(context, &request.group_id).and_then(|()| {
        let groups = &context.cluster.groups;
        groups.heartbeat(&request.group_id, &request.member_id, instance, request.generation_id, Instant::now())
    });
    HeartbeatResponse::default().with_error_code(group_code(&beat))
}

/// Members go.
pub(crate) fn leave(context: &Context, request: &LeaveGroupRequest, version: i16) -> LeaveGroupResponse {
    let allowed = allowed(context, &request.group_id);
    if let Err(code) = allowed {
        return LeaveGroupResponse::default().with_error_code(code.code());
    }
    let leave = |member: &MemberIdentity| {
        let instance = member.group_instance_id.as_ref().map(|instance| instance.as_str());
        context.cluster.groups.leave(&request.group_id, &member.member_id, instance, Instant::now())
    };
    if version < 3 {
        let left = leave(&MemberIdentity::default().with_member_id(request.member_id.clone()));
        return LeaveGroupResponse::default().with_error_code(group_code(&left));
    }
    let members = request.members.iter().map(|member| {
        MemberResponse::default()
            .with_member_id(member.member_id.clone())
            .with_group_instance_id(member.group_instance_id.clone())
            .with_error_code(group_code(&leave(member)))
    });
    LeaveGroupResponse::default().with_members(members.collect())
}

/// What groups are doing, and who is in them.
pub(crate) fn describe(context: &Context, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
    let cluster = &context.cluster;
    let groups = request.groups.into_iter().map(|id| {
        let answer = DescribedGroup::default();
        if let Err(refused) = context.access.check(Action::DescribeGroup, &id) {
            return answer.with_group_id(id).with_error_code(refused.code.code());
        }
        let Some(group) = cluster.groups.describe(&id) else {
            let state = if cluster.offsets.of_group(&id).is_empty() { "Dead" } else { "Empty" };
            return answer.with_group_id(id).with_group_state(text(state));
        };
        let members = group.members.into_iter().map(|member| {
            DescribedGroupMember::default()
                .with_member_id(text(&member.member_id))
                .with_group_instance_id(member.instance.as_deref().map(text))
                .with_client_id(text(&member.client_id))
                .with_client_host(text(&member.client_host))
                .with_member_metadata(member.metadata)
                .with_member_assignment(member.assignment)
        });
        answer
            .with_group_id(id)
            .with_group_state(text(group.state))
            .with_protocol_type(text(&group.protocol_type))
            .with_protocol_data(text(&group.protocol))
            .with_members(members.collect())
    });
    DescribeGroupsResponse::default().with_groups(groups.collect())
}

/// All groups that may be seen: those with members, and those that have committed something.
pub(crate) fn list(context: &Context, request: &ListGroupsRequest) -> ListGroupsResponse {
    let cluster = &context.cluster;
    let mut groups: BTreeMap<String, (&'static str, String)> =
        cluster.offsets.groups().into_iter().map(|id| (id, ("Empty", String::new()))).collect();
    groups.extend(cluster.groups.list().into_iter().map(|(id, state, kind)| (id, (state, kind))));
    let all = context.access.may(Action::DescribeCluster, "");
    let wanted =
        |state: &str| request.states_filter.is_empty() || request.states_filter.iter().any(|one| **one == *state);
    let seen = groups
        .into_iter()
        .filter(|(id, (state, _))| wanted(state) && (all || context.access.may(Action::DescribeGroup, id)));
    let listed = seen.map(|(id, (state, kind))| {
        ListedGroup::default()
            .with_group_id(GroupId(text(&id)))
            .with_group_state(text(state))
            .with_protocol_type(text(&kind))
    });
    ListGroupsResponse::default().with_groups(listed.collect())
}

/// Forgets groups without members, and what they have committed.
pub(crate) fn delete(context: &Context, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let results = request.groups_names.into_iter().map(|id| {
        let deleted = forget(context, &id);
        DeletableGroupResult::default().with_group_id(id).with_error_code(super::code(&deleted))
    });
    DeleteGroupsResponse::default().with_results(results.collect())
}

fn forget(context: &Context, id: &str) -> Result<(), Refused> {
    context.access.check(Action::DeleteGroup, id)?;
    let cluster = &context.cluster;
    let refused = |code: ResponseError| Refused::new(code, code.to_string());
    match cluster.groups.delete(id) {
        Some(Err(code)) => return Err(refused(code)),
        None if cluster.offsets.of_group(id).is_empty() => return Err(refused(ResponseError::GroupIdNotFound)),
        _ => {}
    }
    cluster.offsets.delete_group(id)
}

fn allowed(context: &Context, group: &str) -> Result<(), ResponseError> {
    context.access.check(Action::AlterGroup, group).map_err(|refused| refused.code)
}

fn check_join(context: &Context, request: &JoinGroupRequest) -> Result<(), ResponseError> {
    allowed(context, &request.group_id)?;
    let spec = context.cluster.spec();
    let bound = |name: &str, default| spec.properties.get(name).and_then(|value| value.parse().ok()).unwrap_or(default);
    let least: i64 = bound("group.min.session.timeout.ms", SESSION_MILLIS.0);
    let most = bound("group.max.session.timeout.ms", SESSION_MILLIS.1);
    let session = i64::from(request.session_timeout_ms);
    if session < least || session > most { Err(ResponseError::InvalidSessionTimeout) } else { Ok(()) }
}

fn asked(context: &Context, request: JoinGroupRequest, version: i16) -> Join {
    let millis = |millis: i32| Duration::from_millis(u64::try_from(millis).unwrap_or(0));
    let session = millis(request.session_timeout_ms);
    let spec = context.cluster.spec();
    let delay = spec.properties.get("group.initial.rebalance.delay.ms").and_then(|value| value.parse().ok());
    Join {
        member_id: request.member_id.to_string(),
        instance: request.group_instance_id.map(|instance| instance.to_string()),
        client_id: context.client_id.to_string(),
        client_host: context.client_host.to_string(),
        session,
        rebalance: if version == 0 { session } else { millis(request.rebalance_timeout_ms) },
        protocol_type: request.protocol_type.to_string(),
        protocols: request
            .protocols
            .into_iter()
            .map(|protocol| (protocol.name.to_string(), protocol.metadata))
            .collect(),
        needs_id: version >= 4,
        may_skip: version >= 9,
        // Nobody on a laptop starts hundreds of members, so there is nothing to wait for unless it is asked for.
        delay: delay.map_or(Duration::ZERO, millis),
    }
}

/// Waits for an answer that comes when others have done their part, or for the end of the cluster.
async fn settled<T>(context: &Context, answer: Answer<T>, refused: impl FnOnce(ResponseError) -> T) -> T {
    let waiting = match answer {
        Answer::Now(answer) => return answer,
        Answer::Later(waiting) => waiting,
    };
    tokio::select! {
        answered = waiting => answered.unwrap_or_else(|_| refused(ResponseError::RebalanceInProgress)),
        () = context.cluster.stopping.cancelled() => refused(ResponseError::CoordinatorNotAvailable),
    }
}
