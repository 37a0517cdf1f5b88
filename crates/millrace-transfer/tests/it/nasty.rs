//! One nasty table through every pair of formats that can carry it.

use std::path::Path;
use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::OffsetBuffer;
use arrow::compute::concat_batches;
use arrow::datatypes::*;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use crate::Place;

/// What a column holds, and which formats carry it without loss.
struct Nasty {
    name: &'static str,
    column: ArrayRef,
    /// The type that `columns:` says where the file has none.
    declared: Option<&'static str>,
    carried: &'static [&'static str],
}

const ALL: &[&str] = &["csv", "jsonl", "json", "parquet", "avro", "orc", "arrow", "arrows", "xlsx"];
const TYPED: &[&str] = &["parquet", "avro", "orc", "arrow", "arrows"];
const ARROWS: &[&str] = &["parquet", "arrow", "arrows"];
/// Structs and lists; others get them as JSON text or not at all.
const NESTED: &[&str] = &["jsonl", "json", "parquet", "avro", "arrow", "arrows"];

#[allow(clippy::too_many_lines, reason = "one column of every type, with its extremes")]
fn nasty() -> Vec<Nasty> {
    let column = |name, column: ArrayRef, declared, carried| Nasty { name, column, declared, carried };
    let micros = |values: [Option<i64>; 4]| TimestampMicrosecondArray::from(values.to_vec());
    let decimals = |values: [Option<i128>; 4], precision, scale| {
        Decimal128Array::from(values.to_vec()).with_precision_and_scale(precision, scale).unwrap()
    };
    let texts = [Some("Zürich, \"日本\"\n😀\t\\ 'x' <&>"), None, Some(" NULL "), Some("=1+1;{}[]é\u{301}")];
    let bytes: Vec<Option<&[u8]>> = vec![Some(b"\x00\xff\n"), None, Some(b"a"), Some(b"\x80")];
    let long = 10_i128.pow(38) - 1;
    let seconds = Time64MicrosecondArray::from(vec![Some(0), None, Some(86_399_999_999), Some(1)]);
    // Milliseconds are all that Excel has, and the years of nanoseconds all that ORC has.
    let days =
        micros([Some(0), None, Some(1_772_345_678_901_000), Some(-2_203_891_200_000_000 + 86_400_000_000)]);
    let extreme = micros([Some(-62_135_596_800_000_000), None, Some(253_402_300_799_999_999), Some(-1)]);
    let all_but = |left_out: &str| -> &'static [&'static str] {
        match left_out {
            "orc" => &["csv", "jsonl", "json", "parquet", "avro", "arrow", "arrows", "xlsx"],
            "orc xlsx" => &["csv", "jsonl", "json", "parquet", "avro", "arrow", "arrows"],
            "csv xlsx" => &["jsonl", "json", "parquet", "avro", "orc", "arrow", "arrows"],
            "json" => &["csv", "parquet", "avro", "orc", "arrow", "arrows", "xlsx"],
            other => panic!("{other}"),
        }
    };
    vec![
        column("id", Arc::new(Int64Array::from(vec![1, 2, 3, 4])), Some("integer"), ALL),
        column(
            "yes",
            Arc::new(BooleanArray::from(vec![Some(true), None, Some(false), None])),
            Some("boolean"),
            ALL,
        ),
        column(
            "whole",
            Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(i64::MAX), Some(0)])),
            Some("integer"),
            ALL,
        ),
        column(
            "share",
            Arc::new(Float64Array::from(vec![Some(f64::MAX), None, Some(5e-324), Some(-0.1)])),
            Some("number"),
            ALL,
        ),
        column(
            "odd",
            Arc::new(Float64Array::from(vec![Some(f64::INFINITY), None, Some(f64::NEG_INFINITY), Some(1.0)])),
            Some("number"),
            all_but("json"),
        ),
        column(
            "price",
            Arc::new(decimals([Some(12_345), None, Some(-1), Some(0)], 12, 2)),
            Some("decimal(12,2)"),
            all_but("orc"),
        ),
        column(
            "long",
            Arc::new(decimals([Some(long), None, Some(-long), Some(1)], 38, 10)),
            Some("decimal(38,10)"),
            all_but("orc"),
        ),
        column(
            "day",
            Arc::new(Date32Array::from(vec![Some(-719_162), None, Some(2_932_896), Some(0)])),
            Some("date"),
            ALL,
        ),
        column("at", Arc::new(days.clone()), Some("datetime"), ALL),
        column("instant", Arc::new(days.with_timezone("UTC")), Some("timestamp"), ALL),
        column("long_ago", Arc::new(extreme), Some("datetime"), all_but("orc xlsx")),
        column("note", Arc::new(StringArray::from(texts.to_vec())), Some("string"), ALL),
        column(
            "empty",
            Arc::new(StringArray::from(vec![Some(""), None, Some(""), Some("x")])),
            Some("string"),
            all_but("csv xlsx"),
        ),
        column("bytes", Arc::new(BinaryArray::from(bytes)), Some("binary"), ALL),
        column("nothing", Arc::new(StringArray::from(vec![None::<&str>; 4])), Some("string"), ALL),
        column(
            "small",
            Arc::new(Int32Array::from(vec![Some(i32::MIN), None, Some(i32::MAX), Some(0)])),
            None,
            TYPED,
        ),
        column(
            "single",
            Arc::new(Float32Array::from(vec![Some(f32::MIN), None, Some(f32::NAN), Some(0.1)])),
            None,
            TYPED,
        ),
        column("tiny", Arc::new(UInt8Array::from(vec![Some(0), None, Some(255), Some(1)])), None, ARROWS),
        column(
            "unsigned",
            Arc::new(UInt64Array::from(vec![Some(0), None, Some(u64::MAX), Some(1)])),
            None,
            ARROWS,
        ),
        column("clock", Arc::new(seconds), None, &["parquet", "avro", "arrow", "arrows"]),
        column(
            "zoned",
            Arc::new(micros([Some(0), None, Some(1), Some(-1)]).with_timezone("Europe/Zurich")),
            None,
            ARROWS,
        ),
        column(
            "nanos",
            Arc::new(TimestampNanosecondArray::from(vec![Some(i64::MIN + 1), None, Some(i64::MAX), Some(1)])),
            None,
            ARROWS,
        ),
        column("tags", tags(), None, NESTED),
        column("place", places(), None, NESTED),
        column("stops", stops(), None, NESTED),
    ]
}

