//! Records inside a batch, encoded and decoded: for what this process itself reads and writes. Clients' batches pass as
//! they are.

use bytes::{Buf, BufMut, Bytes};
use kafka_protocol::ResponseError;
use kafka_protocol::compression::{Decompressor, Gzip, Lz4, Snappy, Zstd};

use super::batch::{self, HEADER_BYTES, Header};
use crate::kafka::error::Refused;
use crate::kafka::record::{NewRecord, Record};

/// Encodes records as one uncompressed batch with base offset 0, of no producer.
pub(crate) fn encode(records: &[NewRecord], now_millis: i64) -> Result<Vec<u8>, Refused> {
    let count = i32::try_from(records.len()).map_err(|_| too_large())?;
    let time = |record: &NewRecord| record.timestamp_millis.unwrap_or(now_millis);
    let base_timestamp = records.first().map_or(now_millis, time);
    let max_timestamp = records.iter().map(time).max().unwrap_or(now_millis);
    let mut out = vec![0; HEADER_BYTES];
    out[23..27].copy_from_slice(&(count - 1).to_be_bytes());
    out[27..35].copy_from_slice(&base_timestamp.to_be_bytes());
    out[35..43].copy_from_slice(&max_timestamp.to_be_bytes());
    out[43..51].copy_from_slice(&(-1_i64).to_be_bytes());
    out[51..53].copy_from_slice(&(-1_i16).to_be_bytes());
    out[53..57].copy_from_slice(&(-1_i32).to_be_bytes());
    out[57..61].copy_from_slice(&count.to_be_bytes());
    let mut body = Vec::new();
    for (number, record) in records.iter().enumerate() {
        body.clear();
        body.put_i8(0);
        put_varint(&mut body, time(record).wrapping_sub(base_timestamp));
        put_varint(&mut body, number as i64);
        put_bytes(&mut body, record.key.as_deref());
        put_bytes(&mut body, record.value.as_deref());
        put_varint(&mut body, record.headers.len() as i64);
        for (name, value) in &record.headers {
            put_bytes(&mut body, Some(name.as_bytes()));
            put_bytes(&mut body, value.as_deref());
        }
        put_varint(&mut out, body.len() as i64);
        out.extend_from_slice(&body);
        if i32::try_from(out.len()).is_err() {
            return Err(too_large());
        }
    }
    batch::seal(&mut out);
    Ok(out)
}

/// Decodes the records of a batch.
pub(crate) fn decode(header: &Header, batch: &Bytes) -> Result<Vec<Record>, Refused> {
    let mut body = decompressed(header.codec(), batch.slice(HEADER_BYTES..header.size))?;
    let mut found = Vec::new();
    for _ in 0..header.records {
        found.push(record(header, &mut body).ok_or_else(damaged)?);
    }
    Ok(found)
}

fn decompressed(codec: i16, mut body: Bytes) -> Result<Bytes, Refused> {
    let whole = |bytes: &mut Bytes| Ok(std::mem::take(bytes));
    match codec {
        0 => Ok(body),
        1 => Gzip::decompress(&mut body, whole),
        2 => Snappy::decompress(&mut body, whole),
        3 => Lz4::decompress(&mut body, whole),
        4 => Zstd::decompress(&mut body, whole),
        _ => return Err(damaged()),
    }
    .map_err(|error| Refused::new(ResponseError::CorruptMessage, format!("a record batch cannot be unpacked: {error}")))
}

fn record(header: &Header, body: &mut Bytes) -> Option<Record> {
    let length = usize::try_from(varint(body)?).ok()?;
    let mut fields = take(body, length)?;
    fields.try_get_i8().ok()?;
    let timestamp = header.base_timestamp.wrapping_add(varint(&mut fields)?);
    let delta = varint(&mut fields)?;
    // The log counts offsets by the header: a record beyond it would be read again, or skip others.
    (0..=i64::from(header.last_offset_delta)).contains(&delta).then_some(())?;
    let key = nullable(&mut fields)?;
    let value = nullable(&mut fields)?;
    let count = varint(&mut fields)?;
    let mut headers = Vec::new();
    for _ in 0..count {
        let name = nullable(&mut fields)??;
        headers.push((String::from_utf8_lossy(&name).into_owned(), nullable(&mut fields)?));
    }
    let timestamp_millis = if header.is_log_append_time() { header.max_timestamp } else { timestamp };
    Some(Record { offset: header.base_offset + delta, timestamp_millis, key, value, headers })
}

