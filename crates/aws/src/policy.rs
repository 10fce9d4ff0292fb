//! JSON policies, compared by meaning: AWS reorders lists and unwraps lists of one (field reports against every tool that
//! compares them as text).

use pinfra_engine::value::is_joined;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

/// A policy as it means: lists of one are their one, and lists that AWS reorders are sorted.
pub fn normalise_policy(policy: &Value) -> Value {
    match policy {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(normalise_policy).collect();
            items.sort_by_key(Value::to_string);
            match items.len() {
                1 => items.remove(0),
                _ => Value::Array(items),
            }
        }
        joined if is_joined(joined) => joined.clone(),
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            Value::Object(keys.into_iter().map(|key| (key.clone(), normalise_policy(&map[key]))).collect())
        }
        other => other.clone(),
    }
}

/// Reads a policy as it means. ARNs that other resources tell can change the order of a list when they become known.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    Value::deserialize(deserializer).map(|policy| normalise_policy(&policy))
}

/// A trust policy: this service of AWS may act as the role.
pub fn service_trust(service: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}],
    })
}

/// A policy that allows these actions on these resources, and nothing else. Each statement is its own, so that a
/// resource whose ARN is not known yet can stand in it as a reference.
pub fn allow(statements: &[Value]) -> Value {
    normalise_policy(&json!({"Version": "2012-10-17", "Statement": statements}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_that_mean_the_same_are_equal() {
        let a = json!({"Version": "2012-10-17", "Statement": [{"Action": ["s3:b", "s3:a"], "Effect": "Deny"}]});
        let b = json!({"Statement": {"Effect": "Deny", "Action": ["s3:a", "s3:b"]}, "Version": "2012-10-17"});
        assert_eq!(normalise_policy(&a), normalise_policy(&b));
        assert_eq!(normalise_policy(&a).to_string(), normalise_policy(&b).to_string());
    }
}
