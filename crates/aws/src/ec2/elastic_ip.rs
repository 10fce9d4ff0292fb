//! `ec2/elastic_ip`: a public address that stays when its machine is stopped and started, for machines that somebody outside
//! connects to.

use std::time::Duration;

use aws_sdk_ec2::config::Builder;
use aws_sdk_ec2::types::{Address as SdkAddress, DomainType, ResourceType};
use pinfra_engine::value::Input;
use pinfra_engine::{Call, CloudError, ErrorKind, Field, Found, KindInfo, Live, OnChange, Owner, Resource};
use serde::{Deserialize, Serialize};

use super::{bring_tags, from_sdk, owned, specification};
use crate::clients::Clients;
use crate::error::{classify, incomplete, unless_gone, unseen};
use crate::retries::SentOnce;
use crate::tags::Tags;
use crate::wait::{Pace, Progress, wait_until};

/// A machine takes an address once it runs.
const PACE: Pace = Pace { slowest: Duration::from_secs(5), limit: Duration::from_secs(5 * 60) };

/// What a stack asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ElasticIpInputs {
    /// The machine that has it; none for nobody.
    pub instance: Option<Input<String>>,
    /// The user's and pinfra's own.
    pub tags: Tags,
}

/// What AWS answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElasticIpOutputs {
    /// Its id, `eipalloc-…`.
    pub id: String,
    /// The address.
    pub public_ip: String,
}

/// The kind.
#[derive(Clone, Debug)]
pub struct ElasticIp {
    clients: Clients,
}

impl ElasticIp {
    /// The kind, calling these clients.
    pub fn new(clients: &Clients) -> ElasticIp {
        ElasticIp { clients: clients.clone() }
    }

    async fn describe(&self, id: &str) -> Result<Option<SdkAddress>, CloudError> {
        let answer = self.clients.ec2.describe_addresses().allocation_ids(id).send().await;
        let answer = unless_gone(answer.map_err(|error| classify("ec2:DescribeAddresses", &error)))?;
        Ok(answer.and_then(|answer| answer.addresses?.into_iter().next()))
    }

    async fn bring(&self, call: &Call, id: &str, new: &ElasticIpInputs) -> Result<(), CloudError> {
        let Some(found) = self.describe(id).await? else {
            return Err(unseen("ec2:DescribeAddresses", &format!("the address {id}")));
        };
        bring_tags(&self.clients, id, &from_sdk(found.tags()), &new.tags).await?;
        let wanted = new.instance.as_ref().map(Input::known).transpose()?;
        let has = found.instance_id().filter(|instance| !instance.is_empty());
        match (has, wanted) {
            (has, Some(wanted)) if has == Some(wanted.as_str()) => Ok(()),
            (None, None) => Ok(()),
            (_, Some(wanted)) => self.associate(call, id, wanted).await,
            (Some(_), None) => self.disassociate(&found).await,
        }
    }

    async fn associate(&self, call: &Call, id: &str, instance: &str) -> Result<(), CloudError> {
        wait_until(call, &format!("giving the address {id} to {instance}"), PACE, || async {
            let request = self.clients.ec2.associate_address().allocation_id(id).instance_id(instance);
            match request.allow_reassociation(true).send().await.map_err(|e| classify("ec2:AssociateAddress", &e)) {
                Ok(_) => Ok(Progress::Ready(())),
                // "The pending instance … is not in a valid state for this operation" (EC2 error codes).
                Err(error) if error.code.as_deref() == Some("InvalidInstanceID") => {
                    Ok(Progress::Pending("the machine is not running yet".to_owned()))
                }
                Err(error) => Err(error),
            }
        })
        .await
    }

    async fn disassociate(&self, found: &SdkAddress) -> Result<(), CloudError> {
        let Some(association) = found.association_id() else { return Ok(()) };
        let sent = self.clients.ec2.disassociate_address().association_id(association).send().await;
        unless_gone(sent.map(drop).map_err(|error| classify("ec2:DisassociateAddress", &error))).map(drop)
    }
}

