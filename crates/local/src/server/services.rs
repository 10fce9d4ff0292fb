//! The one table of services, by the name that stands in the scope of a signature, and S3 beside it.

use std::collections::HashMap;
use std::sync::Arc;

use super::StartError;
use crate::clock::Clock;
use crate::credentials::Credentials;
use crate::services::Service;
use crate::services::ec2::{Ec2, NoProfiles};
use crate::services::kinesis::Kinesis;
use crate::services::s3::{S3Front, SecretOfKey, Secrets};
use crate::services::ssm::Ssm;
use crate::services::sts::Sts;
use crate::services::tagging::{Source, Tagging};
use crate::settings::Settings;

/// All that can be asked for.
pub(super) struct Services {
    by_name: HashMap<&'static str, Arc<dyn Service>>,
    ec2: Ec2,
    /// Takes requests as they come: it has its own check of signatures and its own bodies.
    pub(super) s3: S3Front,
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
        let kinesis = Kinesis::open(data_dir, clock.clone(), settings).map_err(failed("kinesis"))?;
        let secrets = Arc::clone(credentials) as Arc<dyn Secrets>;
        let s3 = S3Front::open(data_dir, clock.clone(), settings, secrets).map_err(failed("s3"))?;

        let ec2 = Ec2::open(data_dir, clock.clone(), settings, endpoint, Arc::new(NoProfiles));
        let ec2 = ec2.map_err(failed("ec2"))?;

        let mut by_name: HashMap<&'static str, Arc<dyn Service>> = HashMap::new();
        by_name.insert("ec2", Arc::new(ec2.clone()));
        by_name.insert("kinesis", Arc::new(kinesis));
        by_name.insert("ssm", Arc::new(Ssm::default()));
        by_name.insert("sts", Arc::new(Sts::new(Arc::clone(credentials))));

        let source = |service: &Arc<dyn Service>| -> Source {
            let service = Arc::clone(service);
            Box::new(move |region| service.tagged(region))
        };
        let mut sources: Vec<Source> = by_name.values().map(source).collect();
        let buckets = s3.clone();
        sources.push(Box::new(move |region| buckets.tagged(region)));
        by_name.insert("tagging", Arc::new(Tagging::new(sources)));
        Ok(Services { by_name, ec2, s3 })
    }

    /// Ends what instances run, asking it first.
    pub(super) async fn shut_down_machines(&self) {
        self.ec2.shut_down().await;
    }

    /// Ends what instances run at once.
    pub(super) fn cut_power(&self) {
        self.ec2.cut_power();
    }

    /// The service of that signing name.
    pub(super) fn get(&self, name: &str) -> Option<Arc<dyn Service>> {
        self.by_name.get(name).map(Arc::clone)
    }
}

fn failed<E: std::error::Error + Send + Sync + 'static>(service: &'static str) -> impl Fn(E) -> StartError {
    move |source| StartError::Service { service, source: Box::new(source) }
}

impl Secrets for Credentials {
    fn secret_of(&self, access_key: &str) -> Option<SecretOfKey> {
        let identity = self.lookup(access_key).filter(|identity| !self.expired(identity))?;
        Some(SecretOfKey { secret: identity.secret.clone(), session_token: identity.session_token.clone() })
    }
}
