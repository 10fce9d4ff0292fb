//! Resource Groups Tagging API: everything that carries tags, in all services at once.

use std::cmp::Ordering;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::{Call, Service, TaggedResource};
use crate::wire::error::ApiError;

/// Lists what one service has in a region.
pub type Source = Box<dyn Fn(&str) -> Vec<TaggedResource> + Send + Sync>;

/// AWS answers so many where neither `ResourcesPerPage` nor `TagsPerPage` is given.
const PAGE: usize = 50;

/// The service.
pub struct Tagging {
    sources: Vec<Source>,
}

impl Tagging {
    /// The service over those that have resources.
    pub fn new(sources: Vec<Source>) -> Tagging {
        Tagging { sources }
    }

    fn get_resources(&self, region: &str, input: &Value) -> Result<Value, ApiError> {
        let filters = Filters::read(input)?;
        let mut found: Vec<TaggedResource> = self.sources.iter().flat_map(|source| source(region)).collect();
        found.retain(|resource| !resource.tags.is_empty() && filters.let_through(resource));
        found.sort_by(|a, b| a.arn.cmp(&b.arn));

        // The token is the last ARN of the page before, so a page neither repeats nor skips while others delete.
        let after = read_token(input)?;
        let start = found.partition_point(|resource| resource.arn.as_str().cmp(&after) != Ordering::Greater);
        let rest = &found[start..];
        let (page, _) = rest.split_at(page_length(rest, input));
        let token = match page.last() {
            Some(last) if page.len() < rest.len() => URL_SAFE_NO_PAD.encode(&last.arn),
            _ => String::new(),
        };
        let list: Vec<Value> = page.iter().map(mapping).collect();
        Ok(json!({"PaginationToken": token, "ResourceTagMappingList": list}))
    }
}

impl Service for Tagging {
    fn call(&self, call: Call, input: Value) -> BoxFuture<'_, Result<Value, ApiError>> {
        async move {
            match call.operation.as_str() {
                "GetResources" => self.get_resources(&call.region, &input),
                other => Err(ApiError::unknown_operation("tagging", other)),
            }
        }
        .boxed()
    }
}

/// All that are given must hold.
struct Filters<'a> {
    /// A key, and the values it may have; any value if there are none.
    tags: Vec<(&'a str, Vec<&'a str>)>,
    types: Vec<&'a str>,
    arns: Vec<&'a str>,
}

impl Filters<'_> {
    fn read(input: &Value) -> Result<Filters<'_>, ApiError> {
        let mut tags = Vec::new();
        for filter in input["TagFilters"].as_array().into_iter().flatten() {
            let Some(key) = filter["Key"].as_str() else {
                return Err(invalid("a filter of TagFilters has no Key"));
            };
            tags.push((key, texts(&filter["Values"])));
        }
        let filters =
            Filters { tags, types: texts(&input["ResourceTypeFilters"]), arns: texts(&input["ResourceARNList"]) };
        let others = !filters.tags.is_empty() || !filters.types.is_empty();
        if others && !filters.arns.is_empty() {
            return Err(invalid("ResourceARNList cannot be used with TagFilters or ResourceTypeFilters"));
        }
        let pages =
            ["ResourcesPerPage", "TagsPerPage", "PaginationToken"].iter().any(|member| !input[*member].is_null());
        if pages && !filters.arns.is_empty() {
            return Err(invalid(
                "ResourceARNList cannot be used with ResourcesPerPage, TagsPerPage or PaginationToken",
            ));
        }
        if let Some(wrong) = filters.types.iter().find(|name| name.is_empty() || name.starts_with(':')) {
            return Err(invalid(&format!("'{wrong}' is not a resource type such as `kinesis:stream`")));
        }
        if input["IncludeComplianceDetails"] == true || input["ExcludeCompliantResources"] == true {
            return Err(invalid("the local cloud has no tag policies to comply with"));
        }
        Ok(filters)
    }

    fn let_through(&self, resource: &TaggedResource) -> bool {
        let tagged = |(key, values): &(&str, Vec<&str>)| {
            resource.tags.iter().any(|(k, v)| k == key && (values.is_empty() || values.contains(&v.as_str())))
        };
        self.tags.iter().all(tagged)
            && (self.types.is_empty() || self.types.iter().any(|wanted| is_of_type(&resource.arn, wanted)))
            && (self.arns.is_empty() || self.arns.contains(&resource.arn.as_str()))
    }
}

/// `kinesis` or `kinesis:stream` for `arn:aws:kinesis:us-east-1:000000000000:stream/pins`.
fn is_of_type(arn: &str, wanted: &str) -> bool {
    let mut parts = arn.splitn(6, ':').skip(2);
    let (service, resource) = (parts.next().unwrap_or_default(), parts.nth(2).unwrap_or_default());
    // The ARN of a bucket is the only one without a type in it.
    let kind = if service == "s3" {
        "bucket"
    } else {
        resource.trim_start_matches('/').split(['/', ':']).next().unwrap_or_default()
    };
    match wanted.split_once(':') {
        None => wanted == service,
        Some((wanted_service, wanted_kind)) => wanted_service == service && wanted_kind == kind,
    }
}

