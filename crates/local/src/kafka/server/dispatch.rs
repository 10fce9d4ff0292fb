//! From the bytes of a request to the bytes of its answer.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, ProduceRequest};
use kafka_protocol::protocol::{Encodable, Request, StrBytes};

use super::skim;
use super::versions;
use crate::kafka::requests::{Context, commits, configs, fetch, groups, metadata, offsets, produce, topics};

/// A request before its body is decoded.
pub(super) struct Head {
    pub(super) key: ApiKey,
    pub(super) version: i16,
    pub(super) correlation: i32,
    pub(super) client_id: StrBytes,
    pub(super) body: Bytes,
}

/// Why a connection cannot go on: what came is not Kafka's protocol, or not in a version that was advertised.
#[derive(Debug)]
pub(super) struct Malformed;

/// What the first bytes of a request say.
pub(super) enum Parsed {
    Request(Head),
    /// `ApiVersions` in a version that is not known yet: answered in version 0, so that the client can take one that is
    /// (KIP-511).
    VersionsOfTheFuture {
        correlation: i32,
    },
}

/// Reads the header of a request and looks its body over.
pub(super) fn parse(mut frame: Bytes) -> Result<Parsed, Malformed> {
    let head = frame.first_chunk::<8>().ok_or(Malformed)?;
    let key = i16::from_be_bytes([head[0], head[1]]);
    let version = i16::from_be_bytes([head[2], head[3]]);
    let correlation = i32::from_be_bytes([head[4], head[5], head[6], head[7]]);
    let Some(key) = versions::find(key, version) else {
        let asks_versions = key == ApiKey::ApiVersions as i16 && version > 0;
        return if asks_versions { Ok(Parsed::VersionsOfTheFuture { correlation }) } else { Err(Malformed) };
    };
    let _head = frame.split_to(8);
    let client_id = client_id(&mut frame)?;
    if key.request_header_version(version) >= 2 {
        skip_tags(&mut frame)?;
    }
    if !skim::is_sound(key, version, &frame) {
        return Err(Malformed);
    }
    Ok(Parsed::Request(Head { key, version, correlation, client_id, body: frame }))
}

/// Whether a request may have to wait for others: what was answered before must leave first.
pub(super) fn may_wait(key: ApiKey) -> bool {
    matches!(key, ApiKey::Fetch | ApiKey::JoinGroup | ApiKey::SyncGroup)
}

/// Answers everything but authentication. Nothing is written where the client wants no answer (`acks=0`).
pub(super) async fn answer(context: &Context, head: Head, out: &mut BytesMut) -> Result<(), Malformed> {
    let (version, key) = (head.version, head.key);
    match key {
        ApiKey::Produce => {
            let request: ProduceRequest = decode(&head)?;
            let wants_answer = request.acks != 0;
            let response = produce::produce(context, request);
            if wants_answer {
                write(&head, &response, out)?;
            }
            Ok(())
        }
        ApiKey::Fetch => {
            let response = Box::pin(fetch::fetch(context, decode(&head)?)).await;
            write(&head, &response, out)
        }
        ApiKey::JoinGroup => {
            let response = Box::pin(groups::join(context, decode(&head)?, version)).await;
            write(&head, &response, out)
        }
        ApiKey::SyncGroup => {
            let response = Box::pin(groups::sync(context, decode(&head)?)).await;
            write(&head, &response, out)
        }
        ApiKey::ApiVersions => write(&head, &metadata::api_versions(), out),
        ApiKey::DescribeCluster => {
            let request = decode(&head)?;
            write(&head, &metadata::describe_cluster(context, &request), out)
        }
        ApiKey::FindCoordinator => {
            let request = decode(&head)?;
            write(&head, &metadata::find_coordinator(context, request, version), out)
        }
        ApiKey::Heartbeat => {
            let request = decode(&head)?;
            write(&head, &groups::heartbeat(context, &request), out)
        }
        ApiKey::LeaveGroup => {
            let request = decode(&head)?;
            write(&head, &groups::leave(context, &request, version), out)
        }
        ApiKey::DescribeGroups => {
            let request = decode(&head)?;
            write(&head, &groups::describe(context, request), out)
        }
        ApiKey::ListGroups => {
            let request = decode(&head)?;
            write(&head, &groups::list(context, &request), out)
        }
        ApiKey::OffsetFetch => {
            let request = decode(&head)?;
            write(&head, &commits::offset_fetch(context, request, version), out)
        }
        ApiKey::DescribeConfigs => {
            let request = decode(&head)?;
            write(&head, &configs::describe_configs(context, request), out)
        }
        ApiKey::OffsetForLeaderEpoch => {
            let request = decode(&head)?;
            write(&head, &offsets::offset_for_leader_epoch(context, request), out)
        }
        // Without new topics there is nothing that waits for the disk.
        ApiKey::Metadata if !context.cluster.creates_topics() => {
            let request = decode(&head)?;
            write(&head, &metadata::metadata(context, request, version), out)
        }
        ApiKey::Metadata => {
            on_disk(context, head, out, move |context, request| metadata::metadata(context, request, version)).await
        }
        ApiKey::ListOffsets => {
            on_disk(context, head, out, move |context, request| offsets::list_offsets(context, request, version)).await
        }
        ApiKey::CreateTopics => on_disk(context, head, out, topics::create_topics).await,
        ApiKey::DeleteTopics => on_disk(context, head, out, topics::delete_topics).await,
        ApiKey::CreatePartitions => on_disk(context, head, out, topics::create_partitions).await,
        ApiKey::DeleteRecords => on_disk(context, head, out, topics::delete_records).await,
        ApiKey::AlterConfigs => on_disk(context, head, out, configs::alter_configs).await,
        ApiKey::IncrementalAlterConfigs => on_disk(context, head, out, configs::incremental_alter_configs).await,
        ApiKey::OffsetCommit => on_disk(context, head, out, commits::offset_commit).await,
        ApiKey::DeleteGroups => on_disk(context, head, out, groups::delete).await,
        ApiKey::InitProducerId => {
            on_disk(context, head, out, |context, request| produce::init_producer_id(context, &request)).await
        }
        // Handshakes are answered where the connection's state is; the rest is not in the list of versions.
        _ => Err(Malformed),
    }
}

