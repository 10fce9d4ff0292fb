//! The options of an instance's metadata service.

use serde_json::{Value, json};

use super::region::Region;
use super::{Request, errors};
use crate::machine::MetadataOptions;
use crate::wire::error::ApiError;

/// The options of a new instance.
pub(super) fn of_launch(given: &Value) -> Result<MetadataOptions, ApiError> {
    let mut options = MetadataOptions { enabled: true, tokens_required: true, hop_limit: 2, tags: false };
    set(&mut options, given)?;
    Ok(options)
}

/// `ModifyInstanceMetadataOptions`: what is not said stays.
pub(super) fn modify(region: &mut Region, request: &Request<'_>) -> Result<Value, ApiError> {
    let instance = region.instance_mut(request.text("InstanceId"))?;
    if instance.is_terminated() {
        return Err(errors::incorrect_state(format!("The instance '{}' is terminated", instance.id)));
    }
    set(&mut instance.metadata, request.input)?;
    Ok(json!({"InstanceId": instance.id, "InstanceMetadataOptions": instance.metadata_view()}))
}

fn set(options: &mut MetadataOptions, given: &Value) -> Result<(), ApiError> {
    if given["HttpProtocolIpv6"] == "enabled" {
        return Err(errors::unsupported("the IPv6 endpoint of the instance metadata service"));
    }
    if let Some(tokens) = given["HttpTokens"].as_str() {
        options.tokens_required = tokens == "required";
    }
    if let Some(endpoint) = given["HttpEndpoint"].as_str() {
        options.enabled = endpoint == "enabled";
    }
    if let Some(tags) = given["InstanceMetadataTags"].as_str() {
        options.tags = tags == "enabled";
    }
    if let Some(limit) = given["HttpPutResponseHopLimit"].as_i64() {
        if !(1..=64).contains(&limit) {
            return Err(errors::invalid_value("HttpPutResponseHopLimit must be between 1 and 64"));
        }
        options.hop_limit = limit;
    }
    Ok(())
}
