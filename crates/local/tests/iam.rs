//! IAM as a client sees it, and what a role may do at each service.

#![allow(clippy::unwrap_used, clippy::panic, reason = "the helpers of a test fail it by panicking")]

mod support;

use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use pinfra_local::{LocalCloud, Settings};
use serde_json::{Value, json};
use support::{Answer, Client, TestCloud};

fn encoded(document: &Value) -> String {
    utf8_percent_encode(&document.to_string(), NON_ALPHANUMERIC).to_string()
}

fn trust(principal: &Value) -> String {
    encoded(&json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"},
    ]}))
}

fn allows(statements: &Value) -> String {
    encoded(&json!({"Version": "2012-10-17", "Statement": statements}))
}

async fn iam(test: &TestCloud, form: &str) -> Answer {
    test.client().form("iam", form).await
}

/// The same, and it has to be accepted.
async fn done(test: &TestCloud, form: &str) -> Answer {
    let answer = iam(test, form).await;
    assert_eq!(answer.status, 200, "{form}: {answer:?}");
    answer
}

async fn refused(test: &TestCloud, form: &str, status: u16, code: &str, part: &str) {
    let answer = iam(test, form).await;
    assert_eq!((answer.status.as_u16(), answer.element("Code")), (status, code), "{form}");
    assert!(answer.element("Message").contains(part), "{answer:?}");
}

/// A client with the keys of a session of a new role that may do what `statements` say.
async fn session(test: &TestCloud, role: &str, statements: &Value) -> Client {
    let trusted = trust(&json!({"AWS": "arn:aws:iam::000000000000:root"}));
    done(test, &format!("Action=CreateRole&RoleName={role}&AssumeRolePolicyDocument={trusted}")).await;
    let document = allows(statements);
    done(test, &format!("Action=PutRolePolicy&RoleName={role}&PolicyName=p&PolicyDocument={document}")).await;
    let form = format!("Action=AssumeRole&RoleArn=arn:aws:iam::000000000000:role/{role}&RoleSessionName=s1");
    let keys = test.client().form("sts", &form).await;
    let mut client = Client::new(test.cloud.endpoint(), keys.element("AccessKeyId"), keys.element("SecretAccessKey"));
    client.session_token = Some(keys.element("SessionToken").to_owned());
    client
}

#[tokio::test]
async fn a_role_is_kept_and_answered_as_aws_does() {
    let test = TestCloud::start();
    let document = trust(&json!({"Service": "ec2.amazonaws.com"}));
    let create = format!(
        "Action=CreateRole&RoleName=cleaner&Path=%2Fp%2F&AssumeRolePolicyDocument={document}&Tags.member.1.Key=k&Tags.member.1.Value=v"
    );
    let made = done(&test, &create).await;
    assert_eq!(made.element("Arn"), "arn:aws:iam::000000000000:role/p/cleaner");
    assert!(made.element("RoleId").starts_with("AROA") && made.element("RoleId").len() == 21, "{made:?}");
    assert!(made.element("AssumeRolePolicyDocument").starts_with("%7B%22Version%22%3A%222012-10-17%22"), "{made:?}");
    refused(&test, &create.replace("cleaner", "Cleaner"), 409, "EntityAlreadyExists", "Role with name Cleaner already")
        .await;

    let TestCloud { cloud, folder } = test;
    cloud.stop().await;
    let cloud = LocalCloud::start(Settings::new(folder.path())).unwrap();
    let test = TestCloud { cloud, folder };
    let read = done(&test, "Action=GetRole&RoleName=cleaner").await;
    assert_eq!(read.element("Role"), made.element("Role"));
    done(&test, "Action=DeleteRole&RoleName=cleaner").await;
    refused(
        &test,
        "Action=GetRole&RoleName=cleaner",
        404,
        "NoSuchEntity",
        "The role with name cleaner cannot be found.",
    )
    .await;
}

