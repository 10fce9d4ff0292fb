//! Lists in pages that neither repeat nor skip while things are made and deleted.

use serde_json::Value;

/// One page of a list.
pub(super) struct Page {
    /// What is on it.
    pub(super) items: Vec<Value>,
    /// The key after which the next one begins; `None` on the last.
    pub(super) next: Option<String>,
}

/// The page of `size` items that begins after the key `after`. Items come in the order of their keys, which must not repeat.
pub(super) fn page(items: Vec<(String, Value)>, after: Option<&str>, size: usize) -> Page {
    let mut rest = items.into_iter().filter(|(key, _)| after.is_none_or(|after| key.as_str() > after)).peekable();
    let (mut last, mut shown) = (None, Vec::new());
    for (key, item) in rest.by_ref().take(size) {
        last = Some(key);
        shown.push(item);
    }
    let next = last.filter(|_| rest.peek().is_some());
    Page { items: shown, next }
}
