//! Reads rules out of requests, and brings them into the one form in which they are compared.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::Value;

use super::region::Region;
use super::security_group::{Rule, Source, Traffic};
use super::{errors, ids};
use crate::wire::error::ApiError;

/// All rules of an authorisation or a revocation: each permission has one rule for each of its sources.
pub(super) fn rules(region: &Region, input: &Value, egress: bool) -> Result<Vec<Rule>, ApiError> {
    let short = ["CidrIp", "IpProtocol", "FromPort", "ToPort"].iter().any(|member| !input[*member].is_null());
    for member in ["SourceSecurityGroupName", "SourceSecurityGroupOwnerId"] {
        if !input[member].is_null() {
            return Err(errors::combination(format!("{member} cannot be used in a VPC; use IpPermissions")));
        }
    }
    let given = input["IpPermissions"].as_array().filter(|given| !given.is_empty());
    match given {
        Some(_) if short => {
            Err(errors::combination("The parameter ipPermissions may not be used with other rule parameters"))
        }
        Some(given) => {
            let mut all = Vec::new();
            for permission in given {
                all.extend(of_permission(region, permission, egress)?);
            }
            Ok(all)
        }
        None if short => {
            let cidr = input["CidrIp"].as_str().ok_or_else(|| errors::missing("CidrIp"))?;
            Ok(vec![rule(traffic(input)?, Source::Ipv4(ipv4(cidr)?), egress, &Value::Null)?])
        }
        None => Err(errors::missing("ipPermissions")),
    }
}

/// The rule that `ModifySecurityGroupRules` puts in the place of another.
pub(super) fn modified(region: &Region, wanted: &Value, egress: bool) -> Result<Rule, ApiError> {
    let text = |member: &str| wanted[member].as_str();
    let mut sources = Vec::new();
    if let Some(cidr) = text("CidrIpv4") {
        sources.push(Source::Ipv4(ipv4(cidr)?));
    }
    if let Some(cidr) = text("CidrIpv6") {
        sources.push(Source::Ipv6(ipv6(cidr)?));
    }
    if let Some(id) = text("PrefixListId") {
        sources.push(Source::PrefixList(id.to_owned()));
    }
    if let Some(id) = text("ReferencedGroupId") {
        sources.push(group(region, id)?);
    }
    match sources.pop() {
        Some(source) if sources.is_empty() => rule(traffic(wanted)?, source, egress, &wanted["Description"]),
        Some(_) => {
            Err(errors::combination("Only one of CidrIpv4, CidrIpv6, PrefixListId and ReferencedGroupId may be given"))
        }
        None => Err(errors::missing("CidrIpv4, CidrIpv6, PrefixListId or ReferencedGroupId")),
    }
}

fn of_permission(region: &Region, permission: &Value, egress: bool) -> Result<Vec<Rule>, ApiError> {
    let traffic = traffic(permission)?;
    let entries = |member: &str| permission[member].as_array().into_iter().flatten();
    let mut all = Vec::new();
    for entry in entries("IpRanges") {
        let cidr = entry["CidrIp"].as_str().ok_or_else(|| errors::missing("CidrIp"))?;
        all.push(rule(traffic.clone(), Source::Ipv4(ipv4(cidr)?), egress, &entry["Description"])?);
    }
    for entry in entries("Ipv6Ranges") {
        let cidr = entry["CidrIpv6"].as_str().ok_or_else(|| errors::missing("CidrIpv6"))?;
        all.push(rule(traffic.clone(), Source::Ipv6(ipv6(cidr)?), egress, &entry["Description"])?);
    }
    for entry in entries("PrefixListIds") {
        let id = entry["PrefixListId"].as_str().ok_or_else(|| errors::missing("PrefixListId"))?;
        ids::PREFIX_LIST.check(id)?;
        all.push(rule(traffic.clone(), Source::PrefixList(id.to_owned()), egress, &entry["Description"])?);
    }
    for entry in entries("UserIdGroupPairs") {
        let id = entry["GroupId"].as_str().ok_or_else(|| errors::missing("GroupId"))?;
        all.push(rule(traffic.clone(), group(region, id)?, egress, &entry["Description"])?);
    }
    if all.is_empty() {
        return Err(errors::missing("IpRanges, Ipv6Ranges, PrefixListIds or UserIdGroupPairs of ipPermissions"));
    }
    Ok(all)
}

fn rule(traffic: Traffic, source: Source, egress: bool, description: &Value) -> Result<Rule, ApiError> {
    let description = description.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    if let Some(text) = description.as_deref() {
        check_description(text)?;
    }
    Ok(Rule { id: ids::RULE.new_id(), egress, traffic, source, description })
}

/// "up to 255 characters in length: a-z, A-Z, 0-9, spaces, and ._-:/()#,@[]+=&;{}!$*" (API reference, `IpRange`).
pub(super) fn check_description(text: &str) -> Result<(), ApiError> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(letter);
    if text.chars().count() <= 255 && text.chars().all(allowed) {
        return Ok(());
    }
    let message = "Invalid rule description. Valid descriptions are strings less than 256 characters from the following \
                   set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*";
    Err(errors::invalid_value(message))
}

fn group(region: &Region, id: &str) -> Result<Source, ApiError> {
    ids::GROUP.check(id)?;
    if region.groups.contains_key(id) { Ok(Source::Group(id.to_owned())) } else { Err(ids::GROUP.not_found(id)) }
}

