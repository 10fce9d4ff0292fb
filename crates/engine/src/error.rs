//! What a cloud can say no with, in the words the engine decides by.

use std::fmt;

/// Why a call failed, as far as it matters for what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The object is not there.
    NotFound,
    /// An object of that name is there already.
    AlreadyExists,
    /// The object is being changed by somebody else, or is not in a state that takes the change.
    Conflict,
    /// Something else still uses the object.
    Blocked,
    /// Too many requests, for longer than we retried.
    Throttled,
    /// The service is in trouble, for longer than we retried: a 500, 502, 503 or 504.
    Transient,
    /// A limit of the account.
    Quota,
    /// The cloud has no more of this to give now.
    Capacity,
    /// The caller may not.
    Permission,
    /// No credentials, or credentials that are not valid (any more).
    Credentials,
    /// Nobody answers at the endpoint.
    Unreachable,
    /// The request was refused as wrong.
    Invalid,
    /// The run was to end while this was being waited for. Nothing is wrong with it.
    Parked,
    /// Anything else.
    Other,
}

impl ErrorKind {
    /// Whether it is trouble of the cloud, or of the way to it, that passes by itself.
    pub fn is_trouble(self) -> bool {
        matches!(self, ErrorKind::Throttled | ErrorKind::Transient | ErrorKind::Unreachable)
    }

    /// Whether the request may have had its effect all the same.
    pub fn is_ambiguous(self) -> bool {
        matches!(self, ErrorKind::Transient | ErrorKind::Unreachable)
    }
}

/// A call that the cloud, or the way to it, refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudError {
    /// Why, in the engine's words.
    pub kind: ErrorKind,
    /// The call, such as `kinesis:CreateStream`.
    pub operation: String,
    /// The cloud's code, such as `LimitExceededException`.
    pub code: Option<String>,
    /// The cloud's message, or ours.
    pub message: String,
    /// The cloud's id of the request.
    pub request_id: Option<String>,
    /// What a person can do about it.
    pub hint: Option<String>,
}

impl CloudError {
    /// An error of our own making about `operation`.
    pub fn new(kind: ErrorKind, operation: impl Into<String>, message: impl Into<String>) -> CloudError {
        let (operation, message) = (operation.into(), message.into());
        CloudError { kind, operation, code: None, message, request_id: None, hint: None }
    }

    /// The same with a hint.
    pub fn with_hint(mut self, hint: impl Into<String>) -> CloudError {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for CloudError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.operation)?;
        if let Some(code) = &self.code {
            write!(f, "{code}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(id) = &self.request_id {
            write!(f, " (request {id})")?;
        }
        Ok(())
    }
}

impl std::error::Error for CloudError {}
