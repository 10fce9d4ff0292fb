"""IAM by boto3 and the AWS CLI: roles, policies, instance profiles, and that policies decide."""

import json

import pytest

from cloud import make_client

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def allow(actions, resources="*", **more):
    statement = {"Effect": "Allow", "Action": actions, "Resource": resources, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def iam(client):
    return client("iam")


@pytest.fixture
def role(iam, name):
    yield iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
    iam.delete_role(RoleName=name)


def test_a_role_from_creation_to_deletion(iam, name, refused):
    role = iam.create_role(
        RoleName=name,
        Path="/interop/",
        AssumeRolePolicyDocument=json.dumps(TRUST),
        Description="What it is for, é",
        MaxSessionDuration=7200,
        Tags=[{"Key": "team", "Value": "data"}],
    )["Role"]
    iam.get_waiter("role_exists").wait(RoleName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 10})
    account = role["Arn"].split(":")[4]
    assert role["Arn"] == f"arn:aws:iam::{account}:role/interop/{name}"
    assert role["RoleId"].startswith("AROA") and role["CreateDate"].tzinfo is not None
    found = iam.get_role(RoleName=name)["Role"]
    # botocore decodes what comes in percent encoding.
    assert found["AssumeRolePolicyDocument"] == TRUST
    assert (found["MaxSessionDuration"], found["Description"]) == (7200, "What it is for, é")
    assert found["Tags"] == [{"Key": "team", "Value": "data"}]
    assert refused("EntityAlreadyExists", iam.create_role, RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.update_role(RoleName=name, Description="other", MaxSessionDuration=3600)
    other = json.loads(json.dumps(TRUST).replace("ec2.", "apigateway."))
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(other))
    iam.untag_role(RoleName=name, TagKeys=["team"])
    iam.tag_role(RoleName=name, Tags=[{"Key": "a b", "Value": ""}])
    found = iam.get_role(RoleName=name)["Role"]
    assert (found["Description"], found["AssumeRolePolicyDocument"]) == ("other", other)
    assert found["Tags"] == iam.list_role_tags(RoleName=name)["Tags"] == [{"Key": "a b", "Value": ""}]
    assert found["RoleId"] == role["RoleId"] and found["CreateDate"] == role["CreateDate"]
    iam.delete_role(RoleName=name)
    refused("NoSuchEntity", iam.get_role, RoleName=name)
    refused("NoSuchEntity", iam.delete_role, RoleName=name)


def test_what_is_no_policy_is_refused(iam, name, refused):
    for document in (
        "{",
        json.dumps({"Version": "2012-10-17"}),
        json.dumps({**TRUST, "Statement": [{"Effect": "Maybe"}]}),
    ):
        refused("MalformedPolicyDocument", iam.create_role, RoleName=name, AssumeRolePolicyDocument=document)
    refused("ValidationError", iam.create_role, RoleName="no spaces", AssumeRolePolicyDocument=json.dumps(TRUST))


def test_inline_policies(iam, role, name, refused):
    document = json.loads(allow(["s3:GetObject"], "arn:aws:s3:::bucket/${aws:username}/*"))
    iam.put_role_policy(RoleName=name, PolicyName="read", PolicyDocument=json.dumps(document))
    found = iam.get_role_policy(RoleName=name, PolicyName="read")
    assert (found["RoleName"], found["PolicyName"], found["PolicyDocument"]) == (name, "read", document)
    refused("DeleteConflict", iam.delete_role, RoleName=name)
    iam.put_role_policy(RoleName=name, PolicyName="read", PolicyDocument=allow("s3:*"))
    assert iam.list_role_policies(RoleName=name)["PolicyNames"] == ["read"]
    assert iam.get_role_policy(RoleName=name, PolicyName="read")["PolicyDocument"] == json.loads(allow("s3:*"))
    refused("MalformedPolicyDocument", iam.put_role_policy, RoleName=name, PolicyName="x", PolicyDocument="[]")
    refused("NoSuchEntity", iam.get_role_policy, RoleName=name, PolicyName="none")


