//! `msk_connect/connector`: a plugin at work between a cluster and something else.
//!
//! How it runs and what it does are changed by an operation each. MSK Connect takes a change back by itself when the
//! connector is not healthy with it, and then says RUNNING again: so the operation is waited for, and what is described
//! afterwards is compared with what was asked for. A connector that failed cannot be changed; the next run replaces it, and
//! its consumer group keeps its place. Neither can one go on whose topic is made again: see [`super::folder`].

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_kafkaconnect::error::BuildError;
use aws_sdk_kafkaconnect::operation::create_connector::builders::CreateConnectorFluentBuilder;
use aws_sdk_kafkaconnect::operation::describe_connector::DescribeConnectorOutput;
use aws_sdk_kafkaconnect::operation::update_connector::builders::UpdateConnectorFluentBuilder;
use aws_sdk_kafkaconnect::types::{
    ApacheKafkaCluster, Capacity, CapacityUpdate, ConnectorState, ConnectorSummary, CustomPlugin, CustomPluginUpdate,
    KafkaCluster, KafkaClusterClientAuthentication, KafkaClusterClientAuthenticationType,
    KafkaClusterEncryptionInTransit, KafkaClusterEncryptionInTransitType, Plugin, PluginUpdate, ProvisionedCapacity,
    ProvisionedCapacityUpdate, Vpc, WorkerConfiguration, WorkerConfigurationUpdate,
};
use pinfra_engine::resource::{BeyondUpdate, Comparable};
use pinfra_engine::value::Input;
use pinfra_engine::{Call, CloudError, ErrorKind, Field, Found, KindInfo, Live, OnChange, Resource};
use serde::{Deserialize, Serialize};

use super::folder;
use super::live::{TOPICS, describe, inputs, live, live_with, why_failed};
use super::operation::completed;
use super::tagging::{retag, tags_of};
use super::used::connector;
use crate::clients::Clients;
use crate::delete::{Activity, delete_once_idle};
use crate::error::{classify, incomplete};
use crate::tags::{self, Tags};
use crate::wait::{Look, Pace, once_name_is_free, wait_until};

/// Five to ten minutes (field); other tools wait twenty.
const PACE: Pace = Pace { slowest: Duration::from_secs(30), limit: Duration::from_secs(30 * 60) };
/// What is new in IAM is known everywhere within some fifteen seconds (field); two minutes is what other tools wait.
const ROLE_PACE: Pace = Pace { slowest: Duration::from_secs(5), limit: Duration::from_secs(2 * 60) };

/// What a stack asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectorInputs {
    /// Unique in account and region.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The code that it runs.
    pub plugin: PluginRef,
    /// The properties of its workers; `None` for MSK Connect's own.
    pub worker_configuration: Option<PluginRef>,
    /// The ARN of the role that it acts as.
    pub role: Input<String>,
    /// The brokers, `host:port` sorted and separated by commas.
    pub bootstrap: Input<String>,
    /// Where its workers' interfaces are, sorted.
    pub subnets: Input<Vec<String>>,
    /// Ids of the security groups of its workers' interfaces, sorted.
    pub security_groups: Vec<Input<String>>,
    /// The version of Kafka Connect, such as `3.7.x`.
    pub version: String,
    /// The topics that a sink reads, by their names: each is the output of the topic, so that it is seen when one is made
    /// again.
    #[serde(default)]
    pub topics: BTreeMap<String, Input<String>>,
    /// The connector's own settings, but `topics`. Values of secrets stand in them as references to a configuration provider.
    pub configuration: BTreeMap<String, String>,
    /// The size of each worker in MCUs: 1, 2, 4 or 8.
    pub mcu: u32,
    /// How many workers, 1 to 10.
    pub workers: u32,
    /// Whether it shows the brokers who it is by IAM, over TLS.
    pub iam: bool,
    /// The user's and pinfra's own.
    pub tags: Tags,
}

/// A revision of a plugin or of a worker configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginRef {
    /// Its ARN.
    pub arn: Input<String>,
    /// The revision, counted from 1.
    pub revision: Input<i64>,
}

