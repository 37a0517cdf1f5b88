use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use futures::StreamExt as _;
use millrace_contract::{
    BatchStream, ByKey, QueryEngine as _, QueryError, QueryRequest, TableMoment, TableRef, WriteMode,
};
use millrace_transform::{DataFusionEngine, EngineConfig, rows};
use serde_json::json;

fn engine(folder: &Path) -> DataFusionEngine {
    DataFusionEngine::new(EngineConfig::new(folder.join("spill")))
}

fn uri(folder: &Path) -> String {
    format!("file://{}", folder.join("table").display())
}

fn batch(from: i64, to: i64) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(from..to));
    let names: ArrayRef =
        Arc::new((from..to).map(|id| (id % 3 != 0).then(|| format!("n{}", id % 5))).collect::<StringArray>());
    let prices: ArrayRef = Arc::new(Float64Array::from_iter_values((from..to).map(|id| id as f64 / 2.0)));
    let small: ArrayRef = Arc::new(UInt32Array::from_iter_values((from..to).map(|id| id as u32)));
    RecordBatch::try_from_iter_with_nullable([
        ("id", ids, true),
        ("name", names, true),
        ("price", prices, true),
        ("small", small, true),
    ])
    .unwrap()
}

fn stream(batches: Vec<RecordBatch>) -> BatchStream {
    BatchStream::from_batches(batches[0].schema(), batches)
}

async fn count(engine: &DataFusionEngine, uri: &str, version: u64) -> usize {
    let table = TableRef::Delta { uri: uri.to_owned(), version };
    engine
        .scan(&table, None, None)
        .await
        .unwrap()
        .collect()
        .await
        .unwrap()
        .iter()
        .map(RecordBatch::num_rows)
        .sum()
}

#[tokio::test]
async fn each_write_is_one_version_and_old_ones_stay_readable() {
    let temp = tempfile::tempdir().unwrap();
    let (engine, uri) = (engine(temp.path()), uri(temp.path()));
    let first = engine.write_table(&uri, stream(vec![batch(0, 10)]), WriteMode::Overwrite).await.unwrap();
    let second = engine.write_table(&uri, stream(vec![batch(10, 30)]), WriteMode::Append).await.unwrap();
    let third = engine
        .write_table(&uri, stream(vec![batch(5, 30), batch(0, 5)]), WriteMode::Overwrite)
        .await
        .unwrap();
    assert_eq!((first.delta_version, first.rows), (0, 10));
    assert_eq!((second.delta_version, second.rows), (1, 30));
    assert_eq!((third.delta_version, third.rows), (2, 30));
    assert_ne!(first.digest, second.digest);
    assert_eq!(second.digest, third.digest, "the same rows in another order and other files");
    for (version, rows) in [(0, 10), (1, 30), (2, 30)] {
        assert_eq!(count(&engine, &uri, version).await, rows);
    }
    let log = std::fs::read_dir(temp.path().join("table/_delta_log")).unwrap().count();
    assert_eq!(log, 3);
}

