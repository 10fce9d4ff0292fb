//! What a call meets on its way because somebody asked for it: rules of `faults`, and latency.
//!
//! The caller is known and its request is whole, but nothing has been done yet. [`Trouble::play`] logs the call, waits,
//! refuses, hangs up, kills, or lets the call be carried out and then does one of these to its answer.

use std::time::Duration;

use http::Response;

use super::front::Body;
use super::peer::Peer;
use crate::faults::{self, Act, Called, Entry, Faults, Moment, NoVictim, Turn, Victim};
use crate::wire::error::ApiError;

/// The connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("a rule closes the connection")]
pub(super) struct HungUp;

/// An answer, and the code of the error in it where it is one.
pub(super) struct Answered {
    pub(super) response: Response<Body>,
    pub(super) code: Option<String>,
}

/// What every call meets.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) faults: Faults,
    /// Added to every call.
    latency: Duration,
}

/// What becomes of an answer.
enum Fate {
    Sent,
    /// And what the call makes will fail for this reason.
    SentThoughFailing(String),
    Lost,
    LostAndKilled(Victim),
    SentAndKilled(Victim),
}

/// What a rule has planned for a call that gets an answer.
pub(super) enum Planned {
    /// It is carried out.
    Nothing,
    /// It is refused.
    Refusal(ApiError),
    /// It is carried out, and what it makes fails by and by, for this reason.
    Failing(String),
}

/// What happens in place of the call.
enum Instead {
    Refused(ApiError),
    HungUp,
}

impl Trouble {
    pub(super) fn new(latency: Duration) -> Trouble {
        Trouble { faults: Faults::default(), latency }
    }

    /// Plays what this call meets. `answer` carries the call out as planned.
    pub(super) async fn play<F: Future<Output = Answered>>(
        &self,
        called: &Called<'_>,
        peer: &Peer,
        answer: impl FnOnce(Planned) -> F,
    ) -> Result<Response<Body>, HungUp> {
        let entry = self.faults.log(called);
        let (fate, planned) = match self.meet(called, peer, &entry).await {
            Ok(Fate::SentThoughFailing(reason)) => (Fate::Sent, Planned::Failing(reason)),
            Ok(fate) => (fate, Planned::Nothing),
            Err(Instead::Refused(error)) => (Fate::Sent, Planned::Refusal(error)),
            Err(Instead::HungUp) => return Err(HungUp),
        };
        let Answered { response, code } = answer(planned).await;
        match fate {
            Fate::Sent | Fate::SentThoughFailing(_) | Fate::SentAndKilled(_) => {
                entry.answered(response.status().as_u16(), || code);
            }
            Fate::Lost | Fate::LostAndKilled(_) => {}
        }
        match fate {
            Fate::Sent | Fate::SentThoughFailing(_) => Ok(response),
            Fate::Lost => Err(HungUp),
            Fate::LostAndKilled(victim) => {
                // That it may be killed was found out before the call; what is left is to say nothing.
                let _killed = victim.kill();
                Err(HungUp)
            }
            Fate::SentAndKilled(victim) => Ok(peer.killed_by(response, victim)),
        }
    }

    async fn meet(&self, called: &Called<'_>, peer: &Peer, entry: &Entry<'_>) -> Result<Fate, Instead> {
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        let Turn { delay, act } = self.faults.turn(called);
        if let Some(delay) = delay {
            entry.met("delay");
            tokio::time::sleep(delay).await;
        }
        let Some(act) = act else { return Ok(Fate::Sent) };
        entry.met(act.name());
        let refused = |error| Err(Instead::Refused(error));
        match act {
            Act::Refuse { code, status, message } => {
                let message = message.unwrap_or_else(|| "A rule of the local cloud refuses this call.".to_owned());
                let error = ApiError::new(code, message);
                refused(match status {
                    Some(status) => error.with_status(status),
                    None => error,
                })
            }
            Act::Throttle => refused(faults::throttled(called.service, called.operation, 1.0)),
            Act::Error(status) => refused(faults::server_error(called.service, status)),
            Act::Reset => Err(Instead::HungUp),
            Act::LoseAnswer => Ok(Fate::Lost),
            Act::Fail(reason) => Ok(Fate::SentThoughFailing(reason)),
            // Counted in the turn already.
            Act::Delay(_) => Ok(Fate::Sent),
            Act::Hang(time) => {
                tokio::time::sleep(time).await;
                Err(Instead::HungUp)
            }
            Act::Kill(moment) => {
                let victim = peer.victim().await.map_err(|why| Instead::Refused(nobody_to_kill(&why)))?;
                match moment {
                    Moment::Before => {
                        victim.kill().map_err(|why| Instead::Refused(nobody_to_kill(&why)))?;
                        Err(Instead::HungUp)
                    }
                    Moment::After => Ok(Fate::LostAndKilled(victim)),
                    Moment::Answered => Ok(Fate::SentAndKilled(victim)),
                }
            }
        }
    }
}

/// Refuses the call: a kill that cannot be done must not look like one that was not asked for. No SDK tries a 400 again.
fn nobody_to_kill(why: &NoVictim) -> ApiError {
    ApiError::new("FaultCannotBePlayed", format!("a rule asks to kill the caller: {why}")).with_status(400)
}
