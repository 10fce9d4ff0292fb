//! Bytes to requests and answers to bytes: the AWS protocols, driven by the official API models. No I/O.
//!
//! A request passes, in this order, `auth` (which service, who, is the signature good), `request` (which
//! operation, what input) and `validate`; what a service says of it leaves through `answer`. The models are in
//! `catalogue`, read by `load` into `model`.

pub(crate) mod answer;
#[cfg(test)]
mod answer_tests;
pub(crate) mod auth;
pub(crate) mod catalogue;
pub mod error;
pub(crate) mod form;
pub mod inspect;
pub(crate) mod json;
#[cfg(test)]
mod json_tests;
mod load;
pub(crate) mod model;
mod path;
pub(crate) mod request;
mod scalar;
pub(crate) mod sigv4;
#[cfg(test)]
mod sigv4_tests;
pub(crate) mod validate;
mod xml;
