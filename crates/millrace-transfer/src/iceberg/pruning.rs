//! What is known of each file's columns before it is read, so that files without a row that is wanted need not be.

use arrow::array::{Array as _, ArrayRef, AsArray as _, UInt64Array, new_null_array};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Int32Type, SchemaRef, TimeUnit};
use jiff::civil::Date;
use millrace_contract::PartFacts;

use super::manifest::Entry;
use super::metadata::{Field, PartitionField, Type};
use super::types::single;

const DAY_US: i64 = 86_400_000_000;

/// What is known of one column of one file.
#[derive(Default)]
struct Known {
    least: Option<ArrayRef>,
    greatest: Option<ArrayRef>,
    nulls: Option<u64>,
}

/// What is known of all files, column by column. `spec` gives how a file is divided.
pub(super) fn facts<'a>(
    schema: &SchemaRef,
    fields: &[Field],
    files: &[Entry],
    spec: impl Fn(i32) -> &'a [PartitionField],
) -> Result<PartFacts, String> {
    let (mut least, mut greatest, mut nulls) = (Vec::new(), Vec::new(), Vec::new());
    for (field, column) in fields.iter().zip(schema.fields()) {
        let kind = column.data_type();
        let known: Vec<Known> =
            files.iter().map(|file| known(field, kind, file, spec(file.partition.spec))).collect();
        let all = |of: fn(&Known) -> &Option<ArrayRef>| -> Result<ArrayRef, String> {
            let none = new_null_array(kind, 1);
            let values: Vec<ArrayRef> =
                known.iter().map(|known| of(known).clone().unwrap_or_else(|| none.clone())).collect();
            let values: Vec<&dyn arrow::array::Array> = values.iter().map(AsRef::as_ref).collect();
            if values.is_empty() {
                Ok(new_null_array(kind, 0))
            } else {
                concat(&values).map_err(|error| error.to_string())
            }
        };
        least.push(all(|known| &known.least)?);
        greatest.push(all(|known| &known.greatest)?);
        nulls.push(known.iter().map(|known| known.nulls).collect::<UInt64Array>());
    }
    let rows = files.iter().map(|file| u64::try_from(file.rows).ok()).collect();
    Ok(PartFacts { schema: schema.clone(), least, greatest, nulls, rows })
}

fn known(field: &Field, kind: &DataType, file: &Entry, spec: &[PartitionField]) -> Known {
    let divided = spec.iter().zip(&file.partition.values).find(|(by, _)| by.source_id == field.id);
    if let Some((by, value)) = divided
        && let Some(known) = by_partition(&by.transform, value, kind, file.rows)
    {
        return known;
    }
    let nulls = file.nulls.get(&field.id).and_then(|count| u64::try_from(*count).ok());
    // An order that says something: a UUID is text here and bytes there. Among the bounds of floats there is no NaN.
    let ordered = match &field.kind {
        Type::Plain(word) => word != "uuid",
        Type::Nested(_) => false,
    } && (!kind.is_floating() || file.nans.get(&field.id) == Some(&0));
    let bound = |bytes: Option<&Vec<u8>>| bytes.filter(|_| ordered).and_then(|bytes| single(bytes, kind));
    Known { least: bound(file.least.get(&field.id)), greatest: bound(file.greatest.get(&field.id)), nulls }
}

/// The range that a partition's value stands for.
fn by_partition(transform: &str, value: &ArrayRef, kind: &DataType, rows: i64) -> Option<Known> {
    let to_time = !matches!(transform, "identity");
    if value.is_null(0) {
        // Only a null has none.
        let known = matches!(transform, "identity" | "year" | "month" | "day" | "hour");
        return known.then(|| Known { nulls: u64::try_from(rows).ok(), ..Known::default() });
    }
    if !to_time {
        let value = cast(value, kind).ok().filter(|value| value.is_valid(0))?;
        // A float may be NaN, which is greater than everything.
        let exact = Some(value).filter(|_| !kind.is_floating());
        return Some(Known { least: exact.clone(), greatest: exact, nulls: Some(0) });
    }
    let count = cast(value, &DataType::Int32).ok()?;
    let count = i64::from(count.as_primitive_opt::<Int32Type>()?.value(0));
    let (from, until) = match transform {
        "hour" => (count * (DAY_US / 24), (count + 1) * (DAY_US / 24)),
        "day" => (count * DAY_US, (count + 1) * DAY_US),
        "month" => (month(count)?, month(count + 1)?),
        "year" => (month(count * 12)?, month((count + 1) * 12)?),
        _ => return None,
    };
    let (least, greatest): (i64, i64) = match kind {
        DataType::Date32 => (from.div_euclid(DAY_US), (until - 1).div_euclid(DAY_US)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => (from, until - 1),
        _ => return None,
    };
    let bound = |value: i64| {
        let narrow = i32::try_from(value).map(|value| value.to_le_bytes().to_vec());
        match kind {
            DataType::Date32 => single(&narrow.ok()?, kind),
            _ => single(&value.to_le_bytes(), kind),
        }
    };
    Some(Known { least: bound(least), greatest: bound(greatest), nulls: Some(0) })
}

/// When a month begins, counted from January 1970, in microseconds.
fn month(count: i64) -> Option<i64> {
    let year = i16::try_from(1970 + count.div_euclid(12)).ok()?;
    let date = Date::new(year, i8::try_from(count.rem_euclid(12) + 1).ok()?, 1).ok()?;
    let days = date.since(Date::constant(1970, 1, 1)).ok()?.get_days();
    Some(i64::from(days) * DAY_US)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use arrow::array::{Date32Array, Int32Array, StringArray};
    use arrow::util::display::array_value_to_string;

    #[test]
    fn ranges_of_partitions() {
        let check = |transform: &str, value: ArrayRef, kind: DataType, expected: Option<(&str, &str)>| {
            let known = by_partition(transform, &value, &kind, 3);
            let text = |value: Option<ArrayRef>| array_value_to_string(&value.unwrap(), 0).unwrap();
            let found = known.map(|known| (text(known.least), text(known.greatest)));
            let found = found.as_ref().map(|(least, greatest)| (least.as_str(), greatest.as_str()));
            assert_eq!(found, expected, "{transform}");
        };
        let number = |value: i32| -> ArrayRef { Arc::new(Int32Array::from(vec![value])) };
        let time = DataType::Timestamp(TimeUnit::Microsecond, None);
        check(
            "day",
            Arc::new(Date32Array::from(vec![1])),
            time.clone(),
            Some(("1970-01-02T00:00:00", "1970-01-02T23:59:59.999999")),
        );
        check("hour", number(-1), time, Some(("1969-12-31T23:00:00", "1969-12-31T23:59:59.999999")));
        check("month", number(13), DataType::Date32, Some(("1971-02-01", "1971-02-28")));
        check("year", number(-1), DataType::Date32, Some(("1969-01-01", "1969-12-31")));
        check("identity", Arc::new(StringArray::from(vec!["a"])), DataType::Utf8, Some(("a", "a")));
        check("bucket[16]", number(3), DataType::Utf8, None);
        check("truncate[4]", number(4), DataType::Int32, None);
    }
}
