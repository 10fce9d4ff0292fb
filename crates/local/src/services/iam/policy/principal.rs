//! Who a trust policy is about, and who asks.

use std::collections::BTreeMap;

/// The `Principal` or `NotPrincipal` of a statement.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::services::iam) struct Principals {
    pub(super) negated: bool,
    /// `"Principal": "*"`.
    pub(super) everyone: bool,
    /// Under `AWS`: ARNs, account numbers, unique ids of roles that are gone, `*`.
    pub(in crate::services::iam) aws: Vec<String>,
    /// Under `Service`, such as `ec2.amazonaws.com`.
    pub(in crate::services::iam) services: Vec<String>,
}

/// How directly a statement means somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Meant {
    /// Through its account: what the account's own policies allow it besides, decides.
    ByAccount,
    /// By name.
    ByName,
}

/// Who wants to become a role.
#[derive(Clone, Copy, Debug)]
pub(in crate::services::iam) enum Asker<'a> {
    /// An AWS service, such as `ec2.amazonaws.com`.
    Service(&'a str),
    /// A user or the session of a role.
    Principal {
        /// Its own ARN.
        arn: &'a str,
        /// Its account.
        account: &'a str,
        /// ARN and unique id of the role, for a session.
        role: Option<(&'a str, &'a str)>,
    },
}

impl Principals {
    /// How the statement means `asker`; `None` when it is about others. `ids` are the unique ids that the ARNs of
    /// roles in the document stood for when it was written: a role that was made again is another role.
    pub(super) fn mean(&self, asker: Asker<'_>, ids: &BTreeMap<String, String>) -> Option<Meant> {
        let listed = if self.everyone { Some(Meant::ByName) } else { self.listed(asker, ids) };
        match (self.negated, listed) {
            (false, listed) => listed,
            (true, Some(_)) => None,
            (true, None) => Some(Meant::ByName),
        }
    }

    fn listed(&self, asker: Asker<'_>, ids: &BTreeMap<String, String>) -> Option<Meant> {
        let (arn, account, role) = match asker {
            Asker::Service(name) => {
                return self.services.iter().any(|service| service == name).then_some(Meant::ByName);
            }
            Asker::Principal { arn, account, role } => (arn, account, role),
        };
        let root = format!("arn:aws:iam::{account}:root");
        let mean = |text: &String| {
            if text == account || *text == root {
                return Some(Meant::ByAccount);
            }
            let is_role = role.is_some_and(|(role_arn, id)| {
                text == id || (text == role_arn && ids.get(text).is_none_or(|written_for| written_for == id))
            });
            (text == "*" || text == arn || is_role).then_some(Meant::ByName)
        };
        self.aws.iter().filter_map(mean).max()
    }
}
