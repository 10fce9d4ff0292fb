//! What happens while a plan is executed. The engine draws nothing: bars, lines and JSON read these.

use std::time::Duration;

use crate::plan::Action;
use crate::{Address, CloudError};

/// Something that people may want to see.
#[derive(Clone, Debug)]
pub enum Event {
    /// A step's call is about to leave.
    Started {
        /// Of what.
        address: Address,
        /// What is done to it.
        action: Action,
        /// How long it usually takes on AWS.
        usual: Duration,
    },
    /// The cloud has named the object.
    Named {
        /// Of what.
        address: Address,
        /// The cloud's handle.
        id: String,
    },
    /// What a step is waiting for.
    Waiting {
        /// Of what.
        address: Address,
        /// Such as `CREATING`.
        message: String,
    },
    /// A step has ended well.
    Done {
        /// Of what.
        address: Address,
        /// What was done.
        action: Action,
        /// How long it took.
        elapsed: Duration,
    },
    /// A step has failed.
    Failed {
        /// Of what.
        address: Address,
        /// What was tried.
        action: Action,
        /// Why.
        error: CloudError,
        /// After how long.
        elapsed: Duration,
    },
    /// The run is to end: nothing more is started, calls that have left are finished, waits are parked.
    Stopping,
    /// The cloud does not take our credentials any more, which ends the run as an interrupt does.
    Halted {
        /// What it said.
        error: CloudError,
    },
    /// A step was left while it was being waited for. The next run goes on with it.
    Parked {
        /// Of what.
        address: Address,
        /// What is done to it.
        action: Action,
        /// What was waited for last, such as `CREATING`.
        waiting_for: Option<String>,
    },
    /// A step was not tried, because something it needs failed.
    Blocked {
        /// Of what.
        address: Address,
        /// What would have been done.
        action: Action,
        /// The step that failed.
        by: Address,
    },
}
