//! Root volumes of instances. They are records: nothing is encrypted, and no space is set aside.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::filters::{Listing, describe};
use super::region::Region;
use super::{Request, errors, ids};
use crate::wire::error::ApiError;

/// A volume. It goes with its instance, or stays when it was told to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Volume {
    pub(super) id: String,
    pub(super) zone: String,
    /// In GiB.
    pub(super) size: i64,
    /// Such as `gp3`.
    pub(super) kind: String,
    pub(super) iops: Option<i64>,
    /// In MiB a second; `gp3` alone has it.
    pub(super) throughput: Option<i64>,
    pub(super) encrypted: bool,
    pub(super) kms_key: Option<String>,
    pub(super) snapshot: String,
    pub(super) created: i64,
    pub(super) attachment: Option<Attachment>,
    pub(super) modification: Option<Modification>,
}

/// Where a volume is attached.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Attachment {
    pub(super) instance: String,
    pub(super) device: String,
    pub(super) delete_on_termination: bool,
    pub(super) at: i64,
}

/// The last change of a volume.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Modification {
    at: i64,
    original: Performance,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Performance {
    size: i64,
    kind: String,
    iops: Option<i64>,
    throughput: Option<i64>,
}

/// Size limits in GiB of each type ("Amazon EBS volume types", EBS user guide).
const SIZES: &[(&str, i64, i64)] = &[
    ("gp2", 1, 16384),
    ("gp3", 1, 65536),
    ("io1", 4, 16384),
    ("io2", 4, 65536),
    ("st1", 125, 16384),
    ("sc1", 125, 16384),
    ("standard", 1, 1024),
];

impl Volume {
    /// Reads the performance of a `BlockDeviceMapping` over the defaults of the image, or what `ModifyVolume` changes.
    pub(super) fn set(&mut self, size: Option<i64>, given: &Value) -> Result<(), ApiError> {
        if let Some(size) = size {
            self.size = size;
        }
        let changed_type = given["VolumeType"].as_str().filter(|kind| *kind != self.kind);
        if let Some(kind) = changed_type {
            self.kind = kind.to_owned();
            (self.iops, self.throughput) = (None, None);
        }
        let Some((kind, least, most)) = SIZES.iter().find(|(kind, ..)| *kind == self.kind) else {
            return Err(errors::invalid_value(format!("Invalid volume type: {}", self.kind)));
        };
        if !(*least..=*most).contains(&self.size) {
            let message = format!("Volume of {}GiB is invalid for {kind}: between {least} and {most} GiB", self.size);
            return Err(errors::invalid_value(message));
        }
        let takes_iops = matches!(*kind, "gp3" | "io1" | "io2");
        match given["Iops"].as_i64() {
            Some(iops) if takes_iops => self.iops = Some(iops),
            Some(_) => {
                return Err(errors::combination(format!("The parameter iops is not supported for {kind} volumes.")));
            }
            None if matches!(*kind, "io1" | "io2") && self.iops.is_none() => return Err(errors::missing("iops")),
            None if *kind == "gp3" => self.iops = self.iops.or(Some(3000)),
            // "3 IOPS per GiB", at least 100 and at most 16,000.
            None if *kind == "gp2" => self.iops = Some((self.size * 3).clamp(100, 16_000)),
            None => {}
        }
        match given["Throughput"].as_i64() {
            Some(throughput) if *kind == "gp3" && (125..=2000).contains(&throughput) => {
                self.throughput = Some(throughput);
            }
            Some(_) if *kind == "gp3" => {
                return Err(errors::invalid_value("Throughput must be between 125 and 2000 MiB/s"));
            }
            Some(_) => {
                return Err(errors::combination(format!(
                    "The parameter throughput is not supported for {kind} volumes."
                )));
            }
            None if *kind == "gp3" => self.throughput = self.throughput.or(Some(125)),
            None => {}
        }
        Ok(())
    }

