//! One region: every object in it, and what the objects share (tags, addresses).

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::address::Address;
use super::ids::{self, Noun};
use super::instance::Instance;
use super::key_pairs::KeyPair;
use super::network::Network;
use super::security_group::Group;
use super::service_interfaces::ServiceInterface;
use super::tags::{self, Tags};
use super::volume::Volume;
use super::vpc_endpoints::VpcEndpoint;
use crate::wire::error::ApiError;

/// The three ranges of RFC 5737: addresses that nobody has, so that nothing is reached by mistake.
const PUBLIC_RANGES: [&str; 3] = ["203.0.113", "198.51.100", "192.0.2"];

/// Everything of a region.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Region {
    pub(super) name: String,
    pub(super) groups: BTreeMap<String, Group>,
    pub(super) key_pairs: BTreeMap<String, KeyPair>,
    pub(super) addresses: BTreeMap<String, Address>,
    pub(super) instances: BTreeMap<String, Instance>,
    pub(super) volumes: BTreeMap<String, Volume>,
    pub(super) endpoints: BTreeMap<String, VpcEndpoint>,
    /// Those that other services have here.
    pub(super) interfaces: BTreeMap<String, ServiceInterface>,
    /// Tags of everything, by its id.
    pub(super) tags: BTreeMap<String, Tags>,
}

impl Region {
    /// A region as an account finds it: the default network with its security group.
    pub(super) fn new(name: &str) -> Region {
        let mut region = Region { name: name.to_owned(), ..Region::default() };
        let default = Group::default_of(&region.network());
        region.groups.insert(default.id.clone(), default);
        region
    }

    /// Its VPC and what belongs to that.
    pub(super) fn network(&self) -> Network {
        Network::of(&self.name)
    }

    /// The tags of an object, as answers show them.
    pub(super) fn tags_of(&self, id: &str) -> Value {
        tags::view(self.tags.get(id))
    }

    /// Sets the tags that an object is born with.
    pub(super) fn tag(&mut self, id: &str, tags: Tags) {
        if !tags.is_empty() {
            self.tags.insert(id.to_owned(), tags);
        }
    }

    /// Refuses an id that names nothing here.
    pub(super) fn must_have(&self, id: &str) -> Result<(), ApiError> {
        let Some(noun) = Noun::of(id) else {
            return Err(ApiError::new("InvalidID", format!("The ID '{id}' is not valid")));
        };
        noun.check(id)?;
        let here = match noun {
            ids::INSTANCE => self.instances.contains_key(id),
            ids::VOLUME => self.volumes.contains_key(id),
            ids::GROUP => self.groups.contains_key(id),
            ids::RULE => self.groups.values().any(|group| group.rules.iter().any(|rule| rule.id == id)),
            ids::KEY_PAIR => self.key_pairs.contains_key(id),
            ids::ALLOCATION => self.addresses.contains_key(id),
            ids::INTERFACE => {
                self.interfaces.contains_key(id) || self.instances.values().any(|instance| instance.interface_id == id)
            }
            ids::VPC_ENDPOINT => self.endpoints.contains_key(id),
            _ => self.network().has(id),
        };
        if here { Ok(()) } else { Err(noun.not_found(id)) }
    }

    /// The instance of that id.
    pub(super) fn instance(&self, id: &str) -> Result<&Instance, ApiError> {
        ids::INSTANCE.check(id)?;
        self.instances.get(id).ok_or_else(|| ids::INSTANCE.not_found(id))
    }

    /// The instance of that id, to be changed.
    pub(super) fn instance_mut(&mut self, id: &str) -> Result<&mut Instance, ApiError> {
        ids::INSTANCE.check(id)?;
        self.instances.get_mut(id).ok_or_else(|| ids::INSTANCE.not_found(id))
    }

    /// An address that is in use neither by an instance nor as an Elastic IP.
    pub(super) fn free_public_ip(&self) -> Result<String, ApiError> {
        let launched = self.instances.values().filter_map(|instance| instance.public_ip.as_deref());
        let taken: BTreeSet<&str> =
            launched.chain(self.addresses.values().map(|address| address.public_ip.as_str())).collect();
        for range in PUBLIC_RANGES {
            let free = (1..255).map(|host| format!("{range}.{host}")).find(|ip| !taken.contains(ip.as_str()));
            if let Some(ip) = free {
                return Ok(ip);
            }
        }
        let message = "the local cloud has no more public addresses in this region; release or terminate something";
        Err(ApiError::new("AddressLimitExceeded", message))
    }

    /// The Elastic IP of an instance.
    pub(super) fn address_of(&self, instance: &str) -> Option<&Address> {
        self.addresses.values().find(|address| address.is_of(instance))
    }

    /// The address at which the world sees an instance: its Elastic IP, or the one it was given at its start.
    pub(super) fn public_ip_of(&self, instance: &Instance) -> Option<String> {
        let elastic = self.address_of(&instance.id).map(|address| address.public_ip.clone());
        elastic.or_else(|| instance.public_ip.clone())
    }

    /// Where what an instance serves is reached on this machine, by any of its addresses or of their names.
    pub(super) fn loopback_of(&self, host: &str) -> Option<Ipv4Addr> {
        let live = self.instances.values().filter(|instance| instance.state.is_up());
        // Integrations ask with each call: names are made only for what looks like one.
        let is_name = host.ends_with(".internal") || host.ends_with(".amazonaws.com");
        let named = |instance: &&Instance| {
            let public = self.public_ip_of(instance);
            if is_name {
                return self.private_dns(&instance.private_ip) == host
                    || public.is_some_and(|ip| self.public_dns(&ip) == host);
            }
            instance.private_ip == host || public.is_some_and(|ip| ip == host)
        };
        live.filter(named).map(|instance| instance.loopback).next()
    }

    /// The name that goes with a public address.
    pub(super) fn public_dns(&self, ip: &str) -> String {
        let host = format!("ec2-{}", ip.replace('.', "-"));
        match self.name.as_str() {
            "us-east-1" => format!("{host}.compute-1.amazonaws.com"),
            region => format!("{host}.{region}.compute.amazonaws.com"),
        }
    }

    /// The name that goes with a private address.
    pub(super) fn private_dns(&self, ip: &str) -> String {
        let host = format!("ip-{}", ip.replace('.', "-"));
        match self.name.as_str() {
            "us-east-1" => format!("{host}.ec2.internal"),
            region => format!("{host}.{region}.compute.internal"),
        }
    }
}
