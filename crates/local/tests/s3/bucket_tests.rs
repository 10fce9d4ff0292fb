//! Buckets and their settings.

use pinfra_local::services::TaggedResource;

use crate::client::Server;

#[tokio::test]
async fn a_bucket_is_made_found_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    assert_eq!(server.head("/lake").send().await.status, 404);
    let made = server.put("/lake").send().await.ok();
    assert_eq!(made.header("location"), "/lake");
    // In us-east-1 making it again is no error.
    server.put("/lake").send().await.ok();
    let head = server.head("/lake").send().await.ok();
    assert_eq!(head.header("x-amz-bucket-region"), "us-east-1");
    assert_eq!(server.get("/lake").query("location", "").send().await.ok().one("LocationConstraint"), "");
    assert_eq!(server.get("/").send().await.ok().all("Name"), ["lake"]);
    assert_eq!(server.delete("/lake").send().await.status, 204);
    server.delete("/lake").send().await.refused(404, "NoSuchBucket");
}

#[tokio::test]
async fn a_bucket_stays_in_its_region() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let constraint = |region: &str| {
        format!(
            "<CreateBucketConfiguration><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
        )
    };
    let make = |region: &'static str| server.put("/west").region("eu-west-1").body(constraint(region)).send();
    server.put("/west").region("eu-west-1").send().await.refused(400, "IllegalLocationConstraintException");
    make("eu-west-2").await.refused(400, "IllegalLocationConstraintException");
    make("eu-west-1").await.ok();
    make("eu-west-1").await.refused(409, "BucketAlreadyOwnedByYou");
    let head = server.head("/west").region("eu-west-1").send().await.ok();
    assert_eq!(head.header("x-amz-bucket-region"), "eu-west-1");
    assert_eq!(server.get("/west").query("location", "").send().await.one("LocationConstraint"), "eu-west-1");

    // Signed for another region, it says which one it should have been.
    let head = server.head("/west").send().await;
    assert_eq!((head.status.as_u16(), head.header("x-amz-bucket-region")), (400, "eu-west-1"));
    let put = server.put("/west/k").body("x").send().await;
    put.refused(400, "AuthorizationHeaderMalformed");
    assert_eq!(put.one("Region"), "eu-west-1");
    let said = "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'";
    assert_eq!(put.one("Message"), said);
    let presigned = server.get("/west/k").presigned(60, None);
    server.send(presigned).await.refused(400, "AuthorizationQueryParametersError");
    server.put("/west/k").region("eu-west-1").body("x").send().await.ok();
    server.delete("/west").send().await.refused(400, "AuthorizationHeaderMalformed");
    server.get("/nowhere/k").region("eu-west-1").send().await.refused(404, "NoSuchBucket");
}

#[tokio::test]
async fn a_bucket_of_another_account_is_not_there_to_take() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    let owned_by = |owner: &'static str| server.head("/lake").header("x-amz-expected-bucket-owner", owner).send();
    assert_eq!(owned_by("000000000000").await.status, 200);
    assert_eq!(owned_by("111111111111").await.status, 403);
}

#[tokio::test]
async fn what_s3_has_no_name_for_is_not_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.post("/").send().await.refused(405, "MethodNotAllowed");
}

#[tokio::test]
async fn names_follow_the_rules_of_s3() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let long = "a".repeat(64);
    let reserved = ["xn--lake", "sthree-lake", "lake-s3alias", "lake--x-s3"];
    for name in ["ab", "Lake", "la_ke", "-lake", "lake-", "la..ke", "192.168.5.4", &long].into_iter().chain(reserved) {
        server.put(&format!("/{name}")).send().await.refused(400, "InvalidBucketName");
    }
    server.bucket("my.lake-1").await;
}

#[tokio::test]
async fn a_bucket_with_anything_in_it_stays() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    server.bucket("lake2").await;
    server.object("/lake/k", "x").await;
    server.delete("/lake").send().await.refused(409, "BucketNotEmpty");
    server.delete("/lake/k").send().await.ok();

    let upload = server.post("/lake/k").query("uploads", "").send().await.ok().one("UploadId");
    server.delete("/lake").send().await.refused(409, "BucketNotEmpty");
    server.delete("/lake/k").query("uploadId", upload).send().await.ok();

    let enabled = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    server.put("/lake").query("versioning", "").body(enabled).send().await.ok();
    let marker = server.delete("/lake/k").send().await.ok().header("x-amz-version-id").to_owned();
    server.delete("/lake").send().await.refused(409, "BucketNotEmpty");
    server.delete("/lake/k").query("versionId", marker).send().await.ok();
    server.delete("/lake").send().await.ok();
    server.head("/lake2").send().await.ok();
}

#[tokio::test]
async fn unset_settings_answer_as_aws_does() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    let absent = [
        ("policy", "NoSuchBucketPolicy"),
        ("policyStatus", "NoSuchBucketPolicy"),
        ("tagging", "NoSuchTagSet"),
        ("lifecycle", "NoSuchLifecycleConfiguration"),
        ("cors", "NoSuchCORSConfiguration"),
        ("website", "NoSuchWebsiteConfiguration"),
        ("replication", "ReplicationConfigurationNotFoundError"),
        ("object-lock", "ObjectLockConfigurationNotFoundError"),
    ];
    for (setting, code) in absent {
        server.get("/lake").query(setting, "").send().await.refused(404, code);
        server.get("/none").query(setting, "").send().await.refused(404, "NoSuchBucket");
    }
    let get = |setting: &'static str| server.get("/lake").query(setting, "").send();
    assert_eq!(get("encryption").await.ok().one("SSEAlgorithm"), "AES256");
    let block = get("publicAccessBlock").await.ok();
    for part in ["BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"] {
        assert_eq!(block.one(part), "true", "{part}");
    }
    assert_eq!(get("ownershipControls").await.ok().one("ObjectOwnership"), "BucketOwnerEnforced");
    assert_eq!(get("versioning").await.ok().one("Status"), "");
    assert_eq!(get("acl").await.ok().one("Permission"), "FULL_CONTROL");
    assert_eq!(get("requestPayment").await.ok().one("Payer"), "BucketOwner");
    for setting in ["logging", "accelerate", "notification"] {
        get(setting).await.ok();
    }
}