    fn view(&self, region: &Region) -> Value {
        let attachments: Vec<Value> = self
            .attachment
            .iter()
            .map(|attachment| {
                json!({
                    "VolumeId": self.id, "InstanceId": attachment.instance, "Device": attachment.device,
                    "State": "attached", "AttachTime": attachment.at,
                    "DeleteOnTermination": attachment.delete_on_termination,
                })
            })
            .collect();
        json!({
            "VolumeId": self.id, "AvailabilityZone": self.zone, "Size": self.size, "VolumeType": self.kind,
            "Iops": self.iops, "Throughput": self.throughput, "Encrypted": self.encrypted, "KmsKeyId": self.kms_key,
            "SnapshotId": self.snapshot, "CreateTime": self.created, "MultiAttachEnabled": false,
            "State": if self.attachment.is_some() { "in-use" } else { "available" },
            "Attachments": attachments, "Tags": region.tags_of(&self.id),
        })
    }

    fn modification_view(&self) -> Option<Value> {
        let modification = self.modification.as_ref()?;
        let original = &modification.original;
        Some(json!({
            "VolumeId": self.id, "ModificationState": "completed", "Progress": 100,
            "StartTime": modification.at, "EndTime": modification.at,
            "OriginalSize": original.size, "OriginalVolumeType": original.kind, "OriginalIops": original.iops,
            "OriginalThroughput": original.throughput, "TargetSize": self.size, "TargetVolumeType": self.kind,
            "TargetIops": self.iops, "TargetThroughput": self.throughput,
        }))
    }
}

/// `DescribeVolumes`.
pub(super) fn list(region: &Region, request: &Request<'_>) -> Result<Value, ApiError> {
    const LISTING: Listing = Listing {
        ids: "VolumeIds",
        id: "VolumeId",
        noun: ids::VOLUME,
        filters: &[
            ("attachment.attach-time", "Attachments.AttachTime"),
            ("attachment.delete-on-termination", "Attachments.DeleteOnTermination"),
            ("attachment.device", "Attachments.Device"),
            ("attachment.instance-id", "Attachments.InstanceId"),
            ("attachment.status", "Attachments.State"),
            ("availability-zone", "AvailabilityZone"),
            ("create-time", "CreateTime"),
            ("encrypted", "Encrypted"),
            ("multi-attach-enabled", "MultiAttachEnabled"),
            ("size", "Size"),
            ("snapshot-id", "SnapshotId"),
            ("status", "State"),
            ("volume-id", "VolumeId"),
            ("volume-type", "VolumeType"),
        ],
    };
    let volumes = region.volumes.values().map(|volume| volume.view(region)).collect();
    Ok(describe(volumes, request.input, &LISTING)?.answer("Volumes"))
}

/// `ModifyVolume`: done at once; on AWS it takes minutes, and the next one has to wait for hours.
pub(super) fn modify(region: &mut Region, request: &Request<'_>) -> Result<Value, ApiError> {
    let input = request.input;
    let id = request.text("VolumeId");
    ids::VOLUME.check(id)?;
    let volume = region.volumes.get_mut(id).ok_or_else(|| ids::VOLUME.not_found(id))?;
    if input["MultiAttachEnabled"] == true {
        return Err(errors::unsupported("`MultiAttachEnabled` of ModifyVolume"));
    }
    if input["Size"].as_i64().is_some_and(|size| size < volume.size) {
        return Err(errors::invalid_value("New size cannot be smaller than existing size"));
    }
    let original =
        Performance { size: volume.size, kind: volume.kind.clone(), iops: volume.iops, throughput: volume.throughput };
    volume.set(input["Size"].as_i64(), input)?;
    volume.modification = Some(Modification { at: request.now, original });
    Ok(json!({ "VolumeModification": volume.modification_view() }))
}

/// `DescribeVolumesModifications`.
pub(super) fn modifications(region: &Region, request: &Request<'_>) -> Result<Value, ApiError> {
    const LISTING: Listing = Listing {
        ids: "VolumeIds",
        id: "VolumeId",
        noun: ids::VOLUME,
        filters: &[
            ("modification-state", "ModificationState"),
            ("original-size", "OriginalSize"),
            ("original-volume-type", "OriginalVolumeType"),
            ("start-time", "StartTime"),
            ("target-size", "TargetSize"),
            ("target-volume-type", "TargetVolumeType"),
            ("volume-id", "VolumeId"),
        ],
    };
    let changes = region.volumes.values().filter_map(Volume::modification_view).collect();
    Ok(describe(changes, request.input, &LISTING)?.answer("VolumesModifications"))
}
