//! What is known of a request besides its action and resource: the keys that conditions and policy variables name.

use std::collections::BTreeMap;

/// Condition keys with their values. Names of keys are not case-sensitive (IAM user guide, "Condition").
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Context {
    keys: BTreeMap<String, Vec<String>>,
}

impl Context {
    /// The same with one more key, such as `s3:prefix`; a key that was there is replaced.
    #[must_use]
    pub fn with(self, key: &str, value: impl Into<String>) -> Context {
        self.with_all(key, vec![value.into()])
    }

    /// The same with a key of several values, such as `aws:TagKeys`.
    #[must_use]
    pub fn with_all(mut self, key: &str, values: Vec<String>) -> Context {
        self.keys.insert(key.to_ascii_lowercase(), values);
        self
    }

    /// The values of a key, given in lower case; `None` where the request does not have it.
    pub(super) fn get(&self, key: &str) -> Option<&[String]> {
        self.keys.get(key).map(Vec::as_slice).filter(|values| !values.is_empty())
    }

    /// The one value of a key, which is what a policy variable stands for.
    pub(super) fn one(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            [one] => Some(one),
            _ => None,
        }
    }
}
