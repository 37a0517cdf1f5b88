//! Copying only what is new. How far the source has been read is what the sink has: its greatest value of a column that grows. So the one
//! cannot be behind the other, whatever is killed when, and a sink that somebody cuts back is filled again.
//!
//! Rows with the greatest value itself may have come meanwhile, so they are read again; those that the sink has are told by their values.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, BooleanArray, Int64Array, Scalar};
use arrow::compute::kernels::cmp::gt_eq;
use arrow::compute::kernels::numeric::sub;
use arrow::compute::{CastOptions, cast_with_options, filter_record_batch};
use arrow::datatypes::{DataType, SchemaRef, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};
use futures::StreamExt as _;
use millrace_contract::BatchStream;
use serde_json::Value;

use super::Copy;
use super::existing::{Existing, at_least, nothing, text};
use crate::address::Address;
use crate::config::{Condition, CopyConfig, Incremental, Lookback, Write};
use crate::database::{Dialect, Reading};
use crate::error::CopyError;
use crate::origin::Request;
use crate::shape::{AddedColumn, Facts, origin};
use crate::source::Outcome;

/// How far the source has been read.
pub(super) struct Mark {
    existing: Existing,
    /// Of the sink.
    column: String,
    /// Rows with less than this were read: an array of one, of the type that the column has in the sink.
    low: ArrayRef,
}

impl Copy {
    /// What the sink says; `None` if it is not there or has no rows.
    pub(super) async fn mark(
        &self,
        spec: &Incremental,
        to: &Address,
        outcome: &Outcome,
    ) -> Result<Option<Mark>, CopyError> {
        let Some(existing) = self.existing(to, outcome).await? else { return Ok(None) };
        let (schema, label) = (existing.schema().await?, existing.label());
        let column = spec.column.clone().unwrap_or_default();
        let found = schema.fields().iter().find(|field| *field.name() == column);
        let Some(field) = found else {
            let known: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            return Err(CopyError::config(
                format!("{label} has no column `{column}` that tells what is new"),
                format!("its columns are: {}", known.join(", ")),
            ));
        };
        let kind = field.data_type();
        if !(kind.is_numeric() || is_day(kind) || matches!(kind, DataType::Timestamp(..))) {
            return Err(CopyError::config(
                format!(
                    "the column `{column}` of {label} is no number, date or time, so nothing in it is newer"
                ),
                "incremental: {column: updated_at}",
            ));
        }
        let Some(greatest) = existing.greatest(&column).await? else { return Ok(None) };
        let low = match &spec.lookback {
            None => greatest,
            Some(lookback) => before(&greatest, lookback, &column)?,
        };
        Ok(Some(Mark { existing, column, low }))
    }

    /// The step as it reads only what may be new, where its source can be asked for that.
    pub(super) async fn narrowed(
        &self,
        from: &Address,
        config: &Arc<CopyConfig>,
        mark: &Mark,
        facts: &Facts,
        outcome: &Outcome,
    ) -> Result<Arc<CopyConfig>, CopyError> {
        let Address::Database { connection, table } = from else { return Ok(mark.of_files(config)) };
        let server = self.server(connection)?;
        let reading = Reading {
            condition: Some(nothing()),
            partition: None,
            connections: 1,
            ..Reading::of(config, table)
        };
        let schema = server.read(reading, outcome.aside()).await?.schema;
        let Some(name) = origin(&schema, config, facts, &mark.column)? else { return Ok(config.clone()) };
        let kind = schema.field_with_name(&name).map(|field| field.data_type().clone());
        let dialect = server.dialect();
        let Some(low) = kind.ok().and_then(|kind| asked(dialect, &mark.low, &kind)) else {
            return Ok(config.clone());
        };
        let column = dialect.quoted(&name);
        let condition = match (&config.condition, at_least(dialect, &column, &low)?) {
            (None, newer) => newer,
            (Some(Condition::Text(text)), Condition::Bound { text: newer, params }) => {
                Condition::Bound { text: format!("({text}) and {newer}"), params }
            }
            (Some(Condition::Bound { text, params }), Condition::Bound { params: low, .. }) => {
                let text = format!("({text}) and {column} >= ${}", params.len() + 1);
                Condition::Bound { text, params: params.iter().cloned().chain(low).collect() }
            }
            (Some(condition), Condition::Text(_)) => condition.clone(),
        };
        Ok(Arc::new(CopyConfig { condition: Some(condition), ..config.as_ref().clone() }))
    }
}

/// The step with how far its source was read in its request, where that says `$watermark`.
pub(super) fn requested(mark: Option<&Mark>, config: Arc<CopyConfig>) -> Result<Arc<CopyConfig>, CopyError> {
    let Some(request) = config.request.as_ref().filter(|request| request.wants_watermark()) else {
        return Ok(config);
    };
    let watermark = match mark {
        None => Value::Null,
        Some(mark) if matches!(mark.low.data_type(), DataType::Timestamp(..)) => {
            // As RFC 3339 has it; times without a zone count as UTC.
            let text = text(&mark.low, true)?.replacen(' ', "T", 1);
            format!("{}Z", text.trim_end_matches('Z')).into()
        }
        Some(mark) => {
            let text = text(&mark.low, false)?;
            if mark.low.data_type().is_numeric() {
                serde_json::from_str(&text).unwrap_or(Value::String(text))
            } else {
                text.into()
            }
        }
    };
    let request = Some(request.since(&watermark));
    Ok(Arc::new(CopyConfig { request, ..CopyConfig::clone(&config) }))
}

