"""The calls that `record.py` makes: chosen for what is hard on the wire, not for coverage of operations."""

import dataclasses
import datetime
import json
import shlex

ACCOUNT = "123456789012"
CLUSTER = f"arn:aws:kafka:us-east-1:{ACCOUNT}:cluster/pins/3f9a2c1e-7c1b-4d53-9a57-0a1b2c3d4e5f-2"
CONFIGURATION = f"arn:aws:kafka:us-east-1:{ACCOUNT}:configuration/pins/0c1d2e3f-1111-2222-3333-444455556666-3"
CONNECTOR = f"arn:aws:kafkaconnect:us-east-1:{ACCOUNT}:connector/pins sink/7c1b4d53-1111-2222-3333-444455556666-4"
PLUGIN = f"arn:aws:kafkaconnect:us-east-1:{ACCOUNT}:custom-plugin/s3-sink/9a57-0a1b-4"
STAGE = "arn:aws:apigateway:us-east-1::/restapis/a1b2c3d4e5/stages/prod"
STREAM = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/pins-pin"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/pins/client"
KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"

NOON = datetime.datetime(2024, 2, 29, 12, 0, 0, tzinfo=datetime.UTC)
# Every character that a serialiser somewhere gets wrong.
ODD = "a b+c%20d&e=f/g?h#i~j'k\"l<m>n\\o,é€漢😀"
EVERY_BYTE = bytes(range(256))

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    },
    indent=2,
)
POLICY = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["kinesis:Put*"],"Resource":"STREAM"}]}'.replace(
        "STREAM", STREAM
    )
)


@dataclasses.dataclass
class Call:
    """A call of boto3. `means` is set where boto3 itself changes an argument before it is serialised."""

    operation: str
    arguments: dict = dataclasses.field(default_factory=dict)
    means: dict | None = None
    presigned: bool = False
    session_token: str | None = None
    config: dict = dataclasses.field(default_factory=dict)

    @property
    def expect(self):
        return self.arguments if self.means is None else self.means


@dataclasses.dataclass
class Line:
    """A line of the AWS CLI (words after `aws`) and what it means."""

    operation: str
    line: str
    expect: dict

    @property
    def words(self):
        return shlex.split(self.line)


def tags(**values):
    return [{"Key": key, "Value": value} for key, value in values.items()]


SCRIPT = "#!/bin/bash\necho 'hello & welcome' > /tmp/é\n"
SCRIPT_BASE64 = "IyEvYmluL2Jhc2gKZWNobyAnaGVsbG8gJiB3ZWxjb21lJyA+IC90bXAvw6kK"

RUN_INSTANCES = {
    "ImageId": "ami-0abcdef1234567890",
    "InstanceType": "t3.small",
    "MinCount": 1,
    "MaxCount": 1,
    "ClientToken": "pins-client-1",
    "EbsOptimized": True,
    "SecurityGroupIds": ["sg-0a", "sg-0b"],
    "IamInstanceProfile": {"Name": "pins-client"},
    "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
    "BlockDeviceMappings": [
        {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 16, "VolumeType": "gp3", "Encrypted": True}},
        {"DeviceName": "/dev/xvdb", "NoDevice": ""},
    ],
    "TagSpecifications": [
        {"ResourceType": "instance", "Tags": tags(Name="pins client", owner=ODD)},
        {"ResourceType": "volume", "Tags": tags(Name="pins client")},
    ],
    "UserData": SCRIPT,
}

