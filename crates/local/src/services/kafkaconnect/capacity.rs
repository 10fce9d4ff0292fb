//! Capacity of connectors: exactly one of two kinds, within the bounds of the API reference.

use serde_json::{Value, json};

use super::errors::invalid;
use crate::wire::error::ApiError;

/// "The number of workers that are allocated to the connector": 1 to 10.
const MOST_WORKERS: i64 = 10;

/// The capacity that is asked for, with the policies that the service fills in.
pub(super) fn checked(asked: &Value) -> Result<Value, ApiError> {
    match (&asked["provisionedCapacity"], &asked["autoScaling"]) {
        (provisioned, Value::Null) if !provisioned.is_null() => {
            let mcus = mcu_count(provisioned)?;
            let workers = workers(provisioned, "workerCount")?;
            Ok(json!({"provisionedCapacity": {"mcuCount": mcus, "workerCount": workers}}))
        }
        (Value::Null, scaling) if !scaling.is_null() => {
            let (least, most) = (workers(scaling, "minWorkerCount")?, workers(scaling, "maxWorkerCount")?);
            if least > most {
                return Err(invalid("autoScaling", "The minimum worker count exceeds the maximum worker count."));
            }
            let tasks = scaling["maxAutoscalingTaskCount"].as_i64();
            if tasks.is_some_and(|tasks| tasks < most) {
                return Err(invalid("maxAutoscalingTaskCount", "It has to be at least the maximum worker count."));
            }
            let percent =
                |policy: &str, default: i64| scaling[policy]["cpuUtilizationPercentage"].as_i64().unwrap_or(default);
            let mut shown = json!({
                "mcuCount": mcu_count(scaling)?,
                "minWorkerCount": least,
                "maxWorkerCount": most,
                "scaleInPolicy": {"cpuUtilizationPercentage": percent("scaleInPolicy", 20)},
                "scaleOutPolicy": {"cpuUtilizationPercentage": percent("scaleOutPolicy", 80)},
            });
            if let Some(tasks) = tasks {
                shown["maxAutoscalingTaskCount"] = json!(tasks);
            }
            Ok(json!({"autoScaling": shown}))
        }
        _ => Err(invalid("capacity", "Exactly one of provisionedCapacity and autoScaling has to be given.")),
    }
}

/// With auto scaling MSK Connect overrides `tasks.max`: workers × MCUs × 2, at most `maxAutoscalingTaskCount`. There is
/// one worker here, the smallest number of them.
pub(super) fn tasks_max(capacity: &Value) -> Option<i64> {
    let scaling = capacity["autoScaling"].as_object()?;
    let number = |member: &str| scaling.get(member).and_then(Value::as_i64);
    let tasks = number("minWorkerCount")? * number("mcuCount")? * 2;
    Some(number("maxAutoscalingTaskCount").map_or(tasks, |most| tasks.min(most)))
}

/// The member that is given.
pub(super) fn kind(capacity: &Value) -> &'static str {
    if capacity["autoScaling"].is_null() { "provisionedCapacity" } else { "autoScaling" }
}

fn mcu_count(of: &Value) -> Result<i64, ApiError> {
    let count = of["mcuCount"].as_i64().filter(|count| [1, 2, 4, 8].contains(count));
    count.ok_or_else(|| invalid("mcuCount", "Valid values are 1, 2, 4 and 8."))
}

fn workers(of: &Value, member: &str) -> Result<i64, ApiError> {
    let count = of[member].as_i64().filter(|count| (1..=MOST_WORKERS).contains(count));
    count.ok_or_else(|| invalid(member, format!("The number of workers has to be between 1 and {MOST_WORKERS}.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_kind_within_its_bounds() {
        let good = json!({"provisionedCapacity": {"mcuCount": 1, "workerCount": 2}});
        assert_eq!(checked(&good).unwrap(), good);
        assert_eq!(tasks_max(&good), None);
        let scaling = json!({"autoScaling": {"mcuCount": 2, "minWorkerCount": 1, "maxWorkerCount": 3}});
        let shown = checked(&scaling).unwrap();
        assert_eq!(shown["autoScaling"]["scaleOutPolicy"]["cpuUtilizationPercentage"], 80);
        assert_eq!(tasks_max(&shown), Some(4));
        for bad in [
            json!({}),
            json!({"provisionedCapacity": {"mcuCount": 3, "workerCount": 1}}),
            json!({"provisionedCapacity": {"mcuCount": 1, "workerCount": 11}}),
            json!({"provisionedCapacity": {"mcuCount": 1, "workerCount": 1}, "autoScaling": {}}),
            json!({"autoScaling": {"mcuCount": 1, "minWorkerCount": 3, "maxWorkerCount": 2}}),
        ] {
            assert_eq!(checked(&bad).unwrap_err().code, "BadRequestException", "{bad}");
        }
    }
}
