//! Cleaning SQL, checked and made ready to run over batches.
//!
//! The plan of such SQL is a chain of projections over `events` (several where it uses `WITH` or a subquery in `FROM`).
//! Each is compiled to expressions once; running them over a batch keeps the number and the order of its rows, which no
//! general execution of a plan promises.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchemaRef, DataFusionError, Result};
use datafusion::datasource::MemTable;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_plan::PhysicalExpr;
use datafusion::prelude::SessionContext;

use super::RELATION;
use super::storable::storable;
use crate::sql::{At, SqlError, Words, plan, selected, session};

/// A chain of projections.
#[derive(Clone, Debug)]
pub(super) struct Projection {
    input: SchemaRef,
    stages: Vec<Stage>,
    output: SchemaRef,
}

/// One projection: the columns it makes of those before it.
#[derive(Clone, Debug)]
struct Stage {
    columns: Vec<Arc<dyn PhysicalExpr>>,
    schema: SchemaRef,
}

impl Projection {
    /// Plans `sql` over `events` with these columns of text.
    pub(super) async fn new(sql: &str, fields: &[String]) -> std::result::Result<Projection, SqlError> {
        let input: SchemaRef = Arc::new(Schema::new(
            fields.iter().map(|field| Field::new(field, DataType::Utf8, true)).collect::<Vec<_>>(),
        ));
        let context = session(1);
        let planned = register(&context, &input);
        planned.map_err(|error| SqlError::from_datafusion(sql, &error))?;
        let planned = plan(&context, sql).await?;
        let mut stages = Vec::new();
        compile(&context, sql, &planned, &mut stages)?;
        let output = output(sql, &planned)?;
        Ok(Projection { input, stages, output })
    }

    /// The columns of `events`.
    pub(super) fn input(&self) -> SchemaRef {
        Arc::clone(&self.input)
    }

    /// The columns that come out.
    pub(super) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.output)
    }

    /// The rows of a batch of events, one each and in their order.
    pub(super) fn run(&self, events: &RecordBatch) -> Result<RecordBatch> {
        let rows = events.num_rows();
        let mut batch = events.clone();
        for stage in &self.stages {
            let columns = stage.columns.iter().map(|column| column.evaluate(&batch)?.into_array(rows));
            let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
            batch = RecordBatch::try_new(Arc::clone(&stage.schema), columns)?;
        }
        let fields = self.output.fields().iter();
        let columns = fields.zip(batch.columns()).map(|(field, column)| cast(column, field.data_type()));
        let columns = columns.collect::<std::result::Result<Vec<ArrayRef>, _>>()?;
        Ok(RecordBatch::try_new(self.schema(), columns)?)
    }
}

fn register(context: &SessionContext, input: &SchemaRef) -> Result<()> {
    let table = MemTable::try_new(Arc::clone(input), vec![vec![]])?;
    context.register_table(RELATION, Arc::new(table))?;
    Ok(())
}

/// The expressions of a plan, the innermost first; a mistake for whatever could drop, add or reorder rows.
fn compile(
    context: &SessionContext,
    sql: &str,
    plan: &LogicalPlan,
    stages: &mut Vec<Stage>,
) -> std::result::Result<(), SqlError> {
    match plan {
        LogicalPlan::Projection(projection) => {
            compile(context, sql, &projection.input, stages)?;
            let schema = projection.input.schema();
            let mut columns = Vec::new();
            for (index, expression) in projection.expr.iter().enumerate() {
                let at = selected(sql, index);
                row_by_row(sql, expression, at)?;
                let column = physical(context, expression, schema);
                columns.push(column.map_err(|error| misfit(sql, at, &error))?);
            }
            let before = stages.last().map_or_else(|| schema.inner(), |stage| &stage.schema);
            let schema = stage_schema(&columns, projection.schema.inner(), before);
            let schema = schema.map_err(|error| SqlError::from_datafusion(sql, &error))?;
            stages.push(Stage { columns, schema });
            Ok(())
        }
        LogicalPlan::SubqueryAlias(alias) => compile(context, sql, &alias.input, stages),
        LogicalPlan::TableScan(_) => Ok(()),
        other => {
            let (word, what) = refused(other);
            let words = Words::of(sql);
            let at = words.named(word).unwrap_or_else(|| words.start());
            Err(at.error(format!("cleaning SQL has one row for each event, and {what} would change that")).help(
                format!("write one `SELECT … FROM {RELATION}` without filters, joins, aggregates, limits and orders"),
            ))
        }
    }
}

