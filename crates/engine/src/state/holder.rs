//! Who has a stack's lease, as `lock.json` says, and whether that still holds.
//!
//! Wall clocks jump: when they are set, and when a laptop sleeps. So a holder on this machine, since its last start, is judged
//! by whether its process lives, and by a clock that nobody sets. For holders elsewhere the wall clock is all there is; what it
//! says of an expired lease is no proof, so [`super::Lock::take`] then watches the lease for longer than a heartbeat.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// How far two machines' clocks may be apart without a lease looking impossible.
const SKEW: Duration = Duration::from_secs(60);

/// Who holds a stack, or did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// What it is doing, such as `up`.
    pub command: String,
    /// Its process.
    pub pid: u32,
    /// When that process was started, in ticks since the machine was, so that a later process of its number is not taken for
    /// it; empty where that cannot be known.
    #[serde(default)]
    pub started: String,
    /// Its machine.
    pub host: String,
    /// Its user; empty where that is not known.
    pub user: String,
    /// When the machine it runs on was started, so that a pid of before is not taken for alive.
    pub boot: String,
    /// Higher for each lease of this stack.
    pub token: u64,
    /// Seconds since the epoch.
    pub taken_at: u64,
    /// Seconds since the epoch; renewed by the heartbeat. 0 once it was given back.
    pub expires_at: u64,
    /// The same in seconds since its machine was started.
    #[serde(default)]
    pub expires_at_uptime: u64,
}

/// What is known of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Life {
    /// It was given back.
    Free,
    /// It was renewed in time.
    Held,
    /// Its process is on this machine, but has not renewed it in time: it was stopped, or hangs.
    Silent,
    /// Its process was on this machine, and is gone.
    Dead,
    /// It is another machine's, and by the clock of this one it has expired, or cannot have been made.
    Expired,
}

impl Holder {
    /// This process, from now on, with a lease that has ended.
    pub(super) fn this(command: &str, token: u64, clock: &dyn Clock) -> Holder {
        let pid = std::process::id();
        Holder {
            command: command.to_owned(),
            pid,
            started: process(pid).map(|process| process.started).unwrap_or_default(),
            host: host(),
            user: user(),
            boot: boot(),
            token,
            taken_at: clock.wall().as_secs(),
            expires_at: 0,
            expires_at_uptime: 0,
        }
    }

    /// Who and where, such as `ann@laptop`: the machine alone where the user is not known.
    pub fn at(&self) -> String {
        match self.user.as_str() {
            // Older versions wrote that they did not know.
            "" | "unknown" => self.host.clone(),
            user => format!("{user}@{}", self.host),
        }
    }

    /// The same with a lease that lasts until `lease` from now.
    pub(super) fn renewed(&self, lease: Duration, clock: &dyn Clock) -> Holder {
        let mut renewed = self.clone();
        renewed.expires_at = (clock.wall() + lease).as_secs();
        renewed.expires_at_uptime = (clock.uptime() + lease).as_secs();
        renewed
    }

    /// Whether both are one lease, however often renewed.
    pub(super) fn is_same_lease(&self, other: &Holder) -> bool {
        let lease = |holder: &Holder| {
            (
                holder.token,
                holder.pid,
                holder.taken_at,
                holder.host.clone(),
                holder.boot.clone(),
                holder.started.clone(),
            )
        };
        lease(self) == lease(other)
    }

    /// What is known of it now, if leases last `lease`.
    pub(super) fn judge(&self, lease: Duration, clock: &dyn Clock) -> Life {
        if self.expires_at == 0 {
            return Life::Free;
        }
        if let Some(lives) = self.process_lives() {
            return match lives {
                false => Life::Dead,
                true if clock.uptime().as_secs() < self.expires_at_uptime => Life::Held,
                true => Life::Silent,
            };
        }
        let now = clock.wall();
        let expires = Duration::from_secs(self.expires_at);
        if now < expires && expires <= now + lease + SKEW { Life::Held } else { Life::Expired }
    }

    /// Whether its process lives; `None` when it is not one of this machine since its last start.
    pub fn process_lives(&self) -> Option<bool> {
        let is_of_this_boot = self.host == host() && self.boot == boot() && !self.boot.is_empty();
        is_of_this_boot.then(|| {
            process(self.pid).is_some_and(|process| self.started.is_empty() || process.started == self.started)
        })
    }
}

/// What time it is.
pub(super) trait Clock: Send + Sync + std::fmt::Debug {
    /// Since the epoch. It may be set, forwards and back.
    fn wall(&self) -> Duration;
    /// Since the machine was started, its sleep included. It only goes forwards.
    fn uptime(&self) -> Duration;
}

/// The clocks of this machine.
#[derive(Debug)]
pub(super) struct MachineClock {
    since: Instant,
    since_wall: Duration,
}

impl MachineClock {
    pub(super) fn new() -> MachineClock {
        MachineClock { since: Instant::now(), since_wall: wall() }
    }
}

impl Clock for MachineClock {
    fn wall(&self) -> Duration {
        wall()
    }

