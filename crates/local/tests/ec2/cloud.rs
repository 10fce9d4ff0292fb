//! An EC2 in a folder of its own, with two instance profiles, and requests to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pinfra_local::Settings;
use pinfra_local::clock::Clock;
use pinfra_local::credentials::{Credentials, IssuedKeys};
use pinfra_local::services::ec2::{Ec2, FoundProfile, Profiles};
use pinfra_local::services::{Call, Service};
use pinfra_local::wire::error::ApiError;
use serde_json::{Value, json};
use tokio::time::Instant;

pub(crate) const REGION: &str = "us-east-1";

pub(crate) struct Cloud {
    pub(crate) ec2: Ec2,
    pub(crate) clock: Clock,
    folder: tempfile::TempDir,
}

/// `worker` has a role, `bare` has none.
struct TwoProfiles(Credentials);

impl Profiles for TwoProfiles {
    fn find(&self, name_or_arn: &str) -> Result<FoundProfile, ApiError> {
        let name = name_or_arn.rsplit('/').next().unwrap();
        if !matches!(name, "worker" | "bare") {
            return Err(ApiError::new("InvalidParameterValue", "Invalid IAM Instance Profile name"));
        }
        let arn = format!("arn:aws:iam::000000000000:instance-profile/{name}");
        Ok(FoundProfile { arn, id: format!("AIPA{name}") })
    }

    fn keys(&self, profile_arn: &str, session: &str) -> Result<IssuedKeys, ApiError> {
        if profile_arn.ends_with("/bare") {
            return Err(ApiError::new("NoSuchEntity", "the profile has no role"));
        }
        let arn = format!("arn:aws:sts::000000000000:assumed-role/worker/{session}");
        Ok(self.0.issue(&arn, &format!("AROA:{session}"), time::Duration::hours(6))?)
    }
}

impl Cloud {
    pub(crate) fn new() -> Cloud {
        Cloud::open(tempfile::tempdir().unwrap(), Clock::default())
    }

    fn open(folder: tempfile::TempDir, clock: Clock) -> Cloud {
        let mut settings = Settings::new(folder.path());
        settings.settle = Duration::from_millis(20);
        let keys = folder.path().join("keys");
        std::fs::create_dir_all(&keys).unwrap();
        let profiles = Arc::new(TwoProfiles(Credentials::open(&keys, clock.clone()).unwrap()));
        let ec2 = Ec2::open(folder.path(), clock.clone(), &settings, "http://127.0.0.1:9", profiles).unwrap();
        Cloud { ec2, clock, folder }
    }

    /// Stops the local cloud, as far as EC2 is concerned, and starts it again.
    pub(crate) async fn restart(self) -> Cloud {
        let Cloud { ec2, clock, folder } = self;
        ec2.shut_down().await;
        drop(ec2);
        Cloud::open(folder, clock)
    }

    pub(crate) async fn call_in(&self, region: &str, operation: &str, input: Value) -> Result<Value, ApiError> {
        let call = Call {
            operation: operation.to_owned(),
            region: region.to_owned(),
            account: "000000000000".to_owned(),
            principal: "arn:aws:iam::000000000000:user/local".to_owned(),
            access_key: "AKIA".to_owned(),
            request_id: "r".to_owned(),
            fails: None,
        };
        self.ec2.call(call, input).await
    }

    pub(crate) async fn ok(&self, operation: &str, input: Value) -> Value {
        let answer = self.call_in(REGION, operation, input.clone()).await;
        answer.unwrap_or_else(|error| panic!("{operation} {input}: {error}"))
    }

    pub(crate) async fn refused(&self, operation: &str, input: Value) -> String {
        match self.call_in(REGION, operation, input.clone()).await {
            Ok(answer) => panic!("{operation} {input} was answered: {answer}"),
            Err(error) => error.code,
        }
    }

    /// An image for x86.
    pub(crate) async fn image(&self) -> String {
        let filter = json!([{"Name": "name", "Values": ["*ubuntu-24.04-amd64*"]}]);
        let images = self.ok("DescribeImages", json!({ "Filters": filter })).await;
        text(&images["Images"][0]["ImageId"])
    }

    /// What starts one instance.
    pub(crate) async fn launch(&self) -> Value {
        json!({"ImageId": self.image().await, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1})
    }

    /// An instance that runs this script.
    pub(crate) async fn run_script(&self, script: &str) -> String {
        let mut launch = self.launch().await;
        launch["UserData"] = json!(STANDARD.encode(script));
        self.run(launch).await
    }

    /// An instance, when it is running.
    pub(crate) async fn run(&self, launch: Value) -> String {
        let answer = self.ok("RunInstances", launch).await;
        let id = text(&answer["Instances"][0]["InstanceId"]);
        assert_eq!(answer["Instances"][0]["State"]["Name"], "pending");
        self.reaches(&id, "running").await;
        id
    }

    pub(crate) async fn instance(&self, id: &str) -> Value {
        let answer = self.ok("DescribeInstances", json!({ "InstanceIds": [id] })).await;
        answer["Reservations"][0]["Instances"][0].clone()
    }

    pub(crate) async fn reaches(&self, id: &str, state: &str) {
        until(&format!("{id} is {state}"), async || self.instance(id).await["State"]["Name"] == state).await;
    }

    pub(crate) async fn terminate(&self, id: &str) {
        self.ok("TerminateInstances", json!({ "InstanceIds": [id] })).await;
        self.reaches(id, "terminated").await;
    }

    pub(crate) async fn console(&self, id: &str) -> String {
        let answer = self.ok("GetConsoleOutput", json!({ "InstanceId": id })).await;
        String::from_utf8(STANDARD.decode(text(&answer["Output"])).unwrap()).unwrap()
    }

    /// The folder that is `PINFRA_ROOT` of an instance.
    pub(crate) fn root(&self, id: &str) -> PathBuf {
        self.folder.path().join("instances").join(id)
    }

    pub(crate) async fn default_group(&self) -> String {
        let answer = self.ok("DescribeSecurityGroups", json!({"GroupNames": ["default"]})).await;
        text(&answer["SecurityGroups"][0]["GroupId"])
    }

    pub(crate) async fn group(&self, name: &str) -> String {
        let answer = self.ok("CreateSecurityGroup", json!({"GroupName": name, "Description": "for tests"})).await;
        text(&answer["GroupId"])
    }
}

/// Waits for a condition, and fails when it does not come true in time.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < deadline, "in 20 seconds: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

pub(crate) fn filter(name: &str, value: &str) -> Value {
    json!([{"Name": name, "Values": [value]}])
}

/// The processes that belong to an instance, and what watches it.
pub(crate) fn processes(id: &str) -> Vec<u32> {
    let marker = format!("PINFRA_INSTANCE={id}");
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let has = |file: &str| holds(&entry.path().join(file), marker.as_bytes());
        if has("environ") || has("cmdline") {
            found.push(pid);
        }
    }
    found
}

fn holds(path: &Path, entry: &[u8]) -> bool {
    std::fs::read(path).is_ok_and(|bytes| bytes.split(|byte| *byte == 0).any(|one| one == entry))
}
