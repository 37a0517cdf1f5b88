//! What a table's columns look like. Two passes: one for counts, limits, moments and quantiles, one for histograms, whose bins need the
//! limits, and common values.

use std::collections::HashMap;
use std::fmt::Write as _;

use arrow::array::{Array, AsArray as _, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, Schema};
use futures::StreamExt as _;
use indexmap::IndexMap;
use millrace_contract::{
    ColumnProfile, HistogramBin, QueryEngine as _, QueryError, QueryRequest, TableProfile, TableRef, TopValue,
};

use super::DataFusionEngine;
use crate::rows;

const BINS: usize = 20;
const TOP: usize = 20;
/// Distinct texts counted exactly; beyond it those seen once are forgotten, so that a column of keys cannot fill the memory.
const COUNTED: usize = 50_000;
const QUANTILES: [&str; 5] = ["0.05", "0.25", "0.5", "0.75", "0.95"];

/// What can be said about a type.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Number,
    Time,
    Words,
    Other,
}

fn shape(data_type: &DataType) -> Shape {
    match data_type {
        t if t.is_numeric() => Shape::Number,
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => Shape::Time,
        DataType::Utf8 | DataType::Boolean => Shape::Words,
        _ => Shape::Other,
    }
}

pub(super) async fn profile(engine: &DataFusionEngine, table: &TableRef) -> Result<TableProfile, QueryError> {
    let tables = IndexMap::from([("t".to_owned(), table.clone())]);
    let everything =
        QueryRequest { sql: "select * from t".to_owned(), tables: tables.clone(), ..QueryRequest::default() };
    let schema = engine.plan_schema(everything).await?;
    let request = QueryRequest { sql: summary_sql(&schema), tables, ..QueryRequest::default() };
    let summary = engine.query(request).await?.collect().await?;
    let mut summary = Summary::new(&summary);
    let rows = summary.count();
    let mut columns: Vec<ColumnProfile> =
        schema.fields().iter().map(|f| column(f.name(), f.data_type(), rows, &mut summary)).collect();
    let mut tallies: Vec<Tally> =
        schema.fields().iter().enumerate().map(|(at, f)| summary.tally(at, shape(f.data_type()))).collect();
    let mut stream = engine.scan(table, None, None).await?;
    while let Some(batch) = stream.batches.next().await {
        let batch = batch?;
        for (tally, values) in tallies.iter_mut().zip(batch.columns()) {
            tally.add(values.as_ref());
        }
    }
    for (column, tally) in columns.iter_mut().zip(tallies) {
        (column.top, column.histogram) = tally.finish();
    }
    Ok(TableProfile { rows, columns })
}

fn summary_sql(schema: &Schema) -> String {
    // The values get names of their own first: the engine names an aggregate by its column and does not see the cast in between.
    let mut values = Vec::new();
    let mut sql = String::from("select count(*) as n");
    for (at, field) in schema.fields().iter().enumerate() {
        let name = crate::flow::quote(field.name());
        let shape = shape(field.data_type());
        values.push(format!("{name} as v{at}"));
        let _ = write!(sql, ", count(v{at}) as c{at}");
        if shape == Shape::Other {
            continue;
        }
        values.push(format!("cast({name} as varchar) as w{at}"));
        let _ = write!(sql, ", min(v{at}) as lo{at}, max(v{at}) as hi{at}, approx_distinct(w{at}) as d{at}");
        if matches!(shape, Shape::Number | Shape::Time) {
            values.push(format!("{} as x{at}", as_number(&name, field.data_type())));
            let _ = write!(sql, ", min(x{at}) as l{at}, max(x{at}) as h{at}");
        }
        if shape == Shape::Number {
            let _ = write!(sql, ", avg(x{at}) as m{at}, stddev(x{at}) as s{at}");
            for (which, share) in QUANTILES.iter().enumerate() {
                let _ = write!(sql, ", approx_percentile_cont(x{at}, {share}) as q{at}_{which}");
            }
        }
    }
    let _ = write!(sql, " from (select {} from t) as u", values.join(", "));
    sql
}

/// Numbers as doubles; times as seconds since 1970.
fn as_number(name: &str, data_type: &DataType) -> String {
    match data_type {
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => {
            format!("cast(extract(epoch from {name}) as double)")
        }
        _ => format!("cast({name} as double)"),
    }
}

/// The one row of the first pass.
struct Summary<'a> {
    batch: Option<&'a RecordBatch>,
    at: usize,
}

impl<'a> Summary<'a> {
    fn new(batches: &'a [RecordBatch]) -> Self {
        Self { batch: batches.iter().find(|b| b.num_rows() > 0), at: 0 }
    }

    fn column(&self, name: &str) -> Option<&dyn Array> {
        self.batch.and_then(|b| b.column_by_name(name)).map(AsRef::as_ref)
    }

    fn json(&self, name: &str) -> serde_json::Value {
        self.column(name).map_or(serde_json::Value::Null, |c| rows::value(c, 0))
    }

