//! Who may write a stack's state: a lease in `lock.json`, renewed while its holder lives.
//!
//! A holder that dies leaves a lease that expires; on the same machine it is seen to be dead at once. Each lease has
//! a higher fencing token than the one before, and a holder that finds another token in the file knows it has lost.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::store::write_atomically;

/// How long a lease lasts without renewal.
const LEASE: Duration = Duration::from_secs(30);
/// How often a living holder renews it.
const HEARTBEAT: Duration = Duration::from_secs(10);

const FILE: &str = "lock.json";
/// Held by the operating system for the blink in which `lock.json` is read and rewritten.
const GUARD: &str = "lock.guard";

/// Who holds a stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// What it is doing, such as `up`.
    pub command: String,
    /// Its process.
    pub pid: u32,
    /// Its machine.
    pub host: String,
    /// Its user.
    pub user: String,
    /// When the machine it runs on was started, so that a pid of before is not taken for alive.
    pub boot: String,
    /// Higher for each lease of this stack.
    pub token: u64,
    /// Seconds since the epoch.
    pub taken_at: u64,
    /// Seconds since the epoch; renewed by the heartbeat. 0 once it was given back.
    pub expires_at: u64,
}

/// Why a stack could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it.
    #[error("the stack is being changed by `pinfra {}` of {}@{} (pid {})", .0.command, .0.user, .0.host, .0.pid)]
    Held(Box<Holder>),
    /// The disk said no.
    #[error("cannot lock `{path}`")]
    Disk {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The lock file is damaged.
    #[error("`{path}` is not a lock file; if no pinfra is running, remove it")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

/// A lease on a stack, given back when it is dropped.
#[derive(Debug)]
pub struct Lock {
    folder: PathBuf,
    token: u64,
    /// Until when the lease is ours, in seconds since the epoch; 0 once it is lost.
    held_until: Arc<AtomicU64>,
    /// Dropping the sender ends the heartbeat.
    heartbeat: Option<(std::sync::mpsc::Sender<()>, std::thread::JoinHandle<()>)>,
}

impl Lock {
    /// Takes the lease of the stack in `folder` for `command`, if nobody living has it.
    pub fn take(folder: &Path, command: &str) -> Result<Lock, LockError> {
        let disk = |source| LockError::Disk { path: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(disk)?;
        let guard = guard(folder).map_err(disk)?;
        let before = holder(folder)?;
        if let Some(held) = before.as_ref().filter(|h| h.is_alive(now())) {
            return Err(LockError::Held(Box::new(held.clone())));
        }
        let token = before.map_or(1, |h| h.token + 1);
        let mine = Holder {
            command: command.to_owned(),
            pid: std::process::id(),
            host: host(),
            user: std::env::var("USER").unwrap_or_else(|_| "unknown".to_owned()),
            boot: boot(),
            token,
            taken_at: now(),
            expires_at: now() + LEASE.as_secs(),
        };
        write(folder, &mine).map_err(disk)?;
        drop(guard);
        let held_until = Arc::new(AtomicU64::new(mine.expires_at));
        let (stop, stopped) = std::sync::mpsc::channel();
        let beat = {
            let (folder, held_until) = (folder.to_owned(), held_until.clone());
            move || beat(&folder, token, &held_until, &stopped)
        };
        let thread = std::thread::Builder::new().name("lock-heartbeat".to_owned()).spawn(beat).map_err(disk)?;
        Ok(Lock { folder: folder.to_owned(), token, held_until, heartbeat: Some((stop, thread)) })
    }

    /// The stack's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the lease is still ours: it was renewed in time and nobody has taken it. A process that was stopped
    /// for longer than its lease finds out here, before its heartbeat does.
    pub fn is_held(&self) -> bool {
        now() < self.held_until.load(Ordering::Acquire)
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
        // If this fails the lease expires by itself, and on this machine its holder is seen to be gone.
        let _ = give_back(&self.folder, self.token);
    }
}

fn give_back(folder: &Path, token: u64) -> io::Result<()> {
    let _guard = guard(folder)?;
    if let Ok(Some(mut current)) = holder(folder)
        && current.token == token
    {
        current.expires_at = 0;
        write(folder, &current)?;
    }
    Ok(())
}

/// Renews the lease until `stopped` hangs up. A lease that could not be renewed in time is lost for good.
fn beat(folder: &Path, token: u64, held_until: &AtomicU64, stopped: &std::sync::mpsc::Receiver<()>) {
    while stopped.recv_timeout(HEARTBEAT) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
        match renew(folder, token) {
            Ok(until) => held_until.store(until, Ordering::Release),
            // The disk may come back before the lease ends.
            Err(_) => continue,
        }
        if held_until.load(Ordering::Acquire) == 0 {
            return;
        }
    }
}

/// Returns until when the lease is ours now: 0 if it is not.
fn renew(folder: &Path, token: u64) -> io::Result<u64> {
    let _guard = guard(folder)?;
    match holder(folder) {
        Ok(Some(mut current)) if current.token == token && current.expires_at > now() => {
            current.expires_at = now() + LEASE.as_secs();
            write(folder, &current)?;
            Ok(current.expires_at)
        }
        Ok(_) => Ok(0),
        Err(error) => Err(io::Error::other(error)),
    }
}

/// Who held the stack last; see [`Holder::is_alive`].
pub fn holder(folder: &Path) -> Result<Option<Holder>, LockError> {
    let path = folder.join(FILE);
    match fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|_| LockError::Damaged { path }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(LockError::Disk { path, source }),
    }
}

