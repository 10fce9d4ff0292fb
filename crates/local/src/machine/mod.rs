//! EC2 instances as groups of processes on this machine.
//!
//! A machine has a folder of its own, which is its file system as far as its user data is polite (`PINFRA_ROOT`), a
//! metadata service on a loopback port of its own, and a console. Its user data runs at every boot in a process group
//! of its own with an environment that holds nothing of the user's. Ending a machine ends the group and whatever has
//! left it: every process is known by a variable in the environment that it inherited. When the local cloud is killed,
//! a watcher beside each machine ends it, as a power cut would.
//!
//! ```text
//! <data_dir>/instances/<id>/             PINFRA_ROOT, with `root` (HOME) and `tmp` (TMPDIR) in it
//! <data_dir>/instances/<id>.user-data    what runs
//! <data_dir>/instances/<id>.console      the last of what it wrote
//! <data_dir>/instances/<id>.port         where its metadata service listens
//! ```

mod address;
mod console;
mod metadata;
mod power;
mod process;
mod sweep;
mod watcher;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

pub(crate) use self::address::{UNBOUND, own_address};
use self::console::Console;
use self::metadata::MetadataService;
use self::power::Power;
use crate::credentials::IssuedKeys;
use crate::private_file;
use crate::wire::error::ApiError;

/// The options of a machine's metadata service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MetadataOptions {
    /// Whether it answers at all.
    pub(crate) enabled: bool,
    /// Whether a request needs a token (IMDSv2).
    pub(crate) tokens_required: bool,
    /// Kept and shown; there are no hops on loopback.
    pub(crate) hop_limit: i64,
    /// Whether the instance may read its own tags.
    pub(crate) tags: bool,
}

/// What a machine may find out about itself.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) instance_id: String,
    pub(crate) reservation_id: String,
    pub(crate) launch_index: usize,
    pub(crate) image_id: String,
    pub(crate) instance_type: String,
    pub(crate) architecture: String,
    pub(crate) zone: String,
    pub(crate) zone_id: String,
    pub(crate) vpc_id: String,
    pub(crate) subnet_id: String,
    pub(crate) interface_id: String,
    pub(crate) mac: String,
    pub(crate) private_ip: String,
    pub(crate) private_dns: String,
    pub(crate) public_ip: Option<String>,
    pub(crate) public_dns: Option<String>,
    /// Ids and names.
    pub(crate) security_groups: Vec<(String, String)>,
    /// Name and OpenSSH line.
    pub(crate) key: Option<(String, String)>,
    /// ARN and id of the instance profile.
    pub(crate) profile: Option<(String, String)>,
    pub(crate) user_data: Option<Vec<u8>>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) options: MetadataOptions,
    /// Seconds since the epoch.
    pub(crate) launched_at: i64,
}

/// What machines ask of the cloud around them.
pub(crate) trait World: Send + Sync {
    /// The instance as it is now; `None` once it is gone.
    fn facts(&self, instance: &str) -> Option<Facts>;
    /// Temporary keys of the role in a profile, for a session named after the instance.
    fn role_keys(&self, profile_arn: &str, instance: &str) -> Result<IssuedKeys, ApiError>;
}

/// All machines of a local cloud.
pub(crate) struct Machines {
    folder: PathBuf,
    endpoint: String,
    /// The certificate authority of what speaks TLS here.
    authority: PathBuf,
    world: Arc<dyn World>,
    /// `None` once the local cloud stops: nothing is booted any more.
    running: Mutex<Option<HashMap<String, Machine>>>,
}

/// One that is on, even if its user data has come to its end.
struct Machine {
    power: Power,
    _metadata: MetadataService,
    /// Carries output to the console until the last process that holds the pipe is gone.
    output: Option<JoinHandle<()>>,
}

impl Machines {
    /// Machines below `<data_dir>/instances/`, for a local cloud at this endpoint.
    pub(crate) fn new(data_dir: &Path, endpoint: &str, world: Arc<dyn World>) -> io::Result<Machines> {
        let folder = data_dir.join("instances");
        private_file::create_folder(&folder)?;
        let authority = std::path::absolute(data_dir.join("kafka").join("ca.pem"))?;
        let running = Mutex::new(Some(HashMap::new()));
        Ok(Machines { folder, endpoint: endpoint.to_owned(), authority, world, running })
    }

