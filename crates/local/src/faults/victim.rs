//! The process at the other end of a loopback connection: found by its port, killed on request.
//!
//! `/proc/net/tcp` has the inode of the client's socket, and one of `/proc/<pid>/fd` leads to it (proc(5)). Only a process of
//! our own user is ever killed, and never this one nor what it has started.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Every process of an instance has it in its environment (`machine/process.rs`).
const INSTANCE: &[u8] = b"PINFRA_INSTANCE=";

/// Parents of parents: no process tree is deeper.
const MOST_ANCESTORS: usize = 1_000;

/// Why a caller cannot be killed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoVictim {
    #[error("no process of this user holds the connection from {0} (is this Linux, and does the caller run here?)")]
    NotFound(SocketAddr),
    #[error("the processes {0} share the connection, so it cannot be told which of them called")]
    Shared(String),
    #[error("the caller (process {0}) is the local cloud itself or was started by it")]
    Ours(u32),
    #[error("the caller (process {0}) cannot be killed: {1}")]
    Refused(u32, Errno),
}

/// A process that may be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Victim {
    pid: u32,
    /// When it was started, in ticks since boot: another process with the same number has another one.
    started: u64,
}

impl Victim {
    /// Who holds the connection that comes from `client` and ends at `server`. Reads all of `/proc`: some milliseconds.
    pub(crate) fn at(client: SocketAddr, server: SocketAddr) -> Result<Victim, NoVictim> {
        let not_found = || NoVictim::NotFound(client);
        let inode = inode(client, server).ok_or_else(not_found)?;
        let holders = holders(inode);
        // A child that was forked a moment ago has the sockets of its parent until it runs its own program.
        let first = |pid: &&u32| !holders.get(*pid).is_some_and(|stat| holders.contains_key(&stat.parent));
        let callers: Vec<u32> = holders.keys().filter(first).copied().collect();
        let pid = match callers.as_slice() {
            [] => return Err(not_found()),
            [pid] => *pid,
            several => {
                let several: Vec<String> = several.iter().map(u32::to_string).collect();
                return Err(NoVictim::Shared(several.join(", ")));
            }
        };
        if is_ours(pid) {
            return Err(NoVictim::Ours(pid));
        }
        let victim = Victim { pid, started: holders.get(&pid).ok_or_else(not_found)?.started };
        // No signal, only the question whether one may be sent.
        victim.send(None)?;
        Ok(victim)
    }

    /// Kills it. One that has ended meanwhile is as dead.
    pub(crate) fn kill(self) -> Result<(), NoVictim> {
        if stat(self.pid).is_none_or(|stat| stat.started != self.started) {
            return Ok(());
        }
        self.send(Some(Signal::SIGKILL))
    }

    fn send(self, signal: Option<Signal>) -> Result<(), NoVictim> {
        let number = i32::try_from(self.pid).map_err(|_| NoVictim::Refused(self.pid, Errno::EINVAL))?;
        match kill(Pid::from_raw(number), signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(NoVictim::Refused(self.pid, error)),
        }
    }
}

/// The inode of the client's socket. A client that speaks IPv6 to an IPv4 address stands in the other table.
fn inode(client: SocketAddr, server: SocketAddr) -> Option<u64> {
    let (client, server) = (as_in_proc(client)?, as_in_proc(server)?);
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    tables.iter().find_map(|table| inode_in(&fs::read_to_string(table).ok()?, &client, &server))
}

fn inode_in(table: &str, client: &str, server: &str) -> Option<u64> {
    for line in table.lines().skip(1) {
        let mut columns = line.split_ascii_whitespace().skip(1);
        let (Some(local), Some(remote)) = (columns.next(), columns.next()) else { continue };
        if local.ends_with(client) && remote.ends_with(server) {
            // state, queues, timer, retransmissions, user, timeout
            let inode = columns.nth(6)?.parse().ok();
            // A socket that nobody holds any more has the inode 0.
            return inode.filter(|inode| *inode != 0);
        }
    }
    None
}

/// `0100007F:1F90`: the address as the machine's own word, which on x86 and ARM has its bytes reversed.
fn as_in_proc(address: SocketAddr) -> Option<String> {
    let SocketAddr::V4(address) = address else { return None };
    let word = u32::from_ne_bytes(address.ip().octets());
    Some(format!("{word:08X}:{:04X}", address.port()))
}

/// What `/proc/<pid>/stat` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    started: u64,
}

/// The processes of our user that have the socket open.
fn holders(inode: u64) -> BTreeMap<u32, Stat> {
    let mut found = BTreeMap::new();
    let Ok(us) = fs::metadata("/proc/self").map(|about| about.uid()) else { return found };
    let link = format!("socket:[{inode}]");
    let Ok(processes) = fs::read_dir("/proc") else { return found };
    for process in processes.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if process.metadata().is_ok_and(|about| about.uid() == us)
            && let Ok(files) = fs::read_dir(process.path().join("fd"))
            && files.flatten().any(|file| fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == link.as_str()))
            && let Some(stat) = stat(pid)
        {
            found.insert(pid, stat);
        }
    }
    found
}

fn stat(pid: u32) -> Option<Stat> {
    stat_in(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The fourth and the twenty-second field; the second, the name, may hold blanks and brackets.
fn stat_in(text: &str) -> Option<Stat> {
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace().skip(1);
    Some(Stat { parent: fields.next()?.parse().ok()?, started: fields.nth(17)?.parse().ok()? })
}

/// Whether it is this process, a descendant of it, or a process of an instance, wherever that has gone.
fn is_ours(pid: u32) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    if environment.split(|byte| *byte == 0).any(|entry| entry.starts_with(INSTANCE)) {
        return true;
    }
    let mut ancestor = pid;
    for _ in 0..MOST_ANCESTORS {
        if ancestor == std::process::id() {
            return true;
        }
        match stat(ancestor) {
            Some(stat) if stat.parent > 1 => ancestor = stat.parent,
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn tables_of_proc_are_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
               0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 11 1 0 100 0 0 10 0\n\
               1: 0100007F:1F90 0100007F:C001 01 00000000:00000000 00:00000000 00000000  1000        0 12 1 0 20 4 30 10 -1\n\
               2: 0100007F:C001 0100007F:1F90 01 00000000:00000000 02:00000000 00000000  1000        0 13 2 0 20 4 30 10 -1\n";
        assert_eq!(inode_in(table, "0100007F:C001", "0100007F:1F90"), Some(13));
        assert_eq!(inode_in(table, "0100007F:C002", "0100007F:1F90"), None);
        let stat = "7 (a b) c) S 5 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 8 9";
        assert_eq!(stat_in(stat), Some(Stat { parent: 5, started: 4711 }));
    }

    #[test]
    fn this_process_is_found_and_never_killed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap();
        let client = TcpStream::connect(server).unwrap();
        let found = Victim::at(client.local_addr().unwrap(), server);
        assert_eq!(found, Err(NoVictim::Ours(std::process::id())));
        let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
        assert_eq!(Victim::at(nobody, server), Err(NoVictim::NotFound(nobody)));
    }

    #[test]
    fn a_process_that_has_ended_is_as_dead() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let victim = Victim { pid: child.id(), started: stat(child.id()).unwrap().started };
        child.wait().unwrap();
        assert_eq!(victim.kill(), Ok(()));
    }
}
