//! The tree of paths of an API.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use super::book::Api;
use super::desk::{Desk, new_id};
use super::errors::{bad_request, conflict, no_resource};
use super::input::{lists, text};
use super::patch::{REPLACE, Rule, Slot};
use super::{errors, paging, patch};
use crate::services::Call;
use crate::wire::error::ApiError;

/// "Resources per API" (API Gateway quotas).
const MOST_RESOURCES: usize = 300;

const PATCHES: &[Rule] = &[("/pathPart", Slot::Text, REPLACE), ("/parentId", Slot::Text, REPLACE)];

pub(super) fn create(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.change_api(&call.region, text(input, "restApiId"), |api, _| {
        let id = add(api, text(input, "parentId"), text(input, "pathPart"))?;
        Ok(api.resources[&id].clone())
    })
}

/// Adds a resource below `parent` and returns its id.
pub(super) fn add(api: &mut Api, parent: &str, part: &str) -> Result<String, ApiError> {
    check_place(api, None, parent, part)?;
    if api.resources.len() > MOST_RESOURCES {
        return Err(errors::limit(
            "Maximum number of resources for this API has been reached. Please contact AWS if you need additional \
             resources.",
        ));
    }
    let id = new_id(6);
    let path = path_below(&api.resources[parent], part);
    api.resources.insert(id.clone(), json!({"id": id, "parentId": parent, "pathPart": part, "path": path}));
    Ok(id)
}

pub(super) fn get(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.read_api(&call.region, text(input, "restApiId"), |api| {
        let resource = api.resources.get(text(input, "resourceId")).ok_or_else(no_resource)?;
        Ok(shown(resource, lists(input, "embed", "methods")))
    })
}

pub(super) fn list(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.read_api(&call.region, text(input, "restApiId"), |api| {
        let embed = lists(input, "embed", "methods");
        let all = api.resources.iter().map(|(id, resource)| (id.clone(), shown(resource, embed)));
        paging::page(all.collect(), input)
    })
}

pub(super) fn update(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.change_api(&call.region, text(input, "restApiId"), |api, _| {
        let id = text(input, "resourceId");
        let mut resource = api.resources.get(id).cloned().ok_or_else(no_resource)?;
        if id == api.root() {
            return Err(bad_request("Cannot update the root resource"));
        }
        patch::apply(&mut resource, &input["patchOperations"], PATCHES)?;
        let (parent, part) = (text(&resource, "parentId").to_owned(), text(&resource, "pathPart").to_owned());
        if below(api, id).contains(&parent) {
            return Err(bad_request("A resource cannot be moved below itself"));
        }
        check_place(api, Some(id), &parent, &part)?;
        api.resources.insert(id.to_owned(), resource);
        // Parents come before what is below them.
        for moved in below(api, id) {
            let parent = text(&api.resources[&moved], "parentId");
            let path = path_below(&api.resources[parent], text(&api.resources[&moved], "pathPart"));
            if let Some(resource) = api.resources.get_mut(&moved) {
                resource["path"] = json!(path);
            }
        }
        Ok(shown(&api.resources[id], false))
    })
}

pub(super) fn delete(desk: &Desk, call: &Call, input: &Value) -> Result<Value, ApiError> {
    desk.change_api(&call.region, text(input, "restApiId"), |api, _| {
        let id = text(input, "resourceId");
        if id == api.root() {
            return Err(bad_request("The root resource cannot be deleted"));
        }
        if !api.resources.contains_key(id) {
            return Err(no_resource());
        }
        for gone in below(api, id) {
            api.resources.remove(&gone);
        }
        Ok(json!({}))
    })
}

/// The id of the resource with that path.
pub(super) fn at_path(api: &Api, path: &str) -> Option<String> {
    api.resources.iter().find(|(_, resource)| resource["path"] == path).map(|(id, _)| id.clone())
}

/// Without `embed=methods` only the verbs are shown.
fn shown(resource: &Value, embed: bool) -> Value {
    let mut shown = resource.clone();
    if let Some(methods) = shown["resourceMethods"].as_object_mut().filter(|_| !embed) {
        methods.values_mut().for_each(|method| *method = json!({}));
    }
    if shown["resourceMethods"].is_null()
        && let Some(members) = shown.as_object_mut()
    {
        members.shift_remove("resourceMethods");
    }
    shown
}

/// The resource and all below it, parents first.
fn below(api: &Api, id: &str) -> Vec<String> {
    let mut found = vec![id.to_owned()];
    let mut next = 0;
    while next < found.len() {
        let children = api.resources.iter().filter(|(_, resource)| resource["parentId"] == found[next].as_str());
        let children: Vec<String> = children.map(|(id, _)| id.clone()).collect();
        found.extend(children);
        next += 1;
    }
    found
}

fn path_below(parent: &Value, part: &str) -> String {
    format!("{}/{part}", text(parent, "path").trim_end_matches('/'))
}

fn check_place(api: &Api, own: Option<&str>, parent_id: &str, part: &str) -> Result<(), ApiError> {
    static PART: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^([a-zA-Z0-9._\-:~$@,;=&'!()*+%]+|\{[a-zA-Z0-9._\-:]+\+?\})$")
            .expect("a literal that a test compiles")
    });
    let parent = api.resources.get(parent_id).ok_or_else(no_resource)?;
    if !PART.is_match(part) {
        return Err(bad_request(
            "Resource's path part only allow a-zA-Z0-9._-: or a valid greedy path variable and curly braces at the \
             beginning and the end.",
        ));
    }
    if text(parent, "pathPart").ends_with("+}") {
        let greedy = text(parent, "path");
        return Err(bad_request(format!("Cannot create a child of a resource with a greedy path variable: {greedy}")));
    }
    let siblings = api
        .resources
        .iter()
        .filter(|(id, resource)| resource["parentId"] == parent_id && own.is_none_or(|own| own != id.as_str()));
    for (id, sibling) in siblings {
        if sibling["pathPart"] == part {
            return Err(conflict(format!("Another resource with the same parent already has this name: {part}")));
        }
        let (theirs, ours) = (text(sibling, "pathPart"), part);
        // One variable and one greedy variable may stand beside each other.
        let variable = |part: &str| part.starts_with('{');
        let greedy = |part: &str| part.ends_with("+}");
        if variable(theirs) && variable(ours) && greedy(theirs) == greedy(ours) {
            return Err(bad_request(format!(
                "A sibling ({id}) of this resource already has a variable path part -- only one is allowed"
            )));
        }
    }
    Ok(())
}
