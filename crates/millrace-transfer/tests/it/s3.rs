//! The step `copy` between files and a bucket of a real S3 server (moto).

use std::net::TcpListener;

use millrace_storage::testing::TestS3;
use serde_json::{Value, json};

use super::{Place, ROWS};

/// A server with the bucket `lake`.
struct Moto(TestS3);

impl Moto {
    async fn start() -> Option<Self> {
        TestS3::start().await.map(Self)
    }

    fn connection(&self, bucket: &str, prefix: &str) -> Value {
        json!({"s3": {"bucket": bucket, "prefix": prefix, "endpoint": self.0.url, "allow_http": true,
            "access_key_id": "AKIATEST", "secret_access_key": "hidden-key"}})
    }

    fn place(&self) -> Place {
        let mut place = Place::new();
        place.connections.insert("lake".to_owned(), self.connection("lake", "raw").into());
        place.connections.insert("gone".to_owned(), self.connection("no-such-bucket", "").into());
        place
    }

    async fn put(&self, key: &str, content: &[u8]) {
        let request = self.0.http.put(format!("{}/lake/{key}", self.0.url)).body(content.to_vec());
        request.send().await.unwrap().error_for_status().unwrap();
    }

    fn boto(&self, expression: &str) -> String {
        self.0.boto(expression)
    }

    fn object(&self, key: &str) -> String {
        self.boto(&format!("s3.get_object(Bucket='lake', Key='{key}')['Body'].read()"))
    }
}

fn staged(place: &Place) -> bool {
    place.folder.path().join("attempt/staged").exists()
}

#[tokio::test]
async fn a_table_goes_to_a_bucket_and_comes_back() {
    let Some(server) = Moto::start().await else { return };
    let place = server.place();
    place.file("a.csv.zst", zstd::encode_all(ROWS.as_bytes(), 1).unwrap());
    let stations = [
        "a.csv.zst",
        "lake:out/b.parquet",
        "s3://lake/raw/out/c.csv.gz",
        "lake:d.jsonl",
        "lake:e.csv",
        "f.csv",
    ];
    for pair in stations.windows(2) {
        let outcome = place.copy(json!({"from": pair[0], "to": pair[1]})).await.unwrap();
        assert_eq!(outcome.outputs["rows"], json!(3), "{pair:?}");
    }
    place.copy(json!({"from": "a.csv.zst", "to": "direct.csv"})).await.unwrap();
    assert_eq!(place.text("f.csv"), place.text("direct.csv"));
    assert!(!staged(&place));
    let outcome = place.copy(json!({"from": "a.csv.zst", "to": "lake:g.csv"})).await.unwrap();
    assert_eq!(outcome.outputs["data"], json!("s3://lake/raw/g.csv"));
    assert_eq!(server.object("raw/g.csv"), place.text("direct.csv"));
}

#[tokio::test]
async fn a_glob_becomes_a_dataset() {
    let Some(server) = Moto::start().await else { return };
    let place = server.place();
    for (key, content) in [
        ("raw/flights/1.csv", "id,n\n1,NA\n"),
        ("raw/flights/2.csv", "id,n\n2,5\n3,6\n"),
        ("raw/flights/deep/3.csv", "id,n\n4,7\n"),
        ("raw/flights/other.txt", "no"),
        ("raw/flights-old/9.csv", "id,n\n9,9\n"),
    ] {
        server.put(key, content.as_bytes()).await;
    }
    for (from, rows) in
        [("lake:flights/*.csv", 3), ("s3://lake/raw/flights/**/?.csv", 4), ("lake:**/*.csv", 5)]
    {
        let config = json!({"from": from, "to": "data:flights", "null_values": ["NA"]});
        let outcome = place.copy(config).await.unwrap();
        assert_eq!(outcome.rows, Some(rows), "{from}");
        let expected = from.replace("lake:", "s3://lake/raw/");
        assert_eq!(outcome.sources[0].name, expected);
        assert_eq!(outcome.sources[0].kind, "source");
    }
    place.cancel.cancel();
    let error = place.copy(json!({"from": "lake:flights/*.csv", "to": "data:flights"})).await.unwrap_err();
    assert!(error.cancelled && !staged(&place));
}

