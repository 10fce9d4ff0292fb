//! `msk_connect/connector`: a plugin at work between a cluster and something else.
//!
//! How it runs and what it does are changed by an operation each. MSK Connect takes a change back by itself when the
//! connector is not healthy with it, and then says RUNNING again: so the operation is waited for, and what is described
//! afterwards is compared with what was asked for. A connector that failed cannot be changed; the next run replaces it, and
//! its consumer group keeps its place. Neither can one go on whose topic is made again: see [`super::folder`].

mod inputs;
mod requests;

use std::time::Duration;

use aws_sdk_kafkaconnect::operation::create_connector::builders::CreateConnectorFluentBuilder;
use aws_sdk_kafkaconnect::operation::describe_connector::DescribeConnectorOutput;
use aws_sdk_kafkaconnect::types::{ConnectorState, ConnectorSummary};
pub use inputs::{ConnectorInputs, ConnectorOutputs, PluginRef};
use inputs::{LiveConnector, beyond_update, comparable};
use pinfra_engine::resource::{BeyondUpdate, Comparable};
use pinfra_engine::{Call, CloudError, ErrorKind, Field, Found, KindInfo, Live, OnChange, Resource};
use requests::{Family, create, update};

use super::folder;
use super::live::{describe, inputs, live, live_with, why_failed};
use super::operation::completed;
use super::tagging::{retag, tags_of};
use super::used::connector;
use crate::clients::Clients;
use crate::delete::{Activity, delete_once_idle};
use crate::error::{classify, incomplete};
use crate::tags::{self, Tags};
use crate::wait::{Pace, Progress, once_name_is_free, wait_until};

/// Five to ten minutes (field); other tools wait twenty.
const PACE: Pace = Pace { slowest: Duration::from_secs(30), limit: Duration::from_secs(30 * 60) };
/// What is new in IAM is known everywhere within some fifteen seconds (field); two minutes is what other tools wait.
const ROLE_PACE: Pace = Pace { slowest: Duration::from_secs(5), limit: Duration::from_secs(2 * 60) };

/// The kind.
#[derive(Clone, Debug)]
pub struct Connector {
    clients: Clients,
}

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
                None => Progress::Unseen,
                Some(found) => match &found.connector_state {
                    Some(ConnectorState::Running | ConnectorState::Paused) => Progress::Ready(found),
                    Some(ConnectorState::Failed) => {
                        let why = why_failed(&found);
                        if is_denial(&why) {
                            return Err(CloudError::new(ErrorKind::Permission, format!("the connector {arn}"), why));
                        }
                        Progress::Failed(why)
                    }
                    Some(ConnectorState::Deleting) => Progress::Failed("somebody is deleting the connector".to_owned()),
                    state => {
                        Progress::Pending(state.as_ref().map_or("in no state yet", ConnectorState::as_str).to_owned())
                    }
                },
            })
        })
        .await
    }

    async fn gone(&self, call: &Call, arn: &str) -> Result<(), CloudError> {
        wait_until(call, &format!("waiting for the connector {arn} to be gone"), PACE, || async {
            Ok(match describe(&self.clients, arn).await? {
                None => Progress::Ready(()),
                Some(found) => {
                    let state = found.connector_state.as_ref().map_or("in no state", ConnectorState::as_str);
                    Progress::Pending(state.to_owned())
                }
            })
        })
        .await
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
                    arn.map(Progress::Ready).ok_or_else(|| incomplete("kafkaconnect:CreateConnector", "ARN"))
                }
                Err(error) if is_role_new(&error) => Ok(Progress::Early(error)),
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
                return Ok(Progress::Ready(None));
            }
            let request = update(&self.clients, arn, family, &found, new)?;
            let sent = Box::pin(request.send()).await;
            match sent.map_err(|error| classify("kafkaconnect:UpdateConnector", &error)) {
                Ok(answer) => {
                    let operation = answer.connector_operation_arn.map(Some);
                    operation
                        .map(Progress::Ready)
                        .ok_or_else(|| incomplete("kafkaconnect:UpdateConnector", "operation"))
                }
                Err(error) if error.kind == ErrorKind::Conflict => Ok(Progress::Held(error)),
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
        let request = create(&self.clients, &self.in_a_folder_of_its_own(call, new).await?)?;
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
    use super::*;

    #[test]
    fn only_what_a_new_role_causes_is_tried_again() {
        let refused = |kind, message: &str| CloudError::new(kind, "kafkaconnect:CreateConnector", message);
        let new_role = "Service execution role arn:aws:iam::1:role/a can't be assumed.";
        assert!(is_role_new(&refused(ErrorKind::Invalid, new_role)));
        assert!(!is_role_new(&refused(ErrorKind::Invalid, "The parameter capacity is invalid")));
        assert!(!is_role_new(&refused(ErrorKind::Quota, new_role)));
    }
}
