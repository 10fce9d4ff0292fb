//! SASL/OAUTHBEARER (RFC 7628) as MSK's IAM authentication uses it.

use serde_json::json;

/// The only mechanism of the IAM listener that clients other than Java's own AWS plugin speak.
pub(crate) const MECHANISM: &str = "OAUTHBEARER";

/// The token in a client's first message: `n,,^Aauth=Bearer <token>^A^A`, where `^A` is the byte 1.
pub(crate) fn token(message: &[u8]) -> Result<&str, &'static str> {
    let text = std::str::from_utf8(message).map_err(|_| "the first message is not UTF-8")?;
    let mut parts = text.split('\u{1}');
    let header = parts.next().unwrap_or_default();
    if !(header.starts_with("n,") && header.ends_with(',')) {
        return Err("the first message has no GS2 header without channel binding");
    }
    let auth = parts.find_map(|pair| pair.strip_prefix("auth=")).ok_or("the first message has no `auth`")?;
    match auth.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() => Ok(token.trim()),
        _ => Err("`auth` is not a bearer token"),
    }
}

/// What a client is told whose token is not taken ("3.2.2 Server Response to Failed Authentication", RFC 7628). It answers
/// with a single byte 1, and then the exchange has failed.
pub(crate) fn failure() -> Vec<u8> {
    json!({"status": "invalid_token"}).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_found() {
        assert_eq!(token(b"n,,\x01auth=Bearer abc\x01\x01"), Ok("abc"));
        assert_eq!(token(b"n,a=me,\x01host=x\x01auth=bearer abc.d\x01ext=1\x01\x01"), Ok("abc.d"));
        for wrong in [
            &b"y,,\x01auth=Bearer a\x01\x01"[..],
            b"n,,\x01\x01",
            b"n,,\x01auth=Basic a\x01\x01",
            b"\x01",
            b"\xff",
            b"",
        ] {
            assert!(token(wrong).is_err(), "{wrong:?}");
        }
    }
}