fn list(items: ArrayRef, lengths: [usize; 4], nulls: [bool; 4]) -> ArrayRef {
    let field = Arc::new(Field::new("item", items.data_type().clone(), true));
    let nulls = Some(nulls.to_vec().into());
    Arc::new(ListArray::new(field, OffsetBuffer::from_lengths(lengths), items, nulls))
}

fn tags() -> ArrayRef {
    let items = StringArray::from(vec![Some("a"), None, Some("\"é\\"), Some("")]);
    list(Arc::new(items), [2, 0, 0, 2], [true, false, true, true])
}

fn struct_of(rows: usize, nulls: Vec<bool>) -> StructArray {
    let numbers: Int64Array = (0..rows as i64).map(|row| (row % 2 == 0).then_some(row)).collect();
    let names: StringArray = (0..rows).map(|row| (row % 3 != 1).then(|| format!("n{row}"))).collect();
    let fields = vec![Field::new("number", DataType::Int64, true), Field::new("name", DataType::Utf8, true)];
    StructArray::new(fields.into(), vec![Arc::new(numbers), Arc::new(names)], Some(nulls.into()))
}

fn places() -> ArrayRef {
    let inner = struct_of(4, vec![true, true, false, true]);
    let fields = vec![
        Field::new("inner", inner.data_type().clone(), true),
        Field::new("open", DataType::Boolean, true),
    ];
    let open = BooleanArray::from(vec![Some(true), None, Some(false), None]);
    Arc::new(StructArray::new(
        fields.into(),
        vec![Arc::new(inner), Arc::new(open)],
        Some(vec![true, false, true, true].into()),
    ))
}

fn stops() -> ArrayRef {
    list(Arc::new(struct_of(3, vec![true, false, true])), [0, 0, 2, 1], [true, false, true, true])
}

