//! A folder of its own for each test, and the program in it.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use pinfra_aws::clients::Endpoint;
use pinfra_aws::{Clients, Connection};

/// A folder with a state of its own. Whatever local cloud it holds is stopped with it.
pub(crate) struct Sandbox {
    /// The folder.
    pub(crate) folder: tempfile::TempDir,
}

/// What one run of the program said.
#[derive(Debug)]
pub(crate) struct Said {
    /// Its exit code.
    pub(crate) code: i32,
    /// Its stdout.
    pub(crate) stdout: String,
    /// Its stderr.
    pub(crate) stderr: String,
}

impl Sandbox {
    /// An empty folder.
    pub(crate) fn new() -> Sandbox {
        Sandbox { folder: tempfile::tempdir().unwrap() }
    }

    /// Writes a file into it.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The program, ready to run in the folder and blind to the user's AWS configuration.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pinfra"));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars() {
            if name.starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        let nowhere = self.folder.path().join("no-aws-configuration");
        command.env("AWS_CONFIG_FILE", &nowhere).env("AWS_SHARED_CREDENTIALS_FILE", &nowhere);
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("NO_COLOR", "1");
        command
    }

    /// Runs the program.
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        said(&self.command(arguments).output().unwrap())
    }

    /// Starts the program, and hears nothing of it.
    pub(crate) fn start(&self, arguments: &[&str]) -> std::process::Child {
        self.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Runs the program, which has to succeed.
    pub(crate) fn ok(&self, arguments: &[&str]) -> Said {
        let said = self.run(arguments);
        assert_eq!(said.code, 0, "{arguments:?}\n{}\n{}", said.stdout, said.stderr);
        said
    }

    /// What the local cloud was asked so far, by `<service>.<operation>`, from its own count.
    pub(crate) fn requests(&self) -> std::collections::BTreeMap<String, u64> {
        let server = self.server();
        let body = self.get(&server, "/_pinfra/requests");
        let counts: serde_json::Value = serde_json::from_str(&body).unwrap();
        let mut flat = std::collections::BTreeMap::new();
        for (service, operations) in counts.as_object().unwrap() {
            for (operation, count) in operations.as_object().unwrap() {
                flat.insert(format!("{service}.{operation}"), count.as_u64().unwrap());
            }
        }
        flat
    }

    /// What the running local cloud has written down about itself.
    pub(crate) fn server(&self) -> serde_json::Value {
        let text = std::fs::read(self.folder.path().join(".pinfra/local/server.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    /// Clients of the running local cloud. Each call makes new ones with connections of their own.
    pub(crate) async fn clients(&self) -> Clients {
        Clients::connect(&self.connection()).await.unwrap()
    }

    /// How to reach the running local cloud.
    pub(crate) fn connection(&self) -> Connection {
        let text = std::fs::read(self.folder.path().join(".pinfra/local/credentials.json")).unwrap();
        let keys: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let endpoint = Endpoint {
            url: self.server()["endpoint"].as_str().unwrap().to_owned(),
            access_key: keys["access_key_id"].as_str().unwrap().to_owned(),
            secret_key: keys["secret_access_key"].as_str().unwrap().to_owned(),
        };
        Connection { region: "us-east-1".to_owned(), endpoint: Some(endpoint), apis: None }
    }

    /// The streams that the local cloud holds, those that are being deleted too.
    pub(crate) async fn streams(&self) -> Vec<String> {
        let pages = self.clients().await.kinesis.list_streams().into_paginator().send();
        let pages: Vec<_> = pages.try_collect().await.unwrap();
        pages.into_iter().flat_map(|page| page.stream_names).collect()
    }

    fn get(&self, server: &serde_json::Value, path: &str) -> String {
        use std::io::{Read, Write};
        let port = u16::try_from(server["port"].as_u64().unwrap()).unwrap();
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        let token = server["token"].as_str().unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }
}

/// Whether an operation such as `kinesis.CreateStream` changes something, by its name.
pub(crate) fn mutates(operation: &str) -> bool {
    let name = operation.split('.').next_back().unwrap();
    !["Describe", "Get", "Head", "List"].iter().any(|verb| name.starts_with(verb))
}

/// Exit code and text of a finished run.
pub(crate) fn said(output: &Output) -> Said {
    Said {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // Only what this test has started, and only if it is still there.
        if self.folder.path().join(".pinfra/local/server.json").exists() {
            let _ = self.command(&["local", "stop"]).output();
        }
    }
}

/// A stack file of three streams and a lake.
pub(crate) const STREAMS: &str = "name: pins
tables:
  pin: { key: index }
  geo: { key: ind }
  user: { key: ind }
streams: { shards: 1 }
lake: {}
";
