//! Conditions: one operator, one key, the values it is compared with.
//!
//! Operators and what they make of a key that the request does not have are those of the IAM user guide, "IAM JSON policy
//! elements: Condition operators" and "Multivalued context keys".

use std::cmp::Ordering;
use std::net::IpAddr;

use time::format_description::well_known::Iso8601;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use super::context::Context;
use super::pattern::{ArnPattern, Pattern, Reading};

/// One key under one operator.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Condition {
    operator: Operator,
    /// In lower case.
    key: String,
    values: Vec<Compared>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Operator {
    comparison: Comparison,
    negated: bool,
    if_exists: bool,
    set: Option<Set>,
}

/// How many of a key's values have to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    All,
    Any,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Text { ignore_case: bool, like: bool },
    Arn,
    Bool,
    Null,
    Number(Order),
    Date(Order),
    Ip,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A value of the policy, read once for its operator.
#[derive(Clone, Debug, PartialEq)]
enum Compared {
    Pattern(Pattern),
    Arn(ArnPattern),
    Flag(bool),
    Number(f64),
    Date(OffsetDateTime),
    Network(IpAddr, u8),
}

/// Why a condition cannot be read; the text is AWS's.
pub(super) type Unreadable = String;

impl Condition {
    /// Reads a condition; `variables` says whether the policy's version has policy variables.
    pub(super) fn read(operator: &str, key: &str, values: &[String], variables: bool) -> Result<Condition, Unreadable> {
        let operator = Operator::named(operator).ok_or_else(|| format!("Invalid Condition type : {operator}."))?;
        let read = |value: &String| {
            let wrong = || format!("Invalid value {value} for the condition key {key}.");
            operator.comparison.read(value, variables).ok_or_else(wrong)
        };
        let values = values.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Condition { operator, key: key.to_ascii_lowercase(), values })
    }

    /// Whether the request fulfils it.
    pub(super) fn holds(&self, context: &Context) -> bool {
        let Operator { comparison, negated, if_exists, set } = self.operator;
        let found = context.get(&self.key);
        if comparison == Comparison::Null {
            return self.values.iter().any(|value| *value == Compared::Flag(found.is_none()));
        }
        let Some(found) = found else {
            return match set {
                Some(Set::All) => true,
                Some(Set::Any) => if_exists,
                None => if_exists || negated,
            };
        };
        let fits = |text: &String| {
            let equal = self.values.iter().any(|value| comparison.equal(value, text, context));
            equal != negated
        };
        match set {
            Some(Set::All) => found.iter().all(fits),
            Some(Set::Any) => found.iter().any(fits),
            None if negated => found.iter().all(fits),
            None => found.iter().any(fits),
        }
    }
}

impl Operator {
    fn named(name: &str) -> Option<Operator> {
        let (set, name) = match name.split_once(':') {
            Some(("ForAllValues", name)) => (Some(Set::All), name),
            Some(("ForAnyValue", name)) => (Some(Set::Any), name),
            Some(_) => return None,
            None => (None, name),
        };
        let (if_exists, name) = match name.strip_suffix("IfExists") {
            Some("Null") => return None,
            Some(name) => (true, name),
            None => (false, name),
        };
        let text = |ignore_case, like| Comparison::Text { ignore_case, like };
        let (comparison, negated) = match name {
            "StringEquals" => (text(false, false), false),
            "StringNotEquals" => (text(false, false), true),
            "StringEqualsIgnoreCase" => (text(true, false), false),
            "StringNotEqualsIgnoreCase" => (text(true, false), true),
            "StringLike" => (text(false, true), false),
            "StringNotLike" => (text(false, true), true),
            // Base64 of the same bytes is the same text.
            "BinaryEquals" => (text(false, false), false),
            "ArnEquals" | "ArnLike" => (Comparison::Arn, false),
            "ArnNotEquals" | "ArnNotLike" => (Comparison::Arn, true),
            "Bool" => (Comparison::Bool, false),
            "Null" => (Comparison::Null, false),
            "IpAddress" => (Comparison::Ip, false),
            "NotIpAddress" => (Comparison::Ip, true),
            name => {
                if let Some((order, negated)) = name.strip_prefix("Numeric").and_then(order) {
                    (Comparison::Number(order), negated)
                } else {
                    let (order, negated) = name.strip_prefix("Date").and_then(order)?;
                    (Comparison::Date(order), negated)
                }
            }
        };
        Some(Operator { comparison, negated, if_exists, set })
    }
}

