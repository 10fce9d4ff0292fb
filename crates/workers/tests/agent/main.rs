//! The agent against a real local cloud, with shell scripts as programs.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test that calls them")]

mod machine;

use std::time::{Duration, Instant};

use machine::{Machine, config, reports};
use pinfra_workers::agent::{AgentError, Ended};
use pinfra_workers::config::Phase;
use serde_json::json;

#[tokio::test]
async fn a_worker_is_taken_up_changed_and_stopped() {
    let machine = Machine::new().await;
    let program = machine.program(&reports()).await;
    let agent = machine.agent();
    let first = machine.manifest("emulator", &program, &json!({"rate": 1})).await;
    let started = Instant::now();
    let state = machine.until("emulator", |state| state.phase == Phase::Running && state.manifest == first).await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(state.report.unwrap().healthy);
    assert_eq!(state.restarts, 0);
    let told = config(&machine, "emulator");
    assert_eq!((told.content.as_str(), told.mode), (r#"{"rate":1}"#, 0o600));
    let pid = state.pid.unwrap();

    let second = machine.manifest("emulator", &program, &json!({"rate": 2})).await;
    let started = Instant::now();
    let state = machine.until("emulator", |state| state.phase == Phase::Running && state.manifest == second).await;
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    assert_ne!(state.pid.unwrap(), pid);
    assert!(!machine::is_there(pid), "two run at once");

    machine.remove("emulator").await;
    machine.until_gone("emulator").await;
    assert!(!machine::is_there(state.pid.unwrap()));
    assert!(!machine.worker("emulator").join("config.json").exists(), "a secret may be in it");
    assert_eq!(agent.stop().await.unwrap(), Ended::Stopped);
}

#[tokio::test]
async fn a_worker_that_ends_is_started_again_and_says_why() {
    let machine = Machine::new().await;
    let program = machine.program("#!/bin/sh\necho \"try $2\"\necho 'error: no such table' >&2\nexit 3\n").await;
    machine.manifest("cleaner", &program, &json!({})).await;
    let agent = machine.agent();
    let state = machine.until("cleaner", |state| state.restarts >= 2 && state.report.is_some()).await;
    let report = state.report.unwrap();
    let error = report.last_error.unwrap().message;
    assert!(!report.healthy && error.contains("exit status: 3") && error.contains("no such table"), "{error}");
    let log = machine.log_in_lake("cleaner", |log| log.lines().count() >= 4).await;
    assert!(log.starts_with("try emulator\nerror: no such table\n"), "{log}");
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_worker_that_does_not_listen_is_killed() {
    let machine = Machine::new().await;
    let deaf = format!("#!/bin/sh\ntrap '' TERM\n{}", reports().trim_start_matches("#!/bin/sh\n"));
    let program = machine.program(&deaf).await;
    machine.manifest("emulator", &program, &json!({})).await;
    let agent = machine.agent();
    let pid = machine.until("emulator", |state| state.phase == Phase::Running).await.pid.unwrap();
    let started = Instant::now();
    agent.stop().await.unwrap();
    assert!(started.elapsed() < Duration::from_millis(2_500), "{:?}", started.elapsed());
    assert!(!machine::is_there(pid));
}

#[tokio::test]
async fn what_is_not_what_was_deployed_is_never_run() {
    let machine = Machine::new().await;
    let mut program = machine.program("#!/bin/sh\ntouch was-run\n").await;
    program.sha256 = "0".repeat(64);
    machine.manifest("emulator", &program, &json!({})).await;
    machine.put("_pinfra/workers/broken.json", b"{".to_vec()).await;
    let agent = machine.agent();
    let state = machine.until("emulator", |state| state.report.is_some()).await;
    let error = state.report.unwrap().last_error.unwrap().message;
    assert!(error.contains("is not what was deployed"), "{error}");
    let error = machine.heartbeat(|beat| beat.error.is_some()).await.error.unwrap();
    assert!(error.contains("the manifest of `broken`"), "{error}");
    assert!(!machine.worker("emulator").join("was-run").exists());
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn workers_run_on_while_the_lake_is_away() {
    let mut machine = Machine::new().await;
    let program = machine.program(&reports()).await;
    machine.manifest("emulator", &program, &json!({})).await;
    let agent = machine.agent();
    let pid = machine.until("emulator", |state| state.phase == Phase::Running).await.pid.unwrap();
    machine.power_off().await;
    machine.until_asked_in_vain().await;
    assert!(machine::is_there(pid));
    let away = time::OffsetDateTime::now_utc();
    machine.power_on();
    machine.heartbeat(|beat| beat.at > away && beat.workers["emulator"].pid == Some(pid)).await;
    let changed = machine.manifest("emulator", &program, &json!({"rate": 2})).await;
    machine.until("emulator", |state| state.manifest == changed && state.phase == Phase::Running).await;
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn an_agent_that_was_killed_leaves_nothing_that_runs_twice() {
    let machine = Machine::new().await;
    let program = machine.program(&reports()).await;
    machine.manifest("emulator", &program, &json!({})).await;
    // What a killed agent leaves: a process with its mark, here one that does not listen either.
    let mut left = machine::left_behind(&machine.worker("emulator"));
    let agent = machine.agent();
    let state = machine.until("emulator", |state| state.phase == Phase::Running).await;
    assert!(left.try_wait().unwrap().is_some(), "the one that was left still runs");
    assert!(matches!(machine.agent().ended().await, Err(AgentError::InUse(_))));
    assert!(machine::is_there(state.pid.unwrap()));
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn another_program_takes_the_agents_place_when_its_workers_have_ended() {
    let machine = Machine::new().await;
    let program = machine.program(&reports()).await;
    machine.manifest("emulator", &program, &json!({})).await;
    let agent = machine.agent();
    let pid = machine.until("emulator", |state| state.phase == Phase::Running).await.pid.unwrap();
    let next = machine.program("#!/bin/sh\necho the next agent\n").await;
    machine.put("_pinfra/agent.json", serde_json::to_vec(&next).unwrap()).await;
    let Ended::Replaced(path) = agent.ended().await.unwrap() else { panic!("it was not replaced") };
    assert!(!machine::is_there(pid));
    let said = std::process::Command::new(path).output().unwrap().stdout;
    assert_eq!(said, b"the next agent\n");
}
