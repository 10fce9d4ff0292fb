//! Which streams a call is about, before anybody has judged it: what the policies of its caller are asked for.

use serde_json::Value;

use super::iterator::Position;
use super::streams::Streams;
use super::{input, list_shards};
use crate::services::Call;

/// ARNs of all streams that the request names, by name, by ARN, and inside of an iterator or a page token; `*` where it
/// names none. A token that is none, or whose stream is gone, is for the operation to refuse.
pub(super) fn streams_named(streams: &Streams, call: &Call, request: &Value) -> Vec<String> {
    let mut arns = Vec::new();
    for member in ["StreamARN", "ResourceARN"] {
        arns.extend(input::text(request, member).map(str::to_owned));
    }
    if let Some(name) = input::text(request, "StreamName") {
        arns.push(format!("arn:aws:kinesis:{}:{}:stream/{name}", call.region, call.account));
    }
    let iterator = input::text(request, "ShardIterator")
        .map(|token| Position::open(&streams.seal, token).map(|position| position.stream));
    let lists_shards = call.operation == "ListShards";
    let page = input::text(request, "NextToken").filter(|_| lists_shards);
    let page = page.map(|token| list_shards::stream_of(streams, token));
    let tokens: Vec<Option<u128>> = iterator.into_iter().chain(page).collect();
    let sealed = tokens.iter().flatten().filter_map(|id| streams.find_by_id(call, *id));
    arns.extend(sealed.map(|stream| stream.view().document.arn()));
    arns.sort();
    arns.dedup();
    if arns.is_empty() && tokens.is_empty() {
        arns.push("*".to_owned());
    }
    arns
}
