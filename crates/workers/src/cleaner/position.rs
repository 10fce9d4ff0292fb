//! A place in a shard, in the form in which a Delta log can hold it.
//!
//! A Kinesis sequence number is a decimal number of up to 189 bits; a Delta `txn` action holds one signed number of 64.
//! So a position is three numbers of 63 bits, the most significant first.

use std::fmt;
use std::str::FromStr;

use num_bigint::BigUint;

/// How many `txn` actions hold a position.
pub(crate) const PARTS: usize = 3;
const PART_BITS: usize = 63;

/// The sequence number of the last record that was read from a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position([i64; PARTS]);

/// Not a sequence number that a position can hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a sequence number of up to 189 bits")]
pub(crate) struct NotASequenceNumber(String);

impl Position {
    /// The numbers for the log, most significant first; none is negative.
    pub(crate) fn parts(self) -> [i64; PARTS] {
        self.0
    }

    /// The place of a line in an object of a chain, both counted from the chain's and the object's beginning.
    pub(crate) fn of_line(object: i64, line: i64) -> Position {
        Position([0, object.max(0), line.max(0)])
    }

    /// `None` for numbers that [`Position::parts`] does not make.
    pub(crate) fn from_parts(parts: [i64; PARTS]) -> Option<Position> {
        parts.iter().all(|part| *part >= 0).then_some(Position(parts))
    }
}

impl FromStr for Position {
    type Err = NotASequenceNumber;

    fn from_str(text: &str) -> Result<Position, NotASequenceNumber> {
        let wrong = || NotASequenceNumber(text.chars().take(80).collect());
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        let number: BigUint = text.parse().map_err(|_| wrong())?;
        if number.bits() > (PART_BITS * PARTS) as u64 {
            return Err(wrong());
        }
        let mask = BigUint::from(i64::MAX as u64);
        let mut parts = [0; PARTS];
        for (place, part) in parts.iter_mut().rev().enumerate() {
            let low = (&number >> (place * PART_BITS)) & &mask;
            *part = i64::try_from(low).map_err(|_| wrong())?;
        }
        Ok(Position(parts))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut number = BigUint::ZERO;
        for part in self.0 {
            number = (number << PART_BITS) + BigUint::from(part.unsigned_abs());
        }
        write!(f, "{number}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_sequence_number_is_refused() {
        for text in ["", "-1", "+1", "1 ", "0x1", "1e3"] {
            assert!(text.parse::<Position>().is_err(), "{text:?}");
        }
        let most = (BigUint::from(1u8) << 189usize) - 1u8;
        assert_eq!(most.to_string().parse::<Position>().unwrap().to_string(), most.to_string());
        assert!((most + 1u8).to_string().parse::<Position>().is_err());
        assert_eq!(Position::from_parts([0, -1, 0]), None);
    }

    proptest! {
        #[test]
        fn a_position_survives_and_keeps_its_order(a in prop::array::uniform3(0..=i64::MAX), b in prop::array::uniform3(0..=i64::MAX)) {
            let (a, b) = (Position(a), Position(b));
            prop_assert_eq!(a.to_string().parse::<Position>().unwrap(), a);
            prop_assert_eq!(Position::from_parts(a.parts()), Some(a));
            let numbers: (BigUint, BigUint) = (a.to_string().parse().unwrap(), b.to_string().parse().unwrap());
            prop_assert_eq!(a.cmp(&b), numbers.0.cmp(&numbers.1));
        }

        #[test]
        fn sequence_numbers_are_written_as_they_came(digits in "[1-9][0-9]{0,55}") {
            prop_assert_eq!(digits.parse::<Position>().unwrap().to_string(), digits);
        }
    }
}
