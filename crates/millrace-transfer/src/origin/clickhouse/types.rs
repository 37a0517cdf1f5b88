//! What types of Arrow are in ClickHouse.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, BooleanArray, ListArray, RecordBatchOptions, StructArray,
};
use arrow::compute::{not, nullif};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::super::sql::cast_to;
use super::quoted;

/// Rows as they are sent.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    /// The types that there are.
    kinds: SchemaRef,
    /// The same with structures that are never null, since a tuple has no null.
    pub(super) schema: SchemaRef,
    /// The columns of a table that is made for them.
    pub(super) declared: Vec<String>,
}

/// How rows are sent.
///
/// # Errors
/// With the column that has no type there.
pub(super) fn taken(schema: &Schema) -> Result<Taken, String> {
    let (mut kinds, mut declared) = (Vec::new(), Vec::new());
    for field in schema.fields() {
        let kind = Kind::of(field.data_type()).ok_or_else(|| {
            let message = format!(
                "column `{}` is {}, which ClickHouse has no type for",
                field.name(),
                field.data_type()
            );
            format!("{message}; `drop` it, or `mapping` takes it apart")
        })?;
        declared.push(format!("{} {}", quoted(field.name()), kind.column()));
        kinds.push(Arc::new(Field::new(field.name(), kind.arrow, true)));
    }
    let sent: Vec<FieldRef> = kinds.iter().map(solid).collect();
    Ok(Taken { kinds: Arc::new(Schema::new(kinds)), schema: Arc::new(Schema::new(sent)), declared })
}

impl Taken {
    pub(super) fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch, String> {
        let batch = cast_to(batch, &self.kinds)?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let columns = batch.columns().iter().map(whole).collect::<Result<Vec<_>, _>>();
        let batch = columns
            .and_then(|columns| RecordBatch::try_new_with_options(self.schema.clone(), columns, &options));
        batch.map_err(|error| error.to_string())
    }
}

/// A type that is sent, and the one that a column gets.
struct Kind {
    arrow: DataType,
    declared: String,
    /// Lists, maps and tuples cannot be null.
    nullable: bool,
}

impl Kind {
    fn of(data: &DataType) -> Option<Self> {
        let plain = |arrow: DataType, declared: &str| {
            Some(Self { arrow, declared: declared.to_owned(), nullable: true })
        };
        let nested = |arrow: DataType, declared: String| Some(Self { arrow, declared, nullable: false });
        match data {
            DataType::Boolean => plain(DataType::Boolean, "Bool"),
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
                plain(data.clone(), &data.to_string())
            }
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
                plain(data.clone(), &data.to_string())
            }
            DataType::Float16 | DataType::Float32 => plain(DataType::Float32, "Float32"),
            DataType::Float64 => plain(DataType::Float64, "Float64"),
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale)
                if *scale >= 0 =>
            {
                plain(DataType::Decimal128(*precision, *scale), &format!("Decimal({precision}, {scale})"))
            }
            DataType::Decimal256(precision, scale) if *scale >= 0 => {
                plain(data.clone(), &format!("Decimal({precision}, {scale})"))
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => {
                plain(DataType::Utf8, "String")
            }
            // It has had no type for times of day for long.
            DataType::Time32(_) | DataType::Time64(_) => plain(DataType::Utf8, "String"),
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => plain(DataType::Binary, "String"),
            DataType::Date32 | DataType::Date64 => plain(DataType::Date32, "Date32"),
            // Without a zone of its own a column shows the server's.
            DataType::Timestamp(unit, _) => plain(
                DataType::Timestamp(*unit, Some("UTC".into())),
                &format!("DateTime64({}, 'UTC')", digits(*unit)),
            ),
            DataType::Duration(_) => plain(DataType::Int64, "Int64"),
            DataType::Dictionary(_, value) => Self::of(value),
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
                let kind = Self::of(item.data_type())?;
                let declared = format!("Array({})", kind.column());
                nested(DataType::List(Arc::new(Field::new("item", kind.arrow, true))), declared)
            }
            DataType::Struct(fields) if !fields.is_empty() => {
                let kinds = fields.iter().map(|field| Some((field.name(), Self::of(field.data_type())?)));
                let kinds = kinds.collect::<Option<Vec<_>>>()?;
                let columns: Vec<String> =
                    kinds.iter().map(|(name, kind)| format!("{} {}", quoted(name), kind.column())).collect();
                let fields: Fields =
                    kinds.into_iter().map(|(name, kind)| Field::new(name, kind.arrow, true)).collect();
                nested(DataType::Struct(fields), format!("Tuple({})", columns.join(", ")))
            }
            DataType::Map(entries, _) => {
                let DataType::Struct(fields) = entries.data_type() else { return None };
                let [key, value] = fields.as_ref() else { return None };
                let declared = format!(
                    "Map({}, {})",
                    Self::of(key.data_type())?.declared,
                    Self::of(value.data_type())?.column()
                );
                nested(data.clone(), declared)
            }
            _ => None,
        }
    }

    fn column(&self) -> String {
        if self.nullable { format!("Nullable({})", self.declared) } else { self.declared.clone() }
    }
}

