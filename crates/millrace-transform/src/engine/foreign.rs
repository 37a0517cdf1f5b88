//! Tables of other systems in a query: each is asked for the columns that the query wants and, as far as conditions can be told to it, for the
//! rows. What it sends is checked again, so a system that compares texts in its own way changes no result.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use datafusion::catalog::{
    CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider, Session, TableProvider,
};
use datafusion::common::{ScalarValue, TableReference};
use datafusion::error::{DataFusionError, Result as DfResult};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};
use datafusion::prelude::SessionContext;
use futures::{StreamExt as _, TryStreamExt as _};
use indexmap::IndexSet;
use millrace_contract::{ForeignCondition, ForeignReading, ForeignTables, ForeignTest, QueryError};
use serde_json::Value;

use super::failure::run_error;

/// Values of an `in` that are sent; a longer list is checked here.
const LONGEST_LIST: usize = 1_000;

/// A table as queries name it: the connection, and the name that its system knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Name {
    pub(crate) connection: String,
    pub(crate) table: String,
}

impl Name {
    /// `None` if the reference has no connection.
    pub(crate) fn of(reference: &TableReference) -> Option<Self> {
        match reference {
            TableReference::Bare { .. } => None,
            TableReference::Partial { schema, table } => {
                Some(Self { connection: schema.to_string(), table: table.to_string() })
            }
            TableReference::Full { catalog, schema, table } => {
                Some(Self { connection: catalog.to_string(), table: format!("{schema}.{table}") })
            }
        }
    }
}

/// Makes the tables known to the session under the names that the query has for them.
pub(super) async fn register(
    context: &SessionContext,
    references: &[TableReference],
    foreign: Option<&Arc<dyn ForeignTables>>,
) -> Result<(), QueryError> {
    let mut seen = IndexSet::new();
    for reference in references {
        let Some(name) = Name::of(reference) else { continue };
        if !seen.insert(reference.clone()) {
            continue;
        }
        let Some(foreign) = foreign.filter(|foreign| foreign.has(&name.connection)) else {
            return Err(QueryError::Plan {
                message: format!("`{reference}`: there is no connection `{}`", name.connection),
                position: None,
            });
        };
        let schema = foreign.schema(&name.connection, &name.table).await?;
        let table = Arc::new(ForeignTable {
            name,
            schema: super::types::plain_schema(&schema),
            foreign: foreign.clone(),
        });
        let found = schema_of(context, reference)?;
        found.register_table(reference.table().to_owned(), table).map_err(run_error)?;
    }
    Ok(())
}

/// The schema of the session in which a query looks for the table; it is made if it is not there.
fn schema_of(
    context: &SessionContext,
    reference: &TableReference,
) -> Result<Arc<dyn SchemaProvider>, QueryError> {
    let options = context.copied_config();
    let defaults = &options.options().catalog;
    let (catalog, schema) = (
        reference.catalog().unwrap_or(&defaults.default_catalog).to_owned(),
        reference.schema().unwrap_or(&defaults.default_schema).to_owned(),
    );
    let catalog = match context.catalog(&catalog) {
        Some(found) => found,
        None => {
            let made: Arc<dyn CatalogProvider> = Arc::new(MemoryCatalogProvider::new());
            context.register_catalog(catalog, made.clone());
            made
        }
    };
    if let Some(found) = catalog.schema(&schema) {
        return Ok(found);
    }
    let made: Arc<dyn SchemaProvider> = Arc::new(MemorySchemaProvider::new());
    catalog.register_schema(&schema, made.clone()).map_err(run_error)?;
    Ok(made)
}

/// A table that is read when a query wants it.
struct ForeignTable {
    name: Name,
    schema: SchemaRef,
    foreign: Arc<dyn ForeignTables>,
}

impl std::fmt::Debug for ForeignTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ForeignTable").field("name", &self.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for ForeignTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let schema = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => self.schema.clone(),
        };
        let mut columns: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        if columns.is_empty() {
            // Rows that are only counted.
            columns.extend(self.schema.fields().first().map(|field| field.name().clone()));
        }
        let conditions: Vec<ForeignCondition> =
            filters.iter().filter_map(|filter| condition(filter, &self.schema)).collect();
        let limit = limit.filter(|_| filters.is_empty());
        let reading = ForeignReading { table: self.name.table.clone(), columns, conditions, limit };
        let stream = Rows {
            connection: self.name.connection.clone(),
            reading,
            schema: schema.clone(),
            foreign: self.foreign.clone(),
        };
        let none: Vec<datafusion::physical_expr::LexOrdering> = Vec::new();
        let plan = StreamingTableExec::try_new(schema, vec![Arc::new(stream)], None, none, false, limit)?;
        Ok(Arc::new(plan))
    }

    /// Whatever is sent, what comes is checked again.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DfResult<Vec<TableProviderFilterPushDown>> {
        let told = |filter: &&Expr| match condition(filter, &self.schema) {
            Some(_) => TableProviderFilterPushDown::Inexact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(told).collect())
    }
}

