//! What is stored of roles, policies and instance profiles. Times are milliseconds since the epoch.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::policy::{Malformed, Policy, Use};
use crate::credentials::ACCOUNT;

/// Tags by key.
pub(super) type Tags = BTreeMap<String, String>;

/// A role with everything that hangs on it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Role {
    pub(super) name: String,
    /// `AROA…`, new for each role that is made.
    pub(super) id: String,
    pub(super) path: String,
    pub(super) description: Option<String>,
    pub(super) created: i64,
    pub(super) trust: PolicyText,
    /// The unique ids of the roles whose ARNs the trust policy names, as they were when it was written.
    pub(super) trusted_ids: BTreeMap<String, String>,
    pub(super) max_session_seconds: i64,
    /// ARN of the managed policy that bounds what the role can be allowed.
    pub(super) boundary: Option<String>,
    pub(super) tags: Tags,
    pub(super) inline: BTreeMap<String, Inline>,
    /// When each managed policy was attached, by its ARN.
    pub(super) attached: BTreeMap<String, i64>,
}

/// A policy that belongs to one role.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Inline {
    pub(super) policy: PolicyText,
    pub(super) written: i64,
}

/// A policy that can be attached to several roles.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Managed {
    pub(super) arn: String,
    pub(super) name: String,
    /// `ANPA…`
    pub(super) id: String,
    pub(super) path: String,
    pub(super) description: Option<String>,
    pub(super) created: i64,
    pub(super) updated: i64,
    /// By number: `v1` is 1.
    pub(super) versions: BTreeMap<u32, Version>,
    pub(super) default: u32,
    /// The highest number so far: numbers are not used again.
    pub(super) last: u32,
    pub(super) tags: Tags,
}

/// One version of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Version {
    pub(super) created: i64,
    pub(super) policy: PolicyText,
}

/// What hands a role to an EC2 instance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Profile {
    pub(super) name: String,
    /// `AIPA…`
    pub(super) id: String,
    pub(super) path: String,
    pub(super) created: i64,
    /// The name of its role; it has one at most.
    pub(super) role: Option<String>,
    pub(super) tags: Tags,
}

impl Role {
    pub(super) fn arn(&self) -> String {
        format!("arn:aws:iam::{ACCOUNT}:role{}{}", self.path, self.name)
    }
}

impl Profile {
    pub(super) fn arn(&self) -> String {
        format!("arn:aws:iam::{ACCOUNT}:instance-profile{}{}", self.path, self.name)
    }
}

impl Managed {
    pub(super) fn policy(&self) -> Option<&PolicyText> {
        self.versions.get(&self.default).map(|version| &version.policy)
    }
}

/// A policy document as it was sent, read once when it is first asked.
#[derive(Clone, Debug)]
pub(super) struct PolicyText {
    text: Arc<str>,
    read: OnceLock<Option<Arc<Policy>>>,
}

impl PolicyText {
    /// A text that was read and found good.
    pub(super) fn new(text: &str, used_as: Use) -> Result<PolicyText, Malformed> {
        let policy = Policy::read(text, used_as)?;
        Ok(PolicyText { text: text.into(), read: OnceLock::from(Some(Arc::new(policy))) })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// What it says. A document that an older version stored and this one cannot read says nothing.
    pub(super) fn policy(&self, used_as: Use) -> Option<&Arc<Policy>> {
        self.read.get_or_init(|| Policy::read(&self.text, used_as).ok().map(Arc::new)).as_ref()
    }
}

impl Serialize for PolicyText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for PolicyText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PolicyText, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(PolicyText { text: text.into(), read: OnceLock::new() })
    }
}