/// How many of the rest go on a page: a number of resources, or as many as stay within a number of tags.
fn page_length(rest: &[TaggedResource], input: &Value) -> usize {
    let number = |member: &str| input[member].as_u64().and_then(|number| usize::try_from(number).ok());
    // A list of ARNs is answered in one piece (API reference, `GetResources`).
    if input["ResourceARNList"].as_array().is_some_and(|arns| !arns.is_empty()) {
        return rest.len();
    }
    let Some(most_tags) = number("TagsPerPage") else {
        return rest.len().min(number("ResourcesPerPage").unwrap_or(PAGE));
    };
    let mut tags = 0;
    let fitting = rest.iter().take_while(|resource| {
        tags += resource.tags.len();
        tags <= most_tags
    });
    // One that has more tags than a page still has to be shown.
    fitting.count().max(1).min(rest.len())
}

fn read_token(input: &Value) -> Result<String, ApiError> {
    let token = input["PaginationToken"].as_str().unwrap_or_default();
    let arn = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let arn = arn.filter(|arn| arn.is_empty() || arn.starts_with("arn:"));
    arn.ok_or_else(|| ApiError::new("PaginationTokenExpiredException", "the PaginationToken is not one of this API"))
}

fn mapping(resource: &TaggedResource) -> Value {
    let tags: Vec<Value> = resource.tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
    json!({"ResourceARN": resource.arn, "Tags": tags})
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn invalid(message: &str) -> ApiError {
    ApiError::new("InvalidParameterException", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(arn: &str, tags: &[(&str, &str)]) -> TaggedResource {
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        TaggedResource { arn: arn.to_owned(), tags }
    }

    fn stream(name: &str) -> String {
        format!("arn:aws:kinesis:us-east-1:000000000000:stream/{name}")
    }

    fn tagging() -> Tagging {
        let streams = |_: &str| {
            vec![
                resource(&stream("c"), &[("pinfra:stack", "other")]),
                resource(&stream("a"), &[("pinfra:stack", "pins"), ("team", "data")]),
                resource(&stream("b"), &[("pinfra:stack", "pins")]),
                resource(&stream("bare"), &[]),
            ]
        };
        let buckets = |_: &str| vec![resource("arn:aws:s3:::lake", &[("pinfra:stack", "pins"), ("team", "web")])];
        Tagging::new(vec![Box::new(streams), Box::new(buckets)])
    }

    fn arns(input: &Value) -> Vec<String> {
        let answer = tagging().get_resources("us-east-1", input).unwrap();
        let list = answer["ResourceTagMappingList"].as_array().unwrap();
        list.iter()
            .map(|mapping| mapping["ResourceARN"].as_str().unwrap().rsplit([':', '/']).next().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn keys_are_anded_and_values_ored() {
        assert_eq!(arns(&json!({})), ["a", "b", "c", "lake"]);
        assert_eq!(arns(&json!({"TagFilters": [{"Key": "team"}]})), ["a", "lake"]);
        let both = json!({"TagFilters": [{"Key": "pinfra:stack", "Values": ["pins"]}, {"Key": "team", "Values": ["data", "x"]}]});
        assert_eq!(arns(&both), ["a"]);
        let either = json!({"TagFilters": [{"Key": "pinfra:stack", "Values": ["pins", "other"]}]});
        assert_eq!(arns(&either), ["a", "b", "c", "lake"]);
    }

    #[test]
    fn types_and_arns() {
        for (wanted, expected) in [
            ("kinesis", &["a", "b", "c"][..]),
            ("kinesis:stream", &["a", "b", "c"]),
            ("s3", &["lake"]),
            ("s3:bucket", &["lake"]),
            ("kinesis:consumer", &[]),
        ] {
            assert_eq!(arns(&json!({"ResourceTypeFilters": [wanted]})), expected, "{wanted}");
        }
        assert_eq!(arns(&json!({"ResourceARNList": [stream("b"), stream("gone")]})), ["b"]);
    }

    #[test]
    fn pages_go_on_where_the_last_one_ended() {
        let mut input = json!({"ResourcesPerPage": 3});
        let first = tagging().get_resources("us-east-1", &input).unwrap();
        assert_eq!(first["ResourceTagMappingList"].as_array().unwrap().len(), 3);
        input["PaginationToken"] = first["PaginationToken"].clone();
        assert_eq!(arns(&input), ["lake"]);
        assert_eq!(tagging().get_resources("us-east-1", &input).unwrap()["PaginationToken"], "");
        assert_eq!(arns(&json!({"TagsPerPage": 3})), ["a", "b"]);
    }

    #[test]
    fn what_is_refused() {
        let code = |input: Value| tagging().get_resources("us-east-1", &input).unwrap_err().code;
        assert_eq!(code(json!({"PaginationToken": "?"})), "PaginationTokenExpiredException");
        assert_eq!(code(json!({"TagFilters": [{"Values": ["v"]}]})), "InvalidParameterException");
        let mixed = json!({"ResourceARNList": [stream("a")], "TagFilters": [{"Key": "k"}]});
        assert_eq!(code(mixed), "InvalidParameterException");
        let paged = json!({"ResourceARNList": [stream("a")], "ResourcesPerPage": 100});
        assert_eq!(code(paged), "InvalidParameterException");
    }

    #[test]
    fn a_list_of_arns_is_answered_in_one_piece() {
        let names: Vec<String> = (0..100).map(|n| stream(&format!("s{n:03}"))).collect();
        let listed: Vec<TaggedResource> = names.iter().map(|arn| resource(arn, &[("k", "v")])).collect();
        let tagging = Tagging::new(vec![Box::new(move |_| listed.clone())]);
        let answer = tagging.get_resources("us-east-1", &json!({ "ResourceARNList": names })).unwrap();
        assert_eq!(answer["ResourceTagMappingList"].as_array().unwrap().len(), 100);
    }
}