    fn integer(&self, name: &str) -> u64 {
        let value = self.column(name).and_then(|c| cast(c, &DataType::Int64).ok());
        let value =
            value.filter(|c| !c.is_empty() && c.is_valid(0)).map(|c| c.as_primitive::<Int64Type>().value(0));
        value.and_then(|v| u64::try_from(v).ok()).unwrap_or(0)
    }

    fn number(&self, name: &str) -> Option<f64> {
        let value = self.column(name).and_then(|c| cast(c, &DataType::Float64).ok())?;
        (!value.is_empty() && value.is_valid(0))
            .then(|| value.as_primitive::<Float64Type>().value(0))
            .filter(|v| v.is_finite())
    }

    fn count(&self) -> u64 {
        self.integer("n")
    }

    fn tally(&self, at: usize, shape: Shape) -> Tally {
        match shape {
            Shape::Words => Tally::Words(HashMap::new()),
            Shape::Number | Shape::Time => {
                match (self.number(&format!("l{at}")), self.number(&format!("h{at}"))) {
                    (Some(low), Some(high)) => Tally::Bins { low, high, counts: vec![0; bins(low, high)] },
                    _ => Tally::Nothing,
                }
            }
            Shape::Other => Tally::Nothing,
        }
    }
}

fn bins(low: f64, high: f64) -> usize {
    if high > low { BINS } else { 1 }
}

fn column(name: &str, data_type: &DataType, rows: u64, summary: &mut Summary<'_>) -> ColumnProfile {
    let at = summary.at;
    summary.at += 1;
    let filled = summary.integer(&format!("c{at}"));
    let quantiles = (0..QUANTILES.len()).filter_map(|q| summary.number(&format!("q{at}_{q}"))).collect();
    ColumnProfile {
        name: name.to_owned(),
        data_type: data_type.to_string(),
        nulls: rows.saturating_sub(filled),
        distinct: summary.integer(&format!("d{at}")).min(filled),
        min: summary.json(&format!("lo{at}")),
        max: summary.json(&format!("hi{at}")),
        mean: summary.number(&format!("m{at}")),
        stddev: summary.number(&format!("s{at}")),
        quantiles,
        ..ColumnProfile::default()
    }
}

/// What the second pass counts for a column.
enum Tally {
    Nothing,
    Words(HashMap<Option<String>, u64>),
    Bins { low: f64, high: f64, counts: Vec<u64> },
}

impl Tally {
    fn add(&mut self, values: &dyn Array) {
        match self {
            Self::Nothing => {}
            Self::Words(counts) => {
                let Ok(words) = cast(values, &DataType::Utf8) else { return };
                for word in words.as_string::<i32>() {
                    // Most words were seen before: look them up without a copy of the text.
                    let key = word.map(str::to_owned);
                    *counts.entry(key).or_insert(0) += 1;
                }
                if counts.len() > COUNTED {
                    counts.retain(|_, count| *count > 1);
                }
            }
            Self::Bins { low, high, counts } => {
                let Some(numbers) = numbers(values) else { return };
                for number in numbers.as_primitive::<Float64Type>().iter().flatten() {
                    let last = counts.len() - 1;
                    let width = (*high - *low) / counts.len() as f64;
                    let bin = if width > 0.0 { ((number - *low) / width) as usize } else { 0 };
                    if let Some(count) = counts.get_mut(bin.min(last)).filter(|_| number.is_finite()) {
                        *count += 1;
                    }
                }
            }
        }
    }

    fn finish(self) -> (Vec<TopValue>, Vec<HistogramBin>) {
        match self {
            Self::Nothing => (Vec::new(), Vec::new()),
            Self::Words(counts) => {
                let mut top: Vec<TopValue> =
                    counts.into_iter().map(|(value, count)| TopValue { value, count }).collect();
                top.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
                top.truncate(TOP);
                (top, Vec::new())
            }
            Self::Bins { low, high, counts } => {
                let width = (high - low) / counts.len() as f64;
                let last = counts.len() - 1;
                let bin = |(at, count): (usize, u64)| HistogramBin {
                    from: low + width * at as f64,
                    to: if at == last { high } else { low + width * (at + 1) as f64 },
                    count,
                };
                (Vec::new(), counts.into_iter().enumerate().map(bin).collect())
            }
        }
    }
}

/// The same numbers as [`as_number`].
fn numbers(values: &dyn Array) -> Option<arrow::array::ArrayRef> {
    match values.data_type() {
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => {
            let micros = DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None);
            let micros = cast(&cast(values, &micros).ok()?, &DataType::Int64).ok()?;
            let seconds =
                micros.as_primitive::<Int64Type>().unary::<_, Float64Type>(|v| v as f64 / 1_000_000.0);
            Some(std::sync::Arc::new(seconds))
        }
        _ => cast(values, &DataType::Float64).ok(),
    }
}