fn order(name: &str) -> Option<(Order, bool)> {
    Some(match name {
        "Equals" => (Order::Equal, false),
        "NotEquals" => (Order::Equal, true),
        "LessThan" => (Order::Less, false),
        "LessThanEquals" => (Order::LessOrEqual, false),
        "GreaterThan" => (Order::Greater, false),
        "GreaterThanEquals" => (Order::GreaterOrEqual, false),
        _ => return None,
    })
}

impl Order {
    fn fits(self, found: Option<Ordering>) -> bool {
        match self {
            Order::Equal => found == Some(Ordering::Equal),
            Order::Less => found == Some(Ordering::Less),
            Order::LessOrEqual => matches!(found, Some(Ordering::Less | Ordering::Equal)),
            Order::Greater => found == Some(Ordering::Greater),
            Order::GreaterOrEqual => matches!(found, Some(Ordering::Greater | Ordering::Equal)),
        }
    }
}

impl Comparison {
    fn read(self, value: &str, variables: bool) -> Option<Compared> {
        Some(match self {
            Comparison::Text { like, .. } => {
                Compared::Pattern(Pattern::new(value, Reading { wildcards: like, variables }))
            }
            Comparison::Arn => Compared::Arn(ArnPattern::new(value, Reading { wildcards: true, variables })),
            Comparison::Bool | Comparison::Null => match value {
                "true" | "True" | "TRUE" => Compared::Flag(true),
                "false" | "False" | "FALSE" => Compared::Flag(false),
                _ => return None,
            },
            Comparison::Number(_) => Compared::Number(value.parse().ok()?),
            Comparison::Date(_) => Compared::Date(date(value)?),
            Comparison::Ip => {
                let (address, length) = network(value)?;
                Compared::Network(address, length)
            }
        })
    }

    fn equal(self, value: &Compared, text: &str, context: &Context) -> bool {
        match (self, value) {
            (Comparison::Text { ignore_case, .. }, Compared::Pattern(pattern)) => {
                pattern.matches(text, context, ignore_case)
            }
            (Comparison::Arn, Compared::Arn(pattern)) => pattern.matches(text, context),
            (Comparison::Bool, Compared::Flag(wanted)) => text.eq_ignore_ascii_case(&wanted.to_string()),
            (Comparison::Number(order), Compared::Number(wanted)) => {
                text.parse::<f64>().is_ok_and(|found| order.fits(found.partial_cmp(wanted)))
            }
            (Comparison::Date(order), Compared::Date(wanted)) => {
                date(text).is_some_and(|found| order.fits(Some(found.cmp(wanted))))
            }
            (Comparison::Ip, Compared::Network(address, length)) => {
                text.parse::<IpAddr>().is_ok_and(|found| is_within(found, *address, *length))
            }
            _ => false,
        }
    }
}

/// ISO 8601, a date alone, or seconds since the epoch.
fn date(text: &str) -> Option<OffsetDateTime> {
    if let Ok(seconds) = text.parse::<i64>() {
        return OffsetDateTime::from_unix_timestamp(seconds).ok();
    }
    let alone = || Date::parse(text, format_description!("[year]-[month]-[day]")).ok();
    OffsetDateTime::parse(text, &Iso8601::DEFAULT).ok().or_else(|| alone().map(|date| date.midnight().assume_utc()))
}

fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let length = length.map_or(Some(most), |length| length.parse().ok())?;
    (length <= most).then_some((address, length))
}

fn is_within(found: IpAddr, network: IpAddr, length: u8) -> bool {
    let (found, network, bits) = match (found, network) {
        (IpAddr::V4(found), IpAddr::V4(network)) => (found.to_bits().into(), network.to_bits().into(), 32),
        (IpAddr::V6(found), IpAddr::V6(network)) => (found.to_bits(), network.to_bits(), 128),
        _ => return false,
    };
    let differ: u128 = found ^ network;
    differ.checked_shr(bits - u32::from(length)).unwrap_or(0) == 0
}
