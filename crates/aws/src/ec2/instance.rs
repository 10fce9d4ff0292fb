//! `ec2/instance`: a machine.
//!
//! Its image is named by a public SSM parameter. What that parameter says changes with every release of the image,
//! which is no reason to replace a machine, so the parameter's name is kept in a tag and compared instead. Running is
//! not ready: whether what user data starts works is found out by whoever needs it.

use std::time::Duration;

use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_sdk_ec2::types::{
    AttributeValue, BlockDeviceMapping, EbsBlockDevice, HttpTokensState, IamInstanceProfileSpecification,
    Instance as SdkInstance, InstanceAttributeName, InstanceMetadataEndpointState, InstanceMetadataOptionsRequest,
    InstanceStateName, InstanceType, ResourceType, Volume, VolumeType,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pinfra_engine::resource::Idle;
use pinfra_engine::value::Input;
use pinfra_engine::{Address, Call, CloudError, Field, Found, KindInfo, Live, OnChange, Owner, Resource};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{bring_tags, filter, from_sdk, owned, specification};
use crate::clients::Clients;
use crate::error::{classify, incomplete, unless_gone};
use crate::tags::Tags;
use crate::wait::{Pace, Progress, wait_until};

/// Running after 15 to 60 s; stopping and terminating can take minutes.
const PACE: Pace = Pace { slowest: Duration::from_secs(5), limit: Duration::from_secs(15 * 60) };
/// A new instance profile is unknown to EC2 for some ten seconds (field reports).
const PROFILE_PACE: Pace = Pace { slowest: Duration::from_secs(3), limit: Duration::from_secs(2 * 60) };

/// A new machine has its root volume within seconds.
const VOLUME_PACE: Pace = Pace { slowest: Duration::from_secs(2), limit: Duration::from_secs(60) };

/// The tag that keeps the name of the image's SSM parameter.
const IMAGE_TAG: &str = "pinfra:image";
/// The tag of a machine whose subnet was asked for: which one of the default VPC another one came into does not matter.
const SUBNET_TAG: &str = "pinfra:subnet";
/// The tag that the console shows as the machine's name.
const NAME_TAG: &str = "Name";
/// The root device of Ubuntu's images and of most others.
const ROOT_DEVICE: &str = "/dev/sda1";

/// What a stack asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceInputs {
    /// What the console shows.
    pub name: String,
    /// The public SSM parameter that names the image.
    pub image: String,
    /// Such as `t3.small`.
    #[serde(rename = "type")]
    pub instance_type: String,
    /// The subnet; `None` for one of the default VPC.
    pub subnet: Option<String>,
    /// Ids of its security groups, sorted.
    pub security_groups: Vec<Input<String>>,
    /// The name of its instance profile.
    pub profile: Input<String>,
    /// The name of the key pair that may log in.
    pub key: Option<Input<String>>,
    /// Run at the first boot; up to 16 KiB.
    pub user_data: String,
    /// Whether the metadata service asks for session tokens (IMDSv2).
    pub metadata_tokens_required: bool,
    /// Whether the root volume is encrypted.
    pub encrypted: bool,
    /// The user's and pinfra's own.
    pub tags: Tags,
}

/// What AWS answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceOutputs {
    /// Its id, `i-…`.
    pub id: String,
    /// Its address in the VPC.
    pub private_ip: String,
    /// Its public address, where it has one; another one after each stop and start.
    pub public_ip: Option<String>,
    /// The image that it was made from.
    pub image_id: String,
    /// When it was started last, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<i64>,
    /// The volume that it starts from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_volume: Option<String>,
    /// Why it does not work now, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
}

type LiveInstance = Live<InstanceInputs, InstanceOutputs>;

/// The kind.
#[derive(Clone, Debug)]
pub struct Instance {
    clients: Clients,
}

impl Instance {
    /// The kind, calling these clients.
    pub fn new(clients: &Clients) -> Instance {
        Instance { clients: clients.clone() }
    }

    /// As EC2 has it, also while it is terminated.
    async fn describe(&self, id: &str) -> Result<Option<SdkInstance>, CloudError> {
        let answer = self.clients.ec2.describe_instances().instance_ids(id).send().await;
        let answer = unless_gone(answer.map_err(|error| classify("ec2:DescribeInstances", &error)))?;
        let reservations = answer.and_then(|answer| answer.reservations).unwrap_or_default();
        Ok(reservations.into_iter().flat_map(|reservation| reservation.instances.unwrap_or_default()).next())
    }

