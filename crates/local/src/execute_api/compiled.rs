//! A deployed API, read once: its routes, its stage's variables and rates.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::{Map, Value};

use super::method::Method;
use super::route::Routes;
use crate::services::apigateway::{Deployed, Throttle};

/// More stages than any test calls; then all are read anew.
const MAX_KEPT: usize = 1_000;

/// A deployed API, ready to be called.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) deployed: Arc<Deployed>,
    pub(super) routes: Routes,
    pub(super) stage: String,
    pub(super) variables: BTreeMap<String, String>,
    /// By `/streams/GET`, and `*/*` for all methods together.
    throttles: HashMap<String, Throttle>,
}

impl Compiled {
    pub(super) fn new(deployed: Arc<Deployed>) -> Compiled {
        let mut routes = Routes::default();
        for resource in &deployed.resources {
            let methods = resource["resourceMethods"].as_object().into_iter().flat_map(Map::iter);
            let methods =
                methods.map(|(verb, method)| (verb.clone(), Arc::new(Method::read(resource, verb, method, &deployed))));
            routes.add(resource["path"].as_str().unwrap_or_default(), methods.collect());
        }
        let variables = deployed.stage["variables"].as_object().into_iter().flat_map(Map::iter);
        let variables =
            variables.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect();
        let settings = deployed.stage["methodSettings"].as_object().into_iter().flat_map(Map::iter);
        let throttles =
            settings.filter_map(|(method, settings)| Some((method.replace("~1", "/"), throttle(settings)?)));
        Compiled {
            routes,
            stage: deployed.stage["stageName"].as_str().unwrap_or_default().to_owned(),
            variables,
            throttles: throttles.collect(),
            deployed,
        }
    }

    /// The rate of a method and the name of the bucket it takes from: its own settings before those of the stage.
    pub(super) fn throttle(&self, method: &Method) -> Option<(String, Throttle)> {
        let own = format!("{}/{}", method.path, method.verb);
        let found = self.throttles.get(&own).map(|throttle| (own, *throttle));
        found.or_else(|| self.throttles.get("*/*").map(|throttle| ("*/*".to_owned(), *throttle)))
    }

    /// Whether bodies of that media type are bytes.
    pub(super) fn is_binary(&self, media_type: &str) -> bool {
        let media_type = media_type.to_ascii_lowercase();
        let fits = |pattern: &String| {
            let pattern = pattern.to_ascii_lowercase().replace("~1", "/");
            match pattern.strip_suffix("/*") {
                Some("*") => true,
                Some(family) => media_type.split('/').next() == Some(family),
                None => pattern == media_type,
            }
        };
        self.deployed.binary_media_types.iter().any(fits)
    }
}

fn throttle(settings: &Value) -> Option<Throttle> {
    let rate = settings["throttlingRateLimit"].as_f64()?;
    let burst = settings["throttlingBurstLimit"].as_u64().and_then(|burst| u32::try_from(burst).ok())?;
    Some(Throttle { rate, burst })
}

/// The compiled form of each stage, as long as the control plane serves the same.
#[derive(Debug, Default)]
pub(super) struct Cache {
    by_stage: RwLock<HashMap<String, Arc<Compiled>>>,
}

impl Cache {
    pub(super) fn get(&self, deployed: &Arc<Deployed>, stage: &str) -> Arc<Compiled> {
        let key = format!("{}/{stage}", deployed.api_id);
        let kept = self.by_stage.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(kept) = kept.filter(|kept| Arc::ptr_eq(&kept.deployed, deployed)) {
            return kept;
        }
        let compiled = Arc::new(Compiled::new(Arc::clone(deployed)));
        let mut by_stage = self.by_stage.write().unwrap_or_else(PoisonError::into_inner);
        if by_stage.len() >= MAX_KEPT {
            by_stage.clear();
        }
        by_stage.insert(key, Arc::clone(&compiled));
        compiled
    }
}
