//! The request rates that AWS publishes, as token buckets of an account and region.
//!
//! API Gateway: "Quotas for creating, deploying and managing an API", developer guide. Kinesis: "Quotas and limits", Data
//! Streams developer guide, and the API reference of each operation. EC2: "Request throttling for the Amazon EC2 API", where
//! each action has a bucket of its own, whose size is that of its category. The rates of IAM, STS, MSK, MSK Connect and of
//! S3's control plane are not published, and nothing is refused for them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde_json::Value;

use super::codes::throttled;
use crate::wire::error::ApiError;

/// The buckets of all regions.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    buckets: Mutex<HashMap<(String, &'static str, &'static str), Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

/// One bucket that a call takes from.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Limit {
    /// The operation, or what a bucket of several is called.
    name: &'static str,
    size: f64,
    /// Tokens a second.
    refill: f64,
    taken: f64,
}

impl Rates {
    /// Takes the call out of its buckets; refuses it, and takes nothing, when one of them has too little.
    pub(crate) fn take(
        &self,
        service: &'static str,
        operation: &'static str,
        mutating: bool,
        region: &str,
        input: &Value,
    ) -> Result<(), ApiError> {
        let limits = limits(service, operation, mutating, input);
        self.take_at(Instant::now(), service, region, &limits)
            .map_err(|wait| throttled(service, operation, wait.ceil().max(1.0)))
    }

