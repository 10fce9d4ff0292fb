//! What instances find out about themselves: the documents of EC2 and the keys of IAM, for the metadata service.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::instance::Instance;
use super::profiles::Profiles;
use super::region::Region;
use super::regions::Regions;
use crate::credentials::{ACCOUNT, IssuedKeys};
use crate::machine::{Facts, World};
use crate::wire::error::ApiError;

/// The cloud around the machines.
pub(super) struct Inside {
    pub(super) regions: Arc<Regions>,
    pub(super) profiles: Arc<dyn Profiles>,
}

impl World for Inside {
    fn facts(&self, instance: &str) -> Option<Facts> {
        self.regions.all().iter().find_map(|region| Some(facts(region, region.instances.get(instance)?)))
    }

    fn role_keys(&self, profile_arn: &str, instance: &str) -> Result<IssuedKeys, ApiError> {
        self.profiles.keys(profile_arn, instance)
    }
}

fn facts(region: &Region, instance: &Instance) -> Facts {
    let public_ip = region.public_ip_of(instance);
    let named = instance.groups.iter().filter_map(|id| region.groups.get(id));
    let key = instance.key_name.as_ref().and_then(|name| region.key_pairs.values().find(|key| key.name == *name));
    let tags = region.tags.get(&instance.id).into_iter().flatten();
    Facts {
        account: ACCOUNT.to_owned(),
        region: region.name.clone(),
        instance_id: instance.id.clone(),
        reservation_id: instance.reservation_id.clone(),
        launch_index: instance.launch_index,
        image_id: instance.image_id.clone(),
        instance_type: instance.instance_type.clone(),
        architecture: instance.architecture.clone(),
        zone: instance.zone.clone(),
        zone_id: instance.zone_id.clone(),
        vpc_id: region.network().vpc_id(),
        subnet_id: instance.subnet_id.clone(),
        interface_id: instance.interface_id.clone(),
        mac: instance.mac.clone(),
        private_ip: instance.private_ip.clone(),
        private_dns: region.private_dns(&instance.private_ip),
        public_dns: public_ip.as_deref().map(|ip| region.public_dns(ip)),
        public_ip,
        security_groups: named.map(|group| (group.id.clone(), group.name.clone())).collect(),
        key: key.map(|key| (key.name.clone(), key.public_key.clone())),
        profile: instance.profile.as_ref().map(|profile| (profile.arn.clone(), profile.id.clone())),
        user_data: instance.user_data.as_ref().and_then(|text| STANDARD.decode(text).ok()),
        tags: tags.map(|(key, value)| (key.clone(), value.clone())).collect(),
        options: instance.metadata.clone(),
        launched_at: instance.launched_at,
    }
}
