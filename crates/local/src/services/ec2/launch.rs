//! `RunInstances`: checks everything that is asked for, and makes instances with their volumes and interfaces.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::images::{self, Image};
use super::instance::{Instance, Profile, State};
use super::instance_types::{self, InstanceType};
use super::metadata_options;
use super::placement::{self, Place};
use super::region::Region;
use super::tags::{self, Tags};
use super::volume::{Attachment, Volume};
use super::{Profiles, Request, errors, ids};
use crate::credentials::ACCOUNT;
use crate::machine::own_address;
use crate::wire::error::ApiError;

/// Of user data, before it is made base64 ("Run commands when you launch an EC2 instance", EC2 user guide).
const MOST_USER_DATA: usize = 16 * 1024;

/// What this implementation understands. Any other member is refused by name.
const MEMBERS: &[&str] = &[
    "BlockDeviceMappings",
    "ClientToken",
    "CreditSpecification",
    "DisableApiStop",
    "DisableApiTermination",
    "DryRun",
    "EbsOptimized",
    "IamInstanceProfile",
    "ImageId",
    "InstanceInitiatedShutdownBehavior",
    "InstanceType",
    "KeyName",
    "MaxCount",
    "MetadataOptions",
    "MinCount",
    "Monitoring",
    "NetworkInterfaces",
    "Placement",
    "PrivateIpAddress",
    "SecurityGroupIds",
    "SecurityGroups",
    "SubnetId",
    "TagSpecifications",
    "UserData",
];

/// `RunInstances`. The same token with the same request answers the instances of the first one.
pub(super) fn run(region: &mut Region, request: &Request<'_>, profiles: &dyn Profiles) -> Result<Value, ApiError> {
    let input = request.input;
    refuse_unknown(input)?;
    let digest = digest(input);
    let token = input["ClientToken"].as_str().filter(|token| !token.is_empty());
    if let Some(earlier) = token.and_then(|token| launched_with(region, token)) {
        if earlier.token_digest.as_deref() != Some(&digest) {
            let message =
                "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).";
            return Err(ApiError::new("IdempotentParameterMismatch", message));
        }
        let id = earlier.reservation_id.clone();
        return Ok(reservation(region, &id));
    }
    let (least, most) = (input["MinCount"].as_i64().unwrap_or(0), input["MaxCount"].as_i64().unwrap_or(0));
    let count = usize::try_from(most).ok().filter(|count| least >= 1 && *count >= 1 && most >= least && *count <= 100);
    let count = count.ok_or_else(|| {
        errors::invalid_value(format!("MinCount {least} and MaxCount {most}: 1 <= MinCount <= MaxCount <= 100"))
    })?;
    let image = images::find(&region.name, input["ImageId"].as_str().ok_or_else(|| errors::missing("ImageId"))?)?;
    let kind = instance_types::find(input["InstanceType"].as_str().unwrap_or("m1.small"))?;
    if kind.architecture != image.architecture {
        let message = format!(
            "The architecture '{}' of the specified instance type does not match the architecture '{}' of the specified \
             AMI. Specify an instance type and an AMI that have matching architectures, and try again.",
            kind.architecture, image.architecture
        );
        return Err(errors::invalid_value(message));
    }
    let place = placement::place(region, input)?;
    if place.private_ip.is_some() && count > 1 {
        return Err(errors::combination("A private address can be given to one instance only"));
    }
    if let Some(name) = input["KeyName"].as_str()
        && !region.key_pairs.values().any(|key| key.name == name)
    {
        return Err(ids::KEY_PAIR.not_found(name));
    }
    check_user_data(input["UserData"].as_str())?;
    let instance_tags = tags::specified(input, ids::INSTANCE, &[ids::VOLUME, ids::INTERFACE])?;
    let volume_tags = tags::specified(input, ids::VOLUME, &[ids::INSTANCE, ids::INTERFACE])?;
    let interface_tags = tags::specified(input, ids::INTERFACE, &[ids::INSTANCE, ids::VOLUME])?;

    let reservation_id = ids::INSTANCE.new_id().replacen("i-", "r-", 1);
    for launch_index in 0..count {
        let mut instance = instance(region, request, &image, &kind, &place)?;
        instance.reservation_id.clone_from(&reservation_id);
        instance.launch_index = launch_index;
        instance.client_token = token.map(str::to_owned);
        instance.token_digest = token.is_some().then(|| digest.clone());
        instance.profile = profile(&input["IamInstanceProfile"], request, profiles)?;
        let volume = volume(request, &image, &instance)?;
        for (id, tags) in
            [(&instance.id, &instance_tags), (&volume.id, &volume_tags), (&instance.interface_id, &interface_tags)]
        {
            region.tag(id, Tags::clone(tags));
        }
        region.volumes.insert(volume.id.clone(), volume);
        region.instances.insert(instance.id.clone(), instance);
    }
    Ok(reservation(region, &reservation_id))
}

