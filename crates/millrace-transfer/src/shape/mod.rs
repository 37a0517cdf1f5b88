//! What happens to rows between source and sink: which columns there are, how values are converted, and what is added.

mod added;
mod config;
mod contract;
mod convert;
mod filtered;
mod names;
mod unnest;
mod watched;

use std::sync::Arc;

use arrow::array::{ArrayRef, StructArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use futures::StreamExt as _;
use indexmap::IndexMap;
use jiff::Timestamp;
use millrace_contract::{BatchStream, QueryEngine, RowExpressions};

pub use config::{AddedColumn, LongMappedColumn, MappedColumn, SourceColumn, SqlColumn};
pub use contract::{Contract, Rule, Rules};
pub(crate) use contract::{Difference, Held, Sink, held};
pub(crate) use filtered::filtered;
pub(crate) use watched::{Watch, watched};

use crate::config::CopyConfig;
use crate::error::CopyError;
use crate::source::{Modified, Outcome};
use crate::types::ColumnSpec;
use added::Added;
use convert::Conversion;

/// Name that the column with the file's path has on its way; no file has such a column.
pub(crate) const FILE_COLUMN: &str = "\u{0}file";

/// What is the same for all rows of a copy.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// What the source is called in rejects of rows that come from no file.
    pub(crate) label: String,
    pub(crate) run_id: String,
    /// When the copy began.
    pub(crate) began: Timestamp,
    /// When the files changed.
    pub(crate) modified: Modified,
}

/// Rows as the sink gets them. Rows whose values cannot be converted are rejected.
pub(crate) async fn shaped(
    rows: BatchStream,
    config: &CopyConfig,
    facts: Facts,
    engine: &dyn QueryEngine,
    outcome: &Outcome,
) -> Result<BatchStream, CopyError> {
    let mut plan = Plan::new(&rows.schema, config, &facts)?;
    plan.compute(config, engine).await?;
    let schema = plan.schema.clone();
    let outcome = outcome.clone();
    let mut state = State { plan, label: facts.label, row: 0 };
    let batches = rows.batches.map(move |batch| {
        let batch = batch?;
        state.apply(&batch, &outcome).map_err(|error| outcome.fail(error))
    });
    Ok(BatchStream { schema, batches: Box::pin(batches) })
}

/// The column of the source whose values, as they are or converted, are a column of the sink; `None` if they are not one's.
pub(crate) fn origin(
    source: &SchemaRef,
    config: &CopyConfig,
    facts: &Facts,
    column: &str,
) -> Result<Option<String>, CopyError> {
    let plan = Plan::new(source, config, facts)?;
    let output = plan.outputs.iter().find(|output| output.name == column);
    Ok(output.and_then(|output| match &output.take {
        Take::Column { index, path } if path.is_empty() && !plan.unnest.contains(index) => {
            Some(source.field(*index).name().clone())
        }
        _ => None,
    }))
}

/// Where the values of a column of the sink come from.
#[derive(Debug)]
enum Take {
    /// A column of the source, and the fields below it.
    Column {
        index: usize,
        path: Vec<usize>,
    },
    Added(Added),
}

#[derive(Debug)]
struct Output {
    name: String,
    take: Take,
    convert: Option<Conversion>,
}

/// What is to be done, worked out once.
struct Plan {
    unnest: Vec<usize>,
    outputs: Vec<Output>,
    /// Columns that are computed from the outputs, after them.
    computed: Option<Arc<dyn RowExpressions>>,
    schema: SchemaRef,
}

impl Plan {
    fn new(source: &SchemaRef, config: &CopyConfig, facts: &Facts) -> Result<Self, CopyError> {
        let shape = config;
        let (unnest, source) = unnest::plan(source, &shape.unnest)?;
        let visible: Vec<usize> =
            (0..source.fields().len()).filter(|index| source.field(*index).name() != FILE_COLUMN).collect();
        if let Some(unknown) = shape.columns.keys().find(|name| source.column_with_name(name).is_none()) {
            return Err(names::unknown(&source, &visible, unknown, "whose type `columns` tells"));
        }
        let mut outputs = if shape.mapping.is_empty() {
            names::chosen(&source, &visible, shape)?
                .into_iter()
                .map(|(index, name)| {
                    let spec = config.columns.get(source.field(index).name());
                    output(&source, name, index, Vec::new(), spec)
                })
                .collect::<Result<Vec<_>, _>>()?
        } else {
            mapped(&source, &visible, shape)?
        };
        for (name, added) in &shape.add {
            let AddedColumn::Value(added) = added else { continue };
            if outputs.iter().any(|output| output.name == *name) {
                return Err(there_already(name));
            }
            let take = Take::Added(Added::new(name, added, &source, facts)?);
            outputs.push(Output { name: name.clone(), take, convert: None });
        }
        if outputs.is_empty() && shape.add.is_empty() {
            return Err(CopyError::config("no column is left", "select: [\"*\"]"));
        }
        let fields: Vec<FieldRef> = outputs.iter().map(|output| Arc::new(output.field(&source))).collect();
        Ok(Self { unnest, outputs, computed: None, schema: Arc::new(Schema::new(fields)) })
    }

