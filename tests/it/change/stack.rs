//! A stack file that is edited, and what its stack is like before and after.

use std::collections::BTreeMap;

use pinfra_engine::Address;
use serde_json::Value;

use crate::pipeline::share_packed_program;
use crate::support::{Said, Sandbox};

/// A stack file as data, in a sandbox of its own. JSON is YAML.
pub(crate) struct Stack {
    pub(crate) sandbox: Sandbox,
    pub(crate) file: Value,
}

/// What the cloud holds under an address: the id, and what it is like in the words of its inputs.
pub(crate) type Live = BTreeMap<Address, (String, Value)>;

impl Stack {
    pub(crate) fn new(file: Value) -> Stack {
        let stack = Stack { sandbox: Sandbox::new(), file };
        share_packed_program(stack.sandbox.folder.path());
        stack.write();
        stack
    }

    pub(crate) fn name(&self) -> &str {
        self.file["name"].as_str().unwrap()
    }

    fn write(&self) {
        self.sandbox.write("stack.yaml", &serde_json::to_string_pretty(&self.file).unwrap());
    }

    /// Puts `value` at a JSON pointer, null to take away what is there.
    pub(crate) fn edit(&mut self, pointer: &str, value: Value) {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = self.file.pointer_mut(parent).unwrap_or_else(|| panic!("no `{parent}` to edit"));
        let parent = parent.as_object_mut().unwrap();
        match value {
            Value::Null => parent.remove(key),
            value => parent.insert(key.to_owned(), value),
        };
        self.write();
    }

    /// The plan, as `--json` tells it.
    pub(crate) fn plan(&self, options: &[&str]) -> Value {
        let said = self.sandbox.ok(&[&["plan", "stack.yaml", "--json"], options].concat());
        let mut plans = said.stdout.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        plans.find(|line| line["event"] == "plan").unwrap_or_else(|| panic!("no plan: {said:?}"))
    }

    /// The addresses of the steps of a plan with what is done, such as `update msk/topic.pin`.
    pub(crate) fn steps(plan: &Value) -> Vec<String> {
        let steps = plan["steps"].as_array().unwrap().iter();
        steps
            .map(|step| format!("{} {}", step["action"].as_str().unwrap(), step["address"].as_str().unwrap()))
            .collect()
    }

    pub(crate) fn up(&self, options: &[&str]) -> Said {
        self.sandbox.ok(&[&["up", "stack.yaml"], options].concat())
    }

    /// All that is recorded of the resources.
    pub(crate) fn recorded(&self) -> BTreeMap<Address, Value> {
        let folder = self.sandbox.folder.path().join(".pinfra").join(self.name());
        let state: Value = serde_json::from_slice(&std::fs::read(folder.join("state.json")).unwrap()).unwrap();
        serde_json::from_value(state["resources"].clone()).unwrap()
    }

    /// What the cloud holds of all that is recorded, read through the SDK.
    pub(crate) async fn live(&self) -> Live {
        let catalog = pinfra_aws::catalog(&self.sandbox.clients().await);
        let mut by_kind: BTreeMap<String, Vec<(Address, String)>> = BTreeMap::new();
        for (address, record) in self.recorded() {
            let id = record["id"].as_str().unwrap().to_owned();
            by_kind.entry(address.kind().to_owned()).or_default().push((address, id));
        }
        let mut live = Live::new();
        for (kind, those) in by_kind {
            let (addresses, ids): (Vec<Address>, Vec<String>) = those.into_iter().unzip();
            let found = catalog.get(&kind).unwrap().read_many(&ids).await;
            for ((address, id), found) in addresses.into_iter().zip(ids).zip(found) {
                let found = found.unwrap().unwrap_or_else(|| panic!("`{address}` is recorded as `{id}` and gone"));
                live.insert(address, (id, found.inputs));
            }
        }
        live
    }
}

/// The smallest archive with something in it: an empty file `a`, stored (PKWARE's APPNOTE, 4.3.6).
pub(crate) fn archive() -> Vec<u8> {
    let sizes_and_crc = [0; 12];
    let mut bytes = b"PK\x03\x04\x0a\0\0\0\0\0\0\0\x21\0".to_vec();
    bytes.extend(sizes_and_crc);
    bytes.extend([1, 0, 0, 0, b'a']);
    let directory = bytes.len();
    bytes.extend(b"PK\x01\x02\x0a\0\x0a\0\0\0\0\0\0\0\x21\0");
    bytes.extend(sizes_and_crc);
    bytes.extend([1, 0]);
    bytes.extend([0; 16]);
    bytes.push(b'a');
    let length = bytes.len() - directory;
    bytes.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    bytes.extend(u32::try_from(length).unwrap().to_le_bytes());
    bytes.extend(u32::try_from(directory).unwrap().to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}
