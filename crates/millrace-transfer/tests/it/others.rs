//! Files that other programs wrote, and those that they read.

use std::process::Command;

use serde_json::json;

use crate::Place;
use crate::formats::rejects;

/// The interpreter with other programs' readers and writers.
#[allow(clippy::disallowed_methods, reason = "a test is told by its environment where the interpreters are")]
fn python(place: &Place, program: &str) -> bool {
    let Some(python) = std::env::var_os("MILLRACE_TEST_FORMATS") else {
        println!(
            "skipped: MILLRACE_TEST_FORMATS names no interpreter with pyarrow; `cargo xtask test` sets it"
        );
        return false;
    };
    let output =
        Command::new(python).args(["-c", program]).current_dir(place.folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    true
}

const WRITE: &str = r#"
import datetime as dt, decimal, json
import pyarrow as pa, pyarrow.parquet as pq, pyarrow.orc as orc, pyarrow.feather as feather, fastavro, openpyxl
import polars as pl
rows = [
    {"id": 1, "name": "Zürich \"日本\"\n", "price": decimal.Decimal("12345678901234567890.12"), "day": dt.date(2026, 3, 1),
     "at": dt.datetime(2026, 3, 1, 6, 0, 0, 250000), "tags": ["a", None], "place": {"x": 1.5, "y": None}},
    {"id": None, "name": None, "price": None, "day": None, "at": None, "tags": None, "place": None},
    {"id": -9223372036854775808, "name": "", "price": decimal.Decimal("-0.01"), "day": dt.date(1, 1, 1),
     "at": dt.datetime(1970, 1, 1), "tags": [], "place": {"x": None, "y": "é"}},
]
schema = pa.schema([("id", pa.int64()), ("name", pa.string()), ("price", pa.decimal128(22, 2)), ("day", pa.date32()),
    ("at", pa.timestamp("us")), ("tags", pa.list_(pa.string())), ("place", pa.struct([("x", pa.float64()), ("y", pa.string())]))])
table = pa.Table.from_pylist(rows, schema)
pq.write_table(table, "pyarrow.parquet", compression="brotli", data_page_version="2.0")
orc.write_table(table, "pyarrow.orc", compression="zlib")
feather.write_feather(table, "pyarrow.feather", compression="lz4")
with pa.ipc.new_stream("pyarrow.arrows", schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as out:
    out.write_table(table)
pl.from_arrow(table).write_parquet("polars.parquet")
pl.from_arrow(table).write_ipc("polars.arrow", compression="zstd")
pl.from_arrow(table).write_ndjson("polars.jsonl")
avro = fastavro.parse_schema({"type": "record", "name": "row", "fields": [
    {"name": "id", "type": ["null", "long"]}, {"name": "name", "type": ["null", "string"]},
    {"name": "price", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 22, "scale": 2}]},
    {"name": "day", "type": ["null", {"type": "int", "logicalType": "date"}]},
    {"name": "at", "type": ["null", {"type": "long", "logicalType": "local-timestamp-micros"}]},
    {"name": "tags", "type": ["null", {"type": "array", "items": ["null", "string"]}]},
    {"name": "place", "type": ["null", {"type": "record", "name": "place", "fields": [
        {"name": "x", "type": ["null", "double"]}, {"name": "y", "type": ["null", "string"]}]}]}]})
for codec in ["null", "deflate"]:
    with open(f"fastavro-{codec}.avro", "wb") as out:
        fastavro.writer(out, avro, rows, codec=codec)
book = openpyxl.Workbook()
sheet = book.active
sheet.append(["id", "name", "day", "at", "share", "yes", "clock", "formula"])
sheet.append([1, "Zürich", dt.date(2026, 3, 1), dt.datetime(2026, 3, 1, 6, 30), 0.5, True, dt.time(6, 30), "=A2+1"])
sheet.append([2, None, dt.date(2024, 2, 29), None, 3, False, None, None])
sheet.append([])
sheet.append(["x", None, None, None, None, None, None, None])
book.create_sheet("second").append(["only"])
book.save("openpyxl.xlsx")
"#;

