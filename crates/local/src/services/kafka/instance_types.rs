//! Broker instance types ("Amazon MSK broker sizes", MSK developer guide). How large one is changes nothing about how
//! fast it runs here.

use super::errors::invalid;
use crate::wire::error::ApiError;

/// Standard brokers: family and sizes.
const STANDARD: [(&str, &[&str]); 3] = [
    ("kafka.t3", &["small"]),
    ("kafka.m5", &["large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge"]),
    ("kafka.m7g", &["large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge"]),
];

/// Express brokers.
const EXPRESS: [(&str, &[&str]); 1] =
    [("express.m7g", &["large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge"])];

/// Whether brokers of this type keep their storage themselves.
pub(super) fn is_express(name: &str) -> bool {
    name.starts_with("express.")
}

/// Refuses what is no type of brokers.
pub(super) fn check(name: &str, parameter: &str) -> Result<(), ApiError> {
    let families = STANDARD.iter().chain(&EXPRESS);
    let known: Vec<String> =
        families.flat_map(|(family, sizes)| sizes.iter().map(move |size| format!("{family}.{size}"))).collect();
    if known.iter().any(|one| one == name) {
        return Ok(());
    }
    Err(invalid(parameter, format!("Unsupported InstanceType [{name}]. Valid values: [{}]", known.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_known_by_name() {
        for good in ["kafka.t3.small", "kafka.m5.24xlarge", "kafka.m7g.large", "express.m7g.16xlarge"] {
            check(good, "instanceType").unwrap();
        }
        for wrong in ["t3.small", "kafka.t3.large", "kafka.m7g.24xlarge", ""] {
            assert_eq!(check(wrong, "instanceType").unwrap_err().code, "BadRequestException", "{wrong}");
        }
    }
}