/// Whether the step's way of writing is one that adds.
pub(super) fn check(config: &CopyConfig) -> Result<(), CopyError> {
    if config.incremental.is_none() && config.request.as_ref().is_some_and(Request::wants_watermark) {
        return Err(CopyError::config(
            "`$watermark` is how far an incremental copy has read, and this one is none",
            "incremental: {column: updated_at}",
        ));
    }
    let Some(incremental) = &config.incremental else { return Ok(()) };
    if incremental.changes {
        return super::changes::check(config, incremental);
    }
    if incremental.column.is_none() {
        return Err(CopyError::config(
            "`incremental` says neither which `column` grows nor that the source's `changes` are taken",
            "incremental: {column: updated_at}",
        ));
    }
    if incremental.slot.is_some() || incremental.publication.is_some() {
        return Err(CopyError::config(
            "`incremental` has a `slot` or a `publication`, which are for `changes`",
            "incremental: {changes: true, slot: orders_copy}",
        ));
    }
    if !config.write.adds() {
        return Err(CopyError::config(
            "`incremental` brings only new rows, and this way of writing takes the others away",
            "`write: append`, or `write: {upsert: [id]}` if rows change",
        ));
    }
    Ok(())
}

/// A file does not stay.
pub(super) fn no_table() -> CopyError {
    CopyError::config(
        "`incremental` asks the sink what it has; a file is written anew each time",
        "copy to `data:name` or `connection:table`, or leave `incremental` out",
    )
}

/// The value in the type of a database's column, if the database compares such values as we do.
fn asked(dialect: Dialect, low: &ArrayRef, kind: &DataType) -> Option<ArrayRef> {
    let alike = match (low.data_type(), kind) {
        (from, to) if from.is_numeric() && to.is_numeric() => true,
        // SQLite has no times; what stands in their place is text in any form.
        (DataType::Timestamp(..), DataType::Timestamp(..)) => dialect != Dialect::Sqlite,
        (from, to) => is_day(from) && is_day(to) && dialect != Dialect::Sqlite,
    };
    let options = CastOptions { safe: true, ..CastOptions::default() };
    let cast = alike.then(|| cast_with_options(low, kind, &options).ok()).flatten()?;
    cast.is_valid(0).then_some(cast)
}

fn is_day(kind: &DataType) -> bool {
    matches!(kind, DataType::Date32 | DataType::Date64)
}

