//! Which requests are calls of deployed APIs: `/_api/<api>/<stage>/…` on the local cloud's own host, and
//! `<api>.execute-api.localhost` or `<api>.execute-api.<region>.localhost` with the stage first in the path.

/// The call of an API, not yet known to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address<'a> {
    pub(crate) api_id: &'a str,
    /// Empty when the path ends before it.
    pub(crate) stage: &'a str,
    /// What follows the stage, as sent: empty, or with the slash that it begins with.
    pub(crate) path: &'a str,
}

/// Reads the address. The host has been found to be loopback's; its port may follow it.
pub(crate) fn address<'a>(host: &'a str, path: &'a str) -> Option<Address<'a>> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let (api_id, rest) = match api_of_host(name) {
        Some(api_id) => (api_id, path.strip_prefix('/').unwrap_or(path)),
        None if name.eq_ignore_ascii_case("localhost") || !name.to_ascii_lowercase().ends_with("localhost") => {
            let rest = path.strip_prefix("/_api/")?;
            rest.split_once('/').unwrap_or((rest, ""))
        }
        // A bucket in S3's virtual-host style may have an object of that name.
        None => return None,
    };
    let end = rest.find('/').unwrap_or(rest.len());
    Some(Address { api_id, stage: &rest[..end], path: &rest[end..] })
}

fn api_of_host(name: &str) -> Option<&str> {
    let (api_id, below) = name.split_once('.')?;
    let below = below.to_ascii_lowercase();
    let below = below.strip_prefix("execute-api.")?;
    let region = below.strip_suffix("localhost")?;
    let is_region = region.is_empty() || region.ends_with('.') && !region.trim_end_matches('.').contains('.');
    (is_region && !api_id.is_empty()).then_some(api_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_paths() {
        let found = |host, path| address(host, path).map(|found| (found.api_id, found.stage, found.path));
        assert_eq!(found("127.0.0.1:4566", "/_api/a1/dev/streams/x"), Some(("a1", "dev", "/streams/x")));
        assert_eq!(found("localhost", "/_api/a1/dev/"), Some(("a1", "dev", "/")));
        assert_eq!(found("[::1]:80", "/_api/a1/dev"), Some(("a1", "dev", "")));
        assert_eq!(found("127.0.0.1", "/_api/a1"), Some(("a1", "", "")));
        assert_eq!(found("a1.execute-api.localhost:4566", "/dev/streams"), Some(("a1", "dev", "/streams")));
        assert_eq!(found("a1.execute-api.eu-west-1.localhost", "/dev"), Some(("a1", "dev", "")));
        assert_eq!(found("A1.Execute-API.localhost", "/"), Some(("A1", "", "")));
        assert_eq!(found("127.0.0.1", "/bucket/key"), None);
        assert_eq!(found("bucket.localhost", "/_api/a1/dev"), None);
        assert_eq!(found("a.b.execute-api.localhost", "/dev"), None);
        assert_eq!(found("a.execute-api.x.y.localhost", "/dev"), None);
    }
}