/// An expression ready to run. Some functions (`arrow_cast`) are only there to be simplified away.
fn physical(context: &SessionContext, expression: &Expr, schema: &DFSchemaRef) -> Result<Arc<dyn PhysicalExpr>> {
    let state = context.state();
    let simplify = SimplifyContext::builder()
        .with_schema(Arc::clone(schema))
        .with_config_options(Arc::clone(state.config_options()))
        .build();
    let simplifier = ExprSimplifier::new(simplify);
    let coerced = simplifier.coerce(expression.clone().unalias(), schema)?;
    state.create_physical_expr(simplifier.simplify(coerced)?, schema)
}

/// The types that the expressions really have, by the names that the plan gives them.
fn stage_schema(columns: &[Arc<dyn PhysicalExpr>], names: &Schema, before: &Schema) -> Result<SchemaRef> {
    let fields = names.fields().iter().zip(columns);
    let fields = fields.map(|(field, column)| Ok(Field::new(field.name(), column.data_type(before)?, true)));
    Ok(Arc::new(Schema::new(fields.collect::<Result<Vec<Field>>>()?)))
}

/// A word of the SQL that brings in what is refused, and what it is.
fn refused(plan: &LogicalPlan) -> (&'static str, &'static str) {
    match plan {
        LogicalPlan::Filter(_) => ("where", "a filter"),
        LogicalPlan::Join(_) => ("join", "a join"),
        LogicalPlan::Aggregate(_) => ("group", "an aggregate"),
        LogicalPlan::Window(_) => ("over", "a window function, which sees other rows than its own,"),
        LogicalPlan::Sort(_) => ("order", "an order"),
        LogicalPlan::Limit(_) => ("limit", "a limit"),
        LogicalPlan::Distinct(_) => ("distinct", "`DISTINCT`"),
        LogicalPlan::Union(_) => ("union", "a union"),
        LogicalPlan::Unnest(_) => ("unnest", "`unnest`"),
        LogicalPlan::EmptyRelation(_) | LogicalPlan::Values(_) => ("select", "a relation that is not `events`"),
        _ => ("", "this statement"),
    }
}

/// An expression that looks at its own row only and always says the same of it.
fn row_by_row(sql: &str, expression: &Expr, at: Option<At>) -> std::result::Result<(), SqlError> {
    let mut problem = None;
    // The closure itself never fails, so the walk does not.
    let _ = expression.apply(|part| {
        problem = match part {
            Expr::ScalarFunction(call) if call.func.signature().volatility != Volatility::Immutable => Some((
                call.func.name().to_owned(),
                "gives another value each time: a record that is read again would differ",
            )),
            Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_) => {
                Some(("select".to_owned(), "looks at more than its own row"))
            }
            Expr::ScalarVariable(..) | Expr::Placeholder(_) => Some((part.to_string(), "has no value here")),
            _ => None,
        };
        Ok(if problem.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    let Some((what, why)) = problem else { return Ok(()) };
    let words = Words::of(sql);
    let is_subquery = what == "select";
    let at = if is_subquery { at } else { words.named(&what).or(at) };
    let what = if is_subquery { "a subquery".to_owned() } else { format!("`{what}`") };
    Err(at.unwrap_or_else(|| words.start()).error(format!("{what} {why}")))
}

/// An expression whose types do not fit, shown where it is selected.
fn misfit(sql: &str, at: Option<At>, error: &DataFusionError) -> SqlError {
    let found = SqlError::from_datafusion(sql, error);
    let nowhere = (found.line, found.column) == Words::of(sql).start().position();
    match at.filter(|_| nowhere) {
        Some(at) => SqlError { help: found.help, ..at.error(found.message) },
        None => found,
    }
}

/// The columns of the table: every one with a name and of a type that Delta has.
fn output(sql: &str, plan: &LogicalPlan) -> std::result::Result<SchemaRef, SqlError> {
    let start = || Words::of(sql).start();
    let mut fields: Vec<Field> = Vec::new();
    for (index, field) in plan.schema().fields().iter().enumerate() {
        let at = selected(sql, index).unwrap_or_else(start);
        let name = field.name();
        let good = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
        if !good {
            return Err(at
                .error(format!("column {} of the table has no name", index + 1))
                .help("name it with `AS`, in letters, digits and `_`"));
        }
        if fields.iter().any(|earlier| earlier.name().eq_ignore_ascii_case(name)) {
            return Err(at.error(format!("two columns are called `{name}`")).help("rename one of them with `AS`"));
        }
        let Some(stored) = storable(field.data_type()) else {
            let message = format!("column `{name}` is of type {}, which Delta tables do not have", field.data_type());
            return Err(at.error(message).help("cast it, such as by `CAST(… AS VARCHAR)`"));
        };
        fields.push(Field::new(name, stored, true));
    }
    Ok(Arc::new(Schema::new(fields)))
}
