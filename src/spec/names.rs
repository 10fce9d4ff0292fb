//! Names: what AWS allows in them, and what it keeps for itself.
//!
//! The stack's name begins every cloud name, so the rules of all services meet here. It has at most 32 characters and a table
//! at most 63; the longest name made of both is a topic or a stream, 96 characters, and Kafka allows 249, Kinesis 128.

use super::nearest::quoted;

/// What a stack may be called.
pub(super) const STACK_PATTERN: &str = "^[a-z][a-z0-9-]{1,30}[a-z0-9]$";

/// Beginnings that a service keeps for itself, and which one ("Bucket naming rules", Amazon S3 user guide;
/// `CreateSecurityGroup`, Amazon EC2 API reference).
const RESERVED_PREFIXES: &[(&str, &str)] = &[
    ("xn--", "S3 allows no bucket that begins so"),
    ("sthree-", "S3 allows no bucket that begins so"),
    ("amzn-s3-demo-", "S3 allows no bucket that begins so"),
    ("sg-", "EC2 allows no security group that begins so"),
];

/// Endings of bucket names that S3 keeps for itself (same page).
const RESERVED_BUCKET_SUFFIXES: &[&str] = &["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];

/// Why a stack cannot have this name, and what to do: `(message, label, help)`.
pub(super) fn stack_name_problem(name: &str) -> Option<(String, String, String)> {
    let rule = || "use 3 to 32 lower-case letters, digits and hyphens, a letter first and no hyphen last".to_owned();
    let edges = name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.ends_with('-');
    let characters = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !(3..=32).contains(&name.chars().count()) || !edges || !characters {
        let suggestion = suggested(name).map_or_else(rule, |good| format!("{}; for instance `{good}`", rule()));
        return Some((
            format!("{} cannot name a stack", quoted(name)),
            "every cloud name begins with it".to_owned(),
            suggestion,
        ));
    }
    let (prefix, why) = RESERVED_PREFIXES.iter().find(|(prefix, _)| name.starts_with(prefix))?;
    let message = format!("a stack's name cannot begin with `{prefix}`");
    Some((message, (*why).to_owned(), "every cloud name begins with the stack's: choose another".to_owned()))
}

/// The name with what is not allowed left out.
fn suggested(name: &str) -> Option<String> {
    let plain: String = name
        .trim()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .skip_while(|c| !c.is_ascii_lowercase())
        .take(32)
        .collect();
    let plain = plain.trim_end_matches('-');
    (plain.len() >= 3 && name.is_ascii()).then(|| plain.to_owned())
}

/// Why no bucket can have this name, and what to do ("Bucket naming rules", Amazon S3 user guide).
pub(super) fn bucket_name_problem(name: &str) -> Option<(String, String)> {
    let message = format!("{} cannot be the name of a bucket", quoted(name));
    if let Some(bare) = name.strip_prefix("s3://").or(name.strip_prefix("arn:aws:s3:::")) {
        return Some((message, format!("write the name alone: `{}`", bare.split('/').next().unwrap_or_default())));
    }
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let good = (3..=63).contains(&name.len())
        && name.chars().all(|c| alphanumeric(c) || c == '-' || c == '.')
        && name.starts_with(alphanumeric)
        && name.ends_with(alphanumeric)
        && !name.contains("..");
    if !good {
        let help =
            "a bucket has 3 to 63 lower-case letters, digits, hyphens and single dots, a letter or digit at both ends";
        return Some((message, help.to_owned()));
    }
    if name.parse::<std::net::Ipv4Addr>().is_ok() {
        return Some((message, "it looks like an IP address".to_owned()));
    }
    let prefixes = RESERVED_PREFIXES.iter().filter(|(_, why)| why.starts_with("S3")).map(|(prefix, _)| prefix);
    if let Some(prefix) = prefixes.into_iter().find(|prefix| name.starts_with(**prefix)) {
        return Some((message, format!("S3 keeps names that begin with `{prefix}` for itself")));
    }
    let suffix = RESERVED_BUCKET_SUFFIXES.iter().find(|suffix| name.ends_with(**suffix))?;
    Some((message, format!("S3 keeps names that end with `{suffix}` for itself")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stack_names_follow_the_documented_pattern() {
        for good in ["abc", "a-1", "pinterest", &"a".repeat(32), "xn-a"] {
            assert_eq!(stack_name_problem(good), None, "{good}");
        }
        for bad in ["", "ab", "Abc", "1ab", "a_b", "abc-", &"a".repeat(33), "xn--abc", "sg-abc", "sthree-x", "äbc"] {
            assert!(stack_name_problem(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn bucket_names_follow_the_rules_of_s3() {
        for good in ["abc", "my.bucket-1", "0abc"] {
            assert_eq!(bucket_name_problem(good), None, "{good}");
        }
        for bad in
            ["ab", "ABC", "a..b", "-abc", "10.0.0.1", "xn--a", "a-s3alias", "a--ol-s3", "a--x-s3", "s3://abc", "a_b"]
        {
            assert!(bucket_name_problem(bad).is_some(), "{bad}");
        }
    }
}
