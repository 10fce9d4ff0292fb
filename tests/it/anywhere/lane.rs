//! A local cloud of its own, through which the scenarios go round: made, updated, replaced, destroyed, and made again.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use pinfra_aws::Clients;
use tokio::runtime::Runtime;

use super::inventory::{Differences, Inventory};
use super::points::{Call, Next, Point};
use super::scenario::{SCENARIOS, Scenario};
use super::stack::{self, Extent, NAME, NEIGHBOUR};
use super::table::{Outcome, Trial};
use crate::pipeline::share_packed_program;
use crate::support::Sandbox;

/// Far more than a run takes on two busy cores: a hang shall fail the test, not hold it.
const LIMIT: Duration = Duration::from_secs(180);
/// What was asked to go is gone within moments.
const REST: Duration = Duration::from_secs(20);
/// The signal that no process can refuse (signal(7)).
const SIGKILL: i32 = 9;

/// What an undisturbed run makes.
pub(super) struct Undisturbed {
    /// Its calls, in order.
    pub(super) calls: Vec<Call>,
    /// What the cloud then holds.
    pub(super) inventory: Inventory,
}

/// A point for each scenario of a round; a scenario without one is undisturbed.
pub(super) type Round = [Option<Point>; SCENARIOS.len()];

/// The local cloud.
pub(super) struct Lane {
    sandbox: Sandbox,
    runtime: Runtime,
    clients: Clients,
}

/// How a run of the program ended.
struct Ended {
    signal: Option<i32>,
    code: Option<i32>,
    said: String,
}

impl Lane {
    /// Starts a local cloud and makes the neighbour.
    pub(super) fn start(extent: Extent) -> Lane {
        let sandbox = Sandbox::new();
        share_packed_program(sandbox.folder.path());
        stack::write(&sandbox, extent);
        sandbox.ok(&["local", "start", "--settle-ms", "20"]);
        sandbox.ok(&["up", NEIGHBOUR]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let clients = runtime.block_on(sandbox.clients());
        Lane { sandbox, runtime, clients }
    }

    /// A whole round without a kill.
    pub(super) fn undisturbed(&mut self) -> [Undisturbed; SCENARIOS.len()] {
        SCENARIOS.map(|scenario| {
            self.sandbox.ok(&["local", "calls", "--reset"]);
            self.sandbox.ok(&scenario.arguments());
            let calls = self.sandbox.ok(&["local", "calls", "--json"]).stdout;
            let until = Instant::now() + REST;
            let inventory = loop {
                let inventory = self.inventory();
                if inventory.is_at_rest() {
                    break inventory;
                }
                assert!(Instant::now() < until, "{} leaves things on their way: {inventory:#?}", scenario.word());
            };
            Undisturbed { calls: read_calls(&calls), inventory }
        })
    }

    /// A round with kills, which takes its points. It ends early where something failed, and nobody knows then where the stack
    /// is: this lane is of no more use. It also ends where the stack was taken down in the middle.
    pub(super) fn go_round(&mut self, round: &mut Round, expected: &[Undisturbed; SCENARIOS.len()]) -> Vec<Trial> {
        let mut trials = Vec::new();
        let edited = round[1].is_some() || round[2].is_some();
        for (scenario, point) in SCENARIOS.into_iter().zip(round) {
            if matches!(scenario, Scenario::Update | Scenario::Replacement) && !edited {
                continue;
            }
            let Some(point) = point.take() else {
                self.sandbox.ok(&scenario.arguments());
                continue;
            };
            let last = if point.next == Next::Opposite { scenario.opposite() } else { scenario };
            let outcome = self.attempt(scenario, &point, last, &expected[last as usize].inventory);
            let failed = matches!(outcome, Outcome::Failed { .. });
            trials.push(Trial { scenario, point, outcome });
            if failed || last == Scenario::Down {
                break;
            }
            if scenario == Scenario::Down {
                self.sandbox.ok(&scenario.arguments());
            }
        }
        trials
    }

    /// Kills the run at a point, runs what comes last, and looks at what is there.
    fn attempt(&self, scenario: Scenario, point: &Point, last: Scenario, expected: &Inventory) -> Outcome {
        let failed = |said: String| Outcome::Failed { differences: Differences::default(), said };
        self.sandbox.write("rules", &point.rule());
        self.sandbox.ok(&["local", "faults", "set", "rules"]);
        let killed = self.run(&scenario.arguments());
        self.sandbox.ok(&["local", "faults", "clear"]);
        let reached = killed.signal == Some(SIGKILL);
        if !reached && (point.certain || killed.code != Some(0)) {
            return failed(format!("it was not killed, and ended with {:?}:\n{}", killed.code, killed.said));
        }
        let mut arguments = last.arguments();
        if point.next == Next::WithoutState {
            // Nothing is there when the kill came before anything was written.
            let _ = std::fs::remove_dir_all(self.sandbox.folder.path().join(".pinfra").join(NAME));
        }
        if point.next == Next::WithoutState || scenario == Scenario::Up {
            // There may be no state that knows the name.
            arguments[1] = last.file();
        }
        let again = self.run(&arguments);
        if again.code != Some(0) {
            return failed(format!("the next run ended with {:?}:\n{}", again.code, again.said));
        }
        let nothing_to_do = match last {
            Scenario::Down => self.run(&["down", last.file()]),
            _ => self.run(&["plan", last.file(), "--detailed-exitcode"]),
        };
        let says_so = last != Scenario::Down || nothing_to_do.said.contains("nothing to destroy");
        if nothing_to_do.code != Some(0) || !says_so {
            return failed(format!("the run after that has something to do:\n{}", nothing_to_do.said));
        }
        let until = Instant::now() + REST;
        while Instant::now() < until {
            if self.inventory() == *expected {
                return if reached { Outcome::Converged } else { Outcome::NotReached };
            }
        }
        let differences = expected.differences(&self.inventory());
        Outcome::Failed { said: format!("{differences:#?}\nthe next run said:\n{}", again.said), differences }
    }

    fn inventory(&self) -> Inventory {
        self.runtime.block_on(Inventory::take(&self.clients))
    }

    /// Runs the program, and ends it when it hangs.
    fn run(&self, arguments: &[&str]) -> Ended {
        let path = self.sandbox.folder.path().join("said");
        let said = File::create(&path).unwrap();
        let mut command = self.sandbox.command(arguments);
        command.stdout(said.try_clone().unwrap()).stderr(said);
        let mut child = command.spawn().unwrap();
        let until = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if Instant::now() > until {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let said = std::fs::read_to_string(&path).unwrap();
        Ended {
            signal: status.and_then(|status| status.signal()),
            code: status.and_then(|status| status.code()),
            said: format!("$ pinfra {}\n{said}", arguments.join(" ")),
        }
    }
}

/// The log, one JSON object a call.
fn read_calls(text: &str) -> Vec<Call> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
