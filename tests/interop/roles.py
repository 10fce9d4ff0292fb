"""Roles that may do what they are told, and sessions of them."""

import json

from cloud import make_client


def make_role(environment, name, statements=(), service=None):
    """The ARN of a role that the account, or a service, may assume. It may do `statements`: (actions, resources)."""
    iam = make_client(environment, "iam")
    account = make_client(environment, "sts").get_caller_identity()["Account"]
    principal = {"Service": service} if service else {"AWS": f"arn:aws:iam::{account}:root"}
    trust = [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]
    document = json.dumps({"Version": "2012-10-17", "Statement": trust})
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    allow(environment, name, statements)
    return arn


def allow(environment, name, statements):
    """From now on the role may do this and nothing else."""
    iam = make_client(environment, "iam")
    if not statements:
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
        return
    allowed = [{"Effect": "Allow", "Action": actions, "Resource": resources} for actions, resources in statements]
    document = json.dumps({"Version": "2012-10-17", "Statement": allowed})
    iam.put_role_policy(RoleName=name, PolicyName="allowed", PolicyDocument=document)


def delete_role(environment, name):
    allow(environment, name, ())
    make_client(environment, "iam").delete_role(RoleName=name)


def session(environment, arn):
    """Keys of a session of the role, by the names of boto3."""
    found = make_client(environment, "sts").assume_role(RoleArn=arn, RoleSessionName="interop")["Credentials"]
    return {
        "aws_access_key_id": found["AccessKeyId"],
        "aws_secret_access_key": found["SecretAccessKey"],
        "aws_session_token": found["SessionToken"],
    }
