//! An instance as it is kept and as it is shown.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::region::Region;
use super::volume::Volume;
use crate::credentials::ACCOUNT;
use crate::machine::{self, MetadataOptions};

/// For so long a terminated instance is still shown ("Terminate Amazon EC2 instances", EC2 user guide: "about an hour").
const SHOWN_AFTER_END: i64 = 3600;

/// Where an instance is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    Pending,
    Running,
    Stopping,
    Stopped,
    ShuttingDown,
    Terminated,
}

impl State {
    /// As the API names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Running => "running",
            State::Stopping => "stopping",
            State::Stopped => "stopped",
            State::ShuttingDown => "shutting-down",
            State::Terminated => "terminated",
        }
    }

    /// Code and name (API reference, `InstanceState`).
    pub(super) fn view(self) -> Value {
        let code = match self {
            State::Pending => 0,
            State::Running => 16,
            State::ShuttingDown => 32,
            State::Terminated => 48,
            State::Stopping => 64,
            State::Stopped => 80,
        };
        json!({"Code": code, "Name": self.name()})
    }

    /// Whether its machine should run.
    pub(super) fn is_up(self) -> bool {
        matches!(self, State::Pending | State::Running)
    }
}

/// An instance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Instance {
    pub(super) id: String,
    pub(super) reservation_id: String,
    pub(super) launch_index: usize,
    pub(super) client_token: Option<String>,
    /// The digest of the request that brought the token: another request with it is refused.
    pub(super) token_digest: Option<String>,
    pub(super) image_id: String,
    pub(super) architecture: String,
    pub(super) root_device: String,
    pub(super) instance_type: String,
    pub(super) key_name: Option<String>,
    pub(super) state: State,
    /// Why it stopped, in the words of `StateReason`: code and message.
    pub(super) state_reason: Option<(String, String)>,
    pub(super) transition_reason: String,
    /// Seconds since the epoch of the last start.
    pub(super) launched_at: i64,
    pub(super) ended_at: Option<i64>,
    pub(super) zone: String,
    pub(super) zone_id: String,
    pub(super) subnet_id: String,
    pub(super) private_ip: String,
    /// Where its processes listen in truth. Instances of earlier versions have none of their own.
    #[serde(default = "shared_address")]
    pub(super) loopback: Ipv4Addr,
    /// From the pool, for as long as it runs.
    pub(super) public_ip: Option<String>,
    /// Whether it gets one at each start.
    pub(super) auto_public_ip: bool,
    pub(super) interface_id: String,
    pub(super) mac: String,
    /// Ids of its security groups.
    pub(super) groups: Vec<String>,
    pub(super) profile: Option<Profile>,
    pub(super) metadata: MetadataOptions,
    /// Base64, as it was sent.
    pub(super) user_data: Option<String>,
    pub(super) terminate_protected: bool,
    pub(super) stop_protected: bool,
    /// `stop` or `terminate`.
    pub(super) shutdown_behavior: String,
    pub(super) ebs_optimized: bool,
    pub(super) source_dest_check: bool,
    pub(super) monitored: bool,
    /// `standard` or `unlimited`, where the type has CPU credits.
    pub(super) credits: Option<String>,
}

/// The instance profile of an instance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Profile {
    pub(super) association_id: String,
    pub(super) arn: String,
    /// `AIPA…`.
    pub(super) id: String,
    pub(super) since: i64,
}

