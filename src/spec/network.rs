//! `network`: the VPC that the cluster, the connector and the client share.

use schemars::JsonSchema;

use super::nearest::quoted;
use super::node::Node;
use super::place::Place;
use super::problem::Problem;
use super::reader::Reader;
use super::value::Value;

/// The VPC of cluster, connector and client
#[derive(Clone, Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Network {
    /// Where the section stands.
    #[schemars(skip)]
    pub place: Place,
    /// `default`, the default VPC of the region, or the id of one
    #[schemars(extend("default" = "default"))]
    pub vpc: Value<String>,
    /// Subnets in two or three availability zones; needed when `vpc` is not `default`
    #[schemars(extend("default" = []))]
    pub subnets: Vec<Value<String>>,
}

pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Option<Network> {
    let mut fields = reader.fields::<Network>(node, "`network`")?;
    let given = fields.text(reader, "vpc");
    let subnets_node = fields.node("subnets");
    let subnets = subnets_node.map(|node| subnets(reader, node)).unwrap_or_default();
    fields.finish();
    if let Some(vpc) = given.as_ref().filter(|vpc| vpc.get() != "default") {
        check_id(
            reader,
            vpc,
            "`network.vpc`",
            "vpc",
            "write `default`, or the id of a VPC such as `vpc-0a1b2c3d4e5f67890`",
        );
    }
    let vpc = given.unwrap_or_else(|| Value::written("default".to_owned(), node.place));
    match (vpc.get() == "default", subnets_node) {
        (true, Some(subnets)) => reader.report(
            Problem::error("subnets are chosen by themselves in the default VPC")
                .at(subnets.place, "given here")
                .at(vpc.place, "the default VPC")
                .help("remove `subnets`, or write the id of their VPC as `vpc`"),
        ),
        (false, None) => reader.report(
            Problem::error("`subnets` is missing in `network`")
                .at(vpc.place, "not the default VPC")
                .help("list subnets of this VPC in two or three availability zones: `subnets: [subnet-…, subnet-…]`"),
        ),
        (false, Some(node)) if !(2..=3).contains(&subnets.len()) => reader.report(
            Problem::error("MSK needs subnets in two or three availability zones")
                .at(node.place, format!("{} given", subnets.len()))
                .help("list one subnet for each of two or three zones"),
        ),
        _ => {}
    }
    Some(Network { place: node.place, vpc, subnets })
}

fn subnets(reader: &mut Reader<'_>, node: &Node) -> Vec<Value<String>> {
    let mut subnets: Vec<Value<String>> = Vec::new();
    for item in reader.list(node, "`network.subnets`").unwrap_or_default() {
        let Some(subnet) = reader.text(item, "a subnet") else { continue };
        check_id(reader, &subnet, "a subnet", "subnet", "write the id of a subnet, such as `subnet-0a1b2c3d4e5f67890`");
        if let Some(earlier) = subnets.iter().find(|earlier| earlier.get() == subnet.get()) {
            let problem = Problem::error("a subnet is listed twice");
            reader.report(
                problem
                    .at(subnet.place, "again here")
                    .at(earlier.place, "first here")
                    .help("each has to be in another zone"),
            );
        }
        subnets.push(subnet);
    }
    subnets
}

/// EC2 ids are a prefix and 8 or 17 hexadecimal digits ("Resource IDs", Amazon EC2 user guide).
fn check_id(reader: &mut Reader<'_>, id: &Value<String>, what: &str, prefix: &str, help: &str) {
    let digits = id.get().strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-'));
    let good = |digits: &str| {
        matches!(digits.len(), 8 | 17) && digits.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c))
    };
    if digits.is_some_and(good) {
        return;
    }
    let message = match id.from_env {
        true => format!("{what} is not the id of one"),
        false => format!("{} is not the id of a {}", quoted(id.get()), if prefix == "vpc" { "VPC" } else { prefix }),
    };
    let label = format!("expected `{prefix}-` and 8 or 17 digits or letters `a` to `f`");
    reader.report(Problem::error(message).at(id.place, label).help(help));
}