/// One reading of a table.
struct Rows {
    connection: String,
    reading: ForeignReading,
    schema: SchemaRef,
    foreign: Arc<dyn ForeignTables>,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").field("reading", &self.reading).finish_non_exhaustive()
    }
}

impl PartitionStream for Rows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (foreign, connection, reading) =
            (self.foreign.clone(), self.connection.clone(), self.reading.clone());
        let schema = self.schema.clone();
        let rows = futures::stream::once(async move {
            let rows = foreign.read(&connection, reading).await.map_err(told)?;
            Ok::<_, DataFusionError>(rows.batches.map(move |batch| shaped(&batch.map_err(told)?, &schema)))
        });
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), rows.try_flatten()))
    }
}

/// The rows in the plan's types; without columns if there are none.
fn shaped(batch: &RecordBatch, schema: &SchemaRef) -> DfResult<RecordBatch> {
    if schema.fields().is_empty() {
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let empty = Arc::new(Schema::empty());
        return Ok(RecordBatch::try_new_with_options(empty, Vec::new(), &options)?);
    }
    Ok(super::types::cast_to(batch, schema)?)
}

fn told(error: QueryError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// A condition as it can be told to any system; `None` if it cannot.
fn condition(filter: &Expr, schema: &Schema) -> Option<ForeignCondition> {
    let of = |column: &Expr, test: ForeignTest| {
        let Expr::Column(column) = column else { return None };
        Some(ForeignCondition { column: column.name.clone(), test })
    };
    match filter {
        Expr::IsNull(column) => of(column, ForeignTest::Null(true)),
        Expr::IsNotNull(column) => of(column, ForeignTest::Null(false)),
        Expr::InList(list) if !list.negated && list.list.len() <= LONGEST_LIST => {
            let values = list.list.iter().map(|value| literal(value, kind(&list.expr, schema)?));
            of(&list.expr, ForeignTest::In(values.collect::<Option<Vec<_>>>()?))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (column, op, value) = match (left.as_ref(), right.as_ref()) {
                (Expr::Column(_), value) => (left, *op, value),
                (value, Expr::Column(_)) => (right, op.swap()?, value),
                _ => return None,
            };
            let kind = kind(column, schema)?;
            let value = literal(value, kind)?;
            // Which of two texts is the lesser one is another system's own affair.
            let ordered = || !matches!(kind, DataType::Utf8 | DataType::Boolean);
            let test = match op {
                Operator::Eq => ForeignTest::In(vec![value]),
                Operator::Lt if ordered() => ForeignTest::Less { than: value, equal: false },
                Operator::LtEq if ordered() => ForeignTest::Less { than: value, equal: true },
                Operator::Gt if ordered() => ForeignTest::Greater { than: value, equal: false },
                Operator::GtEq if ordered() => ForeignTest::Greater { than: value, equal: true },
                _ => return None,
            };
            of(column, test)
        }
        _ => None,
    }
}

fn kind<'s>(column: &Expr, schema: &'s Schema) -> Option<&'s DataType> {
    let Expr::Column(column) = column else { return None };
    Some(schema.field_with_name(&column.name).ok()?.data_type())
}

/// A value that is no null, of the column's own type.
fn literal(value: &Expr, kind: &DataType) -> Option<Value> {
    let Expr::Literal(value, _) = value else { return None };
    if value.is_null() || value.data_type() != *kind {
        return None;
    }
    Some(match value {
        ScalarValue::Boolean(Some(value)) => Value::from(*value),
        ScalarValue::Int8(Some(value)) => Value::from(*value),
        ScalarValue::Int16(Some(value)) => Value::from(*value),
        ScalarValue::Int32(Some(value)) => Value::from(*value),
        ScalarValue::Int64(Some(value)) => Value::from(*value),
        ScalarValue::UInt8(Some(value)) => Value::from(*value),
        ScalarValue::UInt16(Some(value)) => Value::from(*value),
        ScalarValue::UInt32(Some(value)) => Value::from(*value),
        ScalarValue::Float64(Some(value)) if value.is_finite() => Value::from(*value),
        ScalarValue::Utf8(Some(text)) => Value::from(text.as_str()),
        ScalarValue::Decimal128(..) | ScalarValue::Date32(_) | ScalarValue::TimestampMicrosecond(_, None) => {
            Value::from(text(value)?)
        }
        ScalarValue::TimestampMicrosecond(_, Some(zone)) if &**zone == "UTC" => {
            Value::from(format!("{}Z", text(value)?))
        }
        _ => return None,
    })
}

fn text(value: &ScalarValue) -> Option<String> {
    const INSTANT: Option<&str> = Some("%Y-%m-%d %H:%M:%S%.6f");
    let options = FormatOptions::default().with_timestamp_format(INSTANT).with_timestamp_tz_format(INSTANT);
    let array = value.to_array().ok()?;
    ArrayFormatter::try_new(array.as_ref(), &options).ok()?.value(0).try_to_string().ok()
}
