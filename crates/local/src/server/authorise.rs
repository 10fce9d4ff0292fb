//! Whether the caller may make a call: asked after its signature is found good and before a service sees it.
//!
//! The user of the local cloud may do everything. The session of a role may do what the role's policies allow, and is
//! refused in the words, with the code and the status, of the service. S3 asks for itself (`services/s3/permissions`), and
//! so does STS, where the trust policy of a role decides.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::services::Services;
use crate::services::Call;
use crate::services::iam::Context;
use crate::wire::error::ApiError;
use crate::wire::model::Protocol;
use crate::wire::request::Request;

/// Refuses a call that the policies of its caller do not allow.
pub(super) fn check(
    services: &Services,
    service: &str,
    protocol: Protocol,
    call: &Call,
    input: &Value,
    request: &Request<'_>,
) -> Result<(), ApiError> {
    if service == "sts" || !call.principal.contains(":assumed-role/") {
        return Ok(());
    }
    let action = match service {
        "apigateway" => format!("apigateway:{}", request.method),
        "tagging" => format!("tag:{}", call.operation),
        other => format!("{other}:{}", call.operation),
    };
    let resources = match service {
        "apigateway" => vec![api_gateway_arn(&call.region, request.path)],
        "ssm" => parameters(call, input),
        other => services
            .get(other)
            .and_then(|service| service.resources(call, input))
            .unwrap_or_else(|| vec!["*".to_owned()]),
    };
    let allowed = services.iam.authorize(&call.principal, &action, &resources, &known_of(call, input));
    allowed.map_err(|error| in_words_of(protocol, error))
}

fn known_of(call: &Call, input: &Value) -> Context {
    let mut known = Context::default()
        .with("aws:SourceIp", "127.0.0.1")
        // Loopback counts as TLS: nobody can listen in on it, and a policy that asks for TLS is written for AWS.
        .with("aws:SecureTransport", "true")
        .with("aws:RequestedRegion", call.region.as_str());
    let attaches = call.operation == "AttachRolePolicy" || call.operation == "DetachRolePolicy";
    if let Some(arn) = input["PolicyArn"].as_str().filter(|_| attaches) {
        known = known.with("iam:PolicyARN", arn);
    }
    if let Some(arn) = input["PermissionsBoundary"].as_str() {
        known = known.with("iam:PermissionsBoundary", arn);
    }
    known
}

/// A REST API and what is in it goes by its path ("Control access to an API with IAM permissions", API Gateway guide).
fn api_gateway_arn(region: &str, path: &str) -> String {
    let path = percent_decode_str(path).decode_utf8_lossy();
    format!("arn:aws:apigateway:{region}::{}", path.trim_end_matches('/'))
}

/// Parameters by name, by ARN, and with a selector behind the name. The public ones belong to no account.
fn parameters(call: &Call, input: &Value) -> Vec<String> {
    let names = input["Names"].as_array().into_iter().flatten();
    let asked = names.chain([&input["Name"], &input["Path"]]).filter_map(Value::as_str);
    let arns = asked.map(|name| {
        if name.starts_with("arn:") {
            return name.to_owned();
        }
        let name = name.split(':').next().unwrap_or(name).trim_start_matches('/');
        let account = if name.starts_with("aws/service/") { "" } else { call.account.as_str() };
        format!("arn:aws:ssm:{}:{account}:parameter/{name}", call.region)
    });
    let arns: Vec<String> = arns.collect();
    if arns.is_empty() { vec!["*".to_owned()] } else { arns }
}

fn in_words_of(protocol: Protocol, error: ApiError) -> ApiError {
    match protocol {
        Protocol::Json(_) => error.with_status(400),
        Protocol::RestJson => error.with_status(403),
        Protocol::Query => ApiError::new("AccessDenied", error.message).with_status(403),
        Protocol::Ec2 => {
            let message = format!("You are not authorized to perform this operation. {}", error.message);
            ApiError::new("UnauthorizedOperation", message).with_status(403)
        }
    }
}
