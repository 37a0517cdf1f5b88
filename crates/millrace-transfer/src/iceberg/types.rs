//! Types of Iceberg as Arrow has them, and columns of files as the table has them: found by their ids, of the types that they have now.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, BinaryArray, BooleanArray, Date32Array, Decimal128Array,
    FixedSizeBinaryArray, Float32Array, Float64Array, Int32Array, Int64Array, ListArray, MapArray,
    StringArray, StructArray, Time64MicrosecondArray, TimestampMicrosecondArray, new_null_array,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field as Column, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use uuid::Uuid;

use super::metadata::{Field, NameMapping, Nested, Type};

/// Where Parquet's reader notes the id of a field.
const FIELD_ID: &str = "PARQUET:field_id";

/// The columns of rows.
pub(super) fn schema_of(fields: &[Field]) -> Result<SchemaRef, String> {
    Ok(Arc::new(Schema::new(columns(fields)?)))
}

fn columns(fields: &[Field]) -> Result<Fields, String> {
    let column = |field: &Field| {
        let kind = data_type(&field.kind).map_err(|kind| refused(&field.name, &kind))?;
        Ok(Arc::new(Column::new(&field.name, kind, !field.required)))
    };
    fields.iter().map(column).collect()
}

fn refused(name: &str, kind: &str) -> String {
    format!("its column `{name}` is of the type `{kind}`, which is not read")
}

/// # Errors
/// With the type, if it is none that is read.
pub(super) fn data_type(kind: &Type) -> Result<DataType, String> {
    match kind {
        Type::Plain(word) => plain(word).ok_or_else(|| word.clone()),
        Type::Nested(Nested::Struct { fields }) => {
            let column = |field: &Field| {
                Ok(Arc::new(Column::new(&field.name, data_type(&field.kind)?, !field.required)))
            };
            Ok(DataType::Struct(fields.iter().map(column).collect::<Result<_, String>>()?))
        }
        Type::Nested(Nested::List { element, element_required, .. }) => {
            let element = Column::new_list_field(data_type(element)?, !element_required);
            Ok(DataType::List(Arc::new(element)))
        }
        Type::Nested(Nested::Map { key, value, value_required, .. }) => {
            let key = Column::new("key", data_type(key)?, false);
            let value = Column::new("value", data_type(value)?, !value_required);
            let entries = Column::new("entries", DataType::Struct(vec![key, value].into()), false);
            Ok(DataType::Map(Arc::new(entries), false))
        }
    }
}

fn plain(word: &str) -> Option<DataType> {
    Some(match word {
        "boolean" => DataType::Boolean,
        "int" => DataType::Int32,
        "long" => DataType::Int64,
        "float" => DataType::Float32,
        "double" => DataType::Float64,
        "date" => DataType::Date32,
        "time" => DataType::Time64(TimeUnit::Microsecond),
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "timestamptz" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        "string" | "uuid" => DataType::Utf8,
        "binary" => DataType::Binary,
        _ => {
            if let Some(length) = word.strip_prefix("fixed[").and_then(|rest| rest.strip_suffix(']')) {
                return length.trim().parse().ok().map(DataType::FixedSizeBinary);
            }
            let digits = word.strip_prefix("decimal(")?.strip_suffix(')')?;
            let (precision, scale) = digits.split_once(',')?;
            let (precision, scale) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
            (1..=38).contains(&precision).then_some(DataType::Decimal128(precision, scale))?
        }
    })
}

/// How the columns of a file are found.
#[derive(Clone, Copy)]
pub(super) enum Matching<'a> {
    /// By the ids that the file has.
    Ids,
    /// By names: those of the table's mapping, or else the field's own.
    Names(Option<&'a [NameMapping]>),
}

impl<'a> Matching<'a> {
    /// How those of this file are found.
    pub(super) fn of(file: &Fields, mapping: Option<&'a [NameMapping]>) -> Self {
        if file.is_empty() || file.iter().any(|column| id_of(column).is_some()) {
            Self::Ids
        } else {
            Self::Names(mapping)
        }
    }

