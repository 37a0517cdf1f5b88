"""Writes Iceberg tables with PyIceberg, below the folder or bucket that the first argument names.

PyIceberg rewrites files when rows are deleted; the files of deletes that other engines write are made here with its writers of manifests.
"""
import datetime as dt, decimal, json, os, sys, uuid
import pyarrow as pa, pyarrow.parquet as pq
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.manifest import (DataFile, DataFileContent, FileFormat, ManifestContent, ManifestEntry, ManifestEntryStatus,
                                ManifestWriterV2, write_manifest_list)
from pyiceberg.schema import Schema
from pyiceberg.table.snapshots import Operation, Snapshot, Summary
from pyiceberg.table.update import AddSnapshotUpdate, SetSnapshotRefUpdate
from pyiceberg.transforms import BucketTransform, DayTransform, TruncateTransform
from pyiceberg.typedef import Record
from pyiceberg.types import DoubleType, IntegerType, LongType, NestedField, StringType

warehouse = sys.argv[1]
options = json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
catalog = SqlCatalog("test", uri="sqlite:///catalog.db", warehouse=warehouse, **options)
catalog.create_namespace_if_not_exists("db")

KINDS = pa.schema([
    ("i", pa.int32()), ("l", pa.int64()), ("f", pa.float32()), ("d", pa.float64()), ("b", pa.bool_()), ("s", pa.string()),
    ("n", pa.decimal128(20, 2)), ("day", pa.date32()), ("t", pa.time64("us")), ("at", pa.timestamp("us")),
    ("utc", pa.timestamp("us", "UTC")), ("bytes", pa.binary()), ("id", pa.binary(16)),
    ("tags", pa.list_(pa.string())), ("place", pa.struct([("x", pa.float64()), ("y", pa.string())])),
    ("facts", pa.map_(pa.string(), pa.int32())),
])
ROWS = [
    {"i": 1, "l": -2**63, "f": 0.5, "d": 1e300, "b": True, "s": "Zürich \"日本\"", "n": decimal.Decimal("123456789012345678.90"),
     "day": dt.date(1, 1, 1), "t": dt.time(6, 30, 0, 1), "at": dt.datetime(2026, 3, 1, 6, 0, 0, 250000),
     "utc": dt.datetime(2026, 3, 1, 6, tzinfo=dt.timezone.utc), "bytes": b"\x00\xff", "id": uuid.UUID(int=7).bytes,
     "tags": ["a", None], "place": {"x": 1.5, "y": None}, "facts": [("k", 1), ("l", None)]},
    {name: None for name in KINDS.names},
]


def versions():
    """Every type, in both formats."""
    for version in ["1", "2"]:
        table = catalog.create_table(f"db.types{version}", KINDS, properties={"format-version": version})
        table.append(pa.Table.from_pylist(ROWS, KINDS))
    catalog.create_table("db.empty", KINDS)


def evolved():
    """Columns that were renamed, widened, added, dropped and moved, within a struct too; a snapshot before and after."""
    schema = pa.schema([("id", pa.int32()), ("name", pa.string()), ("gone", pa.int32()), ("ratio", pa.float32()),
                        ("place", pa.struct([("x", pa.int32()), ("y", pa.string())]))])
    table = catalog.create_table("db.evolved", schema)
    table.append(pa.Table.from_pylist(
        [{"id": 1, "name": "a", "gone": 9, "ratio": 0.5, "place": {"x": 1, "y": "p"}}], schema))
    before = table.current_snapshot().snapshot_id
    with table.update_schema() as update:
        update.rename_column("name", "title")
        update.update_column("id", LongType())
        update.update_column("ratio", DoubleType())
        update.delete_column("gone")
        update.add_column("added", StringType())
        update.rename_column(("place", "y"), "why")
        update.update_column(("place", "x"), LongType())
        update.add_column(("place", "z"), StringType())
    with table.update_schema() as update:
        update.move_first("title")
    schema = table.schema().as_arrow()
    table.append(pa.Table.from_pylist(
        [{"title": "b", "id": 2**40, "ratio": 0.25, "added": "new", "place": {"x": 2**33, "why": "q", "z": "r"}}], schema))
    return {"before": before, "rows": table.scan().to_arrow().to_pylist()}