CREATE_CLUSTER = {
    "ClusterName": "pins",
    "Tags": {"pinfra:stack": "pins", "note": ODD},
    "Provisioned": {
        "KafkaVersion": "3.6.0",
        "NumberOfBrokerNodes": 3,
        "BrokerNodeGroupInfo": {
            "InstanceType": "kafka.t3.small",
            "ClientSubnets": ["subnet-0a", "subnet-0b", "subnet-0c"],
            "SecurityGroups": ["sg-0a"],
            "StorageInfo": {"EbsStorageInfo": {"VolumeSize": 10}},
            "ConnectivityInfo": {"PublicAccess": {"Type": "DISABLED"}},
        },
        "ClientAuthentication": {"Sasl": {"Iam": {"Enabled": True}}, "Unauthenticated": {"Enabled": False}},
        "EncryptionInfo": {"EncryptionInTransit": {"ClientBroker": "TLS", "InCluster": True}},
        "ConfigurationInfo": {"Arn": CONFIGURATION, "Revision": 1},
    },
}

CREATE_CONNECTOR = {
    "connectorName": "pins-sink",
    "capacity": {"provisionedCapacity": {"mcuCount": 1, "workerCount": 1}},
    "connectorConfiguration": {"connector.class": "io.confluent.connect.s3.S3SinkConnector", "topics": ODD},
    "kafkaCluster": {
        "apacheKafkaCluster": {
            "bootstrapServers": "b-1.pins:9098,b-2.pins:9098",
            "vpc": {"subnets": ["subnet-0a", "subnet-0b"], "securityGroups": []},
        }
    },
    "kafkaClusterClientAuthentication": {"authenticationType": "IAM"},
    "kafkaClusterEncryptionInTransit": {"encryptionType": "TLS"},
    "kafkaConnectVersion": "2.7.1",
    "plugins": [{"customPlugin": {"customPluginArn": PLUGIN, "revision": 1}}],
    "serviceExecutionRoleArn": ROLE,
    "logDelivery": {"workerLogDelivery": {"cloudWatchLogs": {"enabled": True, "logGroup": "/pins/sink"}}},
}

