//! STS, IAM, API Gateway, MSK, MSK Connect and EC2.

use aws_config::SdkConfig;
use serde_json::json;

use super::{ACCOUNT, ODD, POLICY, arn, base64, call, sdk};

pub async fn sts(config: &SdkConfig) {
    use aws_sdk_sts::types::{PolicyDescriptorType, Tag};

    let sdk = sdk!("sts", aws_sdk_sts, "aws-sdk-sts");
    let client = aws_sdk_sts::Client::new(config);
    call(sdk, "GetCallerIdentity", json!({}), client.get_caller_identity().send()).await;

    let role = format!("arn:aws:iam::{ACCOUNT}:role/pins/client");
    let read_only = "arn:aws:iam::aws:policy/ReadOnlyAccess";
    let sent = client
        .assume_role()
        .role_arn(&role)
        .role_session_name("pins@client")
        .duration_seconds(900)
        .policy(POLICY)
        .policy_arns(PolicyDescriptorType::builder().arn(read_only).build())
        .tags(Tag::builder().key("note").value(ODD).build().expect("complete"))
        .transitive_tag_keys("note")
        .send();
    let expect = json!({"RoleArn": role, "RoleSessionName": "pins@client", "DurationSeconds": 900, "Policy": POLICY,
        "PolicyArns": [{"arn": read_only}], "Tags": [{"Key": "note", "Value": ODD}], "TransitiveTagKeys": ["note"]});
    call(sdk, "AssumeRole", expect, sent).await;
}

pub async fn iam(config: &SdkConfig) {
    use aws_sdk_iam::types::Tag;

    let sdk = sdk!("iam", aws_sdk_iam, "aws-sdk-iam");
    let client = aws_sdk_iam::Client::new(config);
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build().expect("complete");

    let sent = client
        .create_role()
        .role_name("pins+client=1,2.3@4-5")
        .path("/pins/")
        .assume_role_policy_document(POLICY)
        .description("client of pins: é, tab\tand newline\n")
        .max_session_duration(3600)
        .tags(tag("note", "a b+c=d/e@f:é"))
        .tags(tag("team", ""))
        .send();
    let expect = json!({"RoleName": "pins+client=1,2.3@4-5", "Path": "/pins/", "AssumeRolePolicyDocument": POLICY,
        "Description": "client of pins: é, tab\tand newline\n", "MaxSessionDuration": 3600,
        "Tags": [{"Key": "note", "Value": "a b+c=d/e@f:é"}, {"Key": "team", "Value": ""}]});
    call(sdk, "CreateRole", expect, sent).await;

    let sent = client.untag_role().role_name("client").tag_keys("note").tag_keys("team").send();
    call(sdk, "UntagRole", json!({"RoleName": "client", "TagKeys": ["note", "team"]}), sent).await;

    let sent = client.put_role_policy().role_name("client").policy_name("put").policy_document(POLICY).send();
    let expect = json!({"RoleName": "client", "PolicyName": "put", "PolicyDocument": POLICY});
    call(sdk, "PutRolePolicy", expect, sent).await;

    let sent = client.list_roles().path_prefix("/pins/").max_items(7).marker("a+b/c==").send();
    call(sdk, "ListRoles", json!({"PathPrefix": "/pins/", "MaxItems": 7, "Marker": "a+b/c=="}), sent).await;
}

