//! The one table of services, by the name that stands in the scope of a signature, and S3 beside it.

use std::collections::HashMap;
use std::sync::Arc;

use super::StartError;
use crate::clock::Clock;
use crate::credentials::Credentials;
use crate::kafka::Kafka;
use crate::services::Service;
use crate::services::apigateway::ApiGateway;
use crate::services::ec2::Ec2;
use crate::services::iam::{Context, Iam};
use crate::services::kafka::{Authority, Msk};
use crate::services::kafkaconnect::KafkaConnect;
use crate::services::kinesis::Kinesis;
use crate::services::s3::{S3Front, SecretOfKey, Secrets};
use crate::services::ssm::Ssm;
use crate::services::sts::Sts;
use crate::services::tagging::{Source, Tagging};
use crate::settings::Settings;

/// All that can be asked for.
pub(super) struct Services {
    by_name: HashMap<&'static str, Arc<dyn Service>>,
    /// Asked for where instances are reached.
    pub(super) ec2: Ec2,
    msk: Msk,
    connectors: KafkaConnect,
    /// Takes requests as they come: it has its own check of signatures and its own bodies.
    pub(super) s3: S3Front,
    /// Asked before every call of a role.
    pub(super) iam: Iam,
    /// Asked for what deployed APIs serve.
    pub(super) apis: ApiGateway,
}

impl Services {
    /// Opens them on the data folder.
    pub(super) fn open(
        settings: &Settings,
        clock: &Clock,
        credentials: &Arc<Credentials>,
        endpoint: &str,
    ) -> Result<Services, StartError> {
        let data_dir = settings.data_dir.as_path();
        let iam = Iam::open(data_dir, clock.clone(), settings, Arc::clone(credentials)).map_err(failed("iam"))?;
        let kinesis = Kinesis::open(data_dir, clock.clone(), settings).map_err(failed("kinesis"))?;
        let apis = ApiGateway::open(data_dir, clock.clone()).map_err(failed("apigateway"))?;
        let secrets = Arc::new(Keys { credentials: Arc::clone(credentials), iam: iam.clone() });
        let s3 = S3Front::open(data_dir, clock.clone(), settings, secrets).map_err(failed("s3"))?;

        // Before the machines boot: what runs on them reads the certificate of the brokers.
        let gate = Arc::new(Authority::new(Arc::clone(credentials), iam.clone()));
        let brokers = Kafka::open(data_dir, clock.clone(), settings, gate).map_err(failed("kafka"))?;
        let ec2 = Ec2::open(data_dir, clock.clone(), settings, endpoint, Arc::new(iam.clone()));
        let ec2 = ec2.map_err(failed("ec2"))?;
        let msk = Msk::open(data_dir, clock.clone(), settings, brokers.clone(), Arc::new(ec2.clone()));
        let msk = msk.map_err(failed("kafka"))?;
        let connectors = KafkaConnect::open(data_dir, clock.clone(), settings, brokers, iam.clone(), s3.clone());
        let connectors = connectors.map_err(failed("kafkaconnect"))?;

        let mut by_name: HashMap<&'static str, Arc<dyn Service>> = HashMap::new();
        by_name.insert("apigateway", Arc::new(apis.clone()));
        by_name.insert("ec2", Arc::new(ec2.clone()));
        by_name.insert("iam", Arc::new(iam.clone()));
        by_name.insert("kafka", Arc::new(msk.clone()));
        by_name.insert("kafkaconnect", Arc::new(connectors.clone()));
        by_name.insert("kinesis", Arc::new(kinesis));
        by_name.insert("ssm", Arc::new(Ssm::default()));
        by_name.insert("sts", Arc::new(Sts::new(Arc::clone(credentials), iam.clone())));

        let source = |service: &Arc<dyn Service>| -> Source {
            let service = Arc::clone(service);
            Box::new(move |region| service.tagged(region))
        };
        let mut sources: Vec<Source> = by_name.values().map(source).collect();
        let buckets = s3.clone();
        sources.push(Box::new(move |region| buckets.tagged(region)));
        by_name.insert("tagging", Arc::new(Tagging::new(sources)));
        Ok(Services { by_name, ec2, msk, connectors, s3, iam, apis })
    }

    /// Ends what instances run, asking it first.
    pub(super) async fn shut_down_machines(&self) {
        self.ec2.shut_down().await;
    }

    /// Stops connectors: what they are storing is stored, and its offsets are committed.
    pub(super) async fn shut_down_connectors(&self) {
        self.connectors.stop().await;
    }

    /// Closes the listeners of brokers and syncs their logs. Nothing that uses them is running any more.
    pub(super) async fn shut_down_brokers(&self) {
        self.msk.shut_down().await;
    }

    /// Ends at once what instances run, connectors, and the brokers.
    pub(super) fn cut_power(&self) {
        self.ec2.cut_power();
        self.connectors.cut_power();
        self.msk.cut_power();
    }

    /// The service of that signing name.
    pub(super) fn get(&self, name: &str) -> Option<Arc<dyn Service>> {
        self.by_name.get(name).map(Arc::clone)
    }
}

fn failed<E: std::error::Error + Send + Sync + 'static>(service: &'static str) -> impl Fn(E) -> StartError {
    move |source| StartError::Service { service, source: Box::new(source) }
}

/// What S3 asks about keys, since it checks signatures and permissions for itself.
struct Keys {
    credentials: Arc<Credentials>,
    iam: Iam,
}

impl Secrets for Keys {
    fn secret_of(&self, access_key: &str) -> Option<SecretOfKey> {
        let identity = self.credentials.lookup(access_key).filter(|identity| !self.credentials.expired(identity))?;
        Some(SecretOfKey { secret: identity.secret.clone(), session_token: identity.session_token.clone() })
    }

    fn may(&self, access_key: &str, action: &str, resource: &str, context: &Context) -> Result<(), String> {
        let identity = self.credentials.lookup(access_key).ok_or_else(|| "Access Denied".to_owned())?;
        let allowed = self.iam.authorize(&identity.principal_arn, action, &[resource.to_owned()], context);
        allowed.map_err(|error| error.message)
    }
}
