//! `msk/cluster`: a provisioned cluster of Kafka brokers.
//!
//! It takes 15 to 40 minutes to make. Changes go one operation after another, each under the version that the cluster has
//! then; a run that was interrupted between two goes on with what still differs. A cluster that failed is never usable: it
//! stays, for people to see why, until the next run replaces it.

use std::time::Duration;

use aws_sdk_kafka::types::{
    BrokerNodeGroupInfo, Cluster as SdkCluster, ClusterState, EbsStorageInfo, EncryptionInTransit, EncryptionInfo,
    ProvisionedRequest, StorageInfo,
};
use pinfra_engine::resource::{BeyondUpdate, Comparable, Refused};
use pinfra_engine::value::Input;
use pinfra_engine::{Call, CloudError, ErrorKind, Field, Found, KindInfo, Live, OnChange, Resource};
use serde::{Deserialize, Serialize};

use super::families::{Family, authentication, client_broker, configuration, count, families, monitoring, send};
use super::live::{self, answering_at, bootstrap, describe_cluster, live, live_with, why_failed};
use super::operation::completed;
use crate::clients::Clients;
use crate::delete::{Activity, delete_once_idle};
use crate::ec2::network::{default_subnets, no_default_vpc};
use crate::error::{classify, incomplete};
use crate::tags::{self, Tags};
use crate::wait::{Pace, Progress, once_name_is_free, wait_until};

/// Usually 15 to 40 minutes; users report an hour and more (field).
const PACE: Pace = Pace { slowest: Duration::from_secs(60), limit: Duration::from_secs(2 * 60 * 60) };

/// "Client subnets can't occupy the Availability Zone with ID use1-az3" (API reference, `BrokerNodeGroupInfo`).
const ZONE_WITHOUT_MSK: &str = "use1-az3";

/// What a stack asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterInputs {
    /// Unique in account and region.
    pub name: String,
    /// Such as `3.8.x`.
    pub kafka_version: String,
    /// How many brokers, a multiple of the number of subnets.
    pub brokers: u32,
    /// The type of the brokers, such as `kafka.m7g.large` or `express.m7g.large`.
    pub instance: String,
    /// Storage of each broker in GiB; `None` for express brokers, whose storage grows by itself.
    pub storage_gib: Option<u32>,
    /// One in each zone, sorted; `None` for those of the default VPC.
    pub subnets: Option<Vec<String>>,
    /// Ids of the security groups of the brokers' interfaces, sorted.
    pub security_groups: Vec<Input<String>>,
    /// The brokers' properties; `None` for MSK's own.
    pub configuration: Option<ClusterConfiguration>,
    /// How much CloudWatch is told: `DEFAULT`, `PER_BROKER`, `PER_TOPIC_PER_BROKER` or `PER_TOPIC_PER_PARTITION`.
    pub monitoring: String,
    /// What clients speak: `TLS`, `TLS_PLAINTEXT` or `PLAINTEXT`.
    pub client_broker: String,
    /// Whether clients show who they are by IAM.
    pub iam: bool,
    /// The user's and pinfra's own.
    pub tags: Tags,
}

/// A revision of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterConfiguration {
    /// The configuration's ARN.
    pub arn: Input<String>,
    /// The revision, counted from 1.
    pub revision: Input<i64>,
}

/// What AWS answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterOutputs {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// The brokers that take IAM clients, `host:port` sorted and separated by commas.
    pub bootstrap_iam: String,
    /// The brokers that take clients in plain text, where there are any.
    pub bootstrap: Option<String>,
    /// Where the brokers are, sorted.
    pub subnets: Vec<String>,
    /// The beginning of the ARNs of its topics, without the slash.
    pub topics_arn: String,
    /// The beginning of the ARNs of its consumer groups, without the slash.
    pub groups_arn: String,
    /// The beginning of the ARNs of its transactional ids, without the slash.
    pub transactional_ids_arn: String,
    /// Why it will never be usable, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Why it does not serve as it should now, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
}

/// The kind.
#[derive(Clone, Debug)]
pub struct Cluster {
    clients: Clients,
}

type LiveCluster = Live<ClusterInputs, ClusterOutputs>;

