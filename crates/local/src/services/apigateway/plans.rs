//! Usage plans: which keys may call which stages, at which rate and how often.

use serde_json::{Value, json};

use super::book::{Book, Plan};
use super::desk::{Desk, new_id};
use super::errors::{bad_request, conflict, no_key, no_plan, not_found};
use super::input::{picked, text};
use super::patch::{ANY, Operation, REPLACE, Rule, Slot};
use super::{paging, patch, tags};
use crate::services::Call;
use crate::wire::error::ApiError;

const PATCHES: &[Rule] = &[
    ("/name", Slot::Text, REPLACE),
    ("/description", Slot::Text, REPLACE),
    ("/throttle/rateLimit", Slot::Number, ANY),
    ("/throttle/burstLimit", Slot::Whole, ANY),
    ("/throttle", Slot::Text, &["remove"]),
    ("/quota/limit", Slot::Whole, ANY),
    ("/quota/offset", Slot::Whole, ANY),
    ("/quota/period", Slot::Text, ANY),
    ("/quota", Slot::Text, &["remove"]),
];

pub(super) fn create(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let id = new_id(6);
    let mut shape = json!({"id": id, "apiStages": [], "tags": tags::checked(&input["tags"], &json!({}))?});
    for (member, value) in picked(input, &["name", "description", "apiStages", "throttle", "quota"]) {
        shape[member] = value;
    }
    desk.change_plan(&call.region, &id, |plan, book| {
        check(&shape, book, &call.region)?;
        *plan = Some(Plan { region: call.region.clone(), shape: shape.clone(), keys: Vec::new() });
        Ok(shape)
    })
}

pub(super) fn get(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let book = desk.book();
    Ok(find(&book, call, input)?.shape.clone())
}

pub(super) fn list(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let key = text(input, "keyId");
    let book = desk.book();
    let wanted = book
        .plans
        .iter()
        .filter(|(_, plan)| plan.region == call.region && (key.is_empty() || plan.keys.iter().any(|on| on == key)));
    paging::page(wanted.map(|(id, plan)| (id.clone(), plan.shape.clone())).collect(), input)
}

pub(super) fn update(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.change_plan(&call.region, text(input, "usagePlanId"), |plan, book| {
        let plan = plan.as_mut().ok_or_else(no_plan)?;
        for operation in input["patchOperations"].as_array().into_iter().flatten() {
            let operation = Operation::read(operation)?;
            if operation.segments.first().is_some_and(|first| first == "apiStages") {
                change_stages(&mut plan.shape, &operation)?;
            } else {
                patch::apply_one(&mut plan.shape, &operation, PATCHES)?;
            }
        }
        check(&plan.shape, book, &call.region)?;
        let keys = plan.keys.clone();
        for key in &keys {
            check_overlap(book, text(&plan.shape, "id"), plan, key)?;
        }
        Ok(plan.shape.clone())
    })
}

pub(super) fn delete(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let id = text(input, "usagePlanId");
    desk.change_plan(&call.region, id, |plan, book| {
        let found = plan.as_ref().ok_or_else(no_plan)?;
        // A stage that is gone holds nobody.
        let stages = found.shape["apiStages"].as_array().into_iter().flatten();
        if stages.into_iter().any(|stage| is_there(book, &call.region, stage)) {
            return Err(bad_request(format!(
                "Usage Plan {id} cannot be deleted because it has API stages associated with it"
            )));
        }
        *plan = None;
        Ok(json!({}))
    })
}

pub(super) fn create_key(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    if text(input, "keyType") != "API_KEY" {
        return Err(bad_request("Invalid key type specified. Valid options are API_KEY"));
    }
    let (id, key) = (text(input, "usagePlanId"), text(input, "keyId"));
    desk.change_plan(&call.region, id, |plan, book| {
        let plan = plan.as_mut().ok_or_else(no_plan)?;
        book.keys.get(key).filter(|found| found.region == call.region).ok_or_else(no_key)?;
        if plan.keys.iter().any(|on| on == key) {
            return Err(conflict(format!("Usage Plan {id} already has the API Key {key}")));
        }
        check_overlap(book, id, plan, key)?;
        plan.keys.push(key.to_owned());
        key_shape(book, key)
    })
}

pub(super) fn get_key(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let book = desk.book();
    let key = text(input, "keyId");
    let on = find(&book, call, input)?.keys.iter().any(|on| on == key);
    if on { key_shape(&book, key) } else { Err(not_on_plan()) }
}

pub(super) fn list_keys(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let book = desk.book();
    let mut keys = Vec::new();
    for key in &find(&book, call, input)?.keys {
        let shape = key_shape(&book, key)?;
        if text(&shape, "name").starts_with(text(input, "nameQuery")) {
            keys.push((key.clone(), shape));
        }
    }
    keys.sort_by(|(a, _), (b, _)| a.cmp(b));
    paging::page(keys, input)
}

pub(super) fn delete_key(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let key = text(input, "keyId");
    desk.change_plan(&call.region, text(input, "usagePlanId"), |plan, _| {
        let plan = plan.as_mut().ok_or_else(no_plan)?;
        let place = plan.keys.iter().position(|on| on == key).ok_or_else(not_on_plan)?;
        plan.keys.remove(place);
        Ok(json!({}))
    })
}

fn find<'b>(book: &'b Book, call: &Call, input: &Value) -> Result<&'b Plan, ApiError> {
    book.plans.get(text(input, "usagePlanId")).filter(|plan| plan.region == call.region).ok_or_else(no_plan)
}

