//! Who may write a stack's state: a lease in `lock.json`, renewed while its holder lives.
//!
//! A holder that dies leaves a lease that expires; on the same machine it is seen to be dead at once. Each lease has a
//! higher fencing token than the one before. It is taken, renewed and given back by replacing exactly the version that was
//! read, so of two who try, one is told no, wherever the state is kept.
//!
//! A writer asks twice: before it writes, whether its time is up ([`Lock::check`]), and when what it wrote is durable,
//! whether the lease was its own all along ([`Lock::verify`]). Only then does a call leave. Whoever takes the lease reads the
//! state after taking it, and so sees the beginning of every call that may be under way.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::holder::{Clock, Holder, Life, MachineClock};
use super::shelf::{Document, Shelf, ShelfError, Version, When};

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

/// The lease that is held.
#[derive(Debug)]
struct Lease {
    shelf: Arc<dyn Shelf>,
    clock: Arc<dyn Clock>,
    pace: Pace,
    mine: Mutex<Mine>,
    /// Until when it lasts, in milliseconds of uptime. Our own time is told by no clock that can be set.
    until: AtomicU64,
    lost: AtomicBool,
}

/// What `lock.json` says while the lease is ours.
#[derive(Debug)]
struct Mine {
    holder: Holder,
    version: Version,
}