fn live(found: &SdkAddress) -> Live<ElasticIpInputs, ElasticIpOutputs> {
    let instance = found.instance_id().filter(|instance| !instance.is_empty());
    Live {
        inputs: ElasticIpInputs {
            instance: instance.map(|instance| Input::Known(instance.to_owned())),
            tags: from_sdk(found.tags()),
        },
        outputs: ElasticIpOutputs {
            id: found.allocation_id().unwrap_or_default().to_owned(),
            public_ip: found.public_ip().unwrap_or_default().to_owned(),
        },
    }
}

impl Resource for ElasticIp {
    const INFO: KindInfo = KindInfo {
        kind: "ec2/elastic_ip",
        summary: "a public address that stays when its machine is stopped and started",
        fields: &[
            Field { name: "instance", on_change: OnChange::Update, doc: "the machine that has it" },
            Field { name: "tags", on_change: OnChange::Update, doc: "the stack's tags and pinfra's own" },
        ],
        outputs: &[("id", "the allocation's id"), ("public_ip", "the address")],
        loses: "the address itself, which is given to somebody else",
        usual_create: Duration::from_secs(3),
        usual_update: Duration::from_secs(3),
        usual_delete: Duration::from_secs(3),
    };

    const KNOWN_AGAIN: bool = false;

    type Inputs = ElasticIpInputs;
    type Outputs = ElasticIpOutputs;

    async fn create(&self, _call: &Call, new: &ElasticIpInputs) -> Result<String, CloudError> {
        let request = self.clients.ec2.allocate_address().domain(DomainType::Vpc);
        let request = request.tag_specifications(specification(ResourceType::ElasticIp, &new.tags));
        // Addresses have no names, and the API has no client token.
        let sent = request.customize().config_override(Builder::new().retry_classifier(SentOnce)).send().await;
        let made = sent.map_err(|error| classify("ec2:AllocateAddress", &error))?;
        made.allocation_id.ok_or_else(|| incomplete("ec2:AllocateAddress", "allocation id"))
    }

    async fn settle(
        &self,
        call: &Call,
        id: &str,
        new: &ElasticIpInputs,
    ) -> Result<Live<ElasticIpInputs, ElasticIpOutputs>, CloudError> {
        self.bring(call, id, new).await?;
        match self.describe(id).await? {
            Some(found) => Ok(live(&found)),
            None => Err(unseen("ec2:DescribeAddresses", &format!("the address {id}"))),
        }
    }

    async fn read(&self, id: &str) -> Result<Option<Live<ElasticIpInputs, ElasticIpOutputs>>, CloudError> {
        Ok(self.describe(id).await?.as_ref().map(live))
    }

    async fn find(&self, new: &ElasticIpInputs) -> Result<Option<Found>, CloudError> {
        let request = self.clients.ec2.describe_addresses().set_filters(Some(owned(&new.tags)));
        let answer = request.send().await.map_err(|error| classify("ec2:DescribeAddresses", &error))?;
        let found = answer.addresses().iter().filter_map(|found| found.allocation_id()).min();
        Ok(found.map(|id| Found { id: id.to_owned(), owner: Owner::Ours }))
    }

    async fn update(
        &self,
        call: &Call,
        id: &str,
        _old: &ElasticIpInputs,
        new: &ElasticIpInputs,
    ) -> Result<(), CloudError> {
        self.bring(call, id, new).await
    }

    async fn delete(&self, call: &Call, id: &str) -> Result<(), CloudError> {
        let Some(found) = self.describe(id).await? else { return Ok(()) };
        self.disassociate(&found).await?;
        wait_until(call, &format!("releasing the address {id}"), PACE, || async {
            let sent = self.clients.ec2.release_address().allocation_id(id).send().await;
            match sent.map(drop).map_err(|error| classify("ec2:ReleaseAddress", &error)) {
                Ok(()) => Ok(Progress::Ready(())),
                Err(error) if error.kind == ErrorKind::NotFound => Ok(Progress::Ready(())),
                Err(error) if error.code.as_deref() == Some("InvalidIPAddress.InUse") => Ok(Progress::Held(error)),
                Err(error) => Err(error),
            }
        })
        .await
    }
}