/// The columns that all of these formats carry.
fn table(formats: &[&str]) -> (RecordBatch, Value) {
    let columns: Vec<Nasty> = nasty()
        .into_iter()
        .filter(|column| formats.iter().all(|format| column.carried.contains(format)))
        .collect();
    let declared: serde_json::Map<String, Value> =
        columns.iter().filter_map(|column| Some((column.name.to_owned(), json!(column.declared?)))).collect();
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|column| (column.name, column.column, true)),
    );
    (batch.unwrap(), Value::Object(declared))
}

fn write(path: &Path, batch: &RecordBatch) {
    let mut writer =
        ArrowWriter::try_new(std::fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

fn read(path: &Path) -> RecordBatch {
    let file = std::fs::File::open(path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>().unwrap();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

/// Bit by bit the same, NaN too; names of the elements of lists are the formats' own.
fn assert_same(found: &RecordBatch, expected: &RecordBatch, way: &str) {
    assert_eq!(found.num_rows(), expected.num_rows(), "{way}");
    for (index, field) in expected.schema().fields().iter().enumerate() {
        let name = field.name();
        let column = found.column_by_name(name).unwrap_or_else(|| panic!("{way}: `{name}` is lost"));
        let wanted = expected.column(index);
        assert!(
            column.data_type().equals_datatype(wanted.data_type()),
            "{way}: `{name}` is {} instead of {}",
            column.data_type(),
            wanted.data_type()
        );
        let order = make_comparator(column.as_ref(), wanted.as_ref(), Default::default());
        match order {
            Ok(order) => {
                for row in 0..wanted.len() {
                    let same = order(row, row).is_eq();
                    assert!(same, "{way}: row {row} of `{name}`:\n{column:?}\ninstead of\n{wanted:?}");
                }
            }
            Err(_) => assert_eq!(column.to_data(), wanted.to_data(), "{way}: `{name}`"),
        }
    }
}

#[tokio::test]
async fn a_nasty_table_survives_every_pair_of_formats() {
    for first in ALL {
        let place = Place::new();
        for second in ALL {
            let (batch, declared) = table(&[first, second]);
            write(&place.folder.path().join("a.parquet"), &batch);
            let way = format!("{first} and {second}");
            let (b, c) = (format!("b.{first}"), format!("c.{second}"));
            for (from, to) in [("a.parquet", b.as_str()), (b.as_str(), c.as_str()), (c.as_str(), "d.parquet")]
            {
                let text = |format: &str| from.ends_with(format);
                let config = match text(".csv") || text(".jsonl") || text(".json") || text(".xlsx") {
                    true => json!({"from": from, "to": to, "columns": declared}),
                    false => json!({"from": from, "to": to}),
                };
                let copied = place.copy(config).await;
                if let Err(error) = copied {
                    panic!("{way}: {from} to {to}: {}", error.problem.message);
                }
            }
            assert_same(&read(&place.folder.path().join("d.parquet")), &batch, &way);
        }
    }
}

#[tokio::test]
async fn what_a_format_cannot_carry_is_said() {
    let place = Place::new();
    let (batch, _) = table(&["parquet"]);
    write(&place.folder.path().join("a.parquet"), &batch);
    insta::assert_snapshot!(place.message(json!({"from": "a.parquet", "to": "b.orc"})).await, @"cannot write `[folder]/b.orc`: column `price` is Decimal128(12, 2), which ORC has no type for");
    let odd = json!({"from": "a.parquet", "to": "b.xml", "rename": {"note": "the note"}});
    insta::assert_snapshot!(place.message(odd).await, @r###"cannot write `[folder]/b.xml`: `the note` is no name in XML; `rename: {"the note": …}` gives it letters, digits, `_`, `-` and `.`"###);
    let odd = json!({"from": "a.parquet", "to": "b.avro", "rename": {"note": "the note"}});
    insta::assert_snapshot!(place.message(odd).await, @r###"cannot write `[folder]/b.avro`: `the note` is no name in Avro; `rename: {"the note": …}` gives it letters, digits and `_`"###);
    // What has no inner structure gets it as JSON text.
    place.copy(json!({"from": "a.parquet", "to": "b.csv"})).await.unwrap();
    let text = place.text("b.csv");
    assert!(text.contains(r#""{""inner"":{""number"":0,""name"":""n0""},""open"":true}""#), "{text}");
    for to in ["b.csv", "b.avro", "b.xlsx"] {
        place.copy(json!({"from": "a.parquet", "to": to})).await.unwrap();
    }
}
