//! A place in S3, as people write it.

use std::fmt;
use std::str::FromStr;

/// A bucket and the folder in it: `s3://bucket/prefix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The bucket's name.
    pub bucket: String,
    /// The folder; empty for the whole bucket, and without a slash at either end.
    pub prefix: String,
}

/// Text that is no place in S3.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a place in S3: {why}")]
pub struct NotALocation {
    text: String,
    why: &'static str,
}

impl Location {
    /// What the key of every object of `stack` begins with.
    pub(super) fn folder_of(&self, stack: &str) -> String {
        format!("{}{stack}/", self.folder())
    }

    /// What the key of every object of this place begins with.
    pub(super) fn folder(&self) -> String {
        if self.prefix.is_empty() { String::new() } else { format!("{}/", self.prefix) }
    }
}

impl FromStr for Location {
    type Err = NotALocation;

    fn from_str(text: &str) -> Result<Location, NotALocation> {
        let refused = |why| NotALocation { text: text.to_owned(), why };
        let rest = text.strip_prefix("s3://").ok_or_else(|| refused("it begins with `s3://`"))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if !is_a_bucket_name(bucket) {
            return Err(refused("a bucket's name has 3 to 63 lower-case letters, digits, `-` and `.`"));
        }
        let prefix = prefix.trim_end_matches('/');
        if prefix.split('/').any(|part| matches!(part, "." | "..") || (part.is_empty() && !prefix.is_empty())) {
            return Err(refused("each part of its folder has a name"));
        }
        // Of the 1,024 bytes that a key may have, the names of stack and document need the rest.
        if prefix.len() > 900 || prefix.chars().any(|c| c.is_control() || c == '?' || c == '#') {
            return Err(refused("its folder has up to 900 bytes, and no `?`, `#` or control characters"));
        }
        Ok(Location { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.bucket)?;
        if self.prefix.is_empty() { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

/// "General purpose bucket naming rules", S3 user guide.
fn is_a_bucket_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = [text.bytes().next(), text.bytes().last()];
    (3..=63).contains(&text.len())
        && text.bytes().all(|byte| allowed(byte) || byte == b'-' || byte == b'.')
        && ends.into_iter().flatten().all(allowed)
        && !text.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_bucket_and_a_folder() {
        for (text, bucket, folder, said) in [
            ("s3://team-state", "team-state", "pins/", "s3://team-state"),
            ("s3://team-state/", "team-state", "pins/", "s3://team-state"),
            ("s3://team.state/a/b/", "team.state", "a/b/pins/", "s3://team.state/a/b"),
        ] {
            let location: Location = text.parse().unwrap();
            assert_eq!((location.bucket.as_str(), location.folder_of("pins").as_str()), (bucket, folder));
            assert_eq!(location.to_string(), said);
            assert_eq!(said.parse(), Ok(location));
        }
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for text in ["s3://", "s3:///a", "s3://A", "s3://ab", "s3://a..b", "s3://-ab/", "s3://abc//d", "s3://abc/../d"]
        {
            assert!(text.parse::<Location>().is_err(), "{text}");
        }
        assert!("file:///tmp".parse::<Location>().is_err());
    }
}