/// Instances that were launched together.
pub(super) fn reservation(region: &Region, id: &str) -> Value {
    let mut members: Vec<&Instance> =
        region.instances.values().filter(|instance| instance.reservation_id == id).collect();
    members.sort_by_key(|instance| instance.launch_index);
    let instances: Vec<Value> = members.into_iter().map(|instance| instance.view(region)).collect();
    json!({"ReservationId": id, "OwnerId": ACCOUNT, "Groups": [], "Instances": instances})
}

/// The profile that a request names, by its name or its ARN.
pub(super) fn profile(
    given: &Value,
    request: &Request<'_>,
    profiles: &dyn Profiles,
) -> Result<Option<Profile>, ApiError> {
    let (name, arn) = (given["Name"].as_str(), given["Arn"].as_str());
    let asked = match (name, arn) {
        (None, None) if given.is_null() => return Ok(None),
        (None, None) => return Err(errors::missing("IamInstanceProfile.Name or IamInstanceProfile.Arn")),
        (Some(_), Some(_)) => {
            let message =
                "The parameter 'iamInstanceProfile.name' may not be used in combination with 'iamInstanceProfile.arn'";
            return Err(errors::combination(message));
        }
        (Some(one), None) | (None, Some(one)) => one,
    };
    let found = profiles.find(asked)?;
    let association_id = ids::PROFILE_ASSOCIATION.new_id();
    Ok(Some(Profile { association_id, arn: found.arn, id: found.id, since: request.now }))
}

/// Refuses what is not base64 or is too much.
pub(super) fn check_user_data(text: Option<&str>) -> Result<(), ApiError> {
    let Some(text) = text else { return Ok(()) };
    let Ok(bytes) = STANDARD.decode(text) else {
        return Err(errors::invalid_value("Invalid BASE64 encoding of user data."));
    };
    if bytes.len() > MOST_USER_DATA {
        return Err(errors::invalid_value("User data is limited to 16384 bytes"));
    }
    Ok(())
}

fn refuse_unknown(input: &Value) -> Result<(), ApiError> {
    for (member, value) in input.as_object().into_iter().flatten() {
        let empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        if !empty && !MEMBERS.contains(&member.as_str()) {
            return Err(errors::unsupported(&format!("`{member}` of RunInstances")));
        }
    }
    Ok(())
}

/// Of everything but the token: a retry may differ in nothing else.
fn digest(input: &Value) -> String {
    let mut input = input.clone();
    if let Some(object) = input.as_object_mut() {
        object.retain(|member, _| member != "ClientToken" && member != "DryRun");
        object.sort_keys();
    }
    hex::encode(Sha256::digest(input.to_string()))
}

fn launched_with<'a>(region: &'a Region, token: &str) -> Option<&'a Instance> {
    region.instances.values().find(|instance| instance.client_token.as_deref() == Some(token))
}

