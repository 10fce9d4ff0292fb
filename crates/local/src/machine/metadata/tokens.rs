//! The session tokens of IMDSv2.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;

/// More than any client holds; the oldest give way.
const MOST: usize = 10_000;

/// Tokens that have been given out, and when they end. They do not survive a reboot, as on EC2.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    ends: Mutex<HashMap<String, Instant>>,
}

impl Tokens {
    /// A new token.
    pub(super) fn issue(&self, lifetime: Duration) -> String {
        let token = URL_SAFE.encode(rand::random::<[u8; 42]>());
        let now = Instant::now();
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        if ends.len() >= MOST {
            ends.retain(|_, end| *end > now);
            let first = ends.iter().min_by_key(|(_, end)| **end).map(|(token, _)| token.clone());
            if let Some(first) = first.filter(|_| ends.len() >= MOST) {
                ends.remove(&first);
            }
        }
        ends.insert(token.clone(), now + lifetime);
        token
    }

    /// Whether it was given out and has not ended.
    pub(super) fn is_good(&self, token: &str) -> bool {
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.get(token).is_some_and(|end| *end > Instant::now())
    }
}
