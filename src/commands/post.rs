//! Posts single events to a stack's API, as the emulator does, with the caller's own credentials.

use std::time::{Duration, Instant};

use pinfra_aws::Clients;
use pinfra_workers::config::{ApiAuth, ApiTarget};
use pinfra_workers::emulator::{Attempt, Destination, Receipt, SinglePoster};
use serde_json::Value;

use super::deployed::Deployed;
use crate::report::Failure;

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(200);

/// A way into the API.
pub(super) struct Poster {
    api: SinglePoster,
    url: String,
}

impl Poster {
    /// Into the API of `deployed`.
    pub(super) fn new(clients: &Clients, deployed: &Deployed) -> Result<Poster, Failure> {
        let url = deployed.invoke_url.clone().unwrap_or_default();
        let auth = match &deployed.api_key {
            Some(id) => ApiAuth::Key { id: id.clone() },
            None if deployed.signed => ApiAuth::Iam,
            None => ApiAuth::None,
        };
        let target = ApiTarget { url: url.clone(), auth, region: clients.region.clone() };
        let api = SinglePoster::new(&target, clients.sdk.clone());
        Ok(Poster { api: api.map_err(|error| Failure::from_error(&error))?, url })
    }

    /// Posts `event`, again and again until it is accepted, refused for good, or `deadline` has passed.
    pub(super) async fn post_until(
        &self,
        to: Destination<'_>,
        event: &Value,
        deadline: Instant,
    ) -> Result<Receipt, Failure> {
        let (Destination::Stream(name) | Destination::Topic(name)) = to;
        loop {
            let (reason, after) = match self.api.post(to, event, "probe").await {
                Attempt::Accepted(receipt) => return Ok(receipt),
                Attempt::Refused(reason) => {
                    return Err(Failure::new(format!(
                        "the API at {} refuses an event for `{name}`: {reason}",
                        self.url
                    ))
                    .hint("`pinfra plan` tells whether the API is as it was made"));
                }
                Attempt::Failed { reason, after } => (reason, after),
            };
            if Instant::now() >= deadline {
                let hint = match to {
                    Destination::Stream(_) => {
                        "a new API key is known everywhere after half a minute; `pinfra verify` tries again"
                    }
                    Destination::Topic(_) => {
                        "`pinfra logs gateway` says what the gateway met; `pinfra verify` tries again"
                    }
                };
                let message = format!("the API at {} does not take an event for `{name}`: {reason}", self.url);
                return Err(Failure::new(message).hint(hint));
            }
            tokio::time::sleep(after.unwrap_or(PAUSE)).await;
        }
    }
}
