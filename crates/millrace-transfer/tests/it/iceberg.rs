//! Iceberg tables that PyIceberg wrote, in a folder, in a bucket of a real S3 server and in Azurite.

use std::path::Path;
use std::process::Command;

use millrace_storage::testing::TestS3;
use serde_json::{Value, json};

use crate::{Place, stores};

/// Writes the tables into a warehouse, and tells what PyIceberg says of them; `None` without PyIceberg.
#[allow(clippy::disallowed_methods, reason = "a test is told by its environment where the interpreters are")]
fn written(folder: &Path, warehouse: &str, options: Option<&Value>) -> Option<Value> {
    let Some(python) = std::env::var_os("MILLRACE_TEST_FORMATS") else {
        println!(
            "skipped: MILLRACE_TEST_FORMATS names no interpreter with pyiceberg; `cargo xtask test` sets it"
        );
        return None;
    };
    let mut command = Command::new(python);
    command.args(["-c", include_str!("iceberg.py"), warehouse]).current_dir(folder).env("NO_PROXY", "*");
    if let Some(options) = options {
        command.arg(options.to_string());
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap_or_default())
}

/// A place whose folder `wh` is a warehouse, and what PyIceberg says of its tables.
fn warehouse() -> Option<(Place, Value)> {
    let place = Place::new();
    let folder = place.folder.path();
    let said = written(folder, &format!("file://{}/wh", folder.display()), None)?;
    Some((place, said))
}

