//! `msk/topic`: a topic of a cluster, made through the AWS API.
//!
//! The API reaches brokers from outside the VPC, and its caller needs `kafka-cluster:` permissions on the topic besides
//! those of MSK. Topics have no tags: what is in a cluster of ours is ours. Partitions and settings are calls of their own
//! ("You must specify either configs or partitionCount to update", field). What is read back has settings that nobody
//! asked for, so only those that are, or were at the last run, are compared.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_kafka::operation::describe_topic::DescribeTopicOutput;
use aws_sdk_kafka::types::{ClusterState, TopicInfo, TopicState};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pinfra_engine::resource::{BeyondUpdate, Comparable};
use pinfra_engine::value::Input;
use pinfra_engine::{Call, CloudError, ErrorKind, Field, Found, KindInfo, Live, OnChange, Owner, Resource};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::listing::topics;
use super::live::describe_cluster;
use super::properties;
use crate::clients::Clients;
use crate::error::{classify, unless_gone};
use crate::wait::{Pace, Progress, once_name_is_free, through_conflicts, wait_until};

/// Changes are through within some seconds, and seen by the API within a minute (API reference, `ListTopics`).
const PACE: Pace = Pace { slowest: Duration::from_secs(10), limit: Duration::from_secs(10 * 60) };

/// What a stack asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicInputs {
    /// The cluster's ARN.
    pub cluster: Input<String>,
    /// Unique in its cluster.
    pub name: String,
    /// How many partitions; they can only become more.
    pub partitions: u32,
    /// On how many brokers each partition is kept.
    pub replication: u32,
    /// Topic settings that differ from the cluster's, such as `retention.ms`.
    pub configs: BTreeMap<String, String>,
}

/// What AWS answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicOutputs {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Why it does not serve as it should, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
}

/// The kind.
#[derive(Clone, Debug)]
pub struct Topic {
    clients: Clients,
}

type LiveTopic = Live<TopicInputs, TopicOutputs>;

impl Topic {
    /// The kind, calling these clients.
    pub fn new(clients: &Clients) -> Topic {
        Topic { clients: clients.clone() }
    }

    async fn describe(&self, cluster: &str, name: &str) -> Result<Option<DescribeTopicOutput>, CloudError> {
        let described = through_conflicts(|| async {
            let sent = self.clients.kafka.describe_topic().cluster_arn(cluster).topic_name(name).send().await;
            sent.map_err(|error| classify("kafka:DescribeTopic", &error))
        });
        let error = match unless_gone(described.await) {
            Ok(found) => return Ok(found),
            Err(error) => error,
        };
        // A cluster that is not there yet, or never will be, has no topics.
        if !matches!(error.kind, ErrorKind::Invalid | ErrorKind::Conflict) {
            return Err(error);
        }
        let state = describe_cluster(&self.clients, cluster).await?.and_then(|cluster| cluster.state);
        match state {
            None | Some(ClusterState::Creating | ClusterState::Deleting | ClusterState::Failed) => Ok(None),
            Some(_) => Err(error),
        }
    }

    /// The topic once nothing is being changed about it.
    async fn active(&self, call: &Call, cluster: &str, name: &str) -> Result<DescribeTopicOutput, CloudError> {
        wait_until(call, &format!("waiting for the topic {name}"), PACE, || async {
            Ok(match self.describe(cluster, name).await? {
                Some(found) if found.status == Some(TopicState::Active) => Progress::Ready(found),
                Some(found) if found.status == Some(TopicState::Deleting) => {
                    Progress::Failed("somebody is deleting the topic".to_owned())
                }
                Some(found) => {
                    Progress::Pending(found.status.map_or("in no state yet".to_owned(), |s| s.as_str().to_owned()))
                }
                None => Progress::Unseen,
            })
        })
        .await
    }

    async fn gone(&self, call: &Call, cluster: &str, name: &str) -> Result<(), CloudError> {
        wait_until(call, &format!("waiting for the topic {name} to be gone"), PACE, || async {
            Ok(match self.describe(cluster, name).await? {
                None => Progress::Ready(()),
                Some(_) => Progress::Pending("DELETING".to_owned()),
            })
        })
        .await
    }

