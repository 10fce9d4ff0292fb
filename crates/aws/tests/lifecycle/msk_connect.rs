//! The lives of plugins, worker configurations and connectors.

use std::collections::BTreeMap;

use pinfra_aws::iam::role::{Role, RoleInputs};
use pinfra_aws::iam::role_policy::{RolePolicy, RolePolicyInputs};
use pinfra_aws::msk::cluster::{Cluster, ClusterOutputs};
use pinfra_aws::msk::topic::Topic;
use pinfra_aws::msk_connect::connector::{Connector, ConnectorInputs, PluginRef};
use pinfra_aws::msk_connect::plugin::{Plugin, PluginInputs};
use pinfra_aws::msk_connect::worker_configuration::{WorkerConfiguration, WorkerConfigurationInputs};
use pinfra_aws::policy::normalise_policy;
use pinfra_aws::s3::bucket::Bucket;
use pinfra_aws::tags::{Tags, ownership};
use pinfra_aws::{Clients, catalog, claims};
use pinfra_engine::value::Input;
use pinfra_engine::{Address, Call, ErrorKind, Owner, Resource};
use serde_json::{Value, json};

use crate::iam::role_inputs;
use crate::msk::{cluster_inputs, compared, group, topic_inputs};
use crate::{bucket_inputs, cloud, deleted, made, unique, updated};

/// One of each kind.
pub(crate) fn samples() -> Vec<(&'static str, Value)> {
    vec![
        ("msk_connect/plugin", serde_json::to_value(plugin_inputs("a", "bucket")).unwrap()),
        ("msk_connect/worker_configuration", serde_json::to_value(worker_inputs("a")).unwrap()),
        ("msk_connect/connector", serde_json::to_value(Ground::default().connector("a")).unwrap()),
    ]
}

fn plugin_inputs(name: &str, bucket: &str) -> PluginInputs {
    PluginInputs {
        name: name.to_owned(),
        bucket: Input::Known(bucket.to_owned()),
        key: Input::Known("plugins/sink.zip".to_owned()),
        content_type: "ZIP".to_owned(),
        description: "for tests".to_owned(),
        tags: ownership(name, &Address::new("msk_connect/plugin", "s3"), &Tags::new()),
    }
}

fn worker_inputs(name: &str) -> WorkerConfigurationInputs {
    WorkerConfigurationInputs {
        name: name.to_owned(),
        properties: "key.converter=org.apache.kafka.connect.storage.StringConverter\n\
                     value.converter=org.apache.kafka.connect.storage.StringConverter\n"
            .to_owned(),
        description: "for tests".to_owned(),
        tags: ownership(name, &Address::new("msk_connect/worker_configuration", "s3"), &Tags::new()),
    }
}

fn call(kind: &str) -> Call {
    Call::silent(Address::new(kind, "s3"))
}

