//! Every operation over HTTP: answers have to fit the API model, or they are refused on their way out.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;

use crate::cloud::until;
use crate::support::{Answer, Client, TestCloud};

const VERSION: &str = "Version=2016-11-15";

async fn ok(client: &Client, request: &str) -> Answer {
    let answer = client.form("ec2", &format!("Action={request}&{VERSION}")).await;
    assert_eq!(answer.status, 200, "{request}: {answer:?}");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_fits_the_model() {
    let cloud = TestCloud::start();
    let client = cloud.client();
    let name =
        "%2Faws%2Fservice%2Fcanonical%2Fubuntu%2Fserver%2F24.04%2Fstable%2Fcurrent%2Famd64%2Fhvm%2Febs-gp3%2Fami-id";
    let body = serde_json::json!({"Name": percent_encoding::percent_decode_str(name).decode_utf8().unwrap()});
    let parameter = client.json("ssm", "AmazonSSM.GetParameter", &body).await.json();
    let image = parameter["Parameter"]["Value"].as_str().unwrap().to_owned();

    let group =
        ok(&client, "CreateSecurityGroup&GroupName=pins&GroupDescription=d").await.element("groupId").to_owned();
    let rule = "IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=22&IpPermissions.1.ToPort=22&IpPermissions.1.IpRanges.1.CidrIp=10.0.0.0%2F8";
    let authorized = ok(&client, &format!("AuthorizeSecurityGroupIngress&GroupId={group}&{rule}")).await;
    let rule_id = authorized.element("securityGroupRuleId").to_owned();
    let key = STANDARD.encode("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f");
    let key = key.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    ok(&client, &format!("ImportKeyPair&KeyName=pins&PublicKeyMaterial={key}")).await;
    let allocation = ok(&client, "AllocateAddress").await.element("allocationId").to_owned();

    let data = STANDARD.encode("#!/bin/sh\necho hello from user data\nsleep 600\n").replace('=', "%3D");
    let launch = format!(
        "RunInstances&ImageId={image}&InstanceType=t3.micro&MinCount=1&MaxCount=1&KeyName=pins&SecurityGroupId.1={group}\
         &UserData={data}&MetadataOptions.HttpTokens=required&BlockDeviceMapping.1.DeviceName=%2Fdev%2Fsda1\
         &BlockDeviceMapping.1.Ebs.Encrypted=true&TagSpecification.1.ResourceType=instance\
         &TagSpecification.1.Tag.1.Key=k&TagSpecification.1.Tag.1.Value=v&ClientToken=t"
    );
    let id = ok(&client, &launch).await.element("instanceId").to_owned();
    let running =
        format!("DescribeInstances&InstanceId.1={id}&Filter.1.Name=instance-state-name&Filter.1.Value.1=running");
    until("it runs", async || ok(&client, &running).await.text.contains("<instanceId>")).await;
    ok(&client, &format!("AssociateAddress&AllocationId={allocation}&InstanceId={id}")).await;
    until("it says hello", async || {
        let output = ok(&client, &format!("GetConsoleOutput&InstanceId={id}")).await;
        let output = String::from_utf8(STANDARD.decode(output.element("output")).unwrap()).unwrap();
        output.contains("hello from user data")
    })
    .await;

    let subnet = ok(&client, "DescribeSubnets").await;
    let vpc = subnet.element("vpcId");
    let volume = ok(&client, "DescribeVolumes").await.element("volumeId").to_owned();
    ok(&client, &format!("ModifyVolume&VolumeId={volume}&Size=9")).await;
    let table = ok(&client, "DescribeRouteTables").await.element("routeTableId").to_owned();
    let create = format!(
        "CreateVpcEndpoint&VpcId={vpc}&ServiceName=com.amazonaws.us-east-1.s3&RouteTableId.1={table}\
         &TagSpecification.1.ResourceType=vpc-endpoint&TagSpecification.1.Tag.1.Key=k&TagSpecification.1.Tag.1.Value=v"
    );
    let endpoint = ok(&client, &create).await.element("vpcEndpointId").to_owned();
    let policy = "%7B%22Statement%22%3A%5B%5D%7D";
    ok(&client, &format!("ModifyVpcEndpoint&VpcEndpointId={endpoint}&PolicyDocument={policy}")).await;
    for operation in [
        "DescribeAccountAttributes",
        "DescribeAddresses",
        "DescribeAddressesAttribute",
        "DescribeAvailabilityZones",
        "DescribeDhcpOptions",
        "DescribeIamInstanceProfileAssociations",
        "DescribeImages",
        "DescribeInstanceStatus",
        "DescribeInstanceCreditSpecifications",
        "DescribeInstanceTypeOfferings",
        "DescribeInstanceTypes",
        "DescribeInstances",
        "DescribeInternetGateways",
        "DescribeKeyPairs",
        "DescribeNetworkAcls",
        "DescribeNetworkInterfaces",
        "DescribePrefixLists",
        "DescribeRegions",
        "DescribeRouteTables",
        "DescribeSecurityGroupRules",
        "DescribeSecurityGroups",
        "DescribeTags",
        "DescribeVolumesModifications",
        "DescribeVpcEndpoints",
        "DescribeVpcs",
    ] {
        ok(&client, operation).await;
    }
    let deleted = ok(&client, &format!("DeleteVpcEndpoints&VpcEndpointId.1={endpoint}&VpcEndpointId.2=vpce-1")).await;
    assert_eq!((deleted.element("resourceId"), deleted.element("code")), ("vpce-1", "InvalidVpcEndpoint.NotFound"));
    ok(&client, &format!("DescribeVpcAttribute&VpcId={vpc}&Attribute=enableDnsSupport")).await;
    for attribute in [
        "instanceType",
        "kernel",
        "ramdisk",
        "userData",
        "disableApiTermination",
        "disableApiStop",
        "rootDeviceName",
        "instanceInitiatedShutdownBehavior",
        "blockDeviceMapping",
        "productCodes",
        "sourceDestCheck",
        "groupSet",
        "ebsOptimized",
        "sriovNetSupport",
        "enaSupport",
        "enclaveOptions",
    ] {
        ok(&client, &format!("DescribeInstanceAttribute&InstanceId={id}&Attribute={attribute}")).await;
    }
    ok(&client, &format!("ModifyInstanceAttribute&InstanceId={id}&DisableApiTermination.Value=false")).await;
    ok(&client, &format!("ModifyInstanceMetadataOptions&InstanceId={id}&HttpTokens=optional")).await;
    let change = format!(
        "ModifySecurityGroupRules&GroupId={group}&SecurityGroupRule.1.SecurityGroupRuleId={rule_id}\
         &SecurityGroupRule.1.SecurityGroupRule.IpProtocol=-1&SecurityGroupRule.1.SecurityGroupRule.CidrIpv4=0.0.0.0%2F0"
    );
    ok(&client, &change).await;
    ok(&client, &format!("RevokeSecurityGroupIngress&GroupId={group}&SecurityGroupRuleId.1={rule_id}")).await;
    ok(&client, &format!("CreateTags&ResourceId.1={id}&Tag.1.Key=a&Tag.1.Value=b")).await;
    ok(&client, &format!("DeleteTags&ResourceId.1={id}&Tag.1.Key=a")).await;
    ok(&client, &format!("RebootInstances&InstanceId.1={id}")).await;
    let refused = client.form("ec2", &format!("Action=StopInstances&InstanceId.1={id}&DryRun=true&{VERSION}")).await;
    assert_eq!((refused.status.as_u16(), refused.element("Code")), (412, "DryRunOperation"));
    ok(&client, &format!("StopInstances&InstanceId.1={id}")).await;
    ok(&client, &format!("TerminateInstances&InstanceId.1={id}")).await;
    let ended = running.replace("running", "terminated");
    until("it ended", async || ok(&client, &ended).await.text.contains("<instanceId>")).await;
    ok(&client, &format!("ReleaseAddress&AllocationId={allocation}")).await;
    ok(&client, "DeleteKeyPair&KeyName=pins").await;
    ok(&client, &format!("DeleteSecurityGroup&GroupId={group}")).await;
    cloud.cloud.stop().await;
}

/// What the metadata service of an instance answers, with a token.
async fn metadata(endpoint: &str, path: &str) -> String {
    let http = HttpClient::builder(TokioExecutor::new()).build_http();
    let send = async |request: http::request::Builder| {
        let answer = http.request(request.body(Full::<Bytes>::default()).unwrap()).await.unwrap();
        String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    };
    let token = http::Request::put(format!("{endpoint}/latest/api/token"));
    let token = send(token.header("x-aws-ec2-metadata-token-ttl-seconds", "60")).await;
    send(http::Request::get(format!("{endpoint}/latest/{path}")).header("x-aws-ec2-metadata-token", token)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_acts_as_its_role() {
    let cloud = TestCloud::start();
    let client = cloud.client();
    let iam = async |request: &str| {
        let answer = client.form("iam", &format!("Action={request}&Version=2010-05-08")).await;
        assert_eq!(answer.status, 200, "{request}: {answer:?}");
    };
    let escape =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
    iam(&format!("CreateRole&RoleName=worker&AssumeRolePolicyDocument={}", escape(trust))).await;
    iam("CreateInstanceProfile&InstanceProfileName=worker").await;
    iam("AddRoleToInstanceProfile&InstanceProfileName=worker&RoleName=worker").await;

    let image = ok(&client, "DescribeImages&Filter.1.Name=architecture&Filter.1.Value.1=x86_64").await;
    let image = image.element("imageId");
    let launch =
        format!("RunInstances&ImageId={image}&InstanceType=t3.micro&MinCount=1&MaxCount=1&IamInstanceProfile.Name=");
    let none = client.form("ec2", &format!("Action={launch}none&{VERSION}")).await;
    assert_eq!(none.element("Code"), "InvalidParameterValue");
    assert!(none.element("Message").contains("Invalid IAM Instance Profile name"), "{none:?}");
    let id = ok(&client, &format!("{launch}worker")).await.element("instanceId").to_owned();
    let port = cloud.folder.path().join("instances").join(format!("{id}.port"));
    until("its metadata service is there", async || port.exists()).await;
    let endpoint = format!("http://127.0.0.1:{}", std::fs::read_to_string(port).unwrap());
    let keys = metadata(&endpoint, "meta-data/iam/security-credentials/worker").await;
    let keys: serde_json::Value = serde_json::from_str(&keys).unwrap();
    let text = |member: &str| keys[member].as_str().unwrap().to_owned();
    let mut inside = Client::new(cloud.cloud.endpoint(), &text("AccessKeyId"), &text("SecretAccessKey"));
    inside.session_token = Some(text("Token"));

    let asked = format!("Action=DescribeInstances&{VERSION}");
    assert_eq!(inside.form("ec2", &asked).await.element("Code"), "UnauthorizedOperation");
    let policy =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:DescribeInstances","Resource":"*"}]}"#;
    iam(&format!("PutRolePolicy&RoleName=worker&PolicyName=p&PolicyDocument={}", escape(policy))).await;
    assert_eq!(inside.form("ec2", &asked).await.element("instanceId"), id);
    let stop = inside.form("ec2", &format!("Action=StopInstances&InstanceId.1={id}&{VERSION}")).await;
    assert_eq!(stop.element("Code"), "UnauthorizedOperation");
    assert!(stop.element("Message").contains(&format!(":instance/{id}")), "{stop:?}");
}