fn traffic(given: &Value) -> Result<Traffic, ApiError> {
    let asked = given["IpProtocol"].as_str().ok_or_else(|| errors::missing("ipProtocol"))?.to_ascii_lowercase();
    let protocol = match asked.as_str() {
        "6" => "tcp",
        "17" => "udp",
        "1" => "icmp",
        "58" => "icmpv6",
        "all" => "-1",
        "tcp" | "udp" | "icmp" | "icmpv6" | "-1" => asked.as_str(),
        number if number.parse::<u8>().is_ok() => number,
        other => {
            let message = format!("Invalid value '{other}' for IP protocol. Unknown protocol.");
            return Err(errors::invalid_value(message));
        }
    };
    let (from, to) = (given["FromPort"].as_i64(), given["ToPort"].as_i64());
    let protocol = protocol.to_owned();
    match protocol.as_str() {
        "tcp" | "udp" => {
            let (Some(from), Some(to)) = (from, to) else {
                let message = format!(
                    "Invalid value 'Must specify both from and to ports with {}.' for portRange.",
                    protocol.to_uppercase()
                );
                return Err(errors::invalid_value(message));
            };
            if !(0..=65535).contains(&from) || !(0..=65535).contains(&to) {
                return Err(errors::invalid_value(format!("TCP/UDP port ({from}) out of range")));
            }
            if from > to {
                let message = format!("Invalid TCP/UDP port range ({from}:{to})");
                return Err(errors::invalid_value(message));
            }
            Ok(Traffic { protocol, from: Some(from), to: Some(to) })
        }
        "icmp" | "icmpv6" => {
            let (kind, code) = (from.unwrap_or(-1), to.unwrap_or(-1));
            if !(-1..=255).contains(&kind) || !(-1..=255).contains(&code) {
                return Err(errors::invalid_value(format!("ICMP type ({kind}) or code ({code}) out of range")));
            }
            Ok(Traffic { protocol, from: Some(kind), to: Some(code) })
        }
        // All ports, whatever was given (API reference, `IpPermission`).
        _ => Ok(Traffic { protocol, from: None, to: None }),
    }
}

/// The range with its host bits cleared, as EC2 stores it.
fn ipv4(cidr: &str) -> Result<String, ApiError> {
    let parsed =
        cidr.split_once('/').and_then(|(ip, bits)| Some((ip.parse::<Ipv4Addr>().ok()?, bits.parse::<u32>().ok()?)));
    match parsed.filter(|(_, bits)| *bits <= 32) {
        Some((ip, bits)) => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            Ok(format!("{}/{bits}", Ipv4Addr::from(u32::from(ip) & mask)))
        }
        None => Err(errors::invalid_value(format!("CIDR block {cidr} is malformed"))),
    }
}

fn ipv6(cidr: &str) -> Result<String, ApiError> {
    let parsed =
        cidr.split_once('/').and_then(|(ip, bits)| Some((ip.parse::<Ipv6Addr>().ok()?, bits.parse::<u32>().ok()?)));
    match parsed.filter(|(_, bits)| *bits <= 128) {
        Some((ip, bits)) => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            Ok(format!("{}/{bits}", Ipv6Addr::from(u128::from(ip) & mask)))
        }
        None => Err(errors::invalid_value(format!("CIDR block {cidr} is malformed"))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(permission: &Value) -> Result<Vec<Rule>, ApiError> {
        rules(&Region::new("us-east-1"), &json!({"IpPermissions": [permission]}), false)
    }

    #[test]
    fn one_rule_a_source_in_one_form() {
        let permission = json!({"IpProtocol": "6", "FromPort": 22, "ToPort": 22,
            "IpRanges": [{"CidrIp": "10.1.2.3/16"}, {"CidrIp": "0.0.0.0/0", "Description": "all"}],
            "Ipv6Ranges": [{"CidrIpv6": "2001:DB8::1/32"}]});
        let found = read(&permission).unwrap();
        let sources: Vec<&Source> = found.iter().map(|rule| &rule.source).collect();
        let expected = [
            Source::Ipv4("10.1.0.0/16".to_owned()),
            Source::Ipv4("0.0.0.0/0".to_owned()),
            Source::Ipv6("2001:db8::/32".to_owned()),
        ];
        assert_eq!(sources, expected.iter().collect::<Vec<_>>());
        assert_eq!(found[0].traffic, Traffic { protocol: "tcp".to_owned(), from: Some(22), to: Some(22) });
        let all =
            read(&json!({"IpProtocol": "-1", "FromPort": 1, "ToPort": 2, "IpRanges": [{"CidrIp": "1.2.3.4/32"}]}));
        assert_eq!(all.unwrap()[0].traffic.from, None);
    }

    #[test]
    fn what_is_refused() {
        for (permission, code) in [
            (json!({"IpProtocol": "tcp", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}), "InvalidParameterValue"),
            (
                json!({"IpProtocol": "tcp", "FromPort": 5, "ToPort": 4, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}),
                "InvalidParameterValue",
            ),
            (
                json!({"IpProtocol": "tcp", "FromPort": 5, "ToPort": 65536, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}),
                "InvalidParameterValue",
            ),
            (json!({"IpProtocol": "tpc", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}), "InvalidParameterValue"),
            (json!({"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0"}]}), "InvalidParameterValue"),
            (json!({"IpProtocol": "-1"}), "MissingParameter"),
            (json!({"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "sg-00000000"}]}), "InvalidGroup.NotFound"),
        ] {
            assert_eq!(read(&permission).unwrap_err().code, code, "{permission}");
        }
    }

    proptest! {
        #[test]
        fn a_stored_range_is_stored_as_it_is(ip: u32, bits in 0u32..=32) {
            let once = ipv4(&format!("{}/{bits}", Ipv4Addr::from(ip))).unwrap();
            prop_assert_eq!(ipv4(&once).unwrap(), once);
        }
    }
}
