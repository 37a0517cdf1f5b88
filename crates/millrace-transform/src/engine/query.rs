//! One SELECT with bound values, and its rows as a stream.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNode as _;
use datafusion::common::{ScalarValue, TableReference};
use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{SQLOptions, SessionContext};
use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{Statement as Sql, visit_relations};
use futures::StreamExt as _;
use millrace_contract::{BatchStream, QueryError};
use serde_json::Value;

use super::failure::{plan_error, run_error};
use super::foreign::Name;
use super::types;

/// Plans `sql` after making sure that it only reads.
pub(crate) async fn select(
    context: &SessionContext,
    sql: &str,
    params: &[Value],
) -> Result<DataFrame, QueryError> {
    let state = context.state();
    let dialect = state.config().options().sql_parser.dialect;
    let statement = state.sql_to_statement(sql, &dialect).map_err(plan_error)?;
    let asked = match &statement {
        Statement::Explain(explained) => explained.statement.as_ref(),
        statement => statement,
    };
    if !matches!(asked, Statement::Statement(inner) if matches!(**inner, Sql::Query(_))) {
        let word = sql.split_whitespace().next().unwrap_or_default().to_lowercase();
        return Err(QueryError::Plan {
            message: format!("`{word}` is not allowed here: write one `select`; it may begin with `with`"),
            position: Some((1, 1)),
        });
    }
    let plan = state.statement_to_plan(statement).await.map_err(plan_error)?;
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(&plan)
        .map_err(plan_error)?;
    let frame = DataFrame::new(state, plan);
    if params.is_empty() {
        return Ok(frame);
    }
    frame.with_param_values(scalars(params)?).map_err(plan_error)
}

/// Whether a query asks how another one is done.
pub(crate) fn is_explain(sql: &str) -> bool {
    let statements = DFParser::parse_sql(sql).unwrap_or_default();
    statements.iter().any(|statement| matches!(statement, Statement::Explain(_)))
}

/// Whether the rows say how a query is done, and are not its own. Nothing may be put around such a plan.
pub(crate) fn explains(frame: &DataFrame) -> bool {
    matches!(frame.logical_plan(), LogicalPlan::Explain(_) | LogicalPlan::Analyze(_))
}

/// The query for somebody who looks at its first rows. A sort of which only those count tells the scan below it what is too late to be among
/// them; the scan then looks at that column of each row first. A query that has a limit itself gains by this. Groups are mostly fewer than the
/// rows that are shown: nothing is ever too late, and TPC-H 1 took a sixth longer.
pub(crate) fn shown(frame: DataFrame) -> datafusion::error::Result<DataFrame> {
    let has = |kind: fn(&LogicalPlan) -> bool| frame.logical_plan().exists(|part| Ok(kind(part)));
    if !has(|part| matches!(part, LogicalPlan::Aggregate(_)))?
        || has(|part| matches!(part, LogicalPlan::Limit(_)))?
    {
        return Ok(frame);
    }
    let (mut state, plan) = frame.into_parts();
    state.config_mut().options_mut().optimizer.enable_topk_dynamic_filter_pushdown = false;
    Ok(DataFrame::new(state, plan))
}

/// Names of the tables that `sql` reads, each once; those of a schema are left out, since no query has one here.
pub(crate) fn table_names(context: &SessionContext, sql: &str) -> Result<Vec<String>, QueryError> {
    let state = context.state();
    let dialect = state.config().options().sql_parser.dialect;
    let statement = state.sql_to_statement(sql, &dialect).map_err(plan_error)?;
    let found = state.resolve_table_references(&statement).map_err(plan_error)?;
    let mut names: Vec<String> = Vec::with_capacity(found.len());
    for table in found {
        if let TableReference::Bare { table } = table
            && !names.iter().any(|name| **name == *table)
        {
            names.push(table.to_string());
        }
    }
    Ok(names)
}

/// Values to be bound.
pub(super) fn scalars(params: &[Value]) -> Result<Vec<ScalarValue>, QueryError> {
    params.iter().enumerate().map(|(at, value)| scalar(at, value)).collect()
}

/// How often the table is named that a query names most often; 1 if it names none or does not parse.
pub(crate) fn most_named(sql: &str) -> usize {
    let Ok(statements) = DFParser::parse_sql(sql) else { return 1 };
    let mut counts: HashMap<String, usize> = HashMap::new();
    for statement in &statements {
        let Statement::Statement(statement) = statement else { continue };
        let _: ControlFlow<()> = visit_relations(statement.as_ref(), |relation| {
            *counts.entry(relation.to_string()).or_default() += 1;
            ControlFlow::Continue(())
        });
    }
    counts.into_values().max().unwrap_or(1)
}

/// The tables that a query names, as it names them, each once.
pub(crate) fn references(sql: &str) -> Result<Vec<TableReference>, QueryError> {
    let statements = DFParser::parse_sql(sql).map_err(plan_error)?;
    let mut found = Vec::new();
    for statement in &statements {
        let (tables, _) = resolve_table_references(statement, true).map_err(plan_error)?;
        found.extend(tables);
    }
    Ok(found)
}

/// The tables of other systems among them, as `connection:table`.
pub(crate) fn foreign_names(sql: &str) -> Result<Vec<String>, QueryError> {
    let names = references(sql)?.into_iter().filter_map(|reference| Name::of(&reference));
    Ok(names.map(|name| format!("{}:{}", name.connection, name.table)).collect())
}

fn scalar(at: usize, value: &Value) -> Result<ScalarValue, QueryError> {
    Ok(match value {
        Value::Null => ScalarValue::Null,
        Value::Bool(value) => ScalarValue::Boolean(Some(*value)),
        Value::String(text) => ScalarValue::Utf8(Some(text.clone())),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => ScalarValue::Int64(Some(integer)),
            (None, real) => ScalarValue::Float64(real),
        },
        Value::Array(_) | Value::Object(_) => {
            return Err(QueryError::Plan {
                message: format!(
                    "the value of `${}` is a list or an object; only null, booleans, numbers and text can be bound",
                    at + 1
                ),
                position: None,
            });
        }
    })
}

/// Runs a plan. Dropping the stream ends the work behind it.
pub(crate) async fn stream(frame: DataFrame) -> Result<BatchStream, QueryError> {
    Ok(begin(frame).await?.1)
}

/// Runs a plan and gives it back beside its rows: when they have been read, it knows what each operator did.
pub(crate) async fn begin(frame: DataFrame) -> Result<(Arc<dyn ExecutionPlan>, BatchStream), QueryError> {
    let context = Arc::new(frame.task_ctx());
    let plan = frame.create_physical_plan().await.map_err(begin_error)?;
    let rows = rows(plan.clone(), context)?;
    Ok((plan, rows))
}

/// The rows of a plan, as it runs, in types that every reader knows.
pub(crate) fn rows(
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
) -> Result<BatchStream, QueryError> {
    let stream = execute_stream(plan, context).map_err(begin_error)?;
    let schema = types::plain_schema(&stream.schema());
    let target = schema.clone();
    let batches = stream.map(move |batch| {
        let batch = batch.map_err(run_error)?;
        types::cast_to(&batch, &target).map_err(|error| QueryError::Run { message: error.to_string() })
    });
    Ok(BatchStream { schema, batches: Box::pin(batches) })
}

pub(crate) fn begin_error(error: DataFusionError) -> QueryError {
    match error.find_root() {
        DataFusionError::Plan(_) | DataFusionError::SchemaError(..) => plan_error(error),
        _ => run_error(error),
    }
}
