//! Ends workers that an agent left when it was killed, before others are started in their place.
//!
//! Each worker has its folder in its environment. Unlike a file of process ids, that mark is there from the moment
//! that a worker runs, goes when it goes, and never names a process that merely got the same id. It needs `/proc`; on a
//! system without it, what keeps a second cleaner harmless is that positions are committed with the rows.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};

use crate::log::say;

/// The variable that holds a worker's folder.
pub(super) const MARKER: &str = "PINFRA_WORKER_FOLDER";

/// Ends all workers of the agent in `folder`: SIGTERM, and SIGKILL after `grace`.
pub(super) async fn end(folder: &Path, grace: Duration) {
    let left = workers(folder);
    if left.is_empty() {
        return;
    }
    say(&format!("ending {} processes that an agent left that was killed", left.len()));
    signal(&left, Signal::SIGTERM);
    let until = Instant::now() + grace;
    while Instant::now() < until {
        if workers(folder).is_empty() {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    let left = workers(folder);
    signal(&left, Signal::SIGKILL);
    // A killed process is gone as soon as the kernel gets to it; one that waits for a disk is not waited for.
    let until = Instant::now() + Duration::from_secs(2);
    while !workers(folder).is_empty() && Instant::now() < until {
        sleep(Duration::from_millis(20)).await;
    }
}

fn signal(pids: &[Pid], signal: Signal) {
    for pid in pids {
        // Refused only when it is gone.
        let _ = kill(*pid, signal);
    }
}

/// The processes that carry the mark of a worker below `folder`, zombies apart: those have no environment any more.
fn workers(folder: &Path) -> Vec<Pid> {
    let mut found = Vec::new();
    let Ok(processes) = std::fs::read_dir("/proc") else { return found };
    let own = Pid::this();
    for process in processes.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()).map(Pid::from_raw) else {
            continue;
        };
        // Other users' processes cannot be read, and are none of ours.
        let Ok(environment) = std::fs::read(process.path().join("environ")) else { continue };
        if pid != own && is_marked(&environment, folder) {
            found.push(pid);
        }
    }
    found
}

fn is_marked(environment: &[u8], folder: &Path) -> bool {
    let marker = |variable: &[u8]| {
        let value = variable.strip_prefix(MARKER.as_bytes())?.strip_prefix(b"=")?;
        Some(Path::new(std::ffi::OsStr::from_bytes(value)).starts_with(folder))
    };
    environment.split(|byte| *byte == 0).find_map(marker).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_the_folders_own() {
        let environment = b"HOME=/\0PINFRA_WORKER_FOLDER=/a/b/workers/x\0PATH=/bin\0";
        assert!(is_marked(environment, Path::new("/a/b")));
        assert!(!is_marked(environment, Path::new("/a/bc")));
        assert!(!is_marked(environment, Path::new("/c")));
        assert!(!is_marked(b"X=PINFRA_WORKER_FOLDER=/a/b\0", Path::new("/a/b")));
        assert!(!is_marked(b"", Path::new("/a/b")));
    }

    #[tokio::test]
    async fn a_process_that_was_left_is_ended_even_if_it_does_not_listen() {
        let folder = tempfile::tempdir().unwrap();
        let start = |script: &str| {
            let mut command = std::process::Command::new("sh");
            command.args(["-c", script]).env(MARKER, folder.path().join("workers/x"));
            command.stdout(std::process::Stdio::piped()).spawn().unwrap()
        };
        let mut deaf = start("trap '' TERM; echo ready; while :; do sleep 0.01; done");
        let mut ready = [0; 6];
        std::io::Read::read_exact(deaf.stdout.as_mut().unwrap(), &mut ready).unwrap();
        let mut other = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        end(folder.path(), Duration::from_millis(100)).await;
        assert!(!deaf.wait().unwrap().success());
        assert!(other.try_wait().unwrap().is_none(), "another process was ended");
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
