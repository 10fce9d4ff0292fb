//! What the metadata service has to say: a tree of texts ("Instance metadata categories", EC2 user guide).

use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::super::Facts;
use super::keys::Keys;
use crate::wire::error::ApiError;

type RoleKeys = Result<Keys, ApiError>;

/// What stands at a path; a folder is answered with the names in it. `None` where there is nothing.
pub(super) fn find(facts: &Facts, keys: Option<&RoleKeys>, path: &str) -> Option<Vec<u8>> {
    let path = path.trim_start_matches('/');
    let (version, rest) = path.split_once('/').unwrap_or((path, ""));
    if version.is_empty() {
        return Some(b"1.0\n2021-03-23\nlatest".to_vec());
    }
    // Every version answers what the newest one does.
    let known = version == "latest" || version == "1.0" || version.starts_with("20");
    if !known {
        return None;
    }
    if rest.trim_end_matches('/') == "user-data" {
        return facts.user_data.clone();
    }
    let mut leaves = leaves(facts, keys);
    if facts.user_data.is_some() {
        leaves.push(("user-data".to_owned(), String::new()));
    }
    let wanted = rest.trim_end_matches('/');
    if let Some((_, text)) = leaves.iter().find(|(name, _)| name == wanted) {
        return Some(text.clone().into_bytes());
    }
    if let (Some((name, _)), "meta-data/public-keys") = (&facts.key, wanted) {
        return Some(format!("0={name}").into_bytes());
    }
    let folder = if wanted.is_empty() { String::new() } else { format!("{wanted}/") };
    let mut names: Vec<String> = Vec::new();
    for below in leaves.iter().filter_map(|(name, _)| name.strip_prefix(&folder)) {
        let name = below.split_once('/').map_or_else(|| below.to_owned(), |(name, _)| format!("{name}/"));
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.sort();
    (!names.is_empty()).then(|| names.join("\n").into_bytes())
}

fn leaves(facts: &Facts, keys: Option<&RoleKeys>) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    let mut put = |name: &str, text: &str| all.push((format!("meta-data/{name}"), text.to_owned()));
    put("ami-id", &facts.image_id);
    put("ami-launch-index", &facts.launch_index.to_string());
    put("ami-manifest-path", "(unknown)");
    put("hostname", &facts.private_dns);
    put("instance-action", "none");
    put("instance-id", &facts.instance_id);
    put("instance-life-cycle", "on-demand");
    put("instance-type", &facts.instance_type);
    put("local-hostname", &facts.private_dns);
    put("local-ipv4", &facts.private_ip);
    put("mac", &facts.mac);
    put("placement/availability-zone", &facts.zone);
    put("placement/availability-zone-id", &facts.zone_id);
    put("placement/region", &facts.region);
    put("reservation-id", &facts.reservation_id);
    put("services/domain", "amazonaws.com");
    put("services/partition", "aws");
    let names: Vec<&str> = facts.security_groups.iter().map(|(_, name)| name.as_str()).collect();
    let ids: Vec<&str> = facts.security_groups.iter().map(|(id, _)| id.as_str()).collect();
    put("security-groups", &names.join("\n"));
    let interface = format!("network/interfaces/macs/{}", facts.mac);
    for (name, text) in [
        ("device-number", "0"),
        ("interface-id", &facts.interface_id),
        ("local-hostname", &facts.private_dns),
        ("local-ipv4s", &facts.private_ip),
        ("mac", &facts.mac),
        ("owner-id", &facts.account),
        ("security-group-ids", &ids.join("\n")),
        ("security-groups", &names.join("\n")),
        ("subnet-id", &facts.subnet_id),
        ("vpc-id", &facts.vpc_id),
    ] {
        put(&format!("{interface}/{name}"), text);
    }
    if let (Some(ip), Some(dns)) = (&facts.public_ip, &facts.public_dns) {
        put("public-ipv4", ip);
        put("public-hostname", dns);
        put(&format!("{interface}/public-ipv4s"), ip);
        put(&format!("{interface}/public-hostname"), dns);
    }
    if let Some((_, line)) = &facts.key {
        put("public-keys/0/openssh-key", line);
    }
    if facts.options.tags {
        for (key, value) in &facts.tags {
            put(&format!("tags/instance/{key}"), value);
        }
    }
    if let (Some((arn, id)), Some(keys)) = (&facts.profile, keys) {
        put("iam/info", &profile_info(arn, id, keys));
        if let Ok(keys) = keys {
            put(&format!("iam/security-credentials/{}", keys.role), &credentials(keys));
        }
    }
    all.push(("dynamic/instance-identity/document".to_owned(), identity(facts)));
    all
}

fn profile_info(arn: &str, id: &str, keys: &RoleKeys) -> String {
    let (code, message) = match keys {
        Ok(_) => ("Success", None),
        Err(error) => ("AssumeRoleUnauthorizedAccess", Some(error.message.as_str())),
    };
    let mut info = json!({
        "Code": code, "LastUpdated": stamp(OffsetDateTime::now_utc()), "InstanceProfileArn": arn, "InstanceProfileId": id,
    });
    if let Some(message) = message {
        info["Message"] = json!(message);
    }
    pretty(&info)
}

fn credentials(keys: &Keys) -> String {
    let identity = &keys.issued.identity;
    pretty(&json!({
        "Code": "Success", "LastUpdated": stamp(keys.since), "Type": "AWS-HMAC",
        "AccessKeyId": keys.issued.access_key, "SecretAccessKey": identity.secret, "Token": identity.session_token,
        "Expiration": identity.expires.map(stamp),
    }))
}

fn identity(facts: &Facts) -> String {
    let launched = OffsetDateTime::from_unix_timestamp(facts.launched_at).map(stamp).unwrap_or_default();
    pretty(&json!({
        "accountId": facts.account, "architecture": facts.architecture, "availabilityZone": facts.zone,
        "billingProducts": null, "devpayProductCodes": null, "marketplaceProductCodes": null,
        "imageId": facts.image_id, "instanceId": facts.instance_id, "instanceType": facts.instance_type,
        "kernelId": null, "pendingTime": launched, "privateIp": facts.private_ip, "ramdiskId": null,
        "region": facts.region, "version": "2017-09-30",
    }))
}

fn stamp(time: OffsetDateTime) -> String {
    time.replace_nanosecond(0).ok().and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}

fn pretty(value: &serde_json::Value) -> String {
    format!("{value:#}")
}
