//! Systems Manager: the public parameters that tell the newest machine images. Read only; nobody's own are kept.
//!
//! Names are those of the AWS guides "Calling AMI public parameters" (EC2 user guide, Amazon Linux 2023 user guide)
//! and of Canonical's "Find Ubuntu images with SSM". The ids are made up, the same in each region for good.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Call, Service};
use crate::wire::error::ApiError;

/// The service.
#[derive(Debug)]
pub struct Ssm {
    /// Sorted.
    names: Vec<String>,
}

/// 2024-03-04T00:00:00Z: some day on which the images were published.
const PUBLISHED: i64 = 1_709_510_400;

/// What AWS answers where no `MaxResults` is given, and its greatest value.
const PAGE: usize = 10;

impl Default for Ssm {
    fn default() -> Ssm {
        Ssm { names: public_names() }
    }
}

impl Ssm {
    fn get_parameter(&self, region: &str, input: &Value) -> Result<Value, ApiError> {
        let asked = input["Name"].as_str().unwrap_or_default();
        match self.find(region, asked) {
            Some(parameter) => Ok(json!({"Parameter": parameter})),
            None => Err(ApiError::new("ParameterNotFound", format!("Parameter {asked} not found."))),
        }
    }

    fn get_parameters(&self, region: &str, input: &Value) -> Value {
        let mut found = Vec::new();
        let mut invalid = Vec::new();
        for name in input["Names"].as_array().into_iter().flatten() {
            match self.find(region, name.as_str().unwrap_or_default()) {
                Some(parameter) => found.push(parameter),
                None => invalid.push(name.clone()),
            }
        }
        json!({"Parameters": found, "InvalidParameters": invalid})
    }

    fn get_parameters_by_path(&self, region: &str, input: &Value) -> Result<Value, ApiError> {
        if input["ParameterFilters"].as_array().is_some_and(|filters| !filters.is_empty()) {
            let message = "the local cloud does not filter parameters; leave ParameterFilters out";
            return Err(ApiError::new("InvalidFilterOption", message));
        }
        let path = input["Path"].as_str().unwrap_or_default();
        if !path.starts_with('/') {
            let message = "The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward slash \"/\".";
            return Err(ApiError::new("ValidationException", message));
        }
        let folder = format!("{}/", path.trim_end_matches('/'));
        let recursive = input["Recursive"].as_bool().unwrap_or(false);
        let below = |name: &&String| name.strip_prefix(&folder).is_some_and(|rest| recursive || !rest.contains('/'));
        // The token is the last name of the page before: names do not move between calls.
        let after = match input["NextToken"].as_str() {
            Some(token) if !self.names.iter().any(|name| name == token) => {
                return Err(ApiError::new("InvalidNextToken", "The specified token isn't valid."));
            }
            token => token.unwrap_or_default(),
        };
        let size = input["MaxResults"].as_u64().and_then(|size| usize::try_from(size).ok()).unwrap_or(PAGE);
        let mut names = self.names.iter().filter(below).filter(|name| name.as_str() > after).peekable();
        let page: Vec<&String> = names.by_ref().take(size).collect();
        let mut answer =
            json!({"Parameters": page.iter().map(|name| parameter(region, name, None)).collect::<Vec<_>>()});
        if let (Some(last), true) = (page.last(), names.peek().is_some()) {
            answer["NextToken"] = json!(last);
        }
        Ok(answer)
    }

    /// By name, by ARN, and with the version as a selector (`name:1`).
    fn find(&self, region: &str, asked: &str) -> Option<Value> {
        let name = match asked.strip_prefix("arn:") {
            Some(arn) => arn.split_once(":parameter").map(|(_, name)| name)?,
            None => asked,
        };
        let (name, selector) = name.split_once(':').map_or((name, None), |(name, selector)| (name, Some(selector)));
        let known = selector.is_none_or(|version| version == "1") && self.names.iter().any(|known| known == name);
        known.then(|| parameter(region, name, selector))
    }
}

impl Service for Ssm {
    fn call(&self, call: Call, input: Value) -> BoxFuture<'_, Result<Value, ApiError>> {
        async move {
            match call.operation.as_str() {
                "GetParameter" => self.get_parameter(&call.region, &input),
                "GetParameters" => Ok(self.get_parameters(&call.region, &input)),
                "GetParametersByPath" => self.get_parameters_by_path(&call.region, &input),
                other => Err(ApiError::unknown_operation("ssm", other)),
            }
        }
        .boxed()
    }
}

/// The image parameters of a region: names and the ids that they hold.
pub(crate) fn public_images(region: &str) -> Vec<(String, String)> {
    public_names().into_iter().map(|name| (name.clone(), image_id(region, &name))).collect()
}

fn image_id(region: &str, name: &str) -> String {
    let digest = hex::encode(Sha256::digest(format!("{region}{name}")));
    format!("ami-{}", &digest[..17])
}

fn parameter(region: &str, name: &str, selector: Option<&str>) -> Value {
    let mut parameter = json!({
        "Name": name,
        "Type": "String",
        "Value": image_id(region, name),
        "Version": 1,
        "LastModifiedDate": PUBLISHED,
        "ARN": format!("arn:aws:ssm:{region}::parameter{name}"),
        "DataType": if name.ends_with("/ami-id") { "aws:ec2:image" } else { "text" },
    });
    if let Some(selector) = selector {
        parameter["Selector"] = json!(format!(":{selector}"));
    }
    parameter
}

fn public_names() -> Vec<String> {
    const AMAZON_LINUX: &str = "/aws/service/ami-amazon-linux-latest";
    const UBUNTU: &str = "/aws/service/canonical/ubuntu/server";
    let mut names = Vec::new();
    for architecture in ["x86_64", "arm64"] {
        for kernel in ["default", "6.1", "6.12"] {
            names.push(format!("{AMAZON_LINUX}/al2023-ami-kernel-{kernel}-{architecture}"));
            names.push(format!("{AMAZON_LINUX}/al2023-ami-minimal-kernel-{kernel}-{architecture}"));
        }
        names.push(format!("{AMAZON_LINUX}/amzn2-ami-hvm-{architecture}-gp2"));
        names.push(format!("{AMAZON_LINUX}/amzn2-ami-kernel-5.10-hvm-{architecture}-gp2"));
    }
    for architecture in ["amd64", "arm64"] {
        for (release, volume) in
            [("20.04", "gp2"), ("focal", "gp2"), ("22.04", "gp2"), ("jammy", "gp2"), ("24.04", "gp3"), ("noble", "gp3")]
        {
            names.push(format!("{UBUNTU}/{release}/stable/current/{architecture}/hvm/ebs-{volume}/ami-id"));
        }
    }
    names.sort();
    names
}
