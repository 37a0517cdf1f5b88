//! What the sink's columns have to say about those of the source: a contract, in the four words that dlt has for it
//! (<https://dlthub.com/docs/general-usage/schema-contracts>).

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array as _, ArrayRef, BooleanArray, new_null_array};
use arrow::compute::{filter_record_batch, nullif};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use futures::StreamExt as _;
use indexmap::IndexMap;
use millrace_contract::BatchStream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::convert::{self, Bad, Conversion, word};
use crate::error::CopyError;
use crate::source::Outcome;

/// How the sink's columns bind those of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Contract {
    /// For columns that the sink does not have, and for values of other types.
    All(Rule),
    /// Each on its own.
    Each(Rules),
}

/// A rule for columns and one for types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// For columns that the sink does not have.
    #[serde(default)]
    pub columns: Rule,
    /// For values whose types are not those of the sink's columns.
    #[serde(default)]
    pub types: Rule,
}

/// What becomes of what the sink does not expect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The sink changes: it gets the column, or a type that has room for both.
    #[default]
    Evolve,
    /// The copy fails before anything is written.
    Freeze,
    /// A row that has such a value is rejected, the others are copied.
    DiscardRow,
    /// Such a value is left out, its row is copied.
    DiscardValue,
}

impl Contract {
    fn rules(self) -> Rules {
        match self {
            Self::All(rule) => Rules { columns: rule, types: rule },
            Self::Each(rules) => rules,
        }
    }
}

/// What the source's columns are, seen from the sink.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Difference {
    /// Columns that the sink does not have, with their types.
    pub(crate) added: IndexMap<String, String>,
    /// Columns of the sink that the source does not have.
    pub(crate) missing: Vec<String>,
    /// Columns of another type: that of the sink, and that of the source.
    pub(crate) changed: IndexMap<String, [String; 2]>,
    /// Columns whose type in the sink becomes another one.
    pub(crate) widened: IndexMap<String, String>,
    /// Values that were left out.
    pub(crate) discarded_values: u64,
}

impl Difference {
    /// In words, a line each.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, kind) in &self.added {
            lines.push(format!("the source has a column that the sink had not: `{name}`, {kind}"));
        }
        for name in &self.missing {
            lines.push(format!("the source has no column `{name}`"));
        }
        for (name, [sink, source]) in &self.changed {
            let now = self.widened.get(name).map(|kind| format!("; it is {kind} now")).unwrap_or_default();
            lines.push(format!("`{name}` is {source} in the source and was {sink} in the sink{now}"));
        }
        match self.discarded_values {
            0 => {}
            1 => lines.push("1 value was left out".to_owned()),
            values => lines.push(format!("{values} values were left out")),
        }
        lines
    }
}

/// The sink that a contract is with.
#[derive(Debug, Clone)]
pub(crate) struct Sink {
    pub(crate) schema: SchemaRef,
    /// Whether names that differ in their letters' case are one.
    pub(crate) ignores_case: bool,
    /// Whether it wants all of its columns, in its order.
    pub(crate) whole: bool,
    /// Whether a column that is there can get another type.
    pub(crate) widens: bool,
    /// What it is called.
    pub(crate) label: String,
}

/// Rows that keep to a contract, and what there was to say.
pub(crate) struct Held {
    pub(crate) rows: BatchStream,
    pub(crate) difference: Arc<Mutex<Difference>>,
}

/// Where a column of the result comes from.
enum Take {
    Column(usize),
    Converted { index: usize, conversion: Conversion, discards_values: bool },
    Null(DataType),
}

struct Plan {
    takes: Vec<(String, Take)>,
    /// Columns whose values make their rows be rejected.
    forbidden: Vec<usize>,
    /// Columns whose values are left out.
    dropped: Vec<usize>,
    schema: SchemaRef,
    label: String,
}

