"""EC2 by boto3 and the AWS CLI: waiters, paginators, filters, and what an instance leaves behind."""

import json

import pytest

from cloud import until

FAST = {"Delay": 1, "MaxAttempts": 30}
UBUNTU = "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHGZIBNGEX2OYdKoEsD4kwFCBBsgjcFfXAHTmGNJqQVF interop"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@pytest.fixture
def ec2(client):
    return client("ec2")


@pytest.fixture
def image(client):
    return client("ssm").get_parameter(Name=UBUNTU)["Parameter"]["Value"]


@pytest.fixture
def run(ec2, image, name):
    """Runs instances, and ends them after the test."""
    ids = []

    def run(count=1, **more):
        tags = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": name}]}]
        arguments = {"ImageId": image, "InstanceType": "t3.micro", "TagSpecifications": tags, **more}
        instances = ec2.run_instances(MinCount=count, MaxCount=count, **arguments)["Instances"]
        ids.extend(instance["InstanceId"] for instance in instances)
        return instances

    yield run
    if ids:
        ec2.terminate_instances(InstanceIds=ids)
        ec2.get_waiter("instance_terminated").wait(InstanceIds=ids, WaiterConfig=FAST)


def state(ec2, instance):
    return ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]["State"]["Name"]


def wait(ec2, waiter, instance):
    ec2.get_waiter(waiter).wait(InstanceIds=[instance], WaiterConfig=FAST)


def test_an_instance_through_all_its_states(ec2, run, refused):
    [started] = run()
    instance = started["InstanceId"]
    assert started["State"]["Name"] == "pending" and started["LaunchTime"].tzinfo is not None
    for waiter in ("instance_exists", "instance_running", "instance_status_ok", "system_status_ok"):
        wait(ec2, waiter, instance)
    stopped = ec2.stop_instances(InstanceIds=[instance])["StoppingInstances"][0]
    assert stopped["PreviousState"]["Name"] == "running" and stopped["CurrentState"]["Name"] in ("stopping", "stopped")
    wait(ec2, "instance_stopped", instance)
    # Only running instances are listed, unless all are asked for.
    assert ec2.describe_instance_status(InstanceIds=[instance])["InstanceStatuses"] == []
    every = ec2.describe_instance_status(InstanceIds=[instance], IncludeAllInstances=True)["InstanceStatuses"]
    assert [status["InstanceState"]["Name"] for status in every] == ["stopped"]
    ec2.modify_instance_attribute(InstanceId=instance, InstanceType={"Value": "t3.small"})
    attribute = ec2.describe_instance_attribute(InstanceId=instance, Attribute="instanceType")
    assert attribute["InstanceType"] == {"Value": "t3.small"}
    ec2.start_instances(InstanceIds=[instance])
    wait(ec2, "instance_running", instance)
    refused(
        "IncorrectInstanceState", ec2.modify_instance_attribute, InstanceId=instance, InstanceType={"Value": "t3.nano"}
    )
    ec2.modify_instance_attribute(InstanceId=instance, DisableApiTermination={"Value": True})
    refused("OperationNotPermitted", ec2.terminate_instances, InstanceIds=[instance])
    ec2.modify_instance_attribute(InstanceId=instance, DisableApiTermination={"Value": False})
    ec2.reboot_instances(InstanceIds=[instance])
    ec2.terminate_instances(InstanceIds=[instance])
    wait(ec2, "instance_terminated", instance)
    assert state(ec2, instance) == "terminated", "it can be seen for a while"
    assert ec2.terminate_instances(InstanceIds=[instance])["TerminatingInstances"], "which changes nothing"
    refused("IncorrectInstanceState", ec2.start_instances, InstanceIds=[instance])


def test_what_is_not_there(ec2, image, refused):
    refused("InvalidInstanceID.NotFound", ec2.describe_instances, InstanceIds=["i-0123456789abcdef0"])
    refused("InvalidInstanceID.Malformed", ec2.describe_instances, InstanceIds=["server"])
    refused("InvalidInstanceID.NotFound", ec2.terminate_instances, InstanceIds=["i-0123456789abcdef0"])
    refused("InvalidGroup.NotFound", ec2.describe_security_groups, GroupIds=["sg-0123456789abcdef0"])
    refused("InvalidKeyPair.NotFound", ec2.describe_key_pairs, KeyNames=["interop-none"])
    refused("InvalidAllocationID.NotFound", ec2.release_address, AllocationId="eipalloc-0123456789abcdef0")
    one = {"MinCount": 1, "MaxCount": 1, "InstanceType": "t3.micro"}
    refused("InvalidAMIID.NotFound", ec2.run_instances, ImageId="ami-0123456789abcdef0", **one)
    refused("InvalidKeyPair.NotFound", ec2.run_instances, ImageId=image, KeyName="interop-none", **one)
    refused("DryRunOperation", ec2.run_instances, ImageId=image, DryRun=True, **one)


