//! Finds the processes of a machine wherever they have gone: a new session or another parent does not take away the
//! environment that a process was started with. Where there is no `/proc`, nothing is found.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A process may fork while it is looked for, so one look is not enough; but not for ever.
const ROUNDS: usize = 100;

/// The processes that have this entry in their environment. One that has ended has no environment any more.
pub(super) fn alive(marker: &str) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        // Those of other users cannot be read, and are not ours.
        let Ok(environment) = fs::read(entry.path().join("environ")) else { continue };
        if environment.split(|byte| *byte == 0).any(|entry| entry == marker.as_bytes()) {
            found.push(Pid::from_raw(pid));
        }
    }
    found
}

/// Kills them until there are none.
pub(super) fn kill_all(marker: &str) {
    for _ in 0..ROUNDS {
        let found = alive(marker);
        if found.is_empty() {
            return;
        }
        for pid in found {
            // Gone in between is as good.
            let _killed = kill(pid, Signal::SIGKILL);
        }
        std::thread::yield_now();
    }
}