    /// The error is the number of seconds after which there is enough.
    fn take_at(&self, now: Instant, service: &'static str, region: &str, limits: &[Limit]) -> Result<(), f64> {
        if limits.is_empty() {
            return Ok(());
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wait: f64 = 0.0;
        for limit in limits {
            let full = Bucket { tokens: limit.size, at: now };
            let bucket = buckets.entry((region.to_owned(), service, limit.name)).or_insert(full);
            let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
            *bucket = Bucket { tokens: (bucket.tokens + passed * limit.refill).min(limit.size), at: now };
            if bucket.tokens < limit.taken {
                wait = wait.max((limit.taken - bucket.tokens) / limit.refill);
            }
        }
        if wait > 0.0 {
            return Err(wait);
        }
        for limit in limits {
            if let Some(bucket) = buckets.get_mut(&(region.to_owned(), service, limit.name)) {
                bucket.tokens -= limit.taken;
            }
        }
        Ok(())
    }
}

fn limits(service: &'static str, operation: &'static str, mutating: bool, input: &Value) -> Vec<Limit> {
    match service {
        "apigateway" => {
            let all = Limit { name: "*", size: 40.0, refill: 10.0, taken: 1.0 };
            [Some(all), of_api_gateway(operation, input)].into_iter().flatten().collect()
        }
        "kinesis" => of_kinesis(operation).into_iter().collect(),
        "ec2" => of_ec2(operation, mutating, input),
        _ => Vec::new(),
    }
}

/// So many in so many seconds, all at once if need be.
fn rate(name: &'static str, calls: f64, seconds: f64) -> Limit {
    Limit { name, size: calls, refill: calls / seconds, taken: 1.0 }
}

fn of_api_gateway(operation: &'static str, input: &Value) -> Option<Limit> {
    let (calls, seconds) = match operation {
        "CreateDeployment" => (1.0, 5.0),
        "CreateRestApi" | "ImportRestApi" if is_at_the_edge(input) => (1.0, 30.0),
        "CreateRestApi" | "ImportRestApi" => (1.0, 3.0),
        "DeleteRestApi" => (1.0, 30.0),
        "CreateResource" | "DeleteResource" | "CreateApiKey" | "DeleteApiKey" => (5.0, 1.0),
        "GetResources" => (5.0, 2.0),
        "PutRestApi" => (1.0, 1.0),
        "UpdateAccount" | "UpdateUsagePlan" | "CreateDocumentationVersion" => (1.0, 20.0),
        _ => return None,
    };
    Some(rate(operation, calls, seconds))
}

/// Where a new API says nothing of its endpoint it is edge-optimised ("CreateRestApi", API reference).
fn is_at_the_edge(input: &Value) -> bool {
    let created = input["endpointConfiguration"]["types"][0].as_str();
    let imported = input["parameters"]["endpointConfigurationTypes"].as_str();
    created.or(imported).is_none_or(|kind| kind == "EDGE")
}

fn of_kinesis(operation: &'static str) -> Option<Limit> {
    let calls = match operation {
        "CreateStream"
        | "DeleteStream"
        | "ListStreams"
        | "AddTagsToStream"
        | "RemoveTagsFromStream"
        | "ListTagsForStream"
        | "MergeShards"
        | "SplitShard" => 5.0,
        "DescribeStream" | "UpdateShardCount" => 10.0,
        "DescribeStreamSummary" => 20.0,
        "DescribeLimits" => 1.0,
        _ => return None,
    };
    Some(rate(operation, calls, 1.0))
}

fn of_ec2(operation: &'static str, mutating: bool, input: &Value) -> Vec<Limit> {
    let limit = |size, refill| Limit { name: operation, size, refill, taken: 1.0 };
    match operation {
        "RunInstances" => {
            let taken = input["MaxCount"].as_f64().unwrap_or(1.0);
            vec![limit(50.0, 5.0), Limit { name: "instances", size: 1000.0, refill: 2.0, taken }]
        }
        "CreateTags" | "DeleteTags" => vec![limit(100.0, 10.0)],
        "AssociateIamInstanceProfile"
        | "DisassociateIamInstanceProfile"
        | "ModifyInstanceMetadataOptions"
        | "CreateVolume"
        | "DeleteVolume"
        | "CreateNetworkInterface"
        | "DeleteNetworkInterface" => {
            vec![limit(100.0, 5.0)]
        }
        _ if mutating => vec![limit(50.0, 5.0)],
        "DescribeInstances"
        | "DescribeInstanceStatus"
        | "DescribeNetworkInterfaces"
        | "DescribeSecurityGroups"
        | "DescribeVolumes"
        | "DescribeSnapshots"
            if asks_for_all(input) =>
        {
            vec![Limit { name: unfiltered(operation), size: 50.0, refill: 10.0, taken: 1.0 }]
        }
        _ => vec![limit(100.0, 20.0)],
    }
}

/// Neither filters nor ids nor a page size.
fn asks_for_all(input: &Value) -> bool {
    let Some(fields) = input.as_object() else { return true };
    fields.iter().all(|(name, value)| name == "DryRun" || value.as_array().is_some_and(Vec::is_empty))
}

/// A bucket beside that of the same operation with a filter.
fn unfiltered(operation: &'static str) -> &'static str {
    match operation {
        "DescribeInstances" => "DescribeInstances of all",
        "DescribeInstanceStatus" => "DescribeInstanceStatus of all",
        "DescribeNetworkInterfaces" => "DescribeNetworkInterfaces of all",
        "DescribeSecurityGroups" => "DescribeSecurityGroups of all",
        "DescribeVolumes" => "DescribeVolumes of all",
        _ => "all",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    /// How many of 100 calls at once pass after so many milliseconds.
    fn passed(rates: &Rates, start: Instant, millis: u64, operation: &'static str, input: &Value) -> usize {
        let (service, mutating) = if operation.starts_with("Describe") { ("ec2", false) } else { ("apigateway", true) };
        let limits = limits(service, operation, mutating, input);
        let now = start + Duration::from_millis(millis);
        (0..100).filter(|_| rates.take_at(now, service, "eu-west-1", &limits).is_ok()).count()
    }

    #[test]
    fn an_operation_waits_for_its_own_rate_and_for_its_services() {
        let (rates, start, none) = (Rates::default(), Instant::now(), json!({}));
        assert_eq!(passed(&rates, start, 0, "CreateDeployment", &none), 1);
        assert_eq!(passed(&rates, start, 0, "CreateApiKey", &none), 5);
        // The burst of all operations together is 40, and what was refused took nothing out of it.
        assert_eq!(passed(&rates, start, 0, "UpdateStage", &none), 34);
        assert_eq!(passed(&rates, start, 1_000, "UpdateStage", &none), 10);
        assert_eq!(passed(&rates, start, 4_999, "CreateDeployment", &none), 0);
        assert_eq!(passed(&rates, start, 5_000, "CreateDeployment", &none), 1);
    }

    #[test]
    fn an_edge_optimised_api_is_slower() {
        let wait = |input: &Value| {
            let (rates, now) = (Rates::default(), Instant::now());
            let limits = limits("apigateway", "CreateRestApi", true, input);
            assert_eq!(rates.take_at(now, "apigateway", "r", &limits), Ok(()));
            rates.take_at(now, "apigateway", "r", &limits).unwrap_err().round()
        };
        assert_eq!(wait(&json!({"name": "a"})), 30.0);
        assert_eq!(wait(&json!({"endpointConfiguration": {"types": ["REGIONAL"]}})), 3.0);
    }

    #[test]
    fn reading_everything_of_ec2_has_a_smaller_bucket() {
        let (rates, start) = (Rates::default(), Instant::now());
        assert_eq!(passed(&rates, start, 0, "DescribeInstances", &json!({})), 50);
        assert_eq!(passed(&rates, start, 0, "DescribeInstances", &json!({"InstanceIds": ["i-1"]})), 100);
        assert_eq!(passed(&rates, start, 1_000, "DescribeInstances", &json!({"Filters": []})), 10);
        assert_eq!(passed(&rates, start, 1_000, "DescribeInstances", &json!({"MaxResults": 5})), 20);
    }

    #[test]
    fn a_bucket_belongs_to_a_region_and_an_instance_costs_a_token() {
        let (rates, now) = (Rates::default(), Instant::now());
        let run = limits("ec2", "RunInstances", true, &json!({"MaxCount": 600}));
        assert_eq!(rates.take_at(now, "ec2", "eu-west-1", &run), Ok(()));
        assert_eq!(rates.take_at(now, "ec2", "eu-west-1", &run), Err(100.0));
        assert_eq!(rates.take_at(now, "ec2", "us-east-1", &run), Ok(()));
        assert_eq!(limits("s3", "PutObject", true, &Value::Null), []);
    }
}
