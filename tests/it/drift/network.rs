//! Changes in EC2: rules, tags, addresses, the machine's settings.

use aws_sdk_ec2::types::{
    HttpTokensState, IpPermission, IpRange, SecurityGroupRuleRequest, SecurityGroupRuleUpdate, Tag,
};

use super::world::{Change, World, change};

const CLIENT_RULES: &str = "ec2/security_group.client#rules";

fn permission(port: i32, block: &str, description: Option<&str>) -> IpPermission {
    let range = IpRange::builder().cidr_ip(block).set_description(description.map(str::to_owned)).build();
    IpPermission::builder().ip_protocol("tcp").from_port(port).to_port(port).ip_ranges(range).build()
}

pub(super) fn changes(world: &World) -> Vec<Change<'_>> {
    let ec2 = &world.clients.ec2;
    let gateway = "the gateway, which answers to the API alone";
    let ssh = || permission(22, "0.0.0.0/0", None);
    let https = || permission(443, "10.0.0.0/8", None);
    let ours = move || permission(8082, "0.0.0.0/0", Some(gateway));
    let described = move |text: &'static str| async move {
        let rules = ec2.describe_security_group_rules().send().await.unwrap();
        let rule = rules.security_group_rules().iter().find(|rule| rule.from_port() == Some(8082)).unwrap();
        let wanted = SecurityGroupRuleRequest::builder().ip_protocol("tcp").from_port(8082).to_port(8082);
        let wanted = wanted.cidr_ipv4("0.0.0.0/0").description(text).build();
        let update = SecurityGroupRuleUpdate::builder().security_group_rule(wanted);
        let update = update.security_group_rule_id(rule.security_group_rule_id().unwrap()).build();
        let modify = ec2.modify_security_group_rules().group_id(&world.group).security_group_rules(update);
        modify.send().await.unwrap();
    };
    let tag = move |id: &'static str, key: &'static str, value: &'static str| async move {
        let id = resource(world, id);
        ec2.create_tags().resources(id).tags(Tag::builder().key(key).value(value).build()).send().await.unwrap();
    };
    let untag = move |id: &'static str, key: &'static str| async move {
        let id = resource(world, id);
        ec2.delete_tags().resources(id).tags(Tag::builder().key(key).build()).send().await.unwrap();
    };
    let tokens = move |state: HttpTokensState| async move {
        ec2.modify_instance_metadata_options().instance_id(&world.instance).http_tokens(state).send().await.unwrap();
    };
    let groups = move |more: bool| async move {
        let all = ec2.describe_security_groups().send().await.unwrap();
        let cluster = all.security_groups().iter().find(|group| group.group_name() == Some("pins-cluster")).unwrap();
        let mut ids = vec![world.group.clone()];
        ids.extend(more.then(|| cluster.group_id().unwrap().to_owned()));
        ec2.modify_instance_attribute().instance_id(&world.instance).set_groups(Some(ids)).send().await.unwrap();
    };
    vec![
        change(
            "SSH is opened to everybody",
            &[&format!("unmanaged {CLIENT_RULES}")],
            async move {
                let open = ec2.authorize_security_group_ingress().group_id(&world.group).ip_permissions(ssh());
                open.send().await.unwrap();
            },
            async move {
                let close = ec2.revoke_security_group_ingress().group_id(&world.group).ip_permissions(ssh());
                close.send().await.unwrap();
            },
        ),
        change(
            "one more rule for what goes out",
            &[&format!("unmanaged {CLIENT_RULES}")],
            async move {
                let open = ec2.authorize_security_group_egress().group_id(&world.group).ip_permissions(https());
                open.send().await.unwrap();
            },
            async move {
                let close = ec2.revoke_security_group_egress().group_id(&world.group).ip_permissions(https());
                close.send().await.unwrap();
            },
        ),
        change(
            "a rule is revoked",
            &[&format!("changed {CLIENT_RULES}")],
            async move {
                let close = ec2.revoke_security_group_ingress().group_id(&world.group).ip_permissions(ours());
                close.send().await.unwrap();
            },
            async move {
                let open = ec2.authorize_security_group_ingress().group_id(&world.group).ip_permissions(ours());
                open.send().await.unwrap();
            },
        ),
        change(
            "a rule is described otherwise",
            &[&format!("changed {CLIENT_RULES}")],
            described("x"),
            described(gateway),
        ),
        change(
            "a tag of the security group is changed",
            &["changed ec2/security_group.client#tags.team"],
            tag("group", "team", "web"),
            tag("group", "team", "data"),
        ),
        change(
            "the machine's metadata answers without tokens",
            &["changed ec2/instance.client#metadata_tokens_required"],
            tokens(HttpTokensState::Optional),
            tokens(HttpTokensState::Required),
        ),
        change(
            "the machine gets another name",
            &["changed ec2/instance.client#name"],
            tag("instance", "Name", "mine"),
            tag("instance", "Name", "pins-client"),
        ),
        change(
            "the machine is put into another group too",
            &["changed ec2/instance.client#security_groups"],
            groups(true),
            groups(false),
        ),
        change(
            "a tag is put on the address",
            &["changed ec2/elastic_ip.client#tags.owner"],
            tag("address", "owner", "me"),
            untag("address", "owner"),
        ),
        change(
            "a tag is taken from the endpoint",
            &["changed ec2/vpc_endpoint.s3#tags.team"],
            untag("endpoint", "team"),
            tag("endpoint", "team", "data"),
        ),
    ]
}

fn resource(world: &World, id: &str) -> String {
    match id {
        "group" => world.group.clone(),
        "instance" => world.instance.clone(),
        "address" => world.allocation.clone(),
        _ => world.endpoint.clone(),
    }
}
