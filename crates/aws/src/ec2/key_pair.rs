//! `ec2/key_pair`: the public half of an SSH key that may log in.

use std::time::Duration;

use aws_sdk_ec2::primitives::Blob;
use aws_sdk_ec2::types::{KeyPairInfo, ResourceType};
use pinfra_engine::{Call, CloudError, Field, Found, KindInfo, Live, OnChange, Resource};
use serde::{Deserialize, Serialize};

use super::{bring_tags, from_sdk, specification};
use crate::clients::Clients;
use crate::error::{classify, incomplete, unless_gone, unseen};
use crate::tags::{self, Tags};

/// What a stack asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyPairInputs {
    /// Unique in the region.
    pub name: String,
    /// The public key as OpenSSH writes it, without its comment: `ssh-ed25519 AAAA…`.
    pub public_key: String,
    /// The user's and pinfra's own.
    pub tags: Tags,
}

/// What AWS answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPairOutputs {
    /// Its name.
    pub name: String,
    /// Its id, `key-…`.
    pub id: String,
}

/// A public key without its comment, which EC2 replaces by the key pair's name.
pub fn without_comment(public_key: &str) -> String {
    public_key.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// The kind.
#[derive(Clone, Debug)]
pub struct KeyPair {
    clients: Clients,
}

impl KeyPair {
    /// The kind, calling these clients.
    pub fn new(clients: &Clients) -> KeyPair {
        KeyPair { clients: clients.clone() }
    }

    /// By id (`key-…`): names can be given to another pair.
    async fn describe(&self, id: Option<&str>, name: Option<&str>) -> Result<Option<KeyPairInfo>, CloudError> {
        let request = self.clients.ec2.describe_key_pairs().include_public_key(true);
        let request = request.set_key_pair_ids(id.map(|id| vec![id.to_owned()]));
        let answer = request.set_key_names(name.map(|name| vec![name.to_owned()])).send().await;
        let answer = unless_gone(answer.map_err(|error| classify("ec2:DescribeKeyPairs", &error)))?;
        Ok(answer.and_then(|answer| answer.key_pairs?.into_iter().next()))
    }
}

fn live(found: &KeyPairInfo) -> Live<KeyPairInputs, KeyPairOutputs> {
    let name = found.key_name().unwrap_or_default().to_owned();
    let inputs = KeyPairInputs {
        name: name.clone(),
        public_key: without_comment(found.public_key().unwrap_or_default()),
        tags: from_sdk(found.tags()),
    };
    Live { inputs, outputs: KeyPairOutputs { name, id: found.key_pair_id().unwrap_or_default().to_owned() } }
}

impl Resource for KeyPair {
    const INFO: KindInfo = KindInfo {
        kind: "ec2/key_pair",
        summary: "a public SSH key that may log in",
        fields: &[
            Field { name: "name", on_change: OnChange::Replace, doc: "unique in the region, up to 255 characters" },
            Field {
                name: "public_key",
                on_change: OnChange::Replace,
                doc: "an RSA or ED25519 key as OpenSSH writes it, without its comment",
            },
            Field { name: "tags", on_change: OnChange::Update, doc: "the stack's tags and pinfra's own" },
        ],
        outputs: &[("name", "the pair's name"), ("id", "its id")],
        loses: "",
        usual_create: Duration::from_secs(1),
        usual_update: Duration::from_secs(1),
        usual_delete: Duration::from_secs(1),
    };

    type Inputs = KeyPairInputs;
    type Outputs = KeyPairOutputs;

    async fn create(&self, _call: &Call, new: &KeyPairInputs) -> Result<String, CloudError> {
        let request = self.clients.ec2.import_key_pair().key_name(&new.name);
        let request = request.public_key_material(Blob::new(new.public_key.as_bytes()));
        let request = request.tag_specifications(specification(ResourceType::KeyPair, &new.tags));
        let made = request.send().await.map_err(|error| classify("ec2:ImportKeyPair", &error))?;
        made.key_pair_id.ok_or_else(|| incomplete("ec2:ImportKeyPair", "key pair id"))
    }

    async fn settle(
        &self,
        _call: &Call,
        id: &str,
        new: &KeyPairInputs,
    ) -> Result<Live<KeyPairInputs, KeyPairOutputs>, CloudError> {
        match self.read(id).await? {
            Some(now) => {
                bring_tags(&self.clients, id, &now.inputs.tags, &new.tags).await?;
                Ok(Live { inputs: KeyPairInputs { tags: new.tags.clone(), ..now.inputs }, outputs: now.outputs })
            }
            None => Err(unseen("ec2:DescribeKeyPairs", &format!("the key pair {id}"))),
        }
    }

    async fn read(&self, id: &str) -> Result<Option<Live<KeyPairInputs, KeyPairOutputs>>, CloudError> {
        Ok(self.describe(Some(id), None).await?.as_ref().map(live))
    }

    async fn find(&self, new: &KeyPairInputs) -> Result<Option<Found>, CloudError> {
        let Some(found) = self.describe(None, Some(&new.name)).await? else { return Ok(None) };
        let owner = tags::owner(&new.tags, &from_sdk(found.tags()));
        Ok(Some(Found { id: found.key_pair_id().unwrap_or_default().to_owned(), owner }))
    }

    async fn update(&self, _call: &Call, id: &str, old: &KeyPairInputs, new: &KeyPairInputs) -> Result<(), CloudError> {
        bring_tags(&self.clients, id, &old.tags, &new.tags).await
    }

    async fn delete(&self, _call: &Call, id: &str) -> Result<(), CloudError> {
        let sent = self.clients.ec2.delete_key_pair().key_pair_id(id).send().await;
        unless_gone(sent.map(drop).map_err(|error| classify("ec2:DeleteKeyPair", &error))).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_no_part_of_a_key() {
        assert_eq!(without_comment("ssh-ed25519  AAAA me@host\n"), "ssh-ed25519 AAAA");
        assert_eq!(without_comment("ssh-ed25519 AAAA"), "ssh-ed25519 AAAA");
    }
}