/// The value less the time, or the number, that is read again.
fn before(value: &ArrayRef, lookback: &Lookback, column: &str) -> Result<ArrayRef, CopyError> {
    let failed = |error: ArrowError| CopyError::read(format!("`lookback` of `{column}`"), &error);
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let cast = |array: &ArrayRef, kind: &DataType| cast_with_options(array, kind, &strict).map_err(failed);
    let kind = value.data_type();
    match (lookback, kind) {
        (Lookback::Number(number), kind) if kind.is_numeric() => {
            let number: ArrayRef = Arc::new(Int64Array::from(vec![*number]));
            cast(&sub(value, &cast(&number, kind)?).map_err(failed)?, kind)
        }
        (Lookback::Duration(elapsed), DataType::Timestamp(_, zone)) => {
            let micros = cast(value, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
            let earlier = micros
                .as_primitive::<TimestampMicrosecondType>()
                .unary::<_, TimestampMicrosecondType>(|at| at.saturating_sub(elapsed.micros()))
                .with_timezone_opt(zone.clone());
            cast(&(Arc::new(earlier) as ArrayRef), kind)
        }
        (Lookback::Duration(elapsed), kind) if is_day(kind) => {
            let days = i64::try_from(elapsed.ms.div_ceil(86_400_000)).unwrap_or(i64::MAX);
            let day = cast(&cast(value, &DataType::Date32)?, &DataType::Int32)?;
            let day = cast(&day, &DataType::Int64)?;
            let earlier = sub(&day, &Scalar::new(Int64Array::from(vec![days]))).map_err(failed)?;
            cast(&cast(&cast(&earlier, &DataType::Int32)?, &DataType::Date32)?, kind)
        }
        (Lookback::Number(_), _) => Err(CopyError::config(
            format!("`{column}` has times, so `lookback` is a duration"),
            "lookback: 2h",
        )),
        (Lookback::Duration(_), _) => Err(CopyError::config(
            format!("`{column}` has numbers, so `lookback` is a number"),
            "lookback: 1000",
        )),
    }
}

impl Mark {
    /// The step as it reads only files that changed since, if that is what the column tells.
    fn of_files(&self, config: &Arc<CopyConfig>) -> Arc<CopyConfig> {
        let is_time = config.add.get(&self.column) == Some(&AddedColumn::Value(Value::from("$modified")));
        let options = CastOptions { safe: true, ..CastOptions::default() };
        let micros =
            cast_with_options(&self.low, &DataType::Timestamp(TimeUnit::Microsecond, None), &options);
        let low = micros.ok().filter(|low| is_time && low.is_valid(0));
        let low = low.map(|low| low.as_primitive::<TimestampMicrosecondType>().value(0));
        match low {
            Some(low) => Arc::new(CopyConfig { newer_than: Some(low), ..config.as_ref().clone() }),
            None => config.clone(),
        }
    }

    /// Only the rows that the sink does not have.
    pub(super) async fn new_rows(
        self,
        rows: BatchStream,
        config: &CopyConfig,
        outcome: &Outcome,
    ) -> Result<BatchStream, CopyError> {
        let (schema, column) = (rows.schema.clone(), self.column.clone());
        if schema.field_with_name(&column).is_err() {
            let known: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            return Err(CopyError::config(
                format!("the rows have no column `{column}` that tells what is new"),
                format!("their columns are: {}", known.join(", ")),
            ));
        }
        // Other ways of writing replace what they meet again.
        let mut seen = match config.write {
            Write::Append => Some(Seen::read(&self, &schema, config).await?),
            _ => None,
        };
        let (low, outcome) = (Scalar::new(self.low), outcome.clone());
        let batches = rows.batches.map(move |batch| {
            let batch = batch?;
            let newer = newer(&batch, &column, &low);
            let kept = newer.and_then(|newer| match &mut seen {
                Some(seen) => seen.without(&filter_record_batch(&batch, &newer)?),
                None => filter_record_batch(&batch, &newer),
            });
            kept.map_err(|error| outcome.fail(CopyError::read(format!("the column `{column}`"), &error)))
        });
        Ok(BatchStream { schema, batches: Box::pin(batches) })
    }
}

fn newer(batch: &RecordBatch, column: &str, low: &Scalar<ArrayRef>) -> Result<BooleanArray, ArrowError> {
    use arrow::array::Datum as _;
    let values =
        batch.column_by_name(column).ok_or_else(|| ArrowError::SchemaError("it is gone".to_owned()))?;
    let kind = low.get().0.data_type().clone();
    let options = CastOptions { safe: true, ..CastOptions::default() };
    gt_eq(&cast_with_options(values, &kind, &options)?, low)
}

/// Rows of the sink that may be read again, and how many there are of each.
struct Seen {
    /// Of the rows, by their place.
    columns: Vec<usize>,
    types: Vec<DataType>,
    converter: RowConverter,
    counts: HashMap<[u8; 16], u64>,
}

impl Seen {
    async fn read(mark: &Mark, rows: &SchemaRef, config: &CopyConfig) -> Result<Self, CopyError> {
        let failed = |error: &dyn std::fmt::Display| CopyError::read("the sink", error);
        let kept = mark.existing.schema().await?;
        // What a copy adds differs from one to the next.
        let mut columns = Vec::new();
        let mut names = Vec::new();
        for (index, field) in rows.fields().iter().enumerate() {
            if kept.field_with_name(field.name()).is_ok() && !config.add.contains_key(field.name()) {
                columns.push(index);
                names.push(field.name().clone());
            }
        }
        let mut there = mark.existing.since(&names, &mark.column, &mark.low).await?;
        let types: Vec<DataType> =
            there.schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let fields = types.iter().cloned().map(SortField::new).collect();
        let converter = RowConverter::new(fields).map_err(|error| failed(&error))?;
        let mut seen = Self { columns, types, converter, counts: HashMap::new() };
        while let Some(batch) = there.batches.next().await {
            let batch = batch.map_err(|error| failed(&error))?;
            for hash in seen.hashes(batch.columns()).map_err(|error| failed(&error))? {
                *seen.counts.entry(hash).or_default() += 1;
            }
        }
        Ok(seen)
    }

    fn hashes(&self, columns: &[ArrayRef]) -> Result<Vec<[u8; 16]>, ArrowError> {
        let rows = self.converter.convert_columns(columns)?;
        let hash = |row: arrow::row::Row<'_>| {
            let whole = blake3::hash(row.as_ref());
            let mut short = [0; 16];
            short.iter_mut().zip(whole.as_bytes()).for_each(|(to, from)| *to = *from);
            short
        };
        Ok(rows.iter().map(hash).collect())
    }

    /// The rows that are not among these; each of these is one row less.
    fn without(&mut self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        if self.counts.is_empty() || batch.num_rows() == 0 {
            return Ok(batch.clone());
        }
        let options = CastOptions { safe: true, ..CastOptions::default() };
        let columns = self.columns.iter().zip(&self.types);
        let columns = columns.map(|(index, kind)| cast_with_options(batch.column(*index), kind, &options));
        let hashes = self.hashes(&columns.collect::<Result<Vec<_>, _>>()?)?;
        let is_new = hashes.iter().map(|hash| match self.counts.get_mut(hash) {
            Some(left) if *left > 0 => {
                *left -= 1;
                Some(false)
            }
            _ => Some(true),
        });
        let is_new: BooleanArray = is_new.collect();
        filter_record_batch(batch, &is_new)
    }
}