/// Decodes the body of a request.
pub(super) fn decode<R: Request>(head: &Head) -> Result<R, Malformed> {
    // Lent out of the frame: texts and records are not copied.
    R::decode(&mut head.body.clone(), head.version).map_err(|_| Malformed)
}

/// Appends an answer with its length and header.
pub(super) fn write(head: &Head, response: &impl Encodable, out: &mut BytesMut) -> Result<(), Malformed> {
    let flexible = head.key.response_header_version(head.version) >= 1;
    write_as(head.correlation, flexible, head.version, response, out)
}

/// Appends an answer to `ApiVersions` that clients of any version understand.
pub(super) fn write_oldest_versions(correlation: i32, out: &mut BytesMut) -> Result<(), Malformed> {
    let code = kafka_protocol::ResponseError::UnsupportedVersion.code();
    write_as(correlation, false, 0, &metadata::api_versions().with_error_code(code), out)
}

fn write_as(
    correlation: i32,
    flexible: bool,
    version: i16,
    response: &impl Encodable,
    out: &mut BytesMut,
) -> Result<(), Malformed> {
    let start = out.len();
    out.put_i32(0);
    out.put_i32(correlation);
    if flexible {
        out.put_u8(0);
    }
    let encoded = response.encode(out, version);
    let length = encoded.ok().and_then(|()| u32::try_from(out.len() - start - 4).ok());
    let Some(length) = length else {
        // What was answered before still goes out, and half an answer would be read as one.
        out.truncate(start);
        return Err(Malformed);
    };
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// Answers on a thread that may wait for the disk.
async fn on_disk<R, F>(context: &Context, head: Head, out: &mut BytesMut, handle: F) -> Result<(), Malformed>
where
    R: Request + Send + 'static,
    R::Response: Send + 'static,
    F: FnOnce(&Context, R) -> R::Response + Send + 'static,
{
    let request: R = decode(&head)?;
    let context = Arc::new(context.clone());
    let answered = tokio::task::spawn_blocking(move || handle(&context, request)).await;
    // A panic in there ends the connection, as it would have here.
    write(&head, &answered.map_err(|_| Malformed)?, out)
}

fn client_id(frame: &mut Bytes) -> Result<StrBytes, Malformed> {
    let length = frame.first_chunk::<2>().map(|bytes| i16::from_be_bytes(*bytes)).ok_or(Malformed)?;
    let _length = frame.split_to(2);
    let length = usize::try_from(length.max(0)).map_err(|_| Malformed)?;
    if length > frame.len() {
        return Err(Malformed);
    }
    StrBytes::from_utf8(frame.split_to(length)).map_err(|_| Malformed)
}

fn skip_tags(frame: &mut Bytes) -> Result<(), Malformed> {
    for _ in 0..varint(frame)? {
        varint(frame)?;
        let length = varint(frame)? as usize;
        if length > frame.len() {
            return Err(Malformed);
        }
        let _tag = frame.split_to(length);
    }
    Ok(())
}

fn varint(frame: &mut Bytes) -> Result<u32, Malformed> {
    let mut value = 0_u32;
    for shift in [0, 7, 14, 21, 28] {
        let byte = *frame.first().ok_or(Malformed)?;
        let _byte = frame.split_to(1);
        value |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Malformed)
}
