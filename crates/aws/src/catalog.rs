//! Every kind there is. A new kind is one line here, which `explain`, planning and the tests read.

use pinfra_engine::Catalog;

use crate::clients::Clients;
use crate::kinesis::stream::Stream;
use crate::s3::bucket::Bucket;

/// The kinds, each with the clients it calls.
pub fn catalog(clients: &Clients) -> Catalog {
    Catalog::default().with(Bucket::new(clients)).with(Stream::new(clients))
}