/// A length and so many bytes; -1 is null.
fn nullable(from: &mut Bytes) -> Option<Option<Bytes>> {
    let length = varint(from)?;
    if length < 0 {
        return Some(None);
    }
    take(from, usize::try_from(length).ok()?).map(Some)
}

fn take(from: &mut Bytes, length: usize) -> Option<Bytes> {
    (length <= from.len()).then(|| from.split_to(length))
}

/// A zigzag number of variable length.
fn varint(from: &mut Bytes) -> Option<i64> {
    let mut raw = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = from.try_get_u8().ok()?;
        raw |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(((raw >> 1) as i64) ^ -((raw & 1) as i64));
        }
    }
    None
}

fn put_varint(into: &mut Vec<u8>, value: i64) {
    let mut raw = ((value << 1) ^ (value >> 63)) as u64;
    while raw >= 0x80 {
        into.push((raw as u8 & 0x7f) | 0x80);
        raw >>= 7;
    }
    into.push(raw as u8);
}

fn put_bytes(into: &mut Vec<u8>, value: Option<&[u8]>) {
    let Some(value) = value else { return put_varint(into, -1) };
    put_varint(into, value.len() as i64);
    into.extend_from_slice(value);
}

fn damaged() -> Refused {
    Refused::new(ResponseError::CorruptMessage, "the records of a batch cannot be read")
}

fn too_large() -> Refused {
    Refused::new(ResponseError::MessageTooLarge, "there are too many records for one batch")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn some_record() -> impl Strategy<Value = NewRecord> {
        let bytes = || prop::option::of(prop::collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from));
        let headers = prop::collection::vec(("[a-z]{0,5}", bytes()), 0..4);
        (bytes(), bytes(), headers, 0_i64..i64::MAX / 4).prop_map(|(key, value, headers, time)| NewRecord {
            key,
            value,
            headers,
            timestamp_millis: Some(time),
        })
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(records in prop::collection::vec(some_record(), 1..20), base in 0_i64..1 << 40) {
            let mut bytes = encode(&records, 7).unwrap();
            batch::place(&mut bytes, base, 0);
            let found = batch::checked(&bytes, usize::MAX).unwrap();
            prop_assert_eq!(found.len(), 1);
            let read = decode(&found[0].0, &Bytes::from(bytes.clone())).unwrap();
            prop_assert_eq!(read.len(), records.len());
            for (number, (read, record)) in read.into_iter().zip(&records).enumerate() {
                prop_assert_eq!(read.offset, base + number as i64);
                prop_assert_eq!(Some(read.timestamp_millis), record.timestamp_millis);
                prop_assert_eq!((&read.key, &read.value, &read.headers), (&record.key, &record.value, &record.headers));
            }
            prop_assert_eq!(batch::span(&bytes), records.len() as u64);
        }

        #[test]
        fn damage_is_found_and_never_panics(
            records in prop::collection::vec(some_record(), 1..5),
            place in any::<prop::sample::Index>(),
            flip in 1_u8..=255,
        ) {
            let mut bytes = encode(&records, 7).unwrap();
            let at = place.index(bytes.len());
            bytes[at] ^= flip;
            // Offset and leader epoch are not covered by the checksum: the broker sets both.
            let covered = !(0..8).contains(&at) && !(12..16).contains(&at);
            prop_assert_eq!(batch::checked(&bytes, usize::MAX).is_err(), covered);
            if let Some(header) = batch::header(&bytes) {
                let _any = decode(&header, &Bytes::from(bytes));
            }
        }
    }
}
