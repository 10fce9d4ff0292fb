//! `GetConsoleOutput`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Request;
use super::region::Region;
use crate::machine::Machines;
use crate::wire::error::ApiError;

/// What the machine wrote last: 64 KiB at most, and always the newest.
pub(super) fn output(region: &Region, request: &Request<'_>, machines: &Machines) -> Result<Value, ApiError> {
    let instance = region.instance(request.text("InstanceId"))?;
    let (bytes, at) = machines.console(&instance.id).unwrap_or((Vec::new(), instance.launched_at));
    Ok(json!({"InstanceId": instance.id, "Timestamp": at, "Output": STANDARD.encode(bytes)}))
}