impl Holder {
    /// Whether the lease holds at `now` (seconds since the epoch): it has not expired, and its process is not known
    /// to be gone.
    pub fn is_alive(&self, now: u64) -> bool {
        if self.expires_at <= now {
            return false;
        }
        let same_machine = self.host == host() && self.boot == boot() && !self.boot.is_empty();
        !same_machine || Path::new("/proc").join(self.pid.to_string()).exists()
    }
}

fn guard(folder: &Path) -> io::Result<File> {
    let file = File::options().create(true).truncate(false).write(true).open(folder.join(GUARD))?;
    file.lock()?;
    Ok(file)
}

fn write(folder: &Path, holder: &Holder) -> io::Result<()> {
    let text = serde_json::to_vec_pretty(holder)?;
    write_atomically(&folder.join(FILE), &text).map_err(io::Error::other)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = name.or_else(|| std::env::var("HOSTNAME").ok());
    name.map_or_else(|| "unknown".to_owned(), |n| n.trim().to_owned())
}

/// Linux tells each boot apart (proc(5), `random/boot_id`), and each space of pids, so that a container does not
/// take another one's process for dead (pid_namespaces(7)). Elsewhere this is empty, and only expiry counts.
fn boot() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    let pids = fs::read_link("/proc/self/ns/pid");
    match (boot, pids) {
        (Ok(boot), Ok(pids)) => format!("{} {}", boot.trim(), pids.display()),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_is_told_who_holds_the_stack() {
        let folder = tempfile::tempdir().unwrap();
        let first = Lock::take(folder.path(), "up").unwrap();
        let error = Lock::take(folder.path(), "down").unwrap_err().to_string();
        assert!(error.contains("`pinfra up`") && error.contains(&std::process::id().to_string()), "{error}");
        drop(first);
        Lock::take(folder.path(), "down").unwrap();
    }

    #[test]
    fn a_dead_holder_is_no_holder_and_tokens_rise() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path(), "up").unwrap();
        let mut dead = holder(folder.path()).unwrap().unwrap();
        let token = dead.token;
        drop(lock);
        // No process has the highest pid that Linux allows (proc(5), `pid_max`).
        dead.pid = 4_194_304;
        write(folder.path(), &dead).unwrap();
        let lock = Lock::take(folder.path(), "up").unwrap();
        assert!(lock.token > token);
    }

    #[test]
    fn an_expired_lease_is_lost_and_another_can_be_taken() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path(), "up").unwrap();
        let mut expired = holder(folder.path()).unwrap().unwrap();
        expired.expires_at = 1;
        write(folder.path(), &expired).unwrap();
        assert_eq!(renew(folder.path(), lock.token).unwrap(), 0);
        Lock::take(folder.path(), "down").unwrap();
    }
}