/// Compares the columns and lets only what the contract allows pass.
///
/// # Errors
/// If the contract forbids a difference, or the sink cannot change as it would have to.
pub(crate) fn held(
    rows: BatchStream,
    sink: &Sink,
    contract: Contract,
    outcome: &Outcome,
) -> Result<Held, CopyError> {
    let mut difference = Difference::default();
    let plan = Plan::new(&rows.schema, sink, contract.rules(), &mut difference)?;
    let schema = plan.schema.clone();
    let difference = Arc::new(Mutex::new(difference));
    let (outcome, told, mut row) = (outcome.clone(), difference.clone(), 0_u64);
    let batches = rows.batches.map(move |batch| {
        let batch = batch?;
        let before = row;
        row += batch.num_rows() as u64;
        plan.apply(&batch, before, &outcome, &told).map_err(|error| outcome.fail(error))
    });
    Ok(Held { rows: BatchStream { schema, batches: Box::pin(batches) }, difference })
}

impl Plan {
    fn new(
        source: &SchemaRef,
        sink: &Sink,
        rules: Rules,
        difference: &mut Difference,
    ) -> Result<Self, CopyError> {
        let same = |left: &str, right: &str| match sink.ignores_case {
            true => left.eq_ignore_ascii_case(right),
            false => left == right,
        };
        let mut fields: Vec<FieldRef> = Vec::new();
        let mut takes = Vec::new();
        for kept in sink.schema.fields() {
            let found = source.fields().iter().position(|field| same(field.name(), kept.name()));
            let Some(index) = found else {
                difference.missing.push(kept.name().clone());
                if sink.whole {
                    takes.push((kept.name().clone(), Take::Null(kept.data_type().clone())));
                    fields.push(Arc::new(Field::new(kept.name(), kept.data_type().clone(), true)));
                }
                continue;
            };
            let from = source.field(index).data_type();
            let (kind, take) = converted(index, from, kept, sink, rules.types, difference)?;
            fields.push(Arc::new(Field::new(kept.name(), kind, true)));
            takes.push((kept.name().clone(), take));
        }
        let is_new =
            |field: &FieldRef| !sink.schema.fields().iter().any(|kept| same(kept.name(), field.name()));
        let (mut forbidden, mut dropped) = (Vec::new(), Vec::new());
        for (index, field) in source.fields().iter().enumerate().filter(|(_, field)| is_new(field)) {
            difference.added.insert(field.name().clone(), word(field.data_type()));
            match rules.columns {
                Rule::Evolve => {
                    fields.push(Arc::new(Field::new(field.name(), field.data_type().clone(), true)));
                    takes.push((field.name().clone(), Take::Column(index)));
                }
                Rule::Freeze => {
                    return Err(CopyError::config(
                        format!("the source has the column `{}`, which {} has not", field.name(), sink.label),
                        format!("drop: [{0}], or `schema: {{columns: evolve}}` to get it", field.name()),
                    ));
                }
                Rule::DiscardRow => forbidden.push(index),
                Rule::DiscardValue => dropped.push(index),
            }
        }
        if takes.is_empty() {
            return Err(CopyError::config(
                format!("the source has no column that {} has", sink.label),
                "mapping: {name_in_sink: name_in_source}",
            ));
        }
        let schema = Arc::new(Schema::new(fields));
        Ok(Self { takes, forbidden, dropped, schema, label: sink.label.clone() })
    }

