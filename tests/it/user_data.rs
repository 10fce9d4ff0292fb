//! The user data of a client machine, run by `sh` and `curl` against a local cloud and a metadata service.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use pinfra::expand::user_data::user_data;
use pinfra_aws::clients::Endpoint;
use pinfra_aws::{Clients, Connection};
use pinfra_local::{LocalCloud, Settings};
use pinfra_workers::config::AgentConfig;
use serde_json::json;
use sha2::{Digest, Sha256};

const BUCKET: &str = "pins-000000000000-us-east-1";
const LIMIT: Duration = Duration::from_secs(30);

/// Ends at once the first time, as an agent that was killed does; then it waits to be stopped.
const AGENT: &str = r#"#!/bin/sh
echo "$@" >>"$PINFRA_ROOT/runs"
[ "$(wc -l <"$PINFRA_ROOT/runs")" -gt 1 ] || exit 9
trap 'echo stopped >>"$PINFRA_ROOT/runs"; exit 0' TERM
while :; do sleep 0.02; done
"#;

/// A machine with its role's keys, and a lake with a program.
struct Machine {
    cloud: LocalCloud,
    clients: Clients,
    imds: String,
    folder: tempfile::TempDir,
}

impl Machine {
    async fn new() -> Machine {
        let folder = tempfile::tempdir().unwrap();
        let cloud = LocalCloud::start(Settings::new(folder.path().join("cloud"))).unwrap();
        let (access_key, secret_key) = (cloud.access_key().to_owned(), cloud.secret_key().to_owned());
        let endpoint = Endpoint { url: cloud.endpoint().to_owned(), access_key, secret_key };
        let connection = Connection { region: "us-east-1".to_owned(), endpoint: Some(endpoint), apis: None };
        let clients = Clients::connect(&connection).await.unwrap();
        clients.s3.create_bucket().bucket(BUCKET).send().await.unwrap();
        let imds = metadata_service(cloud.access_key(), cloud.secret_key());
        std::fs::create_dir(folder.path().join("bin")).unwrap();
        Machine { cloud, clients, imds, folder }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    async fn put(&self, key: &str, body: Vec<u8>) {
        self.clients.s3.put_object().bucket(BUCKET).key(key).body(body.into()).send().await.unwrap();
    }

    /// Puts a program into the lake and names it as what agents run as; returns its hash.
    async fn program(&self, script: &str) -> String {
        let sha256 = hex::encode(Sha256::digest(script));
        let key = format!("_pinfra/bin/{sha256}.gz");
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(script.as_bytes()).unwrap();
        self.put(&key, encoder.finish().unwrap()).await;
        self.put("_pinfra/agent.json", json!({"key": key, "sha256": sha256}).to_string().into_bytes()).await;
        sha256
    }

    /// Puts a program before all others on the machine's path.
    fn tool(&self, name: &str, script: &str) {
        let path = self.folder.path().join("bin").join(name);
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The script as the local cloud's machines run it.
    fn boot(&self) -> Child {
        let script = self.folder.path().join("user-data");
        std::fs::write(&script, user_data(BUCKET, "us-east-1")).unwrap();
        let path = format!("{}:{}", self.folder.path().join("bin").display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("sh");
        command.arg(script).env_clear().env("PATH", path).env("PINFRA_ROOT", self.root());
        command.env("AWS_ENDPOINT_URL", self.cloud.endpoint());
        command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", format!("{}/", self.imds));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn runs(&self) -> Vec<String> {
        let runs = std::fs::read_to_string(self.root().join("runs")).unwrap_or_default();
        runs.lines().map(str::to_owned).collect()
    }

    async fn until_runs(&self, n: usize) {
        let until = Instant::now() + LIMIT;
        while self.runs().len() < n {
            assert!(Instant::now() < until, "it ran {:?}", self.runs());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// IMDSv2 with an instance, a role and its keys. It ends with the process.
fn metadata_service(access_key: &str, secret_key: &str) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let keys = json!({"Code": "Success", "AccessKeyId": access_key, "SecretAccessKey": secret_key, "Token": ""});
    // As EC2 writes it: one member a line.
    let keys = format!("{keys:#}");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            answer(stream.unwrap(), &keys);
        }
    });
    address
}

fn answer(mut stream: TcpStream, keys: &str) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let request = lines.next().unwrap().unwrap();
    let headers: Vec<String> = lines.map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
    let has = |name: &str| headers.iter().any(|line| line.to_lowercase().starts_with(name));
    let knows = has("x-aws-ec2-metadata-token: the-token");
    let (status, body) = match request.split(' ').take(2).collect::<Vec<_>>()[..] {
        ["PUT", "/latest/api/token"] if has("x-aws-ec2-metadata-token-ttl-seconds:") => ("200 OK", "the-token"),
        ["GET", _] if !knows => ("401 Unauthorized", ""),
        ["GET", "/latest/meta-data/instance-id"] => ("200 OK", "i-0123"),
        ["GET", "/latest/meta-data/iam/security-credentials/"] => ("200 OK", "pins-client"),
        ["GET", "/latest/meta-data/iam/security-credentials/pins-client"] => ("200 OK", keys),
        _ => ("404 Not Found", ""),
    };
    let length = body.len();
    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}").unwrap();
}

