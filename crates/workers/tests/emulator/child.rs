//! An emulator in a process of its own: to be killed, and to have an environment of its own.
//!
//! The process is this test program, run for one test, which is the emulator when it is told so.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pinfra_workers::config::EmulatorConfig;
use pinfra_workers::emulator::run;
use pinfra_workers::report::{Report, Teller};
use tokio_util::sync::CancellationToken;

const FOLDER: &str = "EMULATOR_FOLDER";

/// Starts it. It ends once it is done, and leaves its report.
pub(crate) fn start(config: &EmulatorConfig, folder: &Path, environment: &[(&str, &str)]) -> Process {
    std::fs::write(folder.join("config.json"), serde_json::to_vec(config).unwrap()).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child::is_an_emulator"]).env_clear().env(FOLDER, folder);
    command.envs(environment.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Process(command.spawn().unwrap())
}

pub(crate) struct Process(Child);

impl Process {
    /// kill -9.
    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Waits until it is done, and gives its report.
    pub(crate) async fn report(&mut self, folder: &Path) -> Report {
        for _ in 0..3_000 {
            if let Some(status) = self.0.try_wait().unwrap() {
                assert!(status.success(), "{status}");
                return serde_json::from_slice(&std::fs::read(folder.join("report.json")).unwrap()).unwrap();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the emulator is not done after a minute");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn is_an_emulator() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder);
    let config = serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap();
    let (teller, stop) = (Teller::default(), CancellationToken::new());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let done = async {
            while !teller.report().doing.starts_with("done") {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            stop.cancel();
        };
        let (ended, ()) = tokio::join!(run(config, folder, teller.clone(), stop.clone()), done);
        ended.unwrap();
    });
    std::fs::write(folder.join("report.json"), serde_json::to_vec(&teller.report()).unwrap()).unwrap();
}