impl Cluster {
    /// The kind, calling these clients.
    pub fn new(clients: &Clients) -> Cluster {
        Cluster { clients: clients.clone() }
    }

    async fn named(&self, name: &str) -> Result<Option<SdkCluster>, CloudError> {
        let mut pages = self.clients.kafka.list_clusters_v2().cluster_name_filter(name).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| classify("kafka:ListClustersV2", &error))?;
            // The filter is a prefix.
            let mut clusters = page.cluster_info_list.unwrap_or_default().into_iter();
            if let Some(found) = clusters.find(|cluster| cluster.cluster_name.as_deref() == Some(name)) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// A cluster whose outputs are recorded. Where its brokers answer changes with their number and with what clients speak,
    /// and is asked for only then.
    async fn read_recorded(&self, arn: &str, recorded: LiveCluster) -> Result<Option<LiveCluster>, CloudError> {
        let Some(found) = describe_cluster(&self.clients, arn).await? else { return Ok(None) };
        if found.state == Some(ClusterState::Deleting) {
            return Ok(None);
        }
        let (there, was) = (live::inputs(&found), &recorded.inputs);
        let same = (there.brokers, &there.client_broker, there.iam) == (was.brokers, &was.client_broker, was.iam);
        if same && found.state == Some(ClusterState::Active) {
            let outputs = ClusterOutputs { failure: None, condition: None, ..recorded.outputs };
            return Ok(Some(Live { inputs: there, outputs }));
        }
        live(&self.clients, &found).await.map(Some)
    }

    /// Waits until the cluster is ACTIVE and returns its description.
    async fn active(&self, call: &Call, arn: &str) -> Result<SdkCluster, CloudError> {
        wait_until(call, &format!("waiting for the cluster {arn}"), PACE, || async {
            Ok(match describe_cluster(&self.clients, arn).await? {
                None => Progress::Unseen,
                Some(found) => match &found.state {
                    Some(ClusterState::Active) => Progress::Ready(found),
                    Some(ClusterState::Failed) => Progress::Failed(why_failed(&found)),
                    Some(ClusterState::Deleting) => Progress::Failed("somebody is deleting the cluster".to_owned()),
                    state => {
                        Progress::Pending(state.as_ref().map_or("in no state yet", ClusterState::as_str).to_owned())
                    }
                },
            })
        })
        .await
    }

    async fn gone(&self, call: &Call, arn: &str) -> Result<(), CloudError> {
        wait_until(call, &format!("waiting for the cluster {arn} to be gone"), PACE, || async {
            Ok(match describe_cluster(&self.clients, arn).await? {
                None => Progress::Ready(()),
                Some(found) => match &found.state {
                    Some(ClusterState::Failed) => Progress::Failed(why_failed(&found)),
                    state => Progress::Pending(state.as_ref().map_or("in no state", ClusterState::as_str).to_owned()),
                },
            })
        })
        .await
    }

    /// The subnets asked for, or those of the default VPC.
    async fn subnets(&self, new: &ClusterInputs) -> Result<Vec<String>, CloudError> {
        if let Some(subnets) = &new.subnets {
            return Ok(subnets.clone());
        }
        let found = default_subnets(&self.clients).await?;
        let usable = found.into_iter().filter(|subnet| subnet.availability_zone_id() != Some(ZONE_WITHOUT_MSK));
        let usable: Vec<String> = usable.filter_map(|subnet| subnet.subnet_id).collect();
        if usable.is_empty() {
            return Err(no_default_vpc());
        }
        let zones = zones_for(new.brokers, usable.len());
        Ok(usable.into_iter().take(zones).collect())
    }

