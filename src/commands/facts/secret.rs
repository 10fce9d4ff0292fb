//! What the API shows the gateway. It is made at random when the gateway is made, and kept where only the two have it: in
//! the stage, and in the gateway's manifest in the lake bucket, from where it is read again. State has its hash.

use pinfra_aws::Clients;
use pinfra_engine::ErrorKind;
use pinfra_engine::state::Place;
use pinfra_workers::config::Manifest;
use pinfra_workers::keys;
use uuid::Uuid;

use crate::expand::bucket_name;
use crate::report::Failure;
use crate::spec::Stack;

/// The secret that the gateway has, or a new one.
pub(super) async fn gateway(stack: &Stack, place: &Place, clients: &Clients) -> Result<String, Failure> {
    let (bucket, key) = (bucket_name(stack, place), keys::manifest("gateway"));
    let answer = match clients.s3.get_object().bucket(&bucket).key(&key).send().await {
        Ok(answer) => answer,
        Err(error) => {
            let error = pinfra_aws::error::classify("s3:GetObject", &error);
            return if error.kind == ErrorKind::NotFound { Ok(new()) } else { Err(error.into()) };
        }
    };
    let unreadable = || Failure::new(format!("cannot read `s3://{bucket}/{key}`"));
    let body = answer.body.collect().await.map_err(|_| unreadable())?.into_bytes();
    // What it holds is not quoted in any error.
    let manifest: Manifest = serde_json::from_slice(&body).map_err(|_| unreadable())?;
    let secret = manifest.config.get("secret").and_then(serde_json::Value::as_str);
    Ok(secret.map_or_else(new, str::to_owned))
}

/// 244 random bits in letters that a stage's variable takes ("CreateStage", API Gateway API reference).
fn new() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}
