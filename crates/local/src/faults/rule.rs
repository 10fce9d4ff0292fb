//! One rule: which calls, when, and what they meet. It is written back as it is read.

use std::fmt;
use std::time::Duration;

use super::Called;

/// `on <service>:<operation> [conditions] do <act> [by=any]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// `None` is every service.
    pub(super) service: Option<&'static str>,
    /// `None` is every operation of the service.
    pub(super) operation: Option<String>,
    pub(super) when: When,
    pub(super) act: Act,
    /// Also for callers with the keys of a role.
    pub(super) by_any: bool,
}

/// All that is said has to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct When {
    /// The nth matching call alone, from 1.
    pub(super) nth: Option<u64>,
    /// Every nth matching call.
    pub(super) every: Option<u64>,
    pub(super) chance: Option<Chance>,
    /// So often at most.
    pub(super) times: Option<u64>,
    pub(super) only: Option<Only>,
}

/// A probability in hundredths of a percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chance(pub(super) u32);

/// Half of all operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Only {
    Reads,
    Writes,
}

/// What a call meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// An error of the service instead of an effect.
    Refuse { code: String, status: Option<u16>, message: Option<String> },
    /// The service's own words for too many requests.
    Throttle,
    /// The service's own words for an error of its own: status 500 or 503.
    Error(u16),
    /// The connection is closed, without an effect.
    Reset,
    /// The effect happens, the connection is closed.
    LoseAnswer,
    /// The call waits, and then goes on.
    Delay(Duration),
    /// The connection says nothing for so long and is then closed, without an effect.
    Hang(Duration),
    /// The calling process is killed.
    Kill(Moment),
    /// The call is answered as any, and what it makes ends FAILED with these words.
    Fail(String),
}

/// The creates whose objects come up by and by, and that [`Act::Fail`] is for.
pub(super) const FAIL_LATER: [(&str, &str); 4] = [
    ("kafka", "CreateCluster"),
    ("kafka", "CreateClusterV2"),
    ("kafkaconnect", "CreateConnector"),
    ("kafkaconnect", "CreateCustomPlugin"),
];

/// When the calling process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// There is no effect.
    Before,
    /// The effect is there, no byte of the answer is.
    After,
    /// All bytes of the answer have left.
    Answered,
}

impl Rule {
    pub(super) fn matches(&self, called: &Called<'_>) -> bool {
        let only = match self.when.only {
            None => true,
            Some(Only::Reads) => !called.mutating,
            Some(Only::Writes) => called.mutating,
        };
        only && (self.by_any || called.role.is_none())
            && self.service.is_none_or(|service| service == called.service)
            && self.operation.as_ref().is_none_or(|operation| operation == called.operation)
    }
}

impl Act {
    /// The words that begin it, such as `kill before`.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Act::Refuse { .. } => "refuse",
            Act::Throttle => "throttle",
            Act::Error(503) => "error 503",
            Act::Error(_) => "error 500",
            Act::Reset => "reset",
            Act::LoseAnswer => "lose-answer",
            Act::Delay(_) => "delay",
            Act::Hang(_) => "hang",
            Act::Kill(Moment::Before) => "kill before",
            Act::Kill(Moment::After) => "kill after",
            Act::Kill(Moment::Answered) => "kill answered",
            Act::Fail(_) => "fail",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operation = self.operation.as_deref().unwrap_or("*");
        write!(f, "on {}:{operation}{} do {}", self.service.unwrap_or("*"), self.when, self.act)?;
        if self.by_any { f.write_str(" by=any") } else { Ok(()) }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in [("nth", self.nth), ("every", self.every)] {
            if let Some(value) = value {
                write!(f, " {name}={value}")?;
            }
        }
        if let Some(chance) = self.chance {
            write!(f, " chance={chance}")?;
        }
        if let Some(times) = self.times {
            write!(f, " times={times}")?;
        }
        match self.only {
            None => Ok(()),
            Some(Only::Reads) => f.write_str(" reads"),
            Some(Only::Writes) => f.write_str(" writes"),
        }
    }
}

impl fmt::Display for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 100, self.0 % 100) {
            (whole, 0) => write!(f, "{whole}%"),
            (whole, part) => write!(f, "{whole}.{part:02}%"),
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Act::Refuse { code, status, message } => {
                write!(f, " {code}")?;
                if let Some(status) = status {
                    write!(f, " status={status}")?;
                }
                if let Some(message) = message {
                    write!(f, " message={}", Quoted(message))?;
                }
                Ok(())
            }
            Act::Delay(time) | Act::Hang(time) => write!(f, " {}", Written(*time)),
            Act::Fail(reason) => write!(f, " {}", Quoted(reason)),
            _ => Ok(()),
        }
    }
}

struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

/// A duration in the largest unit that has no fraction.
struct Written(Duration);

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        if millis.is_multiple_of(60_000) {
            write!(f, "{}m", millis / 60_000)
        } else if millis.is_multiple_of(1_000) {
            write!(f, "{}s", millis / 1_000)
        } else {
            write!(f, "{millis}ms")
        }
    }
}