/// With a column that only the last rows have.
fn wider(batch: &RecordBatch, extra: Option<i64>) -> RecordBatch {
    let values: ArrayRef = Arc::new((0..batch.num_rows()).map(|_| extra).collect::<Int64Array>());
    let names = batch.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    let columns = names.into_iter().zip(batch.columns().iter().cloned());
    let columns = columns.chain([("extra".to_owned(), values)]).map(|(name, column)| (name, column, true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

#[tokio::test]
async fn added_rows_may_bring_columns() {
    let temp = tempfile::tempdir().unwrap();
    let (engine, uri) = (engine(temp.path()), uri(temp.path()));
    engine.write_table(&uri, stream(vec![batch(0, 10)]), WriteMode::Overwrite).await.unwrap();
    let new = || stream(vec![wider(&batch(10, 20), Some(7))]);
    let error = engine.write_table(&uri, new(), WriteMode::Append).await.unwrap_err().to_string();
    assert!(error.contains("append wants the same ones in the same order"), "{error}");
    let written = engine.write_table(&uri, new(), WriteMode::AppendColumns).await.unwrap();
    assert_eq!((written.delta_version, written.rows), (1, 20));
    // The same as if all rows had had the column from the start.
    let whole = format!("file://{}", temp.path().join("whole").display());
    let all = stream(vec![wider(&batch(0, 10), None), wider(&batch(10, 20), Some(7))]);
    let all = engine.write_table(&whole, all, WriteMode::Overwrite).await.unwrap();
    assert_eq!((written.digest, written.schema), (all.digest, all.schema));
    let table = TableRef::Delta { uri: uri.clone(), version: 1 };
    let rows =
        engine.scan(&table, Some(vec!["extra".to_owned()]), None).await.unwrap().collect().await.unwrap();
    assert_eq!(rows.iter().map(|rows| rows.column(0).null_count()).sum::<usize>(), 10);
    // The columns are the table's now; more rows are added as ever.
    let more = stream(vec![wider(&batch(20, 30), None)]);
    assert_eq!(engine.write_table(&uri, more, WriteMode::Append).await.unwrap().rows, 30);
}

/// Writers at once, the first of them at a table that is not there yet: each is a version of its own, and none loses rows of another.
#[tokio::test]
async fn writers_at_once_commit_one_after_another() {
    for mode in [WriteMode::Append, WriteMode::Overwrite] {
        let temp = tempfile::tempdir().unwrap();
        let uri = uri(temp.path());
        let writes = (0..6).map(|part| {
            // An engine each: nothing but the table's own log lies between two processes either.
            let (engine, uri) = (engine(temp.path()), uri.clone());
            tokio::spawn(async move {
                engine.write_table(&uri, stream(vec![batch(part * 10, part * 10 + 10)]), mode).await.unwrap()
            })
        });
        let writes: Vec<_> = writes.collect();
        let mut written = Vec::new();
        for write in writes {
            written.push(write.await.unwrap());
        }
        written.sort_by_key(|table| table.delta_version);
        let versions: Vec<u64> = written.iter().map(|table| table.delta_version).collect();
        assert_eq!(versions, [0, 1, 2, 3, 4, 5], "{mode:?}");
        let engine = engine(temp.path());
        for table in &written {
            let rows = if mode == WriteMode::Append { (table.delta_version + 1) * 10 } else { 10 };
            assert_eq!(table.rows, rows, "{mode:?}");
            assert_eq!(count(&engine, &uri, table.delta_version).await as u64, rows, "{mode:?}");
        }
        if mode == WriteMode::Append {
            let alone = format!("file://{}", temp.path().join("alone").display());
            let alone = engine.write_table(&alone, stream(vec![batch(0, 60)]), WriteMode::Overwrite).await;
            assert_eq!(written[5].digest, alone.unwrap().digest, "the digest counts every row once");
        }
    }
}

#[tokio::test]
async fn a_write_that_fails_leaves_no_version_and_no_file() {
    let temp = tempfile::tempdir().unwrap();
    let (engine, uri) = (engine(temp.path()), uri(temp.path()));
    engine.write_table(&uri, stream(vec![batch(0, 10)]), WriteMode::Overwrite).await.unwrap();
    let schema = batch(0, 1).schema();
    let broken =
        futures::stream::iter([Ok(batch(0, 1000)), Err(QueryError::Source { message: "gone".to_owned() })]);
    let rows = BatchStream { schema: schema.clone(), batches: Box::pin(broken) };
    let error = engine.write_table(&uri, rows, WriteMode::Overwrite).await.unwrap_err();
    assert_eq!(error.to_string(), "the rows could not be produced: gone");
    // A stream that never ends, dropped in the middle, as a cancelled step drops it.
    let endless = futures::stream::iter([Ok(batch(0, 1000))]).chain(futures::stream::pending());
    let rows = BatchStream { schema, batches: Box::pin(endless) };
    let write = engine.write_table(&uri, rows, WriteMode::Overwrite);
    assert!(futures::future::poll_immediate(Box::pin(write)).await.is_none());
    let again = engine.write_table(&uri, stream(vec![batch(0, 3)]), WriteMode::Overwrite).await.unwrap();
    assert_eq!(again.delta_version, 1);
    let files = std::fs::read_dir(temp.path().join("table")).unwrap();
    assert_eq!(
        files.filter(|f| f.as_ref().unwrap().file_name().to_string_lossy().ends_with("parquet")).count(),
        2
    );
}

#[tokio::test]
async fn a_profile_counts_what_is_there() {
    let temp = tempfile::tempdir().unwrap();
    let (engine, uri) = (engine(temp.path()), uri(temp.path()));
    let written = engine.write_table(&uri, stream(vec![batch(0, 100)]), WriteMode::Overwrite).await.unwrap();
    let profile = engine.profile(&TableRef::Delta { uri, version: written.delta_version }).await.unwrap();
    assert_eq!(profile.rows, 100);
    let [id, name, price, _] = profile.columns.as_slice() else { panic!("four columns") };
    assert_eq!((id.nulls, &id.min, &id.max), (0, &json!(0), &json!(99)));
    assert!((95..=105).contains(&id.distinct), "{}", id.distinct);
    assert_eq!(id.mean, Some(49.5));
    assert_eq!(id.histogram.iter().map(|bin| bin.count).sum::<u64>(), 100);
    assert_eq!((name.nulls, name.distinct), (34, 5));
    assert_eq!(name.top.iter().map(|top| top.count).sum::<u64>(), 100);
    assert_eq!(price.quantiles.len(), 5);
}

#[tokio::test]
async fn parquet_files_are_the_version_s_own() {
    let temp = tempfile::tempdir().unwrap();
    let (engine, uri) = (engine(temp.path()), uri(temp.path()));
    engine.write_table(&uri, stream(vec![batch(0, 10)]), WriteMode::Overwrite).await.unwrap();
    engine.write_table(&uri, stream(vec![batch(0, 20)]), WriteMode::Overwrite).await.unwrap();
    let table = TableRef::Delta { uri: uri.clone(), version: 0 };
    let files = engine.parquet_files(&table, &temp.path().join("copy")).await.unwrap();
    assert_eq!(files.len(), 1);
    assert!(files[0].starts_with(temp.path().join("table")));
    let csv = temp.path().join("a.csv");
    std::fs::write(&csv, "a,b\n1,x\n2,y\n").unwrap();
    let table = TableRef::Csv { uri: format!("file://{}", csv.display()) };
    let files = engine.parquet_files(&table, &temp.path().join("copy")).await.unwrap();
    let back = TableRef::Parquet { uri: format!("file://{}", files[0].display()) };
    let batches =
        engine.scan(&back, Some(vec!["b".to_owned()]), None).await.unwrap().collect().await.unwrap();
    assert_eq!(rows::to_json(&batches), vec![json!({"b": "x"}), json!({"b": "y"})]);
}

/// Rows of a table by `id`, as text.
async fn found(engine: &DataFusionEngine, uri: &str) -> Vec<String> {
    let version = engine.table_version(uri, &TableMoment::Newest).await.unwrap().unwrap();
    let table = TableRef::Delta { uri: uri.to_owned(), version };
    let batches = engine.scan(&table, None, None).await.unwrap().collect().await.unwrap();
    let mut rows = Vec::new();
    for batch in &batches {
        let id = batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap();
        let price = batch.column(2).as_any().downcast_ref::<Float64Array>().unwrap();
        rows.extend((0..batch.num_rows()).map(|row| (id.value(row), price.value(row))));
    }
    rows.sort_by(|one, other| one.partial_cmp(other).unwrap());
    rows.iter().map(|(id, price)| format!("{id}:{price}")).collect()
}

fn keys() -> Vec<String> {
    vec!["id".to_owned()]
}

fn by(columns: &[String]) -> ByKey<'_> {
    ByKey { columns, change: None }
}

#[tokio::test]
async fn rows_replace_those_with_their_keys_once() {
    let temp = tempfile::tempdir().unwrap();
    let (engine, uri) = (engine(temp.path()), uri(temp.path()));
    // A table that is not there yet: of rows with one key the last counts.
    let first = engine
        .merge_table_once(&uri, stream(vec![batch(0, 3), batch(2, 4)]), by(&keys()), "a")
        .await
        .unwrap();
    assert_eq!((first.delta_version, first.rows), (0, 4));
    let dearer = |from, to| {
        let rows = batch(from, to);
        let prices: ArrayRef =
            Arc::new(Float64Array::from_iter_values((from..to).map(|id| id as f64 * 10.0)));
        let columns = vec![rows.column(0).clone(), rows.column(1).clone(), prices, rows.column(3).clone()];
        RecordBatch::try_new(rows.schema(), columns).unwrap()
    };
    let second = engine.merge_table_once(&uri, stream(vec![dearer(3, 6)]), by(&keys()), "b").await.unwrap();
    assert_eq!((second.delta_version, second.rows), (1, 6));
    assert_eq!(found(&engine, &uri).await, ["0:0", "1:0.5", "2:1", "3:30", "4:40", "5:50"]);
    // The same key again, as after a kill: nothing happens, whatever the rows are.
    let again = engine.merge_table_once(&uri, stream(vec![dearer(0, 9)]), by(&keys()), "b").await.unwrap();
    assert_eq!(again, second);
    // No rows are a version like any other.
    let none = BatchStream::from_batches(batch(0, 1).schema(), Vec::new());
    let third = engine.merge_table_once(&uri, none, by(&keys()), "c").await.unwrap();
    assert_eq!((third.delta_version, third.rows, third.digest), (2, 6, second.digest));
    let unnamed = vec!["absent".to_owned()];
    let error =
        engine.merge_table_once(&uri, stream(vec![batch(0, 1)]), by(&unnamed), "d").await.unwrap_err();
    assert!(error.to_string().contains("`absent`"), "{error}");
    let empty = vec!["name".to_owned()];
    let error = engine.merge_table_once(&uri, stream(vec![batch(0, 1)]), by(&empty), "e").await.unwrap_err();
    assert!(error.to_string().contains("a row has no value in `name`"), "{error}");
    let kept = std::fs::read_dir(temp.path().join("spill")).unwrap();
    let kept =
        kept.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("upsert"));
    assert_eq!(kept.count(), 0, "nothing is left");
}

#[tokio::test]
async fn rows_do_what_they_say() {
    let temp = tempfile::tempdir().unwrap();
    let (engine, uri) = (engine(temp.path()), uri(temp.path()));
    let keys = keys();
    let by = ByKey { columns: &keys, change: Some("_op") };
    // Rows of `batch`, each with what it does.
    let changes = |changes: &[(i64, f64, &str)]| {
        let rows: Vec<RecordBatch> = changes.iter().map(|(id, ..)| batch(*id, id + 1)).collect();
        let rows = arrow::compute::concat_batches(&batch(0, 1).schema(), &rows).unwrap();
        let prices: ArrayRef =
            Arc::new(Float64Array::from_iter_values(changes.iter().map(|(_, price, _)| *price)));
        let words: ArrayRef = Arc::new(StringArray::from_iter_values(changes.iter().map(|(.., word)| *word)));
        let mut fields: Vec<_> = rows.schema().fields().iter().cloned().collect();
        fields.insert(0, Arc::new(Field::new("_op", DataType::Utf8, true)));
        let columns =
            vec![words, rows.column(0).clone(), rows.column(1).clone(), prices, rows.column(3).clone()];
        stream(vec![RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()])
    };
    // Nothing is there yet: what updates and deletes finds nothing, but what was added before it.
    let first = changes(&[
        (1, 1.0, "insert"),
        (2, 2.0, "U"),
        (3, 3.0, "d"),
        (4, 4.0, "upsert"),
        (5, 5.0, "c"),
        (5, 5.5, "u"),
    ]);
    let written = engine.merge_table_once(&uri, first, by, "a").await.unwrap();
    assert_eq!((written.delta_version, written.rows), (0, 3));
    assert_eq!(found(&engine, &uri).await, ["1:1", "4:4", "5:5.5"]);
    let second = changes(&[
        (1, 10.0, "update"),
        (2, 20.0, "update"),
        (4, 0.0, "delete"),
        (5, 0.0, "D"),
        (5, 50.0, "I"),
        (6, 60.0, "r"),
        (7, 70.0, "insert"),
        (7, 0.0, "delete"),
        (7, 71.0, "update"),
    ]);
    let written = engine.merge_table_once(&uri, second, by, "b").await.unwrap();
    assert_eq!(written.rows, 3);
    assert_eq!(found(&engine, &uri).await, ["1:10", "5:50", "6:60"]);
    // What is there stays as it is if a row cannot be taken.
    let error =
        engine.merge_table_once(&uri, changes(&[(2, 2.0, "i"), (6, 1.0, "i")]), by, "c").await.unwrap_err();
    assert!(
        error.to_string().contains("1 rows are to be inserted, and their keys are there already"),
        "{error}"
    );
    let error =
        engine.merge_table_once(&uri, changes(&[(2, 2.0, "i"), (3, 1.0, "x")]), by, "d").await.unwrap_err();
    assert!(
        error.to_string().contains("row 2: `_op` is `x`, and not one of insert, update, upsert, delete"),
        "{error}"
    );
    assert_eq!(found(&engine, &uri).await, ["1:10", "5:50", "6:60"]);
}

#[tokio::test]
async fn writers_that_replace_at_once_lose_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let uri = uri(temp.path());
    engine(temp.path()).write_table(&uri, stream(vec![batch(0, 10)]), WriteMode::Overwrite).await.unwrap();
    let writes: Vec<_> = (0..4)
        .map(|part| {
            let (engine, uri) = (engine(temp.path()), uri.clone());
            tokio::spawn(async move {
                let rows = stream(vec![batch(part * 5, part * 5 + 8)]);
                engine.merge_table_once(&uri, rows, by(&keys()), &format!("w{part}")).await.unwrap()
            })
        })
        .collect();
    for write in writes {
        write.await.unwrap();
    }
    let rows: Vec<String> = (0..23).map(|id| format!("{id}:{}", id as f64 / 2.0)).collect();
    assert_eq!(found(&engine(temp.path()), &uri).await, rows);
}

