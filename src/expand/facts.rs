//! What a graph depends on beside the stack file: the program that is deployed, and the files that the stack file names.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Contents of files, as hashes where they are large. Whoever plans collects them; expanding opens no file.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// What runs on the client machine.
    pub program: ProgramFile,
    /// The public SSH key that `client.key` names.
    pub public_key: Option<String>,
    /// The SQLite database that `workers.emulator.source` names.
    pub source: Option<SourceFile>,
    /// The cleaning SQL by table.
    pub cleaning: BTreeMap<String, String>,
    /// The archive of the connector's plugin.
    pub plugin: Option<PluginFile>,
    /// The cluster that `cluster.use` names.
    pub cluster: Option<ExistingCluster>,
    /// What the API shows the gateway: made once, and kept where only the two have it.
    pub gateway_secret: String,
}

/// The archive of a plugin of MSK Connect.
#[derive(Clone, Debug)]
pub struct PluginFile {
    /// What it is called, such as `confluentinc-kafka-connect-s3-10.5.23.zip`.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
    /// The SHA-256 of its content, in hex.
    pub sha256: String,
}

/// A cluster that is used and never changed.
#[derive(Clone, Debug, Default)]
pub struct ExistingCluster {
    /// Its ARN.
    pub arn: String,
    /// Where its brokers take IAM, such as `b-1.…:9098,b-2.…:9098`.
    pub bootstrap_iam: String,
    /// The subnets that it is in.
    pub subnets: Vec<String>,
    /// How many brokers it has.
    pub brokers: u32,
}

/// The program as it is deployed.
#[derive(Clone, Debug, Default)]
pub struct ProgramFile {
    /// The SHA-256 of the program itself, in hex.
    pub sha256: String,
    /// Where it lies gzipped.
    pub packed: PathBuf,
    /// The SHA-256 of that file.
    pub packed_sha256: String,
}

/// A file that is uploaded as it is.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Where it lies.
    pub path: PathBuf,
    /// The SHA-256 of its content, in hex.
    pub sha256: String,
}
