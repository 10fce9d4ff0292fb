//! ARNs and addresses of API Gateway, by partition, and the tags that ARNs carry.

use pinfra_engine::CloudError;

use crate::clients::{Clients, partition};
use crate::error::classify;
use crate::tags::{self, Tags};
use crate::wait::through_conflicts;

/// `arn:aws:apigateway:<region>::/restapis/<id>` and so on; `path` begins with a slash.
pub(super) fn arn(region: &str, path: &str) -> String {
    format!("arn:{}:apigateway:{region}::{path}", partition(region))
}

/// Where a stage answers. `apis` is the base of the local cloud's addresses, which has no host name for each API.
pub(super) fn invoke_url(apis: Option<&str>, region: &str, api: &str, stage: &str) -> String {
    if let Some(base) = apis {
        return format!("{}/{api}/{stage}", base.trim_end_matches('/'));
    }
    let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("https://{api}.execute-api.{region}.{suffix}/{stage}")
}

/// Brings the tags under `arn` from `old` to `new`.
pub(super) async fn retag(clients: &Clients, arn: &str, old: &Tags, new: &Tags) -> Result<(), CloudError> {
    let (put, remove) = tags::difference(old, new);
    let client = &clients.apigateway;
    if !put.is_empty() {
        through_conflicts(|| async {
            let request = client.tag_resource().resource_arn(arn);
            let sent = request.set_tags(Some(put.clone().into_iter().collect())).send().await;
            sent.map(drop).map_err(|error| classify("apigateway:TagResource", &error))
        })
        .await?;
    }
    if !remove.is_empty() {
        through_conflicts(|| async {
            let request = client.untag_resource().resource_arn(arn).set_tag_keys(Some(remove.clone()));
            let sent = request.send().await;
            sent.map(drop).map_err(|error| classify("apigateway:UntagResource", &error))
        })
        .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_follow_the_partition() {
        assert_eq!(invoke_url(None, "eu-west-1", "a1", "prod"), "https://a1.execute-api.eu-west-1.amazonaws.com/prod");
        assert_eq!(
            invoke_url(None, "cn-north-1", "a1", "prod"),
            "https://a1.execute-api.cn-north-1.amazonaws.com.cn/prod"
        );
        let local = invoke_url(Some("http://127.0.0.1:4566/_api"), "us-east-1", "a1", "prod");
        assert_eq!(local, "http://127.0.0.1:4566/_api/a1/prod");
        assert_eq!(arn("us-gov-west-1", "/apikeys/k"), "arn:aws-us-gov:apigateway:us-gov-west-1::/apikeys/k");
    }
}
