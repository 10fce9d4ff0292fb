//! What S3 and Kinesis hold, and what the Tagging API knows of.

use pinfra_aws::Clients;

use super::{Inventory, owner};

/// What workers and the connector write: it goes with the bucket, and is otherwise in every run.
const BY_WORKERS: [&str; 6] =
    ["_pinfra/agents/", "_pinfra/cleaning/", "_pinfra/leases/", "_pinfra/probes/", "tables/", "topics/"];

pub(super) async fn list(clients: &Clients, inventory: &mut Inventory) {
    buckets(clients, inventory).await;
    streams(clients, inventory).await;
    tagged(clients, inventory).await;
}

async fn buckets(clients: &Clients, inventory: &mut Inventory) {
    let answer = clients.s3.list_buckets().send().await.unwrap();
    for bucket in answer.buckets() {
        let name = bucket.name().unwrap_or_default();
        let objects = clients.s3.list_objects_v2().bucket(name).send().await;
        let uploads = clients.s3.list_multipart_uploads().bucket(name).send().await;
        // One that is deleted in between is not there.
        let (Ok(objects), Ok(uploads)) = (objects, uploads) else { continue };
        inventory.add(format!("bucket {name}"));
        let keys = objects.contents().iter().filter_map(|object| object.key());
        for key in keys.filter(|key| !BY_WORKERS.iter().any(|folder| key.starts_with(folder))) {
            inventory.add(format!("object {name}/{key}"));
        }
        for upload in uploads.uploads() {
            inventory.add(format!("unfinished upload {name}/{}", upload.key().unwrap_or_default()));
        }
    }
}

async fn streams(clients: &Clients, inventory: &mut Inventory) {
    let pages = clients.kinesis.list_streams().into_paginator().send();
    let pages: Vec<_> = pages.try_collect().await.unwrap();
    for name in pages.into_iter().flat_map(|page| page.stream_names) {
        let answer = clients.kinesis.describe_stream_summary().stream_name(&name).send().await;
        let Some(summary) = answer.ok().and_then(|answer| answer.stream_description_summary) else { continue };
        inventory.add_in_state(&format!("stream {name}"), Some(summary.stream_status.as_str()));
    }
}

async fn tagged(clients: &Clients, inventory: &mut Inventory) {
    let pages = clients.tagging.get_resources().into_paginator().send();
    let pages: Vec<_> = pages.try_collect().await.unwrap();
    for mapping in pages.into_iter().flat_map(|page| page.resource_tag_mapping_list.unwrap_or_default()) {
        let arn = mapping.resource_arn().unwrap_or_default();
        // Machines that are gone keep their tags for an hour, and are counted above.
        if !arn.contains(":instance/") {
            let tags = mapping.tags().iter().map(|tag| (tag.key.as_str(), tag.value.as_str()));
            inventory.add(format!("tagged {}", owner(tags)));
        }
    }
}
