//! Who may write a stack's state: a lease in `lock.json`, renewed while its holder lives.
//!
//! A holder that dies leaves a lease that expires; on the same machine it is seen to be dead at once. Each lease has a
//! higher fencing token than the one before. It is taken, renewed and given back by replacing exactly the version that was
//! read, so of two who try, one is told no, wherever the state is kept.
//!
//! A writer asks twice: before it writes, whether its time is up ([`Lock::check`]), and when what it wrote is durable,
//! whether the lease was its own all along ([`Lock::verify`]). Only then does a call leave. Whoever takes the lease reads the
//! state after taking it, and so sees the beginning of every call that may be under way.

mod lease;

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use lease::{Lease, acquire, beat, read, text};

use super::holder::{Clock, Holder, Life, MachineClock};
use super::shelf::{Shelf, ShelfError, When};

const DOCUMENT: &str = "lock.json";

/// The times of a lease.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// How long it lasts without renewal.
    lease: Duration,
    /// How often a living holder renews it.
    heartbeat: Duration,
    /// How long one that seems to have expired is watched before it is taken: longer than a heartbeat.
    watch: Duration,
    /// How often it is looked at meanwhile.
    look: Duration,
}

const PACE: Pace = Pace {
    lease: Duration::from_secs(30),
    heartbeat: Duration::from_secs(10),
    watch: Duration::from_secs(15),
    look: Duration::from_secs(1),
};

/// How often a lease is tried that others are trying for too.
const TRIES: usize = 10;

/// What `lock.json` says of a stack.
#[derive(Clone, Debug)]
pub struct LockStatus {
    /// Who holds it, or held it last.
    pub holder: Holder,
    /// Whether that still holds.
    pub life: Life,
    /// How much is left of the lease, by the clock that counts for it; 0 when it has expired or was given back.
    pub left: Duration,
}

/// Why a stack could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it.
    #[error("the stack is being changed by `pinfra {}` of {} (pid {})",
        .0.holder.command, .0.holder.at(), .0.holder.pid)]
    Held(Box<LockStatus>),
    /// The lock file is damaged.
    #[error("`{name}` is not a lock file, so who holds the stack cannot be known")]
    Damaged {
        /// The file.
        name: String,
    },
    /// The disk, or the service, said no.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// There is no thread for the heartbeat.
    #[error("cannot start the lock's heartbeat")]
    Heartbeat(#[source] std::io::Error),
}

/// The lease is another's, or was broken, or could not be renewed in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lost;

/// A lease on a stack, given back when it is dropped.
#[derive(Debug)]
pub struct Lock {
    lease: Arc<Lease>,
    /// Dropping the sender ends the heartbeat.
    heartbeat: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Lock {
    /// Takes the lease of the stack whose state is on `shelf` for `command`, if nobody living has it. Blocks for some
    /// seconds when the last holder was on another machine and has not given it back.
    pub fn take(shelf: Arc<dyn Shelf>, command: &str) -> Result<Lock, LockError> {
        Lock::take_by(shelf, command, Arc::new(MachineClock::new()), PACE)
    }

    fn take_by(shelf: Arc<dyn Shelf>, command: &str, clock: Arc<dyn Clock>, pace: Pace) -> Result<Lock, LockError> {
        let lease = Arc::new(acquire(shelf, command, clock, pace)?);
        let (stop, stopped) = channel();
        let beating = lease.clone();
        let thread = std::thread::Builder::new().name("lock-heartbeat".to_owned());
        let thread = thread.spawn(move || beat(&beating, &stopped)).map_err(|error| {
            lease.give_back();
            LockError::Heartbeat(error)
        })?;
        Ok(Lock { lease, heartbeat: Some((stop, thread)) })
    }

    /// The shelf with the stack's state.
    pub fn shelf(&self) -> &Arc<dyn Shelf> {
        &self.lease.shelf
    }

    /// The fencing token: higher than that of any lease of this stack before.
    pub fn token(&self) -> u64 {
        self.lease.mine().holder.token
    }

    /// Whether the lease has not run out. One that has, because the machine slept, is renewed if nobody has taken it.
    pub(super) fn check(&self) -> Result<(), Lost> {
        self.lease.check()
    }

    /// Whether the lease is still ours, by what `lock.json` says now.
    pub(super) fn verify(&self) -> Result<(), Lost> {
        self.lease.verify()
    }

    /// Sees to it that the token is higher than `token`, which a writer has had that is not in `lock.json`: somebody
    /// has removed the file.
    pub(super) fn outrank(&self, token: u64) -> Result<(), Lost> {
        self.lease.outrank(token)
    }

    /// Gives the lease back.
    pub fn release(self) {}
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.heartbeat.take() {
            drop(stop);
            // A heartbeat that panicked has nothing left to give back.
            let _ = thread.join();
        }
        self.lease.give_back();
    }
}

/// What is known of the lease of the stack whose state is on `shelf`; `None` when it was never locked.
pub fn lock_status(shelf: &dyn Shelf) -> Result<Option<LockStatus>, LockError> {
    let clock = MachineClock::new();
    Ok(read(shelf)?.map(|(holder, _)| status(holder, &clock)))
}

/// What breaking a lock has found.
#[derive(Clone, Debug)]
pub enum Broken {
    /// Nobody had the stack.
    Nobody,
    /// The lease was somebody's, and is not any more.
    Lease(Box<LockStatus>),
    /// The lock file was damaged, and was replaced.
    Damaged,
}

/// Ends the lease of the stack whose state is on `shelf`. One that was renewed in time is left alone and answered with
/// [`LockError::Held`], unless `force`: its holder then writes no more, and starts nothing more, once it tries to.
pub fn break_lock(shelf: &dyn Shelf, force: bool) -> Result<Broken, LockError> {
    let clock = MachineClock::new();
    for _ in 0..TRIES {
        let document = shelf.read(DOCUMENT)?;
        let (mut ended, broken) = match read(shelf) {
            Ok(None) => return Ok(Broken::Nobody),
            Ok(Some((holder, _))) => {
                let status = status(holder, &clock);
                match status.life {
                    Life::Free => return Ok(Broken::Nobody),
                    Life::Held if !force => return Err(LockError::Held(Box::new(status))),
                    _ => (status.holder.clone(), Broken::Lease(Box::new(status))),
                }
            }
            Err(LockError::Damaged { .. }) => (Holder::this("lock break", 0, &clock), Broken::Damaged),
            Err(error) => return Err(error),
        };
        ended.expires_at = 0;
        match shelf.write(DOCUMENT, &text(&ended), When::unchanged(document.as_ref())) {
            Ok(_) => return Ok(broken),
            // Its holder has renewed it just now, or somebody else was first.
            Err(ShelfError::Changed { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ShelfError::Changed { name: shelf.name(DOCUMENT) }.into())
}

fn status(holder: Holder, clock: &dyn Clock) -> LockStatus {
    let life = holder.judge(PACE.lease, clock);
    let left = match life {
        Life::Free | Life::Dead | Life::Silent | Life::Expired => Duration::ZERO,
        Life::Held if holder.process_lives().is_some() => {
            Duration::from_secs(holder.expires_at_uptime).saturating_sub(clock.uptime())
        }
        Life::Held => Duration::from_secs(holder.expires_at).saturating_sub(clock.wall()),
    };
    LockStatus { holder, life, left }
}

#[cfg(test)]
mod tests;