pub async fn api_gateway(config: &SdkConfig) {
    use aws_sdk_apigateway::primitives::Blob;
    use aws_sdk_apigateway::types::{EndpointConfiguration, EndpointType, Op, PatchOperation, PutMode};

    let sdk = sdk!("apigateway", aws_sdk_apigateway, "aws-sdk-apigateway");
    let client = aws_sdk_apigateway::Client::new(config);
    let stage = "arn:aws:apigateway:us-east-1::/restapis/a1b2c3d4e5/stages/prod";

    let sent = client
        .create_rest_api()
        .name("pins api")
        .description(ODD)
        .binary_media_types("*/*")
        .endpoint_configuration(EndpointConfiguration::builder().types(EndpointType::Regional).build())
        .tags("note", ODD)
        .send();
    let expect = json!({"name": "pins api", "description": ODD, "binaryMediaTypes": ["*/*"],
        "endpointConfiguration": {"types": ["REGIONAL"]}, "tags": {"note": ODD}});
    call(sdk, "CreateRestApi", expect, sent).await;

    let document = r#"{"openapi":"3.0.1","info":{"title":"é"}}"#;
    let sent = client
        .put_rest_api()
        .rest_api_id("a1b2c3d4e5")
        .mode(PutMode::Overwrite)
        .fail_on_warnings(true)
        .parameters("basepath", "prepend")
        .body(Blob::new(document))
        .send();
    let expect = json!({"restApiId": "a1b2c3d4e5", "mode": "overwrite", "failOnWarnings": true,
        "parameters": {"basepath": "prepend"}, "body": base64(document)});
    call(sdk, "PutRestApi", expect, sent).await;

    let limit = PatchOperation::builder().op(Op::Replace).path("/~1pets~1{id}/GET/throttling/rateLimit").value("10.5");
    let old = PatchOperation::builder().op(Op::Remove).path("/variables/old");
    let sent = client
        .update_stage()
        .rest_api_id("a1b2c3d4e5")
        .stage_name("prod")
        .patch_operations(limit.build())
        .patch_operations(old.build())
        .send();
    let expect = json!({"restApiId": "a1b2c3d4e5", "stageName": "prod", "patchOperations": [
        {"op": "replace", "path": "/~1pets~1{id}/GET/throttling/rateLimit", "value": "10.5"},
        {"op": "remove", "path": "/variables/old"}]});
    call(sdk, "UpdateStage", expect, sent).await;

    let sent = client.untag_resource().resource_arn(stage).tag_keys("a b").tag_keys("c&d=e").tag_keys("é+").send();
    call(sdk, "UntagResource", json!({"resourceArn": stage, "tagKeys": ["a b", "c&d=e", "é+"]}), sent).await;

    let sent = client.tag_resource().resource_arn(stage).tags("note", ODD).send();
    call(sdk, "TagResource", json!({"resourceArn": stage, "tags": {"note": ODD}}), sent).await;

    // The SDK asks every operation of API Gateway for JSON, and overwrites what the caller wanted.
    let sent = client
        .get_export()
        .rest_api_id("a1b2c3d4e5")
        .stage_name("prod")
        .export_type("oas30")
        .parameters("extensions", "integrations")
        .accepts("application/yaml")
        .send();
    let expect = json!({"restApiId": "a1b2c3d4e5", "stageName": "prod", "exportType": "oas30",
        "parameters": {"extensions": "integrations"}, "accepts": "application/json"});
    call(sdk, "GetExport", expect, sent).await;

    call(sdk, "GetAccount", json!({}), client.get_account().send()).await;

    let sent = client.delete_rest_api().rest_api_id("a1b2c3d4e5").send();
    call(sdk, "DeleteRestApi", json!({"restApiId": "a1b2c3d4e5"}), sent).await;
}

