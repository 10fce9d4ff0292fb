//! Switching a machine off.

use std::process::Child;
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::time::Instant;

use super::watcher::Watcher;
use super::{process, sweep};

/// What processes have between the request to end and the end. A whole `down` has five seconds.
const GRACE: Duration = Duration::from_secs(2);

/// How often it is looked whether they have gone.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// The processes of a machine. Dropping it cuts the power.
#[derive(Debug)]
pub(super) struct Power {
    marker: String,
    /// The process of the user data and what watches it; none where nothing was started.
    processes: Option<(Child, Watcher)>,
}

impl Power {
    /// A machine that runs nothing.
    pub(super) fn idle(id: &str) -> Power {
        Power { marker: process::marker(id), processes: None }
    }

    /// A machine with this process as the leader of its group.
    pub(super) fn on(id: &str, leader: Child, watcher: Watcher) -> Power {
        Power { marker: process::marker(id), processes: Some((leader, watcher)) }
    }

    /// Asks all processes to end, waits for a while, and kills what is left.
    pub(super) async fn shut_down(&mut self) {
        let Some((leader, _)) = &mut self.processes else { return };
        // The leader has not been waited for yet, so that nobody else can have its number.
        let group = group_of(leader);
        let _asked = killpg(group, Signal::SIGTERM);
        for pid in sweep::alive(&self.marker) {
            if pid != group {
                let _asked = kill(pid, Signal::SIGTERM);
            }
        }
        let deadline = Instant::now() + GRACE;
        let mut leads = true;
        while Instant::now() < deadline {
            // Looked at through `/proc`, not by waiting: that would free the number of the group.
            leads = leads && !has_ended(leader);
            if !leads && sweep::alive(&self.marker).is_empty() {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.cut();
    }

    /// Kills all processes at once.
    pub(super) fn cut(&mut self) {
        let Some((mut leader, mut watcher)) = self.processes.take() else { return };
        let _killed = killpg(group_of(&leader), Signal::SIGKILL);
        sweep::kill_all(&self.marker);
        let _ended = leader.wait();
        watcher.told_off();
    }
}

impl Drop for Power {
    fn drop(&mut self) {
        self.cut();
    }
}

fn group_of(leader: &Child) -> Pid {
    Pid::from_raw(i32::try_from(leader.id()).unwrap_or(i32::MAX))
}

/// Whether a child that nobody has waited for has come to its end.
fn has_ended(child: &Child) -> bool {
    use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    !matches!(waitid(Id::Pid(group_of(child)), flags), Ok(WaitStatus::StillAlive))
}