    async fn request(&self, new: &ClusterInputs) -> Result<ProvisionedRequest, CloudError> {
        let groups = new.security_groups.iter().map(|id| id.known().cloned()).collect::<Result<Vec<_>, _>>()?;
        let storage = match new.storage_gib {
            Some(gib) => {
                let volume = EbsStorageInfo::builder().volume_size(count(gib)?).build();
                Some(StorageInfo::builder().ebs_storage_info(volume).build())
            }
            None => None,
        };
        let group = BrokerNodeGroupInfo::builder()
            .set_client_subnets(Some(self.subnets(new).await?))
            .instance_type(&new.instance)
            .set_security_groups(Some(groups))
            .set_storage_info(storage);
        let in_transit = EncryptionInTransit::builder().client_broker(client_broker(new)).in_cluster(true).build();
        Ok(ProvisionedRequest::builder()
            .broker_node_group_info(group.build())
            .client_authentication(authentication(new))
            .set_configuration_info(configuration(new)?)
            .encryption_info(EncryptionInfo::builder().encryption_in_transit(in_transit).build())
            .enhanced_monitoring(monitoring(new))
            .kafka_version(&new.kafka_version)
            .number_of_broker_nodes(count(new.brokers)?)
            .build())
    }

    /// Brings the cluster from what it is to `new`, one operation after another.
    async fn bring(&self, call: &Call, arn: &str, new: &ClusterInputs) -> Result<(), CloudError> {
        let old = live::inputs(&self.active(call, arn).await?);
        retag(&self.clients, arn, &old.tags, &new.tags).await?;
        for family in families(&old, new) {
            self.operate(call, arn, family, new).await?;
        }
        Ok(())
    }

    /// One operation, under the version that the cluster has when it is its turn.
    async fn operate(&self, call: &Call, arn: &str, family: Family, new: &ClusterInputs) -> Result<(), CloudError> {
        let what = family.doing();
        let operation = wait_until(call, what, PACE, || async {
            let found = self.active(call, arn).await?;
            // An earlier try got through, and its answer was lost.
            if !families(&live::inputs(&found), new).contains(&family) {
                return Ok(Progress::Ready(None));
            }
            match Box::pin(send(&self.clients, family, &found, new)).await {
                Ok(operation) => Ok(Progress::Ready(Some(operation))),
                Err(error) if error.kind == ErrorKind::Conflict => Ok(Progress::Held(error)),
                Err(error) => Err(error),
            }
        })
        .await?;
        let Some(operation) = operation else { return Ok(()) };
        call.progress(what);
        completed(&self.clients, call, what, &operation).await
    }
}

/// In how many of `there` zones `brokers` go: each has equally many of them, and MSK wants two zones or three.
fn zones_for(brokers: u32, there: usize) -> usize {
    let fits = |zones: &usize| *zones <= there && (brokers as usize).is_multiple_of(*zones);
    [3, 2].into_iter().find(fits).unwrap_or(there.min(2))
}

/// Subnets of the default VPC that nobody named are as good as any.
fn comparable(live: LiveCluster, asked: &[ClusterInputs]) -> ClusterInputs {
    let mut inputs = live.inputs;
    if asked.iter().all(|asked| asked.subnets.is_none()) {
        inputs.subnets = None;
    }
    inputs
}

fn beyond_update(live: &LiveCluster, new: &ClusterInputs) -> Option<String> {
    if let Some(failure) = &live.outputs.failure {
        return Some(format!("it will never be usable: {failure}"));
    }
    let old = &live.inputs;
    if version(&new.kafka_version) < version(&old.kafka_version) {
        return Some(format!("Kafka cannot go from {} down to {}", old.kafka_version, new.kafka_version));
    }
    if old.configuration.is_some() && new.configuration.is_none() {
        return Some("a cluster keeps a configuration once it has one".to_owned());
    }
    if new.brokers < old.brokers {
        // "Remove brokers from an Amazon MSK cluster" (developer guide): only those without partitions, and not of all types.
        return Some(format!("a cluster with topics cannot go from {} to {} brokers", old.brokers, new.brokers));
    }
    match (old.storage_gib, new.storage_gib) {
        (Some(old), Some(new)) if new < old => Some(format!("storage cannot go from {old} down to {new} GiB")),
        (Some(_), None) | (None, Some(_)) => {
            Some("standard brokers cannot become express ones, or the reverse".to_owned())
        }
        _ => None,
    }
}

/// As many brokers in each zone; which zones, is for the cluster's life.
fn refused(live: &LiveCluster, new: &ClusterInputs) -> Option<String> {
    let zones = u32::try_from(live.outputs.subnets.len()).ok().filter(|zones| *zones > 0)?;
    (!new.brokers.is_multiple_of(zones)).then(|| {
        let next = new.brokers.next_multiple_of(zones);
        format!("it is in {zones} zones, each with as many brokers: not {}, but such as {next}", new.brokers)
    })
}