#[tokio::test]
async fn settings_are_kept_changed_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("lake").await;
    let put = |setting: &'static str, body: &str| server.put("/lake").query(setting, "").body(body.to_owned()).send();
    let get = |setting: &'static str| server.get("/lake").query(setting, "").send();
    let delete = |setting: &'static str| server.delete("/lake").query(setting, "").send();

    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::lake","arn:aws:s3:::lake/*"],"Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}"#;
    put("policy", policy).await.ok();
    assert_eq!(get("policy").await.ok().text(), policy);
    assert_eq!(get("policyStatus").await.ok().one("IsPublic"), "false");
    put("policy", "{").await.refused(400, "MalformedPolicy");
    let public = r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::lake/*"}]}"#;
    put("policy", public).await.refused(403, "AccessDenied");
    assert_eq!(get("policy").await.text(), policy);
    delete("policy").await.ok();
    get("policy").await.refused(404, "NoSuchBucketPolicy");

    let kms = "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>alias/lake</KMSMasterKeyID></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>";
    put("encryption", kms).await.ok();
    let set = get("encryption").await.ok();
    assert_eq!(
        (set.one("SSEAlgorithm"), set.one("KMSMasterKeyID"), set.one("BucketKeyEnabled")),
        ("aws:kms".into(), "alias/lake".into(), "true".into())
    );
    assert_eq!(server.object("/lake/k", "x").await.header("x-amz-server-side-encryption"), "aws:kms");
    delete("encryption").await.ok();
    assert_eq!(get("encryption").await.ok().one("SSEAlgorithm"), "AES256");

    put(
        "publicAccessBlock",
        "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>",
    )
    .await
    .ok();
    let set = get("publicAccessBlock").await.ok();
    assert_eq!((set.one("BlockPublicAcls"), set.one("BlockPublicPolicy")), ("true".into(), "false".into()));
    delete("publicAccessBlock").await.ok();
    get("publicAccessBlock").await.refused(404, "NoSuchPublicAccessBlockConfiguration");
    put("policy", public).await.ok();
    assert_eq!(get("policyStatus").await.ok().one("IsPublic"), "true");

    put(
        "ownershipControls",
        "<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>",
    )
    .await
    .ok();
    assert_eq!(get("ownershipControls").await.one("ObjectOwnership"), "ObjectWriter");
    delete("ownershipControls").await.ok();
    get("ownershipControls").await.refused(404, "OwnershipControlsNotFoundError");

    let rule = "<LifecycleConfiguration><Rule><ID>old</ID><Filter><Prefix>logs/</Prefix></Filter><Status>Enabled</Status><Expiration><Days>3</Days></Expiration><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration><AbortIncompleteMultipartUpload><DaysAfterInitiation>2</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>";
    put("lifecycle", rule).await.ok();
    let set = get("lifecycle").await.ok();
    assert_eq!(
        (set.one("ID"), set.one("Prefix"), set.one("Days"), set.one("DaysAfterInitiation")),
        ("old".into(), "logs/".into(), "3".into(), "2".into())
    );
    put("lifecycle", &rule.replace("<Days>3</Days>", "<Days>0</Days>")).await.refused(400, "InvalidArgument");
    delete("lifecycle").await.ok();
    get("lifecycle").await.refused(404, "NoSuchLifecycleConfiguration");
}

#[tokio::test]
async fn tagged_buckets_are_listed_by_region() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.bucket("plain").await;
    server.bucket("tagged").await;
    let tags = "<Tagging><TagSet><Tag><Key>pinfra:stack</Key><Value>pins</Value></Tag><Tag><Key>team</Key><Value></Value></Tag></TagSet></Tagging>";
    server.put("/tagged").query("tagging", "").body(tags).send().await.ok();
    assert_eq!(server.get("/tagged").query("tagging", "").send().await.ok().all("Key"), ["pinfra:stack", "team"]);
    let expected = TaggedResource {
        arn: "arn:aws:s3:::tagged".to_owned(),
        tags: vec![("pinfra:stack".to_owned(), "pins".to_owned()), ("team".to_owned(), String::new())],
    };
    assert_eq!(server.front.tagged("us-east-1"), [expected]);
    assert_eq!(server.front.tagged("eu-west-1"), []);
    let twice = tags.replace("team", "pinfra:stack");
    server.put("/tagged").query("tagging", "").body(twice).send().await.refused(400, "InvalidTag");
    server.delete("/tagged").query("tagging", "").send().await.ok();
    assert_eq!(server.front.tagged("us-east-1"), []);
}

#[tokio::test]
async fn buckets_are_listed_in_pages() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    for number in 0..5 {
        server.bucket(&format!("lake-{number}")).await;
    }
    let first = server.get("/").query("max-buckets", 2).send().await.ok();
    assert_eq!(first.all("Name"), ["lake-0", "lake-1"]);
    let token = first.one("ContinuationToken");
    let rest = server.get("/").query("continuation-token", token).send().await.ok();
    assert_eq!(rest.all("Name"), ["lake-2", "lake-3", "lake-4"]);
    assert_eq!(rest.one("ContinuationToken"), "");
    assert_eq!(server.get("/").query("prefix", "lake-3").send().await.ok().all("Name"), ["lake-3"]);
}
