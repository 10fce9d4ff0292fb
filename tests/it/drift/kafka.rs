//! Changes in MSK and MSK Connect.

use aws_sdk_kafka::primitives::Blob;
use aws_sdk_kafka::types::EnhancedMonitoring;
use aws_sdk_kafkaconnect::types::{CapacityUpdate, ProvisionedCapacityUpdate};

use super::world::{Change, World, change};

pub(super) fn changes(world: &World) -> Vec<Change<'_>> {
    let mut changes = cluster(world);
    changes.extend(connector(world));
    changes
}

fn cluster(world: &World) -> Vec<Change<'_>> {
    let (kafka, cluster) = (&world.clients.kafka, world.cluster.as_str());
    let active = move || async move {
        for _ in 0..1_000 {
            let found = kafka.describe_cluster_v2().cluster_arn(cluster).send().await.unwrap().cluster_info.unwrap();
            if found.state().unwrap().as_str() == "ACTIVE" {
                return found.current_version.unwrap();
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("the cluster does not come to rest");
    };
    let monitoring = move |level: EnhancedMonitoring| async move {
        let update = kafka.update_monitoring().cluster_arn(cluster).current_version(active().await);
        update.enhanced_monitoring(level).send().await.unwrap();
        active().await;
    };
    let tag = move |value: &'static str| async move {
        kafka.tag_resource().resource_arn(cluster).tags("team", value).send().await.unwrap();
    };
    let kept = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let back = kept.clone();
    let configuration = world.configuration.as_str();
    let properties = move || async move {
        let read = kafka.describe_configuration_revision().arn(configuration).revision(1).send().await.unwrap();
        String::from_utf8(read.server_properties.unwrap().into_inner()).unwrap()
    };
    let revise = move |text: String| async move {
        let update = kafka.update_configuration().arn(configuration).server_properties(Blob::new(text));
        update.send().await.unwrap();
    };
    vec![
        change(
            "a topic of the stack's name is made",
            &["unmanaged msk/cluster.cluster"],
            async move {
                let make = kafka.create_topic().cluster_arn(cluster).topic_name("pins.extra");
                make.partition_count(1).replication_factor(3).send().await.unwrap();
            },
            async move {
                kafka.delete_topic().cluster_arn(cluster).topic_name("pins.extra").send().await.unwrap();
            },
        ),
        change(
            "a topic of another name is made",
            &["unmanaged msk/cluster.cluster"],
            async move {
                let make = kafka.create_topic().cluster_arn(cluster).topic_name("mine");
                make.partition_count(1).replication_factor(1).send().await.unwrap();
            },
            async move {
                kafka.delete_topic().cluster_arn(cluster).topic_name("mine").send().await.unwrap();
            },
        ),
        change(
            "the cluster is watched more closely",
            &["changed msk/cluster.cluster#monitoring"],
            monitoring(EnhancedMonitoring::PerBroker),
            monitoring(EnhancedMonitoring::Default),
        ),
        change("a tag of the cluster is changed", &["changed msk/cluster.cluster#tags.team"], tag("web"), tag("data")),
        change(
            "the configuration gets another revision",
            &["changed msk/configuration.cluster#properties.num.partitions"],
            async move {
                let was = properties().await;
                kept.lock().unwrap().clone_from(&was);
                revise(was.replace("num.partitions=2", "num.partitions=9")).await;
            },
            async move {
                let was = back.lock().unwrap().clone();
                revise(was).await;
            },
        ),
    ]
}

fn connector(world: &World) -> Vec<Change<'_>> {
    let (connect, connector) = (&world.clients.kafkaconnect, world.connector.as_str());
    let running = move || async move {
        for _ in 0..2_000 {
            let found = connect.describe_connector().connector_arn(connector).send().await.unwrap();
            if found.connector_state().unwrap().as_str() == "RUNNING" {
                return found;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("the connector does not come to rest");
    };
    let flush = move |size: &'static str| async move {
        let found = running().await;
        let mut configuration = found.connector_configuration.unwrap();
        configuration.insert("flush.size".to_owned(), size.to_owned());
        let update = connect.update_connector().connector_arn(connector).set_current_version(found.current_version);
        update.set_connector_configuration(Some(configuration)).send().await.unwrap();
        running().await;
    };
    let workers = move |count: i32| async move {
        let found = running().await;
        let size = ProvisionedCapacityUpdate::builder().mcu_count(1).worker_count(count).build();
        let update = connect.update_connector().connector_arn(connector).set_current_version(found.current_version);
        let capacity = CapacityUpdate::builder().provisioned_capacity(size).build();
        update.capacity(capacity).send().await.unwrap();
        running().await;
    };
    let tag = move |arn: &'static str, value: &'static str| async move {
        let arn = if arn == "plugin" { world.plugin.as_str() } else { connector };
        connect.tag_resource().resource_arn(arn).tags("team", value).send().await.unwrap();
    };
    let hash = world.archive.split('/').nth(2).unwrap().to_owned();
    vec![
        change(
            "the connector writes other files",
            &["changed msk_connect/connector.s3#configuration.flush.size"],
            flush("9"),
            flush("7"),
        )
        .slowly(),
        change(
            "the connector gets another worker",
            &["changed msk_connect/connector.s3#workers"],
            workers(2),
            workers(1),
        )
        .slowly(),
        change(
            "a tag of the connector is changed",
            &["changed msk_connect/connector.s3#tags.team"],
            tag("connector", "web"),
            tag("connector", "data"),
        ),
        change(
            "a tag of the plugin is changed",
            &[&format!("changed msk_connect/plugin.s3.{}#tags.team", &hash[..8])],
            tag("plugin", "web"),
            tag("plugin", "data"),
        ),
    ]
}