    async fn image(&self, parameter: &str) -> Result<String, CloudError> {
        let answer = self.clients.ssm.get_parameter().name(parameter).send().await;
        let answer = answer.map_err(|error| {
            classify("ssm:GetParameter", &error)
                .with_hint(format!("`{parameter}` is to name the machine's image in this region"))
        })?;
        let value = answer.parameter.and_then(|parameter| parameter.value);
        value.ok_or_else(|| incomplete("ssm:GetParameter", "value"))
    }

    async fn live(&self, found: &SdkInstance) -> Result<LiveInstance, CloudError> {
        let id = found.instance_id().unwrap_or_default().to_owned();
        let (user_data, volumes) = futures::try_join!(self.user_data(&id), self.volumes(&id))?;
        let encrypted = self.encrypted(found, &volumes).await?;
        Ok(live(found, user_data, encrypted))
    }

    /// A machine of which is recorded when it was started and what its root volume is: user data changes only while a machine
    /// is stopped, and whether a volume is encrypted never does (EC2 user guide).
    async fn read_recorded(&self, id: &str, recorded: LiveInstance) -> Result<Option<LiveInstance>, CloudError> {
        let Some(found) = self.describe(id).await?.filter(|found| !is_leaving(found)) else { return Ok(None) };
        let (was, now) = (&recorded.outputs, live(&found, String::new(), false).outputs);
        let ran_on = now.condition.is_none() && now.started.is_some() && now.started == was.started;
        let user_data = async { if ran_on { Ok(recorded.inputs.user_data.clone()) } else { self.user_data(id).await } };
        let encrypted = async {
            if now.root_volume.is_some() && now.root_volume == was.root_volume {
                return Ok(recorded.inputs.encrypted);
            }
            self.encrypted(&found, &self.volumes(id).await?).await
        };
        let (user_data, encrypted) = Box::pin(async { futures::try_join!(user_data, encrypted) }).await?;
        Ok(Some(live(&found, user_data, encrypted)))
    }