#[tokio::test]
async fn what_hangs_on_a_role_keeps_it() {
    let test = TestCloud::start();
    let document = trust(&json!({"Service": "ec2.amazonaws.com"}));
    done(&test, &format!("Action=CreateRole&RoleName=r&AssumeRolePolicyDocument={document}")).await;
    let policy = allows(&json!({"Effect": "Allow", "Action": "kinesis:*", "Resource": "*"}));
    done(&test, &format!("Action=PutRolePolicy&RoleName=r&PolicyName=p&PolicyDocument={policy}")).await;
    done(&test, "Action=AttachRolePolicy&RoleName=r&PolicyArn=arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess").await;
    done(&test, "Action=CreateInstanceProfile&InstanceProfileName=i").await;
    done(&test, "Action=AddRoleToInstanceProfile&InstanceProfileName=i&RoleName=r").await;
    refused(&test, "Action=AddRoleToInstanceProfile&InstanceProfileName=i&RoleName=r", 409, "LimitExceeded", "quota")
        .await;
    refused(&test, "Action=DeleteInstanceProfile&InstanceProfileName=i", 409, "DeleteConflict", "remove roles").await;
    refused(&test, "Action=DeleteRole&RoleName=r", 409, "DeleteConflict", "instance profile").await;
    done(&test, "Action=RemoveRoleFromInstanceProfile&InstanceProfileName=i&RoleName=r").await;
    refused(&test, "Action=DeleteRole&RoleName=r", 409, "DeleteConflict", "detach all policies").await;
    done(&test, "Action=DetachRolePolicy&RoleName=r&PolicyArn=arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess").await;
    refused(&test, "Action=DeleteRole&RoleName=r", 409, "DeleteConflict", "delete policies").await;
    done(&test, "Action=DeleteRolePolicy&RoleName=r&PolicyName=p").await;
    done(&test, "Action=DeleteRole&RoleName=r").await;
}

#[tokio::test]
async fn documents_that_say_nothing_sensible_are_refused() {
    let test = TestCloud::start();
    let create = |document: &str| format!("Action=CreateRole&RoleName=r&AssumeRolePolicyDocument={document}");
    let nobody = trust(&json!({"AWS": "arn:aws:iam::000000000000:role/none"}));
    let expected = "Invalid principal in policy: \"AWS\":\"arn:aws:iam::000000000000:role/none\"";
    refused(&test, &create(&nobody), 400, "MalformedPolicyDocument", expected).await;
    refused(&test, &create("%7B"), 400, "MalformedPolicyDocument", "invalid Json").await;
    done(&test, &create(&trust(&json!({"AWS": "arn:aws:iam::000000000000:user/local"})))).await;
    let huge = allows(
        &json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{}", "x".repeat(10_240))}),
    );
    refused(
        &test,
        &format!("Action=PutRolePolicy&RoleName=r&PolicyName=p&PolicyDocument={huge}"),
        409,
        "LimitExceeded",
        "10240",
    )
    .await;
}