    /// Brings the topic from `old` to `new`, one change after another.
    async fn bring(&self, call: &Call, id: &str, old: &TopicInputs, new: &TopicInputs) -> Result<(), CloudError> {
        let (cluster, name) = parts(id)?;
        if new.partitions != old.partitions {
            self.active(call, cluster, name).await?;
            call.progress(format!("{} → {} partitions", old.partitions, new.partitions));
            let partitions = count(new.partitions)?;
            through_conflicts(|| async {
                let request = self.clients.kafka.update_topic().cluster_arn(cluster).topic_name(name);
                let sent = request.partition_count(partitions).send().await;
                sent.map(drop).map_err(|error| classify("kafka:UpdateTopic", &error))
            })
            .await?;
        }
        if new.configs != old.configs {
            self.active(call, cluster, name).await?;
            in_a_known_form(&new.configs, |configs| {
                through_conflicts(move || {
                    let request = self.clients.kafka.update_topic().cluster_arn(cluster).topic_name(name);
                    let request = request.configs(&configs);
                    async move {
                        let sent = request.send().await;
                        sent.map(drop).map_err(|error| classify("kafka:UpdateTopic", &error))
                    }
                })
            })
            .await?;
        }
        Ok(())
    }
}

fn live(cluster: &str, found: DescribeTopicOutput) -> LiveTopic {
    let number = |count: Option<i32>| count.and_then(|count| u32::try_from(count).ok()).unwrap_or_default();
    let name = found.topic_name.unwrap_or_default();
    let inputs = TopicInputs {
        cluster: Input::Known(cluster.to_owned()),
        name: name.clone(),
        partitions: number(found.partition_count),
        replication: number(found.replication_factor),
        configs: found.configs.as_deref().map(decoded).unwrap_or_default(),
    };
    let arn = found.topic_arn.unwrap_or_default();
    Live { inputs, outputs: TopicOutputs { name, arn, condition: None } }
}

/// A topic as the list has it: without settings, which are compared only where somebody asks for some. Who finds them
/// missing looks again without the list.
fn listed(cluster: &str, found: &TopicInfo) -> LiveTopic {
    let described = DescribeTopicOutput::builder()
        .set_topic_name(found.topic_name.clone())
        .set_topic_arn(found.topic_arn.clone())
        .set_partition_count(found.partition_count)
        .set_replication_factor(found.replication_factor)
        .build();
    let mut live = live(cluster, described);
    let behind = found.out_of_sync_replica_count.unwrap_or_default();
    live.outputs.condition = (behind > 0).then(|| format!("{behind} of its replicas are not in sync"));
    live
}

/// Only the settings that somebody asks for, or did.
fn comparable(live: LiveTopic, asked: &[TopicInputs]) -> TopicInputs {
    let mut inputs = live.inputs;
    inputs.configs.retain(|key, _| asked.iter().any(|asked| asked.configs.contains_key(key)));
    inputs
}

fn beyond_update(live: &LiveTopic, new: &TopicInputs) -> Option<String> {
    (new.partitions < live.inputs.partitions)
        .then(|| format!("a topic cannot go from {} to {} partitions", live.inputs.partitions, new.partitions))
}

/// Sends settings in Base64, as lines `name=value`, as the developer guide shows them ("Describe a topic using the AWS
/// CLI"); where that is refused, as a JSON object, which is what the Terraform provider sends (`kafka/topic.go`). The model
/// says Base64 and no more.
async fn in_a_known_form<S>(configs: &BTreeMap<String, String>, send: impl Fn(String) -> S) -> Result<(), CloudError>
where
    S: Future<Output = Result<(), CloudError>>,
{
    let refused = match send(STANDARD.encode(properties::to_text(configs))).await {
        Err(error) if error.kind == ErrorKind::Invalid => error,
        sent => return sent,
    };
    let Ok(json) = serde_json::to_vec(configs) else { return Err(refused) };
    // What is wrong with the settings themselves, the first refusal says better.
    send(STANDARD.encode(json)).await.map_err(|error| if error.kind == ErrorKind::Invalid { refused } else { error })
}

/// Settings in either form.
fn decoded(configs: &str) -> BTreeMap<String, String> {
    let bytes = STANDARD.decode(configs).unwrap_or_default();
    let Ok(values) = serde_json::from_slice::<BTreeMap<String, Value>>(&bytes) else {
        return properties::from_text(&String::from_utf8_lossy(&bytes));
    };
    let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    values.into_iter().map(|(key, value)| (key, text(value))).collect()
}