    async fn user_data(&self, id: &str) -> Result<String, CloudError> {
        let request = self.clients.ec2.describe_instance_attribute().instance_id(id);
        let answer = request.attribute(InstanceAttributeName::UserData).send().await;
        let answer = answer.map_err(|error| classify("ec2:DescribeInstanceAttribute", &error))?;
        let encoded = answer.user_data.and_then(|data| data.value).unwrap_or_default();
        let bytes = STANDARD.decode(encoded).unwrap_or_default();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The volumes that a machine has.
    async fn volumes(&self, id: &str) -> Result<Vec<Volume>, CloudError> {
        let request = self.clients.ec2.describe_volumes().filters(filter("attachment.instance-id", id));
        let answer = request.send().await.map_err(|error| classify("ec2:DescribeVolumes", &error))?;
        Ok(answer.volumes.unwrap_or_default())
    }

    /// Whether the root volume is encrypted, by the volumes that a machine has.
    async fn encrypted(&self, found: &SdkInstance, volumes: &[Volume]) -> Result<bool, CloudError> {
        let is_encrypted = |root: &str, volumes: &[Volume]| {
            volumes.iter().any(|volume| volume.volume_id() == Some(root) && volume.encrypted() == Some(true))
        };
        let pending = found.state().and_then(|state| state.name()) == Some(&InstanceStateName::Pending);
        match root_volume(found) {
            Some(root) => Ok(is_encrypted(&root, volumes)),
            None if !pending => Ok(false),
            None => {
                let id = found.instance_id().unwrap_or_default();
                let Some(root) = self.root_volume_of_new(id).await? else { return Ok(false) };
                Ok(is_encrypted(&root, &self.volumes(id).await?))
            }
        }
    }

    /// The root volume of a machine that a run has left as it was being made: for some seconds it has none, and would seem to
    /// have to be replaced for that.
    async fn root_volume_of_new(&self, id: &str) -> Result<Option<String>, CloudError> {
        let call = Call::silent(Address::new(Self::INFO.kind, id));
        wait_until(&call, &format!("waiting for the root volume of {id}"), VOLUME_PACE, || async {
            let Some(found) = self.describe(id).await?.filter(|found| !is_leaving(found)) else {
                return Ok(Progress::Ready(None));
            };
            Ok(root_volume(&found)
                .map_or(Progress::Pending("without a root volume".to_owned()), |id| Progress::Ready(Some(id))))
        })
        .await
    }

    async fn in_state(&self, call: &Call, id: &str, wanted: &InstanceStateName) -> Result<SdkInstance, CloudError> {
        wait_until(call, &format!("waiting for the machine {id} to be {wanted}"), PACE, || async {
            let Some(found) = self.describe(id).await? else {
                return Ok(Progress::Unseen);
            };
            let state = found.state().and_then(|state| state.name()).cloned();
            Ok(match state {
                Some(state) if state == *wanted => Progress::Ready(found),
                Some(state @ (InstanceStateName::Terminated | InstanceStateName::ShuttingDown)) => {
                    let why = found.state_reason().and_then(|reason| reason.message()).unwrap_or("no reason given");
                    Progress::Failed(format!("it is {state}: {why}"))
                }
                Some(state) => Progress::Pending(state.as_str().to_owned()),
                None => Progress::Pending("in no state yet".to_owned()),
            })
        })
        .await
    }

    /// Changes that a running machine takes.
    async fn bring_running(
        &self,
        call: &Call,
        id: &str,
        old: &InstanceInputs,
        new: &InstanceInputs,
    ) -> Result<(), CloudError> {
        bring_tags(&self.clients, id, &all_tags(old), &all_tags(new)).await?;
        if old.security_groups != new.security_groups {
            let groups = new.security_groups.iter().map(|id| id.known().cloned()).collect::<Result<Vec<_>, _>>()?;
            let request = self.clients.ec2.modify_instance_attribute().instance_id(id).set_groups(Some(groups));
            request.send().await.map_err(|error| classify("ec2:ModifyInstanceAttribute", &error))?;
        }
        if old.metadata_tokens_required != new.metadata_tokens_required {
            let request = self.clients.ec2.modify_instance_metadata_options().instance_id(id);
            let request = request.http_tokens(tokens(new.metadata_tokens_required));
            request.send().await.map_err(|error| classify("ec2:ModifyInstanceMetadataOptions", &error))?;
        }
        if old.profile != new.profile {
            self.bring_profile(call, id, new.profile.known()?).await?;
        }
        Ok(())
    }

    async fn bring_profile(&self, call: &Call, id: &str, name: &str) -> Result<(), CloudError> {
        let request = self.clients.ec2.describe_iam_instance_profile_associations();
        let answer = request.filters(filter("instance-id", id)).send().await;
        let answer = answer.map_err(|error| classify("ec2:DescribeIamInstanceProfileAssociations", &error))?;
        let current = answer.iam_instance_profile_associations().iter().find_map(|one| one.association_id());
        let wanted = IamInstanceProfileSpecification::builder().name(name).build();
        wait_until(call, &format!("giving {id} the instance profile {name}"), PROFILE_PACE, || async {
            let sent = match current {
                Some(association) => {
                    let request = self.clients.ec2.replace_iam_instance_profile_association();
                    let sent = request.association_id(association).iam_instance_profile(wanted.clone()).send().await;
                    sent.map(drop).map_err(|e| classify("ec2:ReplaceIamInstanceProfileAssociation", &e))
                }
                None => {
                    let request = self.clients.ec2.associate_iam_instance_profile().instance_id(id);
                    let sent = request.iam_instance_profile(wanted.clone()).send().await;
                    sent.map(drop).map_err(|error| classify("ec2:AssociateIamInstanceProfile", &error))
                }
            };
            unless_profile_is_new(sent.map_err(|error| (error.message.clone(), error)))
        })
        .await
    }

    /// Changes that need the machine stopped: it is, and started again.
    async fn bring_stopped(
        &self,
        call: &Call,
        id: &str,
        old: &InstanceInputs,
        new: &InstanceInputs,
    ) -> Result<(), CloudError> {
        if old.instance_type == new.instance_type {
            return Ok(());
        }
        self.stop(call, id).await?;
        let wanted = AttributeValue::builder().value(&new.instance_type).build();
        let request = self.clients.ec2.modify_instance_attribute().instance_id(id).instance_type(wanted);
        request.send().await.map_err(|error| classify("ec2:ModifyInstanceAttribute", &error))?;
        // `settle` starts it.
        Ok(())
    }

    async fn stop(&self, call: &Call, id: &str) -> Result<(), CloudError> {
        let sent = self.clients.ec2.stop_instances().instance_ids(id).send().await;
        sent.map_err(|error| classify("ec2:StopInstances", &error))?;
        self.in_state(call, id, &InstanceStateName::Stopped).await.map(drop)
    }

    async fn run(&self, call: &Call, new: &InstanceInputs) -> Result<String, CloudError> {
        let image = self.image(&new.image).await?;
        let groups = new.security_groups.iter().map(|id| id.known().cloned()).collect::<Result<Vec<_>, _>>()?;
        let profile = IamInstanceProfileSpecification::builder().name(new.profile.known()?).build();
        let key = new.key.as_ref().map(Input::known).transpose()?.cloned();
        let root = EbsBlockDevice::builder().encrypted(new.encrypted).volume_type(VolumeType::Gp3);
        let root = BlockDeviceMapping::builder()
            .device_name(ROOT_DEVICE)
            .ebs(root.delete_on_termination(true).build())
            .build();
        let metadata = InstanceMetadataOptionsRequest::builder()
            .http_tokens(tokens(new.metadata_tokens_required))
            .http_endpoint(InstanceMetadataEndpointState::Enabled)
            // One hop: containers on the machine, if there were any, cannot reach the role's keys.
            .http_put_response_hop_limit(1)
            .build();
        let tags = all_tags(new);
        let request = self
            .clients
            .ec2
            .run_instances()
            // At most 64 ASCII characters, the same for the same step (EC2 API reference, "Ensuring idempotency").
            .client_token(hex::encode(Sha256::digest(&call.token)))
            .image_id(image)
            .instance_type(InstanceType::from(new.instance_type.as_str()))
            .min_count(1)
            .max_count(1)
            .set_subnet_id(new.subnet.clone())
            .set_security_group_ids(Some(groups))
            .iam_instance_profile(profile)
            .set_key_name(key)
            .user_data(STANDARD.encode(&new.user_data))
            .metadata_options(metadata)
            .block_device_mappings(root)
            .tag_specifications(specification(ResourceType::Instance, &tags))
            .tag_specifications(specification(ResourceType::Volume, &tags));
        wait_until(call, "ec2:RunInstances", PROFILE_PACE, || {
            let request = request.clone();
            async move {
                match request.send().await {
                    Ok(made) => {
                        let id = made.instances().first().and_then(|made| made.instance_id()).map(str::to_owned);
                        id.map(Progress::Ready).ok_or_else(|| incomplete("ec2:RunInstances", "instance id"))
                    }
                    Err(error) => {
                        let message = error.message().unwrap_or_default().to_owned();
                        unless_profile_is_new(Err((message, classify("ec2:RunInstances", &error))))
                    }
                }
            }
        })
        .await
    }
}

/// A machine with what is told of it elsewhere.
fn live(found: &SdkInstance, user_data: String, encrypted: bool) -> LiveInstance {
    let id = found.instance_id().unwrap_or_default().to_owned();
    let mut tags = from_sdk(found.tags());
    let image_id = found.image_id().unwrap_or_default().to_owned();
    let mut groups: Vec<String> =
        found.security_groups().iter().filter_map(|group| group.group_id().map(str::to_owned)).collect();
    groups.sort();
    let profile = found.iam_instance_profile().and_then(|profile| profile.arn());
    let profile = profile.and_then(|arn| arn.rsplit('/').next()).unwrap_or_default();
    let options = found.metadata_options();
    let subnet = tags.remove(SUBNET_TAG).and(found.subnet_id()).map(str::to_owned);
    let inputs = InstanceInputs {
        name: tags.remove(NAME_TAG).unwrap_or_default(),
        image: tags.remove(IMAGE_TAG).unwrap_or_else(|| image_id.clone()),
        instance_type: found.instance_type().map(|kind| kind.as_str().to_owned()).unwrap_or_default(),
        subnet,
        security_groups: groups.into_iter().map(Input::Known).collect(),
        profile: Input::Known(profile.to_owned()),
        key: found.key_name().map(|name| Input::Known(name.to_owned())),
        user_data,
        metadata_tokens_required: options.and_then(|options| options.http_tokens()) == Some(&HttpTokensState::Required),
        encrypted,
        tags,
    };
    let outputs = InstanceOutputs {
        id,
        private_ip: found.private_ip_address().unwrap_or_default().to_owned(),
        public_ip: found.public_ip_address().filter(|ip| !ip.is_empty()).map(str::to_owned),
        image_id,
        started: found.launch_time().map(|time| time.secs()),
        root_volume: root_volume(found),
        condition: condition(found),
    };
    Live { inputs, outputs }
}

/// What a machine is that does not run.
fn condition(found: &SdkInstance) -> Option<String> {
    let state = found.state()?.name()?;
    (*state != InstanceStateName::Running).then(|| format!("the machine is {state}"))
}

/// A profile that was just made is unknown to EC2 for some seconds ("Invalid IAM Instance Profile name", or ARN).
fn unless_profile_is_new<T>(sent: Result<T, (String, CloudError)>) -> Result<Progress<T>, CloudError> {
    match sent {
        Ok(done) => Ok(Progress::Ready(done)),
        Err((message, error)) if message.contains("Invalid IAM Instance Profile") => Ok(Progress::Early(error)),
        Err((_, error)) => Err(error),
    }
}

/// The id of the volume that the machine starts from.
fn root_volume(found: &SdkInstance) -> Option<String> {
    let root = found.block_device_mappings().iter().find(|device| device.device_name() == found.root_device_name());
    root?.ebs()?.volume_id().map(str::to_owned)
}

fn tokens(required: bool) -> HttpTokensState {
    if required { HttpTokensState::Required } else { HttpTokensState::Optional }
}

/// The tags with those that keep inputs for which EC2 has no field.
fn all_tags(inputs: &InstanceInputs) -> Tags {
    let mut tags = inputs.tags.clone();
    tags.insert(NAME_TAG.to_owned(), inputs.name.clone());
    tags.insert(IMAGE_TAG.to_owned(), inputs.image.clone());
    tags.extend(inputs.subnet.iter().map(|subnet| (SUBNET_TAG.to_owned(), subnet.clone())));
    tags
}

fn is_leaving(found: &SdkInstance) -> bool {
    let state = found.state().and_then(|state| state.name());
    matches!(state, Some(InstanceStateName::Terminated | InstanceStateName::ShuttingDown))
}

impl Resource for Instance {
    const INFO: KindInfo = KindInfo {
        kind: "ec2/instance",
        summary: "an EC2 machine: metadata by session token only, root volume encrypted",
        fields: &[
            Field { name: "name", on_change: OnChange::Update, doc: "what the console shows" },
            Field {
                name: "image",
                on_change: OnChange::Replace,
                doc: "the public SSM parameter that names the image; a newer image of the same parameter is no change",
            },
            Field {
                name: "type",
                on_change: OnChange::Update,
                doc: "such as `t3.small`; stops and starts the machine",
            },
            Field { name: "subnet", on_change: OnChange::Replace, doc: "its subnet; none for one of the default VPC" },
            Field { name: "security_groups", on_change: OnChange::Update, doc: "ids of its security groups" },
            Field { name: "profile", on_change: OnChange::Update, doc: "the name of its instance profile" },
            Field { name: "key", on_change: OnChange::Replace, doc: "the name of the key pair that may log in" },
            Field {
                name: "user_data",
                on_change: OnChange::Replace,
                doc: "the script of the first boot, up to 16 KiB; a machine does not run a changed one again",
            },
            Field {
                name: "metadata_tokens_required",
                on_change: OnChange::Update,
                doc: "whether the metadata service asks for session tokens (IMDSv2)",
            },
            Field { name: "encrypted", on_change: OnChange::Replace, doc: "whether the root volume is encrypted" },
            Field { name: "tags", on_change: OnChange::Update, doc: "the stack's tags and pinfra's own" },
        ],
        outputs: &[
            ("id", "the machine's id"),
            ("private_ip", "its address in the VPC"),
            ("public_ip", "its public address, where it has one"),
            ("image_id", "the image that it was made from"),
            ("started", "when it was started last, in seconds since 1970"),
            ("root_volume", "the volume that it starts from"),
            ("condition", "why it does not work now, where that is so"),
        ],
        loses: "everything on its disk",
        usual_create: Duration::from_secs(40),
        usual_update: Duration::from_secs(90),
        usual_delete: Duration::from_secs(60),
    };
    const CHANGING_OUTPUTS: &'static [&'static str] = &["public_ip", "started", "root_volume"];
    const IDLE: Option<Idle<InstanceInputs, InstanceOutputs>> = Some(|live| {
        let condition = live.outputs.condition.as_ref()?;
        Some(format!("{condition}: it is started"))
    });

