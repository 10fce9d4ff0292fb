//! S3: versions and delete markers.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};

use crate::cloud::{Cloud, code};

async fn set(s3: &Client, status: BucketVersioningStatus) {
    let configuration = VersioningConfiguration::builder().status(status).build();
    s3.put_bucket_versioning().bucket("lake").versioning_configuration(configuration).send().await.unwrap();
}

async fn put(s3: &Client, body: &str) -> Option<String> {
    let put = s3.put_object().bucket("lake").key("k").body(body.as_bytes().to_vec().into());
    put.send().await.unwrap().version_id
}

async fn get(s3: &Client, version: Option<&String>) -> String {
    let got = s3.get_object().bucket("lake").key("k").set_version_id(version.cloned()).send().await.unwrap();
    String::from_utf8(got.body.collect().await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn every_version_stays_until_it_is_deleted_by_name() {
    let cloud = Cloud::start().await;
    let s3 = cloud.bucket("lake").await;
    assert_eq!(s3.get_bucket_versioning().bucket("lake").send().await.unwrap().status(), None);
    assert_eq!(put(&s3, "before").await, None);
    set(&s3, BucketVersioningStatus::Enabled).await;
    let (one, two) = (put(&s3, "one").await, put(&s3, "two").await);
    assert_eq!(get(&s3, None).await, "two");
    assert_eq!(get(&s3, one.as_ref()).await, "one");
    assert_eq!(get(&s3, Some(&"null".to_owned())).await, "before");

    let deleted = s3.delete_object().bucket("lake").key("k").send().await.unwrap();
    assert_eq!(deleted.delete_marker(), Some(true));
    let gone = s3.get_object().bucket("lake").key("k").send().await.unwrap_err().into_service_error();
    assert!(gone.is_no_such_key(), "{gone:?}");
    let marker = deleted.version_id.unwrap();
    let of_marker = s3.get_object().bucket("lake").key("k").version_id(&marker).send().await;
    assert_eq!(code(of_marker), "MethodNotAllowed");

    let listed = s3.list_object_versions().bucket("lake").send().await.unwrap();
    let versions: Vec<_> = listed.versions().iter().map(|version| version.version_id().unwrap()).collect();
    assert_eq!(versions, [two.as_deref().unwrap(), one.as_deref().unwrap(), "null"]);
    assert_eq!(listed.delete_markers()[0].is_latest(), Some(true));
    let page = s3.list_object_versions().bucket("lake").max_keys(2).send().await.unwrap();
    let next = s3.list_object_versions().bucket("lake").set_key_marker(page.next_key_marker.clone());
    let next = next.set_version_id_marker(page.next_version_id_marker.clone()).send().await.unwrap();
    assert_eq!((page.is_truncated(), next.versions().len(), next.delete_markers().len()), (Some(true), 2, 0));

    s3.delete_object().bucket("lake").key("k").version_id(&marker).send().await.unwrap();
    assert_eq!(get(&s3, None).await, "two", "without the marker it is there again");
    s3.delete_object().bucket("lake").key("k").set_version_id(two).send().await.unwrap();
    assert_eq!(get(&s3, None).await, "one");
    set(&s3, BucketVersioningStatus::Suspended).await;
    put(&s3, "after").await;
    assert_eq!(get(&s3, Some(&"null".to_owned())).await, "after");
    assert_eq!(get(&s3, one.as_ref()).await, "one");
    assert_eq!(code(s3.delete_bucket().bucket("lake").send().await), "BucketNotEmpty");
}
