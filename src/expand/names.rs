//! Names that more than one section uses. Every name starts with the stack's; those that are unique in an account or
//! in the world hold the region, and the account, as well: two stacks of one name may live in two regions.

use pinfra_engine::state::Place;

use crate::spec::Stack;

/// The lake bucket.
pub(super) fn bucket(stack: &Stack, place: &Place) -> String {
    if let Some(existing) = stack.lake.as_ref().and_then(|lake| lake.existing.as_ref()) {
        return existing.value.clone();
    }
    format!("{}-{}-{}", *stack.name, place.account, place.region)
}

/// A role, or an instance profile. At most 64 characters: 32 of the stack, 14 of the longest region.
pub(super) fn role(stack: &Stack, what: &str, place: &Place) -> String {
    format!("{}-{what}-{}", *stack.name, place.region)
}

/// The path of everything in IAM, by which a stack's roles are found: the Tagging API does not list them.
pub(super) fn iam_path(stack: &Stack) -> String {
    pinfra_aws::iam::path_of(&stack.name)
}

/// The stream of a table.
pub(super) fn stream(stack: &Stack, table: &str) -> String {
    format!("{}-{table}", *stack.name)
}

/// The topic of a table.
pub(super) fn topic(stack: &Stack, table: &str) -> String {
    format!("{}.{table}", *stack.name)
}

/// The connector.
pub(super) fn connector(stack: &Stack) -> String {
    format!("{}-s3", *stack.name)
}

/// The consumer group of the connector (Kafka Connect's own rule for sinks).
pub(super) fn group(stack: &Stack) -> String {
    format!("connect-{}", connector(stack))
}

/// The ARN of the stream of a table.
pub(super) fn stream_arn(stack: &Stack, table: &str, place: &Place) -> String {
    let partition = pinfra_aws::clients::partition(&place.region);
    format!("arn:{partition}:kinesis:{}:{}:stream/{}", place.region, place.account, stream(stack, table))
}
