//! The `client` section: the machine that the workers run on, with its role.

use pinfra_aws::ec2::elastic_ip::ElasticIpInputs;
use pinfra_aws::ec2::instance::InstanceInputs;
use pinfra_aws::ec2::key_pair::{KeyPairInputs, without_comment};
use pinfra_aws::ec2::security_group::{Direction, Rule, SecurityGroupInputs};
use pinfra_aws::iam::instance_profile::InstanceProfileInputs;
use pinfra_aws::iam::role::RoleInputs;
use pinfra_aws::policy::{normalise_policy, service_trust};
use pinfra_engine::state::Place;
use pinfra_engine::value::Input;
use pinfra_engine::{Address, Node};

use super::{Facts, names, node, tags, user_data};
use crate::spec::{Client, Gateway, Stack};

/// Where the machine's image is named ("Find Ubuntu images", Canonical's documentation of its public parameters).
const UBUNTU: &str = "/aws/service/canonical/ubuntu/server/24.04/stable/current";

/// The one machine of a stack.
pub(super) fn instance_address() -> Address {
    Address::new("ec2/instance", "client")
}

/// The address that the machine keeps when it is stopped and started.
pub(super) fn address_address() -> Address {
    Address::new("ec2/elastic_ip", "client")
}

/// The role that the machine's workers have.
pub(super) fn role_address() -> Address {
    Address::new("iam/role", "client")
}

/// The machine, its security group, its key pair, its role and its instance profile. What the role may do is the
/// workers' matter.
pub(super) fn nodes(stack: &Stack, client: &Client, place: &Place, facts: &Facts) -> Vec<Node> {
    let mut nodes = vec![group(stack, client), role(stack, client, place), profile(stack, client, place)];
    let key = client.key.as_ref().and(facts.public_key.as_deref()).map(|key| key_pair(stack, client, key));
    let has_key = key.is_some();
    nodes.extend(key);
    nodes.push(instance(stack, client, place, has_key));
    if gateway(stack).is_some() {
        let inputs = ElasticIpInputs {
            instance: Some(Input::output(instance_address(), "id")),
            tags: tags(stack, &address_address()),
        };
        nodes.push(node(stack, address_address(), &inputs, Default::default(), client.place));
    }
    nodes
}

fn gateway(stack: &Stack) -> Option<&Gateway> {
    stack.workers.as_ref().and_then(|workers| workers.gateway.as_ref())
}

fn group(stack: &Stack, client: &Client) -> Node {
    let address = Address::new("ec2/security_group", "client");
    let mut rules = vec![Rule::all_egress()];
    rules.extend(client.ssh_from.iter().map(|block| Rule {
        direction: Direction::Ingress,
        protocol: "tcp".to_owned(),
        from_port: Some(22),
        to_port: Some(22),
        peer: Input::Known(block.get().clone()),
        description: "SSH".to_owned(),
    }));
    // API Gateway calls from addresses that are nobody's in particular: the gateway asks for a secret that only it has.
    rules.extend(gateway(stack).map(|gateway| Rule {
        direction: Direction::Ingress,
        protocol: "tcp".to_owned(),
        from_port: i32::try_from(*gateway.port.get()).ok(),
        to_port: i32::try_from(*gateway.port.get()).ok(),
        peer: Input::Known("0.0.0.0/0".to_owned()),
        description: "the gateway, which answers to the API alone".to_owned(),
    }));
    rules.sort();
    let vpc = stack.network.as_ref().map(|network| network.vpc.get().clone()).filter(|vpc| vpc != "default");
    let mut secrets = std::collections::BTreeSet::new();
    let port_from_env = gateway(stack).is_some_and(|gateway| gateway.port.from_env);
    secrets.extend((port_from_env || client.ssh_from.iter().any(|block| block.from_env)).then(|| "rules".to_owned()));
    let vpc_from_env = stack.network.as_ref().is_some_and(|network| network.vpc.from_env);
    secrets.extend(vpc_from_env.then(|| "vpc".to_owned()));
    let inputs = SecurityGroupInputs {
        name: format!("{}-client", *stack.name),
        description: format!("The workers of the stack {}", *stack.name),
        vpc,
        rules,
        tags: tags(stack, &address),
    };
    node(stack, address, &inputs, secrets, client.place)
}