/// The numbers in a version such as `3.8.x` or `3.7.x.kraft`.
fn version(text: &str) -> Vec<u32> {
    text.split('.').map_while(|part| part.parse().ok()).collect()
}

impl Resource for Cluster {
    const INFO: KindInfo = KindInfo {
        kind: "msk/cluster",
        summary: "a provisioned MSK cluster: encrypted at rest, and between its brokers",
        fields: &[
            Field {
                name: "name",
                on_change: OnChange::Replace,
                doc: "unique in account and region, 1 to 64 characters",
            },
            Field {
                name: "kafka_version",
                on_change: OnChange::Update,
                doc: "such as `3.8.x`; up in place, broker by broker, and down by another cluster",
            },
            Field {
                name: "brokers",
                on_change: OnChange::Update,
                doc: "how many, a multiple of the number of subnets; more in place, though new ones get no partitions by \
                      themselves, and fewer by another cluster",
            },
            Field {
                name: "instance",
                on_change: OnChange::Update,
                doc: "the type of the brokers, such as `kafka.m7g.large` or `express.m7g.large`",
            },
            Field {
                name: "storage_gib",
                on_change: OnChange::Update,
                doc: "of each broker, 1 to 16,384; it only grows, every six hours at most; none for express brokers",
            },
            Field {
                name: "subnets",
                on_change: OnChange::Replace,
                doc: "one in each of two or three zones; none for those of the default VPC",
            },
            Field { name: "security_groups", on_change: OnChange::Replace, doc: "ids of the brokers' security groups" },
            Field {
                name: "configuration",
                on_change: OnChange::Update,
                doc: "a configuration's ARN and revision; brokers restart one by one where a property needs it",
            },
            Field {
                name: "monitoring",
                on_change: OnChange::Update,
                doc: "what CloudWatch is told: `DEFAULT`, `PER_BROKER`, `PER_TOPIC_PER_BROKER`, `PER_TOPIC_PER_PARTITION`",
            },
            Field {
                name: "client_broker",
                on_change: OnChange::Update,
                doc: "what clients speak: `TLS`, `TLS_PLAINTEXT` or `PLAINTEXT`",
            },
            Field { name: "iam", on_change: OnChange::Update, doc: "whether clients show who they are by IAM" },
            Field { name: "tags", on_change: OnChange::Update, doc: "the stack's tags and pinfra's own" },
        ],
        outputs: &[
            ("arn", "the cluster's ARN"),
            ("name", "its name"),
            ("bootstrap_iam", "the brokers that take IAM clients, `host:port` separated by commas"),
            ("bootstrap", "the brokers that take clients in plain text, where there are any"),
            ("subnets", "where the brokers are"),
            ("topics_arn", "the beginning of its topics' ARNs"),
            ("groups_arn", "the beginning of its consumer groups' ARNs"),
            ("transactional_ids_arn", "the beginning of its transactional ids' ARNs"),
            ("failure", "why it will never be usable, where that is so"),
            ("condition", "why it does not serve as it should now, where that is so"),
        ],
        loses: "every topic with its events",
        usual_create: Duration::from_secs(25 * 60),
        usual_update: Duration::from_secs(30 * 60),
        usual_delete: Duration::from_secs(5 * 60),
    };
    const CHANGING_OUTPUTS: &'static [&'static str] = &["bootstrap_iam", "bootstrap"];
    const BEYOND_UPDATE: Option<BeyondUpdate<ClusterInputs, ClusterOutputs>> = Some(beyond_update);
    const REFUSED: Option<Refused<ClusterInputs, ClusterOutputs>> = Some(refused);
    const COMPARABLE: Option<Comparable<ClusterInputs, ClusterOutputs>> = Some(comparable);

    type Inputs = ClusterInputs;
    type Outputs = ClusterOutputs;

    async fn create(&self, call: &Call, new: &ClusterInputs) -> Result<String, CloudError> {
        let request = self.request(new).await?;
        let send = || async {
            let create = self.clients.kafka.create_cluster_v2().cluster_name(&new.name).provisioned(request.clone());
            let sent = Box::pin(create.set_tags(Some(new.tags.clone().into_iter().collect())).send()).await;
            let made = sent.map_err(|error| classify("kafka:CreateClusterV2", &error))?;
            made.cluster_arn.ok_or_else(|| incomplete("kafka:CreateClusterV2", "ARN"))
        };
        once_name_is_free(call, send, || async {
            let Some(found) = self.named(&new.name).await? else { return Ok(true) };
            let leaves = found.state == Some(ClusterState::Deleting);
            if leaves {
                self.gone(call, found.cluster_arn.as_deref().unwrap_or_default()).await?;
            }
            Ok(leaves)
        })
        .await
    }

    async fn settle(&self, call: &Call, id: &str, new: &ClusterInputs) -> Result<LiveCluster, CloudError> {
        let now = live(&self.clients, &self.active(call, id).await?).await?;
        let outputs = now.outputs.clone();
        if comparable(now, std::slice::from_ref(new)) == *new {
            return Ok(Live { inputs: new.clone(), outputs });
        }
        self.bring(call, id, new).await?;
        let found = self.active(call, id).await?;
        Ok(Live { inputs: new.clone(), outputs: live(&self.clients, &found).await?.outputs })
    }

    async fn read(&self, id: &str) -> Result<Option<LiveCluster>, CloudError> {
        if let Some(recorded) = self.clients.recorded::<Cluster>(id) {
            return self.read_recorded(id, recorded).await;
        }
        let both = async { futures::join!(describe_cluster(&self.clients, id), bootstrap(&self.clients, id)) };
        let (found, answer) = Box::pin(both).await;
        let Some(found) = found?.filter(|found| found.state != Some(ClusterState::Deleting)) else { return Ok(None) };
        let answer = if answering_at(&found).is_some() { Some(answer?) } else { None };
        live_with(&self.clients, &found, answer).await.map(Some)
    }

    async fn find(&self, new: &ClusterInputs) -> Result<Option<Found>, CloudError> {
        let found = self.named(&new.name).await?.filter(|found| found.state != Some(ClusterState::Deleting));
        Ok(found.map(|found| {
            let tags: Tags = found.tags.unwrap_or_default().into_iter().collect();
            Found { id: found.cluster_arn.unwrap_or_default(), owner: tags::owner(&new.tags, &tags) }
        }))
    }

    async fn update(&self, call: &Call, id: &str, _old: &ClusterInputs, new: &ClusterInputs) -> Result<(), CloudError> {
        self.bring(call, id, new).await
    }

    fn id_in(global_name: &str) -> Option<String> {
        global_name.contains(":cluster/").then(|| global_name.to_owned())
    }

    async fn delete(&self, call: &Call, id: &str) -> Result<(), CloudError> {
        let look = || async {
            let state = describe_cluster(&self.clients, id).await?.and_then(|found| found.state);
            Ok(match state {
                None | Some(ClusterState::Deleting) => Activity::Gone,
                Some(ClusterState::Active | ClusterState::Failed) => Activity::Idle,
                Some(busy) => Activity::Busy(busy.as_str().to_owned()),
            })
        };
        let send = || async {
            let sent = self.clients.kafka.delete_cluster().cluster_arn(id).send().await;
            sent.map(drop).map_err(|error| classify("kafka:DeleteCluster", &error))
        };
        delete_once_idle(call, &format!("deleting the cluster {id}"), PACE, look, send).await?;
        self.gone(call, id).await
    }
}

