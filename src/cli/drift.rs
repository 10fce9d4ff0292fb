//! The options of `pinfra drift`.

use clap::Args;

/// What `pinfra drift` compares.
#[derive(Args, Clone, Debug)]
pub struct DriftArgs {
    /// The stack's name or its stack file; absent when one stack is recorded
    pub stack: Option<String>,
}
