//! How carrying a plan out ended.

use crate::plan::Action;
use crate::{Address, CloudError};

/// How it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Steps that ended well.
    pub done: usize,
    /// Steps that failed, with why.
    pub failed: Vec<(Address, CloudError)>,
    /// Steps not tried because something they need failed.
    pub blocked: Vec<Address>,
    /// Steps that were left while they were being waited for: the next run goes on with them.
    pub parked: Vec<Parked>,
    /// Steps that the end of the run kept from being tried, or from being waited for.
    pub left: usize,
    /// What the cloud said when it took our credentials no more, which ended the run.
    pub halted: Option<CloudError>,
}

/// A step that was begun and not waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// Of what.
    pub address: Address,
    /// What is done to it.
    pub action: Action,
    /// What was waited for last, such as `CREATING`.
    pub waiting_for: Option<String>,
}

impl Outcome {
    /// Whether everything was done.
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty() && self.blocked.is_empty() && self.parked.is_empty() && self.left == 0
    }
}