#[tokio::test]
async fn a_plan_is_explained_and_a_table_is_read_as_its_files() {
    let temp = tempfile::tempdir().unwrap();
    let (engine, uri) = (engine(temp.path()), uri(temp.path()));
    for from in [0, 10] {
        engine.write_table(&uri, stream(vec![batch(from, from + 10)]), WriteMode::Append).await.unwrap();
    }
    let ask = async |sql: &str, limit: Option<usize>| {
        let request = QueryRequest {
            sql: sql.to_owned(),
            params: Vec::new(),
            tables: [("t".to_owned(), TableRef::Delta { uri: uri.clone(), version: 1 })].into(),
            limit,
        };
        engine.query(request).await.unwrap().collect().await.unwrap()
    };
    // Who reads rows reads the first few; a plan has no rows of which there might be too many.
    let plan = format!("{:?}", ask("explain select count(*) from t where id > 15", Some(1)).await);
    assert!(plan.contains("physical_plan") && plan.contains(".zstd.parquet"), "{plan}");
    let done = format!("{:?}", ask("explain analyze select * from t where id > 15", Some(1)).await);
    assert!(done.contains("output_rows=4"), "{done}");
    assert_eq!(
        ask("select id from t where id > 15", None).await.iter().map(|b| b.num_rows()).sum::<usize>(),
        4
    );
}