def divided():
    """Partitioned by day, bucket and a prefix."""
    schema = pa.schema([("id", pa.int64()), ("at", pa.timestamp("us")), ("word", pa.string())])
    table = catalog.create_table("db.divided", schema, properties={"write.metadata.metrics.default": "none"})
    with table.update_spec() as update:
        update.add_field("at", DayTransform(), "day")
        update.add_field("word", TruncateTransform(1), "letter")
    rows = [{"id": n, "at": dt.datetime(2026, 3, 1 + n % 3, n), "word": "abc"[n % 3] + str(n)} for n in range(9)]
    table.append(pa.Table.from_pylist(rows + [{"id": 99, "at": None, "word": None}], schema))
    return {"files": {str(f["partition"]["day"]): f["file_path"] for f in table.inspect.files().to_pylist()}}


class DeleteWriter(ManifestWriterV2):
    def content(self):
        return ManifestContent.DELETES

    @property
    def _meta(self):
        return {**super()._meta, "content": "deletes"}


def delete(table, files):
    """One commit of files of deletes."""
    table.refresh()
    before, sequence = table.current_snapshot(), table.metadata.last_sequence_number + 1
    snapshot = table.metadata.new_snapshot_id()
    manifest = table.io.new_output(f"{table.location()}/metadata/deletes-{snapshot}.avro")
    with DeleteWriter(table.spec(), table.schema(), manifest, snapshot, "deflate") as writer:
        for file in files:
            writer.add(ManifestEntry.from_args(
                status=ManifestEntryStatus.ADDED, snapshot_id=snapshot, sequence_number=None, data_file=file))
    path = f"{table.location()}/metadata/snap-{snapshot}.avro"
    with write_manifest_list(2, table.io.new_output(path), snapshot, before.snapshot_id, sequence, "deflate") as listing:
        listing.add_manifests(before.manifests(table.io) + [writer.to_manifest_file()])
    now = Snapshot(snapshot_id=snapshot, parent_snapshot_id=before.snapshot_id, sequence_number=sequence, manifest_list=path,
                   timestamp_ms=before.timestamp_ms + 1, summary=Summary(Operation.DELETE), schema_id=table.schema().schema_id)
    with table.transaction() as change:
        change._apply((AddSnapshotUpdate(snapshot=now),
                       SetSnapshotRefUpdate(ref_name="main", type="branch", snapshot_id=snapshot)))


def delete_file(table, name, rows, content, ids=None, partition=Record()):
    path = f"{table.location()}/data/{name}.parquet"
    with table.io.new_output(path).create(overwrite=True) as out:
        pq.write_table(rows, out)
    return DataFile.from_args(_table_format_version=2, content=content, file_path=path, file_format=FileFormat.PARQUET, partition=partition,
                              record_count=rows.num_rows, file_size_in_bytes=len(table.io.new_input(path)), equality_ids=ids,
                              column_sizes={}, value_counts={}, null_value_counts={}, nan_value_counts={}, lower_bounds={},
                              upper_bounds={}, key_metadata=None, split_offsets=None, sort_order_id=None, spec_id=table.spec().spec_id)


def column(name, kind, id, nullable=True):
    return pa.field(name, kind, nullable, {"PARQUET:field_id": str(id)})


def deleted():
    """Rows that are deleted by their place and by values, and some that were written again since."""
    schema = pa.schema([("id", pa.int64()), ("word", pa.string())])
    table = catalog.create_table("db.deleted", schema)
    table.append(pa.Table.from_pylist([{"id": n, "word": None if n == 5 else f"w{n}"} for n in range(10)], schema))
    [file] = [f["file_path"] for f in table.inspect.files().to_pylist()]
    places = pa.schema([column("file_path", pa.string(), 2147483546, False), column("pos", pa.int64(), 2147483545, False)])
    delete(table, [delete_file(table, "places", pa.Table.from_pylist(
        [{"file_path": file, "pos": n} for n in [0, 9]] + [{"file_path": file + ".other", "pos": 1}], places),
        DataFileContent.POSITION_DELETES)])
    by_place = sorted(row["id"] for row in table.refresh().scan().to_arrow().to_pylist())
    values = pa.schema([column("word", pa.string(), 2)])
    delete(table, [delete_file(table, "values", pa.Table.from_pylist([{"word": "w3"}, {"word": None}], values),
                               DataFileContent.EQUALITY_DELETES, [2])])
    # The same values again: the deletes are older and let them be.
    table.refresh().append(pa.Table.from_pylist([{"id": 30, "word": "w3"}, {"id": 31, "word": None}], schema))
    return {"by_place": by_place}


if options:
    evolved()
else:
    versions()
    print(json.dumps({"evolved": evolved(), "divided": divided(), "deleted": deleted()}, default=str))