pub async fn kafka(config: &SdkConfig) {
    use aws_sdk_kafka::primitives::Blob;
    use aws_sdk_kafka::types::{
        BrokerNodeGroupInfo, ClientAuthentication, EbsStorageInfo, Iam, ProvisionedRequest, Sasl, StorageInfo,
    };

    let sdk = sdk!("kafka", aws_sdk_kafka, "aws-sdk-kafka");
    let client = aws_sdk_kafka::Client::new(config);
    let cluster = arn("kafka", "cluster/pins/3f9a2c1e-7c1b-4d53-9a57-0a1b2c3d4e5f-2");

    let volume = EbsStorageInfo::builder().volume_size(10).build();
    let brokers = BrokerNodeGroupInfo::builder()
        .instance_type("kafka.t3.small")
        .client_subnets("subnet-0a")
        .client_subnets("subnet-0b")
        .security_groups("sg-0a")
        .storage_info(StorageInfo::builder().ebs_storage_info(volume).build());
    let sasl = Sasl::builder().iam(Iam::builder().enabled(true).build()).build();
    let provisioned = ProvisionedRequest::builder()
        .kafka_version("3.6.0")
        .number_of_broker_nodes(2)
        .broker_node_group_info(brokers.build())
        .client_authentication(ClientAuthentication::builder().sasl(sasl).build());
    let sent =
        client.create_cluster_v2().cluster_name("pins").tags("note", ODD).provisioned(provisioned.build()).send();
    let expect = json!({"ClusterName": "pins", "Tags": {"note": ODD}, "Provisioned": {
        "KafkaVersion": "3.6.0",
        "NumberOfBrokerNodes": 2,
        "BrokerNodeGroupInfo": {
            "InstanceType": "kafka.t3.small",
            "ClientSubnets": ["subnet-0a", "subnet-0b"],
            "SecurityGroups": ["sg-0a"],
            "StorageInfo": {"EbsStorageInfo": {"VolumeSize": 10}},
        },
        "ClientAuthentication": {"Sasl": {"Iam": {"Enabled": true}}},
    }});
    call(sdk, "CreateClusterV2", expect, sent).await;

    let sent = client.describe_cluster_v2().cluster_arn(&cluster).send();
    call(sdk, "DescribeClusterV2", json!({"ClusterArn": cluster}), sent).await;

    let sent = client.list_clusters_v2().cluster_name_filter("pins +1/é").max_results(10).next_token("a+b/c==").send();
    let expect = json!({"ClusterNameFilter": "pins +1/é", "MaxResults": 10, "NextToken": "a+b/c=="});
    call(sdk, "ListClustersV2", expect, sent).await;

    let properties = "auto.create.topics.enable=false\n";
    let sent = client
        .create_configuration()
        .name("pins")
        .kafka_versions("3.6.0")
        .server_properties(Blob::new(properties))
        .send();
    let expect = json!({"Name": "pins", "KafkaVersions": ["3.6.0"], "ServerProperties": base64(properties)});
    call(sdk, "CreateConfiguration", expect, sent).await;

    let sent = client.untag_resource().resource_arn(&cluster).tag_keys("pinfra:stack").tag_keys("a b&c").send();
    call(sdk, "UntagResource", json!({"ResourceArn": cluster, "TagKeys": ["pinfra:stack", "a b&c"]}), sent).await;

    let sent = client.delete_cluster().cluster_arn(&cluster).current_version("K3AEGXETSR30VB").send();
    call(sdk, "DeleteCluster", json!({"ClusterArn": cluster, "CurrentVersion": "K3AEGXETSR30VB"}), sent).await;
}

pub async fn kafka_connect(config: &SdkConfig) {
    use aws_sdk_kafkaconnect::types::{CustomPluginContentType, CustomPluginLocation, S3Location};

    let sdk = sdk!("kafkaconnect", aws_sdk_kafkaconnect, "aws-sdk-kafkaconnect");
    let client = aws_sdk_kafkaconnect::Client::new(config);
    let connector = arn("kafkaconnect", "connector/pins sink/7c1b4d53-1111-2222-3333-444455556666-4");

    let object =
        S3Location::builder().bucket_arn("arn:aws:s3:::pins-lake").file_key("plugins/a+b c.zip").object_version("v1");
    let location = CustomPluginLocation::builder().s3_location(object.build().expect("complete")).build();
    let sent = client
        .create_custom_plugin()
        .name("s3-sink")
        .content_type(CustomPluginContentType::Zip)
        .location(location)
        .tags("note", ODD)
        .send();
    let expect = json!({"name": "s3-sink", "contentType": "ZIP", "tags": {"note": ODD}, "location": {"s3Location": {
        "bucketArn": "arn:aws:s3:::pins-lake", "fileKey": "plugins/a+b c.zip", "objectVersion": "v1"}}});
    call(sdk, "CreateCustomPlugin", expect, sent).await;

    let sent = client.describe_connector().connector_arn(&connector).send();
    call(sdk, "DescribeConnector", json!({"connectorArn": connector}), sent).await;

    let sent = client.list_connectors().connector_name_prefix("pins +é").max_results(5).send();
    call(sdk, "ListConnectors", json!({"connectorNamePrefix": "pins +é", "maxResults": 5}), sent).await;

    let sent = client.untag_resource().resource_arn(&connector).tag_keys("a").tag_keys("b c").send();
    call(sdk, "UntagResource", json!({"resourceArn": connector, "tagKeys": ["a", "b c"]}), sent).await;

    let sent = client.delete_connector().connector_arn(&connector).current_version("K3").send();
    call(sdk, "DeleteConnector", json!({"connectorArn": connector, "currentVersion": "K3"}), sent).await;
}

