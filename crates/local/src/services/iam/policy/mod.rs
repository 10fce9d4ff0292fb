//! What a policy document says: read, checked, and asked. Pure: no clock, no store.
//!
//! [`document`] reads the text and refuses what AWS refuses, [`pattern`] has wildcards and variables, [`condition`] the
//! operators, [`principal`] who a trust policy is about, and [`evaluate`] puts them together. The rules are those of the
//! IAM user guide, "IAM JSON policy elements" and "Policy evaluation logic".

mod condition;
mod context;
mod document;
mod evaluate;
mod pattern;
mod principal;
#[cfg(test)]
mod tests;

pub use context::Context;
pub(super) use document::{Malformed, Policy, Use};
pub(super) use evaluate::{Decision, Trust, decide, trusts};
pub(super) use principal::Asker;
