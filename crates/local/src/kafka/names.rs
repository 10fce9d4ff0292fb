//! Which names topics may have.

use kafka_protocol::ResponseError;

use super::error::Refused;

/// "Topic names … maximum length 249" (Kafka's `Topic.MAX_NAME_LENGTH`).
const LONGEST: usize = 249;

/// Topics of the brokers themselves. Nothing is in them here; nobody may make them.
const INTERNAL: [&str; 4] = ["__consumer_offsets", "__transaction_state", "__cluster_metadata", "__amazon_msk_canary"];

/// Refuses what Kafka refuses as a topic's name, and the brokers' own.
pub(crate) fn check(name: &str) -> Result<(), Refused> {
    let invalid = |why: &str| {
        Err(Refused::new(ResponseError::InvalidTopicException, format!("topic name `{}` is {why}", shown(name))))
    };
    if name.is_empty() {
        return invalid("empty");
    }
    if name == "." || name == ".." {
        return invalid("not allowed");
    }
    if name.len() > LONGEST {
        return invalid("longer than 249 characters");
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')) {
        return invalid("not made of letters, digits, `.`, `_` and `-` alone");
    }
    if INTERNAL.contains(&name) {
        return invalid("that of an internal topic of the brokers");
    }
    Ok(())
}

/// Two names that differ in `.` and `_` alone collide in the names of Kafka's metrics.
pub(crate) fn collide(one: &str, other: &str) -> bool {
    let plain = |byte: u8| if byte == b'.' { b'_' } else { byte };
    one.bytes().map(plain).eq(other.bytes().map(plain))
}

fn shown(name: &str) -> String {
    name.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_kafka_takes_them() {
        for name in ["pins", "a", "demo.pins-2_x", &"x".repeat(249), "__amazon_msk_connect_offsets"] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        for name in ["", ".", "..", "a b", "ä", "a/b", &"x".repeat(250), "__consumer_offsets"] {
            assert_eq!(
                check(name).map_err(|refused| refused.code),
                Err(ResponseError::InvalidTopicException),
                "{name}"
            );
        }
        assert!(collide("a.b", "a_b") && !collide("a.b", "a-b"));
    }
}