    fn apply(
        &self,
        batch: &RecordBatch,
        before: u64,
        outcome: &Outcome,
        difference: &Mutex<Difference>,
    ) -> Result<RecordBatch, CopyError> {
        let failed = |error: ArrowError| CopyError::read("the source", &error);
        let rows = batch.num_rows();
        let mut bad: IndexMap<usize, Bad> = IndexMap::new();
        let mut left_out = 0_u64;
        for index in &self.forbidden {
            let (column, name) = (batch.column(*index), batch.schema().field(*index).name().clone());
            for row in (0..rows).filter(|row| column.is_valid(*row)) {
                let message = format!("{} has no column `{name}`", self.label);
                bad.entry(row).or_insert_with(|| Bad::new(&name, "schema", message));
            }
        }
        for index in &self.dropped {
            left_out += (rows - batch.column(*index).null_count()) as u64;
        }
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.takes.len());
        for (name, take) in &self.takes {
            columns.push(match take {
                Take::Column(index) => batch.column(*index).clone(),
                Take::Null(kind) => new_null_array(kind, rows),
                Take::Converted { index, conversion, discards_values: false } => {
                    conversion.apply(name, batch.column(*index), &mut bad).map_err(failed)?
                }
                Take::Converted { index, conversion, discards_values: true } => {
                    let mut out = IndexMap::new();
                    let column = conversion.apply(name, batch.column(*index), &mut out).map_err(failed)?;
                    left_out += out.len() as u64;
                    let gone: BooleanArray = (0..rows).map(|row| Some(out.contains_key(&row))).collect();
                    nullif(&column, &gone).map_err(failed)?
                }
            });
        }
        if left_out > 0 {
            difference.lock().unwrap_or_else(PoisonError::into_inner).discarded_values += left_out;
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let held =
            RecordBatch::try_new_with_options(self.schema.clone(), columns, &options).map_err(failed)?;
        if bad.is_empty() {
            return Ok(held);
        }
        bad.sort_unstable_keys();
        let rejects = convert::rejects(batch, &bad, "the source", before).map_err(failed)?;
        outcome.reject(&rejects)?;
        let keep = (0..rows).map(|row| Some(!bad.contains_key(&row))).collect();
        filter_record_batch(&held, &keep).map_err(failed)
    }
}

/// What becomes of a column that both have: its type, and how it is taken.
fn converted(
    index: usize,
    from: &DataType,
    kept: &Field,
    sink: &Sink,
    rule: Rule,
    difference: &mut Difference,
) -> Result<(DataType, Take), CopyError> {
    let (name, to) = (kept.name(), kept.data_type());
    if from == to {
        return Ok((to.clone(), Take::Column(index)));
    }
    let convert = |discards_values| {
        let conversion = Conversion::to_type(name, from, to)?;
        Ok((to.clone(), Take::Converted { index, conversion, discards_values }))
    };
    if has_room(to, from) {
        return convert(false);
    }
    difference.changed.insert(name.clone(), [word(to), word(from)]);
    match rule {
        Rule::DiscardRow => convert(false),
        Rule::DiscardValue => convert(true),
        Rule::Freeze => Err(CopyError::config(
            format!("the column `{name}` is {} in the source and {} in {}", word(from), word(to), sink.label),
            format!("columns: {{{name}: {}}}, or `schema: {{types: discard_row}}`", word(to)),
        )),
        Rule::Evolve => {
            let wide = wider(to, from);
            if !sink.widens {
                return Err(CopyError::config(
                    format!(
                        "the column `{name}` is {} in {} and cannot become {} beside the rows that are there",
                        word(to),
                        sink.label,
                        word(&wide)
                    ),
                    "`write: overwrite`, or `schema: {types: discard_row}`",
                ));
            }
            difference.widened.insert(name.clone(), word(&wide));
            let conversion = Conversion::to_type(name, from, &wide)?;
            Ok((wide, Take::Converted { index, conversion, discards_values: false }))
        }
    }
}

