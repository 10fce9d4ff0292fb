//! What MSK and MSK Connect hold.

use pinfra_aws::Clients;

use super::{Inventory, owner};

pub(super) async fn list(clients: &Clients, inventory: &mut Inventory) {
    clusters(clients, inventory).await;
    connectors(clients, inventory).await;
}

async fn clusters(clients: &Clients, inventory: &mut Inventory) {
    let answer = clients.kafka.list_clusters_v2().send().await.unwrap();
    for cluster in answer.cluster_info_list() {
        let name = cluster.cluster_name().unwrap_or_default();
        let tags = cluster.tags().into_iter().flatten().map(|(key, value)| (key.as_str(), value.as_str()));
        let whose = owner(tags);
        inventory.add_in_state(&format!("cluster {name}, {whose}"), cluster.state().map(|state| state.as_str()));
        let topics = clients.kafka.list_topics().cluster_arn(cluster.cluster_arn().unwrap_or_default()).send().await;
        // One that is being made has none.
        let Ok(topics) = topics else { continue };
        for topic in topics.topics() {
            let topic_name = topic.topic_name().unwrap_or_default();
            // What Kafka and Kafka Connect keep for themselves.
            if !topic_name.starts_with("__") {
                let partitions = topic.partition_count().unwrap_or_default();
                inventory.add(format!("topic {topic_name} of {name}, {partitions} partitions"));
            }
        }
    }
    let answer = clients.kafka.list_configurations().send().await.unwrap();
    for configuration in answer.configurations() {
        let name = configuration.name().unwrap_or_default();
        inventory.add_in_state(&format!("configuration {name}"), configuration.state().map(|state| state.as_str()));
    }
}

async fn connectors(clients: &Clients, inventory: &mut Inventory) {
    let answer = clients.kafkaconnect.list_connectors().send().await.unwrap();
    for connector in answer.connectors() {
        let name = connector.connector_name().unwrap_or_default();
        inventory.add_in_state(&format!("connector {name}"), connector.connector_state().map(|state| state.as_str()));
    }
    let answer = clients.kafkaconnect.list_custom_plugins().send().await.unwrap();
    for plugin in answer.custom_plugins() {
        let name = plugin.name().unwrap_or_default();
        inventory.add_in_state(&format!("plugin {name}"), plugin.custom_plugin_state().map(|state| state.as_str()));
    }
    let answer = clients.kafkaconnect.list_worker_configurations().send().await.unwrap();
    for configuration in answer.worker_configurations() {
        let name = configuration.name().unwrap_or_default();
        let state = configuration.worker_configuration_state().map(|state| state.as_str());
        inventory.add_in_state(&format!("worker configuration {name}"), state);
    }
}
