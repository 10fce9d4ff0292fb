//! SQL as the workers speak it: one session for cleaning and for analyses, functions for dirty text, and errors that
//! point into the SQL.
//!
//! The dialect is DataFusion's. Names are in lower case unless they stand in double quotes.

mod error;
mod functions;
mod session;
mod values;

pub use error::SqlError;
pub(crate) use error::{At, Words, selected, suggestion};
pub(crate) use session::{plan, session};