    /// Linux tells it in `/proc/uptime` (proc(5); the kernel's `CLOCK_BOOTTIME`). `Instant` stands still while the machine
    /// sleeps, so elsewhere the wall clock has a say: one that is set forwards costs a lease, and it is only renewed.
    fn uptime(&self) -> Duration {
        let text = std::fs::read_to_string("/proc/uptime").ok();
        let seconds = text.as_deref().and_then(|text| text.split(' ').next()?.parse().ok());
        seconds
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .unwrap_or_else(|| self.since.elapsed().max(wall().saturating_sub(self.since_wall)))
    }
}

fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// A process that is there.
struct Process {
    started: String,
}

/// From proc_pid_stat(5): after the name in parentheses, which may hold anything, come the state and, 19 fields on, the start.
/// A process that has ended and that nobody has asked about yet (a zombie) is gone.
fn process(pid: u32) -> Option<Process> {
    let text = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    let (_, fields) = text.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let state = fields.next()?;
    let started = fields.nth(18)?.to_owned();
    (!matches!(state, "Z" | "X" | "x")).then_some(Process { started })
}

/// The name of the user by the environment (login(1)); empty where that does not tell.
fn user() -> String {
    let mut named = ["USER", "LOGNAME"].into_iter().filter_map(|name| std::env::var(name).ok());
    named.find(|user| !user.is_empty()).unwrap_or_default()
}

fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = name.or_else(|| std::env::var("HOSTNAME").ok());
    name.map_or_else(|| "unknown".to_owned(), |n| n.trim().to_owned())
}

/// Linux tells each boot apart (proc(5), `random/boot_id`), and each space of pids, so that a container does not
/// take another one's process for dead (pid_namespaces(7)). Elsewhere this is empty, and only expiry counts.
fn boot() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    let pids = std::fs::read_link("/proc/self/ns/pid");
    match (boot, pids) {
        (Ok(boot), Ok(pids)) => format!("{} {}", boot.trim(), pids.display()),
        _ => String::new(),
    }
}

#[cfg(test)]
pub(super) mod testing {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// Clocks that a test sets.
    #[derive(Debug)]
    pub(in crate::state) struct TestClock {
        pub(in crate::state) wall: AtomicU64,
        pub(in crate::state) uptime: AtomicU64,
    }

    impl TestClock {
        pub(in crate::state) fn new() -> TestClock {
            TestClock { wall: AtomicU64::new(1_000_000), uptime: AtomicU64::new(1_000) }
        }

        /// Time goes by.
        pub(in crate::state) fn pass(&self, seconds: u64) {
            self.wall.fetch_add(seconds, Ordering::SeqCst);
            self.uptime.fetch_add(seconds, Ordering::SeqCst);
        }
    }

    impl Clock for TestClock {
        fn wall(&self) -> Duration {
            Duration::from_secs(self.wall.load(Ordering::SeqCst))
        }

        fn uptime(&self) -> Duration {
            Duration::from_secs(self.uptime.load(Ordering::SeqCst))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::atomic::Ordering;

    use super::testing::TestClock;
    use super::*;

    const LEASE: Duration = Duration::from_secs(30);

    fn mine(clock: &TestClock) -> Holder {
        Holder::this("up", 1, clock).renewed(LEASE, clock)
    }

    #[test]
    fn a_process_of_this_machine_is_judged_by_what_nobody_sets() {
        let clock = TestClock::new();
        let mine = mine(&clock);
        for wall in [0, 1, 500_000, 1_000_029, 1_000_031, 2_000_000_000] {
            clock.wall.store(wall, Ordering::SeqCst);
            assert_eq!(mine.judge(LEASE, &clock), Life::Held, "the wall clock says {wall}");
        }
        clock.pass(31);
        assert_eq!(mine.judge(LEASE, &clock), Life::Silent);
    }

    #[test]
    fn a_process_elsewhere_is_judged_by_the_wall_clock() {
        let clock = TestClock::new();
        let theirs = Holder { host: "elsewhere".into(), ..mine(&clock) };
        assert_eq!((theirs.process_lives(), theirs.judge(LEASE, &clock)), (None, Life::Held));
        clock.pass(30);
        assert_eq!(theirs.judge(LEASE, &clock), Life::Expired);
        clock.wall.store(1_000_000 - 3_600, Ordering::SeqCst);
        assert_eq!(theirs.judge(LEASE, &clock), Life::Expired, "no lease lasts for an hour");
        assert_eq!(Holder { expires_at: 0, ..theirs }.judge(LEASE, &clock), Life::Free);
    }

    #[test]
    fn a_process_that_has_ended_is_gone_even_before_somebody_asks_how() {
        let clock = TestClock::new();
        let mut child = Command::new("true").spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while process(child.id()).is_some() {
            assert!(Instant::now() < until, "`true` does not end");
            std::thread::yield_now();
        }
        let dead = Holder { pid: child.id(), started: String::new(), ..mine(&clock) };
        assert_eq!(dead.judge(LEASE, &clock), Life::Dead);
        child.wait().unwrap();
        assert_eq!(dead.judge(LEASE, &clock), Life::Dead);
        let later = Holder { started: "1".into(), ..mine(&clock) };
        assert_eq!(later.judge(LEASE, &clock), Life::Dead, "another process has its number by now");
    }

    #[test]
    fn uptime_goes_forwards() {
        let clock = MachineClock::new();
        let before = clock.uptime();
        assert!(before > Duration::ZERO || !Path::new("/proc/uptime").exists());
        assert!(clock.uptime() >= before);
    }
}