fn count(number: u32) -> Result<i32, CloudError> {
    i32::try_from(number)
        .map_err(|_| CloudError::new(ErrorKind::Invalid, Topic::INFO.kind, format!("{number} is too large a number")))
}

/// The cluster's ARN and the name in an id `<cluster ARN>/<name>`; names have no slashes.
fn parts(id: &str) -> Result<(&str, &str), CloudError> {
    id.rsplit_once('/').ok_or_else(|| {
        CloudError::new(ErrorKind::Invalid, Topic::INFO.kind, format!("`{id}` is no topic's id: <cluster>/<name>"))
    })
}

impl Resource for Topic {
    const INFO: KindInfo = KindInfo {
        kind: "msk/topic",
        summary: "a topic of an MSK cluster",
        fields: &[
            Field { name: "cluster", on_change: OnChange::Replace, doc: "the cluster's ARN" },
            Field { name: "name", on_change: OnChange::Replace, doc: "unique in its cluster, up to 249 characters" },
            Field {
                name: "partitions",
                on_change: OnChange::Update,
                doc: "how many there are; more in place, fewer make another topic",
            },
            Field {
                name: "replication",
                on_change: OnChange::Replace,
                doc: "on how many brokers each partition is kept, at most as many as there are",
            },
            Field {
                name: "configs",
                on_change: OnChange::Update,
                doc: "topic settings, such as `retention.ms`; those that nobody asks for are left alone",
            },
        ],
        outputs: &[
            ("name", "the topic's name"),
            ("arn", "the topic's ARN"),
            ("condition", "why it does not serve as it should, where that is so"),
        ],
        loses: "every event in it",
        usual_create: Duration::from_secs(5),
        usual_update: Duration::from_secs(10),
        usual_delete: Duration::from_secs(10),
    };
    const BEYOND_UPDATE: Option<BeyondUpdate<TopicInputs, TopicOutputs>> = Some(beyond_update);
    const COMPARABLE: Option<Comparable<TopicInputs, TopicOutputs>> = Some(comparable);

    type Inputs = TopicInputs;
    type Outputs = TopicOutputs;

    async fn create(&self, call: &Call, new: &TopicInputs) -> Result<String, CloudError> {
        let cluster = new.cluster.known()?;
        let (partitions, replication) = (count(new.partitions)?, count(new.replication)?);
        let send = || async {
            in_a_known_form(&new.configs, |configs| {
                through_conflicts(move || {
                    let request = self.clients.kafka.create_topic().cluster_arn(cluster).topic_name(&new.name);
                    let request = request.partition_count(partitions).replication_factor(replication);
                    let request = request.set_configs(Some(configs.clone()).filter(|configs| !configs.is_empty()));
                    async move {
                        let sent = request.send().await;
                        sent.map(drop).map_err(|error| classify("kafka:CreateTopic", &error))
                    }
                })
            })
            .await?;
            Ok(format!("{cluster}/{}", new.name))
        };
        once_name_is_free(call, send, || async {
            let Some(found) = self.describe(cluster, &new.name).await? else { return Ok(true) };
            let leaves = found.status == Some(TopicState::Deleting);
            if leaves {
                self.gone(call, cluster, &new.name).await?;
            }
            Ok(leaves)
        })
        .await
    }

    async fn settle(&self, call: &Call, id: &str, new: &TopicInputs) -> Result<LiveTopic, CloudError> {
        let (cluster, name) = parts(id)?;
        let now = live(cluster, self.active(call, cluster, name).await?);
        let outputs = now.outputs.clone();
        let comparable = comparable(now, std::slice::from_ref(new));
        if comparable != *new {
            self.bring(call, id, &comparable, new).await?;
            self.active(call, cluster, name).await?;
        }
        Ok(Live { inputs: new.clone(), outputs })
    }

    async fn read(&self, id: &str) -> Result<Option<LiveTopic>, CloudError> {
        let (cluster, name) = parts(id)?;
        // A cluster that is not up has no list, and the topic itself says so.
        if let Ok(Some(topics)) = topics(&self.clients, cluster).await
            && let Some(found) = topics.iter().find(|topic| topic.topic_name() == Some(name))
        {
            return Ok(Some(listed(cluster, found)));
        }
        let found = self.describe(cluster, name).await?;
        Ok(found.filter(|found| found.status != Some(TopicState::Deleting)).map(|found| live(cluster, found)))
    }

