//! Changes in IAM: what roles may do, and who may become them.

use aws_sdk_iam::types::Tag;
use serde_json::{Value, json};

use super::world::{Change, World, change};

const CLIENT: &str = "pins-client-us-east-1";
const API: &str = "pins-api-us-east-1";
const READ_ONLY: &str = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";

fn everything() -> String {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}).to_string()
}

fn trust(service: &str) -> String {
    let statement = json!({"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"});
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

/// As IAM answers it: URL-encoded.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let hex = |byte: Option<u8>| char::from(byte.unwrap()).to_digit(16).unwrap();
        bytes.push(if byte == b'%' { u8::try_from(hex(rest.next()) * 16 + hex(rest.next())).unwrap() } else { byte });
    }
    String::from_utf8(bytes).unwrap()
}

pub(super) fn changes(world: &World) -> Vec<Change<'_>> {
    let iam = &world.clients.iam;
    let trusting = move |service: &'static str| async move {
        let update = iam.update_assume_role_policy().role_name(API).policy_document(trust(service));
        update.send().await.unwrap();
    };
    let session = move |seconds: i32| async move {
        let update = iam.update_role().role_name(API).max_session_duration(seconds);
        update.description("The API of the stack pins").send().await.unwrap();
    };
    let described = move |text: &'static str| async move {
        iam.update_role().role_name(API).description(text).send().await.unwrap();
    };
    let tag = move |value: &'static str| async move {
        let tag = Tag::builder().key("team").value(value).build().unwrap();
        iam.tag_role().role_name(API).tags(tag).send().await.unwrap();
    };
    let kept = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let again = kept.clone();
    let document = move || async move {
        let policy = iam.get_role_policy().role_name(API).policy_name("streams").send().await.unwrap();
        decoded(policy.policy_document())
    };
    let put = move |document: String| async move {
        let put = iam.put_role_policy().role_name(API).policy_name("streams").policy_document(document);
        put.send().await.unwrap();
    };
    let (gone, back) = (kept.clone(), kept.clone());
    vec![
        change(
            "an inline policy that allows everything",
            &["unmanaged iam/role.client"],
            async move {
                let put = iam.put_role_policy().role_name(CLIENT).policy_name("admin").policy_document(everything());
                put.send().await.unwrap();
            },
            async move {
                iam.delete_role_policy().role_name(CLIENT).policy_name("admin").send().await.unwrap();
            },
        ),
        change(
            "a managed policy is attached",
            &["unmanaged iam/role.api"],
            async move {
                iam.attach_role_policy().role_name(API).policy_arn(READ_ONLY).send().await.unwrap();
            },
            async move {
                iam.detach_role_policy().role_name(API).policy_arn(READ_ONLY).send().await.unwrap();
            },
        ),
        change(
            "somebody else may become the role",
            &["changed iam/role.api#trust.Statement.Principal.Service"],
            trusting("lambda.amazonaws.com"),
            trusting("apigateway.amazonaws.com"),
        ),
        change(
            "sessions of the role last longer",
            &["changed iam/role.api#max_session_seconds"],
            session(7_200),
            session(3_600),
        ),
        change(
            "the role is described otherwise",
            &["changed iam/role.api#description"],
            described("mine"),
            described("The API of the stack pins"),
        ),
        change("a tag of the role is changed", &["changed iam/role.api#tags.team"], tag("web"), tag("data")),
        change(
            "the role says no more which of the stack it is",
            &["changed iam/role.api#tags.pinfra:address"],
            async move {
                iam.untag_role().role_name(API).tag_keys("pinfra:address").send().await.unwrap();
            },
            async move {
                let tag = Tag::builder().key("pinfra:address").value("iam/role.api").build().unwrap();
                iam.tag_role().role_name(API).tags(tag).send().await.unwrap();
            },
        ),
        change(
            "a policy allows less",
            &["changed iam/role_policy.api#policy.Statement"],
            async move {
                let was = document().await;
                let mut policy: Value = serde_json::from_str(&was).unwrap();
                *kept.lock().unwrap() = was;
                policy["Statement"][0]["Action"] = json!(["kinesis:DescribeStream", "kinesis:PutRecord"]);
                put(policy.to_string()).await;
            },
            async move {
                let was = again.lock().unwrap().clone();
                put(was).await;
            },
        ),
        change(
            "a policy is deleted",
            &["missing iam/role_policy.api"],
            async move {
                *gone.lock().unwrap() = document().await;
                iam.delete_role_policy().role_name(API).policy_name("streams").send().await.unwrap();
            },
            async move {
                let was = back.lock().unwrap().clone();
                put(was).await;
            },
        ),
        change(
            "a tag is put on the instance profile",
            &["changed iam/instance_profile.client#tags.owner"],
            async move {
                let tag = Tag::builder().key("owner").value("me").build().unwrap();
                iam.tag_instance_profile().instance_profile_name(CLIENT).tags(tag).send().await.unwrap();
            },
            async move {
                iam.untag_instance_profile().instance_profile_name(CLIENT).tag_keys("owner").send().await.unwrap();
            },
        ),
        change(
            "another profile hands the role out",
            &["unmanaged iam/role.connector"],
            async move {
                iam.create_instance_profile().instance_profile_name("mine").send().await.unwrap();
                let add = iam.add_role_to_instance_profile().instance_profile_name("mine");
                add.role_name("pins-connector-us-east-1").send().await.unwrap();
            },
            async move {
                let remove = iam.remove_role_from_instance_profile().instance_profile_name("mine");
                remove.role_name("pins-connector-us-east-1").send().await.unwrap();
                iam.delete_instance_profile().instance_profile_name("mine").send().await.unwrap();
            },
        ),
    ]
}
