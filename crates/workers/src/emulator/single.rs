//! Posts single events, in the very way that the emulator does: for whoever wants to know whether the API takes one.

use std::time::Duration;

use aws_config::SdkConfig;
use serde_json::Value;

use super::EmulatorError;
use super::answer::{Outcome, Receipt};
use super::api::Api;
use super::journal::Post;
use super::route::Route;
use crate::config::ApiTarget;

/// Where an event is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination<'a> {
    /// Into this Kinesis stream.
    Stream(&'a str),
    /// Into this Kafka topic.
    Topic(&'a str),
}

/// What one attempt to post one event came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The record is where it was to go.
    Accepted(Receipt),
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

    /// Posts `event` once. The key is for streams; a record in a topic has none.
    pub async fn post(&self, to: Destination<'_>, event: &Value, partition_key: &str) -> Attempt {
        let data = match serde_json::value::to_raw_value(event) {
            Ok(data) => data,
            Err(error) => return Attempt::Refused(error.to_string()),
        };
        let (stream, topic, route) = match to {
            Destination::Stream(stream) => (Some(stream.to_owned()), None, Route::Stream),
            Destination::Topic(topic) => (None, Some(topic.to_owned()), Route::Kafka),
        };
        let partition_key = partition_key.to_owned();
        let post = Post { number: 0, table: String::new(), stream, topic, partition_key, data };
        match self.api.put(&post, route).await {
            Outcome::Accepted(receipt) => Attempt::Accepted(receipt),
            Outcome::Refused(reason) => Attempt::Refused(reason),
            Outcome::Failed(failure) => Attempt::Failed { reason: failure.reason, after: failure.after },
        }
    }
}
