//! What is missing on AWS is missing on the laptop: the workers may do what their role's policy says.

use serde_json::Value;

use crate::pipeline::{NAME, Pipeline};

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_is_withdrawn_is_found_and_put_right() {
    let pipeline = Pipeline::up(Some("rate: 30"));
    let clients = pipeline.sandbox.clients().await;
    let iam = &clients.iam;
    let profile = iam.list_instance_profiles().send().await.unwrap().instance_profiles()[0].clone();
    let role = profile.roles()[0].role_name();
    let policies = iam.list_role_policies().role_name(role).send().await.unwrap();
    let [policy] = policies.policy_names() else { panic!("{policies:?}") };
    let document = iam.get_role_policy().role_name(role).policy_name(policy).send().await.unwrap();
    let document = percent_decoded(document.policy_document());
    let document: Value = serde_json::from_str(&document).unwrap();
    let without = without_action(document, "kinesis:GetRecords").to_string();
    iam.put_role_policy().role_name(role).policy_name(policy).policy_document(without).send().await.unwrap();

    let told = pipeline.status_when("told by the cleaner", |status| error_of(status, "cleaner").is_some());
    let error = error_of(&told, "cleaner").unwrap();
    assert!(error.contains("is not authorized to perform: kinesis:GetRecords"), "{error}");
    let said = pipeline.sandbox.run(&["status", NAME]);
    assert!(said.code != 0 && said.stdout.contains("kinesis:GetRecords"), "{}\n{}", said.stdout, said.stderr);
    let plan = pipeline.sandbox.run(&["plan", "stack.yaml", "--detailed-exitcode"]);
    assert_eq!(plan.code, 2, "{}\n{}", plan.stdout, plan.stderr);
    assert!(plan.stdout.contains("iam/role_policy.client"), "{}", plan.stdout);

    // The probe that `up` ends with says that the cleaner reads again.
    pipeline.sandbox.ok(&["up", "stack.yaml"]);
    pipeline.status_when("healthy", |status| status["healthy"] == true);

    // All of the role, behind its back.
    let profile = profile.instance_profile_name();
    iam.remove_role_from_instance_profile().instance_profile_name(profile).role_name(role).send().await.unwrap();
    iam.delete_role_policy().role_name(role).policy_name(policy).send().await.unwrap();
    iam.delete_role().role_name(role).send().await.unwrap();
    let plan = pipeline.sandbox.run(&["plan", "stack.yaml", "--detailed-exitcode"]);
    assert_eq!(plan.code, 2, "{}\n{}", plan.stdout, plan.stderr);
    for address in ["iam/role.client", "iam/role_policy.client", "iam/instance_profile.client"] {
        assert!(plan.stdout.contains(address), "{address}\n{}", plan.stdout);
    }
    let status = pipeline.status();
    let role = status["resources"].as_array().unwrap().iter().find(|it| it["address"] == "iam/role.client").unwrap();
    assert_eq!(role["condition"], "gone", "{role}");
    pipeline.change(Some("rate: 30"));
}

/// What a worker that does not work says.
fn error_of(status: &Value, worker: &str) -> Option<String> {
    let workers = status["workers"].as_array().unwrap();
    let worker = workers.iter().find(|state| state["name"] == worker)?;
    let report = worker.pointer("/state/report").filter(|report| report["healthy"] == false)?;
    Some(report.pointer("/last_error/message")?.as_str()?.to_owned())
}

fn without_action(mut document: Value, action: &str) -> Value {
    for statement in document["Statement"].as_array_mut().unwrap() {
        if let Some(actions) = statement["Action"].as_array_mut() {
            actions.retain(|allowed| allowed != action);
        }
    }
    assert!(!document.to_string().contains(action));
    document
}

/// IAM answers documents as RFC 3986 writes them in URLs.
fn percent_decoded(text: &str) -> String {
    let url = url::Url::parse(&format!("x:?d={text}")).unwrap();
    url.query_pairs().next().unwrap().1.into_owned()
}