BOTO3 = {
    "kinesis": [
        Call(
            "CreateStream", {"StreamName": "pins-pin", "ShardCount": 2, "Tags": {"pinfra:stack": "pins", "note": ODD}}
        ),
        Call("CreateStream", {"StreamName": "pins-pin", "StreamModeDetails": {"StreamMode": "ON_DEMAND"}}),
        Call("PutRecord", {"StreamName": "pins-pin", "PartitionKey": ODD, "Data": EVERY_BYTE}),
        Call(
            "PutRecords",
            {
                "StreamARN": STREAM,
                "Records": [
                    {"PartitionKey": "1", "Data": b""},
                    {"PartitionKey": "2", "Data": b"\xff\xfe", "ExplicitHashKey": str(2**127)},
                ],
            },
        ),
        Call(
            "GetShardIterator",
            {
                "StreamName": "pins-pin",
                "ShardId": "shardId-000000000000",
                "ShardIteratorType": "AT_TIMESTAMP",
                "Timestamp": NOON,
            },
        ),
        Call(
            "ListShards",
            {"StreamName": "pins-pin", "ShardFilter": {"Type": "FROM_TIMESTAMP", "Timestamp": NOON}, "MaxResults": 1},
        ),
        Call("ListStreams"),
        Call("RemoveTagsFromStream", {"StreamName": "pins-pin", "TagKeys": ["note", "clé"]}),
    ],
    "sts": [
        Call("GetCallerIdentity"),
        Call("GetCallerIdentity", presigned=True),
        Call("GetCallerIdentity", session_token="FwoGZXIvYXdzEXAMPLE+/token=="),
        Call("GetCallerIdentity", presigned=True, session_token="FwoGZXIvYXdzEXAMPLE+/token=="),
        Call(
            "AssumeRole",
            {
                "RoleArn": ROLE,
                "RoleSessionName": "pins@client",
                "DurationSeconds": 900,
                "Policy": POLICY,
                "PolicyArns": [{"arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}],
                "Tags": tags(note=ODD, team="data"),
                "TransitiveTagKeys": ["team"],
            },
        ),
    ],
    "ssm": [
        Call("GetParameter", {"Name": "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"}),
        Call("GetParameters", {"Names": ["/pins/a", "/pins/b"], "WithDecryption": True}),
        Call(
            "GetParametersByPath",
            {
                "Path": "/aws/service/",
                "Recursive": True,
                "ParameterFilters": [{"Key": "Type", "Option": "Equals", "Values": ["String", "StringList"]}],
                "MaxResults": 10,
            },
        ),
        Call("PutParameter", {"Name": "/pins/note", "Value": ODD, "Type": "SecureString", "Tags": tags(team="data")}),
    ],
    "resourcegroupstaggingapi": [
        Call("GetResources"),
        Call(
            "GetResources",
            {
                "PaginationToken": "eyJ0b2tlbiI6MX0=",
                "TagFilters": [{"Key": "pinfra:stack", "Values": ["pins", ODD]}, {"Key": "team"}],
                "ResourcesPerPage": 100,
                "ResourceTypeFilters": ["kinesis:stream", "s3"],
                "IncludeComplianceDetails": False,
            },
        ),
        Call("GetResources", {"ResourceARNList": [STREAM, CLUSTER]}),
    ],
    "iam": [
        Call(
            "CreateRole",
            {
                "RoleName": "pins+client=1,2.3@4-5",
                "Path": "/pins/",
                "AssumeRolePolicyDocument": TRUST,
                "Description": "client of pins: é, tab\tand newline\n",
                "MaxSessionDuration": 3600,
                "Tags": tags(note="a b+c=d/e@f:é", team=""),
            },
        ),
        Call("PutRolePolicy", {"RoleName": "client", "PolicyName": "put", "PolicyDocument": POLICY}),
        Call("UntagRole", {"RoleName": "client", "TagKeys": ["note", "team"]}),
        Call("ListRoles", {"PathPrefix": "/pins/", "MaxItems": 100}),
        Call(
            "SimulatePrincipalPolicy",
            {
                "PolicySourceArn": ROLE,
                "ActionNames": ["kinesis:PutRecord", "s3:GetObject"],
                "ResourceArns": [STREAM],
                "ContextEntries": [
                    {
                        "ContextKeyName": "aws:SourceIp",
                        "ContextKeyValues": ["10.0.0.1", "10.0.0.2"],
                        "ContextKeyType": "ipList",
                    },
                    {
                        "ContextKeyName": "aws:SecureTransport",
                        "ContextKeyValues": ["true"],
                        "ContextKeyType": "boolean",
                    },
                ],
            },
        ),
        Call("GetUser"),
    ],
    "apigateway": [
        Call(
            "CreateRestApi",
            {
                "name": "pins api",
                "description": ODD,
                "binaryMediaTypes": ["*/*"],
                "minimumCompressionSize": 0,
                "endpointConfiguration": {"types": ["REGIONAL"]},
                "disableExecuteApiEndpoint": False,
                "tags": {"pinfra:stack": "pins", "note": ODD},
            },
        ),
        Call(
            "PutRestApi",
            {
                "restApiId": "a1b2c3d4e5",
                "mode": "overwrite",
                "failOnWarnings": True,
                "parameters": {"basepath": "prepend", "endpointConfigurationTypes": "REGIONAL"},
                "body": '{"openapi":"3.0.1","info":{"title":"é"}}'.encode(),
            },
        ),
        Call(
            "PutIntegration",
            {
                "restApiId": "a1b2c3d4e5",
                "resourceId": "abc123",
                "httpMethod": "PUT",
                "type": "AWS",
                "integrationHttpMethod": "POST",
                "uri": "arn:aws:apigateway:us-east-1:kinesis:action/PutRecord",
                "credentials": ROLE,
                "requestParameters": {"integration.request.header.Content-Type": "'application/x-amz-json-1.1'"},
                "requestTemplates": {"application/json": '#set($x = $input.path("$.data"))\n{"Data": "$x"}'},
                "timeoutInMillis": 29000,
            },
        ),
        Call(
            "UpdateStage",
            {
                "restApiId": "a1b2c3d4e5",
                "stageName": "prod",
                "patchOperations": [
                    {"op": "replace", "path": "/~1pets~1{id}/GET/throttling/rateLimit", "value": "10.5"},
                    {"op": "remove", "path": "/variables/old"},
                ],
            },
        ),
        Call("UntagResource", {"resourceArn": STAGE, "tagKeys": ["a b", "c&d=e", "é+"]}),
        Call("TagResource", {"resourceArn": STAGE, "tags": {"note": ODD}}),
        Call("GetResources", {"restApiId": "a1b2c3d4e5", "limit": 500, "embed": ["methods"]}),
        Call(
            "GetExport",
            {
                "restApiId": "a1b2c3d4e5",
                "stageName": "prod",
                "exportType": "oas30",
                "parameters": {"extensions": "integrations"},
                "accepts": "application/yaml",
            },
        ),
        Call("GetAccount"),
        Call("DeleteRestApi", {"restApiId": "a1b2c3d4e5"}),
    ],
    "kafka": [
        Call("CreateClusterV2", CREATE_CLUSTER),
        Call("DescribeClusterV2", {"ClusterArn": CLUSTER}),
        Call("ListClustersV2", {"ClusterNameFilter": "pins +1/é", "MaxResults": 10, "NextToken": "a+b/c=="}),
        Call(
            "CreateConfiguration",
            {"Name": "pins", "KafkaVersions": ["3.6.0"], "ServerProperties": b"auto.create.topics.enable=false\n"},
        ),
        Call("UntagResource", {"ResourceArn": CLUSTER, "TagKeys": ["pinfra:stack", "a b&c"]}),
        Call("UpdateBrokerCount", {"ClusterArn": CLUSTER, "CurrentVersion": "K3", "TargetNumberOfBrokerNodes": 6}),
        Call("DeleteCluster", {"ClusterArn": CLUSTER, "CurrentVersion": "K3AEGXETSR30VB"}),
    ],
    "kafkaconnect": [
        Call("CreateConnector", CREATE_CONNECTOR),
        Call("DescribeConnector", {"connectorArn": CONNECTOR}),
        Call("ListConnectors", {"connectorNamePrefix": "pins +é", "maxResults": 5}),
        Call("UntagResource", {"resourceArn": CONNECTOR, "tagKeys": ["a", "b c"]}),
        Call(
            "UpdateConnector",
            {
                "connectorArn": CONNECTOR,
                "currentVersion": "K3",
                "capacity": {
                    "autoScaling": {
                        "mcuCount": 1,
                        "minWorkerCount": 1,
                        "maxWorkerCount": 2,
                        "scaleInPolicy": {"cpuUtilizationPercentage": 20},
                        "scaleOutPolicy": {"cpuUtilizationPercentage": 80},
                    }
                },
            },
        ),
    ],
    "ec2": [
        Call("RunInstances", RUN_INSTANCES, means={**RUN_INSTANCES, "UserData": SCRIPT_BASE64}),
        Call(
            "DescribeInstances",
            {
                "Filters": [
                    {"Name": "tag:pinfra:stack", "Values": ["pins", ODD]},
                    {"Name": "instance-state-name", "Values": ["running"]},
                ],
                "MaxResults": 50,
            },
        ),
        Call(
            "AuthorizeSecurityGroupIngress",
            {
                "GroupId": "sg-0a",
                "IpPermissions": [
                    {
                        "IpProtocol": "tcp",
                        "FromPort": 8082,
                        "ToPort": 8082,
                        "IpRanges": [
                            {"CidrIp": "0.0.0.0/0", "Description": "gateway, all of it"},
                            {"CidrIp": "10.0.0.0/8"},
                        ],
                        "Ipv6Ranges": [{"CidrIpv6": "::/0"}],
                    },
                    {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "sg-0b", "UserId": ACCOUNT}]},
                ],
                "TagSpecifications": [{"ResourceType": "security-group-rule", "Tags": tags(team="data")}],
            },
        ),
        Call("ImportKeyPair", {"KeyName": "pins", "PublicKeyMaterial": b"ssh-ed25519 AAAAC3Nz+/= me@laptop"}),
        Call("CreateTags", {"Resources": ["i-0a", "vol-0b"], "Tags": tags(note=ODD), "DryRun": False}),
        Call("ModifyInstanceAttribute", {"InstanceId": "i-0a", "DisableApiTermination": {"Value": True}}),
        Call(
            "CreateVpcEndpoint",
            {
                "VpcId": "vpc-0a",
                "ServiceName": "com.amazonaws.us-east-1.s3",
                "RouteTableIds": ["rtb-0a", "rtb-0b"],
                "PolicyDocument": POLICY,
            },
        ),
        Call("DescribeRegions"),
    ],
    "s3": [
        Call("CreateBucket", {"Bucket": "pins-lake"}),
        Call(
            "PutObject",
            {
                "Bucket": "pins-lake",
                "Key": "topics/pins.pin/partition=0/pins.pin+0+0000000000.json",
                "Body": EVERY_BYTE,
                "Metadata": {"note": "a b+c"},
                "Tagging": "team=data&note=a%20b",
                "IfNoneMatch": "*",
            },
        ),
        Call(
            "GetObject", {"Bucket": "pins-lake", "Key": ODD, "Range": "bytes=0-9", "ResponseContentType": "text/plain"}
        ),
        Call("HeadObject", {"Bucket": "pins-lake", "Key": "a//b/../c/./d "}),
        Call(
            "ListObjectsV2",
            {"Bucket": "pins-lake", "Prefix": "topics/a+b c/é", "Delimiter": "/", "StartAfter": "x+y z", "MaxKeys": 2},
        ),
        Call("DeleteObjects", {"Bucket": "pins-lake", "Delete": {"Objects": [{"Key": ODD}, {"Key": "b+c"}]}}),
        Call(
            "CopyObject",
            {"Bucket": "pins-lake", "Key": "b c", "CopySource": {"Bucket": "pins-lake", "Key": "a+b é"}},
            means={"Bucket": "pins-lake", "Key": "b c", "CopySource": "pins-lake/a%2Bb%20%C3%A9"},
        ),
        Call(
            "UploadPart",
            {"Bucket": "pins-lake", "Key": "big", "PartNumber": 1, "UploadId": "a.b-c_d+/=", "Body": b"part"},
        ),
        Call("PutBucketTagging", {"Bucket": "pins-lake", "Tagging": {"TagSet": tags(note=ODD, team="data")}}),
        Call("PutBucketPolicy", {"Bucket": "pins-lake", "Policy": POLICY}),
        Call("GetObject", {"Bucket": "pins-lake", "Key": "a b+c/é"}, presigned=True),
        Call(
            "GetObject", {"Bucket": "pins-lake", "Key": "a b+c/é"}, presigned=True, config={"signature_version": "s3v4"}
        ),
        Call(
            "PutObject",
            {"Bucket": "pins-lake", "Key": "a b+c/é", "Body": b"by anyone"},
            presigned=True,
            config={"signature_version": "s3v4"},
        ),
    ],
}

