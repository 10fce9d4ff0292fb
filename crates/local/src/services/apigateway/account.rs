//! The settings of the account in a region.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use super::desk::Desk;
use super::errors::bad_request;
use super::input::text;
use super::patch;
use super::patch::{REPLACE, Rule, Slot};
use crate::services::Call;
use crate::wire::error::ApiError;

const PATCHES: &[Rule] = &[("/cloudwatchRoleArn", Slot::Text, REPLACE)];

pub(super) fn get(desk: &Desk, call: &Call) -> Value {
    shown(desk.book().account(&call.region))
}

pub(super) fn update(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    static ROLE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^arn:aws[a-z-]*:iam::\d{12}:role/.+$").expect("a literal that a test compiles"));
    let mut account = desk.book().account(&call.region);
    patch::apply(&mut account, &input["patchOperations"], PATCHES)?;
    let role = text(&account, "cloudwatchRoleArn");
    if !role.is_empty() && !ROLE.is_match(role) {
        return Err(bad_request(
            "The role ARN does not have required permissions configured. Please grant trust permission for API Gateway and add the required role policy.",
        ));
    }
    desk.put_account(&call.region, account.clone())?;
    Ok(shown(account))
}

fn shown(account: Value) -> Value {
    let mut account = account;
    account["throttleSettings"] = json!({"burstLimit": 5000, "rateLimit": 10_000.0});
    account["features"] = json!(["UsagePlans"]);
    account["apiKeyVersion"] = json!("4");
    account
}
