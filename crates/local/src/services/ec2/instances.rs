//! Instances as the `Describe…` operations show them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::filters::{Listing, Page, describe};
use super::instance::{Instance, State};
use super::region::Region;
use super::{Request, ids, shown};
use crate::credentials::ACCOUNT;
use crate::wire::error::ApiError;

/// `DescribeInstances`: pages count instances, answers are grouped by reservation.
pub(super) fn list(region: &Region, request: &Request<'_>) -> Result<Value, ApiError> {
    const LISTING: Listing = Listing {
        ids: "InstanceIds",
        id: "InstanceId",
        noun: ids::INSTANCE,
        filters: &[
            ("architecture", "Architecture"),
            ("availability-zone", "Placement.AvailabilityZone"),
            ("block-device-mapping.attach-time", "BlockDeviceMappings.Ebs.AttachTime"),
            ("block-device-mapping.delete-on-termination", "BlockDeviceMappings.Ebs.DeleteOnTermination"),
            ("block-device-mapping.device-name", "BlockDeviceMappings.DeviceName"),
            ("block-device-mapping.status", "BlockDeviceMappings.Ebs.Status"),
            ("block-device-mapping.volume-id", "BlockDeviceMappings.Ebs.VolumeId"),
            ("client-token", "ClientToken"),
            ("dns-name", "PublicDnsName"),
            ("hypervisor", "Hypervisor"),
            ("iam-instance-profile.arn", "IamInstanceProfile.Arn"),
            ("iam-instance-profile.id", "IamInstanceProfile.Id"),
            ("image-id", "ImageId"),
            ("instance-id", "InstanceId"),
            ("instance-state-code", "State.Code"),
            ("instance-state-name", "State.Name"),
            ("instance-type", "InstanceType"),
            ("instance.group-id", "SecurityGroups.GroupId"),
            ("instance.group-name", "SecurityGroups.GroupName"),
            ("ip-address", "PublicIpAddress"),
            ("key-name", "KeyName"),
            ("launch-index", "AmiLaunchIndex"),
            ("launch-time", "LaunchTime"),
            ("metadata-options.http-endpoint", "MetadataOptions.HttpEndpoint"),
            ("metadata-options.http-tokens", "MetadataOptions.HttpTokens"),
            ("metadata-options.instance-metadata-tags", "MetadataOptions.InstanceMetadataTags"),
            ("monitoring-state", "Monitoring.State"),
            ("network-interface.addresses.private-ip-address", "NetworkInterfaces.PrivateIpAddress"),
            ("network-interface.association.public-ip", "NetworkInterfaces.Association.PublicIp"),
            ("network-interface.group-id", "NetworkInterfaces.Groups.GroupId"),
            ("network-interface.group-name", "NetworkInterfaces.Groups.GroupName"),
            ("network-interface.network-interface-id", "NetworkInterfaces.NetworkInterfaceId"),
            ("network-interface.subnet-id", "NetworkInterfaces.SubnetId"),
            ("network-interface.vpc-id", "NetworkInterfaces.VpcId"),
            ("owner-id", "OwnerId"),
            ("placement-group-name", "Placement.GroupName"),
            ("platform-details", "PlatformDetails"),
            ("private-dns-name", "PrivateDnsName"),
            ("private-ip-address", "PrivateIpAddress"),
            ("reservation-id", "ReservationId"),
            ("root-device-name", "RootDeviceName"),
            ("root-device-type", "RootDeviceType"),
            ("source-dest-check", "SourceDestCheck"),
            ("state-reason-code", "StateReason.Code"),
            ("subnet-id", "SubnetId"),
            ("tenancy", "Placement.Tenancy"),
            ("virtualization-type", "VirtualizationType"),
            ("vpc-id", "VpcId"),
        ],
    };
    let view = |instance: &Instance| {
        let mut view = instance.view(region);
        // Filters ask for these; they are answered beside the instance, not in it.
        view["ReservationId"] = json!(instance.reservation_id);
        view["OwnerId"] = json!(ACCOUNT);
        view
    };
    let Page { items, next } = describe(shown(region, request.now).map(view).collect(), request.input, &LISTING)?;
    let mut by_reservation: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for mut item in items {
        let Some(object) = item.as_object_mut() else { continue };
        object.remove("OwnerId");
        let reservation = object.remove("ReservationId").and_then(|id| id.as_str().map(str::to_owned));
        by_reservation.entry(reservation.unwrap_or_default()).or_default().push(item);
    }
    let reservations: Vec<Value> = by_reservation
        .into_iter()
        .map(|(id, instances)| json!({"ReservationId": id, "OwnerId": ACCOUNT, "Groups": [], "Instances": instances}))
        .collect();
    Ok(json!({"Reservations": reservations, "NextToken": next}))
}

