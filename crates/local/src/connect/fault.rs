//! Why a connector does not run: what `stateDescription` says.

/// A failure of a connector or of one of its tasks, for the person who made it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Fault {
    /// As MSK Connect names the family of it, such as `InvalidInput.InvalidConnectorConfiguration`.
    pub(crate) code: &'static str,
    /// What happened and what to do.
    pub(crate) message: String,
    /// Whether it may be over in a moment.
    pub(crate) passing: bool,
}

impl Fault {
    /// The configuration cannot be carried out.
    pub(crate) fn configuration(message: impl Into<String>) -> Fault {
        Fault::new("InvalidInput.InvalidConnectorConfiguration", message)
    }

    /// The role may not do it, or is not to be had.
    pub(super) fn denied(message: impl Into<String>) -> Fault {
        Fault::new("AccessDenied", message)
    }

    /// A task gave up.
    pub(super) fn task(message: impl Into<String>) -> Fault {
        Fault::new("ConnectorTaskFailed", message)
    }

    /// The brokers cannot be reached, or refuse.
    pub(super) fn brokers(message: impl Into<String>) -> Fault {
        Fault::new("KafkaClusterUnavailable", message)
    }

    fn new(code: &'static str, message: impl Into<String>) -> Fault {
        Fault { code, message: message.into(), passing: false }
    }

    /// The same, worth another try.
    pub(super) fn passing(mut self) -> Fault {
        self.passing = true;
        self
    }
}
