//! The name of a resource in its stack.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What the last part of a twin's name begins with. Nobody else's has it: no name that a stack file gives has a `-`.
const TWIN: &str = "twin-";

/// `kind.name`, such as `kinesis/stream.pin`: what people, state and tags call a resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Address {
    kind: String,
    name: String,
}

/// Text that is not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an address such as `kinesis/stream.pin`")]
pub struct NotAnAddress(String);

impl Address {
    /// The address of `name` among the resources of `kind`. Both are compiled in or checked before.
    pub fn new(kind: impl Into<String>, name: impl Into<String>) -> Address {
        Address { kind: kind.into(), name: name.into() }
    }

    /// The kind, such as `kinesis/stream`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The name within the kind, such as `pin`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address of another object, of that id, which carries this one's tags as well: it is there twice.
    pub fn twin(&self, id: &str) -> Address {
        let hash = hex::encode(Sha256::digest(id));
        Address::new(&self.kind, format!("{}.{TWIN}{}", self.name, &hash[..8]))
    }

    /// The address in the tags of what has this address: its own, or that of which it is a twin.
    pub fn in_tags(&self) -> Address {
        match self.name.rsplit_once('.') {
            Some((name, last)) if last.starts_with(TWIN) => Address::new(&self.kind, name),
            _ => self.clone(),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.kind, self.name)
    }
}

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Address, NotAnAddress> {
        let bad = || NotAnAddress(text.to_owned());
        let (kind, name) = text.split_once('.').ok_or_else(bad)?;
        let (service, object) = kind.split_once('/').ok_or_else(bad)?;
        let word = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if !word(service) || !word(object) || !name.split('.').all(word) {
            return Err(bad());
        }
        Ok(Address::new(kind, name))
    }
}

impl TryFrom<String> for Address {
    type Error = NotAnAddress;

    fn try_from(text: String) -> Result<Address, NotAnAddress> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> String {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_as_it_is_written() {
        let address: Address = "kinesis/stream.pin".parse().unwrap();
        assert_eq!((address.kind(), address.name()), ("kinesis/stream", "pin"));
        assert_eq!(address.to_string(), "kinesis/stream.pin");
        assert_eq!("msk/topic.a.b".parse::<Address>().unwrap().name(), "a.b");
    }

    #[test]
    fn a_twin_has_an_address_of_its_own_and_the_tags_of_the_other() {
        let address = Address::new("s3/object", "program");
        let twin = address.twin("lake/_pinfra/bin/0.gz");
        assert_ne!(twin, address.twin("lake/_pinfra/bin/1.gz"));
        assert_eq!((twin.in_tags(), address.in_tags()), (address.clone(), address));
        assert_eq!(twin.to_string().parse(), Ok(twin));
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "pin", "kinesis/stream", "kinesis.pin", "kinesis/stream.", "/x.y", "a/b.c d"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