    async fn find(&self, new: &TopicInputs) -> Result<Option<Found>, CloudError> {
        let id = format!("{}/{}", new.cluster.known()?, new.name);
        Ok(self.read(&id).await?.map(|_| Found { id, owner: Owner::Ours }))
    }

    async fn update(&self, call: &Call, id: &str, old: &TopicInputs, new: &TopicInputs) -> Result<(), CloudError> {
        self.bring(call, id, old, new).await
    }

    /// Topics have no tags; they go with their cluster.
    fn id_in(_global_name: &str) -> Option<String> {
        None
    }

    async fn delete(&self, call: &Call, id: &str) -> Result<(), CloudError> {
        let (cluster, name) = parts(id)?;
        let found = self.describe(cluster, name).await?;
        if found.is_some_and(|found| found.status != Some(TopicState::Deleting)) {
            let deleted = through_conflicts(|| async {
                let sent = self.clients.kafka.delete_topic().cluster_arn(cluster).topic_name(name).send().await;
                sent.map(drop).map_err(|error| classify("kafka:DeleteTopic", &error))
            });
            unless_gone(deleted.await)?;
        }
        self.gone(call, cluster, name).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(partitions: u32, configs: &[(&str, &str)]) -> TopicInputs {
        TopicInputs {
            cluster: Input::Known("arn".to_owned()),
            name: "pins.pin".to_owned(),
            partitions,
            replication: 2,
            configs: configs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        }
    }

    fn found(inputs: TopicInputs) -> LiveTopic {
        Live { inputs, outputs: TopicOutputs { name: String::new(), arn: String::new(), condition: None } }
    }

    #[test]
    fn settings_that_nobody_asked_for_are_not_compared() {
        let live = || found(inputs(2, &[("retention.ms", "1"), ("cleanup.policy", "delete")]));
        let asked = inputs(2, &[("retention.ms", "1")]);
        assert_eq!(comparable(live(), std::slice::from_ref(&asked)), asked);
        // One that was asked for at the last run, and is no more, is a change.
        assert_eq!(comparable(live(), &[inputs(2, &[]), asked.clone()]), asked);
    }

    #[test]
    fn only_fewer_partitions_need_another_topic() {
        assert_eq!(beyond_update(&found(inputs(2, &[])), &inputs(3, &[])), None);
        let reason = beyond_update(&found(inputs(3, &[])), &inputs(2, &[]));
        assert_eq!(reason.as_deref(), Some("a topic cannot go from 3 to 2 partitions"));
    }

    #[test]
    fn settings_are_read_in_both_forms() {
        let expected = inputs(1, &[("compression.type", "producer"), ("retention.ms", "604800000")]).configs;
        // The developer guide's own example, and what the Terraform provider reads.
        assert_eq!(decoded("Y29tcHJlc3Npb24udHlwZT1wcm9kdWNlcgpyZXRlbnRpb24ubXM9NjA0ODAwMDAw"), expected);
        assert_eq!(decoded(&STANDARD.encode(r#"{"compression.type":"producer","retention.ms":604800000}"#)), expected);
    }

    #[tokio::test]
    async fn settings_that_are_refused_as_lines_are_sent_as_json() {
        let configs = inputs(1, &[("retention.ms", "1")]).configs;
        let refusal = |why: &str| Err(CloudError::new(ErrorKind::Invalid, "kafka:CreateTopic", why));
        let takes_json = |sent: String| {
            let is_json = STANDARD.decode(sent).unwrap().starts_with(b"{");
            std::future::ready(if is_json { Ok(()) } else { refusal("no JSON") })
        };
        assert_eq!(in_a_known_form(&configs, takes_json).await, Ok(()));
        let takes_nothing = |sent: String| {
            let is_json = STANDARD.decode(sent).unwrap().starts_with(b"{");
            std::future::ready(refusal(if is_json { "no lines" } else { "`retention.ms` is too small" }))
        };
        let error = in_a_known_form(&configs, takes_nothing).await.unwrap_err();
        assert_eq!(error.message, "`retention.ms` is too small");
    }

    #[test]
    fn an_id_names_cluster_and_topic() {
        let id = "arn:aws:kafka:us-east-1:1:cluster/pins/0a-1/pins.pin";
        assert_eq!(parts(id).unwrap(), ("arn:aws:kafka:us-east-1:1:cluster/pins/0a-1", "pins.pin"));
    }
}