/// `DescribeInstanceStatus`: those that run, unless all are asked for. Checks pass as soon as one runs.
pub(super) fn status(region: &Region, request: &Request<'_>) -> Result<Value, ApiError> {
    const LISTING: Listing = Listing {
        ids: "InstanceIds",
        id: "InstanceId",
        noun: ids::INSTANCE,
        filters: &[
            ("availability-zone", "AvailabilityZone"),
            ("instance-state-code", "InstanceState.Code"),
            ("instance-state-name", "InstanceState.Name"),
            ("instance-status.reachability", "InstanceStatus.Details.Status"),
            ("instance-status.status", "InstanceStatus.Status"),
            ("system-status.reachability", "SystemStatus.Details.Status"),
            ("system-status.status", "SystemStatus.Status"),
        ],
    };
    let view = |instance: &Instance| {
        let (status, detail) = match instance.state {
            State::Running => ("ok", Some("passed")),
            State::Pending => ("initializing", Some("initializing")),
            _ => ("not-applicable", None),
        };
        let details: Vec<Value> =
            detail.iter().map(|detail| json!({"Name": "reachability", "Status": detail})).collect();
        json!({
            "InstanceId": instance.id, "AvailabilityZone": instance.zone, "InstanceState": instance.state.view(),
            "InstanceStatus": {"Status": status, "Details": details},
            "SystemStatus": {"Status": status, "Details": details},
        })
    };
    // An id that is known is no error, even if its instance is not shown because it does not run.
    let mut page = describe(shown(region, request.now).map(view).collect(), request.input, &LISTING)?;
    if request.input["IncludeAllInstances"] != true {
        page.items.retain(|item| item["InstanceState"]["Name"] == "running");
    }
    Ok(page.answer("InstanceStatuses"))
}

/// `DescribeInstanceCreditSpecifications`.
pub(super) fn credits(region: &Region, request: &Request<'_>) -> Result<Value, ApiError> {
    const LISTING: Listing = Listing {
        ids: "InstanceIds",
        id: "InstanceId",
        noun: ids::INSTANCE,
        filters: &[("instance-id", "InstanceId")],
    };
    let burstable = shown(region, request.now).filter(|instance| instance.credits.is_some());
    let views = burstable.map(|instance| json!({"InstanceId": instance.id, "CpuCredits": instance.credits}));
    Ok(describe(views.collect(), request.input, &LISTING)?.answer("InstanceCreditSpecifications"))
}

/// `DescribeNetworkInterfaces`: one an instance, until that is terminated.
pub(super) fn interfaces(region: &Region, request: &Request<'_>) -> Result<Value, ApiError> {
    const LISTING: Listing = Listing {
        ids: "NetworkInterfaceIds",
        id: "NetworkInterfaceId",
        noun: ids::INTERFACE,
        filters: &[
            ("addresses.association.public-ip", "Association.PublicIp"),
            ("addresses.private-ip-address", "PrivateIpAddresses.PrivateIpAddress"),
            ("association.allocation-id", "Association.AllocationId"),
            ("association.association-id", "Association.AssociationId"),
            ("association.ip-owner-id", "Association.IpOwnerId"),
            ("association.public-dns-name", "Association.PublicDnsName"),
            ("association.public-ip", "Association.PublicIp"),
            ("attachment.attach-time", "Attachment.AttachTime"),
            ("attachment.attachment-id", "Attachment.AttachmentId"),
            ("attachment.delete-on-termination", "Attachment.DeleteOnTermination"),
            ("attachment.device-index", "Attachment.DeviceIndex"),
            ("attachment.instance-id", "Attachment.InstanceId"),
            ("attachment.instance-owner-id", "Attachment.InstanceOwnerId"),
            ("attachment.status", "Attachment.Status"),
            ("availability-zone", "AvailabilityZone"),
            ("description", "Description"),
            ("group-id", "Groups.GroupId"),
            ("group-name", "Groups.GroupName"),
            ("interface-type", "InterfaceType"),
            ("mac-address", "MacAddress"),
            ("network-interface-id", "NetworkInterfaceId"),
            ("owner-id", "OwnerId"),
            ("private-dns-name", "PrivateDnsName"),
            ("private-ip-address", "PrivateIpAddress"),
            ("requester-id", "RequesterId"),
            ("requester-managed", "RequesterManaged"),
            ("source-dest-check", "SourceDestCheck"),
            ("status", "Status"),
            ("subnet-id", "SubnetId"),
            ("vpc-id", "VpcId"),
        ],
    };
    let live = region.instances.values().filter(|instance| !instance.is_terminated());
    let of_services = region.interfaces.values().map(|interface| interface.view(region));
    let interfaces = live.map(|instance| instance.interface(region)).chain(of_services).collect();
    Ok(describe(interfaces, request.input, &LISTING)?.answer("NetworkInterfaces"))
}
