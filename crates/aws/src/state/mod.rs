//! The state of stacks in S3: [`S3Home`] is a bucket and a folder in it, [`S3Shelf`] the documents of one stack there.
//!
//! `objects` writes single objects on conditions and finds out what became of a write whose answer was lost; `documents` makes
//! documents of them that grow at their end; `background` waits for the SDK on behalf of callers that are not asynchronous.

mod background;
mod documents;
mod home;
mod location;
mod objects;
mod shelf;

pub use home::S3Home;
pub use location::{Location, NotALocation};
pub use shelf::S3Shelf;
