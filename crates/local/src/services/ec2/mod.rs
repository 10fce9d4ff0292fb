//! Elastic Compute Cloud: the default network, security groups, key pairs, addresses, and instances that run.
//!
//! What is kept is one document a region (`regions`, `region`). An operation is a function from a region and a request
//! to an answer; one that changes something gets a copy, which is committed before the answer leaves. What takes time,
//! an instance that starts or ends, is carried out by `lifecycle`, which brings the [`Machines`] in line with what the
//! document says, also after a restart.
//!
//! Differences from AWS: objects are there at once after they were made; user data runs at every boot; an instance has
//! one interface and one volume; the network is the default one and cannot be changed, but for gateway endpoints; quotas of
//! an account are not enforced. Members of `RunInstances` that are not understood are refused by name.

mod address;
mod attributes;
mod console;
mod errors;
mod filters;
mod groups;
mod ids;
mod images;
mod instance;
mod instance_types;
mod instances;
mod key_pairs;
mod launch;
mod lifecycle;
mod metadata_options;
mod network;
mod network_views;
mod permission;
mod placement;
mod profiles;
mod region;
mod regions;
mod resources;
mod security_group;
mod service_interfaces;
mod tags;
mod volume;
mod vpc_endpoints;
mod world;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use self::instance::Instance;
use self::lifecycle::Lifecycle;
pub use self::profiles::{FoundProfile, Profiles};
use self::region::Region;
use self::regions::Regions;
pub use self::service_interfaces::{InterfaceWish, PlacedInterface, SubnetFacts};
use self::world::Inside;
use super::{Call, Service, TaggedResource};
use crate::clock::Clock;
use crate::credentials::ACCOUNT;
use crate::machine::Machines;
use crate::settings::Settings;
use crate::store::StoreError;
use crate::wire::error::ApiError;

/// The EC2 of one local cloud.
#[derive(Clone)]
pub struct Ec2 {
    inner: Arc<Inner>,
}

struct Inner {
    regions: Arc<Regions>,
    machines: Arc<Machines>,
    profiles: Arc<dyn Profiles>,
    lifecycle: Lifecycle,
    clock: Clock,
    settle: Duration,
}

/// Why it could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Ec2OpenError {
    /// A file or a folder cannot be used.
    #[error("cannot use `{path}`")]
    File {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The documents cannot be read.
    #[error("cannot open the store of EC2")]
    Store(#[from] StoreError),
}

/// A request as the operations see it.
struct Request<'a> {
    call: &'a Call,
    input: &'a Value,
    /// Seconds since the epoch.
    now: i64,
}

impl<'a> Request<'a> {
    /// A text of the input, empty if it is not there.
    fn text(&self, member: &str) -> &'a str {
        self.input[member].as_str().unwrap_or_default()
    }
}

impl Ec2 {
    /// Opens what is in `<data_dir>` and boots the instances that were running. The local cloud will answer at
    /// `endpoint`. Must be called on a Tokio runtime.
    pub fn open(
        data_dir: &Path,
        clock: Clock,
        settings: &Settings,
        endpoint: &str,
        profiles: Arc<dyn Profiles>,
    ) -> Result<Ec2, Ec2OpenError> {
        let regions = Arc::new(Regions::open(data_dir)?);
        let inside = Arc::new(Inside { regions: Arc::clone(&regions), profiles: Arc::clone(&profiles) });
        let machines = Machines::new(data_dir, endpoint, inside)
            .map_err(|source| Ec2OpenError::File { path: data_dir.join("instances"), source })?;
        let ec2 = Ec2 {
            inner: Arc::new(Inner {
                regions,
                machines: Arc::new(machines),
                profiles,
                lifecycle: Lifecycle::default(),
                clock,
                settle: settings.settle,
            }),
        };
        lifecycle::resume(&ec2.inner)?;
        Ok(ec2)
    }

    /// Where what an instance serves is reached on this machine: `host` is its private or public address, its Elastic IP,
    /// or the name of one. `None` when no running instance has it. Private addresses repeat from region to region:
    /// `region` is asked before the others.
    pub fn loopback_of(&self, region: &str, host: &str) -> Option<Ipv4Addr> {
        let here = self.inner.regions.get(region).loopback_of(host);
        here.or_else(|| self.inner.regions.all().iter().find_map(|region| region.loopback_of(host)))
    }

    /// Ends all machines, asking their processes first. The instances are recorded as running, so they boot again at
    /// the next start.
    pub async fn shut_down(&self) {
        self.inner.lifecycle.end();
        self.inner.lifecycle.ended().await;
        self.inner.machines.shut_down_all().await;
    }

    /// Ends all machines at once.
    pub fn cut_power(&self) {
        self.inner.lifecycle.end();
        self.inner.machines.cut_power();
    }
}

impl Service for Ec2 {
    fn call(&self, call: Call, input: Value) -> BoxFuture<'_, Result<Value, ApiError>> {
        let inner = Arc::clone(&self.inner);
        async move {
            let answered = tokio::task::spawn_blocking(move || inner.answer(&call, &input)).await;
            answered.unwrap_or_else(|panicked| Err(ApiError::internal(&panicked)))
        }
        .boxed()
    }

    fn resources(&self, call: &Call, input: &Value) -> Option<Vec<String>> {
        resources::named(call, input)
    }

    fn tagged(&self, region: &str) -> Vec<TaggedResource> {
        tags::tagged(&self.inner.regions.get(region), ACCOUNT)
    }
}

