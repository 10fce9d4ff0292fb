//! Which keys the tables of a source have in common. Keys without gaps cost nothing to remember; others are listed.

use super::SourceError;

/// How many keys are listed at most: 16 MB of them.
pub(super) const LISTED: u64 = 2_000_000;

/// Keys that have a row in each table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::emulator) enum Keys {
    /// All from `first` on.
    Range { first: u64, count: u64 },
    /// These, in ascending order.
    List(Vec<u64>),
}

/// What a table says of its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// The least.
    pub(super) min: u64,
    /// The greatest.
    pub(super) max: u64,
    /// How many different ones.
    pub(super) count: u64,
}

impl Extent {
    /// Of what a database gives for `MIN`, `MAX` and `COUNT(DISTINCT …)`; nothing when a key is below 0.
    pub(super) fn new(min: i64, max: i64, count: i64) -> Option<Extent> {
        Some(Extent { min: min.try_into().ok()?, max: max.try_into().ok()?, count: count.try_into().ok()? })
    }

    /// Whether a key lies between each two.
    pub(super) fn has_gaps(self) -> bool {
        (self.max - self.min).checked_add(1) != Some(self.count)
    }
}

impl Keys {
    pub(in crate::emulator) fn range(first: u64, count: u64) -> Keys {
        Keys::Range { first, count }
    }

    /// Those that tables without gaps have in common.
    pub(super) fn of_ranges(extents: &[Extent]) -> Keys {
        let first = extents.iter().map(|extent| extent.min).max().unwrap_or(0);
        let last = extents.iter().map(|extent| extent.max).min().unwrap_or(0);
        Keys::range(first, (last + 1).saturating_sub(first))
    }

    /// Those that are in each of some lists, which are in ascending order.
    pub(super) fn of_lists(mut lists: Vec<Vec<u64>>) -> Keys {
        let Some(mut common) = lists.pop() else { return Keys::List(Vec::new()) };
        for list in lists {
            common.retain(|key| list.binary_search(key).is_ok());
        }
        Keys::List(common)
    }

    /// How many there are.
    pub(in crate::emulator) fn count(&self) -> u64 {
        match self {
            Keys::Range { count, .. } => *count,
            Keys::List(keys) => keys.len() as u64,
        }
    }

    /// The `n`-th of them, which is below `count`.
    pub(in crate::emulator) fn key(&self, n: u64) -> u64 {
        match self {
            Keys::Range { first, .. } => first + n,
            Keys::List(keys) => keys[n as usize],
        }
    }

    /// Refuses a source that has nothing to post.
    pub(super) fn or_none(self, tables: &[&str]) -> Result<Keys, SourceError> {
        if self.count() == 0 {
            return Err(SourceError::NoCommonKeys(tables.join(", ")));
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_lists_are_intersected() {
        let extent = |min, max| Extent { min, max, count: max - min + 1 };
        assert_eq!(Keys::of_ranges(&[extent(0, 99), extent(1, 50), extent(0, 60)]), Keys::range(1, 50));
        assert_eq!(Keys::of_ranges(&[extent(0, 9), extent(20, 30)]).count(), 0);
        let keys = Keys::of_lists(vec![vec![1, 3, 5, 9], vec![0, 3, 4, 5], vec![3, 5, 7]]);
        assert_eq!((keys.count(), keys.key(0), keys.key(1)), (2, 3, 5));
        assert!(Extent { min: 0, max: 9, count: 9 }.has_gaps() && !extent(0, 9).has_gaps());
        assert!(Extent { min: 0, max: u64::MAX, count: 9 }.has_gaps());
        assert_eq!(Extent::new(-1, 4, 6), None);
    }
}
