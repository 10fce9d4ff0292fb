use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::FolderShelf;
use super::super::holder::testing::TestClock;
use super::super::holder::{Holder, Life};
use super::super::shelf::{Shelf, When};
use super::lease::{read, text};
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
    let old =
        r#"{"command":"up","pid":4194304,"host":"h","user":"u","boot":"b p","token":6,"taken_at":1,"expires_at":0}"#;
    world.shelf().write(DOCUMENT, old.as_bytes(), When::Any).unwrap();
    assert_eq!(world.take().unwrap().token(), 7);
}
