//! Deployed REST APIs, served: the data plane of API Gateway.

pub(crate) mod vtl;
