//! Sequence numbers: what they look like, and what is in them.
//!
//! AWS's are 186-bit numbers printed in decimal: 56 digits that begin with `49`. Ours have the same fields, so they sort
//! the same way: within a shard by number; a child shard's after its parents', because its epoch is later. The number
//! is the offset in the shard's log plus one, which makes every look-up direct. Fields, from the top:
//!
//! ```text
//! 2 | epoch of the shard, seconds (36 bits) | shard mod 16 | number (64) | 0 (8) | arrival, seconds (36) | shard (32) | 2
//! ```
//!
//! Source of the layout: kinesalite, which measured it (`db/index.js`, version 2 numbers).

use std::fmt;

/// The fields of a sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sequence {
    /// Tells the shard from all others of its stream, and from shards of a stream of the same name before it.
    pub(super) epoch_seconds: u64,
    pub(super) shard: u32,
    /// 0 is where the shard begins, [`Sequence::END`] where it ends; a record has its offset plus one.
    pub(super) number: u64,
    pub(super) arrival_seconds: u64,
}

const VERSION: u64 = 2;
const LEAD: u64 = 2;
const SECONDS_BITS: u32 = 36;
/// 10^19, the largest power of ten in 64 bits.
const DIGITS_AT_ONCE: u64 = 10_000_000_000_000_000_000;

impl Sequence {
    /// The number of the end of a closed shard.
    pub(super) const END: u64 = i64::MAX as u64;

    /// Reads one; `None` if no shard ever gave it out.
    pub(super) fn parse(text: &str) -> Option<Sequence> {
        let mut limbs = Limbs::from_decimal(text)?;
        if limbs.take(4) != VERSION {
            return None;
        }
        let shard = limbs.take(32);
        let arrival_seconds = limbs.take(SECONDS_BITS);
        let reserved = limbs.take(8);
        let number = limbs.take(64);
        let nibble = limbs.take(4);
        let epoch_seconds = limbs.take(SECONDS_BITS);
        let lead = limbs.take(8);
        if lead != LEAD || reserved != 0 || nibble != shard % 16 || number > Sequence::END {
            return None;
        }
        Some(Sequence { epoch_seconds, shard: u32::try_from(shard).ok()?, number, arrival_seconds })
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut limbs = Limbs([0; 3]);
        limbs.push(LEAD, 8);
        limbs.push(self.epoch_seconds, SECONDS_BITS);
        limbs.push(u64::from(self.shard % 16), 4);
        limbs.push(self.number, 64);
        limbs.push(0, 8);
        limbs.push(self.arrival_seconds, SECONDS_BITS);
        limbs.push(u64::from(self.shard), 32);
        limbs.push(VERSION, 4);
        limbs.write_decimal(out)
    }
}

/// A 192-bit number, the most significant limb first. Only what the two conversions need; a general big number would
/// cost more than the rest of a put.
struct Limbs([u64; 3]);

impl Limbs {
    /// Appends so many bits (1 to 64) at the bottom.
    fn push(&mut self, value: u64, bits: u32) {
        let mut carry = if bits == 64 { value } else { value & ((1 << bits) - 1) };
        for limb in self.0.iter_mut().rev() {
            let wide = (u128::from(*limb) << bits) | u128::from(carry);
            *limb = wide as u64;
            carry = (wide >> 64) as u64;
        }
    }

    /// Removes so many bits (1 to 64) from the bottom.
    fn take(&mut self, bits: u32) -> u64 {
        let taken = if bits == 64 { self.0[2] } else { self.0[2] & ((1 << bits) - 1) };
        let mut carry = 0;
        for limb in &mut self.0 {
            let wide = (u128::from(carry) << 64) | u128::from(*limb);
            carry = if bits == 64 { *limb } else { *limb & ((1 << bits) - 1) };
            *limb = (wide >> bits) as u64;
        }
        taken
    }

    fn from_decimal(text: &str) -> Option<Limbs> {
        let mut limbs = Limbs([0; 3]);
        if text.is_empty() {
            return None;
        }
        for digit in text.bytes() {
            let mut carry = u128::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
            for limb in limbs.0.iter_mut().rev() {
                let wide = u128::from(*limb) * 10 + carry;
                *limb = wide as u64;
                carry = wide >> 64;
            }
            if carry != 0 {
                return None;
            }
        }
        Some(limbs)
    }

    fn write_decimal(mut self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 192 bits are at most 58 digits: four groups of 19.
        let mut groups = [0; 4];
        for group in groups.iter_mut().rev() {
            let mut remainder = 0;
            for limb in &mut self.0 {
                let wide = (u128::from(remainder) << 64) | u128::from(*limb);
                *limb = (wide / u128::from(DIGITS_AT_ONCE)) as u64;
                remainder = (wide % u128::from(DIGITS_AT_ONCE)) as u64;
            }
            *group = remainder;
        }
        let first = groups.iter().position(|group| *group != 0).unwrap_or(groups.len() - 1);
        write!(out, "{}", groups[first])?;
        for group in &groups[first + 1..] {
            write!(out, "{group:019}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sequence(epoch_seconds: u64, shard: u32, number: u64) -> Sequence {
        Sequence { epoch_seconds, shard, number, arrival_seconds: epoch_seconds }
    }

    #[test]
    fn looks_like_one_of_aws() {
        // From the documentation of PutRecords.
        let theirs = "49543463076548007577105092703039560359975228518395019266";
        let parsed = Sequence::parse(theirs).unwrap();
        assert_eq!((parsed.shard, parsed.number, parsed.epoch_seconds), (0, 0x157d, 0x5420_50cd));
        assert_eq!(parsed.to_string(), theirs);
        let text = sequence(1_790_000_000, 3, 17).to_string();
        assert!(text.len() == 56 && text.starts_with("49"), "{text}");
    }

    #[test]
    fn what_was_never_given_out_is_refused() {
        let longest = "9".repeat(129);
        for text in ["", "0", "1", "-1", "12a", "49543463076548007577105092703039560359975228518395019267", &longest] {
            assert_eq!(Sequence::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn is_read_back(epoch in 0_u64..1 << 36, arrival in 0_u64..1 << 36, shard: u32, number in 0..=Sequence::END) {
            let sequence = Sequence { epoch_seconds: epoch, shard, number, arrival_seconds: arrival };
            prop_assert_eq!(Sequence::parse(&sequence.to_string()), Some(sequence));
        }

        #[test]
        fn sorts_by_number_and_children_after_parents(epoch in 1_500_000_000_u64..3_000_000_000, one: u32, two: u32, number in 0..Sequence::END) {
            let decimal = |sequence: Sequence| num_bigint::BigUint::parse_bytes(sequence.to_string().as_bytes(), 10);
            prop_assert!(decimal(sequence(epoch, one, number)) < decimal(sequence(epoch, one, number + 1)));
            prop_assert!(decimal(sequence(epoch, one, Sequence::END)) < decimal(sequence(epoch + 1, two, 0)));
        }
    }
}
