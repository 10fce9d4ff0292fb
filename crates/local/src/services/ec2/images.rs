//! Machine images: those that the public SSM parameters name. Which one an instance is started from changes nothing
//! here but what is said about it: user data runs on the machine of the local cloud.

use serde_json::{Value, json};

use super::filters::{Listing, describe, texts};
use super::region::Region;
use super::{Request, ids};
use crate::services::ssm;
use crate::wire::error::ApiError;

/// What an instance takes over from its image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) id: String,
    /// `x86_64` or `arm64`.
    pub(super) architecture: &'static str,
    pub(super) root_device: &'static str,
    /// `gp2` or `gp3`.
    pub(super) volume_type: &'static str,
    /// Of the root volume, in GiB.
    pub(super) size: i64,
    snapshot: String,
    name: String,
    owner: &'static str,
    owner_alias: Option<&'static str>,
    parameter: String,
}

/// All images of a region.
pub(super) fn all(region: &str) -> Vec<Image> {
    let mut found: Vec<Image> = Vec::new();
    for (parameter, id) in ssm::public_images(region) {
        let arm = parameter.contains("arm64");
        let ubuntu = parameter.contains("/canonical/");
        // Canonical's parameters say the release twice, by number and by name; both are kept as images of their own.
        let name = if ubuntu {
            let release = parameter.split('/').nth(5).unwrap_or_default();
            format!("ubuntu/images/hvm-ssd/ubuntu-{release}-{}-server-20240304", if arm { "arm64" } else { "amd64" })
        } else {
            format!("{}-20240304", parameter.rsplit('/').next().unwrap_or_default())
        };
        found.push(Image {
            snapshot: id.replacen("ami-", "snap-", 1),
            id,
            architecture: if arm { "arm64" } else { "x86_64" },
            root_device: if ubuntu { "/dev/sda1" } else { "/dev/xvda" },
            volume_type: if parameter.contains("gp2") { "gp2" } else { "gp3" },
            size: 8,
            name,
            owner: if ubuntu { "099720109477" } else { "137112412989" },
            owner_alias: if ubuntu { None } else { Some("amazon") },
            parameter,
        });
    }
    found
}

/// The image of that id.
pub(super) fn find(region: &str, id: &str) -> Result<Image, ApiError> {
    ids::IMAGE.check(id)?;
    all(region).into_iter().find(|image| image.id == id).ok_or_else(|| ids::IMAGE.not_found(&format!("[{id}]")))
}

/// `DescribeImages`.
pub(super) fn list(region: &Region, request: &Request<'_>) -> Result<Value, ApiError> {
    const LISTING: Listing = Listing {
        ids: "ImageIds",
        id: "ImageId",
        noun: ids::IMAGE,
        filters: &[
            ("architecture", "Architecture"),
            ("block-device-mapping.device-name", "BlockDeviceMappings.DeviceName"),
            ("block-device-mapping.encrypted", "BlockDeviceMappings.Ebs.Encrypted"),
            ("block-device-mapping.volume-size", "BlockDeviceMappings.Ebs.VolumeSize"),
            ("block-device-mapping.volume-type", "BlockDeviceMappings.Ebs.VolumeType"),
            ("creation-date", "CreationDate"),
            ("description", "Description"),
            ("ena-support", "EnaSupport"),
            ("hypervisor", "Hypervisor"),
            ("image-id", "ImageId"),
            ("image-type", "ImageType"),
            ("is-public", "Public"),
            ("name", "Name"),
            ("owner-alias", "ImageOwnerAlias"),
            ("owner-id", "OwnerId"),
            ("platform-details", "PlatformDetails"),
            ("root-device-name", "RootDeviceName"),
            ("root-device-type", "RootDeviceType"),
            ("state", "State"),
            ("virtualization-type", "VirtualizationType"),
        ],
    };
    let owners = texts(&request.input["Owners"]);
    let owned = |image: &Image| {
        owners.is_empty() || owners.iter().any(|owner| *owner == image.owner || Some(*owner) == image.owner_alias)
    };
    let images = all(&region.name).into_iter().filter(owned).map(|image| view(&image)).collect();
    describe(images, request.input, &LISTING).map(|page| page.answer("Images")).map_err(|error| {
        // The one place where EC2 puts the id in brackets.
        let id = error.message.split('\'').nth(1).unwrap_or_default();
        if error.code == "InvalidAMIID.NotFound" { ids::IMAGE.not_found(&format!("[{id}]")) } else { error }
    })
}

fn view(image: &Image) -> Value {
    json!({
        "ImageId": image.id, "Name": image.name, "ImageLocation": format!("amazon/{}", image.name),
        "Description": format!("the image of {} in the local cloud", image.parameter),
        "State": "available", "OwnerId": image.owner, "ImageOwnerAlias": image.owner_alias, "Public": true,
        "Architecture": image.architecture, "ImageType": "machine", "RootDeviceName": image.root_device,
        "RootDeviceType": "ebs", "VirtualizationType": "hvm", "Hypervisor": "xen", "EnaSupport": true,
        "SriovNetSupport": "simple", "CreationDate": "2024-03-04T00:00:00.000Z", "PlatformDetails": "Linux/UNIX",
        "UsageOperation": "RunInstances", "ImdsSupport": "v2.0",
        "BlockDeviceMappings": [{
            "DeviceName": image.root_device,
            "Ebs": {
                "DeleteOnTermination": true, "Encrypted": false, "SnapshotId": image.snapshot,
                "VolumeSize": image.size, "VolumeType": image.volume_type,
            },
        }],
    })
}