    type Inputs = InstanceInputs;
    type Outputs = InstanceOutputs;

    async fn create(&self, call: &Call, new: &InstanceInputs) -> Result<String, CloudError> {
        Box::pin(self.run(call, new)).await
    }

    async fn settle(&self, call: &Call, id: &str, new: &InstanceInputs) -> Result<LiveInstance, CloudError> {
        let state = self.describe(id).await?.and_then(|found| found.state?.name);
        if matches!(state, Some(InstanceStateName::Stopped | InstanceStateName::Stopping)) {
            self.in_state(call, id, &InstanceStateName::Stopped).await?;
            let sent = self.clients.ec2.start_instances().instance_ids(id).send().await;
            sent.map_err(|error| classify("ec2:StartInstances", &error))?;
        }
        let found = self.in_state(call, id, &InstanceStateName::Running).await?;
        let now = Box::pin(self.live(&found)).await?;
        if now.inputs == *new {
            return Ok(now);
        }
        // An interrupted update left something undone.
        Box::pin(self.bring_running(call, id, &now.inputs, new)).await?;
        let found = self.in_state(call, id, &InstanceStateName::Running).await?;
        Box::pin(self.live(&found)).await
    }

    async fn read(&self, id: &str) -> Result<Option<LiveInstance>, CloudError> {
        if let Some(recorded) = self.clients.recorded::<Instance>(id) {
            return self.read_recorded(id, recorded).await;
        }
        let (found, user_data, volumes) =
            Box::pin(async { futures::join!(self.describe(id), self.user_data(id), self.volumes(id)) }).await;
        let Some(found) = found?.filter(|found| !is_leaving(found)) else { return Ok(None) };
        let encrypted = Box::pin(self.encrypted(&found, &volumes?)).await?;
        Ok(Some(live(&found, user_data?, encrypted)))
    }

