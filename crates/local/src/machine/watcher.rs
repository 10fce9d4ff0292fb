//! A power cut: when the local cloud is killed, its machines end with it.
//!
//! Beside each machine runs a small shell that reads from a pipe whose other end only the local cloud has. It is told
//! the process group of the machine, and then either that the machine is off, or nothing more: the end of the pipe
//! means that the local cloud is gone, and it kills what belongs to the machine.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};

/// `$1` is the marker. It is no part of this shell's environment, so it does not find itself.
const SCRIPT: &str = r#"
read -r group
if read -r off; then exit 0; fi
if [ -n "$group" ]; then kill -s KILL -- "-$group" 2>/dev/null; fi
round=0
while [ "$round" -lt 50 ]; do
    found=$(grep -l -F -e "$1" /proc/[0-9]*/environ 2>/dev/null) || exit 0
    for file in $found; do
        pid=${file#/proc/}
        kill -s KILL "${pid%/environ}" 2>/dev/null
    done
    round=$((round + 1))
done
"#;

/// The shell beside a machine. Dropping it is a power cut.
#[derive(Debug)]
pub(super) struct Watcher {
    shell: Child,
    /// `None` once it has been told that there is nothing to watch any more.
    pipe: Option<ChildStdin>,
}

impl Watcher {
    /// Starts it, in a process group of its own: what the machine does to its group does not reach it.
    pub(super) fn start(marker: &str) -> io::Result<Watcher> {
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "pinfra-machine-watcher", marker])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let pipe = shell.stdin.take();
        Ok(Watcher { shell, pipe })
    }

    /// Tells it which process group is the machine's.
    pub(super) fn told_group(&mut self, group: u32) {
        if let Some(pipe) = &mut self.pipe {
            // If it is gone there is nobody to watch; ending a machine in order does not need it.
            let _told = writeln!(pipe, "{group}");
        }
    }

    /// Tells it that nothing of the machine is left, and waits for its end.
    pub(super) fn told_off(&mut self) {
        if let Some(mut pipe) = self.pipe.take() {
            let _told = pipe.write_all(b"off\n");
            drop(pipe);
            let _ended = self.shell.wait();
        }
    }
}
