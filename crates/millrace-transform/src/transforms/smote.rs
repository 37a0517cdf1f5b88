use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _, Float64Array, RecordBatch, UInt64Array};
use arrow::compute::{CastOptions, cast, cast_with_options, concat_batches, take};
use arrow::datatypes::{DataType, Float64Type};
use schemars::JsonSchema;
use serde::Deserialize;

use super::fitted::{number, rows};
use super::{Fault, Input, Kind, Names, Transform, only};
use crate::flow::quote;

/// Adds made-up rows of a rare class, each between a row and one of its nearest neighbours (SMOTE).
///
/// Neighbours are those of the same class by the distance of the numeric `columns`, each scaled by its standard deviation. The numbers of a new
/// row lie between those of the two rows, everything else is the first row's. Rows of the class with a null among `columns` are no start and
/// no neighbour (Chawla et al., *SMOTE: Synthetic Minority Over-sampling Technique*, 2002).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Smote {
    /// The column with the classes; the rarest one gets rows.
    target: String,
    /// Numeric columns that are neighbours' distance and are made up; all but the target if absent.
    #[serde(default)]
    columns: Names,
    /// New rows as a percentage of the class's own; as many as make it equal to the most frequent class if absent.
    #[serde(default)]
    percentage: Option<u32>,
    /// So many nearest neighbours are chosen from.
    #[serde(default = "five")]
    neighbours: usize,
    /// Another seed gives other rows.
    #[serde(default)]
    seed: u64,
}

fn five() -> usize {
    5
}

/// Rows of the rare class beyond which comparing all with all takes too long.
const MOST: usize = 20_000;

impl Kind for Smote {
    const NAME: &'static str = "smote";
    const EXAMPLE: &'static str = "smote: {target: late, neighbours: 5, seed: 7}";
}

impl Smote {
    fn numeric(&self, input: &Input<'_>) -> Result<Vec<String>, Fault> {
        let named = self.columns.list();
        for name in &named {
            input.number(name).map_err(|fault| fault.under("columns"))?;
        }
        if !named.is_empty() {
            return Ok(named);
        }
        let mut names = Vec::new();
        for name in input.columns().into_iter().filter(|name| *name != self.target) {
            if input.data_type(name)?.is_numeric() {
                names.push(name.to_owned());
            }
        }
        match names.is_empty() {
            true => Err(Fault::new("no column is a number")),
            false => Ok(names),
        }
    }

    /// Rows to make of `rare` ones, beside a class of `most`.
    fn wanted(&self, rare: usize, most: usize) -> usize {
        match self.percentage {
            Some(percentage) => rare.saturating_mul(percentage as usize) / 100,
            None => most.saturating_sub(rare),
        }
    }
}

impl Transform for Smote {
    fn reads(&self) -> usize {
        4
    }

    fn asks(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let input = only(inputs)?;
        let (table, target) =
            (&input.table, input.column(&self.target).map_err(|fault| fault.under("target"))?);
        if self.neighbours == 0 {
            return Err(Fault::new("there is at least one neighbour").under("neighbours"));
        }
        let columns = self.numeric(input)?;
        let whole: Vec<String> = columns.iter().map(|name| format!("{} is not null", quote(name))).collect();
        let classes = format!(
            "select {target} as v, count(*) as n from {table} where {target} is not null group by {target} order by n, v"
        );
        Ok(vec![
            format!(
                "select * from {table} where {target} = (select v from ({classes} limit 1)) and {} limit {}",
                whole.join(" and "),
                MOST + 1
            ),
            classes,
        ])
    }

    fn made(&self, inputs: &[Input<'_>], answers: &[Vec<RecordBatch>]) -> Result<Option<RecordBatch>, Fault> {
        let input = only(inputs)?;
        let counts: Vec<usize> =
            rows(answers, 1).iter().filter_map(|row| Some(number(row, "n")? as usize)).collect();
        let (Some(rare), Some(most)) = (counts.first(), counts.last()) else { return empty(input) };
        let batches = answers.first().map(Vec::as_slice).unwrap_or_default();
        let Some(first) = batches.first() else { return empty(input) };
        let class =
            concat_batches(&first.schema(), batches).map_err(|error| Fault::new(error.to_string()))?;
        if class.num_rows() > MOST {
            let message = format!("the rarest class has more than {MOST} rows");
            return Err(Fault::new(message).hinted("put a `sample` before it"));
        }
        if class.num_rows() < 2 {
            let message =
                format!("the rarest class has {} whole rows; neighbours take two at least", class.num_rows());
            return Err(Fault::new(message));
        }
        let wanted = self.wanted(*rare, *most);
        make(&class, &self.numeric(input)?, wanted, self.neighbours, self.seed)
            .map(Some)
            .map_err(|error| Fault::new(error.to_string()))
    }

    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let [input, made] = inputs else { return Err(Fault::new("it reads nothing: add `from:`")) };
        Ok(vec![format!("select * from {} union all select * from {}", input.table, made.table)])
    }
}