fn not_on_plan() -> ApiError {
    not_found("Invalid Usage Plan Key identifier specified")
}

/// The value of the key is left out: who needs it asks for it by `GetApiKey`.
fn key_shape(book: &Book, id: &str) -> Result<Value, ApiError> {
    let key = book.keys.get(id).ok_or_else(no_key)?;
    Ok(json!({"id": id, "type": "API_KEY", "name": key.shape["name"]}))
}

/// `add /apiStages` with the value `<api>:<stage>`; `/apiStages/<api>:<stage>/throttle/<path>/<verb>/rateLimit`.
fn change_stages(shape: &mut Value, operation: &Operation<'_>) -> Result<(), ApiError> {
    const RULES: &[Rule] = &[
        ("/apiStages", Slot::Text, &["add", "remove"]),
        ("/apiStages/<api>:<stage>/throttle/<path>/<method>/rateLimit", Slot::Number, ANY),
        ("/apiStages/<api>:<stage>/throttle/<path>/<method>/burstLimit", Slot::Whole, ANY),
    ];
    const LIMITS: &[Rule] = &[("/rateLimit", Slot::Number, REPLACE), ("/burstLimit", Slot::Whole, REPLACE)];
    let invalid = || bad_request("Invalid API Stage specified. Use the form <api id>:<stage>");
    let stages = shape["apiStages"].as_array_mut().ok_or_else(invalid)?;
    let place = |stages: &[Value], named: &str| {
        let (api, stage) = named.split_once(':')?;
        stages.iter().position(|there| there["apiId"] == api && there["stage"] == stage)
    };
    match (&operation.segments[..], operation.op) {
        ([_], "add") => {
            let (api, stage) = operation.text()?.split_once(':').ok_or_else(invalid)?;
            if place(stages, operation.text()?).is_none() {
                stages.push(json!({"apiId": api, "stage": stage}));
            }
            Ok(())
        }
        ([_], "remove") => {
            let found = place(stages, operation.text()?).ok_or_else(invalid)?;
            stages.remove(found);
            Ok(())
        }
        ([_, named, throttle, path, verb, leaf], op) if throttle == "throttle" => {
            let found = place(stages, named).ok_or_else(invalid)?;
            let key = format!("{path}/{verb}");
            if op == "remove" {
                if let Some(throttles) = stages[found]["throttle"].as_object_mut() {
                    throttles.shift_remove(&key);
                }
                return Ok(());
            }
            let limits = &mut stages[found]["throttle"][&key];
            let inner =
                Operation { op: "replace", path: operation.path, segments: vec![leaf.clone()], value: operation.value };
            patch::apply_one(limits, &inner, LIMITS)
        }
        _ => Err(operation.unknown(RULES)),
    }
}

fn check(shape: &Value, book: &Book, region: &str) -> Result<(), ApiError> {
    if text(shape, "name").is_empty() {
        return Err(bad_request("Usage plan name cannot be empty"));
    }
    for stage in shape["apiStages"].as_array().into_iter().flatten() {
        if !is_there(book, region, stage) {
            let (api, stage) = (text(stage, "apiId"), text(stage, "stage"));
            return Err(not_found(format!("API Stage not found: {api}:{stage}")));
        }
    }
    let throttle = &shape["throttle"];
    if throttle["rateLimit"].as_f64().is_some_and(|rate| rate < 0.0)
        || throttle["burstLimit"].as_i64().is_some_and(|burst| burst < 0)
    {
        return Err(bad_request("Usage Plan throttle limits cannot be negative"));
    }
    let quota = &shape["quota"];
    if quota.is_null() {
        return Ok(());
    }
    let offset = quota["offset"].as_i64().unwrap_or(0);
    let most = match text(quota, "period") {
        "DAY" => 0,
        "WEEK" => 6,
        "MONTH" => 27,
        _ => return Err(bad_request("Usage Plan quota period must be one of DAY, WEEK, MONTH")),
    };
    if quota["limit"].as_i64().is_none_or(|limit| limit < 1) {
        return Err(bad_request("Usage Plan quota limit must be at least 1"));
    }
    if !(0..=most).contains(&offset) {
        return Err(bad_request(format!("Usage Plan quota offset must be between 0 and {most} for this period")));
    }
    Ok(())
}

fn is_there(book: &Book, region: &str, stage: &Value) -> bool {
    let api = book.apis.get(text(stage, "apiId")).filter(|api| api.region == region);
    api.is_some_and(|api| api.stages.contains_key(text(stage, "stage")))
}

/// "An API key can be associated with more than one usage plan … [but] with only one usage plan for each stage" (developer
/// guide, "Creating and using usage plans with API keys").
fn check_overlap(book: &Book, id: &str, plan: &Plan, key: &str) -> Result<(), ApiError> {
    for (other_id, other) in book.plans.iter().filter(|(other, _)| other.as_str() != id) {
        if !other.keys.iter().any(|on| on == key) {
            continue;
        }
        for stage in plan.shape["apiStages"].as_array().into_iter().flatten() {
            let (api, stage) = (text(stage, "apiId"), text(stage, "stage"));
            if other.stage(api, stage).is_some() {
                return Err(conflict(format!(
                    "API Key {key} can not be in this Usage Plan because Usage Plan {other_id} already has it with the \
                     API Stage {api}:{stage}"
                )));
            }
        }
    }
    Ok(())
}