impl Instance {
    /// Whether it has ended; its objects are gone then.
    pub(super) fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }

    /// Whether it has been gone for so long that nobody is told of it.
    pub(super) fn is_forgotten(&self, now: i64) -> bool {
        self.ended_at.is_some_and(|ended| ended + SHOWN_AFTER_END <= now)
    }

    /// Whether it takes an address of a subnet.
    pub(super) fn holds_subnet(&self, subnet: &str) -> bool {
        !self.is_terminated() && self.subnet_id == subnet
    }

    /// Whether it should be given an address of the pool.
    pub(super) fn wants_public_ip(&self) -> bool {
        self.auto_public_ip && self.state.is_up() && self.public_ip.is_none()
    }

    /// What ends with it: addresses of the pool, the Elastic IP's hold, volumes that go with it.
    pub(super) fn ended(region: &mut Region, id: &str, now: i64) {
        if let Some(instance) = region.instances.get_mut(id) {
            instance.state = State::Terminated;
            instance.ended_at = Some(now);
            instance.public_ip = None;
            instance.profile = None;
            let interface = instance.interface_id.clone();
            region.tags.remove(&interface);
        }
        for address in region.addresses.values_mut() {
            address.release_from(id);
        }
        let attached = |volume: &Volume| volume.attachment.as_ref().is_some_and(|place| place.instance == id);
        let goes = |volume: &Volume| volume.attachment.as_ref().is_some_and(|place| place.delete_on_termination);
        let gone: Vec<String> = region
            .volumes
            .values()
            .filter(|volume| attached(volume) && goes(volume))
            .map(|volume| volume.id.clone())
            .collect();
        for volume in gone {
            region.volumes.remove(&volume);
            region.tags.remove(&volume);
        }
        for volume in region.volumes.values_mut().filter(|volume| attached(volume)) {
            volume.attachment = None;
        }
    }

    /// The groups with their names.
    pub(super) fn group_views(&self, region: &Region) -> Vec<Value> {
        let named = self.groups.iter().filter_map(|id| region.groups.get(id));
        named.map(|group| json!({"GroupId": group.id, "GroupName": group.name})).collect()
    }

    /// As `DescribeInstances` shows it.
    pub(super) fn view(&self, region: &Region) -> Value {
        let mut view = json!({
            "InstanceId": self.id, "ImageId": self.image_id, "State": self.state.view(),
            "StateTransitionReason": self.transition_reason, "KeyName": self.key_name,
            "AmiLaunchIndex": self.launch_index, "InstanceType": self.instance_type, "LaunchTime": self.launched_at,
            "Placement": {"AvailabilityZone": self.zone, "GroupName": "", "Tenancy": "default"},
            "Monitoring": {"State": if self.monitored { "enabled" } else { "disabled" }},
            "Architecture": self.architecture, "RootDeviceName": self.root_device, "RootDeviceType": "ebs",
            "VirtualizationType": "hvm", "Hypervisor": "xen", "EnaSupport": true, "ClientToken": self.client_token.as_deref().unwrap_or_default(),
            "EbsOptimized": self.ebs_optimized, "ProductCodes": [], "PlatformDetails": "Linux/UNIX",
            "UsageOperation": "RunInstances", "MetadataOptions": self.metadata_view(), "Tags": region.tags_of(&self.id),
        });
        if let Some((code, message)) = &self.state_reason {
            view["StateReason"] = json!({"Code": code, "Message": message});
        }
        if let Some(profile) = &self.profile {
            view["IamInstanceProfile"] = json!({"Arn": profile.arn, "Id": profile.id});
        }
        if self.is_terminated() {
            for member in ["SecurityGroups", "NetworkInterfaces", "BlockDeviceMappings"] {
                view[member] = json!([]);
            }
            return view;
        }
        view["PrivateIpAddress"] = json!(self.private_ip);
        view["PrivateDnsName"] = json!(region.private_dns(&self.private_ip));
        view["SubnetId"] = json!(self.subnet_id);
        view["VpcId"] = json!(region.network().vpc_id());
        view["SourceDestCheck"] = json!(self.source_dest_check);
        view["SecurityGroups"] = json!(self.group_views(region));
        view["NetworkInterfaces"] = json!([self.interface_view(region)]);
        view["BlockDeviceMappings"] = json!(self.device_views(region));
        let public = region.public_ip_of(self);
        view["PublicDnsName"] = json!(public.as_deref().map(|ip| region.public_dns(ip)).unwrap_or_default());
        view["PublicIpAddress"] = json!(public);
        view
    }

    /// Its metadata options, as requests set them.
    pub(super) fn metadata_view(&self) -> Value {
        let options = &self.metadata;
        let switch = |on: bool| if on { "enabled" } else { "disabled" };
        json!({
            "State": "applied", "HttpTokens": if options.tokens_required { "required" } else { "optional" },
            "HttpPutResponseHopLimit": options.hop_limit, "HttpEndpoint": switch(options.enabled),
            "HttpProtocolIpv6": "disabled", "InstanceMetadataTags": switch(options.tags),
        })
    }

    /// The volumes, as instances show them.
    pub(super) fn device_views(&self, region: &Region) -> Vec<Value> {
        let mut views = Vec::new();
        for volume in region.volumes.values() {
            let Some(place) = volume.attachment.as_ref().filter(|place| place.instance == self.id) else { continue };
            views.push(json!({
                "DeviceName": place.device,
                "Ebs": {
                    "VolumeId": volume.id, "Status": "attached", "AttachTime": place.at,
                    "DeleteOnTermination": place.delete_on_termination,
                },
            }));
        }
        views
    }

    fn interface_view(&self, region: &Region) -> Value {
        let mut view = self.interface(region);
        if let Some(object) = view.as_object_mut() {
            // Two shapes for one thing: this one has no zone and no tags.
            object.remove("AvailabilityZone");
            object.remove("TagSet");
            object.remove("RequesterManaged");
            if let Some(attachment) = object.get_mut("Attachment").and_then(Value::as_object_mut) {
                attachment.remove("InstanceId");
                attachment.remove("InstanceOwnerId");
            }
            if let Some(association) = object.get_mut("Association").and_then(Value::as_object_mut) {
                association.remove("AllocationId");
                association.remove("AssociationId");
            }
        }
        view
    }

    /// Its network interface, as `DescribeNetworkInterfaces` shows it.
    pub(super) fn interface(&self, region: &Region) -> Value {
        let dns = region.private_dns(&self.private_ip);
        let elastic = region.address_of(&self.id);
        let association = region.public_ip_of(self).map(|ip| {
            let mut association = json!({
                "PublicIp": ip, "PublicDnsName": region.public_dns(&ip),
                "IpOwnerId": if elastic.is_some() { ACCOUNT } else { "amazon" },
            });
            if let Some(address) = elastic {
                association["AllocationId"] = json!(address.allocation_id);
                association["AssociationId"] = json!(address.association_id());
            }
            association
        });
        let mut view = json!({
            "NetworkInterfaceId": self.interface_id, "SubnetId": self.subnet_id, "VpcId": region.network().vpc_id(),
            "AvailabilityZone": self.zone, "Description": "", "OwnerId": ACCOUNT, "RequesterManaged": false,
            "Status": "in-use", "MacAddress": self.mac, "InterfaceType": "interface", "SourceDestCheck": self.source_dest_check,
            "PrivateIpAddress": self.private_ip, "PrivateDnsName": dns, "Groups": self.group_views(region),
            "Ipv6Addresses": [], "TagSet": region.tags_of(&self.interface_id),
            "PrivateIpAddresses": [{"Primary": true, "PrivateIpAddress": self.private_ip, "PrivateDnsName": dns}],
            "Attachment": {
                "AttachmentId": self.interface_id.replacen("eni-", "eni-attach-", 1), "DeviceIndex": 0,
                "Status": "attached", "AttachTime": self.launched_at, "DeleteOnTermination": true,
                "NetworkCardIndex": 0, "InstanceId": self.id, "InstanceOwnerId": ACCOUNT,
            },
        });
        if let Some(association) = association {
            view["Association"] = association;
        }
        view
    }
}

fn shared_address() -> Ipv4Addr {
    machine::UNBOUND
}
