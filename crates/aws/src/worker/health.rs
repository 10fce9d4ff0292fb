//! How the workers of a machine are, from what its agent said last.

use std::time::{Duration, SystemTime};

use pinfra_engine::{CloudError, ErrorKind};

use super::heartbeat::{Heartbeat, Standing, standing};
use super::keys;
use crate::clients::Clients;
use crate::error::classify;

/// An agent says something every two seconds; this is seven times that, and more than clocks differ by that are set by NTP.
const SILENT: Duration = Duration::from_secs(15);

/// What was heard of a machine.
pub(crate) enum Health {
    /// Its agent says nothing; the text says since when.
    Silent(String),
    /// Its agent has said this just now.
    Heard(Heard),
}

/// A heartbeat that is not old.
pub(crate) struct Heard(Heartbeat);

impl Heard {
    /// Why the worker `name` does not do what the manifest of that hash says, if so.
    pub(crate) fn ill(&self, name: &str, manifest: &str) -> Option<String> {
        match standing(&self.0, name, manifest) {
            Standing::Well => None,
            Standing::OnItsWay(how) => Some(format!("the worker does not run as it was deployed: {how}")),
            Standing::Failing(why) => Some(format!("the worker is failing: {why}")),
        }
    }
}

/// What the agent of a machine says.
pub(crate) async fn health(clients: &Clients, bucket: &str, instance: &str) -> Result<Health, CloudError> {
    let key = keys::heartbeat(instance);
    let answer = clients.s3.get_object().bucket(bucket).key(key).send().await;
    let answer = match answer.map_err(|error| classify("s3:GetObject", &error)) {
        Ok(answer) => answer,
        Err(error) if error.kind == ErrorKind::NotFound => {
            return Ok(Health::Silent(format!("the agent of `{instance}` has never reported")));
        }
        Err(error) => return Err(error),
    };
    let written = answer.last_modified().and_then(|at| SystemTime::try_from(*at).ok());
    let age = written.and_then(|at| at.elapsed().ok()).unwrap_or_default();
    if age > SILENT {
        return Ok(Health::Silent(format!("the agent of `{instance}` was last heard {} s ago", age.as_secs())));
    }
    let body = answer.body.collect().await;
    let body = body.map_err(|error| CloudError::new(ErrorKind::Unreachable, "s3:GetObject", error.to_string()))?;
    Ok(match serde_json::from_slice(&body.into_bytes()) {
        Ok(heartbeat) => Health::Heard(Heard(heartbeat)),
        Err(_) => Health::Silent(format!("what the agent of `{instance}` reports cannot be understood")),
    })
}