fn instance(
    region: &Region,
    request: &Request<'_>,
    image: &Image,
    kind: &InstanceType,
    place: &Place,
) -> Result<Instance, ApiError> {
    let input = request.input;
    let id = ids::INSTANCE.new_id();
    // Locally administered, as EC2's are.
    let random: [u8; 5] = rand::random();
    let mac = random.iter().fold("02".to_owned(), |mac, byte| format!("{mac}:{byte:02x}"));
    // "standard" for T2, "unlimited" for the later ones ("Burstable performance instances", EC2 user guide).
    let usual = if kind.name.starts_with("t2.") { "standard" } else { "unlimited" };
    let credits =
        kind.burstable.then(|| input["CreditSpecification"]["CpuCredits"].as_str().unwrap_or(usual).to_owned());
    Ok(Instance {
        id,
        reservation_id: String::new(),
        launch_index: 0,
        client_token: None,
        token_digest: None,
        image_id: image.id.clone(),
        architecture: image.architecture.to_owned(),
        root_device: image.root_device.to_owned(),
        instance_type: kind.name.clone(),
        key_name: input["KeyName"].as_str().map(str::to_owned),
        state: State::Pending,
        state_reason: None,
        transition_reason: String::new(),
        launched_at: request.now,
        ended_at: None,
        zone: place.subnet.zone.clone(),
        zone_id: place.subnet.zone_id.clone(),
        subnet_id: place.subnet.id.clone(),
        private_ip: placement::private_ip(region, place)?,
        loopback: own_address(|address| region.instances.values().any(|other| other.loopback == address)),
        public_ip: if place.public { Some(region.free_public_ip()?) } else { None },
        auto_public_ip: place.public,
        interface_id: ids::INTERFACE.new_id(),
        mac,
        groups: place.groups.clone(),
        profile: None,
        // All images here have `ImdsSupport: v2.0`, which makes tokens the default.
        metadata: metadata_options::of_launch(&input["MetadataOptions"])?,
        user_data: input["UserData"].as_str().filter(|text| !text.is_empty()).map(str::to_owned),
        terminate_protected: input["DisableApiTermination"] == true,
        stop_protected: input["DisableApiStop"] == true,
        shutdown_behavior: input["InstanceInitiatedShutdownBehavior"].as_str().unwrap_or("stop").to_owned(),
        ebs_optimized: input["EbsOptimized"] == true,
        source_dest_check: true,
        monitored: input["Monitoring"]["Enabled"] == true,
        credits,
    })
}

fn volume(request: &Request<'_>, image: &Image, instance: &Instance) -> Result<Volume, ApiError> {
    let mut volume = Volume {
        id: ids::VOLUME.new_id(),
        zone: instance.zone.clone(),
        size: image.size,
        kind: image.volume_type.to_owned(),
        iops: None,
        throughput: None,
        encrypted: false,
        kms_key: None,
        snapshot: image.id.replacen("ami-", "snap-", 1),
        created: request.now,
        attachment: None,
        modification: None,
    };
    let mut goes = true;
    let mut given = &Value::Null;
    for mapping in request.input["BlockDeviceMappings"].as_array().into_iter().flatten() {
        let device = mapping["DeviceName"].as_str().unwrap_or_default();
        if device != image.root_device {
            return Err(errors::unsupported(&format!(
                "volumes besides the root volume ({device}; the root is {})",
                image.root_device
            )));
        }
        given = &mapping["Ebs"];
        for member in ["OutpostArn", "SnapshotId", "VolumeInitializationRate", "EbsCardIndex"] {
            if !given[member].is_null() {
                return Err(errors::unsupported(&format!("`BlockDeviceMappings.Ebs.{member}` of RunInstances")));
            }
        }
        goes = given["DeleteOnTermination"] != false;
        volume.encrypted = given["Encrypted"] == true;
        volume.kms_key = given["KmsKeyId"].as_str().map(str::to_owned);
        if volume.kms_key.is_some() && !volume.encrypted {
            return Err(errors::invalid_value("A KMS key needs Encrypted"));
        }
        if given["VolumeSize"].as_i64().is_some_and(|size| size < image.size) {
            let message = format!(
                "Volume of size {}GB is smaller than snapshot '{}', expect size >= {}GB",
                given["VolumeSize"], volume.snapshot, image.size
            );
            return Err(ApiError::new("InvalidBlockDeviceMapping", message));
        }
    }
    volume.set(given["VolumeSize"].as_i64(), given)?;
    volume.attachment = Some(Attachment {
        instance: instance.id.clone(),
        device: image.root_device.to_owned(),
        delete_on_termination: goes,
        at: request.now,
    });
    Ok(volume)
}