pub async fn ec2(config: &SdkConfig) {
    use aws_sdk_ec2::primitives::Blob;
    use aws_sdk_ec2::types::{
        BlockDeviceMapping, EbsBlockDevice, Filter, HttpTokensState, InstanceMetadataOptionsRequest, InstanceType,
        IpPermission, IpRange, ResourceType, Tag, TagSpecification, UserIdGroupPair,
    };

    let sdk = sdk!("ec2", aws_sdk_ec2, "aws-sdk-ec2");
    let client = aws_sdk_ec2::Client::new(config);
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();

    let volume = EbsBlockDevice::builder().volume_size(16).encrypted(true).build();
    let instance = TagSpecification::builder().resource_type(ResourceType::Instance);
    let sent = client
        .run_instances()
        .image_id("ami-0abcdef1234567890")
        .instance_type(InstanceType::T3Small)
        .min_count(1)
        .max_count(1)
        .client_token("pins-client-1")
        .user_data(base64("#!/bin/sh\n"))
        .security_group_ids("sg-0a")
        .security_group_ids("sg-0b")
        .metadata_options(InstanceMetadataOptionsRequest::builder().http_tokens(HttpTokensState::Required).build())
        .block_device_mappings(BlockDeviceMapping::builder().device_name("/dev/xvda").ebs(volume).build())
        .tag_specifications(instance.tags(tag("Name", "pins client")).tags(tag("note", ODD)).build())
        .tag_specifications(TagSpecification::builder().resource_type(ResourceType::Volume).tags(tag("a", "")).build())
        .send();
    let expect = json!({"ImageId": "ami-0abcdef1234567890", "InstanceType": "t3.small", "MinCount": 1, "MaxCount": 1,
        "ClientToken": "pins-client-1", "UserData": base64("#!/bin/sh\n"), "SecurityGroupIds": ["sg-0a", "sg-0b"],
        "MetadataOptions": {"HttpTokens": "required"},
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 16, "Encrypted": true}}],
        "TagSpecifications": [
            {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "pins client"}, {"Key": "note", "Value": ODD}]},
            {"ResourceType": "volume", "Tags": [{"Key": "a", "Value": ""}]}]});
    call(sdk, "RunInstances", expect, sent).await;

    let sent = client
        .describe_instances()
        .filters(Filter::builder().name("tag:pinfra:stack").values("pins").values(ODD).build())
        .filters(Filter::builder().name("instance-state-name").values("running").build())
        .max_results(50)
        .send();
    let expect = json!({"MaxResults": 50, "Filters": [{"Name": "tag:pinfra:stack", "Values": ["pins", ODD]},
        {"Name": "instance-state-name", "Values": ["running"]}]});
    call(sdk, "DescribeInstances", expect, sent).await;

    let gateway = IpPermission::builder()
        .ip_protocol("tcp")
        .from_port(8082)
        .to_port(8082)
        .ip_ranges(IpRange::builder().cidr_ip("0.0.0.0/0").description("gateway, all of it").build())
        .ip_ranges(IpRange::builder().cidr_ip("10.0.0.0/8").build());
    let inside = UserIdGroupPair::builder().group_id("sg-0b").user_id(ACCOUNT).build();
    let sent = client
        .authorize_security_group_ingress()
        .group_id("sg-0a")
        .ip_permissions(gateway.build())
        .ip_permissions(IpPermission::builder().ip_protocol("-1").user_id_group_pairs(inside).build())
        .send();
    let expect = json!({"GroupId": "sg-0a", "IpPermissions": [
        {"IpProtocol": "tcp", "FromPort": 8082, "ToPort": 8082, "IpRanges": [
            {"CidrIp": "0.0.0.0/0", "Description": "gateway, all of it"}, {"CidrIp": "10.0.0.0/8"}]},
        {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "sg-0b", "UserId": ACCOUNT}]}]});
    call(sdk, "AuthorizeSecurityGroupIngress", expect, sent).await;

    let key = "ssh-ed25519 AAAAC3Nz+/= me@laptop";
    let sent = client.import_key_pair().key_name("pins").public_key_material(Blob::new(key)).send();
    call(sdk, "ImportKeyPair", json!({"KeyName": "pins", "PublicKeyMaterial": base64(key)}), sent).await;

    let sent = client.create_tags().resources("i-0a").resources("vol-0b").tags(tag("note", ODD)).dry_run(false).send();
    let expect = json!({"Resources": ["i-0a", "vol-0b"], "Tags": [{"Key": "note", "Value": ODD}], "DryRun": false});
    call(sdk, "CreateTags", expect, sent).await;
}