def test_pages_and_filters_of_instances(ec2, run, name):
    ids = {instance["InstanceId"] for instance in run(count=6)}
    ec2.get_waiter("instance_running").wait(InstanceIds=list(ids), WaiterConfig=FAST)
    by_name = [{"Name": "tag:Name", "Values": [name]}]

    def listed(**arguments):
        pages = list(ec2.get_paginator("describe_instances").paginate(**arguments))
        found = [instance for page in pages for each in page["Reservations"] for instance in each["Instances"]]
        return len(pages), [instance["InstanceId"] for instance in found]

    pages, found = listed(Filters=by_name, PaginationConfig={"PageSize": 5})
    assert set(found) == ids and len(found) == 6 and pages >= 1
    running = [{"Name": "instance-state-name", "Values": ["running", "pend*"]}]
    assert set(listed(Filters=by_name + running)[1]) == ids
    assert listed(Filters=[*by_name, {"Name": "instance-type", "Values": ["m5.large"]}])[1] == []
    waiter = ec2.get_waiter("instance_running")
    waiter.wait(Filters=by_name, WaiterConfig=FAST)


def test_the_same_token_runs_no_second_instance(ec2, run, name):
    [first] = run(ClientToken=name)
    [again] = run(ClientToken=name)
    assert first["InstanceId"] == again["InstanceId"]


def test_pages_of_what_there_is_to_choose_from(ec2):
    pages = ec2.get_paginator("describe_instance_types").paginate(PaginationConfig={"PageSize": 10})
    types = {kind["InstanceType"]: kind for page in pages for kind in page["InstanceTypes"]}
    assert types["t3.micro"]["VCpuInfo"]["DefaultVCpus"] == 2 and types["t3.micro"]["MemoryInfo"]["SizeInMiB"] == 1024
    offered = ec2.get_paginator("describe_instance_type_offerings").paginate(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": ["t3.micro"]}]
    )
    zones = {offer["Location"] for page in offered for offer in page["InstanceTypeOfferings"]}
    known = {zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]}
    assert zones and zones <= known
    assert "us-east-1" in {region["RegionName"] for region in ec2.describe_regions()["Regions"]}


def test_the_default_network(ec2):
    [vpc] = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    inside = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
    pages = ec2.get_paginator("describe_subnets").paginate(Filters=inside)
    subnets = [subnet for page in pages for subnet in page["Subnets"]]
    assert len({subnet["AvailabilityZone"] for subnet in subnets}) == len(subnets) >= 3
    assert all(subnet["DefaultForAz"] and subnet["MapPublicIpOnLaunch"] for subnet in subnets)
    default = [*inside, {"Name": "group-name", "Values": ["default"]}]
    assert len(ec2.describe_security_groups(Filters=default)["SecurityGroups"]) == 1


