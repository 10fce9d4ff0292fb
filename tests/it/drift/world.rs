//! A whole stack, the ids of what it is made of, and what a change to it is.

use futures::FutureExt;
use futures::future::BoxFuture;
use pinfra_aws::Clients;

use crate::support::Sandbox;

/// The stack's bucket.
pub(super) const BUCKET: &str = "pins-000000000000-us-east-1";
/// The stage of its API.
pub(super) const STAGE: &str = "prod";

/// Everything that a stack can have.
pub(super) fn stack() -> String {
    "name: pins
tags: { team: data }
tables: { pin: { key: index }, geo: { key: ind } }
streams: { shards: 1 }
cluster: { partitions: 2 }
connector: { flush_size: 7, rotate_seconds: 2 }
api: { stage: prod, auth: key }
lake: {}
client: { instance: t3.small }
workers:
  emulator: { source: sample, rate: 1 }
  gateway: { port: 8082 }
  cleaner: { streaming: true, schedule: \"0 12 * * *\" }
"
    .to_owned()
}

/// A change behind the back of pinfra.
pub(super) struct Change<'a> {
    /// What is done.
    pub(super) name: &'static str,
    /// What drift has to find, as `changed kinesis/stream.pin#shards`, in its order.
    pub(super) expected: Vec<String>,
    /// Does it.
    pub(super) make: BoxFuture<'a, ()>,
    /// Takes it back.
    pub(super) undo: BoxFuture<'a, ()>,
    /// Whether it takes a while until it is so.
    pub(super) slow: bool,
    /// A text that must not be told.
    pub(super) secret: Option<&'static str>,
}

/// A change that is there at once.
pub(super) fn change<'a>(
    name: &'static str,
    expected: &[&str],
    make: impl Future<Output = ()> + Send + 'a,
    undo: impl Future<Output = ()> + Send + 'a,
) -> Change<'a> {
    let expected = expected.iter().map(|text| (*text).to_owned()).collect();
    Change { name, expected, make: make.boxed(), undo: undo.boxed(), slow: false, secret: None }
}

impl Change<'_> {
    /// The same where it takes a while.
    pub(super) fn slowly(self) -> Self {
        Change { slow: true, ..self }
    }

    /// The same where this must not be told.
    pub(super) fn hiding(self, secret: &'static str) -> Self {
        Change { secret: Some(secret), ..self }
    }
}

/// The clients of whoever makes changes, and what they change.
pub(super) struct World {
    pub(super) clients: Clients,
    pub(super) api: String,
    pub(super) key: String,
    pub(super) plan: String,
    pub(super) group: String,
    pub(super) instance: String,
    pub(super) allocation: String,
    pub(super) association: String,
    pub(super) endpoint: String,
    pub(super) cluster: String,
    pub(super) configuration: String,
    pub(super) connector: String,
    pub(super) plugin: String,
    pub(super) archive: String,
}

impl World {
    /// Of the one stack of a sandbox.
    pub(super) async fn of(sandbox: &Sandbox) -> World {
        let clients = sandbox.clients().await;
        let apis = clients.apigateway.get_rest_apis().send().await.unwrap();
        let keys = clients.apigateway.get_api_keys().send().await.unwrap();
        let plans = clients.apigateway.get_usage_plans().send().await.unwrap();
        let groups = clients.ec2.describe_security_groups().send().await.unwrap();
        let group = groups.security_groups().iter().find(|group| group.group_name() == Some("pins-client")).unwrap();
        let addresses = clients.ec2.describe_addresses().send().await.unwrap();
        let address = &addresses.addresses()[0];
        let endpoints = clients.ec2.describe_vpc_endpoints().send().await.unwrap();
        let clusters = clients.kafka.list_clusters_v2().send().await.unwrap();
        let configurations = clients.kafka.list_configurations().send().await.unwrap();
        let connectors = clients.kafkaconnect.list_connectors().send().await.unwrap();
        let plugins = clients.kafkaconnect.list_custom_plugins().send().await.unwrap();
        let objects = clients.s3.list_objects_v2().bucket(BUCKET).prefix("_pinfra/plugins/").send().await.unwrap();
        let text = |text: Option<&str>| text.unwrap().to_owned();
        World {
            api: text(apis.items()[0].id()),
            key: text(keys.items()[0].id()),
            plan: text(plans.items()[0].id()),
            group: text(group.group_id()),
            instance: text(address.instance_id()),
            allocation: text(address.allocation_id()),
            association: text(address.association_id()),
            endpoint: text(endpoints.vpc_endpoints()[0].vpc_endpoint_id()),
            cluster: text(clusters.cluster_info_list()[0].cluster_arn()),
            configuration: text(configurations.configurations()[0].arn()),
            connector: text(connectors.connectors()[0].connector_arn()),
            plugin: text(plugins.custom_plugins()[0].custom_plugin_arn()),
            archive: text(objects.contents()[0].key()),
            clients,
        }
    }
}
