//! Instance types. A few families are there; how large one is changes nothing about how fast it runs here.

use serde_json::{Value, json};

use super::Request;
use super::errors;
use super::filters::{Filters, paged, texts};
use super::region::Region;
use crate::wire::error::ApiError;

/// One type.
#[derive(Clone, Debug)]
pub(super) struct InstanceType {
    pub(super) name: String,
    /// `x86_64` or `arm64`.
    pub(super) architecture: &'static str,
    /// Whether it has CPU credits.
    pub(super) burstable: bool,
    pub(super) vcpus: u32,
    threads_per_core: u32,
    memory_mib: u32,
    nitro: bool,
}

struct Family {
    name: &'static str,
    arm: bool,
    burstable: bool,
    nitro: bool,
    /// Size, virtual CPUs, MiB of memory.
    sizes: &'static [(&'static str, u32, u32)],
}

const BURSTABLE: &[(&str, u32, u32)] = &[
    ("nano", 2, 512),
    ("micro", 2, 1024),
    ("small", 2, 2048),
    ("medium", 2, 4096),
    ("large", 2, 8192),
    ("xlarge", 4, 16384),
    ("2xlarge", 8, 32768),
];
const GENERAL: &[(&str, u32, u32)] =
    &[("large", 2, 8192), ("xlarge", 4, 16384), ("2xlarge", 8, 32768), ("4xlarge", 16, 65536)];
const COMPUTE: &[(&str, u32, u32)] =
    &[("large", 2, 4096), ("xlarge", 4, 8192), ("2xlarge", 8, 16384), ("4xlarge", 16, 32768)];
const MEMORY: &[(&str, u32, u32)] =
    &[("large", 2, 16384), ("xlarge", 4, 32768), ("2xlarge", 8, 65536), ("4xlarge", 16, 131_072)];

