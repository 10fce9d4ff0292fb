//! Which rows a table has, by their hashes, while a run goes on: 16 bytes a row and a little more.
//!
//! The table itself is the memory between runs, so a run that has something to read first reads the rows that are there.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use crate::cleaner::error::TableError;
use crate::cleaner::ledger::Ledger;
use crate::cleaner::rows::{RowHash, hashes};
use crate::cleaner::schema;

/// The known rows of one table.
#[derive(Default)]
pub(crate) struct Known {
    rows: HashSet<RowHash, BuildHasherDefault<AsItIs>>,
}

impl Known {
    /// The rows that the table has.
    pub(crate) async fn of(ledger: &mut Ledger) -> Result<Known, TableError> {
        let mut known = Known::default();
        for path in ledger.all_files().await? {
            ledger
                .read_file(&path, |rows| {
                    known.rows.extend(hashes(&schema::conform(&rows, ledger.schema())?)?);
                    Ok(())
                })
                .await?;
        }
        Ok(known)
    }

    /// For each row whether it is new; from now on it is not.
    pub(crate) fn fresh(&mut self, rows: &[RowHash]) -> Vec<bool> {
        rows.iter().map(|row| self.rows.insert(*row)).collect()
    }
}

/// A hash needs no hashing.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u128(&mut self, hash: u128) {
        // The lower half: any bits of a SHA-256 are as good as others.
        self.0 = hash as u64;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_new_once() {
        let mut known = Known::default();
        assert_eq!(known.fresh(&[1, 2, 1 << 100, 1]), [true, true, true, false]);
        assert_eq!(known.fresh(&[2, 3]), [false, true]);
    }
}
