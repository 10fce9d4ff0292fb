//! Deletes that somebody stands in the way of: they are told who, they leave alone what is not the stack's, and they succeed
//! once it is gone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use aws_sdk_ec2::types::{InstanceType, IpPermission, UserIdGroupPair};
use pinfra_aws::api_gateway::rest_api::RestApi;
use pinfra_aws::ec2::security_group::SecurityGroup;
use pinfra_aws::iam::role::Role;
use pinfra_aws::s3::bucket::Bucket;
use pinfra_engine::{Address, Call, CloudError, ErrorKind, Resource};

use crate::api_gateway::api_inputs;
use crate::ec2::{UBUNTU, group_inputs};
use crate::iam::role_inputs;
use crate::{Cloud, bucket_inputs, cloud, deleted, made, unique};

fn call(kind: &str) -> Call {
    Call::silent(Address::new(kind, "held"))
}

/// The delete is refused because of `holders`, and says what to do.
async fn refused<R: Resource>(kind: &R, call: &Call, id: &str, holders: &[&str]) -> CloudError {
    let error = kind.delete(call, id).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Blocked, "{error}");
    for holder in holders {
        assert!(error.message.contains(holder), "`{holder}` is not in: {error}");
    }
    let hint = error.hint.as_deref().unwrap_or_default();
    assert!(hint.contains("run the command again"), "{hint}");
    error
}

/// A machine that nobody's stack has made.
async fn foreign_instance(cloud: &Cloud, group: &str) -> String {
    let image = cloud.clients.ssm.get_parameter().name(UBUNTU).send().await.unwrap();
    let image = image.parameter.unwrap().value.unwrap();
    let request = cloud.clients.ec2.run_instances().image_id(image).instance_type(InstanceType::T3Micro);
    let made = request.min_count(1).max_count(1).security_group_ids(group).send().await.unwrap();
    made.instances()[0].instance_id().unwrap().to_owned()
}

#[tokio::test]
async fn a_security_group_says_which_machine_and_which_rule_hold_it() {
    let cloud = cloud().await;
    let ec2 = &cloud.clients.ec2;
    let (kind, call) = (SecurityGroup::new(&cloud.clients), call("ec2/security_group"));
    let id = made(&kind, &call, &group_inputs(&unique("held"))).await;
    let other = ec2.create_security_group().group_name(unique("other")).description("not ours").send().await.unwrap();
    let other = other.group_id.unwrap();
    let pair = UserIdGroupPair::builder().group_id(&id).build();
    let rule = IpPermission::builder().ip_protocol("tcp").from_port(22).to_port(22).user_id_group_pairs(pair).build();
    let named = ec2.authorize_security_group_ingress().group_id(&other).ip_permissions(rule.clone()).send().await;
    named.unwrap();
    let instance = foreign_instance(&cloud, &id).await;
    let interface = ec2.describe_instances().instance_ids(&instance).send().await.unwrap();
    let interface = interface.reservations()[0].instances()[0].network_interfaces()[0].clone();

    refused(&kind, &call, &id, &[&instance, interface.network_interface_id().unwrap(), &other]).await;
    ec2.terminate_instances().instance_ids(&instance).send().await.unwrap();
    refused(&kind, &call, &id, &[&other]).await;
    ec2.revoke_security_group_ingress().group_id(&other).ip_permissions(rule).send().await.unwrap();
    deleted(&kind, &call, &id).await;
    let left = ec2.describe_security_groups().group_ids(&other).send().await.unwrap();
    assert_eq!(left.security_groups().len(), 1, "what is not ours stays");
}

#[tokio::test]
async fn a_role_says_which_profile_holds_it_and_takes_its_policies_along() {
    let cloud = cloud().await;
    let iam = &cloud.clients.iam;
    let (kind, call) = (Role::new(&cloud.clients), call("iam/role"));
    let name = unique("held");
    let id = made(&kind, &call, &role_inputs(&name)).await;
    let managed = "arn:aws:iam::aws:policy/AmazonKinesisReadOnlyAccess";
    iam.attach_role_policy().role_name(&id).policy_arn(managed).send().await.unwrap();
    let profile = unique("profile");
    iam.create_instance_profile().instance_profile_name(&profile).send().await.unwrap();
    iam.add_role_to_instance_profile().instance_profile_name(&profile).role_name(&id).send().await.unwrap();

    refused(&kind, &call, &id, &[&format!("the instance profile `{profile}`")]).await;
    let left = iam.get_instance_profile().instance_profile_name(&profile).send().await.unwrap();
    assert_eq!(left.instance_profile.unwrap().roles().len(), 1, "what is not ours is left as it is");
    iam.remove_role_from_instance_profile().instance_profile_name(&profile).role_name(&id).send().await.unwrap();
    deleted(&kind, &call, &id).await;
    iam.delete_instance_profile().instance_profile_name(&profile).send().await.unwrap();
}

#[tokio::test]
async fn an_api_waits_for_its_turn_to_be_deleted_and_says_so() {
    let cloud = cloud().await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let progress = told.clone();
    let address = Address::new("api_gateway/rest_api", "api");
    let call = Call::new(address, String::new(), Arc::new(move |text| progress.lock().unwrap().push(text)));
    let kind = RestApi::new(&cloud.clients);
    let id = made(&kind, &call, &api_inputs(&unique("api"))).await;
    let local = &cloud.local.as_ref().expect("the faults are those of a local cloud").0;
    local.faults().set("on apigateway:DeleteRestApi times=4 do throttle").unwrap();
    deleted(&kind, &call, &id).await;
    let told = told.lock().unwrap();
    assert!(told.iter().any(|text| text.contains("API Gateway deletes one API in 30 s")), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_says_what_fills_it() {
    let cloud = cloud().await;
    let (kind, call) = (Bucket::new(&cloud.clients), call("s3/bucket"));
    let id = made(&kind, &call, &bucket_inputs(&unique("held"))).await;
    let stopped = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (s3, bucket, stopped) = (cloud.clients.s3.clone(), id.clone(), stopped.clone());
            tokio::spawn(async move {
                for number in 0.. {
                    if stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    // Refused once the bucket is gone.
                    let _ = s3.put_object().bucket(&bucket).key(format!("logs/{writer}/{number}")).send().await;
                }
            })
        })
        .collect();
    // On a busy machine the writers may all be late at once, and the bucket would go.
    if let Some((local, _)) = &cloud.local {
        local.faults().set("on s3:DeleteBucket do refuse BucketNotEmpty status=409").unwrap();
    }
    let refused = refused(&kind, &call, &id, &["such as `logs/"]).await;
    assert_eq!(refused.code.as_deref(), Some("BucketNotEmpty"));
    if let Some((local, _)) = &cloud.local {
        local.faults().clear();
    }
    stopped.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    deleted(&kind, &call, &id).await;
}
