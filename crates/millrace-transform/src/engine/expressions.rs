//! Expressions over rows that are no table: parsed as one expression over the columns, they cannot become a query.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::common::{DFSchema, ToDFSchema as _};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::{Expr, lit};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::prelude::SessionContext;
use millrace_contract::{QueryError, RowExpressions};
use serde_json::Value;

use super::failure::{plan_error, run_error};
use super::{query, selection, types};

struct Prepared {
    expressions: Vec<Arc<dyn PhysicalExpr>>,
    kinds: Vec<DataType>,
}

/// Parses and plans them; nothing is read.
pub(super) fn prepare(
    context: &SessionContext,
    schema: &SchemaRef,
    sql: &[String],
    params: &[Value],
) -> Result<Arc<dyn RowExpressions>, QueryError> {
    let mut prepared = Prepared { expressions: Vec::new(), kinds: Vec::new() };
    for text in sql {
        let expression = planned(context, schema, text, params)?;
        let kind = expression.data_type(schema).map_err(plan_error)?;
        prepared.kinds.push(types::plain(&kind));
        prepared.expressions.push(expression);
    }
    Ok(Arc::new(prepared))
}

/// One expression over the columns.
pub(super) fn planned(
    context: &SessionContext,
    schema: &SchemaRef,
    sql: &str,
    params: &[Value],
) -> Result<Arc<dyn PhysicalExpr>, QueryError> {
    let columns: DFSchema = schema.as_ref().clone().to_dfschema().map_err(plan_error)?;
    let expression =
        context.parse_sql_expr(sql, &columns).map_err(|error| selection::told(plan_error(error)))?;
    context.create_physical_expr(bound(expression, params)?, &columns).map_err(plan_error)
}

/// The expression with values in the place of `$1`, `$2`, …
fn bound(expression: Expr, params: &[Value]) -> Result<Expr, QueryError> {
    let values = query::scalars(params)?;
    let put = |part: Expr| {
        let Expr::Placeholder(Placeholder { id, .. }) = &part else { return Ok(Transformed::no(part)) };
        let number = id.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok());
        match number.and_then(|number| values.get(number.checked_sub(1)?)) {
            Some(value) => Ok(Transformed::yes(lit(value.clone()))),
            None => Err(DataFusionError::Plan(format!("there is no value for `{id}`"))),
        }
    };
    Ok(expression.transform(put).map_err(plan_error)?.data)
}

impl RowExpressions for Prepared {
    fn data_types(&self) -> &[DataType] {
        &self.kinds
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>, QueryError> {
        let value = |(expression, kind): (&Arc<dyn PhysicalExpr>, &DataType)| {
            let value = expression.evaluate(batch).and_then(|value| value.into_array(batch.num_rows()));
            let value = value.map_err(run_error)?;
            arrow::compute::cast(&value, kind).map_err(|error| QueryError::Run { message: error.to_string() })
        };
        self.expressions.iter().zip(&self.kinds).map(value).collect()
    }
}