#[tokio::test]
async fn files_that_others_wrote() {
    let place = Place::new();
    if !python(&place, WRITE) {
        return;
    }
    let expected = "{\"id\":1,\"name\":\"Zürich \\\"日本\\\"\\n\",\"price\":12345678901234567890.12,\"day\":\"2026-03-01\",\"at\":\"2026-03-01T06:00:00.250\",\"tags\":[\"a\",null],\"place\":{\"x\":1.5,\"y\":null}}
{\"id\":null,\"name\":null,\"price\":null,\"day\":null,\"at\":null,\"tags\":null,\"place\":null}
{\"id\":-9223372036854775808,\"name\":\"\",\"price\":-0.01,\"day\":\"0001-01-01\",\"at\":\"1970-01-01T00:00:00\",\"tags\":[],\"place\":{\"x\":null,\"y\":\"é\"}}
";
    let files = [
        "pyarrow.parquet",
        "pyarrow.orc",
        "pyarrow.feather",
        "pyarrow.arrows",
        "polars.parquet",
        "polars.arrow",
        "fastavro-null.avro",
        "fastavro-deflate.avro",
    ];
    for file in files {
        let copied = place.copy(json!({"from": file, "to": "out.jsonl"})).await;
        assert!(copied.is_ok(), "{file}: {}", copied.unwrap_err().problem.message);
        assert_eq!(place.text("out.jsonl"), expected, "{file}");
    }
    assert_eq!(place.copy(json!({"from": "polars.jsonl", "to": "out.jsonl"})).await.unwrap().rows, Some(3));
    let config = json!({"from": "openpyxl.xlsx", "to": "out.csv", "columns": {"id": "integer"}});
    let (rows, text) = rejects(&place, &config).await;
    assert_eq!((rows, text.contains("`x` in cell A5 is not of the type integer")), (2, true), "{text}");
    insta::assert_snapshot!(place.text("out.csv"), @r###"
    id,name,day,at,share,yes,clock,formula
    1,Zürich,2026-03-01,2026-03-01T06:30:00,0.5,true,06:30:00,
    2,,2024-02-29,,3.0,false,,
    "###);
    place
        .copy(json!({"from": "openpyxl.xlsx", "to": "out.csv", "sheet": "second", "header": false}))
        .await
        .unwrap();
    assert_eq!(place.text("out.csv"), "column_1\nonly\n");
}

const READ: &str = r#"
import datetime as dt, decimal, glob
import pyarrow.parquet as pq, pyarrow.orc as orc, pyarrow.feather as feather, pyarrow as pa, fastavro, openpyxl, polars as pl
expected = [
    {"id": 1, "name": "a,\"b\"", "share": 0.5, "day": dt.date(2026, 3, 1), "at": dt.datetime(2026, 3, 1, 6, 0, 0, 250000), "yes": True},
    {"id": 2, "name": None, "share": None, "day": None, "at": None, "yes": None},
]
assert pq.read_table("out.parquet").to_pylist() == expected
assert orc.read_table("out.orc").to_pylist() == expected
assert feather.read_table("out.arrow").to_pylist() == expected
assert pa.ipc.open_stream("out.arrows").read_all().to_pylist() == expected
assert pl.read_parquet("out.parquet").to_dicts() == expected
assert pl.read_ipc("out.arrow").to_dicts() == expected
rows = list(fastavro.reader(open("out.avro", "rb")))
assert rows == expected, rows
sheet = openpyxl.load_workbook("out.xlsx")["Sheet1"]
values = [list(row) for row in sheet.iter_rows(values_only=True)]
assert values[0] == list(expected[0]), values
assert values[1] == [1, "a,\"b\"", 0.5, dt.datetime(2026, 3, 1), dt.datetime(2026, 3, 1, 6, 0, 0, 250000), True], values
assert values[2] == [2, None, None, None, None, None], values
"#;

#[tokio::test]
async fn others_read_what_is_written() {
    let place = Place::new();
    place.file(
        "a.csv",
        "id,name,share,day,at,yes\n1,\"a,\"\"b\"\"\",0.5,2026-03-01,2026-03-01T06:00:00.250,true\n2,,,,,\n",
    );
    for ending in ["parquet", "orc", "arrow", "arrows", "xlsx"] {
        place.copy(json!({"from": "a.csv", "to": format!("out.{ending}")})).await.unwrap();
    }
    let to = json!({"path": "out.avro", "compression": "gzip"});
    place.copy(json!({"from": "a.csv", "to": to})).await.unwrap();
    python(&place, READ);
}