fn terminate(child: &Child) {
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn find(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.exists()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_installs_the_program_and_keeps_the_agent_running_until_it_is_stopped() {
    let machine = Machine::new().await;
    // What stands in arguments can be seen by all users of the machine.
    let seen = machine.folder.path().join("seen");
    let curl = find("curl");
    machine.tool("curl", &format!("#!/bin/sh\necho \"$@\" >>'{}'\nexec '{}' \"$@\"\n", seen.display(), curl.display()));
    let boot = machine.boot();
    // The machine is there before the program is: it tries again.
    let until = Instant::now() + LIMIT;
    while !std::fs::read_to_string(&seen).unwrap_or_default().contains("agent.json") {
        assert!(Instant::now() < until, "it never asked for the program");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let sha256 = machine.program(AGENT).await;
    machine.until_runs(2).await;
    let config = machine.root().join("etc/pinfra/agent.json");
    let started = format!("worker agent --config {}", config.display());
    assert_eq!(machine.runs(), [started.clone(), started.clone()]);
    let config: AgentConfig = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
    assert_eq!((config.bucket.as_str(), config.region.as_str()), (BUCKET, "us-east-1"));
    assert_eq!((config.instance.as_str(), config.folder), ("i-0123", machine.root().join("var/lib/pinfra")));
    let program = machine.root().join("opt/pinfra/bin").join(&sha256);
    assert_eq!(std::fs::read_to_string(&program).unwrap(), AGENT);
    terminate(&boot);
    let ended = boot.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", said(&ended));
    assert_eq!(machine.runs().last().unwrap(), "stopped");
    assert!(said(&ended).contains("the agent ended (9); starting it again"), "{}", said(&ended));
    let seen = std::fs::read_to_string(&seen).unwrap();
    for secret in [machine.cloud.secret_key(), machine.cloud.access_key(), "the-token"] {
        assert!(!seen.contains(secret) && !said(&ended).contains(secret), "{seen}");
    }

    // A second boot finds the program where it is.
    std::fs::remove_file(machine.root().join("runs")).unwrap();
    machine.clients.s3.delete_object().bucket(BUCKET).key(format!("_pinfra/bin/{sha256}.gz")).send().await.unwrap();
    let boot = machine.boot();
    machine.until_runs(2).await;
    terminate(&boot);
    assert!(boot.wait_with_output().unwrap().status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_what_was_deployed_is_not_installed() {
    let machine = Machine::new().await;
    let sha256 = machine.program(AGENT).await;
    let wrong = json!({"key": format!("_pinfra/bin/{sha256}.gz"), "sha256": "0".repeat(64)});
    machine.put("_pinfra/agent.json", wrong.to_string().into_bytes()).await;
    let ended = machine.boot().wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(said(&ended).contains(&format!("is not what was deployed: its SHA-256 is {sha256}")), "{}", said(&ended));
    assert!(machine.runs().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_curl_is_named_before_anything_is_tried() {
    let machine = Machine::new().await;
    machine.tool("curl", "#!/bin/sh\necho 'curl 7.81.0 (x86_64-pc-linux-gnu)'\n");
    let ended = machine.boot().wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(said(&ended).contains("curl 7.81 is too old: 7.86 or newer is needed"), "{}", said(&ended));
    assert!(!Path::new(&machine.root()).exists());
}
