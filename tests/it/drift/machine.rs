//! Changes of what runs on the machine, and of the machine itself: the last ones, since they disturb the most.

use std::time::Duration;

use aws_sdk_ec2::primitives::Blob;
use aws_sdk_ec2::types::{InstanceAttributeName, SecureBlobAttributeValue};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Tag, Tagging};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::world::{BUCKET, Change, World, change};
use crate::pipeline::{Machine, signal};

/// Writes the manifest of a worker anew, with its metadata and tags.
async fn edit(world: &World, worker: &str, edit: impl FnOnce(&mut Value) -> Value) -> Value {
    let (s3, key) = (&world.clients.s3, format!("_pinfra/workers/{worker}.json"));
    let tags: Vec<Tag> = s3.get_object_tagging().bucket(BUCKET).key(&key).send().await.unwrap().tag_set;
    let object = s3.get_object().bucket(BUCKET).key(&key).send().await.unwrap();
    let metadata = object.metadata.clone().unwrap_or_default();
    let mut manifest: Value = serde_json::from_slice(&object.body.collect().await.unwrap().to_vec()).unwrap();
    let was = edit(&mut manifest);
    let put = s3.put_object().bucket(BUCKET).key(&key).content_type("application/json").set_metadata(Some(metadata));
    put.body(ByteStream::from(manifest.to_string().into_bytes())).send().await.unwrap();
    let tagging = Tagging::builder().set_tag_set(Some(tags)).build().unwrap();
    s3.put_object_tagging().bucket(BUCKET).key(&key).tagging(tagging).send().await.unwrap();
    was
}

fn set<'a>(field: &'a str, value: Value) -> impl FnOnce(&mut Value) -> Value + 'a {
    move |manifest| std::mem::replace(&mut manifest["config"][field], value)
}

pub(super) fn changes(world: &World) -> Vec<Change<'_>> {
    let (ec2, s3) = (&world.clients.ec2, &world.clients.s3);
    let stranger = "_pinfra/workers/stranger.json";
    let kept = std::sync::Arc::new(std::sync::Mutex::new(Value::Null));
    let back = kept.clone();
    let agent = || Machine { instance: world.instance.clone() }.process("agent");
    let workers = ["cleaner", "emulator", "gateway"].map(|name| format!("unhealthy worker/process.{name}"));
    let workers: Vec<&str> = workers.iter().map(String::as_str).collect();
    let state = move |wanted: &'static str| async move {
        for _ in 0..3_000 {
            let found = ec2.describe_instances().instance_ids(&world.instance).send().await.unwrap();
            if found.reservations()[0].instances()[0].state().unwrap().name().unwrap().as_str() == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the machine does not come to rest");
    };
    let rewritten = move |edit: fn(&str) -> String| async move {
        let told = ec2.describe_instance_attribute().instance_id(&world.instance);
        let was = told.attribute(InstanceAttributeName::UserData).send().await.unwrap().user_data.unwrap();
        let was = String::from_utf8(STANDARD.decode(was.value.unwrap()).unwrap()).unwrap();
        let data = SecureBlobAttributeValue::builder().value(Blob::new(edit(&was))).build();
        ec2.stop_instances().instance_ids(&world.instance).send().await.unwrap();
        state("stopped").await;
        let modify = ec2.modify_instance_attribute().instance_id(&world.instance).user_data(data);
        modify.send().await.unwrap();
        ec2.start_instances().instance_ids(&world.instance).send().await.unwrap();
        state("running").await;
    };
    vec![
        change(
            "a worker is told something else",
            &["changed worker/process.emulator#config.rate"],
            async move {
                edit(world, "emulator", set("rate", json!(3.0))).await;
            },
            async move {
                edit(world, "emulator", set("rate", json!(1.0))).await;
            },
        )
        .slowly(),
        change(
            "the gateway is told another secret",
            &["changed worker/process.gateway#config.secret"],
            async move {
                let was = edit(world, "gateway", set("secret", json!("hunter2"))).await;
                *kept.lock().unwrap() = was;
            },
            async move {
                let was = back.lock().unwrap().clone();
                edit(world, "gateway", set("secret", was)).await;
            },
        )
        .slowly()
        .hiding("hunter2"),
        change(
            "a worker is deployed that nobody knows",
            &["unmanaged ec2/instance.client"],
            async move {
                let body = ByteStream::from_static(b"{}");
                s3.put_object().bucket(BUCKET).key(stranger).body(body).send().await.unwrap();
            },
            async move {
                s3.delete_object().bucket(BUCKET).key(stranger).send().await.unwrap();
            },
        )
        .slowly(),
        change(
            "the agent of the machine hangs",
            &workers,
            async move {
                assert!(signal(agent(), "STOP"));
            },
            async move {
                assert!(signal(agent(), "CONT"));
            },
        )
        .slowly(),
        change(
            "the address is taken from the machine",
            &["changed ec2/elastic_ip.client#instance"],
            async move {
                ec2.disassociate_address().association_id(&world.association).send().await.unwrap();
            },
            async move {
                let give = ec2.associate_address().allocation_id(&world.allocation).instance_id(&world.instance);
                give.send().await.unwrap();
            },
        ),
        change(
            "the machine is stopped",
            &["unhealthy ec2/instance.client"],
            async move {
                ec2.stop_instances().instance_ids(&world.instance).send().await.unwrap();
                state("stopped").await;
            },
            async move {
                ec2.start_instances().instance_ids(&world.instance).send().await.unwrap();
                state("running").await;
            },
        )
        .slowly(),
        change(
            "the machine is told another script while it is stopped",
            &["changed ec2/instance.client#user_data"],
            rewritten(|script| format!("{script}# mine\n")),
            rewritten(|script| script.trim_end_matches("# mine\n").to_owned()),
        )
        .slowly(),
    ]
}