fn digits(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

/// A field whose structures are never null.
fn solid(field: &FieldRef) -> FieldRef {
    let (kind, nullable) = match field.data_type() {
        DataType::Struct(fields) => (DataType::Struct(fields.iter().map(solid).collect()), false),
        DataType::List(item) => (DataType::List(solid(item)), true),
        other => (other.clone(), true),
    };
    Arc::new(Field::new(field.name(), kind, nullable))
}

/// A column whose structures are never null: those that were have nulls in each of their fields.
fn whole(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match column.data_type() {
        DataType::Struct(fields) => {
            let absent = column
                .nulls()
                .map(|nulls| not(&BooleanArray::new(nulls.inner().clone(), None)))
                .transpose()?;
            let parts = column.as_struct().columns().iter().map(|part| match &absent {
                Some(absent) => whole(&nullif(part, absent)?),
                None => whole(part),
            });
            let parts = parts.collect::<Result<Vec<_>, _>>()?;
            Ok(Arc::new(StructArray::try_new(fields.iter().map(solid).collect(), parts, None)?))
        }
        DataType::List(item) => {
            let list = column.as_list::<i32>();
            let values = whole(list.values())?;
            let nulls = list.nulls().cloned();
            Ok(Arc::new(ListArray::try_new(solid(item), list.offsets().clone(), values, nulls)?))
        }
        _ => Ok(column.clone()),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};
    use arrow::buffer::NullBuffer;

    use super::*;

    #[test]
    fn every_type_has_its_column() {
        let check = |kind: DataType, expected: &str| {
            let found = taken(&Schema::new(vec![Field::new("c", kind, true)]));
            assert_eq!(found.map_or_else(|error| error, |taken| taken.declared.join(", ")), expected);
        };
        check(DataType::UInt64, "`c` Nullable(UInt64)");
        check(DataType::Decimal64(12, 2), "`c` Nullable(Decimal(12, 2))");
        check(DataType::Timestamp(TimeUnit::Microsecond, None), "`c` Nullable(DateTime64(6, 'UTC'))");
        check(
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8View)),
            "`c` Nullable(String)",
        );
        let item = Field::new("x", DataType::Utf8, true);
        let part = DataType::Struct(vec![Field::new("a`b", DataType::Int8, true), item].into());
        check(
            DataType::new_large_list(part, true),
            "`c` Array(Tuple(`a\\`b` Nullable(Int8), `x` Nullable(String)))",
        );
        check(
            DataType::Interval(arrow::datatypes::IntervalUnit::DayTime),
            "column `c` is Interval(DayTime), which ClickHouse has no type for; `drop` it, or `mapping` takes it apart",
        );
    }

    #[test]
    fn a_structure_that_is_null_has_nulls_in_its_fields() {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let fields: Fields = vec![Field::new("a", DataType::Int64, true)].into();
        let inner = StructArray::new(fields, vec![numbers], Some(NullBuffer::from(vec![true, false])));
        let column: ArrayRef = Arc::new(inner);
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["x", "y"]));
        let batch = RecordBatch::try_from_iter([("s", column), ("t", texts)]).unwrap();
        let sent = taken(&batch.schema()).unwrap().apply(&batch).unwrap();
        let inner = sent.column(0).as_struct();
        assert_eq!((inner.null_count(), inner.column(0).null_count()), (0, 1));
        assert!(!sent.schema().field(0).is_nullable());
    }
}
