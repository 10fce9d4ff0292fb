//! `DescribeInstanceAttribute` and `ModifyInstanceAttribute`: one attribute a call.

use serde_json::{Value, json};

use super::filters::texts;
use super::instance::{Instance, State};
use super::region::Region;
use super::{Request, errors, instance_types, launch, placement};
use crate::wire::error::ApiError;

/// Members of the request that name an attribute by themselves.
const MEMBERS: &[&str] = &[
    "BlockDeviceMappings",
    "DisableApiStop",
    "DisableApiTermination",
    "EbsOptimized",
    "EnaSupport",
    "EnclaveOptions",
    "Groups",
    "InstanceInitiatedShutdownBehavior",
    "InstanceType",
    "Kernel",
    "Ramdisk",
    "SourceDestCheck",
    "SriovNetSupport",
    "UserData",
];

/// `DescribeInstanceAttribute`.
pub(super) fn describe(region: &Region, request: &Request<'_>) -> Result<Value, ApiError> {
    let instance = region.instance(request.text("InstanceId"))?;
    let attribute = request.text("Attribute");
    let (member, value) = match attribute {
        "blockDeviceMapping" => ("BlockDeviceMappings", json!(instance.device_views(region))),
        "disableApiStop" => ("DisableApiStop", json!({"Value": instance.stop_protected})),
        "disableApiTermination" => ("DisableApiTermination", json!({"Value": instance.terminate_protected})),
        "ebsOptimized" => ("EbsOptimized", json!({"Value": instance.ebs_optimized})),
        "enaSupport" => ("EnaSupport", json!({"Value": true})),
        "enclaveOptions" => ("EnclaveOptions", json!({"Enabled": false})),
        "groupSet" => ("Groups", json!(instance.group_views(region))),
        "instanceInitiatedShutdownBehavior" => {
            ("InstanceInitiatedShutdownBehavior", json!({"Value": instance.shutdown_behavior}))
        }
        "instanceType" => ("InstanceType", json!({"Value": instance.instance_type})),
        "kernel" => ("KernelId", json!({})),
        "productCodes" => ("ProductCodes", json!([])),
        "ramdisk" => ("RamdiskId", json!({})),
        "rootDeviceName" => ("RootDeviceName", json!({"Value": instance.root_device})),
        "sourceDestCheck" => ("SourceDestCheck", json!({"Value": instance.source_dest_check})),
        "sriovNetSupport" => ("SriovNetSupport", json!({"Value": "simple"})),
        "userData" => ("UserData", json!({"Value": instance.user_data})),
        other => return Err(errors::invalid_value(format!("Invalid attribute: {other}"))),
    };
    Ok(json!({"InstanceId": instance.id, member: value}))
}

/// `ModifyInstanceAttribute`.
pub(super) fn modify(region: &mut Region, request: &Request<'_>) -> Result<Value, ApiError> {
    let input = request.input;
    let instance = region.instance(request.text("InstanceId"))?;
    if matches!(instance.state, State::ShuttingDown | State::Terminated) {
        let message = format!("The instance '{}' is in the {} state", instance.id, instance.state.name());
        return Err(errors::incorrect_state(message));
    }
    let given: Vec<&str> = MEMBERS.iter().copied().filter(|member| !input[*member].is_null()).collect();
    let (member, value) = match (input["Attribute"].as_str(), given.as_slice()) {
        (Some(attribute), []) => (member_of(attribute)?, with_value(attribute, &input["Value"])),
        (None, [member]) => (*member, input[*member].clone()),
        (None, []) => return Err(errors::missing("attribute")),
        _ => {
            let message = "Fields for multiple attribute types specified: one attribute a request can be modified";
            return Err(errors::combination(message));
        }
    };
    let groups = if member == "Groups" { placement::check_groups(region, &texts(&value))? } else { Vec::new() };
    let instance = region.instance_mut(request.text("InstanceId"))?;
    match member {
        "Groups" if groups.is_empty() => Err(errors::invalid_value("An instance needs at least one security group")),
        "Groups" => {
            instance.groups = groups;
            Ok(json!({}))
        }
        _ => set(instance, member, &value["Value"]).map(|()| json!({})),
    }
}

fn set(instance: &mut Instance, member: &str, value: &Value) -> Result<(), ApiError> {
    let flag = || value.as_bool().ok_or_else(|| errors::missing("Value"));
    match member {
        "DisableApiStop" => instance.stop_protected = flag()?,
        "DisableApiTermination" => instance.terminate_protected = flag()?,
        "SourceDestCheck" => instance.source_dest_check = flag()?,
        "InstanceInitiatedShutdownBehavior" => match value.as_str() {
            Some(behavior @ ("stop" | "terminate")) => behavior.clone_into(&mut instance.shutdown_behavior),
            _ => return Err(errors::invalid_value("The shutdown behavior is stop or terminate")),
        },
        "EbsOptimized" => {
            must_be_stopped(instance, "ebsOptimized")?;
            instance.ebs_optimized = flag()?;
        }
        "InstanceType" => {
            must_be_stopped(instance, "instanceType")?;
            let kind = instance_types::find(value.as_str().unwrap_or_default())?;
            if kind.architecture != instance.architecture {
                let message = format!("The instance type {} is of another architecture than the instance", kind.name);
                return Err(errors::invalid_value(message));
            }
            let usual = if kind.name.starts_with("t2.") { "standard" } else { "unlimited" };
            instance.credits = kind.burstable.then(|| instance.credits.take().unwrap_or_else(|| usual.to_owned()));
            instance.instance_type = kind.name;
        }
        "UserData" => {
            must_be_stopped(instance, "userData")?;
            let text = value.as_str();
            launch::check_user_data(text)?;
            instance.user_data = text.filter(|text| !text.is_empty()).map(str::to_owned);
        }
        other => return Err(errors::unsupported(&format!("`{other}` of ModifyInstanceAttribute"))),
    }
    Ok(())
}

fn must_be_stopped(instance: &Instance, attribute: &str) -> Result<(), ApiError> {
    if instance.state == State::Stopped {
        return Ok(());
    }
    let message =
        format!("The instance '{}' is not in the 'stopped' state, which a change of {attribute} needs.", instance.id);
    Err(errors::incorrect_state(message))
}

/// The member that stands for an attribute.
fn member_of(attribute: &str) -> Result<&'static str, ApiError> {
    let member = match attribute {
        "groupSet" => "Groups",
        "blockDeviceMapping" => "BlockDeviceMappings",
        other => {
            let same = |member: &&&str| member.eq_ignore_ascii_case(other);
            return MEMBERS
                .iter()
                .find(same)
                .copied()
                .ok_or_else(|| errors::invalid_value(format!("Invalid attribute: {attribute}")));
        }
    };
    Ok(member)
}

/// `Attribute` comes with a text, whatever the attribute's type is.
fn with_value(attribute: &str, text: &Value) -> Value {
    match text.as_str() {
        Some(text) if attribute == "groupSet" => json!([text]),
        Some("true") => json!({"Value": true}),
        Some("false") => json!({"Value": false}),
        _ => json!({ "Value": text }),
    }
}
