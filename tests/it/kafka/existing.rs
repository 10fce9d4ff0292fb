//! A cluster and a bucket that exist are used, and neither changed nor deleted.

use crate::support::Sandbox;

const OWNER: &str = "name: owner\ntables: { t: { key: id } }\ncluster: { partitions: 1 }\nlake: {}\n";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stack_uses_it_leaves() {
    let sandbox = Sandbox::new();
    sandbox.write("owner.yaml", OWNER);
    sandbox.ok(&["up", "owner.yaml"]);
    let bucket = sandbox.ok(&["outputs", "owner", "--show", "bucket"]).stdout.trim().to_owned();
    let guest = format!(
        "name: guest\ntables: {{ clicks: {{ key: id }} }}\ncluster: {{ use: owner, partitions: 2 }}\nlake: {{ use: {bucket} }}\nconnector: {{ rotate_seconds: 1 }}\n"
    );
    sandbox.write("guest.yaml", &guest);
    sandbox.ok(&["up", "guest.yaml"]);
    let plan = sandbox.run(&["plan", "guest.yaml", "--detailed-exitcode"]);
    assert_eq!(plan.code, 0, "{}\n{}", plan.stdout, plan.stderr);

    let clients = sandbox.clients().await;
    let cluster = clients.kafka.list_clusters_v2().send().await.unwrap().cluster_info_list().to_vec();
    let [cluster] = cluster.as_slice() else { panic!("one cluster: {cluster:?}") };
    let arn = cluster.cluster_arn().unwrap();
    let topics = || async {
        let topics = clients.kafka.list_topics().cluster_arn(arn).send().await.unwrap();
        topics.topics().iter().map(|topic| topic.topic_name().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(topics().await.contains(&"guest.clicks".to_owned()));

    let down = sandbox.ok(&["down", "guest"]);
    for used in ["the cluster `owner`".to_owned(), format!("the bucket `{bucket}`")] {
        assert!(down.stderr.contains(&format!("was only used, and stays: {used}")), "{}", down.stderr);
    }
    let version = cluster.current_version().unwrap();
    let after = clients.kafka.describe_cluster_v2().cluster_arn(arn).send().await.unwrap().cluster_info.unwrap();
    assert_eq!(after.current_version(), Some(version), "the cluster was changed");
    let left = topics().await;
    assert!(left.contains(&"owner.t".to_owned()) && !left.contains(&"guest.clicks".to_owned()), "{left:?}");
    clients.s3.head_bucket().bucket(&bucket).send().await.unwrap();

    // Topics and objects carry no tags: without state it is said that they stay.
    sandbox.ok(&["up", "guest.yaml"]);
    std::fs::remove_dir_all(sandbox.folder.path().join(".pinfra/guest")).unwrap();
    let down = sandbox.ok(&["down", "guest.yaml"]);
    let told = down.stdout + &down.stderr;
    for kept in ["topics `guest.…` of the cluster `owner`".to_owned(), format!("of the bucket `{bucket}`")] {
        assert!(told.contains(&kept), "{told}");
    }
    let connectors = clients.kafkaconnect.list_connectors().send().await.unwrap();
    assert!(connectors.connectors().is_empty(), "what has tags was found: {connectors:?}");
    let owner = sandbox.run(&["plan", "owner.yaml", "--detailed-exitcode"]);
    assert_eq!(owner.code, 0, "{}\n{}", owner.stdout, owner.stderr);
    sandbox.ok(&["down", "owner"]);
}

#[test]
fn what_is_to_be_used_has_to_be_there() {
    let sandbox = Sandbox::new();
    sandbox.write("stack.yaml", "name: guest\ntables: { t: { key: id } }\ncluster: { use: nobodys }\n");
    let up = sandbox.run(&["up", "stack.yaml"]);
    assert_eq!(up.code, 1);
    assert!(
        up.stderr.contains("there is no MSK cluster `nobodys`") && up.stderr.contains("stack.yaml:3:"),
        "{}",
        up.stderr
    );
    sandbox.write("stack.yaml", "name: guest\nlake: { use: nobodys-bucket }\n");
    let up = sandbox.run(&["up", "stack.yaml"]);
    assert!(up.stderr.contains("there is no bucket `nobodys-bucket`"), "{}", up.stderr);
}