def test_pages_of_inline_policies(iam, role, name):
    names = [f"policy-{n}" for n in range(7)]
    for policy in names:
        iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=allow("s3:GetObject"))
    pages = list(iam.get_paginator("list_role_policies").paginate(RoleName=name, PaginationConfig={"PageSize": 3}))
    assert [len(page["PolicyNames"]) for page in pages] == [3, 3, 1]
    assert sorted(policy for page in pages for policy in page["PolicyNames"]) == names
    assert [page["IsTruncated"] for page in pages] == [True, True, False]


def test_pages_of_roles(iam, name):
    path = f"/{name}/"
    names = [f"{name}-{n}" for n in range(5)]
    for role in names:
        iam.create_role(RoleName=role, Path=path, AssumeRolePolicyDocument=json.dumps(TRUST))
    found = iam.get_paginator("list_roles").paginate(PathPrefix=path, PaginationConfig={"PageSize": 2})
    listed = [role for page in found for role in page["Roles"]]
    assert [role["RoleName"] for role in listed] == names
    assert all(role["AssumeRolePolicyDocument"] == TRUST and "Tags" not in role for role in listed)
    for role in names:
        iam.delete_role(RoleName=role)


def test_managed_policies_and_their_versions(iam, role, name, refused):
    arn = iam.create_policy(PolicyName=name, PolicyDocument=allow("s3:GetObject"), Description="d")["Policy"]["Arn"]
    iam.get_waiter("policy_exists").wait(PolicyArn=arn, WaiterConfig={"Delay": 1, "MaxAttempts": 10})
    iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    attached = iam.get_paginator("list_attached_role_policies").paginate(RoleName=name).build_full_result()
    assert attached["AttachedPolicies"] == [{"PolicyName": name, "PolicyArn": arn}]
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 1
    entities = iam.list_entities_for_policy(PolicyArn=arn)
    assert [entity["RoleName"] for entity in entities["PolicyRoles"]] == [name]
    version = iam.create_policy_version(PolicyArn=arn, PolicyDocument=allow("s3:*"), SetAsDefault=True)["PolicyVersion"]
    assert (version["VersionId"], version["IsDefaultVersion"]) == ("v2", True)
    document = iam.get_policy_version(PolicyArn=arn, VersionId="v2")["PolicyVersion"]["Document"]
    assert document == json.loads(allow("s3:*"))
    versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    assert [(version["VersionId"], version["IsDefaultVersion"]) for version in versions] == [
        ("v2", True),
        ("v1", False),
    ]
    refused("DeleteConflict", iam.delete_policy, PolicyArn=arn)
    iam.detach_role_policy(RoleName=name, PolicyArn=arn)
    refused("DeleteConflict", iam.delete_policy, PolicyArn=arn)
    iam.delete_policy_version(PolicyArn=arn, VersionId="v1")
    iam.delete_policy(PolicyArn=arn)
    refused("NoSuchEntity", iam.get_policy, PolicyArn=arn)


def test_an_instance_profile(iam, role, name, refused):
    profile = iam.create_instance_profile(InstanceProfileName=name, Tags=[{"Key": "k", "Value": "v"}])[
        "InstanceProfile"
    ]
    iam.get_waiter("instance_profile_exists").wait(
        InstanceProfileName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 10}
    )
    assert profile["Roles"] == [] and profile["InstanceProfileId"].startswith("AIPA")
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    refused("LimitExceeded", iam.add_role_to_instance_profile, InstanceProfileName=name, RoleName=name)
    found = iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
    assert found["Roles"][0]["Arn"] == role["Arn"] and found["Tags"] == [{"Key": "k", "Value": "v"}]
    [listed] = iam.list_instance_profiles_for_role(RoleName=name)["InstanceProfiles"]
    assert listed["Arn"] == profile["Arn"]
    pages = iam.get_paginator("list_instance_profiles").paginate(PaginationConfig={"PageSize": 1})
    assert profile["Arn"] in [each["Arn"] for page in pages for each in page["InstanceProfiles"]]
    refused("DeleteConflict", iam.delete_role, RoleName=name)
    refused("DeleteConflict", iam.delete_instance_profile, InstanceProfileName=name)
    iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=name)
    iam.delete_instance_profile(InstanceProfileName=name)
    refused("NoSuchEntity", iam.get_instance_profile, InstanceProfileName=name)


