//! User data as a process: which interpreter runs it, and with what environment.

use std::io::{self, PipeReader};
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::power::Power;
use super::watcher::Watcher;

/// Every process of a machine has this variable; its value is the id of the instance.
const MARKER: &str = "PINFRA_INSTANCE";

/// What a login shell of a server has.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The variable as it stands in the environment of a machine's processes.
pub(super) fn marker(id: &str) -> String {
    format!("{MARKER}={id}")
}

/// What is to be done with user data.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum UserData {
    None,
    Script(Interpreter),
    /// Why not.
    NotRun(&'static str),
}

/// A shell and its options, such as `bash -eu`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Interpreter {
    program: &'static str,
    options: Vec<String>,
}

/// Finds out what user data is: the first line decides, as it does for cloud-init.
pub(super) fn read(user_data: Option<&[u8]>) -> UserData {
    let Some(bytes) = user_data.filter(|bytes| !bytes.is_empty()) else { return UserData::None };
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Ok(line) = std::str::from_utf8(line) else {
        return UserData::NotRun("it is neither a script nor text (the local cloud does not unpack it)");
    };
    let Some(command) = line.trim_end().strip_prefix("#!") else {
        let why = match line.trim_end() {
            "#cloud-config" => "the local cloud runs scripts, not #cloud-config",
            "#include" | "#cloud-boothook" => "the local cloud runs scripts, no other forms of cloud-init",
            line if line.starts_with("Content-Type:") || line.starts_with("MIME-Version:") => {
                "the local cloud runs scripts, not MIME multi-part archives"
            }
            _ => "it does not begin with #!",
        };
        return UserData::NotRun(why);
    };
    let mut words = command.split_whitespace();
    let mut program = words.next().unwrap_or_default();
    if program == "/usr/bin/env" {
        program = words.next().unwrap_or_default();
    }
    let program = match program.rsplit('/').next().unwrap_or_default() {
        "sh" => "sh",
        "bash" => "bash",
        _ => return UserData::NotRun("the local cloud runs scripts of sh and bash only"),
    };
    UserData::Script(Interpreter { program, options: words.map(str::to_owned).collect() })
}

/// What the processes of a machine are told.
pub(super) struct Environment<'a> {
    pub(super) id: &'a str,
    pub(super) root: &'a Path,
    pub(super) endpoint: &'a str,
    pub(super) metadata: &'a str,
    /// Where what it runs listens.
    pub(super) address: Ipv4Addr,
    pub(super) authority: &'a Path,
}

/// Starts a script. What it and its descendants write comes out of the pipe.
pub(super) fn start(
    interpreter: &Interpreter,
    script: &Path,
    environment: &Environment<'_>,
) -> io::Result<(Power, PipeReader)> {
    let script = std::path::absolute(script)?;
    let root = std::path::absolute(environment.root)?;
    // Before the first process of the machine: there is no moment in which nobody watches.
    let mut watcher = Watcher::start(&marker(environment.id))?;
    let (output, writer) = io::pipe()?;
    let leader = Command::new(interpreter.program)
        .args(&interpreter.options)
        .arg(script)
        .env_clear()
        .env(MARKER, environment.id)
        .env("PINFRA_ROOT", &root)
        .env("AWS_ENDPOINT_URL", environment.endpoint)
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", environment.metadata)
        .env("PINFRA_ADDRESS", environment.address.to_string())
        .env("AWS_CA_BUNDLE", environment.authority)
        .env("HOME", root.join("root"))
        .env("TMPDIR", root.join("tmp"))
        .env("PATH", PATH)
        .env("LANG", "C.UTF-8")
        .current_dir(&root)
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .process_group(0)
        .spawn()?;
    watcher.told_group(leader.id());
    Ok((Power::on(environment.id, leader, watcher), output))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(program: &'static str, options: &[&str]) -> UserData {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        UserData::Script(Interpreter { program, options })
    }

    #[test]
    fn the_first_line_decides() {
        assert_eq!(read(None), UserData::None);
        assert_eq!(read(Some(b"")), UserData::None);
        assert_eq!(read(Some(b"#!/bin/sh\necho")), script("sh", &[]));
        assert_eq!(read(Some(b"#! /bin/bash -eu -o pipefail\r\n")), script("bash", &["-eu", "-o", "pipefail"]));
        assert_eq!(read(Some(b"#!/usr/bin/env bash\n")), script("bash", &[]));
        for other in
            [&b"#cloud-config\n"[..], b"echo", b"#!/usr/bin/python3\n", b"\x1f\x8b\xff", b"MIME-Version: 1.0\n"]
        {
            assert!(matches!(read(Some(other)), UserData::NotRun(_)), "{other:?}");
        }
    }
}
