//! Content types of the REST Proxy, version 2 ("Content Types", Confluent REST Proxy API reference).
//!
//! A produce request says how its records are embedded. Other types, `application/json` among them, are answered 415: the
//! proxy's resources take no others, whatever older texts say. An answer is `application/vnd.kafka.v2+json`, or
//! `application/json` for who asks for that.

use super::records::Format;

/// The type of answers.
pub(super) const KAFKA: &str = "application/vnd.kafka.v2+json";
/// The type of answers for who does not know the other.
pub(super) const JSON: &str = "application/json";

/// How the records of a body of this type are embedded; none if it cannot be taken.
pub(super) fn embedded(content_type: Option<&str>) -> Option<Format> {
    let essence = essence(content_type?);
    if essence.eq_ignore_ascii_case("application/vnd.kafka.json.v2+json") {
        return Some(Format::Json);
    }
    essence.eq_ignore_ascii_case("application/vnd.kafka.binary.v2+json").then_some(Format::Binary)
}

/// The type of the answer to who accepts these; none if there is none for him.
pub(super) fn acceptable(accept: Option<&str>) -> Option<&'static str> {
    let Some(accept) = accept else { return Some(KAFKA) };
    let mut chosen = None;
    let mut best = 0.0;
    for range in accept.split(',') {
        let weight = weight(range);
        let essence = essence(range).to_ascii_lowercase();
        let offered = match essence.as_str() {
            "*/*" | "application/*" | KAFKA | "application/vnd.kafka+json" => KAFKA,
            JSON => JSON,
            _ => continue,
        };
        // Of equals, the more telling type.
        if weight > best || (weight == best && weight > 0.0 && offered == KAFKA) {
            (chosen, best) = (Some(offered), weight);
        }
    }
    chosen.or_else(|| accept.trim().is_empty().then_some(KAFKA))
}

fn essence(media: &str) -> &str {
    media.split(';').next().unwrap_or_default().trim()
}

/// "If no 'q' parameter is present, the default weight is 1" (RFC 9110, section 12.4.2).
fn weight(range: &str) -> f32 {
    let q = range.split(';').skip(1).find_map(|parameter| parameter.trim().strip_prefix("q="));
    q.map_or(1.0, |q| q.trim().parse().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_embedded_formats_without_schemas_are_taken() {
        assert_eq!(embedded(Some("application/vnd.kafka.json.v2+json")), Some(Format::Json));
        assert_eq!(embedded(Some("Application/Vnd.Kafka.Binary.V2+json ; charset=utf-8")), Some(Format::Binary));
        for other in ["application/json", "application/vnd.kafka.avro.v2+json", "application/vnd.kafka.v2+json", ""] {
            assert_eq!(embedded(Some(other)), None, "{other}");
        }
        assert_eq!(embedded(None), None);
    }

    #[test]
    fn answers_are_what_is_accepted() {
        for (accept, answer) in [
            (None, Some(KAFKA)),
            (Some(""), Some(KAFKA)),
            (Some("*/*"), Some(KAFKA)),
            (Some("application/vnd.kafka.v2+json, application/vnd.kafka+json, application/json"), Some(KAFKA)),
            (Some("application/json"), Some(JSON)),
            (Some("application/json, */*"), Some(KAFKA)),
            (Some("application/json, */*;q=0.1"), Some(JSON)),
            (Some("text/html, application/*; q=0.2"), Some(KAFKA)),
            (Some("text/html"), None),
            (Some("application/json;q=0"), None),
        ] {
            assert_eq!(acceptable(accept), answer, "{accept:?}");
        }
    }
}