/// Brings the tags from `old` to `new`.
async fn retag(clients: &Clients, arn: &str, old: &Tags, new: &Tags) -> Result<(), CloudError> {
    let (put, remove) = tags::difference(old, new);
    if !put.is_empty() {
        let request = clients.kafka.tag_resource().resource_arn(arn).set_tags(Some(put.into_iter().collect()));
        request.send().await.map_err(|error| classify("kafka:TagResource", &error))?;
    }
    if !remove.is_empty() {
        let request = clients.kafka.untag_resource().resource_arn(arn).set_tag_keys(Some(remove));
        request.send().await.map_err(|error| classify("kafka:UntagResource", &error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(in crate::msk) fn inputs() -> ClusterInputs {
        ClusterInputs {
            name: "pins".to_owned(),
            kafka_version: "3.7.x".to_owned(),
            brokers: 2,
            instance: "kafka.m7g.large".to_owned(),
            storage_gib: Some(100),
            subnets: Some(vec!["subnet-a".to_owned(), "subnet-b".to_owned()]),
            security_groups: Vec::new(),
            configuration: None,
            monitoring: "DEFAULT".to_owned(),
            client_broker: "TLS".to_owned(),
            iam: true,
            tags: Tags::new(),
        }
    }

    fn found(inputs: ClusterInputs) -> LiveCluster {
        let text = String::new;
        let outputs = ClusterOutputs {
            arn: text(),
            name: text(),
            bootstrap_iam: text(),
            bootstrap: None,
            subnets: Vec::new(),
            topics_arn: text(),
            groups_arn: text(),
            transactional_ids_arn: text(),
            failure: None,
            condition: None,
        };
        Live { inputs, outputs }
    }

    #[test]
    fn brokers_go_into_as_many_zones_as_divide_them() {
        let zones = |brokers| zones_for(brokers, 6);
        assert_eq!([2, 3, 4, 6, 9].map(zones), [2, 3, 2, 3, 3]);
        assert_eq!(zones_for(6, 2), 2);
        assert_eq!(zones_for(1, 6), 2, "MSK says what is wrong with it");
    }

    #[test]
    fn what_only_grows_is_replaced_when_it_shrinks() {
        let live = found(inputs());
        let reason = |change: fn(&mut ClusterInputs)| {
            let mut new = inputs();
            change(&mut new);
            beyond_update(&live, &new)
        };
        assert_eq!(reason(|new| new.kafka_version = "3.8.x".to_owned()), None);
        assert_eq!(reason(|new| new.kafka_version = "3.10.x".to_owned()), None);
        assert_eq!(reason(|new| new.storage_gib = Some(101)), None);
        assert!(reason(|new| new.kafka_version = "3.6.0".to_owned()).unwrap().contains("3.7.x down to 3.6.0"));
        assert!(reason(|new| new.storage_gib = Some(99)).unwrap().contains("100 down to 99"));
        assert_eq!(reason(|new| new.brokers = 4), None);
        assert!(reason(|new| new.brokers = 1).unwrap().contains("from 2 to 1 brokers"));
        assert!(reason(|new| new.storage_gib = None).unwrap().contains("express"));
        let mut failed = found(inputs());
        failed.outputs.failure = Some("no addresses".to_owned());
        assert!(beyond_update(&failed, &inputs()).unwrap().ends_with("no addresses"));
    }

    #[test]
    fn brokers_that_do_not_go_into_its_zones_are_refused() {
        let mut live = found(inputs());
        live.outputs.subnets = vec!["subnet-a".to_owned(), "subnet-b".to_owned(), "subnet-c".to_owned()];
        let asked = |brokers| refused(&live, &ClusterInputs { brokers, ..inputs() });
        assert_eq!((asked(3), asked(6)), (None, None));
        assert!(asked(4).unwrap().ends_with("not 4, but such as 6"));
    }

    #[test]
    fn subnets_that_were_never_named_are_not_compared() {
        let unnamed = ClusterInputs { subnets: None, ..inputs() };
        assert_eq!(comparable(found(inputs()), &[unnamed.clone(), unnamed.clone()]), unnamed);
        assert_eq!(comparable(found(inputs()), &[unnamed, inputs()]), inputs());
    }

    #[test]
    fn changes_come_in_the_order_that_works() {
        let configuration = ClusterConfiguration { arn: Input::Known("a".to_owned()), revision: Input::Known(2) };
        let mut new = ClusterInputs { iam: false, brokers: 4, configuration: Some(configuration), ..inputs() };
        assert_eq!(families(&inputs(), &new), [Family::Brokers, Family::Configuration, Family::Security]);
        new.kafka_version = "3.8.x".to_owned();
        // The upgrade takes the configuration along.
        assert_eq!(families(&inputs(), &new), [Family::Brokers, Family::Version, Family::Security]);
        assert_eq!(families(&new, &new), []);
    }
}