# Files in the folder where the AWS CLI runs.
FILES = {
    "record.bin": EVERY_BYTE,
    "trust.json": TRUST.encode(),
    "policy.json": POLICY.encode(),
    "odd.txt": ODD.encode(),
    "user-data.sh": SCRIPT.encode(),
    "key.pub": b"ssh-ed25519 AAAAC3Nz+/= me@laptop",
    "server.properties": b"auto.create.topics.enable=false\n",
    "openapi.json": '{"openapi":"3.0.1","info":{"title":"é"}}'.encode(),
    "cluster.json": json.dumps(CREATE_CLUSTER).encode(),
    "connector.json": json.dumps(CREATE_CONNECTOR).encode(),
}

CLI = {
    "kinesis": [
        Line(
            "CreateStream",
            "kinesis create-stream --stream-name pins-pin --shard-count 2 --tags team=data,note='a b'",
            {"StreamName": "pins-pin", "ShardCount": 2, "Tags": {"team": "data", "note": "a b"}},
        ),
        Line(
            "PutRecord",
            "kinesis put-record --stream-name pins-pin --partition-key 'clé +1' --data 'hello, é'",
            {"StreamName": "pins-pin", "PartitionKey": "clé +1", "Data": "hello, é".encode()},
        ),
        Line(
            "PutRecord",
            "kinesis put-record --stream-name pins-pin --partition-key 1 --data fileb://record.bin",
            {"StreamName": "pins-pin", "PartitionKey": "1", "Data": EVERY_BYTE},
        ),
        Line(
            "PutRecords",
            "kinesis put-records --stream-name pins-pin --records Data=a,PartitionKey=1 Data=b,PartitionKey=2",
            {
                "StreamName": "pins-pin",
                "Records": [{"Data": b"a", "PartitionKey": "1"}, {"Data": b"b", "PartitionKey": "2"}],
            },
        ),
        Line(
            "GetShardIterator",
            "kinesis get-shard-iterator --stream-arn " + STREAM + " --shard-id shardId-000000000000"
            " --shard-iterator-type AT_TIMESTAMP --timestamp 2024-02-29T12:00:00Z",
            {
                "StreamARN": STREAM,
                "ShardId": "shardId-000000000000",
                "ShardIteratorType": "AT_TIMESTAMP",
                "Timestamp": NOON,
            },
        ),
        Line("DescribeLimits", "kinesis describe-limits", {}),
    ],
    "sts": [
        Line("GetCallerIdentity", "sts get-caller-identity", {}),
        Line(
            "AssumeRole",
            f"sts assume-role --role-arn {ROLE} --role-session-name pins --duration-seconds 900"
            " --policy file://policy.json --tags Key=team,Value='a b' --transitive-tag-keys team",
            {
                "RoleArn": ROLE,
                "RoleSessionName": "pins",
                "DurationSeconds": 900,
                "Policy": POLICY,
                "Tags": tags(team="a b"),
                "TransitiveTagKeys": ["team"],
            },
        ),
    ],
    "ssm": [
        Line(
            "PutParameter",
            "ssm put-parameter --name /pins/note --type String --value file://odd.txt --overwrite",
            {"Name": "/pins/note", "Type": "String", "Value": ODD, "Overwrite": True},
        ),
        Line(
            "GetParametersByPath",
            "ssm get-parameters-by-path --path /pins --no-recursive --max-items 5"
            " --parameter-filters Key=Type,Option=Equals,Values=String,StringList",
            {
                "Path": "/pins",
                "Recursive": False,
                "ParameterFilters": [{"Key": "Type", "Option": "Equals", "Values": ["String", "StringList"]}],
            },
        ),
        Line(
            "GetParameters",
            "ssm get-parameters --names /pins/a /pins/b --with-decryption",
            {"Names": ["/pins/a", "/pins/b"], "WithDecryption": True},
        ),
    ],
    "resourcegroupstaggingapi": [
        Line("GetResources", "resourcegroupstaggingapi get-resources", {}),
        Line(
            "GetResources",
            "resourcegroupstaggingapi get-resources --tag-filters Key=pinfra:stack,Values=pins,'a b' Key=team"
            " --resource-type-filters kinesis:stream s3 --page-size 50",
            {
                "TagFilters": [{"Key": "pinfra:stack", "Values": ["pins", "a b"]}, {"Key": "team"}],
                "ResourceTypeFilters": ["kinesis:stream", "s3"],
                "ResourcesPerPage": 50,
            },
        ),
    ],
    "iam": [
        Line(
            "CreateRole",
            "iam create-role --role-name pins-client --path /pins/ --assume-role-policy-document file://trust.json"
            " --description 'a b+c%20d' --tags Key=team,Value=data Key=note,Value='a b+c'",
            {
                "RoleName": "pins-client",
                "Path": "/pins/",
                "AssumeRolePolicyDocument": TRUST,
                "Description": "a b+c%20d",
                "Tags": tags(team="data", note="a b+c"),
            },
        ),
        Line(
            "UntagRole",
            "iam untag-role --role-name pins-client --tag-keys team note",
            {"RoleName": "pins-client", "TagKeys": ["team", "note"]},
        ),
        Line("ListRoles", "iam list-roles --path-prefix /pins/ --page-size 7", {"PathPrefix": "/pins/", "MaxItems": 7}),
    ],
    "apigateway": [
        Line(
            "UpdateRestApi",
            "apigateway update-rest-api --rest-api-id a1b2c3d4e5 --patch-operations"
            " op=add,path=/binaryMediaTypes/image~1png op=replace,path=/name,value='pins é'",
            {
                "restApiId": "a1b2c3d4e5",
                "patchOperations": [
                    {"op": "add", "path": "/binaryMediaTypes/image~1png"},
                    {"op": "replace", "path": "/name", "value": "pins é"},
                ],
            },
        ),
        Line(
            "PutRestApi",
            "apigateway put-rest-api --rest-api-id a1b2c3d4e5 --mode merge --no-fail-on-warnings"
            " --parameters basepath=prepend --body fileb://openapi.json",
            {
                "restApiId": "a1b2c3d4e5",
                "mode": "merge",
                "failOnWarnings": False,
                "parameters": {"basepath": "prepend"},
                "body": FILES["openapi.json"],
            },
        ),
        Line(
            "UntagResource",
            f"apigateway untag-resource --resource-arn {STAGE} --tag-keys 'a b' c+d",
            {"resourceArn": STAGE, "tagKeys": ["a b", "c+d"]},
        ),
        Line(
            "GetApiKeys",
            "apigateway get-api-keys --name-query 'pins +' --include-values --page-size 5",
            {"nameQuery": "pins +", "includeValues": True, "limit": 5},
        ),
    ],
    "kafka": [
        Line("CreateClusterV2", "kafka create-cluster-v2 --cli-input-json file://cluster.json", CREATE_CLUSTER),
        Line("DescribeClusterV2", f"kafka describe-cluster-v2 --cluster-arn {CLUSTER}", {"ClusterArn": CLUSTER}),
        Line(
            "CreateConfiguration",
            "kafka create-configuration --name pins --kafka-versions 3.6.0 3.7.x"
            " --server-properties fileb://server.properties",
            {
                "Name": "pins",
                "KafkaVersions": ["3.6.0", "3.7.x"],
                "ServerProperties": FILES["server.properties"],
            },
        ),
        Line(
            "TagResource",
            f"kafka tag-resource --resource-arn {CLUSTER} --tags team=data,note='a b'",
            {"ResourceArn": CLUSTER, "Tags": {"team": "data", "note": "a b"}},
        ),
        Line(
            "UntagResource",
            f"kafka untag-resource --resource-arn {CLUSTER} --tag-keys team note",
            {"ResourceArn": CLUSTER, "TagKeys": ["team", "note"]},
        ),
    ],
    "kafkaconnect": [
        Line(
            "CreateConnector", "kafkaconnect create-connector --cli-input-json file://connector.json", CREATE_CONNECTOR
        ),
        Line(
            "DescribeConnector",
            f"kafkaconnect describe-connector --connector-arn '{CONNECTOR}'",
            {"connectorArn": CONNECTOR},
        ),
        Line(
            "ListTagsForResource",
            f"kafkaconnect list-tags-for-resource --resource-arn {PLUGIN}",
            {"resourceArn": PLUGIN},
        ),
    ],
    "ec2": [
        Line(
            "RunInstances",
            "ec2 run-instances --image-id ami-0abcdef1234567890 --instance-type t3.small --count 1:2"
            " --client-token pins-client-1 --user-data file://user-data.sh --security-group-ids sg-0a sg-0b"
            " --block-device-mappings DeviceName=/dev/xvda,Ebs='{VolumeSize=16,Encrypted=true}'"
            " --tag-specifications 'ResourceType=instance,Tags=[{Key=Name,Value=pins client},{Key=team,Value=data}]'"
            " --metadata-options HttpTokens=required --no-dry-run",
            {
                "ImageId": "ami-0abcdef1234567890",
                "InstanceType": "t3.small",
                "MinCount": 1,
                "MaxCount": 2,
                "ClientToken": "pins-client-1",
                "UserData": SCRIPT_BASE64,
                "SecurityGroupIds": ["sg-0a", "sg-0b"],
                "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 16, "Encrypted": True}}],
                "TagSpecifications": [
                    {"ResourceType": "instance", "Tags": tags(Name="pins client", team="data")},
                ],
                "MetadataOptions": {"HttpTokens": "required"},
                "DryRun": False,
            },
        ),
        Line(
            "DescribeInstances",
            "ec2 describe-instances --instance-ids i-0a i-0b --filters Name=tag:team,Values=data,'a b'"
            " Name=instance-state-name,Values=running",
            {
                "InstanceIds": ["i-0a", "i-0b"],
                "Filters": [
                    {"Name": "tag:team", "Values": ["data", "a b"]},
                    {"Name": "instance-state-name", "Values": ["running"]},
                ],
            },
        ),
        Line(
            "AuthorizeSecurityGroupIngress",
            "ec2 authorize-security-group-ingress --group-id sg-0a --protocol tcp --port 8082-8083 --cidr 10.0.0.0/8",
            {
                "GroupId": "sg-0a",
                "IpPermissions": [
                    {"IpProtocol": "tcp", "FromPort": 8082, "ToPort": 8083, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
                ],
            },
        ),
        Line(
            "ImportKeyPair",
            "ec2 import-key-pair --key-name pins --public-key-material fileb://key.pub",
            {"KeyName": "pins", "PublicKeyMaterial": FILES["key.pub"]},
        ),
        Line(
            "ModifyInstanceAttribute",
            "ec2 modify-instance-attribute --instance-id i-0a --groups sg-0a sg-0b --dry-run",
            {"InstanceId": "i-0a", "Groups": ["sg-0a", "sg-0b"], "DryRun": True},
        ),
    ],
    "s3": [
        Line(
            "PutObject",
            "s3 cp record.bin 's3://pins-lake/topics/a+b c/é.bin'",
            {"Bucket": "pins-lake", "Key": "topics/a+b c/é.bin", "Body": EVERY_BYTE},
        ),
        Line(
            "ListObjectsV2",
            "s3 ls 's3://pins-lake/topics/a+b c'",
            {"Bucket": "pins-lake", "Prefix": "topics/a+b c", "Delimiter": "/", "EncodingType": "url"},
        ),
        Line(
            "PutObject",
            "s3api put-object --bucket pins-lake --key 'a b+c' --body odd.txt --metadata note='x y'",
            {"Bucket": "pins-lake", "Key": "a b+c", "Body": ODD.encode(), "Metadata": {"note": "x y"}},
        ),
        Line(
            "DeleteObject",
            "s3api delete-object --bucket pins-lake --key 'a b+c/é' --version-id null",
            {"Bucket": "pins-lake", "Key": "a b+c/é", "VersionId": "null"},
        ),
    ],
}
