//! Expressions over rows that are no table: parsed as one expression over the columns, they cannot become a query.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::{DFSchema, ToDFSchema as _};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::prelude::SessionContext;
use millrace_contract::{QueryError, RowExpressions};

use super::failure::{plan_error, run_error};
use super::{selection, types};

struct Prepared {
    expressions: Vec<Arc<dyn PhysicalExpr>>,
    kinds: Vec<DataType>,
}

/// Parses and plans them; nothing is read.
pub(super) fn prepare(
    context: &SessionContext,
    schema: &SchemaRef,
    sql: &[String],
) -> Result<Arc<dyn RowExpressions>, QueryError> {
    let columns: DFSchema = schema.as_ref().clone().to_dfschema().map_err(plan_error)?;
    let mut prepared = Prepared { expressions: Vec::new(), kinds: Vec::new() };
    for text in sql {
        let expression =
            context.parse_sql_expr(text, &columns).map_err(|error| selection::told(plan_error(error)))?;
        let expression = context.create_physical_expr(expression, &columns).map_err(plan_error)?;
        let kind = expression.data_type(schema).map_err(plan_error)?;
        prepared.kinds.push(types::plain(&kind));
        prepared.expressions.push(expression);
    }
    Ok(Arc::new(prepared))
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