/// The smallest archive with something in it: an empty file `a`, stored (PKWARE's APPNOTE, 4.3.6).
fn archive() -> Vec<u8> {
    let name = [0x61];
    let sizes_and_crc = [0; 12];
    let mut bytes = b"PK\x03\x04\x0a\0\0\0\0\0\0\0\x21\0".to_vec();
    bytes.extend(sizes_and_crc);
    bytes.extend([1, 0, 0, 0]);
    bytes.extend(name);
    let directory = bytes.len();
    bytes.extend(b"PK\x01\x02\x0a\0\x0a\0\0\0\0\0\0\0\x21\0");
    bytes.extend(sizes_and_crc);
    bytes.extend([1, 0]);
    bytes.extend([0; 16]);
    bytes.extend(name);
    let length = bytes.len() - directory;
    bytes.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    bytes.extend(u32::try_from(length).unwrap().to_le_bytes());
    bytes.extend(u32::try_from(directory).unwrap().to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

async fn put(clients: &Clients, bucket: &str, bytes: Vec<u8>) {
    let request = clients.s3.put_object().bucket(bucket).key("plugins/sink.zip");
    request.body(bytes.into()).send().await.unwrap();
}

/// A bucket with the plugin's file in it.
async fn bucket(clients: &Clients, name: &str) -> String {
    let bucket = made(&Bucket::new(clients), &call("s3/bucket"), &bucket_inputs(name)).await;
    put(clients, &bucket, archive()).await;
    bucket
}

/// What a connector stands on: a cluster with a topic, a bucket, a role and a plugin.
#[derive(Default)]
struct Ground {
    bucket: String,
    plugin: String,
    role: String,
    group: String,
    cluster: Option<ClusterOutputs>,
}

impl Ground {
    async fn new(clients: &Clients, name: &str) -> Ground {
        let group = group(clients, name).await;
        let (kind, call_cluster) = (Cluster::new(clients), call("msk/cluster"));
        let wanted = cluster_inputs(name, &group);
        let id = kind.create(&call_cluster, &wanted).await.unwrap();
        let cluster = kind.settle(&call_cluster, &id, &wanted).await.unwrap().outputs;
        made(&Topic::new(clients), &call("msk/topic"), &topic_inputs(&id)).await;
        let bucket = bucket(clients, name).await;
        let plugin = made(&Plugin::new(clients), &call("msk_connect/plugin"), &plugin_inputs(name, &bucket)).await;
        let role = role(clients, name).await;
        Ground { bucket, plugin, role, group, cluster: Some(cluster) }
    }

    fn connector(&self, name: &str) -> ConnectorInputs {
        let cluster = self.cluster.as_ref();
        ConnectorInputs {
            name: name.to_owned(),
            description: "for tests".to_owned(),
            plugin: PluginRef { arn: Input::Known(self.plugin.clone()), revision: Input::Known(1) },
            worker_configuration: None,
            role: Input::Known(self.role.clone()),
            bootstrap: Input::Known(cluster.map(|cluster| cluster.bootstrap_iam.clone()).unwrap_or_default()),
            subnets: Input::Known(cluster.map(|cluster| cluster.subnets.clone()).unwrap_or_default()),
            security_groups: vec![Input::Known(self.group.clone())],
            version: "3.7.x".to_owned(),
            topics: [("pins.pin".to_owned(), Input::Known("pins.pin".to_owned()))].into(),
            configuration: sink(&self.bucket),
            mcu: 1,
            workers: 1,
            iam: true,
            tags: ownership(name, &Address::new("msk_connect/connector", "s3"), &Tags::new()),
        }
    }
}

fn sink(bucket: &str) -> BTreeMap<String, String> {
    let settings = [
        ("connector.class", "io.confluent.connect.s3.S3SinkConnector"),
        ("tasks.max", "1"),
        ("s3.region", "us-east-1"),
        ("s3.bucket.name", bucket),
        ("flush.size", "1000"),
        ("storage.class", "io.confluent.connect.s3.storage.S3Storage"),
        ("format.class", "io.confluent.connect.s3.format.json.JsonFormat"),
        ("key.converter", "org.apache.kafka.connect.storage.StringConverter"),
        ("value.converter", "org.apache.kafka.connect.json.JsonConverter"),
        ("value.converter.schemas.enable", "false"),
    ];
    settings.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

/// A role that connectors act as, and its ARN.
async fn role(clients: &Clients, name: &str) -> String {
    let policy = |statement: Value| normalise_policy(&json!({"Version": "2012-10-17", "Statement": [statement]}));
    let service = json!({"Service": "kafkaconnect.amazonaws.com"});
    let trust = policy(json!({"Effect": "Allow", "Principal": service, "Action": "sts:AssumeRole"}));
    let (kind, call_role) = (Role::new(clients), call("iam/role"));
    let inputs = RoleInputs { trust, ..role_inputs(name) };
    let id = kind.create(&call_role, &inputs).await.unwrap();
    let arn = kind.settle(&call_role, &id, &inputs).await.unwrap().outputs.arn;
    let allowed = policy(json!({"Effect": "Allow", "Action": ["kafka-cluster:*", "s3:*"], "Resource": "*"}));
    let inputs = RolePolicyInputs { role: Input::Known(name.to_owned()), name: "all".to_owned(), policy: allowed };
    made(&RolePolicy::new(clients), &call("iam/role_policy"), &inputs).await;
    arn
}

#[tokio::test]
async fn a_plugin_lives_and_one_that_is_no_archive_is_told() {
    let cloud = cloud().await;
    let (kind, call) = (Plugin::new(&cloud.clients), call("msk_connect/plugin"));
    let name = unique("plugin");
    let bucket = bucket(&cloud.clients, &name).await;
    let mut inputs = plugin_inputs(&name, &bucket);
    assert_eq!(kind.find(&inputs).await.unwrap(), None);
    let id = made(&kind, &call, &inputs).await;
    inputs.tags.insert("team".to_owned(), "data".to_owned());
    updated(&kind, &call, &id, &inputs).await;
    inputs.tags.remove("team");
    updated(&kind, &call, &id, &inputs).await;
    let found = kind.find(&inputs).await.unwrap().unwrap();
    assert_eq!((found.id.as_str(), found.owner), (id.as_str(), Owner::Ours));
    let theirs = PluginInputs { tags: Tags::new(), ..inputs.clone() };
    assert!(matches!(kind.find(&theirs).await.unwrap().unwrap().owner, Owner::Theirs(_)));
    assert_eq!(kind.create(&call, &inputs).await.unwrap_err().kind, ErrorKind::AlreadyExists);
    deleted(&kind, &call, &id).await;

    put(&cloud.clients, &bucket, b"no archive".to_vec()).await;
    let id = kind.create(&call, &inputs).await.unwrap();
    let error = kind.settle(&call, &id, &inputs).await.unwrap_err();
    assert!(error.message.contains("archive"), "{error}");
    let live = kind.read(&id).await.unwrap().unwrap();
    let beyond = Plugin::BEYOND_UPDATE.unwrap()(&live, &inputs).unwrap();
    assert!(beyond.contains("archive"), "{beyond}");
    deleted(&kind, &call, &id).await;
}

#[tokio::test]
async fn a_worker_configuration_lives() {
    let cloud = cloud().await;
    let (kind, call) = (WorkerConfiguration::new(&cloud.clients), call("msk_connect/worker_configuration"));
    let mut inputs = worker_inputs(&unique("workers"));
    assert_eq!(kind.find(&inputs).await.unwrap(), None);
    let id = made(&kind, &call, &inputs).await;
    inputs.tags.insert("team".to_owned(), "data".to_owned());
    updated(&kind, &call, &id, &inputs).await;
    let found = kind.find(&inputs).await.unwrap().unwrap();
    assert_eq!((found.id.as_str(), found.owner), (id.as_str(), Owner::Ours));
    assert_eq!(kind.create(&call, &inputs).await.unwrap_err().kind, ErrorKind::AlreadyExists);
    deleted(&kind, &call, &id).await;
}

#[tokio::test]
async fn a_connector_lives_through_every_change() {
    let cloud = cloud().await;
    let clients = &cloud.clients;
    let name = unique("life");
    let ground = Ground::new(clients, &name).await;
    let (kind, call) = (Connector::new(clients), call("msk_connect/connector"));
    let mut inputs = ground.connector(&name);
    assert_eq!(kind.find(&inputs).await.unwrap(), None);
    let id = made(&kind, &call, &inputs).await;

    // Both families at once, and tags.
    inputs.workers = 2;
    inputs.mcu = 2;
    inputs.configuration.insert("flush.size".to_owned(), "10".to_owned());
    inputs.tags.insert("team".to_owned(), "data".to_owned());
    updated(&kind, &call, &id, &inputs).await;

    // Other workers' properties, and back to MSK Connect's own.
    let workers = WorkerConfiguration::new(clients);
    let worker_call = Call::silent(Address::new("msk_connect/worker_configuration", "s3"));
    let configuration = made(&workers, &worker_call, &worker_inputs(&name)).await;
    let reference = |arn: &str| PluginRef { arn: Input::Known(arn.to_owned()), revision: Input::Known(1) };
    inputs.worker_configuration = Some(reference(&configuration));
    updated(&kind, &call, &id, &inputs).await;
    inputs.worker_configuration = None;
    inputs.tags.remove("team");
    updated(&kind, &call, &id, &inputs).await;
    deleted(&workers, &worker_call, &configuration).await;

    // The new plugin comes, the connector moves, the old one goes.
    let (plugins, plugin_call) = (Plugin::new(clients), Call::silent(Address::new("msk_connect/plugin", "s3")));
    let newer = made(&plugins, &plugin_call, &plugin_inputs(&format!("{name}-2"), &ground.bucket)).await;
    inputs.plugin = reference(&newer);
    updated(&kind, &call, &id, &inputs).await;
    deleted(&plugins, &plugin_call, &ground.plugin).await;

    let found = kind.find(&inputs).await.unwrap().unwrap();
    assert_eq!((found.id.as_str(), found.owner), (id.as_str(), Owner::Ours));
    assert_eq!(kind.create(&call, &inputs).await.unwrap_err().kind, ErrorKind::AlreadyExists);
    let owned = claims::owned_by(clients, &catalog(clients), &name).await.unwrap().found;
    assert!(owned.contains(&(Address::new("msk_connect/connector", "s3"), id.clone())), "{owned:?}");
    deleted(&kind, &call, &id).await;
}

#[tokio::test]
async fn a_change_that_is_taken_back_is_an_error_with_its_reason() {
    let cloud = cloud().await;
    let name = unique("back");
    let ground = Ground::new(&cloud.clients, &name).await;
    let (kind, call) = (Connector::new(&cloud.clients), call("msk_connect/connector"));
    let inputs = ground.connector(&name);
    let id = made(&kind, &call, &inputs).await;
    let mut wrong = inputs.clone();
    wrong.configuration.insert("s3.bucket.name".to_owned(), format!("{name}-is-not-there"));
    let error = kind.update(&call, &id, &inputs, &wrong).await.unwrap_err();
    assert!(error.message.contains("took the change back"), "{error}");
    assert!(error.message.contains("is-not-there"), "{error}");
    assert_eq!(compared(&kind, &id, inputs.clone()).await, inputs, "it runs as before");
    deleted(&kind, &call, &id).await;
}

#[tokio::test]
async fn a_connector_that_failed_says_why_and_is_to_be_replaced() {
    let cloud = cloud().await;
    let name = unique("failed");
    let ground = Ground::new(&cloud.clients, &name).await;
    let (kind, call) = (Connector::new(&cloud.clients), call("msk_connect/connector"));
    let inputs = ground.connector(&name);
    let mut wrong = inputs.clone();
    wrong.configuration.insert("s3.bucket.name".to_owned(), format!("{name}-is-not-there"));
    let id = kind.create(&call, &wrong).await.unwrap();
    let error = kind.settle(&call, &id, &wrong).await.unwrap_err();
    assert!(error.message.contains("is-not-there"), "{error}");
    let live = kind.read(&id).await.unwrap().unwrap();
    let beyond = Connector::BEYOND_UPDATE.unwrap()(&live, &inputs).unwrap();
    assert!(beyond.contains("is-not-there"), "{beyond}");
    // As the engine replaces: the name is free at once.
    kind.delete(&call, &id).await.unwrap();
    let id = made(&kind, &call, &inputs).await;
    deleted(&kind, &call, &id).await;
}

/// Objects are named after offsets, which begin anew with a topic: what was stored before must stay.
#[tokio::test]
async fn each_connector_that_is_made_stores_in_a_folder_of_its_own() {
    let cloud = cloud().await;
    let name = unique("folder");
    let ground = Ground::new(&cloud.clients, &name).await;
    let kind = Connector::new(&cloud.clients);
    let step = |number: u32| {
        Call::new(Address::new("msk_connect/connector", "s3"), format!("lineage-{number}"), std::sync::Arc::new(|_| {}))
    };
    let mut inputs = ground.connector(&name);
    inputs.configuration.insert("topics.dir".to_owned(), "topics".to_owned());
    let folder = async |id: &str| kind.read(id).await.unwrap().unwrap().outputs.folder.unwrap();

    let make = async |number: u32, inputs: &ConnectorInputs| {
        let id = kind.create(&step(number), inputs).await.unwrap();
        kind.settle(&step(number), &id, inputs).await.unwrap();
        assert_eq!(compared(&kind, &id, inputs.clone()).await, *inputs, "which generation it is, is no difference");
        id
    };
    let id = make(1, &inputs).await;
    assert_eq!(folder(&id).await, "topics");
    deleted(&kind, &step(2), &id).await;
    let id = make(3, &inputs).await;
    assert_eq!(folder(&id).await, "topics/generation=2");
    // A change of its settings leaves the folder.
    let old = inputs.clone();
    inputs.configuration.insert("flush.size".to_owned(), "10".to_owned());
    kind.update(&step(4), &id, &old, &inputs).await.unwrap();
    assert_eq!(compared(&kind, &id, inputs.clone()).await, inputs);
    assert_eq!(folder(&id).await, "topics/generation=2");
    deleted(&kind, &step(5), &id).await;
    // A create that is tried again because nobody heard of its end is the same create.
    for _ in 0..2 {
        let id = make(6, &inputs).await;
        assert_eq!(folder(&id).await, "topics/generation=3");
        deleted(&kind, &step(6), &id).await;
    }

    // A connector of a time before numbers were kept has left its objects.
    let kept = format!("_pinfra/connectors/{name}.json");
    cloud.clients.s3.delete_object().bucket(&ground.bucket).key(&kept).send().await.unwrap();
    let key = "topics/pins.pin/partition=0/pins.pin+0+0000000000.json";
    cloud.clients.s3.put_object().bucket(&ground.bucket).key(key).body(b"{}".to_vec().into()).send().await.unwrap();
    let id = make(7, &inputs).await;
    assert_eq!(folder(&id).await, "topics/generation=2");
    deleted(&kind, &step(8), &id).await;
}
