//! Posts single events, in the very way that the emulator does: for whoever wants to know whether the API takes one.

use std::time::Duration;

use aws_config::SdkConfig;
use serde_json::Value;

use super::EmulatorError;
use super::answer::Outcome;
use super::api::Api;
use super::journal::Post;
use crate::config::ApiTarget;

/// What one attempt to post one event came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The record is in the stream.
    Accepted,
    /// The API will not take this event.
    Refused(String),
    /// Not this time.
    Failed {
        /// For people.
        reason: String,
        /// Not to be tried again before, where the API says so.
        after: Option<Duration>,
    },
}

/// A way into the API for single events.
#[derive(Debug)]
pub struct SinglePoster {
    api: Api,
}

impl SinglePoster {
    /// Into this API, with these credentials where it asks for any.
    pub fn new(target: &ApiTarget, sdk: SdkConfig) -> Result<SinglePoster, EmulatorError> {
        // Another may have been installed already, by the program that this runs in.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Ok(SinglePoster { api: Api::new(target, 1)?.with_sdk(sdk) })
    }

    /// Posts `event` once.
    pub async fn post(&self, stream: &str, event: &Value, partition_key: &str) -> Attempt {
        let data = match serde_json::value::to_raw_value(event) {
            Ok(data) => data,
            Err(error) => return Attempt::Refused(error.to_string()),
        };
        let post = Post {
            number: 0,
            table: String::new(),
            stream: stream.to_owned(),
            partition_key: partition_key.to_owned(),
            data,
        };
        match self.api.put(&post).await {
            Outcome::Accepted => Attempt::Accepted,
            Outcome::Refused(reason) => Attempt::Refused(reason),
            Outcome::Failed(failure) => Attempt::Failed { reason: failure.reason, after: failure.after },
        }
    }
}
