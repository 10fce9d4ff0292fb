//! API Gateway, REST APIs: the control plane, in front of [`serving`].
//!
//! Every change is made on a copy of one document, written to the store, and only then seen: an answer that follows it
//! survives a kill. Texts of refusals are AWS's own as far as they are known from its documentation and from bug
//! reports.

mod book;
mod desk;
mod errors;
pub mod serving;

use std::path::Path;
use std::sync::Arc;

pub use desk::ApiGatewayOpenError;
pub use serving::{Deployed, KeyUse, Quota, Throttle};

use self::desk::Desk;
use crate::clock::Clock;

/// The API Gateway of one local cloud. Clones share what they hold.
#[derive(Clone)]
pub struct ApiGateway {
    desk: Arc<Desk>,
}

impl ApiGateway {
    /// Opens what is under `<data_dir>/apigateway/`, or begins it.
    pub fn open(data_dir: &Path, clock: Clock) -> Result<ApiGateway, ApiGatewayOpenError> {
        Ok(ApiGateway { desk: Arc::new(Desk::open(data_dir, clock)?) })
    }
}
