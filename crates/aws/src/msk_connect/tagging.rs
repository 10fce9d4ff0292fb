//! Tags of everything in MSK Connect: three calls that take an ARN.

use pinfra_engine::CloudError;

use crate::clients::Clients;
use crate::error::classify;
use crate::tags::{self, Tags};

/// The tags under `arn`, from the list of what is tagged where this is a look and that has it.
pub(super) async fn tags_of(clients: &Clients, arn: &str) -> Result<Tags, CloudError> {
    if let Some(listed) = tags::listed(clients, arn).await {
        return Ok(listed);
    }
    let answer = clients.kafkaconnect.list_tags_for_resource().resource_arn(arn).send().await;
    let answer = answer.map_err(|error| classify("kafkaconnect:ListTagsForResource", &error))?;
    Ok(answer.tags.unwrap_or_default().into_iter().collect())
}

/// Brings the tags under `arn` from `old` to `new`.
pub(super) async fn retag(clients: &Clients, arn: &str, old: &Tags, new: &Tags) -> Result<(), CloudError> {
    let (put, remove) = tags::difference(old, new);
    if !put.is_empty() {
        let request = clients.kafkaconnect.tag_resource().resource_arn(arn);
        let sent = request.set_tags(Some(put.into_iter().collect())).send().await;
        sent.map_err(|error| classify("kafkaconnect:TagResource", &error))?;
    }
    if !remove.is_empty() {
        let request = clients.kafkaconnect.untag_resource().resource_arn(arn).set_tag_keys(Some(remove));
        request.send().await.map_err(|error| classify("kafkaconnect:UntagResource", &error))?;
    }
    Ok(())
}