#[tokio::test]
async fn a_policy_has_five_versions_and_lists_come_in_pages() {
    let test = TestCloud::start();
    let document = allows(&json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*"}));
    let made = done(&test, &format!("Action=CreatePolicy&PolicyName=p&PolicyDocument={document}")).await;
    let arn = made.element("Arn").to_owned();
    let version = format!("Action=CreatePolicyVersion&PolicyArn={arn}&SetAsDefault=true&PolicyDocument={document}");
    for _ in 0..4 {
        done(&test, &version).await;
    }
    refused(&test, &version, 409, "LimitExceeded", "up to 5 versions").await;
    let page = done(&test, &format!("Action=ListPolicyVersions&PolicyArn={arn}&MaxItems=3")).await;
    assert_eq!((page.element("IsTruncated"), page.text.matches("<member>").count()), ("true", 3));
    let marker = utf8_percent_encode(page.element("Marker"), NON_ALPHANUMERIC).to_string();
    let rest = done(&test, &format!("Action=ListPolicyVersions&PolicyArn={arn}&Marker={marker}")).await;
    assert_eq!((rest.element("IsTruncated"), rest.text.matches("<member>").count()), ("false", 2));
    refused(
        &test,
        &format!("Action=DeletePolicyVersion&PolicyArn={arn}&VersionId=v5"),
        409,
        "DeleteConflict",
        "default",
    )
    .await;
    refused(&test, &format!("Action=DeletePolicy&PolicyArn={arn}"), 409, "DeleteConflict", "more than one version")
        .await;
}

#[tokio::test]
async fn a_role_may_use_its_stream_and_no_other() {
    let test = TestCloud::start();
    let statements = json!([
        {"Effect": "Allow", "Action": ["kinesis:Put*", "kinesis:GetShardIterator", "kinesis:GetRecords", "kinesis:ListShards"],
         "Resource": "arn:aws:kinesis:us-east-1:000000000000:stream/mine"},
        {"Effect": "Deny", "Action": "kinesis:PutRecords", "Resource": "*"},
    ]);
    let role = session(&test, "gateway", &statements).await;
    let kinesis = |operation: &str| format!("Kinesis_20131202.{operation}");
    let owner = test.client();
    for name in ["mine", "theirs"] {
        let create = json!({"StreamName": name, "StreamModeDetails": {"StreamMode": "ON_DEMAND"}});
        assert_eq!(owner.json("kinesis", &kinesis("CreateStream"), &create).await.status, 200);
    }
    let put = |name: &str| json!({"StreamName": name, "PartitionKey": "1", "Data": "e30="});
    let denied = role.json("kinesis", &kinesis("PutRecord"), &put("theirs")).await;
    let expected = json!({
        "__type": "AccessDeniedException",
        "message": "User: arn:aws:sts::000000000000:assumed-role/gateway/s1 is not authorized to perform: kinesis:PutRecord \
            on resource: arn:aws:kinesis:us-east-1:000000000000:stream/theirs because no identity-based policy allows the \
            kinesis:PutRecord action",
    });
    assert_eq!((denied.status.as_u16(), denied.json()), (400, expected));
    assert_eq!(denied.header("x-amzn-requestid").len(), 36);
    let many = json!({"StreamName": "mine", "Records": [{"PartitionKey": "1", "Data": "e30="}]});
    let denied = role.json("kinesis", &kinesis("PutRecords"), &many).await.json();
    assert!(
        denied["message"].as_str().unwrap().ends_with("with an explicit deny in an identity-based policy"),
        "{denied}"
    );

    // An iterator is judged by the stream it reads, whatever ARN stands beside it.
    let shard = |name: &str| json!({"StreamName": name, "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"});
    let theirs = loop {
        let answer = owner.json("kinesis", &kinesis("GetShardIterator"), &shard("theirs")).await;
        if answer.status == 200 {
            break answer.json()["ShardIterator"].clone();
        }
        tokio::task::yield_now().await;
    };
    let arn = "arn:aws:kinesis:us-east-1:000000000000:stream/mine";
    let allowed = loop {
        let answer = role.json("kinesis", &kinesis("PutRecord"), &put("mine")).await;
        // Until the stream is ACTIVE it is not found, which is not for IAM to say.
        if answer.status == 200 || answer.json()["__type"] != "ResourceNotFoundException" {
            break answer;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(allowed.status, 200, "{allowed:?}");
    for request in [json!({"ShardIterator": theirs}), json!({"ShardIterator": theirs, "StreamARN": arn})] {
        assert_eq!(
            role.json("kinesis", &kinesis("GetRecords"), &request).await.json()["__type"],
            "AccessDeniedException"
        );
    }
    assert_eq!(
        role.json("kinesis", &kinesis("ListStreams"), &json!({})).await.json()["__type"],
        "AccessDeniedException"
    );
    let ec2 = role.form("ec2", "Action=DescribeVpcs").await;
    assert_eq!((ec2.status.as_u16(), ec2.element("Code")), (403, "UnauthorizedOperation"));
    let answer = role.form("iam", "Action=GetRole&RoleName=gateway").await;
    assert_eq!((answer.status.as_u16(), answer.element("Code")), (403, "AccessDenied"));
    assert_eq!(role.form("sts", "Action=GetCallerIdentity").await.status, 200);
}

#[tokio::test]
async fn a_role_may_use_its_prefix_of_a_bucket() {
    let test = TestCloud::start();
    let role = session(
        &test,
        "cleaner",
        &json!([
            {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], "Resource": "arn:aws:s3:::lake/raw/*"},
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::lake",
             "Condition": {"StringLike": {"s3:prefix": "raw/*"}}},
        ]),
    )
    .await;
    let owner = test.client();
    assert_eq!(owner.s3(Method::PUT, "/lake", b"").await.status, 200);
    assert_eq!(owner.s3(Method::PUT, "/lake/other/a", b"x").await.status, 200);
    assert_eq!(role.s3(Method::PUT, "/lake/raw/a", b"x").await.status, 200);
    assert_eq!(role.s3(Method::GET, "/lake/raw/a", b"").await.text, "x");
    let denied = role.s3(Method::GET, "/lake/other/a", b"").await;
    assert_eq!((denied.status.as_u16(), denied.element("Code")), (403, "AccessDenied"));
    let message = "User: arn:aws:sts::000000000000:assumed-role/cleaner/s1 is not authorized to perform: s3:GetObject on \
        resource: arn:aws:s3:::lake/other/a because no identity-based policy allows the s3:GetObject action";
    assert_eq!(denied.element("Message"), message);
    assert_eq!(role.s3(Method::GET, "/lake?list-type=2&prefix=raw%2F", b"").await.status, 200);
    assert_eq!(role.s3(Method::GET, "/lake?list-type=2&prefix=", b"").await.status, 403);
    assert_eq!(role.s3(Method::GET, "/", b"").await.status, 403);
    // Who may not list does not learn what is not there.
    assert_eq!(role.s3(Method::GET, "/lake/raw/none", b"").await.status, 403);
    assert_eq!(owner.s3(Method::GET, "/lake/raw/none", b"").await.status, 404);
    let delete = b"<Delete><Object><Key>raw/a</Key></Object><Object><Key>other/a</Key></Object></Delete>";
    let answer = role.s3(Method::POST, "/lake?delete=", delete).await;
    assert_eq!((answer.status.as_u16(), answer.element("Error").contains("other/a")), (200, true), "{answer:?}");
    assert_eq!(owner.s3(Method::GET, "/lake/other/a", b"").await.status, 200);
    assert_eq!(owner.s3(Method::GET, "/lake/raw/a", b"").await.status, 404);
}

#[tokio::test]
async fn only_who_is_trusted_becomes_a_role() {
    let test = TestCloud::start();
    let service = trust(&json!({"Service": "ec2.amazonaws.com"}));
    done(&test, &format!("Action=CreateRole&RoleName=machine&AssumeRolePolicyDocument={service}")).await;
    let assume =
        |role: &str| format!("Action=AssumeRole&RoleArn=arn:aws:iam::000000000000:role/{role}&RoleSessionName=s1");
    for role in ["machine", "none"] {
        let answer = test.client().form("sts", &assume(role)).await;
        assert_eq!((answer.status.as_u16(), answer.element("Code")), (403, "AccessDenied"), "{role}");
    }
    let nothing = session(&test, "nothing", &json!({"Effect": "Deny", "Action": "*", "Resource": "*"})).await;
    let chained = nothing.form("sts", &assume("nothing")).await;
    assert_eq!(chained.element("Code"), "AccessDenied", "the account is trusted, and its role may not");
    let long = format!("{}&DurationSeconds=7200", assume("nothing"));
    assert_eq!(test.client().form("sts", &long).await.element("Code"), "ValidationError");
}

#[tokio::test]
async fn a_simulation_tells_what_would_be_allowed() {
    let test = TestCloud::start();
    let _keys =
        session(&test, "r", &json!({"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::lake/*"})).await;
    let form = "Action=SimulatePrincipalPolicy&PolicySourceArn=arn:aws:iam::000000000000:role/r&\
        ActionNames.member.1=s3:GetObject&ActionNames.member.2=s3:PutObject&ResourceArns.member.1=arn:aws:s3:::lake/a";
    let answer = done(&test, form).await;
    assert!(answer.text.contains("<EvalDecision>allowed</EvalDecision>"), "{answer:?}");
    assert!(answer.text.contains("<EvalDecision>implicitDeny</EvalDecision>"), "{answer:?}");
}

#[tokio::test]
async fn one_listing_has_roles_with_all_that_hangs_on_them() {
    let test = TestCloud::start();
    let _keys = session(&test, "r", &json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"})).await;
    let arn = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";
    done(&test, &format!("Action=AttachRolePolicy&RoleName=r&PolicyArn={arn}")).await;
    done(&test, "Action=TagRole&RoleName=r&Tags.member.1.Key=k&Tags.member.1.Value=v").await;
    done(&test, "Action=CreateInstanceProfile&InstanceProfileName=machine").await;
    done(&test, "Action=AddRoleToInstanceProfile&InstanceProfileName=machine&RoleName=r").await;
    let answer = done(&test, "Action=GetAccountAuthorizationDetails&Filter.member.1=Role&MaxItems=10").await;
    let role = answer.element("RoleDetailList");
    for part in ["<PolicyName>p</PolicyName>", "s3%3AGetObject", arn, "<Key>k</Key>", "<InstanceProfileName>machine<"] {
        assert!(role.contains(part), "{part}: {role}");
    }
    let of_role = role.split("<InstanceProfileList>").next().unwrap();
    assert!(!of_role.contains("MaxSessionDuration"), "AWS leaves it out: {role}");
    refused(&test, "Action=GetAccountAuthorizationDetails", 400, "InvalidInput", "set Filter").await;
}
