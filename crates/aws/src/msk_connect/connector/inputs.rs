//! What a connector is asked to be and is, and when one is as good as the other.

use std::collections::BTreeMap;

use pinfra_engine::Live;
use pinfra_engine::value::Input;
use serde::{Deserialize, Serialize};

use super::folder;
use crate::tags::Tags;

/// What a stack asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectorInputs {
    /// Unique in account and region.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The code that it runs.
    pub plugin: PluginRef,
    /// The properties of its workers; `None` for MSK Connect's own.
    pub worker_configuration: Option<PluginRef>,
    /// The ARN of the role that it acts as.
    pub role: Input<String>,
    /// The brokers, `host:port` sorted and separated by commas.
    pub bootstrap: Input<String>,
    /// Where its workers' interfaces are, sorted.
    pub subnets: Input<Vec<String>>,
    /// Ids of the security groups of its workers' interfaces, sorted.
    pub security_groups: Vec<Input<String>>,
    /// The version of Kafka Connect, such as `3.7.x`.
    pub version: String,
    /// The topics that a sink reads, by their names: each is the output of the topic, so that it is seen when one is made
    /// again.
    #[serde(default)]
    pub topics: BTreeMap<String, Input<String>>,
    /// The connector's own settings, but `topics`. Values of secrets stand in them as references to a configuration provider.
    pub configuration: BTreeMap<String, String>,
    /// The size of each worker in MCUs: 1, 2, 4 or 8.
    pub mcu: u32,
    /// How many workers, 1 to 10.
    pub workers: u32,
    /// Whether it shows the brokers who it is by IAM, over TLS.
    pub iam: bool,
    /// The user's and pinfra's own.
    pub tags: Tags,
}

/// A revision of a plugin or of a worker configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginRef {
    /// Its ARN.
    pub arn: Input<String>,
    /// The revision, counted from 1.
    pub revision: Input<i64>,
}

/// What AWS answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectorOutputs {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// The folder that it stores in, where it is an S3 sink with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// Why it will never run, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Why it does no work now, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
}

/// One as it is.
pub(super) type LiveConnector = Live<ConnectorInputs, ConnectorOutputs>;

/// Another list of brokers of the same cluster is no change: MSK names some of a large one only, and more once it grows.
/// Which they will be is not known while the cluster is being changed; that it is the same cluster, its subnets tell.
/// Neither is the generation of the folder that is asked for ([`folder`]).
pub(super) fn comparable(live: LiveConnector, asked: &[ConnectorInputs]) -> ConnectorInputs {
    let mut inputs = live.inputs;
    let Some(asked) = asked.first() else { return inputs };
    folder::as_asked(&mut inputs.configuration, &asked.configuration);
    let same_cluster = match (&inputs.bootstrap, &asked.bootstrap) {
        (Input::Known(live), Input::Known(asked)) => {
            live.split(',').any(|server| asked.split(',').any(|s| s == server))
        }
        (_, Input::Reference(_)) => matches!(asked.subnets, Input::Known(_)),
        (Input::Reference(_), Input::Known(_)) => false,
    };
    if same_cluster {
        inputs.bootstrap = asked.bootstrap.clone();
    }
    inputs
}

/// Why only another connector can be what is asked for: it failed, or it reads a topic that is made again.
pub(super) fn beyond_update(live: &LiveConnector, new: &ConnectorInputs) -> Option<String> {
    if let Some(failure) = &live.outputs.failure {
        return Some(format!("it failed: {failure}"));
    }
    // What a topic that stays will answer is known.
    let again = |(name, topic): &(&String, &Input<String>)| {
        matches!(topic, Input::Reference(_)) && live.inputs.topics.contains_key(*name)
    };
    let (name, _) = new.topics.iter().find(again)?;
    Some(format!("the topic `{name}` is made again, and its events are stored apart from those of the old one"))
}

#[cfg(test)]
mod tests {
    use pinfra_engine::Address;

    use super::*;

    fn connector(bootstrap: Input<String>, subnets: Input<Vec<String>>) -> ConnectorInputs {
        let known = |text: &str| Input::Known(text.to_owned());
        ConnectorInputs {
            name: "pins-s3".to_owned(),
            description: String::new(),
            plugin: PluginRef { arn: known("plugin"), revision: Input::Known(1) },
            worker_configuration: None,
            role: known("role"),
            bootstrap,
            subnets,
            security_groups: Vec::new(),
            version: "3.7.x".to_owned(),
            topics: BTreeMap::new(),
            configuration: BTreeMap::new(),
            mcu: 1,
            workers: 1,
            iam: true,
            tags: Tags::new(),
        }
    }

    fn outputs(failure: Option<String>) -> ConnectorOutputs {
        ConnectorOutputs { arn: String::new(), name: String::new(), folder: None, failure, condition: None }
    }

    /// Whether the connector would be replaced.
    fn differs(asked: &ConnectorInputs) -> bool {
        let live = connector(Input::Known("b-1:9098,b-2:9098".to_owned()), Input::Known(vec!["subnet-a".to_owned()]));
        let outputs = outputs(None);
        comparable(Live { inputs: live, outputs }, std::slice::from_ref(asked)) != *asked
    }

    #[test]
    fn other_brokers_of_the_same_cluster_are_no_change() {
        let subnets = || Input::Known(vec!["subnet-a".to_owned()]);
        let servers = |text: &str| Input::Known(text.to_owned());
        let output = |name: &str| Address::new("msk/cluster", name);
        assert!(!differs(&connector(servers("b-2:9098,b-3:9098"), subnets())));
        assert!(differs(&connector(servers("c-1:9098"), subnets())));
        // The cluster is being changed: its subnets stay, its brokers may become more.
        assert!(!differs(&connector(Input::output(output("a"), "bootstrap_iam"), subnets())));
        // The cluster is being replaced.
        let replaced = Input::output(output("a"), "subnets");
        assert!(differs(&connector(Input::output(output("a"), "bootstrap_iam"), replaced)));
    }

    #[test]
    fn a_topic_that_is_made_again_takes_its_connector_along() {
        let known = |names: &[&str]| -> BTreeMap<String, Input<String>> {
            names.iter().map(|name| ((*name).to_owned(), Input::Known((*name).to_owned()))).collect()
        };
        let of =
            |topics| ConnectorInputs { topics, ..connector(Input::Known(String::new()), Input::Known(Vec::new())) };
        let live = Live { inputs: of(known(&["pins.pin"])), outputs: outputs(None) };
        let made = |name: &str| (name.to_owned(), Input::output(Address::new("msk/topic", "x"), "name"));
        assert_eq!(beyond_update(&live, &of(known(&["pins.pin"]))), None);
        assert_eq!(beyond_update(&live, &of(known(&[]))), None, "one that goes is an update");
        let added = known(&["pins.pin"]).into_iter().chain([made("pins.geo")]).collect();
        assert_eq!(beyond_update(&live, &of(added)), None, "and one that comes");
        let reason = beyond_update(&live, &of([made("pins.pin")].into())).unwrap();
        assert!(reason.contains("`pins.pin` is made again"), "{reason}");
    }
}