impl Inner {
    fn answer(self: &Arc<Self>, call: &Call, input: &Value) -> Result<Value, ApiError> {
        let request = Request { call, input, now: self.clock.now().unix_timestamp() };
        let dry_run = input["DryRun"] == true;
        let answered = match self.read(&request) {
            Some(answered) => answered,
            None => self.change(&request, dry_run),
        };
        match answered {
            Ok(_) if dry_run => Err(errors::dry_run()),
            answered => answered,
        }
    }

    /// Operations that change nothing; `None` for those that do.
    fn read(&self, request: &Request<'_>) -> Option<Result<Value, ApiError>> {
        let region = &*self.regions.get(&request.call.region);
        if let Some(answered) = network_views::answer(region, request) {
            return Some(answered);
        }
        Some(match request.call.operation.as_str() {
            "DescribeAddresses" => address::list(region, request),
            "DescribeAddressesAttribute" => address::attributes(region, request),
            "DescribeIamInstanceProfileAssociations" => profiles::list(region, request),
            "DescribeImages" => images::list(region, request),
            "DescribeInstanceAttribute" => attributes::describe(region, request),
            "DescribeInstanceCreditSpecifications" => instances::credits(region, request),
            "DescribeInstanceStatus" => instances::status(region, request),
            "DescribeInstanceTypeOfferings" => instance_types::offerings(region, request),
            "DescribeInstanceTypes" => instance_types::list(request),
            "DescribeInstances" => instances::list(region, request),
            "DescribeKeyPairs" => key_pairs::list(region, request),
            "DescribeNetworkInterfaces" => instances::interfaces(region, request),
            "DescribeSecurityGroupRules" => groups::list_rules(region, request),
            "DescribeSecurityGroups" => groups::list(region, request),
            "DescribeTags" => tags::describe(region, request),
            "DescribeVolumes" => volume::list(region, request),
            "DescribeVolumesModifications" => volume::modifications(region, request),
            "DescribeVpcEndpoints" => vpc_endpoints::list(region, request),
            "GetConsoleOutput" => console::output(region, request, &self.machines),
            _ => return None,
        })
    }

    fn change(self: &Arc<Self>, request: &Request<'_>, dry_run: bool) -> Result<Value, ApiError> {
        let profiles = &*self.profiles;
        let change = |region: &mut Region| {
            self.forget_old(region, request.now);
            match request.call.operation.as_str() {
                "AllocateAddress" => address::allocate(region, request),
                "AssociateAddress" => address::associate(region, request),
                "AssociateIamInstanceProfile" => profiles::associate(region, request, profiles),
                "AuthorizeSecurityGroupEgress" => groups::authorize(region, request, true),
                "AuthorizeSecurityGroupIngress" => groups::authorize(region, request, false),
                "CreateSecurityGroup" => groups::create(region, request),
                "CreateTags" => tags::create(region, request),
                "CreateVpcEndpoint" => vpc_endpoints::create(region, request),
                "DeleteKeyPair" => key_pairs::delete(region, request),
                "DeleteSecurityGroup" => groups::delete(region, request),
                "DeleteTags" => tags::delete(region, request),
                "DeleteVpcEndpoints" => vpc_endpoints::delete(region, request),
                "DisassociateAddress" => address::disassociate(region, request),
                "DisassociateIamInstanceProfile" => profiles::disassociate(region, request),
                "ImportKeyPair" => key_pairs::import(region, request),
                "ModifyInstanceAttribute" => attributes::modify(region, request),
                "ModifyInstanceMetadataOptions" => metadata_options::modify(region, request),
                "ModifySecurityGroupRules" => groups::modify(region, request),
                "ModifyVolume" => volume::modify(region, request),
                "ModifyVpcEndpoint" => vpc_endpoints::modify(region, request),
                "RebootInstances" => lifecycle::reboot(region, request),
                "ReleaseAddress" => address::release(region, request),
                "ReplaceIamInstanceProfileAssociation" => profiles::replace(region, request, profiles),
                "RevokeSecurityGroupEgress" => groups::revoke(region, request, true),
                "RevokeSecurityGroupIngress" => groups::revoke(region, request, false),
                "RunInstances" => launch::run(region, request, profiles),
                "StartInstances" => lifecycle::start(region, request),
                "StopInstances" => lifecycle::stop(region, request),
                "TerminateInstances" => lifecycle::terminate(region, request),
                other => Err(ApiError::unknown_operation("ec2", other)),
            }
        };
        let answer = self.regions.change(&request.call.region, dry_run, change)?;
        if !dry_run {
            lifecycle::follow(self, request, &answer);
        }
        Ok(answer)
    }

    /// Instances that ended more than an hour ago.
    fn forget_old(&self, region: &mut Region, now: i64) {
        let old: Vec<String> = region
            .instances
            .values()
            .filter(|instance| instance.is_forgotten(now))
            .map(|instance| instance.id.clone())
            .collect();
        for id in old {
            region.instances.remove(&id);
            region.tags.remove(&id);
            self.machines.forget(&id);
        }
    }
}

/// Instances that are still shown.
fn shown(region: &Region, now: i64) -> impl Iterator<Item = &Instance> {
    region.instances.values().filter(move |instance| !instance.is_forgotten(now))
}