/// Whether each value of `from` is one of `to`.
fn has_room(to: &DataType, from: &DataType) -> bool {
    use DataType as T;
    let digits = |kind: &DataType| match kind {
        T::Int8 | T::UInt8 => Some(3_u8),
        T::Int16 | T::UInt16 => Some(5),
        T::Int32 | T::UInt32 => Some(10),
        T::Int64 => Some(19),
        T::UInt64 => Some(20),
        _ => None,
    };
    match (to, from) {
        (_, T::Null) => true,
        (T::Int64 | T::Int32 | T::Int16, from) if from.is_signed_integer() => {
            to.primitive_width() >= from.primitive_width()
        }
        (to, from) if to.is_integer() && from.is_unsigned_integer() => {
            to.primitive_width() > from.primitive_width()
                || (to.is_unsigned_integer() && to.primitive_width() == from.primitive_width())
        }
        (
            T::Float64,
            T::Float16 | T::Float32 | T::Int8 | T::Int16 | T::Int32 | T::UInt8 | T::UInt16 | T::UInt32,
        ) => true,
        (T::Float32, T::Float16 | T::Int8 | T::Int16 | T::UInt8 | T::UInt16) => true,
        (T::Decimal128(precision, scale), from) if from.is_integer() => {
            digits(from).is_some_and(|digits| i16::from(*precision) - i16::from(*scale) >= i16::from(digits))
        }
        (T::Decimal128(p, s), T::Decimal128(from_p, from_s)) => {
            s >= from_s && i16::from(*p) - i16::from(*s) >= i16::from(*from_p) - i16::from(*from_s)
        }
        (T::Timestamp(..), T::Date32 | T::Date64) => true,
        (T::Timestamp(to, to_zone), T::Timestamp(from, from_zone)) => {
            to >= from && to_zone.is_some() == from_zone.is_some()
        }
        (to, from) if is_text(to) => is_text(from),
        (to, from) if is_bytes(to) => is_bytes(from),
        _ => false,
    }
}

/// A type that has room for the values of both; text has for all.
fn wider(left: &DataType, right: &DataType) -> DataType {
    use DataType as T;
    if has_room(left, right) {
        return left.clone();
    }
    if has_room(right, left) {
        return right.clone();
    }
    let numeric = |kind: &DataType| kind.is_numeric();
    match (left, right) {
        (T::Decimal128(p, s), T::Decimal128(other_p, other_s)) => {
            let scale = *s.max(other_s);
            let whole = |p: u8, s: i8| i16::from(p) - i16::from(s);
            let precision = whole(*p, *s).max(whole(*other_p, *other_s)) + i16::from(scale);
            match u8::try_from(precision) {
                Ok(precision @ 1..=38) => T::Decimal128(precision, scale),
                _ => T::Float64,
            }
        }
        (left, right) if left.is_integer() && right.is_integer() => match (left, right) {
            (T::UInt64, _) | (_, T::UInt64) => T::Decimal128(20, 0),
            _ => T::Int64,
        },
        (left, right) if numeric(left) && numeric(right) => T::Float64,
        _ => T::Utf8,
    }
}

fn is_text(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_bytes(kind: &DataType) -> bool {
    use DataType as T;
    matches!(kind, T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::TimeUnit;

    use super::*;

    #[test]
    fn room() {
        use DataType as T;
        assert!(has_room(&T::Int64, &T::Int32) && !has_room(&T::Int32, &T::Int64));
        assert!(has_room(&T::Int64, &T::UInt32) && !has_room(&T::Int32, &T::UInt32));
        assert!(has_room(&T::Float64, &T::Int32) && !has_room(&T::Float64, &T::Int64));
        assert!(has_room(&T::Decimal128(22, 2), &T::UInt64) && !has_room(&T::Decimal128(20, 2), &T::Int64));
        assert!(has_room(&T::Timestamp(TimeUnit::Microsecond, None), &T::Date32));
        assert!(!has_room(&T::Utf8, &T::Int64) && has_room(&T::LargeUtf8, &T::Utf8View));
    }

    #[test]
    fn types_that_have_room_for_two() {
        use DataType as T;
        assert_eq!(wider(&T::Int64, &T::Float64), T::Float64);
        assert_eq!(wider(&T::UInt64, &T::Int8), T::Decimal128(20, 0));
        assert_eq!(wider(&T::UInt32, &T::Int32), T::Int64);
        assert_eq!(wider(&T::Decimal128(5, 2), &T::Decimal128(6, 4)), T::Decimal128(7, 4));
        assert_eq!(wider(&T::Boolean, &T::Int64), T::Utf8);
        assert_eq!(
            wider(&T::Date32, &T::Timestamp(TimeUnit::Second, None)),
            T::Timestamp(TimeUnit::Second, None)
        );
    }
}