def test_security_groups_and_their_rules(ec2, name, refused):
    group = ec2.create_security_group(GroupName=name, Description="interop")["GroupId"]
    ec2.get_waiter("security_group_exists").wait(GroupIds=[group], WaiterConfig=FAST)
    refused("InvalidGroup.Duplicate", ec2.create_security_group, GroupName=name, Description="interop")
    ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
    blocks = [{"CidrIp": f"10.0.{n}.0/24", "Description": f"block {n}"} for n in range(6)]
    rules = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[{**ssh, "IpRanges": blocks}])
    ids = {rule["SecurityGroupRuleId"] for rule in rules["SecurityGroupRules"]}
    assert len(ids) == 6
    again = [{**ssh, "IpRanges": blocks[:1]}]
    refused("InvalidPermission.Duplicate", ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=again)
    pages = ec2.get_paginator("describe_security_group_rules").paginate(
        Filters=[{"Name": "group-id", "Values": [group]}], PaginationConfig={"PageSize": 5}
    )
    listed = [rule for page in pages for rule in page["SecurityGroupRules"]]
    assert len(listed) == 7, "and the one that lets everything out"
    assert {rule["SecurityGroupRuleId"] for rule in listed if not rule["IsEgress"]} == ids
    ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=sorted(ids)[:5])
    [permission] = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"]
    assert len(permission["IpRanges"]) == 1 and permission["FromPort"] == 22
    itself = [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=itself)
    wrong = [{"IpProtocol": "tcp", "FromPort": 9, "ToPort": 1, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    refused("InvalidParameterValue", ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=wrong)
    ec2.delete_security_group(GroupId=group)
    refused("InvalidGroup.NotFound", ec2.describe_security_groups, GroupIds=[group])


def test_a_group_in_use_stays(ec2, run, name, refused):
    group = ec2.create_security_group(GroupName=name, Description="interop")["GroupId"]
    [instance] = run(SecurityGroupIds=[group])
    assert [each["GroupId"] for each in instance["SecurityGroups"]] == [group]
    refused("DependencyViolation", ec2.delete_security_group, GroupId=group)
    ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])
    wait(ec2, "instance_terminated", instance["InstanceId"])
    ec2.delete_security_group(GroupId=group)


def test_key_pairs(ec2, name, refused):
    pair = ec2.import_key_pair(KeyName=name, PublicKeyMaterial=KEY.encode())
    ec2.get_waiter("key_pair_exists").wait(KeyNames=[name], WaiterConfig=FAST)
    refused("InvalidKeyPair.Duplicate", ec2.import_key_pair, KeyName=name, PublicKeyMaterial=KEY.encode())
    refused("InvalidKey.Format", ec2.import_key_pair, KeyName=f"{name}-2", PublicKeyMaterial=b"no key")
    [found] = ec2.describe_key_pairs(KeyNames=[name], IncludePublicKey=True)["KeyPairs"]
    assert (found["KeyPairId"], found["KeyFingerprint"]) == (pair["KeyPairId"], pair["KeyFingerprint"])
    assert found["PublicKey"].split()[:2] == KEY.split()[:2] and found["KeyType"] == "ed25519"
    ec2.delete_key_pair(KeyName=name)
    ec2.delete_key_pair(KeyName=name)  # of what is not there it says nothing
    refused("InvalidKeyPair.NotFound", ec2.describe_key_pairs, KeyNames=[name])


def test_an_address_moves_with_its_association(ec2, run, refused):
    [instance] = run()
    wait(ec2, "instance_running", instance["InstanceId"])
    address = ec2.allocate_address(Domain="vpc")
    association = ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=instance["InstanceId"])
    [found] = ec2.describe_addresses(AllocationIds=[address["AllocationId"]])["Addresses"]
    assert found["InstanceId"] == instance["InstanceId"] and found["PublicIp"] == address["PublicIp"]
    described = ec2.describe_instances(InstanceIds=[instance["InstanceId"]])["Reservations"][0]["Instances"][0]
    assert described["PublicIpAddress"] == address["PublicIp"]
    refused("InvalidIPAddress.InUse", ec2.release_address, AllocationId=address["AllocationId"])
    ec2.disassociate_address(AssociationId=association["AssociationId"])
    ec2.release_address(AllocationId=address["AllocationId"])
    refused("InvalidAllocationID.NotFound", ec2.describe_addresses, AllocationIds=[address["AllocationId"]])


def test_tags(ec2, run):
    [instance] = run()
    ec2.create_tags(Resources=[instance["InstanceId"]], Tags=[{"Key": f"k{n}", "Value": f"v{n}"} for n in range(7)])
    pages = ec2.get_paginator("describe_tags").paginate(
        Filters=[{"Name": "resource-id", "Values": [instance["InstanceId"]]}], PaginationConfig={"PageSize": 5}
    )
    found = {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}
    assert found.pop("Name") and found == {f"k{n}": f"v{n}" for n in range(7)}
    ec2.delete_tags(Resources=[instance["InstanceId"]], Tags=[{"Key": "k0"}, {"Key": "k1", "Value": "another"}])
    described = ec2.describe_instances(InstanceIds=[instance["InstanceId"]])["Reservations"][0]["Instances"][0]
    left = {tag["Key"] for tag in described["Tags"]}
    assert "k0" not in left and "k1" in left, "a tag of another value stays"