async fn rows(place: &Place, table: &str) -> Vec<Value> {
    let copied = place.copy(json!({"from": format!("iceberg:{table}"), "to": "out.jsonl"})).await;
    assert!(copied.is_ok(), "{table}: {}", copied.unwrap_err().problem.message);
    place.text("out.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn every_type_of_both_formats() {
    let Some((place, _)) = warehouse() else { return };
    for table in ["wh/db/types1", "wh/db/types2"] {
        rows(&place, table).await;
        insta::allow_duplicates! {
            insta::assert_snapshot!(place.text("out.jsonl"), @r#"
            {"i":1,"l":-9223372036854775808,"f":0.5,"d":1.0e300,"b":true,"s":"Zürich \"日本\"","n":123456789012345678.90,"day":"0001-01-01","t":"06:30:00.000001","at":"2026-03-01T06:00:00.250","utc":"2026-03-01T06:00:00Z","bytes":"00ff","id":"00000000000000000000000000000007","tags":["a",null],"place":{"x":1.5,"y":null},"facts":{"k":1,"l":null}}
            {"i":null,"l":null,"f":null,"d":null,"b":null,"s":null,"n":null,"day":null,"t":null,"at":null,"utc":null,"bytes":null,"id":null,"tags":null,"place":null,"facts":null}
            "#);
        }
    }
    let copied = place.copy(json!({"from": "iceberg:wh/db/empty", "to": "out.csv"})).await.unwrap();
    assert_eq!(copied.rows, Some(0));
    assert_eq!(place.text("out.csv").trim_end(), "i,l,f,d,b,s,n,day,t,at,utc,bytes,id,tags,place,facts");
    assert_eq!(copied.sources[0].name, "iceberg:wh/db/empty");
}

#[tokio::test]
async fn columns_are_those_of_now_and_of_then() {
    let Some((place, said)) = warehouse() else { return };
    let now = rows(&place, "wh/db/evolved").await;
    let mut expected = said["evolved"]["rows"].as_array().unwrap().clone();
    expected.sort_by_key(|row| row["id"].as_i64());
    let mut found = now.clone();
    found.sort_by_key(|row| row["id"].as_i64());
    assert_eq!(found, expected);
    let before = &said["evolved"]["before"];
    let then = json!({"id": 1, "name": "a", "gone": 9, "ratio": 0.5, "place": {"x": 1, "y": "p"}});
    assert_eq!(rows(&place, &format!("wh/db/evolved@{before}")).await, [then]);
    assert_eq!(rows(&place, "wh/db/evolved@2100-01-01T00:00:00Z").await, now);
    let early = json!({"from": "iceberg:wh/db/evolved@2001-01-01T00:00:00Z", "to": "out.csv"});
    let message = place.message(early).await;
    assert!(
        message.starts_with("cannot read `iceberg:wh/db/evolved`: it had no snapshot at that time;"),
        "{message}"
    );
    // The table as it was when it was made, by its metadata file.
    let metadata = place.folder.path().join("wh/db/evolved/metadata");
    let first = stores::files_below(&metadata).into_iter().find(|name| name.starts_with("00000-")).unwrap();
    assert_eq!(rows(&place, &format!("wh/db/evolved/metadata/{first}")).await, [] as [Value; 0]);
}

#[tokio::test]
async fn deleted_rows_are_left_out() {
    let Some((place, said)) = warehouse() else { return };
    let mut ids: Vec<i64> = Vec::new();
    for row in rows(&place, "wh/db/deleted").await {
        ids.push(row["id"].as_i64().unwrap());
    }
    ids.sort_unstable();
    // What PyIceberg leaves, which knows deletes by place alone, without `w3` and null; and both again, which came later.
    let by_place = said["deleted"]["by_place"].as_array().unwrap().iter().map(|id| id.as_i64().unwrap());
    let expected: Vec<i64> = by_place.filter(|id| ![3, 5].contains(id)).chain([30, 31]).collect();
    assert_eq!(ids, expected);
    assert_eq!(expected, [1, 2, 4, 6, 7, 8, 30, 31]);
}

#[tokio::test]
async fn a_table_that_is_divided_and_was_moved() {
    let Some((place, _)) = warehouse() else { return };
    let folder = place.folder.path();
    std::fs::rename(folder.join("wh/db/divided"), folder.join("moved")).unwrap();
    let found = rows(&place, "moved").await;
    assert_eq!(found.len(), 10);
    assert!(found.contains(&json!({"id": 99, "at": null, "word": null})), "{found:?}");
    let to = place.message(json!({"from": "a.csv", "to": "iceberg:moved"})).await;
    assert_eq!(to, "`iceberg:moved` cannot be written");
    let message = place.message(json!({"from": "iceberg:wh", "to": "out.csv"})).await;
    assert_eq!(
        message,
        "cannot read `iceberg:wh`: there is no Iceberg table here: its folder `metadata` has no `….metadata.json`"
    );
    let message = place.message(json!({"from": "iceberg:s3://nowhere/t", "to": "out.csv"})).await;
    assert_eq!(message, "no connection leads to `s3://nowhere/t`");
    // Another writer lost, and left its metadata behind.
    let metadata = folder.join("moved/metadata");
    let newest = stores::files_below(&metadata).into_iter().find(|name| name.starts_with("00002-")).unwrap();
    std::fs::copy(metadata.join(&newest), metadata.join("00002-lost.metadata.json")).unwrap();
    let message = place.message(json!({"from": "iceberg:moved", "to": "out.csv"})).await;
    assert_eq!(message, "`iceberg:moved` has 2 metadata files with the number 2");
    assert_eq!(rows(&place, &format!("moved/metadata/{newest}")).await.len(), 10);
    let listed = std::fs::read_dir(folder.join("moved/metadata")).unwrap();
    for file in
        listed.map(|file| file.unwrap().path()).filter(|file| file.extension() == Some("avro".as_ref()))
    {
        let bytes = std::fs::read(&file).unwrap();
        std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    }
    let message =
        place.message(json!({"from": format!("iceberg:moved/metadata/{newest}"), "to": "out.csv"})).await;
    assert!(message.starts_with("cannot read `moved/metadata/"), "{message}");
}

#[tokio::test]
async fn tables_in_buckets() {
    let Some(server) = TestS3::start().await else { return };
    let mut place = Place::new();
    let options = json!({"s3.endpoint": server.url, "s3.access-key-id": "AKIATEST", "s3.secret-access-key": "hidden-key",
        "s3.region": "us-east-1"});
    if written(place.folder.path(), "s3://lake/raw/wh", Some(&options)).is_none() {
        return;
    }
    let lake = json!({"s3": {"bucket": "lake", "prefix": "raw", "endpoint": server.url, "allow_http": true,
        "access_key_id": "AKIATEST", "secret_access_key": "hidden-key"}});
    place.connections.insert("lake".to_owned(), lake.into());
    let found = rows(&place, "s3://lake/raw/wh/db/evolved").await;
    assert_eq!(found.len(), 2);
    assert!(
        found.iter().any(|row| row["place"] == json!({"x": 8_589_934_592_i64, "why": "q", "z": "r"})),
        "{found:?}"
    );
    assert!(!place.folder.path().join("attempt/staged").exists());
}

#[tokio::test]
async fn tables_in_azure() {
    let Some(store) = stores::azure() else { return };
    let mut place = store.place(store.server.port);
    let folder = place.folder.path();
    if written(folder, &format!("file://{}/wh", folder.display()), None).is_none() {
        return;
    }
    place.sync(json!({"from": "wh/db", "to": "files:tables"})).await.unwrap();
    assert_eq!(rows(&place, "az://lake/raw/tables/deleted").await.len(), 8);
    place.cancel.cancel();
    let cancelled =
        place.copy(json!({"from": "iceberg:az://lake/raw/tables/deleted", "to": "out.csv"})).await;
    assert!(cancelled.unwrap_err().cancelled);
    place.cancel = tokio_util::sync::CancellationToken::new();
}
