//! Hash keys: 128-bit numbers that decide which shard a record goes to.

use md5::{Digest, Md5};

/// Where a partition key lands: its MD5, read as a number.
pub(super) fn of_partition_key(key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(key.as_bytes()).into())
}

/// A hash key in decimal; `None` when it is 2^128 or more.
pub(super) fn parse(text: &str) -> Option<u128> {
    text.parse().ok()
}

/// The first hash key of the shard `number` when the range is cut into `count` equal shards.
///
/// As on AWS, all are ⌊2^128 / count⌋ wide and the last one takes what is left over.
pub(super) fn uniform_start(number: u32, count: u32) -> u128 {
    if number == 0 {
        return 0;
    }
    let count = u128::from(count);
    // 2^128 does not fit: divide 2^128 - 1 and correct the one case in which it makes a difference.
    let width = u128::MAX / count + u128::from(u128::MAX % count == count - 1);
    width * u128::from(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partition_keys_land_where_aws_puts_them() {
        // `printf a | md5sum`: 0cc175b9c0f1b6a831c399e269772661.
        assert_eq!(of_partition_key("a"), 0x0cc1_75b9_c0f1_b6a8_31c3_99e2_6977_2661);
    }

    #[test]
    fn uniform_shards_start_where_aws_starts_them() {
        assert_eq!(uniform_start(1, 2), 1 << 127);
        assert_eq!(uniform_start(1, 3).to_string(), "113427455640312821154458202477256070485");
        assert_eq!(uniform_start(2, 3).to_string(), "226854911280625642308916404954512140970");
    }

    #[test]
    fn only_128_bits_are_a_hash_key() {
        assert_eq!(parse("340282366920938463463374607431768211455"), Some(u128::MAX));
        assert_eq!(parse("340282366920938463463374607431768211456"), None);
    }
}