fn acquire(shelf: Arc<dyn Shelf>, command: &str, clock: Arc<dyn Clock>, pace: Pace) -> Result<Lease, LockError> {
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
fn beat(lease: &Lease, stopped: &Receiver<()>) {
    while stopped.recv_timeout(lease.pace.heartbeat) == Err(RecvTimeoutError::Timeout) {
        // What could not be renewed now may be the next time: the disk may come back.
        let _ = lease.renew();
        if lease.lost.load(Ordering::Acquire) {
            return;
        }
    }
}

impl Lease {
    fn mine(&self) -> MutexGuard<'_, Mine> {
        // It is replaced as a whole, so a panic elsewhere left nothing half done.
        self.mine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_time(&self) -> Result<(), Lost> {
        let lost = self.lost.load(Ordering::Acquire);
        let in_time = millis(self.clock.uptime()) < self.until.load(Ordering::Acquire);
        if in_time && !lost { Ok(()) } else { Err(Lost) }
    }

    fn lose(&self) -> Lost {
        self.lost.store(true, Ordering::Release);
        Lost
    }

    fn check(&self) -> Result<(), Lost> {
        self.in_time().or_else(|Lost| self.renew())
    }

    fn verify(&self) -> Result<(), Lost> {
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
    fn renew(&self) -> Result<(), Lost> {
        let mut mine = self.mine();
        let renewed = mine.holder.renewed(self.pace.lease, &*self.clock);
        self.put(&mut mine, renewed)
    }

    fn outrank(&self, token: u64) -> Result<(), Lost> {
        let mut mine = self.mine();
        if mine.holder.token > token {
            return Ok(());
        }
        let mut higher = mine.holder.renewed(self.pace.lease, &*self.clock);
        higher.token = token + 1;
        self.put(&mut mine, higher)
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

    fn give_back(&self) {
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

fn read(shelf: &dyn Shelf) -> Result<Option<(Holder, Version)>, LockError> {
    let Some(document) = shelf.read(DOCUMENT)? else { return Ok(None) };
    let holder = serde_json::from_slice(&document.bytes);
    let holder = holder.map_err(|_| LockError::Damaged { name: shelf.name(DOCUMENT) })?;
    Ok(Some((holder, document.version)))
}

fn text(holder: &Holder) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(holder).expect("a struct of texts and numbers can be written as JSON");
    text.push(b'\n');
    text
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::FolderShelf;
    use super::super::holder::testing::TestClock;
    use super::*;

    /// A heartbeat that never comes by itself, so that a test is the only one to renew.
    const STILL: Pace = Pace {
        lease: Duration::from_secs(30),
        heartbeat: Duration::from_secs(3_600),
        watch: Duration::from_millis(60),
        look: Duration::from_millis(5),
    };

    struct World {
        folder: tempfile::TempDir,
        clock: Arc<TestClock>,
    }

    impl World {
        fn new() -> World {
            World { folder: tempfile::tempdir().unwrap(), clock: Arc::new(TestClock::new()) }
        }

        fn shelf(&self) -> Arc<dyn Shelf> {
            Arc::new(FolderShelf::new(self.folder.path()))
        }

        fn take(&self) -> Result<Lock, LockError> {
            Lock::take_by(self.shelf(), "up", self.clock.clone(), STILL)
        }

        /// Changes what `lock.json` says.
        fn edit(&self, edit: impl FnOnce(&mut Holder)) {
            let mut holder = read(&*self.shelf()).unwrap().unwrap().0;
            edit(&mut holder);
            self.shelf().write(DOCUMENT, &text(&holder), When::Any).unwrap();
        }
    }

    #[test]
    fn a_second_run_is_told_who_holds_the_stack() {
        let world = World::new();
        let first = world.take().unwrap();
        let error = world.take().unwrap_err().to_string();
        assert!(error.contains("`pinfra up`") && error.contains(&std::process::id().to_string()), "{error}");
        let token = first.token();
        drop(first);
        assert!(world.take().unwrap().token() > token);
    }

    #[test]
    fn of_many_who_try_at_once_one_gets_the_stack() {
        let world = World::new();
        let taken: Vec<_> = std::thread::scope(|scope| {
            let tries: Vec<_> = (0..8).map(|_| scope.spawn(|| world.take())).collect();
            tries.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(taken.iter().filter(|taken| taken.is_ok()).count(), 1, "{taken:?}");
    }

    #[test]
    fn a_dead_holder_is_no_holder() {
        let world = World::new();
        let lock = world.take().unwrap();
        // No process has the highest pid that Linux allows (proc(5), `pid_max`).
        world.edit(|holder| holder.pid = 4_194_304);
        let next = world.take().unwrap();
        assert!(next.token() > lock.token());
        assert_eq!((lock.verify(), next.verify()), (Err(Lost), Ok(())));
        assert_eq!(lock.check(), Err(Lost), "what was lost stays lost");
        drop(lock);
        assert_eq!(next.verify(), Ok(()), "and is not given back either");
    }

    #[test]
    fn a_wall_clock_that_jumps_costs_nobody_a_lease() {
        let world = World::new();
        let lock = world.take().unwrap();
        for wall in [0, 2_000_000_000, 999_999, 1_000_000] {
            world.clock.wall.store(wall, Ordering::SeqCst);
            assert!(matches!(world.take(), Err(LockError::Held(_))), "the clock says {wall}");
            assert_eq!((lock.check(), lock.verify()), (Ok(()), Ok(())));
            assert_eq!(lock.lease.renew(), Ok(()));
        }
    }

    #[test]
    fn a_machine_that_slept_longer_than_the_lease_renews_it_unless_somebody_took_it() {
        let world = World::new();
        let lock = world.take().unwrap();
        world.clock.pass(3_600);
        assert_eq!(lock.lease.in_time(), Err(Lost));
        assert_eq!(lock.check(), Ok(()), "nobody has taken it");
        assert_eq!(lock.lease.in_time(), Ok(()));
        world.clock.pass(3_600);
        world.edit(|holder| holder.host = "elsewhere".to_owned());
        let other = world.take().unwrap();
        assert_eq!(lock.check(), Err(Lost));
        assert_eq!(other.check(), Ok(()));
    }

    #[test]
    fn a_lease_of_another_machine_is_watched_before_it_is_taken() {
        let world = World::new();
        let lock = world.take().unwrap();
        world.edit(|holder| holder.host = "elsewhere".to_owned());
        assert!(matches!(world.take(), Err(LockError::Held(_))), "it has not expired");
        for set in [10, 1_000_000_000] {
            // Behind by days, the clock shows a lease that nobody makes; ahead, one that has expired.
            world.clock.wall.store(set, Ordering::SeqCst);
            let renewing = std::thread::scope(|scope| {
                let taking = scope.spawn(|| world.take());
                while !taking.is_finished() {
                    world.edit(|holder| holder.expires_at += 1);
                    std::thread::yield_now();
                }
                taking.join().unwrap()
            });
            assert!(matches!(renewing, Err(LockError::Held(_))), "its holder lives: {renewing:?}");
        }
        drop(lock);
        world.take().unwrap();
    }

    #[test]
    fn a_lock_that_was_broken_is_noticed_by_its_holder() {
        let world = World::new();
        let lock = Lock::take(world.shelf(), "up").unwrap();
        assert!(matches!(break_lock(&*world.shelf(), false), Err(LockError::Held(_))));
        assert_eq!(lock.verify(), Ok(()));
        assert!(matches!(break_lock(&*world.shelf(), true), Ok(Broken::Lease(_))));
        assert_eq!(lock.verify(), Err(Lost));
        assert!(matches!(break_lock(&*world.shelf(), true), Ok(Broken::Nobody)));
        Lock::take(world.shelf(), "down").unwrap();
    }

    #[test]
    fn a_lease_that_ran_out_or_whose_holder_is_gone_can_be_broken() {
        let world = World::new();
        let _lock = Lock::take(world.shelf(), "up").unwrap();
        world.edit(|holder| holder.expires_at_uptime = 1);
        assert_eq!(lock_status(&*world.shelf()).unwrap().unwrap().life, Life::Silent);
        assert!(matches!(Lock::take(world.shelf(), "up"), Err(LockError::Held(_))), "its process lives");
        assert!(matches!(break_lock(&*world.shelf(), false), Ok(Broken::Lease(status)) if status.life == Life::Silent));
        Lock::take(world.shelf(), "up").unwrap();
    }

    #[test]
    fn a_damaged_lock_file_is_named_and_broken() {
        let world = World::new();
        let lock = world.take().unwrap();
        world.shelf().write(DOCUMENT, b"{\"command\": \"u", When::Any).unwrap();
        assert_eq!(lock.verify(), Err(Lost));
        let error = world.take().unwrap_err();
        assert!(matches!(&error, LockError::Damaged { name } if name.ends_with(DOCUMENT)), "{error}");
        assert!(matches!(break_lock(&*world.shelf(), false), Ok(Broken::Damaged)));
        world.take().unwrap();
    }

    #[test]
    fn a_removed_lock_file_is_a_lost_lease_and_tokens_rise_all_the_same() {
        let world = World::new();
        let lock = world.take().unwrap();
        world.shelf().remove(DOCUMENT).unwrap();
        assert_eq!(lock.verify(), Err(Lost));
        let next = world.take().unwrap();
        next.outrank(7).unwrap();
        assert_eq!((next.token(), next.verify()), (8, Ok(())));
        next.outrank(3).unwrap();
        assert_eq!(next.token(), 8);
    }

    #[test]
    fn a_lease_that_cannot_be_read_is_ours_until_it_runs_out() {
        let world = World::new();
        let lock = world.take().unwrap();
        std::fs::remove_dir_all(world.folder.path()).unwrap();
        std::fs::write(world.folder.path(), "in the way").unwrap();
        assert_eq!((lock.check(), lock.verify()), (Ok(()), Ok(())));
        world.clock.pass(31);
        assert_eq!((lock.check(), lock.verify()), (Err(Lost), Err(Lost)));
        std::fs::remove_file(world.folder.path()).unwrap();
        std::fs::create_dir(world.folder.path()).unwrap();
    }

    #[test]
    fn a_lock_file_of_an_earlier_version_is_read() {
        let world = World::new();
        let old = r#"{"command":"up","pid":4194304,"host":"h","user":"u","boot":"b p","token":6,"taken_at":1,"expires_at":0}"#;
        world.shelf().write(DOCUMENT, old.as_bytes(), When::Any).unwrap();
        assert_eq!(world.take().unwrap().token(), 7);
    }
}