def test_a_simulation_says_what_would_be_decided(iam, role, name):
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=allow("s3:Get*", "arn:aws:s3:::a/*"))
    answer = iam.get_paginator("simulate_principal_policy").paginate(
        PolicySourceArn=role["Arn"],
        ActionNames=["s3:GetObject", "s3:PutObject"],
        ResourceArns=["arn:aws:s3:::a/b"],
    )
    results = [result for page in answer for result in page["EvaluationResults"]]
    decisions = {result["EvalActionName"]: result["EvalDecision"] for result in results}
    assert decisions == {"s3:GetObject": "allowed", "s3:PutObject": "implicitDeny"}


@pytest.mark.pinfra
def test_a_session_may_do_what_its_role_may(environment, client, iam, role, name, bucket, refused):
    """Another implementation of AWS hardly decides anything; here a session's policies are asked, S3's included."""
    statements = [("s3:ListBucket", f"arn:aws:s3:::{bucket}"), ("s3:GetObject", f"arn:aws:s3:::{bucket}/open/*")]
    for place, (action, resource) in enumerate(statements):
        iam.put_role_policy(RoleName=name, PolicyName=f"p{place}", PolicyDocument=allow(action, resource))
    for key in ("open/a", "shut/a"):
        client("s3").put_object(Bucket=bucket, Key=key, Body=b"x")
    account = role["Arn"].split(":")[4]
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "sts:AssumeRole"}
    sts = client("sts")
    refused("AccessDenied", sts.assume_role, RoleArn=role["Arn"], RoleSessionName="interop")
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps({**TRUST, "Statement": [trust]}))
    session = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="interop")
    credentials = session["Credentials"]
    assert session["AssumedRoleUser"]["Arn"].endswith(f":assumed-role/{name}/interop")
    keys = {
        "aws_access_key_id": credentials["AccessKeyId"],
        "aws_secret_access_key": credentials["SecretAccessKey"],
    }

    def by_session(service):
        return make_client(environment, service, aws_session_token=credentials["SessionToken"], **keys)

    s3 = by_session("s3")
    assert by_session("sts").get_caller_identity()["Arn"] == session["AssumedRoleUser"]["Arn"]
    assert s3.get_object(Bucket=bucket, Key="open/a")["Body"].read() == b"x"
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["open/a", "shut/a"]
    refusals = [
        ("AccessDenied", lambda: s3.get_object(Bucket=bucket, Key="shut/a")),
        ("AccessDenied", lambda: s3.put_object(Bucket=bucket, Key="open/b", Body=b"")),
        ("AccessDeniedException", lambda: by_session("kinesis").list_streams()),
        ("AccessDenied", lambda: by_session("iam").list_roles()),
        ("UnauthorizedOperation", lambda: by_session("ec2").describe_instances()),
        ("AccessDeniedException", lambda: by_session("apigateway").get_rest_apis()),
    ]
    for code, call in refusals:
        with pytest.raises(s3.exceptions.ClientError) as caught:
            call()
        assert caught.value.response["Error"]["Code"] == code, caught.value
    with pytest.raises(s3.exceptions.ClientError) as caught:
        make_client(environment, "sts", **keys).get_caller_identity()
    assert caught.value.response["Error"]["Code"] == "InvalidClientTokenId", "keys of a session need its token"


def test_as_it_is_typed(aws, name, tmp_path):
    (tmp_path / "trust.json").write_text(json.dumps(TRUST))
    words = ["--role-name", name]
    aws("iam", "create-role", *words, "--assume-role-policy-document", "file://trust.json", "--tags", "Key=a,Value=b")
    aws("iam", "wait", "role-exists", *words)
    aws("iam", "put-role-policy", *words, "--policy-name", "p", "--policy-document", allow("s3:*"))
    assert aws("iam", "list-role-policies", *words, "--query", "PolicyNames", "--output", "text").strip() == "p"
    listed = aws("iam", "list-roles", "--query", f"Roles[?RoleName=='{name}'].Arn", "--output", "text").strip()
    assert listed.endswith(f":role/{name}")
    assert "NoSuchEntity" in aws("iam", "get-role", "--role-name", f"{name}-other", fails=True)
    assert "DeleteConflict" in aws("iam", "delete-role", *words, fails=True)
    aws("iam", "delete-role-policy", *words, "--policy-name", "p")
    aws("iam", "delete-role", *words)
