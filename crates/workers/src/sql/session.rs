//! A DataFusion session with our functions, set up to say where in the SQL a mistake is.

use std::collections::BTreeSet;

use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::error::{SqlError, statements};
use super::functions;

/// A session of its own, which works on so many partitions at once.
pub(crate) fn session(partitions: usize) -> SessionContext {
    let mut config = SessionConfig::new().with_target_partitions(partitions).with_information_schema(false);
    let options = config.options_mut();
    options.sql_parser.collect_spans = true;
    // The tables are written with plain text columns, whatever the SQL casts to.
    options.sql_parser.map_string_types_to_utf8view = false;
    let context = SessionContext::new_with_config(config);
    for function in functions::all() {
        context.register_udf(function);
    }
    context
}

/// The names of all functions that SQL can call, in order.
pub(super) fn function_names() -> BTreeSet<String> {
    let state = session(1).state();
    let (rows, groups, windows) = (state.scalar_functions(), state.aggregate_functions(), state.window_functions());
    rows.keys().chain(groups.keys()).chain(windows.keys()).cloned().collect()
}

/// The plan of one statement, neither optimised nor run.
pub(crate) async fn plan(context: &SessionContext, sql: &str) -> Result<LogicalPlan, SqlError> {
    statements(sql)?;
    let planned = context.state().create_logical_plan(sql).await;
    planned.map_err(|error| SqlError::from_datafusion(sql, &error))
}