/// What AWS answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectorOutputs {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// The folder that it stores in, where it is an S3 sink with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// Why it will never run, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Why it does no work now, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
}

/// The kind.
#[derive(Clone, Debug)]
pub struct Connector {
    clients: Clients,
}

type LiveConnector = Live<ConnectorInputs, ConnectorOutputs>;

impl Connector {
    /// The kind, calling these clients.
    pub fn new(clients: &Clients) -> Connector {
        Connector { clients: clients.clone() }
    }

    async fn named(&self, name: &str) -> Result<Option<ConnectorSummary>, CloudError> {
        let request = self.clients.kafkaconnect.list_connectors().connector_name_prefix(name);
        let mut pages = request.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| classify("kafkaconnect:ListConnectors", &error))?;
            let mut connectors = page.connectors.unwrap_or_default().into_iter();
            if let Some(found) = connectors.find(|connector| connector.connector_name.as_deref() == Some(name)) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Waits until nothing is being done to the connector. One that somebody paused is left so.
    async fn steady(&self, call: &Call, arn: &str) -> Result<DescribeConnectorOutput, CloudError> {
        wait_until(call, &format!("waiting for the connector {arn}"), PACE, || async {
            Ok(match describe(&self.clients, arn).await? {
                None => Look::Unseen,
                Some(found) => match &found.connector_state {
                    Some(ConnectorState::Running | ConnectorState::Paused) => Look::Ready(found),
                    Some(ConnectorState::Failed) => {
                        let why = why_failed(&found);
                        if is_denial(&why) {
                            return Err(CloudError::new(ErrorKind::Permission, format!("the connector {arn}"), why));
                        }
                        Look::Failed(why)
                    }
                    Some(ConnectorState::Deleting) => Look::Failed("somebody is deleting the connector".to_owned()),
                    state => Look::Pending(state.as_ref().map_or("in no state yet", ConnectorState::as_str).to_owned()),
                },
            })
        })
        .await
    }

    async fn gone(&self, call: &Call, arn: &str) -> Result<(), CloudError> {
        wait_until(call, &format!("waiting for the connector {arn} to be gone"), PACE, || async {
            Ok(match describe(&self.clients, arn).await? {
                None => Look::Ready(()),
                Some(found) => {
                    let state = found.connector_state.as_ref().map_or("in no state", ConnectorState::as_str);
                    Look::Pending(state.to_owned())
                }
            })
        })
        .await
    }

    fn request(&self, new: &ConnectorInputs) -> Result<CreateConnectorFluentBuilder, CloudError> {
        let groups = new.security_groups.iter().map(|id| id.known().cloned()).collect::<Result<Vec<_>, _>>()?;
        let vpc = Vpc::builder().set_subnets(Some(new.subnets.known()?.clone())).set_security_groups(Some(groups));
        let cluster = ApacheKafkaCluster::builder().bootstrap_servers(new.bootstrap.known()?);
        let cluster = cluster.vpc(vpc.build().map_err(unbuilt)?).build().map_err(unbuilt)?;
        let (authentication, in_transit) = match new.iam {
            true => (KafkaClusterClientAuthenticationType::Iam, KafkaClusterEncryptionInTransitType::Tls),
            false => (KafkaClusterClientAuthenticationType::None, KafkaClusterEncryptionInTransitType::Plaintext),
        };
        let authentication = KafkaClusterClientAuthentication::builder().authentication_type(authentication);
        let in_transit = KafkaClusterEncryptionInTransit::builder().encryption_type(in_transit);
        let size = ProvisionedCapacity::builder().mcu_count(count(new.mcu)?).worker_count(count(new.workers)?);
        let plugin =
            CustomPlugin::builder().custom_plugin_arn(new.plugin.arn.known()?).revision(*new.plugin.revision.known()?);
        let worker_configuration = match &new.worker_configuration {
            Some(PluginRef { arn, revision }) => {
                let built = WorkerConfiguration::builder().worker_configuration_arn(arn.known()?);
                Some(built.revision(*revision.known()?).build().map_err(unbuilt)?)
            }
            None => None,
        };
        Ok(self
            .clients
            .kafkaconnect
            .create_connector()
            .connector_name(&new.name)
            .connector_description(&new.description)
            .capacity(Capacity::builder().provisioned_capacity(size.build()).build())
            .set_connector_configuration(Some(settings(new)))
            .kafka_cluster(KafkaCluster::builder().apache_kafka_cluster(cluster).build())
            .kafka_cluster_client_authentication(authentication.build().map_err(unbuilt)?)
            .kafka_cluster_encryption_in_transit(in_transit.build().map_err(unbuilt)?)
            .kafka_connect_version(&new.version)
            .plugins(Plugin::builder().custom_plugin(plugin.build().map_err(unbuilt)?).build())
            .service_execution_role_arn(new.role.known()?)
            .set_worker_configuration(worker_configuration)
            .set_tags(Some(new.tags.clone().into_iter().collect())))
    }

