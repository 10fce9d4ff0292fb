//! MSK Connect: custom plugins, worker configurations and connectors.
//!
//! A [`desk`] keeps the documents; one file a noun changes them. What takes time on AWS is in `driver`: a task a connector
//! looks at its document, does what the state asks for with [`connect`](crate::connect), and writes what came of it. So a
//! connector that was being changed when the process was killed is changed when it starts again.
//!
//! Differences from AWS: subnets, security groups and log delivery are kept and have no effect (connectors run in this
//! process and write to `kafka-connect.log`); internal topics are not made, though the role must be allowed to make them;
//! capacity is recorded and changes the number of tasks only where it scales by itself; a connector whose task fails is
//! FAILED with the task's words, where AWS sometimes shows it as RUNNING; one whose cluster is deleted stays RUNNING; of the
//! role's permissions for S3 only `s3:PutObject` is asked for, where the sink on AWS also lists the bucket and asks for its
//! region; callers need no `iam:PassRole`; account quotas are not enforced.

mod archive;
mod book;
mod capacity;
mod connectors;
mod describe;
mod desk;
mod driver;
mod errors;
mod operations;
mod paging;
mod plugins;
mod tags;
mod updates;
mod worker_configurations;

use std::path::Path;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

pub use desk::KafkaConnectOpenError;

use self::desk::Desk;
use self::driver::Crew;
use super::iam::Iam;
use super::s3::S3Front;
use super::{Call, Service, TaggedResource};
use crate::clock::Clock;
use crate::connect::{Ground, Log, clear_spool};
use crate::kafka::Kafka;
use crate::settings::Settings;
use crate::wire::error::ApiError;

/// The MSK Connect of one local cloud. Clones share what they hold.
#[derive(Clone)]
pub struct KafkaConnect {
    office: Arc<Office>,
}

/// The documents, and who carries them out.
struct Office {
    desk: Arc<Desk>,
    crew: Crew,
    ground: Ground,
}

impl KafkaConnect {
    /// Opens what is under `<data_dir>/kafkaconnect/`, or begins it. Connectors that ran run again, in tasks of the Tokio
    /// runtime of the caller; they wait for their clusters to be opened.
    pub fn open(
        data_dir: &Path,
        clock: Clock,
        settings: &Settings,
        kafka: Kafka,
        iam: Iam,
        s3: S3Front,
    ) -> Result<KafkaConnect, KafkaConnectOpenError> {
        let folder = data_dir.to_owned();
        clear_spool(data_dir).map_err(|source| KafkaConnectOpenError::Folder { path: folder.clone(), source })?;
        let desk = Arc::new(Desk::open(data_dir, clock.clone(), settings.settle)?);
        let ground = Ground { kafka, iam, s3, clock, data_dir: folder, log: Log::new(data_dir) };
        let crew = Crew::start(&desk, &ground);
        Ok(KafkaConnect { office: Arc::new(Office { desk, crew, ground }) })
    }

    /// Stops all connectors: what they are storing is stored and committed. They run again at the next start.
    pub async fn stop(&self) {
        self.office.crew.stop().await;
    }

    /// The same without waiting.
    pub fn cut_power(&self) {
        self.office.crew.abandon();
    }
}

impl Service for KafkaConnect {
    fn call(&self, call: Call, input: Value) -> BoxFuture<'_, Result<Value, ApiError>> {
        let office = Arc::clone(&self.office);
        async move {
            if call.operation == "CreateCustomPlugin" {
                return plugins::create(&office, &call, &input).await;
            }
            // A change waits for the disk.
            let answered = tokio::task::spawn_blocking(move || answer(&office, &call, &input)).await;
            answered.unwrap_or_else(|panicked| Err(ApiError::internal(&panicked)))
        }
        .boxed()
    }

    fn resources(&self, _call: &Call, input: &Value) -> Option<Vec<String>> {
        let members =
            ["connectorArn", "connectorOperationArn", "customPluginArn", "workerConfigurationArn", "resourceArn"];
        let arns = members.iter().filter_map(|member| input[*member].as_str());
        let arns: Vec<String> = arns.map(str::to_owned).collect();
        (!arns.is_empty()).then_some(arns)
    }

    fn tagged(&self, region: &str) -> Vec<TaggedResource> {
        tags::all(&self.office.desk, region)
    }
}

fn answer(office: &Office, call: &Call, input: &Value) -> Result<Value, ApiError> {
    let desk = office.desk.as_ref();
    match call.operation.as_str() {
        "CreateConnector" => connectors::create(office, call, input),
        "CreateWorkerConfiguration" => worker_configurations::create(desk, call, input),
        "DeleteConnector" => connectors::delete(office, call, input),
        "DeleteCustomPlugin" => plugins::delete(desk, call, input),
        "DeleteWorkerConfiguration" => worker_configurations::delete(desk, call, input),
        "DescribeConnector" => connectors::describe(desk, call, input),
        "DescribeConnectorOperation" => operations::describe(desk, call, input),
        "DescribeCustomPlugin" => plugins::describe(desk, call, input),
        "DescribeWorkerConfiguration" => worker_configurations::describe(desk, call, input),
        "ListConnectorOperations" => operations::list(desk, call, input),
        "ListConnectors" => connectors::list(desk, call, input),
        "ListCustomPlugins" => plugins::list(desk, call, input),
        "ListTagsForResource" => tags::list(desk, call, input),
        "ListWorkerConfigurations" => worker_configurations::list(desk, call, input),
        "PauseConnector" => updates::pause(office, call, input),
        "RestartConnector" => updates::restart(office, call, input),
        "ResumeConnector" => updates::resume(office, call, input),
        "TagResource" => tags::tag(desk, call, input),
        "UntagResource" => tags::untag(desk, call, input),
        "UpdateConnector" => updates::update(office, call, input),
        other => Err(ApiError::unknown_operation("kafkaconnect", other)),
    }
}
