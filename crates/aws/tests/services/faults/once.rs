//! Clients that try once, a read of each service, something to make in several, and how calls fail.

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_s3::primitives::{Blob, ByteStream};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use pinfra_aws::Clients;

use crate::cloud::{Cloud, code};

/// Whoever has a key may be the role.
pub(super) const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Principal":{"AWS":"000000000000"},"Action":"sts:AssumeRole"}]}"#;

/// Clients that try once.
pub(super) struct Once {
    pub(super) apigateway: aws_sdk_apigateway::Client,
    pub(super) ec2: aws_sdk_ec2::Client,
    pub(super) iam: aws_sdk_iam::Client,
    pub(super) kafka: aws_sdk_kafka::Client,
    pub(super) kafkaconnect: aws_sdk_kafkaconnect::Client,
    pub(super) kinesis: aws_sdk_kinesis::Client,
    pub(super) s3: aws_sdk_s3::Client,
    pub(super) sts: aws_sdk_sts::Client,
    pub(super) tagging: aws_sdk_resourcegroupstagging::Client,
}

impl Once {
    pub(super) fn of(cloud: &Cloud) -> Once {
        Once::with(&cloud.config(cloud.credentials()))
    }

    pub(super) fn with(config: &SdkConfig) -> Once {
        let config = config.to_builder().retry_config(RetryConfig::disabled()).build();
        Once {
            apigateway: aws_sdk_apigateway::Client::new(&config),
            ec2: aws_sdk_ec2::Client::new(&config),
            iam: aws_sdk_iam::Client::new(&config),
            kafka: aws_sdk_kafka::Client::new(&config),
            kafkaconnect: aws_sdk_kafkaconnect::Client::new(&config),
            kinesis: aws_sdk_kinesis::Client::new(&config),
            s3: aws_sdk_s3::Client::new(&config),
            sts: aws_sdk_sts::Client::new(&config),
            tagging: aws_sdk_resourcegroupstagging::Client::new(&config),
        }
    }

    /// A read of each service: its code and status.
    pub(super) async fn reads(&self) -> Vec<(&'static str, String, u16)> {
        vec![
            told("apigateway", self.apigateway.get_rest_apis().send().await),
            told("ec2", self.ec2.describe_instances().send().await),
            told("iam", self.iam.list_roles().send().await),
            told("kafka", self.kafka.list_clusters_v2().send().await),
            told("kafkaconnect", self.kafkaconnect.list_connectors().send().await),
            told("kinesis", self.kinesis.list_streams().send().await),
            told("s3", self.s3.list_buckets().send().await),
            told("sts", self.sts.get_caller_identity().send().await),
            told("tagging", self.tagging.get_resources().send().await),
        ]
    }

    /// Makes something in several services; what went wrong.
    pub(super) async fn makes(&self, name: &str) -> Vec<(&'static str, Trouble)> {
        let body = ByteStream::from(vec![7; 3 * 1024 * 1024]);
        vec![
            trouble("kinesis", self.kinesis.create_stream().stream_name(name).shard_count(1).send().await),
            trouble("s3 bucket", self.s3.create_bucket().bucket(name).send().await),
            trouble("s3 object", self.s3.put_object().bucket("there").key(name).body(body).send().await),
            trouble("iam", self.iam.create_role().role_name(name).assume_role_policy_document(TRUST).send().await),
            trouble("ec2", self.ec2.create_security_group().group_name(name).description("d").send().await),
            trouble("apigateway", self.apigateway.create_rest_api().name(name).send().await),
            trouble(
                "kafka",
                self.kafka
                    .create_configuration()
                    .name(name)
                    .server_properties(Blob::new("auto.create.topics.enable=false"))
                    .send()
                    .await,
            ),
        ]
    }
}

/// How a call failed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Trouble {
    None,
    NoAnswer,
    Code(String),
}

fn trouble<T, E>(service: &'static str, answer: Result<T, SdkError<E, HttpResponse>>) -> (&'static str, Trouble)
where
    E: ProvideErrorMetadata,
{
    let trouble = match answer {
        Ok(_) => Trouble::None,
        Err(SdkError::ServiceError(error)) => Trouble::Code(error.err().code().unwrap_or_default().to_owned()),
        Err(_) => Trouble::NoAnswer,
    };
    (service, trouble)
}

fn told<T, E>(service: &'static str, answer: Result<T, SdkError<E, HttpResponse>>) -> (&'static str, String, u16)
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let status = answer.as_ref().err().and_then(SdkError::raw_response).map_or(0, |raw| raw.status().as_u16());
    (service, code(answer), status)
}

/// Of what [`Once::makes`] makes, what is there.
pub(super) async fn there(clients: &Clients, name: &str) -> Vec<(&'static str, bool)> {
    let apis = clients.apigateway.get_rest_apis().send().await.unwrap();
    let groups = clients.ec2.describe_security_groups().send().await.unwrap();
    let configurations = clients.kafka.list_configurations().send().await.unwrap();
    vec![
        ("kinesis", clients.kinesis.list_streams().send().await.unwrap().stream_names.contains(&name.to_owned())),
        ("s3 bucket", clients.s3.head_bucket().bucket(name).send().await.is_ok()),
        ("s3 object", clients.s3.head_object().bucket("there").key(name).send().await.is_ok()),
        ("iam", clients.iam.get_role().role_name(name).send().await.is_ok()),
        ("ec2", groups.security_groups().iter().any(|group| group.group_name() == Some(name))),
        ("apigateway", apis.items().iter().any(|api| api.name() == Some(name))),
        ("kafka", configurations.configurations().iter().any(|configuration| configuration.name() == Some(name))),
    ]
}