    async fn in_a_folder_of_its_own(&self, call: &Call, new: &ConnectorInputs) -> Result<ConnectorInputs, CloudError> {
        let given = folder::give(&self.clients, call, &new.name, new.topics.keys(), &new.configuration).await?;
        Ok(ConnectorInputs { configuration: folder::with(&new.configuration, given), ..new.clone() })
    }

    /// Sends a create until its role is known everywhere; returns the ARN.
    async fn sent(&self, call: &Call, request: &CreateConnectorFluentBuilder) -> Result<String, CloudError> {
        wait_until(call, "kafkaconnect:CreateConnector", ROLE_PACE, || async {
            let sent = Box::pin(request.clone().send()).await;
            match sent.map_err(|error| classify("kafkaconnect:CreateConnector", &error)) {
                Ok(made) => {
                    let arn = made.connector_arn;
                    arn.map(Look::Ready).ok_or_else(|| incomplete("kafkaconnect:CreateConnector", "ARN"))
                }
                Err(error) if is_role_new(&error) => Ok(Look::Early(error)),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Brings the connector from what it is to `new`: how it runs first, then what it does.
    async fn bring(&self, call: &Call, arn: &str, new: &ConnectorInputs) -> Result<(), CloudError> {
        let old = live(&self.clients, &self.steady(call, arn).await?).await?.inputs;
        retag(&self.clients, arn, &old.tags, &new.tags).await?;
        let new = match folder::kept(&new.configuration, &old.configuration) {
            Some(configuration) => ConnectorInputs { configuration, ..new.clone() },
            None => self.in_a_folder_of_its_own(call, new).await?,
        };
        for family in [Family::Workers, Family::Settings] {
            if family.differs(&old, &new) {
                self.operate(call, arn, family, &new).await?;
            }
        }
        Ok(())
    }

    /// One operation, under the version that the connector has when it is its turn; then looks whether it has stayed.
    async fn operate(&self, call: &Call, arn: &str, family: Family, new: &ConnectorInputs) -> Result<(), CloudError> {
        let what = family.doing();
        let operation = wait_until(call, what, PACE, || async {
            let found = self.steady(call, arn).await?;
            // An earlier try got through, and its answer was lost.
            if !family.differs(&inputs(&found, Tags::new()), new) {
                return Ok(Look::Ready(None));
            }
            let request = self.update_request(arn, family, &found, new)?;
            let sent = Box::pin(request.send()).await;
            match sent.map_err(|error| classify("kafkaconnect:UpdateConnector", &error)) {
                Ok(answer) => {
                    let operation = answer.connector_operation_arn.map(Some);
                    operation.map(Look::Ready).ok_or_else(|| incomplete("kafkaconnect:UpdateConnector", "operation"))
                }
                Err(error) if error.kind == ErrorKind::Conflict || is_stale(&error) => Ok(Look::Held(error)),
                Err(error) => Err(error),
            }
        })
        .await?;
        let Some(operation) = operation else { return Ok(()) };
        call.progress(what);
        completed(&self.clients, call, what, &operation).await?;
        let now = inputs(&self.steady(call, arn).await?, Tags::new());
        if family.differs(&now, new) {
            let message = "MSK Connect says that it is done, but the connector is as it was before";
            let hint = "it may have failed its health check: look into its workers' log; the next run tries it again";
            return Err(CloudError::new(ErrorKind::Other, what, message).with_hint(hint));
        }
        Ok(())
    }

    /// The request of a family, with only what differs: what is sent as it is already is refused (field).
    fn update_request(
        &self,
        arn: &str,
        family: Family,
        found: &DescribeConnectorOutput,
        new: &ConnectorInputs,
    ) -> Result<UpdateConnectorFluentBuilder, CloudError> {
        let now = inputs(found, Tags::new());
        let request = self.clients.kafkaconnect.update_connector().connector_arn(arn);
        let mut request = request.set_current_version(found.current_version.clone());
        if found.connector_state == Some(ConnectorState::Paused) {
            // There is no health to check (API reference, `UpdateConnector`).
            request = request.skip_health_validation(true);
        }
        if family == Family::Settings {
            return Ok(request.set_connector_configuration(Some(settings(new))));
        }
        if (now.mcu, now.workers) != (new.mcu, new.workers) {
            let size =
                ProvisionedCapacityUpdate::builder().mcu_count(count(new.mcu)?).worker_count(count(new.workers)?);
            request = request.capacity(CapacityUpdate::builder().provisioned_capacity(size.build()).build());
        }
        if now.plugin != new.plugin {
            let plugin = CustomPluginUpdate::builder()
                .custom_plugin_arn(new.plugin.arn.known()?)
                .revision(*new.plugin.revision.known()?);
            let plugin = plugin.build().map_err(unbuilt)?;
            request = request.plugins(PluginUpdate::builder().custom_plugin(plugin).build());
        }
        match &new.worker_configuration {
            wanted if *wanted == now.worker_configuration => {}
            Some(PluginRef { arn, revision }) => {
                let built = WorkerConfigurationUpdate::builder().worker_configuration_arn(arn.known()?);
                let built = built.revision(*revision.known()?).build().map_err(unbuilt)?;
                request = request.worker_configuration(built);
            }
            None => request = request.use_default_worker_configuration(true),
        }
        Ok(request)
    }
}

/// What one operation changes; the two are never mixed in a call (API reference, `UpdateConnector`).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    /// Size, plugin, worker configuration.
    Workers,
    /// The connector's own settings.
    Settings,
}

impl Family {
    fn differs(self, old: &ConnectorInputs, new: &ConnectorInputs) -> bool {
        let workers = |inputs: &ConnectorInputs| {
            (inputs.mcu, inputs.workers, inputs.plugin.clone(), inputs.worker_configuration.clone())
        };
        match self {
            Family::Workers => workers(old) != workers(new),
            Family::Settings => settings(old) != settings(new),
        }
    }

    fn doing(self) -> &'static str {
        match self {
            Family::Workers => "changing the connector's workers",
            Family::Settings => "changing the connector's settings",
        }
    }
}

/// The settings as MSK Connect takes them.
fn settings(inputs: &ConnectorInputs) -> HashMap<String, String> {
    let topics: Vec<&str> = inputs.topics.keys().map(String::as_str).collect();
    let topics = (!topics.is_empty()).then(|| (TOPICS.to_owned(), topics.join(",")));
    inputs.configuration.clone().into_iter().chain(topics).collect()
}

/// Whether a connector failed for what its role may not do. Its policies may just be too new for it.
fn is_denial(why: &str) -> bool {
    let why = why.to_ascii_lowercase();
    ["accessdenied", "access denied", "not authorized", "assume"].iter().any(|words| why.contains(words))
}

/// Whether a create was refused for a role that IAM does not show to everybody yet.
fn is_role_new(error: &CloudError) -> bool {
    let message = error.message.to_ascii_lowercase();
    matches!(error.kind, ErrorKind::Invalid | ErrorKind::Permission)
        && ["service execution role", "serviceexecutionrole", "assume"].iter().any(|words| message.contains(words))
}

/// Whether the connector has another version than the request says. The model has no code for it.
fn is_stale(error: &CloudError) -> bool {
    let message = error.message.to_ascii_lowercase();
    error.kind == ErrorKind::Invalid && (message.contains("currentversion") || message.contains("current version"))
}

/// Another list of brokers of the same cluster is no change: MSK names some of a large one only, and more once it grows.
/// Which they will be is not known while the cluster is being changed; that it is the same cluster, its subnets tell.
/// Neither is the generation of the folder that is asked for ([`folder`]).
fn comparable(live: LiveConnector, asked: &[ConnectorInputs]) -> ConnectorInputs {
    let mut inputs = live.inputs;
    let Some(asked) = asked.first() else { return inputs };
    folder::as_asked(&mut inputs.configuration, &asked.configuration);
    let same_cluster = match (&inputs.bootstrap, &asked.bootstrap) {
        (Input::Known(live), Input::Known(asked)) => {
            live.split(',').any(|server| asked.split(',').any(|s| s == server))
        }
        (_, Input::Reference(_)) => matches!(asked.subnets, Input::Known(_)),
        (Input::Reference(_), Input::Known(_)) => false,
    };
    if same_cluster {
        inputs.bootstrap = asked.bootstrap.clone();
    }
    inputs
}

fn beyond_update(live: &LiveConnector, new: &ConnectorInputs) -> Option<String> {
    if let Some(failure) = &live.outputs.failure {
        return Some(format!("it failed: {failure}"));
    }
    // What a topic that stays will answer is known.
    let again = |(name, topic): &(&String, &Input<String>)| {
        matches!(topic, Input::Reference(_)) && live.inputs.topics.contains_key(*name)
    };
    let (name, _) = new.topics.iter().find(again)?;
    Some(format!("the topic `{name}` is made again, and its events are stored apart from those of the old one"))
}

fn count(number: u32) -> Result<i32, CloudError> {
    i32::try_from(number).map_err(|_| {
        CloudError::new(ErrorKind::Invalid, Connector::INFO.kind, format!("{number} is too large a number"))
    })
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` hands it over")]
fn unbuilt(error: BuildError) -> CloudError {
    CloudError::new(ErrorKind::Invalid, Connector::INFO.kind, error.to_string())
}

impl Resource for Connector {
    const INFO: KindInfo = KindInfo {
        kind: "msk_connect/connector",
        summary: "a plugin at work between a Kafka cluster and something else",
        fields: &[
            Field {
                name: "name",
                on_change: OnChange::Replace,
                doc: "unique in account and region, 1 to 128 characters; its consumer group is `connect-<name>`",
            },
            Field { name: "description", on_change: OnChange::Replace, doc: "what it is for, up to 1,024 characters" },
            Field { name: "plugin", on_change: OnChange::Update, doc: "ARN and revision of the code that it runs" },
            Field {
                name: "worker_configuration",
                on_change: OnChange::Update,
                doc: "ARN and revision of its workers' properties; none for MSK Connect's own",
            },
            Field { name: "role", on_change: OnChange::Replace, doc: "the ARN of the role that it acts as" },
            Field {
                name: "bootstrap",
                on_change: OnChange::Replace,
                doc: "the brokers, `host:port` separated by commas",
            },
            Field { name: "subnets", on_change: OnChange::Replace, doc: "where its workers' interfaces are" },
            Field {
                name: "security_groups",
                on_change: OnChange::Replace,
                doc: "ids of the security groups of its workers' interfaces",
            },
            Field { name: "version", on_change: OnChange::Replace, doc: "of Kafka Connect, such as `3.7.x`" },
            Field {
                name: "topics",
                on_change: OnChange::Update,
                doc: "the topics that it reads; when one of them is made again, so is the connector",
            },
            Field {
                name: "configuration",
                on_change: OnChange::Update,
                doc: "the connector's own settings, such as `flush.size`; a change that fails its health check is taken back",
            },
            Field { name: "mcu", on_change: OnChange::Update, doc: "the size of each worker in MCUs: 1, 2, 4 or 8" },
            Field { name: "workers", on_change: OnChange::Update, doc: "how many workers, 1 to 10" },
            Field { name: "iam", on_change: OnChange::Replace, doc: "whether it enters the cluster by IAM over TLS" },
            Field { name: "tags", on_change: OnChange::Update, doc: "the stack's tags and pinfra's own" },
        ],
        outputs: &[
            ("arn", "the connector's ARN"),
            ("name", "its name"),
            ("folder", "where in the bucket it stores, where it does"),
            ("failure", "why it will never run, where that is so"),
            ("condition", "why it does no work now, where that is so"),
        ],
        loses: "",
        usual_create: Duration::from_secs(7 * 60),
        usual_update: Duration::from_secs(7 * 60),
        usual_delete: Duration::from_secs(2 * 60),
    };
    const BEYOND_UPDATE: Option<BeyondUpdate<ConnectorInputs, ConnectorOutputs>> = Some(beyond_update);
    const COMPARABLE: Option<Comparable<ConnectorInputs, ConnectorOutputs>> = Some(comparable);

    type Inputs = ConnectorInputs;
    type Outputs = ConnectorOutputs;

    async fn create(&self, call: &Call, new: &ConnectorInputs) -> Result<String, CloudError> {
        let request = self.request(&self.in_a_folder_of_its_own(call, new).await?)?;
        let leaving = || async {
            let Some(found) = self.named(&new.name).await? else { return Ok(true) };
            let leaves = found.connector_state == Some(ConnectorState::Deleting);
            if leaves {
                self.gone(call, found.connector_arn.as_deref().unwrap_or_default()).await?;
            }
            Ok(leaves)
        };
        once_name_is_free(call, || self.sent(call, &request), leaving).await
    }

    async fn settle(&self, call: &Call, id: &str, new: &ConnectorInputs) -> Result<LiveConnector, CloudError> {
        let now = live(&self.clients, &self.steady(call, id).await?).await?;
        let outputs = now.outputs.clone();
        if comparable(now, std::slice::from_ref(new)) != *new {
            self.bring(call, id, new).await?;
        }
        Ok(Live { inputs: new.clone(), outputs })
    }

    async fn read(&self, id: &str) -> Result<Option<LiveConnector>, CloudError> {
        let (found, tags) =
            Box::pin(async { futures::join!(connector(&self.clients, id), tags_of(&self.clients, id)) }).await;
        match found?.as_ref() {
            Some(found) if found.connector_state != Some(ConnectorState::Deleting) => Ok(Some(live_with(found, tags?))),
            _ => Ok(None),
        }
    }

    async fn find(&self, new: &ConnectorInputs) -> Result<Option<Found>, CloudError> {
        let found = self.named(&new.name).await?;
        let found = found.filter(|found| found.connector_state != Some(ConnectorState::Deleting));
        let Some(arn) = found.and_then(|found| found.connector_arn) else { return Ok(None) };
        let owner = tags::owner(&new.tags, &tags_of(&self.clients, &arn).await?);
        Ok(Some(Found { id: arn, owner }))
    }

    async fn update(
        &self,
        call: &Call,
        id: &str,
        _old: &ConnectorInputs,
        new: &ConnectorInputs,
    ) -> Result<(), CloudError> {
        self.bring(call, id, new).await
    }

    fn id_in(global_name: &str) -> Option<String> {
        global_name.contains(":connector/").then(|| global_name.to_owned())
    }

    async fn delete(&self, call: &Call, id: &str) -> Result<(), CloudError> {
        let look = || async {
            let state = describe(&self.clients, id).await?.and_then(|found| found.connector_state);
            Ok(match state {
                None | Some(ConnectorState::Deleting) => Activity::Gone,
                Some(ConnectorState::Running | ConnectorState::Failed | ConnectorState::Paused) => Activity::Idle,
                Some(busy) => Activity::Busy(busy.as_str().to_owned()),
            })
        };
        let send = || async {
            let sent = self.clients.kafkaconnect.delete_connector().connector_arn(id).send().await;
            sent.map(drop).map_err(|error| classify("kafkaconnect:DeleteConnector", &error))
        };
        delete_once_idle(call, &format!("deleting the connector {id}"), PACE, look, send).await?;
        self.gone(call, id).await
    }
}

#[cfg(test)]
mod tests {
    use pinfra_engine::Address;

    use super::*;

    fn connector(bootstrap: Input<String>, subnets: Input<Vec<String>>) -> ConnectorInputs {
        let known = |text: &str| Input::Known(text.to_owned());
        ConnectorInputs {
            name: "pins-s3".to_owned(),
            description: String::new(),
            plugin: PluginRef { arn: known("plugin"), revision: Input::Known(1) },
            worker_configuration: None,
            role: known("role"),
            bootstrap,
            subnets,
            security_groups: Vec::new(),
            version: "3.7.x".to_owned(),
            topics: BTreeMap::new(),
            configuration: BTreeMap::new(),
            mcu: 1,
            workers: 1,
            iam: true,
            tags: Tags::new(),
        }
    }

    fn outputs(failure: Option<String>) -> ConnectorOutputs {
        ConnectorOutputs { arn: String::new(), name: String::new(), folder: None, failure, condition: None }
    }

    /// Whether the connector would be replaced.
    fn differs(asked: &ConnectorInputs) -> bool {
        let live = connector(Input::Known("b-1:9098,b-2:9098".to_owned()), Input::Known(vec!["subnet-a".to_owned()]));
        let outputs = outputs(None);
        comparable(Live { inputs: live, outputs }, std::slice::from_ref(asked)) != *asked
    }

    #[test]
    fn other_brokers_of_the_same_cluster_are_no_change() {
        let subnets = || Input::Known(vec!["subnet-a".to_owned()]);
        let servers = |text: &str| Input::Known(text.to_owned());
        let output = |name: &str| Address::new("msk/cluster", name);
        assert!(!differs(&connector(servers("b-2:9098,b-3:9098"), subnets())));
        assert!(differs(&connector(servers("c-1:9098"), subnets())));
        // The cluster is being changed: its subnets stay, its brokers may become more.
        assert!(!differs(&connector(Input::output(output("a"), "bootstrap_iam"), subnets())));
        // The cluster is being replaced.
        let replaced = Input::output(output("a"), "subnets");
        assert!(differs(&connector(Input::output(output("a"), "bootstrap_iam"), replaced)));
    }

    #[test]
    fn a_topic_that_is_made_again_takes_its_connector_along() {
        let known = |names: &[&str]| -> BTreeMap<String, Input<String>> {
            names.iter().map(|name| ((*name).to_owned(), Input::Known((*name).to_owned()))).collect()
        };
        let of =
            |topics| ConnectorInputs { topics, ..connector(Input::Known(String::new()), Input::Known(Vec::new())) };
        let live = Live { inputs: of(known(&["pins.pin"])), outputs: outputs(None) };
        let made = |name: &str| (name.to_owned(), Input::output(Address::new("msk/topic", "x"), "name"));
        assert_eq!(beyond_update(&live, &of(known(&["pins.pin"]))), None);
        assert_eq!(beyond_update(&live, &of(known(&[]))), None, "one that goes is an update");
        let added = known(&["pins.pin"]).into_iter().chain([made("pins.geo")]).collect();
        assert_eq!(beyond_update(&live, &of(added)), None, "and one that comes");
        let reason = beyond_update(&live, &of([made("pins.pin")].into())).unwrap();
        assert!(reason.contains("`pins.pin` is made again"), "{reason}");
    }

    #[test]
    fn only_what_a_new_role_causes_is_tried_again() {
        let refused = |kind, message: &str| CloudError::new(kind, "kafkaconnect:CreateConnector", message);
        let new_role = "Service execution role arn:aws:iam::1:role/a can't be assumed.";
        assert!(is_role_new(&refused(ErrorKind::Invalid, new_role)));
        assert!(!is_role_new(&refused(ErrorKind::Invalid, "The parameter capacity is invalid")));
        assert!(!is_role_new(&refused(ErrorKind::Quota, new_role)));
    }
}