    /// The place of a field among those of the file.
    pub(super) fn find(self, file: &Fields, id: i32, name: &str) -> Option<usize> {
        match self {
            Self::Ids => file.iter().position(|column| id_of(column) == Some(id)),
            Self::Names(Some(mapping)) => {
                let names = &mapping.iter().find(|mapped| mapped.field_id == Some(id))?.names;
                file.iter().position(|column| names.contains(column.name()))
            }
            Self::Names(None) => file.iter().position(|column| column.name() == name),
        }
    }

    /// For what is within a field.
    fn within(self, id: i32) -> Self {
        match self {
            Self::Names(Some(mapping)) => {
                let found = mapping.iter().find(|mapped| mapped.field_id == Some(id));
                Self::Names(Some(found.map_or(&[], |mapped| mapped.fields.as_slice())))
            }
            other => other,
        }
    }
}

fn id_of(column: &FieldRef) -> Option<i32> {
    column.metadata().get(FIELD_ID)?.parse().ok()
}

/// A column of a file as a field of the table: what is nested in it is found by ids too, and what was narrower gets room.
///
/// # Errors
/// If it is something else in the file than its id promises.
pub(super) fn aligned(
    column: &ArrayRef,
    (id, kind): (i32, &Type),
    matching: Matching<'_>,
) -> Result<ArrayRef, String> {
    let wrong = |error: arrow::error::ArrowError| error.to_string();
    let other = || format!("{} is not what the table says of it", column.data_type());
    match kind {
        Type::Plain(word) => {
            let to = plain(word).ok_or_else(|| word.clone())?;
            if word == "uuid"
                && let Some(bytes) = column.as_fixed_size_binary_opt()
            {
                return uuids(bytes);
            }
            if *column.data_type() == to {
                return Ok(column.clone());
            }
            let options = CastOptions { safe: false, ..CastOptions::default() };
            cast_with_options(column, &to, &options).map_err(wrong)
        }
        Type::Nested(Nested::Struct { fields }) => {
            let found = column.as_struct_opt().ok_or_else(other)?;
            let (within, rows) = (matching.within(id), found.len());
            let parts = fields.iter().map(|field| match within.find(found.fields(), field.id, &field.name) {
                Some(place) => aligned(found.column(place), (field.id, &field.kind), within),
                None => Ok(new_null_array(&data_type(&field.kind)?, rows)),
            });
            let parts: Vec<ArrayRef> = parts.collect::<Result<_, String>>()?;
            let DataType::Struct(kinds) = data_type(kind)? else { return Err(other()) };
            let made = StructArray::try_new_with_length(kinds, parts, found.nulls().cloned(), rows);
            Ok(Arc::new(made.map_err(wrong)?))
        }
        Type::Nested(Nested::List { element_id, element, .. }) => {
            let plain = cast_list(column)?;
            let found = plain.as_list_opt::<i32>().ok_or_else(other)?;
            let within = matching.within(id);
            let values = aligned(found.values(), (*element_id, element), within)?;
            let DataType::List(field) = data_type(kind)? else { return Err(other()) };
            let made = ListArray::try_new(field, found.offsets().clone(), values, found.nulls().cloned());
            Ok(Arc::new(made.map_err(wrong)?))
        }
        Type::Nested(Nested::Map { key_id, key, value_id, value, .. }) => {
            let found = column.as_map_opt().ok_or_else(other)?;
            let within = matching.within(id);
            let keys = aligned(found.keys(), (*key_id, key), within)?;
            let values = aligned(found.values(), (*value_id, value), within)?;
            let DataType::Map(field, sorted) = data_type(kind)? else { return Err(other()) };
            let DataType::Struct(kinds) = field.data_type() else { return Err(other()) };
            let entries = StructArray::try_new(kinds.clone(), vec![keys, values], None).map_err(wrong)?;
            let nulls = found.nulls().cloned();
            let made = MapArray::try_new(field, found.offsets().clone(), entries, nulls, sorted);
            Ok(Arc::new(made.map_err(wrong)?))
        }
    }
}

/// Lists with long offsets as usual ones.
fn cast_list(column: &ArrayRef) -> Result<ArrayRef, String> {
    match column.data_type() {
        DataType::LargeList(element) => {
            let to = DataType::List(element.clone());
            cast_with_options(column, &to, &CastOptions { safe: false, ..CastOptions::default() })
                .map_err(|error| error.to_string())
        }
        _ => Ok(column.clone()),
    }
}

