//! The lease in `lock.json`: taken, renewed and given back by replacing exactly the version that was read.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::super::holder::{Clock, Holder, Life};
use super::super::shelf::{Document, Shelf, ShelfError, Version, When};
use super::{DOCUMENT, LockError, Lost, Pace, TRIES, status};

/// The lease that is held.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) shelf: Arc<dyn Shelf>,
    clock: Arc<dyn Clock>,
    pace: Pace,
    mine: Mutex<Mine>,
    /// Until when it lasts, in milliseconds of uptime. Our own time is told by no clock that can be set.
    until: AtomicU64,
    pub(super) lost: AtomicBool,
}

/// What `lock.json` says while the lease is ours.
#[derive(Debug)]
pub(super) struct Mine {
    pub(super) holder: Holder,
    version: Version,
}

/// Takes the lease, if nobody living has it.
pub(super) fn acquire(
    shelf: Arc<dyn Shelf>,
    command: &str,
    clock: Arc<dyn Clock>,
    pace: Pace,
) -> Result<Lease, LockError> {
    for _ in 0..TRIES {
        let before = read(&*shelf)?;
        if let Some((holder, version)) = &before {
            match holder.judge(pace.lease, &*clock) {
                Life::Free | Life::Dead => {}
                Life::Expired if !is_renewed(&*shelf, version, pace)? => {}
                Life::Expired | Life::Held | Life::Silent => {
                    return Err(LockError::Held(Box::new(status(holder.clone(), &*clock))));
                }
            }
        }
        let token = before.as_ref().map_or(1, |(holder, _)| holder.token + 1);
        let asked = clock.uptime();
        let holder = Holder::this(command, token, &*clock).renewed(pace.lease, &*clock);
        let when = before.map_or(When::Absent, |(_, version)| When::Is(version));
        match shelf.write(DOCUMENT, &text(&holder), when) {
            Ok(version) => {
                let until = AtomicU64::new(millis(asked + pace.lease));
                let mine = Mutex::new(Mine { holder, version });
                return Ok(Lease { shelf, clock, pace, mine, until, lost: AtomicBool::new(false) });
            }
            // Somebody else was first; the next look says who.
            Err(ShelfError::Changed { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ShelfError::Changed { name: shelf.name(DOCUMENT) }.into())
}

/// Whether `lock.json` changes while it is watched: then its holder lives, whatever the clocks say.
fn is_renewed(shelf: &dyn Shelf, version: &Version, pace: Pace) -> Result<bool, LockError> {
    let until = Instant::now() + pace.watch;
    while Instant::now() < until {
        std::thread::sleep(pace.look);
        if shelf.read(DOCUMENT)?.is_none_or(|document| document.version != *version) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Renews the lease until `stopped` hangs up, or it is lost. Waiting goes by a clock that nobody sets.
pub(super) fn beat(lease: &Lease, stopped: &Receiver<()>) {
    while stopped.recv_timeout(lease.pace.heartbeat) == Err(RecvTimeoutError::Timeout) {
        // What could not be renewed now may be the next time: the disk may come back.
        let _ = lease.renew();
        if lease.lost.load(Ordering::Acquire) {
            return;
        }
    }
}

impl Lease {
    pub(super) fn mine(&self) -> MutexGuard<'_, Mine> {
        // It is replaced as a whole, so a panic elsewhere left nothing half done.
        self.mine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it has not run out, and was not seen to be another's.
    pub(super) fn in_time(&self) -> Result<(), Lost> {
        let lost = self.lost.load(Ordering::Acquire);
        let in_time = millis(self.clock.uptime()) < self.until.load(Ordering::Acquire);
        if in_time && !lost { Ok(()) } else { Err(Lost) }
    }

    fn lose(&self) -> Lost {
        self.lost.store(true, Ordering::Release);
        Lost
    }

    /// Renews a lease that has run out, if nobody has taken it.
    pub(super) fn check(&self) -> Result<(), Lost> {
        self.in_time().or_else(|Lost| self.renew())
    }

    /// Whether `lock.json` says that it is ours.
    pub(super) fn verify(&self) -> Result<(), Lost> {
        match self.shelf.read(DOCUMENT) {
            Ok(Some(document)) if self.is_ours(&document) => Ok(()),
            Ok(_) => Err(self.lose()),
            // Whoever takes a lease waits until it has run out, so within its time it is ours.
            Err(_) => self.in_time(),
        }
    }

    fn is_ours(&self, document: &Document) -> bool {
        let mine = self.mine();
        // Mostly it is the very document that was written last.
        document.version == mine.version
            || serde_json::from_slice(&document.bytes)
                .is_ok_and(|holder: Holder| holder.expires_at != 0 && holder.is_same_lease(&mine.holder))
    }

    /// Makes the lease last from now on, if it is still ours: also one that has run out and that nobody has taken.
    pub(super) fn renew(&self) -> Result<(), Lost> {
        let mut mine = self.mine();
        let renewed = mine.holder.renewed(self.pace.lease, &*self.clock);
        self.put(&mut mine, renewed)
    }

    /// Makes its token higher than `token`. Where that cannot be written, nothing may be done under it.
    pub(super) fn outrank(&self, token: u64) -> Result<(), Lost> {
        let mut mine = self.mine();
        if mine.holder.token > token {
            return Ok(());
        }
        let mut higher = mine.holder.renewed(self.pace.lease, &*self.clock);
        higher.token = token + 1;
        self.put(&mut mine, higher)?;
        if mine.holder.token > token { Ok(()) } else { Err(Lost) }
    }

    fn put(&self, mine: &mut Mine, next: Holder) -> Result<(), Lost> {
        if self.lost.load(Ordering::Acquire) {
            return Err(Lost);
        }
        let asked = self.clock.uptime();
        match self.shelf.write(DOCUMENT, &text(&next), When::Is(mine.version.clone())) {
            Ok(version) => {
                *mine = Mine { holder: next, version };
                self.until.store(millis(asked + self.pace.lease), Ordering::Release);
                Ok(())
            }
            Err(ShelfError::Changed { .. }) => Err(self.lose()),
            Err(ShelfError::Failed { .. }) => self.in_time(),
        }
    }

    /// Gives it back, unless it is another's by now.
    pub(super) fn give_back(&self) {
        if self.lost.load(Ordering::Acquire) {
            return;
        }
        let mut mine = self.mine();
        mine.holder.expires_at = 0;
        let (text, when) = (text(&mine.holder), When::Is(mine.version.clone()));
        // If this fails the lease expires by itself, and on this machine its holder is seen to be gone.
        let _ = self.shelf.write(DOCUMENT, &text, when);
    }
}

/// Who `lock.json` says has the lease, and of which version of it.
pub(super) fn read(shelf: &dyn Shelf) -> Result<Option<(Holder, Version)>, LockError> {
    let Some(document) = shelf.read(DOCUMENT)? else { return Ok(None) };
    let holder = serde_json::from_slice(&document.bytes);
    let holder = holder.map_err(|_| LockError::Damaged { name: shelf.name(DOCUMENT) })?;
    Ok(Some((holder, document.version)))
}

/// A lease as `lock.json` has it.
pub(super) fn text(holder: &Holder) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(holder).expect("a struct of texts and numbers can be written as JSON");
    text.push(b'\n');
    text
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
