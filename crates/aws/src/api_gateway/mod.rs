//! Amazon API Gateway, REST APIs.
//!
//! An API is written whole, as one OpenAPI document ([`document`] has its typed form), since its control plane takes few calls
//! a second. A deployment freezes it, and a stage serves a deployment; keys and usage plans say who may call how often.

pub mod api_key;
pub mod deployment;
pub mod document;
pub(crate) mod listing;
mod live;
mod names;
mod openapi;
pub mod rest_api;
mod sending;
pub mod stage;
pub mod usage_plan;
