//! Clusters: made, found, bootstrapped, kept over a restart, deleted.

use http::Method;
use serde_json::{Value, json};

use crate::account::{Account, escaped, text, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_lives() {
    let account = Account::slow();
    let group = account.group("brokers").await;
    let mut request = account.cluster("pins").await;
    request["provisioned"]["brokerNodeGroupInfo"]["securityGroups"] = json!([group]);
    request["tags"] = json!({"pinfra:stack": "pins"});
    let made = account.ok(Method::POST, "/api/v2/clusters", request.clone()).await;
    let arn = text(&made["clusterArn"]);
    let bootstrap = format!("/v1/clusters/{}/bootstrap-brokers", escaped(&arn));
    let (code, message) = account.refused(Method::GET, &bootstrap, Value::Null).await;
    assert_eq!(code, "BadRequestException");
    assert_eq!(message, "You can't get bootstrap broker nodes for a cluster in CREATING state.");
    assert_eq!(account.refused(Method::POST, "/api/v2/clusters", request).await.0, "ConflictException");
    account.reaches(&arn, "ACTIVE").await;

    let v2 = account.describe(&arn).await;
    assert_eq!(v2["provisioned"]["brokerNodeGroupInfo"]["storageInfo"]["ebsStorageInfo"]["volumeSize"], 10);
    assert_eq!(
        v2["provisioned"]["encryptionInfo"]["encryptionInTransit"],
        json!({"clientBroker": "TLS", "inCluster": true})
    );
    assert_eq!(v2["provisioned"]["currentBrokerSoftwareInfo"], json!({"kafkaVersion": "3.6.0"}));
    let v1 = account.get(&format!("/v1/clusters/{}", escaped(&arn))).await["clusterInfo"].clone();
    assert_eq!(v1["numberOfBrokerNodes"], 3);
    assert_eq!(v1["currentVersion"], v2["currentVersion"]);
    let brokers = account.bootstrap(&arn).await;
    for member in ["bootstrapBrokerString", "bootstrapBrokerStringSaslIam"] {
        assert_eq!(text(&brokers[member]).split(',').count(), 3, "{member}");
    }
    let nodes = account.get(&format!("/v1/clusters/{}/nodes", escaped(&arn))).await["nodeInfoList"].clone();
    let ids: Vec<&Value> = nodes.as_array().unwrap().iter().map(|one| &one["brokerNodeInfo"]["brokerId"]).collect();
    assert_eq!(ids, [1.0, 2.0, 3.0]);

    let delete_group = format!("Action=DeleteSecurityGroup&GroupId={group}&Version=2016-11-15");
    assert_eq!(account.client.form("ec2", &delete_group).await.element("Code"), "DependencyViolation");

    let account = account.restart().await;
    assert_eq!(account.bootstrap(&arn).await, brokers, "the same ports");
    let tags = format!("/v1/tags/{}", escaped(&arn));
    account.ok(Method::POST, &tags, json!({"tags": {"team": "data"}})).await;
    account.ok(Method::DELETE, &format!("{tags}?tagKeys=pinfra%3Astack"), Value::Null).await;
    assert_eq!(account.get(&tags).await["tags"], json!({"team": "data"}));
    let operation = "ResourceGroupsTaggingAPI_20170126.GetResources";
    assert!(account.client.json("tagging", operation, &json!({})).await.text.contains(&arn));

    let stale = format!("/v1/clusters/{}?currentVersion=K0", escaped(&arn));
    assert_eq!(account.refused(Method::DELETE, &stale, Value::Null).await.0, "BadRequestException");
    let path = format!("/v1/clusters/{}", escaped(&arn));
    assert_eq!(account.ok(Method::DELETE, &path, Value::Null).await["state"], "DELETING");
    let describe = format!("/api/v2/clusters/{}", escaped(&arn));
    until("it is gone", async || {
        account.client.send(account.client.sign("kafka", Method::GET, &describe, &[], Vec::new())).await.status == 404
    })
    .await;
    account.ec2(&format!("DeleteSecurityGroup&GroupId={group}")).await;
    account.cloud.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_filtered_and_paged() {
    let account = Account::new();
    for name in ["pins-a", "pins-b", "other"] {
        account.ok(Method::POST, "/api/v2/clusters", account.cluster(name).await).await;
    }
    let first = account.get("/api/v2/clusters?clusterNameFilter=pins&maxResults=1").await;
    assert_eq!(first["clusterInfoList"][0]["clusterName"], "pins-a");
    let token = escaped(first["nextToken"].as_str().unwrap());
    let second = account.get(&format!("/v1/clusters?clusterNameFilter=pins&maxResults=1&nextToken={token}")).await;
    assert_eq!(second["clusterInfoList"][0]["clusterName"], "pins-b");
    assert!(second["nextToken"].is_null());
    let serverless = account.get("/api/v2/clusters?clusterTypeFilter=SERVERLESS").await;
    assert_eq!(serverless["clusterInfoList"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused() {
    let account = Account::new();
    let subnets = account.subnets().await;
    for (pointer, value, says) in [
        ("/clusterName", json!("-pins"), "hyphens"),
        ("/provisioned/kafkaVersion", json!("1.1.1"), "Unsupported KafkaVersion [1.1.1]"),
        ("/provisioned/numberOfBrokerNodes", json!(4), "multiple of Availability Zones"),
        ("/provisioned/brokerNodeGroupInfo/clientSubnets", json!([subnets[0]]), "two or three client subnets"),
        (
            "/provisioned/brokerNodeGroupInfo/clientSubnets",
            json!([subnets[0], subnets[1], "subnet-00000000"]),
            "does not exist",
        ),
        ("/provisioned/brokerNodeGroupInfo/clientSubnets", json!([subnets[0], subnets[1], subnets[0]]), "different"),
        ("/provisioned/brokerNodeGroupInfo/instanceType", json!("kafka.t9.small"), "Unsupported InstanceType"),
        ("/provisioned/brokerNodeGroupInfo/instanceType", json!("express.m7g.large"), "StorageInfo"),
        ("/provisioned/brokerNodeGroupInfo/securityGroups", json!(["sg-00000000"]), "does not exist"),
        ("/provisioned/clientAuthentication", json!({"sasl": {"scram": {"enabled": true}}}), "SASL/SCRAM"),
        (
            "/provisioned/encryptionInfo",
            json!({"encryptionInTransit": {"clientBroker": "PLAINTEXT"}}),
            "SASL authentication",
        ),
        (
            "/provisioned/configurationInfo",
            json!({"arn": "arn:aws:kafka:us-east-1:000000000000:configuration/c/1", "revision": 1}),
            "does not exist",
        ),
    ] {
        let mut request = account.cluster("pins").await;
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        request.pointer_mut(parent).unwrap()[member] = value.clone();
        let (code, message) = account.refused(Method::POST, "/api/v2/clusters", request).await;
        assert!(code == "BadRequestException" && message.contains(says), "{pointer} {value}: {code} {message}");
    }
    let serverless = json!({"clusterName": "s", "serverless": {"vpcConfigs": [{"subnetIds": subnets}]}});
    let (_, message) = account.refused(Method::POST, "/api/v2/clusters", serverless).await;
    assert!(message.contains("does not have serverless clusters"), "{message}");
    let absent = escaped("arn:aws:kafka:us-east-1:000000000000:cluster/pins/1");
    let (code, _) = account.refused(Method::GET, &format!("/v1/clusters/{absent}"), Value::Null).await;
    assert_eq!(code, "NotFoundException");
    let (code, message) = account.refused(Method::GET, "/v1/vpc-connections", Value::Null).await;
    assert_eq!(code, "UnknownOperationException", "{message}");
    assert_eq!(account.get("/api/v2/clusters").await["clusterInfoList"], json!([]));
}