const fn family(name: &'static str, arm: bool, burstable: bool, sizes: &'static [(&'static str, u32, u32)]) -> Family {
    Family { name, arm, burstable, nitro: true, sizes }
}

/// Of "Amazon EC2 instance types": names, processors and memory.
const FAMILIES: [Family; 16] = [
    Family {
        name: "t2",
        arm: false,
        burstable: true,
        nitro: false,
        sizes: &[
            ("nano", 1, 512),
            ("micro", 1, 1024),
            ("small", 1, 2048),
            ("medium", 2, 4096),
            ("large", 2, 8192),
            ("xlarge", 4, 16384),
            ("2xlarge", 8, 32768),
        ],
    },
    family("t3", false, true, BURSTABLE),
    family("t3a", false, true, BURSTABLE),
    family("t4g", true, true, BURSTABLE),
    family("m5", false, false, GENERAL),
    family("m6i", false, false, GENERAL),
    family("m6g", true, false, GENERAL),
    family("m7i", false, false, GENERAL),
    family("m7g", true, false, GENERAL),
    family("c5", false, false, COMPUTE),
    family("c6i", false, false, COMPUTE),
    family("c6g", true, false, COMPUTE),
    family("c7g", true, false, COMPUTE),
    family("r5", false, false, MEMORY),
    family("r6i", false, false, MEMORY),
    family("r6g", true, false, MEMORY),
];

/// The type of that name.
pub(super) fn find(name: &str) -> Result<InstanceType, ApiError> {
    all().into_iter().find(|one| one.name == name).ok_or_else(|| unknown(name))
}

fn all() -> Vec<InstanceType> {
    let mut found = Vec::new();
    for family in &FAMILIES {
        for (size, vcpus, memory_mib) in family.sizes {
            found.push(InstanceType {
                name: format!("{}.{size}", family.name),
                architecture: if family.arm { "arm64" } else { "x86_64" },
                burstable: family.burstable,
                vcpus: *vcpus,
                threads_per_core: if family.arm || *vcpus < 2 || !family.nitro { 1 } else { 2 },
                memory_mib: *memory_mib,
                nitro: family.nitro,
            });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// `DescribeInstanceTypes`.
pub(super) fn list(request: &Request<'_>) -> Result<Value, ApiError> {
    const FILTERS: &[(&str, &str)] = &[
        ("bare-metal", "BareMetal"),
        ("burstable-performance-supported", "BurstablePerformanceSupported"),
        ("current-generation", "CurrentGeneration"),
        ("free-tier-eligible", "FreeTierEligible"),
        ("hypervisor", "Hypervisor"),
        ("instance-storage-supported", "InstanceStorageSupported"),
        ("instance-type", "InstanceType"),
        ("memory-info.size-in-mib", "MemoryInfo.SizeInMiB"),
        ("processor-info.supported-architecture", "ProcessorInfo.SupportedArchitectures"),
        ("supported-root-device-type", "SupportedRootDeviceTypes"),
        ("supported-usage-class", "SupportedUsageClasses"),
        ("supported-virtualization-type", "SupportedVirtualizationTypes"),
        ("vcpu-info.default-cores", "VCpuInfo.DefaultCores"),
        ("vcpu-info.default-threads-per-core", "VCpuInfo.DefaultThreadsPerCore"),
        ("vcpu-info.default-vcpus", "VCpuInfo.DefaultVCpus"),
    ];
    let wanted = texts(&request.input["InstanceTypes"]);
    for name in &wanted {
        find(name)?;
    }
    let filters = Filters::read(request.input, FILTERS)?;
    let mut types: Vec<Value> = all().iter().map(view).collect();
    types.retain(|one| {
        (wanted.is_empty() || wanted.iter().any(|name| one["InstanceType"] == *name)) && filters.let_through(one)
    });
    Ok(paged(types, request.input, "InstanceType")?.answer("InstanceTypes"))
}

/// `DescribeInstanceTypeOfferings`: every type in every zone.
pub(super) fn offerings(region: &Region, request: &Request<'_>) -> Result<Value, ApiError> {
    const FILTERS: &[(&str, &str)] = &[("instance-type", "InstanceType"), ("location", "Location")];
    let subnets = region.network().subnets();
    let kind = request.input["LocationType"].as_str().unwrap_or("region");
    let locations: Vec<String> = match kind {
        "region" => vec![region.name.clone()],
        "availability-zone" => subnets.into_iter().map(|subnet| subnet.zone).collect(),
        "availability-zone-id" => subnets.into_iter().map(|subnet| subnet.zone_id).collect(),
        _ => Vec::new(),
    };
    let filters = Filters::read(request.input, FILTERS)?;
    let mut found = Vec::new();
    for one in all() {
        for location in &locations {
            // `Place` is what pages go by; it is not answered.
            let place = format!("{}\n{location}", one.name);
            let offering =
                json!({"InstanceType": one.name, "Location": location, "LocationType": kind, "Place": place});
            if filters.let_through(&offering) {
                found.push(offering);
            }
        }
    }
    let mut page = paged(found, request.input, "Place")?;
    for offering in &mut page.items {
        if let Some(offering) = offering.as_object_mut() {
            offering.remove("Place");
        }
    }
    Ok(page.answer("InstanceTypeOfferings"))
}

fn unknown(name: &str) -> ApiError {
    let message = format!("The following supplied instance types do not exist: [{name}]");
    if name.contains('.') { ApiError::new("InvalidInstanceType", message) } else { errors::invalid_value(message) }
}

fn view(one: &InstanceType) -> Value {
    json!({
        "InstanceType": one.name, "CurrentGeneration": true, "BareMetal": false,
        "FreeTierEligible": matches!(one.name.as_str(), "t2.micro" | "t3.micro"),
        "SupportedUsageClasses": ["on-demand"], "SupportedRootDeviceTypes": ["ebs"],
        "SupportedVirtualizationTypes": ["hvm"], "Hypervisor": if one.nitro { "nitro" } else { "xen" },
        "ProcessorInfo": {"SupportedArchitectures": [one.architecture]},
        "VCpuInfo": {
            "DefaultVCpus": one.vcpus, "DefaultCores": one.vcpus / one.threads_per_core,
            "DefaultThreadsPerCore": one.threads_per_core,
        },
        "MemoryInfo": {"SizeInMiB": one.memory_mib}, "InstanceStorageSupported": false,
        "EbsInfo": {
            "EbsOptimizedSupport": if one.nitro { "default" } else { "unsupported" }, "EncryptionSupport": "supported",
            "NvmeSupport": if one.nitro { "required" } else { "unsupported" },
        },
        "NetworkInfo": {
            "MaximumNetworkInterfaces": 1, "Ipv4AddressesPerInterface": 1, "Ipv6Supported": false,
            "EnaSupport": if one.nitro { "required" } else { "unsupported" },
        },
        "BurstablePerformanceSupported": one.burstable, "HibernationSupported": false,
        "DedicatedHostsSupported": false, "AutoRecoverySupported": false,
    })
}
