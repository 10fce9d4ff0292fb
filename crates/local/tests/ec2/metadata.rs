//! The metadata service as an instance sees it.

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use crate::cloud::{Cloud, text, until};

const TOKEN: &str = "x-aws-ec2-metadata-token";
const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";

struct Imds {
    http: Client<HttpConnector, Empty<Bytes>>,
    endpoint: String,
    token: String,
}

impl Imds {
    /// Of an instance whose user data says where its service is.
    async fn of(cloud: &Cloud, id: &str) -> Imds {
        let path = cloud.root(id).join("endpoint");
        until("user data said where the service is", async || path.exists()).await;
        let endpoint = std::fs::read_to_string(path).unwrap().trim().to_owned();
        let http = Client::builder(TokioExecutor::new()).build_http();
        let mut imds = Imds { http, endpoint, token: String::new() };
        let answer = imds.send(Method::PUT, "api/token", &[(TTL, "300")]).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()[TTL], "300");
        imds.token = answer.into_body();
        imds
    }

    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Response<String> {
        let mut request = Request::builder().method(method).uri(format!("{}/latest/{path}", self.endpoint));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, body) = self.http.request(request.body(Empty::new()).unwrap()).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Response::from_parts(parts, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn put(&self, headers: &[(&str, &str)]) -> u16 {
        self.send(Method::PUT, "api/token", headers).await.status().as_u16()
    }

    async fn get(&self, path: &str) -> (u16, String) {
        self.get_with(path, &[(TOKEN, &self.token)]).await
    }

    async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
        let answer = self.send(Method::GET, path, headers).await;
        (answer.status().as_u16(), answer.into_body())
    }

    async fn text(&self, path: &str) -> String {
        let (status, text) = self.get(path).await;
        assert_eq!(status, 200, "{path}");
        text
    }
}

const SCRIPT: &str = "#!/bin/sh\necho $AWS_EC2_METADATA_SERVICE_ENDPOINT > \"$PINFRA_ROOT/e\"\nmv \"$PINFRA_ROOT/e\" \"$PINFRA_ROOT/endpoint\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn only_with_a_token_of_its_own() {
    let cloud = Cloud::new();
    let id = cloud.run_script(SCRIPT).await;
    let imds = Imds::of(&cloud, &id).await;
    assert_eq!(imds.get("meta-data/instance-id").await, (200, id.clone()));
    assert_eq!(imds.get_with("meta-data/instance-id", &[]).await.0, 401);
    assert_eq!(imds.get_with("meta-data/instance-id", &[(TOKEN, "x")]).await.0, 401);
    let token = (TOKEN, imds.token.as_str());
    assert_eq!(imds.get_with("meta-data/instance-id", &[token, ("host", "evil.example")]).await.0, 403);
    assert_eq!(imds.put(&[(TTL, "60"), ("x-forwarded-for", "10.0.0.1")]).await, 403);
    assert_eq!(imds.put(&[(TTL, "0")]).await, 400);
    assert_eq!(imds.put(&[(TTL, "21601")]).await, 400);
    assert_eq!(imds.get("meta-data/none").await.0, 404);

    cloud.ok("ModifyInstanceMetadataOptions", json!({"InstanceId": id, "HttpTokens": "optional"})).await;
    assert_eq!(imds.get_with("meta-data/instance-id", &[]).await.0, 200);
    cloud.ok("ModifyInstanceMetadataOptions", json!({"InstanceId": id, "HttpEndpoint": "disabled"})).await;
    assert_eq!(imds.get("meta-data/instance-id").await.0, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_what_the_instance_is() {
    let cloud = Cloud::new();
    let id = cloud.run_script(SCRIPT).await;
    let imds = Imds::of(&cloud, &id).await;
    let instance = cloud.instance(&id).await;
    for (path, member) in [
        ("meta-data/ami-id", "ImageId"),
        ("meta-data/instance-type", "InstanceType"),
        ("meta-data/local-ipv4", "PrivateIpAddress"),
        ("meta-data/public-ipv4", "PublicIpAddress"),
        ("meta-data/hostname", "PrivateDnsName"),
    ] {
        assert_eq!(imds.text(path).await, text(&instance[member]), "{path}");
    }
    assert_eq!(imds.text("meta-data/placement/availability-zone").await, "us-east-1a");
    assert_eq!(imds.text("meta-data/placement/").await, "availability-zone\navailability-zone-id\nregion");
    assert_eq!(imds.text("user-data").await, SCRIPT);
    assert!(imds.text("meta-data/").await.lines().any(|name| name == "placement/"));
    let document: Value = serde_json::from_str(&imds.text("dynamic/instance-identity/document").await).unwrap();
    assert_eq!((&document["instanceId"], &document["region"]), (&json!(id), &json!("us-east-1")));

    assert_eq!(imds.get("meta-data/tags/instance/team").await.0, 404);
    cloud.ok("CreateTags", json!({"Resources": [id], "Tags": [{"Key": "team", "Value": "data"}]})).await;
    cloud.ok("ModifyInstanceMetadataOptions", json!({"InstanceId": id, "InstanceMetadataTags": "enabled"})).await;
    assert_eq!(imds.text("meta-data/tags/instance/team").await, "data");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_gives_the_keys_of_the_role() {
    let cloud = Cloud::new();
    let id = cloud.run_script(SCRIPT).await;
    let imds = Imds::of(&cloud, &id).await;
    assert_eq!(imds.get("meta-data/iam/security-credentials/").await.0, 404);
    let profile = json!({"InstanceId": id, "IamInstanceProfile": {"Name": "worker"}});
    let given = cloud.ok("AssociateIamInstanceProfile", profile).await;
    assert_eq!(imds.text("meta-data/iam/security-credentials/").await, "worker");
    let keys: Value = serde_json::from_str(&imds.text("meta-data/iam/security-credentials/worker").await).unwrap();
    assert_eq!(keys["Code"], "Success");
    assert!(text(&keys["AccessKeyId"]).starts_with("ASIA"), "{keys}");
    let again: Value = serde_json::from_str(&imds.text("meta-data/iam/security-credentials/worker").await).unwrap();
    assert_eq!(keys, again);
    let info: Value = serde_json::from_str(&imds.text("meta-data/iam/info").await).unwrap();
    assert_eq!(info["InstanceProfileArn"], "arn:aws:iam::000000000000:instance-profile/worker");

    let association = &given["IamInstanceProfileAssociation"]["AssociationId"];
    let bare = json!({"AssociationId": association, "IamInstanceProfile": {"Name": "bare"}});
    cloud.ok("ReplaceIamInstanceProfileAssociation", bare).await;
    assert_eq!(imds.get("meta-data/iam/security-credentials/").await.0, 404);
    let info: Value = serde_json::from_str(&imds.text("meta-data/iam/info").await).unwrap();
    assert_eq!(info["Code"], "AssumeRoleUnauthorizedAccess");
}