#[tokio::test]
async fn a_large_object_is_sent_in_parts_or_not_at_all() {
    let Some(server) = Moto::start().await else { return };
    let place = server.place();
    let rows: String = (0..1_500_000_u64).map(|row| format!("{row},{}\n", row * 7919 % 1_000_003)).collect();
    place.file("big.csv", format!("id,n\n{rows}"));
    let outcome = place.copy(json!({"from": "big.csv", "to": "lake:big.csv"})).await.unwrap();
    assert!(outcome.bytes.unwrap() > 16 << 20);
    place.copy(json!({"from": "lake:big.csv", "to": "back.csv"})).await.unwrap();
    assert!(place.text("back.csv") == place.text("big.csv"), "the object differs from the file");

    place.file("bad.csv", format!("id,n\n{rows}x,y\n"));
    let config = json!({"from": "bad.csv", "to": "lake:big.csv", "columns": {"id": "integer"}});
    assert!(place.message(config).await.starts_with("row cannot be read: `x`"));
    assert!(server.object("raw/big.csv") == place.text("big.csv"), "the object has changed");
    assert_eq!(server.boto("s3.list_multipart_uploads(Bucket='lake').get('Uploads', [])"), "[]");
    assert!(!staged(&place));
}

#[tokio::test]
async fn bad_rows_of_objects_are_set_aside() {
    let Some(server) = Moto::start().await else { return };
    let place = server.place();
    server.put("raw/a.csv", b"id,n\n1,a\nx,b\n").await;
    server.put("raw/b.csv", b"id,n\n2\n3,c\n").await;
    let config =
        json!({"from": "lake:?.csv", "to": "out.csv", "columns": {"id": "integer"}, "on_error": "reject"});
    let outcome = place.copy(config.clone()).await.unwrap();
    assert_eq!((&outcome.outputs["rows"], &outcome.outputs["rejected"]), (&json!(2), &json!(2)));
    insta::assert_snapshot!(place.text("attempt/rejects.csv"), @r#"
    file,line,byte_offset,column,kind,raw,message
    "s3://lake/raw/a.csv",3,9,"id",type,"x,b","`x` in column `id` is not of the type integer"
    "s3://lake/raw/b.csv",2,5,"",too_few_fields,"2","it has 1 fields instead of 2"
    "#);
    let mut strict = config;
    strict["on_error"] = json!("fail");
    let error = place.copy(strict).await.unwrap_err();
    let at = error.problem.place.map(|at| (at.file, at.line));
    assert_eq!(at, Some(("s3://lake/raw/a.csv".to_owned(), 3)));
}

#[tokio::test]
async fn what_goes_wrong_is_said() {
    let Some(server) = Moto::start().await else { return };
    let mut place = server.place();
    place.file("a.csv", ROWS);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut away = server.connection("lake", "");
    away["s3"]["endpoint"] = json!(format!("http://127.0.0.1:{port}"));
    place.connections.insert("away".to_owned(), away.into());
    for (from, to, message, transient) in [
        (
            "lake:absent.csv",
            "x.csv",
            "cannot read `s3://lake/raw/absent.csv`: there is no such object",
            false,
        ),
        ("lake:absent/*.csv", "x.csv", "cannot read `s3://lake/raw/absent/*.csv`: no object matches", false),
        (
            "gone:a.csv",
            "x.csv",
            "cannot read `s3://no-such-bucket/a.csv`: there is no bucket `no-such-bucket`",
            false,
        ),
        (
            "gone:*.csv",
            "x.csv",
            "cannot read `s3://no-such-bucket/*.csv`: there is no bucket `no-such-bucket`",
            false,
        ),
        (
            "a.csv",
            "gone:a.csv",
            "cannot write `s3://no-such-bucket/a.csv`: there is no bucket `no-such-bucket`",
            false,
        ),
        (
            "away:a.csv",
            "x.csv",
            "cannot read `s3://lake/a.csv`: the server cannot be reached: Connection refused (os error 111)",
            true,
        ),
        (
            "a.csv",
            "away:a.csv",
            "cannot write `s3://lake/a.csv`: the server cannot be reached: Connection refused (os error 111)",
            true,
        ),
    ] {
        let error = place.copy(json!({"from": from, "to": to})).await.unwrap_err();
        assert_eq!((error.problem.message.as_str(), error.transient), (message, transient));
    }
    assert!(!staged(&place));
}
