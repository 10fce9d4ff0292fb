//! A fake cloud in memory, with faults, for tests of this crate and others.
