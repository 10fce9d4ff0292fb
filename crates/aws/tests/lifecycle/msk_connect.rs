//! The lives of plugins, worker configurations and connectors.

use std::collections::BTreeMap;

use pinfra_aws::msk_connect::connector::{Connector, ConnectorInputs, PluginRef};
use pinfra_aws::msk_connect::plugin::{Plugin, PluginInputs};
use pinfra_aws::msk_connect::worker_configuration::{WorkerConfiguration, WorkerConfigurationInputs};
use pinfra_aws::tags::{Tags, ownership};
use pinfra_engine::Address;
use pinfra_engine::value::Input;
use serde_json::Value;

/// One of each kind.
pub(crate) fn samples() -> Vec<(&'static str, Value)> {
    vec![
        ("msk_connect/plugin", serde_json::to_value(plugin_inputs("a", "bucket")).unwrap()),
        ("msk_connect/worker_configuration", serde_json::to_value(worker_inputs("a")).unwrap()),
        ("msk_connect/connector", serde_json::to_value(connector_inputs("a", "arn")).unwrap()),
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

fn connector_inputs(name: &str, plugin: &str) -> ConnectorInputs {
    ConnectorInputs {
        name: name.to_owned(),
        description: "for tests".to_owned(),
        plugin: PluginRef { arn: Input::Known(plugin.to_owned()), revision: Input::Known(1) },
        worker_configuration: None,
        role: Input::Known("role".to_owned()),
        bootstrap: Input::Known("127.0.0.1:1".to_owned()),
        subnets: Input::Known(vec![]),
        security_groups: vec![],
        version: "3.7.x".to_owned(),
        configuration: BTreeMap::new(),
        mcu: 1,
        workers: 1,
        iam: true,
        tags: ownership(name, &Address::new("msk_connect/connector", "s3"), &Tags::new()),
    }
}
