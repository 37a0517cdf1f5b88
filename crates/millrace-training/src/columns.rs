//! The rows to learn from, column by column and as small as the matrix they become.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::{cast, filter_record_batch, is_not_null};
use arrow::datatypes::{DataType, Float64Type, Schema};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use indexmap::IndexSet;
use millrace_spec::problem::Problem;

use crate::table::{column, row_hashes, unknown};
use crate::target::Target;

/// How a column enters a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// As a number; truth values are 0 and 1.
    Number,
    /// As one of some texts.
    Text,
}

/// A column that a model learns from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnSpec {
    /// Its name.
    pub name: String,
    /// How it enters.
    pub kind: ColumnKind,
}

/// Which columns the user named.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choice<'a> {
    pub(crate) target: &'a str,
    pub(crate) features: Option<&'a [String]>,
    pub(crate) exclude: &'a [String],
}

/// The features of a table, in its order, or in the order in which they are named.
pub(crate) fn choose(schema: &Schema, choice: Choice<'_>) -> Result<Vec<ColumnSpec>, Problem> {
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let named = choice.features.unwrap_or_default().iter().chain(choice.exclude);
    for name in std::iter::once(choice.target).chain(named.map(String::as_str)) {
        if !names.contains(&name) {
            return Err(unknown("column", "data", name, &names));
        }
    }
    if choice.features.is_some_and(|features| features.iter().any(|name| name == choice.target)) {
        let message = format!("the target `{}` cannot be a feature as well", choice.target);
        return Err(Problem::error("target-is-feature", message).hint("remove it from `features`"));
    }
    let wanted: Vec<&str> = match choice.features {
        Some(features) => features.iter().map(String::as_str).collect(),
        None => names.into_iter().filter(|name| *name != choice.target).collect(),
    };
    let wanted: IndexSet<&str> =
        wanted.into_iter().filter(|name| choice.exclude.iter().all(|other| other != name)).collect();
    let mut columns = Vec::with_capacity(wanted.len());
    for name in wanted {
        let data_type = schema.field_with_name(name).map(|field| field.data_type().clone());
        let kind = kind_of(name, &data_type.unwrap_or(DataType::Null))?;
        columns.push(ColumnSpec { name: name.to_owned(), kind });
    }
    if columns.is_empty() {
        return Err(Problem::error("no-features", "no column is left to learn from")
            .hint("name some: `features: [distance, carrier]`"));
    }
    Ok(columns)
}

fn kind_of(name: &str, data_type: &DataType) -> Result<ColumnKind, Problem> {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Ok(ColumnKind::Text),
        DataType::Dictionary(_, values) => kind_of(name, values),
        DataType::Boolean => Ok(ColumnKind::Number),
        other if other.is_numeric() => Ok(ColumnKind::Number),
        other if other.is_temporal() => Err(Problem::error(
            "temporal-feature",
            format!("the column `{name}` is a time ({other}), which a model cannot learn from as it stands"),
        )
        .hint("derive numbers from it in a flow, for example the hour or the days since an event")
        .hint(format!("leave it out: `exclude: [{name}]`"))),
        other => Err(Problem::error(
            "feature-type",
            format!("the column `{name}` is {other}, neither number nor text nor truth value"),
        )
        .hint(format!("leave it out: `exclude: [{name}]`"))),
    }
}

/// The values of a column.
#[derive(Debug, Clone)]
pub enum ColumnData {
    /// NaN for a missing one.
    Numbers(Vec<f32>),
    /// Levels in the order of their first row, and each row's place among them. A missing text is the empty one.
    Texts(IndexSet<String>, Vec<u32>),
}

/// A gathered column.
#[derive(Debug, Clone)]
pub struct Column {
    /// Name and kind.
    pub spec: ColumnSpec,
    /// Values.
    pub data: ColumnData,
    /// Whether a row has none.
    pub missing: bool,
}

/// Rows to learn from.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    pub(crate) columns: Vec<Column>,
    pub(crate) target: Target,
    hashes: Vec<u64>,
    /// Rows that were left out, since they have no target.
    pub(crate) dropped: u64,
}

impl Rows {
    pub(crate) fn new(specs: &[ColumnSpec], target: Target) -> Self {
        let empty = |spec: &ColumnSpec| Column {
            spec: spec.clone(),
            missing: false,
            data: match spec.kind {
                ColumnKind::Number => ColumnData::Numbers(Vec::new()),
                ColumnKind::Text => ColumnData::Texts(IndexSet::new(), Vec::new()),
            },
        };
        Self { columns: specs.iter().map(empty).collect(), target, hashes: Vec::new(), dropped: 0 }
    }

    /// Names of the columns that [`Rows::add`] needs.
    pub(crate) fn names(&self) -> Vec<String> {
        let features = self.columns.iter().map(|column| column.spec.name.clone());
        features.chain([self.target.name.clone()]).collect()
    }

    /// Adds the rows of a batch that have a target.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let batch = with_target(batch, &self.target.name, &mut self.dropped)?;
        self.hashes.extend(row_hashes(&batch, 0)?);
        self.target.add(column(&batch, &self.target.name)?)?;
        for own in &mut self.columns {
            own.add(column(&batch, &own.spec.name)?)?;
        }
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.target.len()
    }

    /// The rows in an order that does not depend on how they came.
    pub(crate) fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by_key(|row| self.hashes.get(*row).copied());
        order
    }
}

/// The rows with a target; the others are counted.
pub(crate) fn with_target(
    batch: &RecordBatch,
    target: &str,
    dropped: &mut u64,
) -> Result<RecordBatch, ArrowError> {
    let values = column(batch, target)?;
    let mut present = is_not_null(values)?;
    if values.data_type().is_floating() {
        let numbers = cast(values, &DataType::Float64)?;
        let numbers = numbers.as_primitive::<Float64Type>();
        present =
            numbers.iter().map(|number| Some(number.is_some_and(|x| !x.is_nan()))).collect::<BooleanArray>();
    }
    let kept = present.true_count();
    *dropped += (batch.num_rows() - kept) as u64;
    if kept == batch.num_rows() { Ok(batch.clone()) } else { filter_record_batch(batch, &present) }
}

impl Column {
    fn add(&mut self, array: &ArrayRef) -> Result<(), ArrowError> {
        self.missing |= array.null_count() > 0;
        match &mut self.data {
            ColumnData::Numbers(values) => {
                let numbers = cast(array, &DataType::Float64)?;
                for number in numbers.as_primitive::<Float64Type>() {
                    let value = number.unwrap_or(f64::NAN) as f32;
                    if value.is_infinite() {
                        return Err(ArrowError::ComputeError(format!(
                            "the column `{}` has the value {}, which is infinite for a model (beyond ±3.4e38)",
                            self.spec.name,
                            number.unwrap_or_default()
                        )));
                    }
                    self.missing |= value.is_nan();
                    values.push(value);
                }
            }
            ColumnData::Texts(levels, codes) => {
                for text in cast(array, &DataType::Utf8)?.as_string::<i32>() {
                    let text = text.unwrap_or_default();
                    let code = match levels.get_index_of(text) {
                        Some(code) => code,
                        None => levels.insert_full(text.to_owned()).0,
                    };
                    codes.push(code as u32);
                }
            }
        }
        Ok(())
    }
}