    /// Adds the columns that are computed from the others.
    async fn compute(&mut self, config: &CopyConfig, engine: &dyn QueryEngine) -> Result<(), CopyError> {
        let mut names = Vec::new();
        let mut expressions = Vec::new();
        for (name, added) in &config.add {
            let AddedColumn::Sql(column) = added else { continue };
            if self.schema.column_with_name(name).is_some() {
                return Err(there_already(name));
            }
            names.push(name);
            expressions.push(column.sql.clone());
        }
        if names.is_empty() {
            return Ok(());
        }
        let computed = engine.expressions(self.schema.clone(), &expressions, &[]).await.map_err(|error| {
            let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
            let message = format!("`add` cannot compute {}: {error}", names.join(", "));
            CopyError::config(message, "add: {total: {sql: price * amount}}")
        })?;
        let mut fields: Vec<FieldRef> = self.schema.fields().iter().cloned().collect();
        let added = names.into_iter().zip(computed.data_types());
        fields.extend(added.map(|(name, kind)| Arc::new(Field::new(name, kind.clone(), true))));
        self.schema = Arc::new(Schema::new(fields));
        self.computed = Some(computed);
        Ok(())
    }
}

fn there_already(name: &str) -> CopyError {
    CopyError::config(
        format!("`add` names the column `{name}`, which is there already"),
        "give it another name",
    )
}

fn mapped(source: &SchemaRef, visible: &[usize], shape: &CopyConfig) -> Result<Vec<Output>, CopyError> {
    let only = [
        ("select", shape.select.is_empty()),
        ("drop", shape.drop.is_empty()),
        ("rename", shape.rename.is_empty()),
    ];
    if let Some((word, _)) = only.iter().find(|(_, empty)| !empty) {
        return Err(CopyError::config(
            format!("`mapping` names every column of the sink, so `{word}` has nothing to say"),
            format!("leave `{word}` out"),
        ));
    }
    let mut outputs = Vec::with_capacity(shape.mapping.len());
    for (name, mapped) in &shape.mapping {
        let (index, path) = names::find(source, visible, mapped.from())?;
        let spec = mapped.spec();
        let mut output = output(source, name.clone(), index, path, spec.as_ref())?;
        if let Some(default) = mapped.default() {
            let kind = output.field(source).data_type().clone();
            let conversion = output.convert.take().unwrap_or_else(|| Conversion::none(kind));
            output.convert = Some(conversion.with_default(name, default)?);
        }
        outputs.push(output);
    }
    Ok(outputs)
}

fn output(
    source: &SchemaRef,
    name: String,
    index: usize,
    path: Vec<usize>,
    spec: Option<&ColumnSpec>,
) -> Result<Output, CopyError> {
    let take = Take::Column { index, path };
    let mut output = Output { name, take, convert: None };
    if let Some(spec) = spec {
        let from = output.field(source).data_type().clone();
        output.convert = Conversion::new(&output.name, &from, spec)?;
    }
    Ok(output)
}

impl Output {
    /// The column of the sink.
    fn field(&self, source: &SchemaRef) -> Field {
        let kind = match (&self.convert, &self.take) {
            (Some(convert), _) => convert.data_type().clone(),
            (None, Take::Added(added)) => added.data_type(),
            (None, Take::Column { index, path }) => {
                let mut kind = source.field(*index).data_type();
                for step in path {
                    if let DataType::Struct(fields) = kind
                        && let Some(field) = fields.get(*step)
                    {
                        kind = field.data_type();
                    }
                }
                kind.clone()
            }
        };
        Field::new(&self.name, kind, true)
    }
}

struct State {
    plan: Plan,
    label: String,
    /// Rows before this batch.
    row: u64,
}

impl State {
    fn apply(&mut self, batch: &RecordBatch, outcome: &Outcome) -> Result<RecordBatch, CopyError> {
        let failed = |error: arrow::error::ArrowError| CopyError::read(self.label.as_str(), &error);
        let batch = unnest::apply(batch, &self.plan.unnest).map_err(failed)?;
        let rows = batch.num_rows();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.plan.outputs.len());
        let mut bad: IndexMap<usize, convert::Bad> = IndexMap::new();
        for output in &self.plan.outputs {
            let taken = match &output.take {
                Take::Added(added) => added.array(&batch, self.row).map_err(failed)?,
                Take::Column { index, path } => column(&batch, *index, path).map_err(failed)?,
            };
            columns.push(match &output.convert {
                None => taken,
                Some(convert) => convert.apply(&output.name, &taken, &mut bad).map_err(failed)?,
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        if let Some(computed) = &self.plan.computed {
            let fields: Vec<FieldRef> =
                self.plan.schema.fields().iter().take(columns.len()).cloned().collect();
            let before =
                RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns.clone(), &options);
            let values = computed.evaluate(&before.map_err(failed)?);
            columns.extend(values.map_err(|error| CopyError::read(self.label.as_str(), &error))?);
        }
        let mut shaped =
            RecordBatch::try_new_with_options(self.plan.schema.clone(), columns, &options).map_err(failed)?;
        if !bad.is_empty() {
            bad.sort_unstable_keys();
            let rejects = convert::rejects(&batch, &bad, &self.label, self.row).map_err(failed)?;
            outcome.reject(&rejects)?;
            let keep = (0..rows).map(|row| Some(!bad.contains_key(&row))).collect();
            shaped = filter_record_batch(&shaped, &keep).map_err(failed)?;
        }
        self.row += rows as u64;
        Ok(shaped)
    }
}

/// A column, or a field within it; null where what holds it is.
fn column(batch: &RecordBatch, index: usize, path: &[usize]) -> Result<ArrayRef, arrow::error::ArrowError> {
    let mut array = batch.column(index).clone();
    for step in path {
        let outer = array.as_any().downcast_ref::<StructArray>().ok_or_else(|| {
            arrow::error::ArrowError::SchemaError("a path leads into a plain column".to_owned())
        })?;
        let inner = outer.column(*step).clone();
        array = match arrow::array::Array::nulls(outer) {
            None => inner,
            Some(nulls) => {
                let hidden = arrow::array::BooleanArray::new(!nulls.inner(), None);
                arrow::compute::nullif(&inner, &hidden)?
            }
        };
    }
    Ok(array)
}