def test_the_root_volume_goes_with_its_instance(ec2, run, refused):
    disk = {"VolumeSize": 20, "VolumeType": "gp3", "Encrypted": True, "DeleteOnTermination": True}
    [instance] = run(BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": disk}])
    wait(ec2, "instance_running", instance["InstanceId"])
    described = ec2.describe_instances(InstanceIds=[instance["InstanceId"]])["Reservations"][0]["Instances"][0]
    volume = described["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    ec2.get_waiter("volume_in_use").wait(VolumeIds=[volume], WaiterConfig=FAST)
    [found] = ec2.describe_volumes(VolumeIds=[volume])["Volumes"]
    assert (found["Size"], found["VolumeType"], found["Encrypted"]) == (20, "gp3", True)
    ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])
    wait(ec2, "instance_terminated", instance["InstanceId"])
    ec2.get_waiter("volume_deleted").wait(VolumeIds=[volume], WaiterConfig=FAST)


@pytest.mark.pinfra
def test_user_data_runs_as_the_role_of_the_instance(client, ec2, run, name, bucket):
    """boto3 on the machine: keys from the metadata service, the endpoint from the environment."""
    import sys

    iam = client("iam")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
    may = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/from/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [may]})
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy)
    iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    script = f"""#!/bin/sh
cat > "$PINFRA_ROOT/program.py" <<'PROGRAM'
import boto3
me = boto3.client("sts", region_name="us-east-1").get_caller_identity()["Arn"]
s3 = boto3.client("s3", region_name="us-east-1")
s3.put_object(Bucket="{bucket}", Key="from/machine", Body=me.encode())
try:
    s3.get_object(Bucket="{bucket}", Key="from/machine")
except s3.exceptions.ClientError as error:
    print("and it may no more:", error.response["Error"]["Code"])
PROGRAM
{sys.executable} "$PINFRA_ROOT/program.py"
"""
    metadata = {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}
    [instance] = run(UserData=script, IamInstanceProfile={"Name": name}, MetadataOptions=metadata)
    instance = instance["InstanceId"]

    def console():
        # botocore decodes the output.
        return "and it may no more" in (said := ec2.get_console_output(InstanceId=instance).get("Output", "")) and said

    assert "and it may no more: AccessDenied" in until(console, "user data is done")
    who = client("s3").get_object(Bucket=bucket, Key="from/machine")["Body"].read().decode()
    assert who.endswith(f":assumed-role/{name}/{instance}")
    ec2.terminate_instances(InstanceIds=[instance])
    wait(ec2, "instance_terminated", instance)
    iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=name)
    iam.delete_instance_profile(InstanceProfileName=name)
    iam.delete_role_policy(RoleName=name, PolicyName="p")
    iam.delete_role(RoleName=name)


def test_as_it_is_typed(aws, name):
    image = aws("ssm", "get-parameter", "--name", UBUNTU, "--query", "Parameter.Value", "--output", "text").strip()
    words = [
        "--image-id",
        image,
        "--instance-type",
        "t3.nano",
        "--user-data",
        "#!/bin/sh\necho hello from $PINFRA_ROOT\n",
    ]
    tags = f"ResourceType=instance,Tags=[{{Key=Name,Value={name}}}]"
    query = ["--query", "Instances[0].InstanceId", "--output", "text"]
    instance = aws("ec2", "run-instances", *words, "--tag-specifications", tags, *query).strip()
    ids = ["--instance-ids", instance]
    aws("ec2", "wait", "instance-running", *ids)
    listed = ["--filters", f"Name=tag:Name,Values={name}", "--query", "Reservations[].Instances[].InstanceId"]
    assert aws("ec2", "describe-instances", *listed, "--output", "text").strip() == instance
    until(
        lambda: "hello from /" in aws("ec2", "get-console-output", "--instance-id", instance, "--output", "text"),
        "the console has what user data said",
    )
    aws("ec2", "stop-instances", *ids)
    aws("ec2", "wait", "instance-stopped", *ids)
    aws("ec2", "terminate-instances", *ids)
    aws("ec2", "wait", "instance-terminated", *ids)
    assert "InvalidInstanceID.Malformed" in aws("ec2", "describe-instances", "--instance-ids", "x", fails=True)
