//! `client`: the EC2 machine that the workers run on, and the SSH key that may reach it.

use std::path::PathBuf;

use schemars::JsonSchema;

use super::lists::instance_types;
use super::nearest::quoted;
use super::node::Node;
use super::paths;
use super::place::Place;
use super::problem::Problem;
use super::reader::Reader;
use super::schema;
use super::value::Value;

/// The Amazon EC2 machine that the workers run on
#[derive(Clone, Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Client {
    /// Where the section stands.
    #[schemars(skip)]
    pub place: Place,
    /// The type of the machine
    #[schemars(schema_with = "schema::instance_type", extend("default" = "t3.small"))]
    pub instance: Value<String>,
    /// A file with the public SSH key (RSA or ED25519) that may log in; without it there is no SSH at all
    #[schemars(with = "Option<String>")]
    pub key: Option<Value<PathBuf>>,
    /// The addresses that SSH is open to, as CIDR blocks such as `203.0.113.0/24`; with `key`
    #[schemars(extend("default" = []))]
    pub ssh_from: Vec<Value<String>>,
}

pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Option<Client> {
    let mut fields = reader.fields::<Client>(node, "`client`")?;
    let types = instance_types();
    let types: Vec<&str> = types.iter().map(String::as_str).collect();
    let instance = fields.word(reader, "instance", "type of EC2 machine that is known", &types);
    let key = fields.text(reader, "key").and_then(|path| public_key(reader, &path));
    let ssh_node = fields.node("ssh_from");
    let ssh_from = ssh_node.map(|node| cidrs(reader, node)).unwrap_or_default();
    if let Some(node) = ssh_node
        && fields.key_place("key").is_none()
    {
        reader.report(
            Problem::error("`client.ssh_from` opens SSH, and nobody has a key")
                .at(node.place, "needs `key`")
                .help("add `key: ~/.ssh/id_ed25519.pub`, or remove `ssh_from`"),
        );
    }
    fields.finish();
    let instance = instance.unwrap_or_else(|| Value::written("t3.small".to_owned(), node.place));
    Some(Client { place: node.place, instance, key, ssh_from })
}

/// How keys begin that OpenSSH knows and EC2 does not take ("Amazon EC2 key pairs", Amazon EC2 user guide).
const OTHER_KEYS: &[&str] = &["ecdsa-", "sk-", "ssh-dss"];

fn public_key(reader: &mut Reader<'_>, path: &Value<String>) -> Option<Value<PathBuf>> {
    if path.get().contains("PRIVATE KEY") {
        let problem = private_key_found("`client.key` holds a private key", path);
        reader.report(problem.help("take this key out of use, since whoever reads the stack file has it; then name the `.pub` file of a new pair"));
        return None;
    }
    if ["ssh-", "ecdsa-"].iter().any(|start| path.get().starts_with(start)) && path.get().contains(' ') {
        let problem = Problem::error("`client.key` is the key itself").at(path.place, "expected the path of a file");
        reader.report(problem.help("write the path of the file that has it, such as `~/.ssh/id_ed25519.pub`"));
        return None;
    }
    let file = paths::file(reader, path, "`client.key`", None)?;
    let problem = match read_start(file.get()) {
        Err(error) => Problem::error(format!("`client.key` cannot be read: {error}")).at(path.place, "this file"),
        Ok(text) if text.contains("PRIVATE KEY") => private_key_found("`client.key` names a private key", path),
        Ok(text) => match ssh_key::PublicKey::from_openssh(text.trim()).map(|key| key.algorithm()) {
            Ok(ssh_key::Algorithm::Rsa { .. } | ssh_key::Algorithm::Ed25519) => return Some(file),
            _ if OTHER_KEYS.iter().any(|start| text.starts_with(start)) => {
                Problem::error("EC2 takes RSA and ED25519 keys, and no others")
                    .at(
                        path.place,
                        format!("has a key of the type {}", quoted(text.split(' ').next().unwrap_or_default())),
                    )
                    .help("make one with `ssh-keygen -t ed25519`")
            }
            _ => Problem::error("`client.key` names a file that is not a public SSH key")
                .at(path.place, "expected a line such as `ssh-ed25519 AAAA… you@host`")
                .help("name the `.pub` file; `ssh-keygen -t ed25519` makes a pair"),
        },
    };
    reader.report(problem);
    None
}

/// Nothing of the key is in the message, and `Source::shown` hides it in the file.
fn private_key_found(message: &str, path: &Value<String>) -> Problem {
    let problem = Problem::error(message).at(path.place, "a private key never leaves your machine");
    problem.help("name the public half, the file that ends in `.pub`; if others can read this one, make a new pair")
}

/// As much of a file as a key can have: the longest RSA key that EC2 takes is far below.
fn read_start(path: &std::path::Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(64 * 1024).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn cidrs(reader: &mut Reader<'_>, node: &Node) -> Vec<Value<String>> {
    let items = reader.list(node, "`client.ssh_from`").unwrap_or_default();
    let mut cidrs = Vec::new();
    for item in items {
        let Some(text) = reader.text(item, "an address block") else { continue };
        if let Some(problem) = cidr_problem(&text) {
            reader.report(problem);
        }
        cidrs.push(text);
    }
    cidrs
}

fn cidr_problem(text: &Value<String>) -> Option<Problem> {
    let shown = if text.from_env { "the value".to_owned() } else { quoted(text.get()) };
    let block: ipnet::IpNet = match text.get().parse() {
        Ok(block) => block,
        Err(_) => {
            let help = match text.get().parse::<std::net::IpAddr>() {
                Ok(address) if !text.from_env => {
                    format!("for one address write `{address}/{}`", if address.is_ipv4() { 32 } else { 128 })
                }
                _ => "write an address and the length of its prefix, such as `203.0.113.0/24`".to_owned(),
            };
            let problem = Problem::error(format!("{shown} is not a CIDR block"));
            return Some(problem.at(text.place, "not understood").help(help));
        }
    };
    if block.prefix_len() == 0 {
        let problem = Problem::error("SSH cannot be open to the whole world").at(text.place, "every address there is");
        return Some(problem.help("write the block that you connect from, such as `203.0.113.7/32`"));
    }
    if block.trunc() != block {
        let problem = Problem::error(format!("{shown} has bits set beyond its prefix"))
            .at(text.place, "one address, or its whole block?");
        let help = if text.from_env { "set them to zero".to_owned() } else { format!("write `{}`", block.trunc()) };
        return Some(problem.help(help));
    }
    None
}