fn key_pair(stack: &Stack, client: &Client, public_key: &str) -> Node {
    let address = Address::new("ec2/key_pair", "client");
    let inputs = KeyPairInputs {
        name: format!("{}-client", *stack.name),
        public_key: without_comment(public_key),
        tags: tags(stack, &address),
    };
    node(stack, address, &inputs, Default::default(), client.place)
}

fn role(stack: &Stack, client: &Client, place: &Place) -> Node {
    let address = role_address();
    let inputs = RoleInputs {
        name: names::role(stack, "client", place),
        path: names::iam_path(stack),
        description: Some(format!("The workers of the stack {}", *stack.name)),
        trust: normalise_policy(&service_trust("ec2.amazonaws.com")),
        max_session_seconds: 3600,
        tags: tags(stack, &address),
    };
    node(stack, address, &inputs, Default::default(), client.place)
}

fn profile(stack: &Stack, client: &Client, place: &Place) -> Node {
    let address = Address::new("iam/instance_profile", "client");
    let inputs = InstanceProfileInputs {
        name: names::role(stack, "client", place),
        path: names::iam_path(stack),
        role: Input::output(role_address(), "name"),
        tags: tags(stack, &address),
    };
    node(stack, address, &inputs, Default::default(), client.place)
}

fn instance(stack: &Stack, client: &Client, place: &Place, has_key: bool) -> Node {
    let address = instance_address();
    let subnet = stack.network.as_ref().and_then(|network| network.subnets.first());
    let inputs = InstanceInputs {
        name: format!("{}-client", *stack.name),
        image: format!("{UBUNTU}/{}/hvm/ebs-gp3/ami-id", architecture(client.instance.get())),
        instance_type: client.instance.get().clone(),
        subnet: subnet.map(|subnet| subnet.get().clone()),
        security_groups: vec![Input::output(Address::new("ec2/security_group", "client"), "id")],
        profile: Input::output(Address::new("iam/instance_profile", "client"), "name"),
        key: has_key.then(|| Input::output(Address::new("ec2/key_pair", "client"), "name")),
        user_data: user_data::user_data(&names::bucket(stack, place), &place.region),
        metadata_tokens_required: true,
        encrypted: true,
        tags: tags(stack, &address),
    };
    let mut secrets = std::collections::BTreeSet::new();
    secrets.extend(client.instance.from_env.then(|| "type".to_owned()));
    secrets.extend(subnet.is_some_and(|subnet| subnet.from_env).then(|| "subnet".to_owned()));
    let mut node = node(stack, address, &inputs, secrets, client.place);
    // Its first boot fetches the program with the role's policy.
    if stack.workers.as_ref().is_some_and(|workers| !workers.is_empty()) {
        node.after = vec![Address::new("iam/role_policy", "client"), Address::new("s3/object", "agent")];
    }
    node
}

/// As Canonical's parameters call it. Graviton families have a `g` after their generation ("Amazon EC2 instance type
/// naming conventions", EC2 user guide).
pub(crate) fn architecture(instance_type: &str) -> &'static str {
    let family = instance_type.split('.').next().unwrap_or_default();
    let after_generation = family.trim_start_matches(|c: char| c.is_ascii_lowercase());
    let options = after_generation.trim_start_matches(|c: char| c.is_ascii_digit());
    if options.starts_with('g') { "arm64" } else { "amd64" }
}

#[cfg(test)]
mod tests {
    use super::architecture;

    #[test]
    fn graviton_machines_take_images_of_their_own() {
        for (kind, expected) in [
            ("t3.small", "amd64"),
            ("t4g.micro", "arm64"),
            ("c6gn.large", "arm64"),
            ("m7i-flex.large", "amd64"),
            ("r6a.large", "amd64"),
        ] {
            assert_eq!(architecture(kind), expected, "{kind}");
        }
    }
}