    /// Switches a machine on, whose processes listen at this address; one that is on stays as it is. Must be called on a
    /// Tokio runtime.
    pub(crate) fn boot(&self, id: &str, address: Ipv4Addr, user_data: Option<&[u8]>) -> io::Result<()> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(machines) = running.as_mut() else { return Ok(()) };
        if machines.contains_key(id) {
            return Ok(());
        }
        // Whatever outlived an earlier life of the local cloud would act beside the new processes.
        sweep::kill_all(&process::marker(id));
        let root = self.root(id);
        for folder in [&root, &root.join("root"), &root.join("tmp")] {
            private_file::create_folder(folder)?;
        }
        let metadata = MetadataService::start(id, &self.path(id, "port"), Arc::downgrade(&self.world))?;
        let mut console = Console::open(&self.path(id, "console"))?;
        console.line("boot");
        let script = self.path(id, "user-data");
        let machine = match process::read(user_data) {
            process::UserData::Script(interpreter) => {
                fs::write(&script, user_data.unwrap_or_default())?;
                let environment = process::Environment {
                    id,
                    root: &root,
                    endpoint: &self.endpoint,
                    metadata: metadata.endpoint(),
                    address,
                    authority: &self.authority,
                };
                let (power, output) = process::start(&interpreter, &script, &environment)?;
                let output = tokio::spawn(console.follow(output));
                Machine { power, _metadata: metadata, output: Some(output) }
            }
            process::UserData::None => Machine { power: Power::idle(id), _metadata: metadata, output: None },
            process::UserData::NotRun(why) => {
                console.line(&format!("user data is not run: {why}"));
                Machine { power: Power::idle(id), _metadata: metadata, output: None }
            }
        };
        machines.insert(id.to_owned(), machine);
        Ok(())
    }

    /// Switches a machine off: asks its processes to end, then makes them. Returns when none is left.
    pub(crate) async fn shut_down(&self, id: &str) {
        let machine = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            running.as_mut().and_then(|machines| machines.remove(id))
        };
        match machine {
            Some(machine) => machine.shut_down().await,
            None => sweep::kill_all(&process::marker(id)),
        }
    }

    /// Removes what a machine leaves on the disk.
    pub(crate) fn scrap(&self, id: &str) {
        let _gone = fs::remove_dir_all(self.root(id));
        // The console of what is terminated can still be read for a while, as on EC2.
        for file in ["user-data", "port"] {
            let _gone = fs::remove_file(self.path(id, file));
        }
    }

    /// Removes the console as well.
    pub(crate) fn forget(&self, id: &str) {
        self.scrap(id);
        let _gone = fs::remove_file(self.path(id, "console"));
    }

    /// The last 64 KiB of what a machine wrote, and when, in seconds since the epoch.
    pub(crate) fn console(&self, id: &str) -> Option<(Vec<u8>, i64)> {
        console::last(&self.path(id, "console"))
    }

    /// Switches all machines off for good, side by side.
    pub(crate) async fn shut_down_all(&self) {
        let machines = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let all = machines.into_iter().flatten().map(|(_, machine)| machine.shut_down());
        futures::future::join_all(all).await;
    }

    /// The same without asking first.
    pub(crate) fn cut_power(&self) {
        let machines = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        for (_, mut machine) in machines.into_iter().flatten() {
            machine.power.cut();
        }
    }

    fn root(&self, id: &str) -> PathBuf {
        self.folder.join(id)
    }

    fn path(&self, id: &str, what: &str) -> PathBuf {
        self.folder.join(format!("{id}.{what}"))
    }
}

impl Machine {
    async fn shut_down(mut self) {
        self.power.shut_down().await;
        if let Some(output) = self.output.take() {
            // What was written before the end is in the pipe; a stranger that holds the other end is not waited for.
            let abort = output.abort_handle();
            let _drained = tokio::time::timeout(std::time::Duration::from_millis(200), output).await;
            abort.abort();
        }
    }
}

impl std::fmt::Debug for Machines {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Machines").field("folder", &self.folder).finish_non_exhaustive()
    }
}