    async fn find(&self, new: &InstanceInputs) -> Result<Option<Found>, CloudError> {
        let request = self.clients.ec2.describe_instances().set_filters(Some(owned(&new.tags)));
        let alive = ["pending", "running", "stopping", "stopped"].map(str::to_owned).to_vec();
        let states = aws_sdk_ec2::types::Filter::builder().name("instance-state-name").set_values(Some(alive)).build();
        let answer = request.filters(states).send().await;
        let answer = answer.map_err(|error| classify("ec2:DescribeInstances", &error))?;
        let instances = answer.reservations().iter().flat_map(|reservation| reservation.instances());
        let id = instances.filter_map(|found| found.instance_id()).min();
        Ok(id.map(|id| Found { id: id.to_owned(), owner: Owner::Ours }))
    }

    async fn update(
        &self,
        call: &Call,
        id: &str,
        old: &InstanceInputs,
        new: &InstanceInputs,
    ) -> Result<(), CloudError> {
        Box::pin(self.bring_running(call, id, old, new)).await?;
        self.bring_stopped(call, id, old, new).await
    }

    /// Volumes of a machine carry its tags too, and go with it.
    fn id_in(global_name: &str) -> Option<String> {
        global_name.rsplit('/').next().filter(|id| id.starts_with("i-")).map(str::to_owned)
    }

    async fn delete(&self, call: &Call, id: &str) -> Result<(), CloudError> {
        let sent = self.clients.ec2.terminate_instances().instance_ids(id).send().await;
        let sent = sent.map(drop).map_err(|error| classify("ec2:TerminateInstances", &error));
        if unless_gone(sent)?.is_none() {
            return Ok(());
        }
        // Its interfaces hold the security groups until it is all over.
        wait_until(call, &format!("waiting for the machine {id} to be gone"), PACE, || async {
            Ok(match self.describe(id).await?.and_then(|found| found.state?.name) {
                None | Some(InstanceStateName::Terminated) => Progress::Ready(()),
                Some(state) => Progress::Pending(state.as_str().to_owned()),
            })
        })
        .await
    }
}
