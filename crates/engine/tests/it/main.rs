//! The engine against the fake cloud: order, failures, kills, and what must hold after any of them.

mod destroy;
mod execute;
mod properties;
mod scale;
mod secrets;
mod state_format;
mod wishes;
mod world;