fn uuids(bytes: &FixedSizeBinaryArray) -> Result<ArrayRef, String> {
    let text = |bytes: Option<&[u8]>| -> Result<Option<String>, String> {
        let uuid = bytes.map(Uuid::from_slice).transpose().map_err(|error| error.to_string())?;
        Ok(uuid.map(|uuid| uuid.hyphenated().to_string()))
    };
    let texts: StringArray = bytes.iter().map(text).collect::<Result<_, _>>()?;
    Ok(Arc::new(texts))
}

/// A value as it stands in manifests, as an array of one; `None` if it is none of that type, or one whose order says nothing.
pub(super) fn single(bytes: &[u8], kind: &DataType) -> Option<ArrayRef> {
    // A column that has more room now may have been written narrower.
    let int = || match bytes.len() {
        4 => Some(i64::from(i32::from_le_bytes(bytes.try_into().ok()?))),
        _ => Some(i64::from_le_bytes(bytes.try_into().ok()?)),
    };
    let float = || match bytes.len() {
        4 => Some(f64::from(f32::from_le_bytes(bytes.try_into().ok()?))),
        _ => Some(f64::from_le_bytes(bytes.try_into().ok()?)),
    };
    let small = || i32::try_from(int()?).ok();
    Some(match kind {
        DataType::Boolean => Arc::new(BooleanArray::from(vec![*bytes.first()? != 0])),
        DataType::Int32 => Arc::new(Int32Array::from(vec![small()?])),
        DataType::Int64 => Arc::new(Int64Array::from(vec![int()?])),
        DataType::Float32 => Arc::new(Float32Array::from(vec![f32::from_le_bytes(bytes.try_into().ok()?)])),
        DataType::Float64 => Arc::new(Float64Array::from(vec![float()?])),
        DataType::Date32 => Arc::new(Date32Array::from(vec![small()?])),
        DataType::Time64(TimeUnit::Microsecond) => Arc::new(Time64MicrosecondArray::from(vec![int()?])),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            Arc::new(TimestampMicrosecondArray::from(vec![int()?]).with_timezone_opt(zone.clone()))
        }
        DataType::Utf8 => Arc::new(StringArray::from(vec![std::str::from_utf8(bytes).ok()?])),
        DataType::Binary => Arc::new(BinaryArray::from(vec![bytes])),
        DataType::Decimal128(precision, scale) => {
            let negative = bytes.first()? & 0x80 != 0;
            let mut wide = [if negative { 0xff } else { 0 }; 16];
            wide.get_mut(16_usize.checked_sub(bytes.len())?..)?.copy_from_slice(bytes);
            let value = Decimal128Array::from(vec![i128::from_be_bytes(wide)]);
            Arc::new(value.with_precision_and_scale(*precision, *scale).ok()?)
        }
        _ => return None,
    })
}

/// Counts or bounds by the ids of columns.
pub(super) type ById<T> = HashMap<i32, T>;

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::util::display::array_value_to_string;

    #[test]
    fn types_and_values_of_manifests() {
        let check = |word: &str, bytes: &[u8], expected: &str| {
            let kind = plain(word).unwrap();
            let value = single(bytes, &kind).unwrap();
            assert_eq!(
                (value.data_type(), array_value_to_string(&value, 0).unwrap().as_str()),
                (&kind, expected)
            );
        };
        check("int", &[1, 0, 0, 0], "1");
        check("long", &[0xff, 0xff, 0xff, 0xff], "-1");
        check("long", &[1, 0, 0, 0, 0, 0, 0, 0], "1");
        check("double", &1.5_f32.to_le_bytes(), "1.5");
        check("decimal(9, 2)", &[0xff, 0x38], "-2.00");
        check("decimal(38,0)", &[1, 0], "256");
        check("string", "Zü".as_bytes(), "Zü");
        check("date", &[1, 0, 0, 0], "1970-01-02");
        check("boolean", &[1], "true");
        assert!(single(&[0xff], &DataType::Utf8).is_none());
        assert!(single(&[1], &DataType::Int64).is_none());
        assert_eq!(plain("fixed[16]"), Some(DataType::FixedSizeBinary(16)));
        assert_eq!(plain("decimal(39,0)"), None);
        assert_eq!(plain("variant"), None);
    }
}
