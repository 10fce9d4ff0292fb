//! Which `Host` a request may name. A web page can make a browser send requests to 127.0.0.1 under a name of its
//! own (DNS rebinding), but it cannot make it say another name than that.

use http::header::HOST;
use http::{HeaderMap, Uri};

/// The host of a request, as far as this server is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// 127.0.0.1, `localhost` or `[::1]`.
    Itself,
    /// `<something>.localhost`: a bucket, in the virtual-host style of S3.
    Below,
    /// Any other name, none, or two different ones.
    Foreign,
}

/// Judges the `Host` header and the authority of the request line.
pub(crate) fn host_of(uri: &Uri, headers: &HeaderMap) -> Host {
    let mut named = headers.get_all(HOST).iter();
    let (Some(host), None) = (named.next(), named.next()) else { return Host::Foreign };
    let host = host.to_str().map_or(Host::Foreign, judge);
    match uri.authority().map(|authority| judge(authority.as_str())) {
        Some(authority) if authority != host => Host::Foreign,
        _ => host,
    }
}

fn judge(host: &str) -> Host {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) if host.ends_with(']') => host,
        Some(_) => return Host::Foreign,
        None => host,
    };
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "127.0.0.1" | "localhost" | "[::1]" => Host::Itself,
        _ if name.strip_suffix(".localhost").is_some_and(|below| !below.is_empty()) => Host::Below,
        _ => Host::Foreign,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names() {
        for host in ["127.0.0.1", "127.0.0.1:4566", "localhost:1", "LOCALHOST", "[::1]:80", "[::1]"] {
            assert_eq!(judge(host), Host::Itself, "{host}");
        }
        for host in ["lake.localhost", "lake.s3.localhost:4566"] {
            assert_eq!(judge(host), Host::Below, "{host}");
        }
        let foreign = [
            "",
            "example.com",
            "localhost.example.com",
            "127.0.0.1.nip.io:80",
            ".localhost",
            "evil:x",
            "::1",
            "192.168.0.1",
        ];
        for host in foreign {
            assert_eq!(judge(host), Host::Foreign, "{host}");
        }
    }

    #[test]
    fn one_host_and_the_same_as_in_the_request_line() {
        let judge = |uri: &str, hosts: &[&str]| {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(HOST, host.parse().unwrap());
            }
            host_of(&uri.parse().unwrap(), &headers)
        };
        assert_eq!(judge("/", &["localhost"]), Host::Itself);
        assert_eq!(judge("/", &[]), Host::Foreign);
        assert_eq!(judge("/", &["localhost", "example.com"]), Host::Foreign);
        assert_eq!(judge("http://example.com/", &["localhost"]), Host::Foreign);
    }
}
