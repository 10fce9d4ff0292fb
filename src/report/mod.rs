//! All that people read: diagnostics, the plan, progress, results. Nothing outside of this module prints.

pub mod diagnostic;
pub mod out;