fn empty(input: &Input<'_>) -> Result<Option<RecordBatch>, Fault> {
    let schema = crate::engine::types::plain_schema(input.schema.as_arrow());
    Ok(Some(RecordBatch::new_empty(schema)))
}

fn make(
    class: &RecordBatch,
    columns: &[String],
    wanted: usize,
    neighbours: usize,
    seed: u64,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let points = Points::of(class, columns)?;
    let mut chance = Chance(seed);
    let mut near: Vec<Option<Vec<usize>>> = vec![None; points.rows];
    let mut starts = Vec::with_capacity(wanted);
    let mut ends = Vec::with_capacity(wanted);
    let mut shares = Vec::with_capacity(wanted);
    for place in 0..wanted {
        // Every row is a start equally often.
        let start = place % points.rows;
        let Some(slot) = near.get_mut(start) else { break };
        let nearest = slot.get_or_insert_with(|| points.nearest(start, neighbours));
        let Some(end) = nearest.get(chance.below(nearest.len())) else { break };
        starts.push(start as u64);
        ends.push(*end as u64);
        shares.push(chance.share());
    }
    let (starts, ends) = (UInt64Array::from(starts), UInt64Array::from(ends));
    let shares = Float64Array::from(shares);
    let schema = class.schema();
    let mut made: Vec<ArrayRef> = Vec::new();
    for (field, column) in schema.fields().iter().zip(class.columns()) {
        let from = take(column, &starts, None)?;
        if columns.iter().any(|name| name == field.name()) {
            made.push(between(&from, &take(column, &ends, None)?, &shares)?);
        } else {
            made.push(from);
        }
    }
    RecordBatch::try_new(schema.clone(), made)
}

/// Numbers that lie between two others; whole numbers are rounded.
fn between(
    from: &ArrayRef,
    to: &ArrayRef,
    shares: &Float64Array,
) -> Result<ArrayRef, arrow::error::ArrowError> {
    let (a, b) = (cast(from, &DataType::Float64)?, cast(to, &DataType::Float64)?);
    let (a, b) = (a.as_primitive::<Float64Type>(), b.as_primitive::<Float64Type>());
    let whole = from.data_type().is_integer();
    let values = a.iter().zip(b.iter()).zip(shares.values()).map(|((a, b), share)| {
        let value = a? + (b? - a?) * share;
        Some(if whole { value.round() } else { value })
    });
    let values: ArrayRef = Arc::new(values.collect::<Float64Array>());
    cast_with_options(&values, from.data_type(), &CastOptions { safe: false, ..CastOptions::default() })
}

/// The rows as points, each coordinate divided by its standard deviation.
struct Points {
    rows: usize,
    width: usize,
    values: Vec<f64>,
}

impl Points {
    fn of(class: &RecordBatch, columns: &[String]) -> Result<Self, arrow::error::ArrowError> {
        let (rows, width) = (class.num_rows(), columns.len());
        let mut values = vec![0.0; rows * width];
        for (place, name) in columns.iter().enumerate() {
            let Some(column) = class.column_by_name(name) else { continue };
            let column = cast(column, &DataType::Float64)?;
            let column = column.as_primitive::<Float64Type>();
            #[allow(clippy::cast_precision_loss, reason = "rows are far fewer than 2^53")]
            let count = rows as f64;
            let mean = column.values().iter().sum::<f64>() / count;
            let variance = column.values().iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
            let width_of = if variance > 0.0 { variance.sqrt() } else { 1.0 };
            for (row, value) in column.values().iter().enumerate() {
                if let Some(slot) = values.get_mut(row * width + place) {
                    *slot = value / width_of;
                }
            }
        }
        Ok(Self { rows, width, values })
    }

    fn point(&self, row: usize) -> &[f64] {
        self.values.get(row * self.width..(row + 1) * self.width).unwrap_or_default()
    }

    /// The rows nearest to a row, itself left out; of equal distances the earlier row.
    fn nearest(&self, row: usize, count: usize) -> Vec<usize> {
        let here = self.point(row);
        let distance =
            |other: usize| -> f64 { here.iter().zip(self.point(other)).map(|(a, b)| (a - b).powi(2)).sum() };
        let mut others: Vec<(f64, usize)> =
            (0..self.rows).filter(|other| *other != row).map(|other| (distance(other), other)).collect();
        let count = count.min(others.len());
        if count < others.len() {
            others.select_nth_unstable_by(count, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        }
        others.truncate(count);
        others.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        others.into_iter().map(|(_, other)| other).collect()
    }
}

/// SplitMix64 (Steele, Lea, Flood, *Fast Splittable Pseudorandom Number Generators*, 2014): the same numbers everywhere.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn share(&mut self) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
        let bits = (self.next() >> 11) as f64;
        bits / 9_007_199_254_740_992.0
    }

    fn below(&mut self, count: usize) -> usize {
        #[allow(clippy::cast_possible_truncation, reason = "it is below `count`")]
        let place = (self.next() % count.max(1) as u64) as usize;
        place
    }
}
