//! The step `copy` between files and a bucket of a real S3 server (moto).
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]
#![allow(clippy::disallowed_methods, reason = "a test is told by its environment where the servers are")]

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Place, ROWS};

/// A server with the bucket `lake`; stopped when dropped.
struct Moto {
    child: Child,
    url: String,
    http: reqwest::Client,
    python: std::ffi::OsString,
}

impl Moto {
    async fn start() -> Option<Self> {
        let Some(python) = std::env::var_os("MILLRACE_TEST_PYTHON") else {
            eprintln!(
                "skipped: MILLRACE_TEST_PYTHON names no interpreter with moto; `cargo xtask test` sets it"
            );
            return None;
        };
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(&python)
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let server = Self { child, url: format!("http://127.0.0.1:{port}"), http, python };
        let begun = Instant::now();
        while server.http.put(format!("{}/lake", server.url)).send().await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(120), "moto does not answer");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Some(server)
    }

    fn connection(&self, bucket: &str, prefix: &str) -> Value {
        json!({"s3": {"bucket": bucket, "prefix": prefix, "endpoint": self.url, "allow_http": true,
            "access_key_id": "AKIATEST", "secret_access_key": "hidden-key"}})
    }

    fn place(&self) -> Place {
        let mut place = Place::new();
        place.connections.insert("lake".to_owned(), self.connection("lake", "raw").into());
        place.connections.insert("gone".to_owned(), self.connection("no-such-bucket", "").into());
        place
    }

    async fn put(&self, key: &str, content: &[u8]) {
        let request = self.http.put(format!("{}/lake/{key}", self.url)).body(content.to_vec());
        request.send().await.unwrap().error_for_status().unwrap();
    }

    /// What `boto3` says: the expression's value, `s3` being its client.
    fn boto(&self, expression: &str) -> String {
        let script = format!(
            "import sys, boto3\n\
             s3 = boto3.client('s3', endpoint_url='{}', region_name='us-east-1', aws_access_key_id='AKIATEST', \
             aws_secret_access_key='hidden-key')\n\
             value = {expression}\n\
             sys.stdout.buffer.write(value if isinstance(value, bytes) else str(value).encode())",
            self.url
        );
        let output = Command::new(&self.python).args(["-c", &script]).env("NO_PROXY", "*").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn object(&self, key: &str) -> String {
        self.boto(&format!("s3.get_object(Bucket='lake', Key='{key}')['Body'].read()"))
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
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
