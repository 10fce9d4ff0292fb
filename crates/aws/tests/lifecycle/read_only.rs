//! Clients that can only read: every call of every kind that would change something ends before it leaves.

use std::collections::BTreeSet;
use std::time::Duration;

use pinfra_aws::policy::allow;
use pinfra_aws::{Clients, catalog};
use pinfra_engine::resource::Kind;
use pinfra_engine::{Address, Call};
use serde_json::{Value, json};

use super::{cloud, connection, samples};

/// Far more than anything takes that is not waited for in vain.
const LIMIT: Duration = Duration::from_secs(20);

/// The sample with something in it that an update would have to send.
fn changed(kind: &dyn Kind, inputs: &Value) -> Value {
    let mut new = inputs.clone();
    match (kind.info().kind, new.get_mut("tags")) {
        (_, Some(Value::Object(tags))) => {
            tags.insert("more".to_owned(), "x".into());
        }
        ("iam/role_policy", _) => {
            new["policy"] = allow(&[json!({"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"})]);
        }
        ("msk/configuration", _) => new["properties"]["num.partitions"] = "7".into(),
        ("msk/topic", _) => new["partitions"] = 9.into(),
        ("api_gateway/deployment", _) => new["document_hash"] = "another".into(),
        (other, _) => unreachable!("what of `{other}` can be changed?"),
    }
    new
}

#[tokio::test(flavor = "multi_thread")]
async fn no_kind_can_change_anything_through_clients_that_read() {
    let cloud = cloud().await;
    let Some((local, _)) = &cloud.local else { return };
    let reading = Clients::connect_read_only(&connection("us-east-1", local)).await.unwrap();
    let (writes, reads) = (catalog(&cloud.clients), catalog(&reading));
    let (mut made, mut refused) = (BTreeSet::new(), 0);
    for (name, inputs) in samples() {
        let call = Call::silent(Address::new(name, "a"));
        let (writer, reader) = (writes.get(name).unwrap(), reads.get(name).unwrap());
        let created = tokio::time::timeout(LIMIT, reader.create(&call, &inputs)).await.unwrap();
        let error = created.unwrap_err();
        refused += usize::from(error.message.contains("these clients can only read"));
        // Those whose needs are there: what is to be changed has to be there, or there is nothing to send.
        let Ok(Ok(id)) = tokio::time::timeout(LIMIT, writer.create(&call, &inputs)).await else { continue };
        made.insert(name);
        let new = changed(reader.as_ref(), &inputs);
        for attempt in [reader.update(&call, &id, &inputs, &new), reader.delete(&call, &id)] {
            let done = tokio::time::timeout(LIMIT, attempt).await;
            let error = done.unwrap_or_else(|_| panic!("{name} waits for what cannot come")).unwrap_err();
            refused += usize::from(error.message.contains("these clients can only read"));
        }
        let there = writer.read_many(std::slice::from_ref(&id)).await.pop().unwrap().unwrap();
        assert!(there.is_some(), "`{name}` is gone");
    }
    assert!(made.len() >= 9 && refused >= 25, "{refused} refused; made: {made:?}");
    // What changes something, the local cloud has seen of the other clients.
    let calls = local.faults().calls();
    let changes: BTreeSet<&str> = calls.iter().filter(|call| call.mutating).map(|call| call.operation).collect();
    assert!(changes.len() >= 15, "{changes:?}");
    let sent = reading.meter.counts();
    let is_change = |name: &String| changes.contains(name.split_once('.').unwrap().1);
    assert!(!sent.is_empty() && !sent.keys().any(is_change), "{sent:?}");
}
