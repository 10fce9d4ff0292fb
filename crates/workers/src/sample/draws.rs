//! Numbers that look random and depend on nothing but what they are for.
//!
//! A sample has no generator that is run from row to row: each row, each poster starts draws of its own from the
//! sample's seed, a purpose and a number. So any row can be made at once, and is the same whatever was made before it.

/// A sequence of draws (SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Clone, Debug)]
pub(crate) struct Draws {
    state: u64,
}

impl Draws {
    /// The draws of one purpose for number `n`.
    pub(crate) fn new(seed: u64, purpose: u64, n: u64) -> Draws {
        let mut draws = Draws { state: seed };
        for part in [purpose, n] {
            draws.state = draws.next() ^ part.wrapping_mul(0xd134_2543_de82_ef95);
        }
        draws
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = self.state;
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // Lemire's multiplication: off by less than 2⁻³² for the bounds in use here.
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in 0..1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Whether something of this probability happens.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of `choices`.
    pub(crate) fn one<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// A number in 0..1 within `spread` of `value`; evenly spread values stay so (the ends reflect).
    pub(crate) fn near(&mut self, value: f64, spread: f64) -> f64 {
        let moved = (value + (self.unit() * 2.0 - 1.0) * spread).abs();
        let reflected = if moved >= 1.0 { 2.0 - moved } else { moved };
        reflected.clamp(0.0, 1.0 - f64::EPSILON)
    }
}

/// An index below `len`, for `value` in 0..1: the lower, the more often.
pub(super) fn skewed(value: f64, len: usize) -> usize {
    ((bunched(value) * len as f64) as usize).min(len - 1)
}

/// `value` to the power of 15/8: bunches what is even in 0..1 at the low end, so that half of all lies below 0.27. That
/// makes a fifth of the people 20 years old and their median 26.
pub(super) fn bunched(value: f64) -> f64 {
    // Roots and products are rounded alike on all machines, which `powf` and `powi` are not.
    let root = value.sqrt().sqrt().sqrt();
    let square = root * root;
    let fourth = square * square;
    fourth * fourth * fourth * square * root
}

/// 2 to the power of `value`, with straight lines between whole powers; alike on all machines, which `exp2` is not.
pub(super) fn doubled(value: f64) -> f64 {
    f64::from(1_u32 << (value as u32).min(31)) * (1.0 + value.fract())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn stays_within_bounds(seed: u64, n: u64, bound in 1_u64..1_000_000, value in 0.0..1.0, spread in 0.0..0.9) {
            let mut draws = Draws::new(seed, 1, n);
            prop_assert!(draws.below(bound) < bound);
            prop_assert!((0.0..1.0).contains(&draws.unit()));
            prop_assert!((0.0..1.0).contains(&draws.near(value, spread)));
            prop_assert!(skewed(value, bound as usize) < bound as usize);
        }
    }

    #[test]
    fn neighbours_have_nothing_in_common() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..10 {
            for purpose in 0..10 {
                for n in 0..100 {
                    seen.insert(Draws::new(seed, purpose, n).next());
                }
            }
        }
        assert_eq!(seen.len(), 10_000);
    }
}
