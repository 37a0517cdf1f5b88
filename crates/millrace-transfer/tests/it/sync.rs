//! The step `sync`: files as they are, between folders and every kind of store.

use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use millrace_contract::StepOutcome;
use serde_json::{Value, json};

use super::Place;
use super::cutting::Fate;
use super::stores::{self, Store};

/// Bytes that no format and no encoding knows.
fn noise(bytes: usize) -> Vec<u8> {
    (0..bytes as u64).map(|at| (at.wrapping_mul(6_364_136_223_846_793_005) >> 33) as u8).collect()
}

fn counts(outcome: &StepOutcome) -> (u64, u64, u64) {
    let count = |name: &str| outcome.outputs[name].as_u64().unwrap();
    (count("files"), count("same"), count("deleted"))
}

impl Place {
    fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Says that a file changed at another time.
    fn age(&self, path: &str, seconds: u64) {
        let file = std::fs::File::options().write(true).open(self.folder.path().join(path)).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)).unwrap();
    }

    fn bytes(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join(path)).unwrap()
    }

    fn names(&self, path: &str) -> Vec<String> {
        let mut names = stores::files_below(&self.folder.path().join(path));
        names.sort();
        names
    }

    /// The lines of the manifest: what was done with which file.
    fn manifest(&self) -> Vec<String> {
        let lines = self.text("attempt/files.jsonl");
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .map(|line| format!("{} {}", line["action"].as_str().unwrap(), line["file"].as_str().unwrap()))
            .collect()
    }
}

/// A folder with what makes trouble: no bytes, many, and names of all kinds.
fn trouble(place: &Place) {
    place.put("raw/empty", b"");
    place.put("raw/deep/er/ü b+c%20.bin", noise(300_000));
    place.put("raw/.hidden", b"dot");
    place.put("raw/rows.csv", b"id\n1\n");
    for path in ["raw/empty", "raw/deep/er/ü b+c%20.bin", "raw/.hidden", "raw/rows.csv"] {
        place.age(path, 0);
    }
}

/// There and back, and only what changed the next time.
pub(crate) async fn files_go_there_and_come_back(store: &Store) {
    let place = store.place(store.server.port);
    trouble(&place);
    let there = json!({"from": "raw", "to": "files:mirror/of", "delete": true, "parallelism": store.at_once});
    let outcome = place.sync(there.clone()).await.unwrap();
    assert_eq!(counts(&outcome), (4, 0, 0));
    let names = [".hidden", "deep/er/ü b+c%20.bin", "empty", "rows.csv"];
    let below =
        |names: &[&str]| -> Vec<String> { names.iter().map(|name| format!("mirror/of/{name}")).collect() };
    let mirrored = || {
        let mut names = store.names();
        names.retain(|name| name.starts_with("mirror/"));
        names
    };
    assert_eq!(mirrored(), below(&names));
    assert_eq!(counts(&place.sync(there.clone()).await.unwrap()), (0, 4, 0));

    let mut back = json!({"from": "files:mirror/of/", "to": "back", "parallelism": store.at_once});
    let outcome = place.sync(back.clone()).await.unwrap();
    assert_eq!(counts(&outcome), (4, 0, 0));
    assert_eq!(outcome.outputs["verification"]["result"], "NotVerified");
    assert_eq!(place.names("back"), names);
    for name in names {
        assert!(place.bytes(&format!("back/{name}")) == place.bytes(&format!("raw/{name}")), "{name}");
    }
    assert_eq!(counts(&place.sync(back.clone()).await.unwrap()), (0, 4, 0));
    back["compare"] = json!("digest");
    assert_eq!(counts(&place.sync(back.clone()).await.unwrap()), (0, 4, 0));

    // As long as before, and other bytes.
    place.put("raw/rows.csv", b"id\n2\n");
    std::fs::remove_file(place.folder.path().join("raw/empty")).unwrap();
    let mut checked = there.clone();
    checked["verify"] = json!("read");
    let outcome = place.sync(checked).await.unwrap();
    assert_eq!(counts(&outcome), (1, 2, 1));
    assert_eq!(outcome.outputs["verification"]["result"], "Verified");
    assert_eq!(mirrored(), below(&[".hidden", "deep/er/ü b+c%20.bin", "rows.csv"]));
    place.sync(json!({"from": "files:mirror/of/rows.csv", "to": "one", "parallelism": 1})).await.unwrap();
    assert_eq!(place.text("one/rows.csv"), "id\n2\n");
    assert_eq!(place.names("one"), ["rows.csv"]);
    if store.at_once > 1 {
        // Reading and writing at the same time; buckets do it by themselves.
        let outcome = place.sync(json!({"from": "files:mirror/of/", "to": "files:other"})).await.unwrap();
        assert_eq!(counts(&outcome), (3, 0, 0));
        place.sync(json!({"from": "files:other/", "to": "other"})).await.unwrap();
        for name in [".hidden", "deep/er/ü b+c%20.bin", "rows.csv"] {
            assert!(place.bytes(&format!("other/{name}")) == place.bytes(&format!("raw/{name}")), "{name}");
        }
    }
}

/// A connection that breaks goes on; a file that changes is copied as it is then. The file is named by a glob: one that is named by its path
/// is looked at on a connection of its own, which the proxy would count.
pub(crate) async fn files_survive_broken_connections(store: &std::sync::Arc<Store>) {
    let (old, new) = (noise(3 << 20), noise((3 << 20) + 7));
    store.put("much/big.bin", &old);
    let proxy = store.breaking(1 << 20, (1, Fate::Cut), || ());
    let place = store.place(proxy.port);
    let config = json!({"from": "files:much/*.bin", "to": "out", "compare": "none", "parallelism": 1});
    place.sync(config.clone()).await.unwrap();
    assert!(place.bytes("out/big.bin") == old, "the bytes differ");
    assert!(proxy.cutting.carried() >= 1, "nothing was broken");
    drop(proxy);

    let (changing, content) = (store.clone(), new.clone());
    let proxy = store.breaking(1 << 20, (1, Fate::Cut), move || changing.put("much/big.bin", &content));
    let place = store.place(proxy.port);
    place.sync(config.clone()).await.unwrap();
    assert!(place.bytes("out/big.bin") == new, "two contents were mixed");
    assert_eq!(place.names("out"), ["big.bin"]);
    drop(proxy);

    let (changing, count) = (store.clone(), std::sync::atomic::AtomicUsize::new(0));
    let always = move || {
        let count = count.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
        changing.put("much/big.bin", noise((3 << 20) + count));
    };
    let proxy = store.breaking(1 << 20, (usize::MAX, Fate::Cut), always);
    let place = store.place(proxy.port);
    let config = json!({"from": "files:much/*.bin", "to": "out", "retries": 0, "parallelism": 1});
    let error = place.sync(config).await.unwrap_err();
    assert!(error.transient && error.problem.message.contains("it was changed while it was"), "{error}");
    assert_eq!(place.names("attempt"), ["files.jsonl"]);
    assert!(!place.folder.path().join("out/big.bin").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_meant_is_copied_and_removed() {
    let place = Place::new();
    trouble(&place);
    place.put("out/gone.csv", b"g");
    place.put("out/gone.bin", b"g");
    let config = json!({"from": "raw/", "to": "out", "include": ["*.csv", "deep/**"], "exclude": ["*+c*"], "delete": true});
    let mut dry = config.clone();
    dry["dry_run"] = json!(true);
    let outcome = place.sync(dry).await.unwrap();
    assert_eq!((&outcome.outputs["would_copy"], &outcome.outputs["would_delete"]), (&json!(1), &json!(1)));
    assert_eq!(place.manifest(), ["would_delete gone.csv", "would_copy rows.csv"]);
    assert_eq!(place.names("out"), ["gone.bin", "gone.csv"]);
    assert_eq!(counts(&place.sync(config).await.unwrap()), (1, 0, 1));
    assert_eq!(place.names("out"), ["gone.bin", "rows.csv"]);

    let since = json!({"from": "raw", "to": "new", "modified_since": "1d"});
    assert_eq!(counts(&place.sync(since.clone()).await.unwrap()), (0, 0, 0));
    place.put("raw/fresh", b"f");
    assert_eq!(counts(&place.sync(since).await.unwrap()), (1, 0, 0));
    let glob = json!({"from": "raw/**/*.bin", "to": "flat", "hierarchy": "flatten"});
    place.sync(glob).await.unwrap();
    assert_eq!(place.names("flat"), ["ü b+c%20.bin"]);
    place.put("parts/1", b"one ");
    place.put("parts/2", b"two");
    place
        .sync(json!({"from": "parts", "to": "whole/all.txt", "hierarchy": "merge", "verify": "read"}))
        .await
        .unwrap();
    assert_eq!(place.text("whole/all.txt"), "one two");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_lost_removes_nothing() {
    let place = Place::new();
    place.put("out/kept", b"k");
    std::fs::create_dir(place.folder.path().join("raw")).unwrap();
    let config = json!({"from": "raw", "to": "out", "delete": true});
    let error = place.sync(config.clone()).await.unwrap_err();
    assert_eq!(error.problem.message, "cannot read `raw`: no file is there; the sink was left as it is");
    assert_eq!(place.names("out"), ["kept"]);
    let mut meant = config;
    meant["allow_empty"] = json!(true);
    assert_eq!(counts(&place.sync(meant).await.unwrap()), (0, 0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leads_out_of_a_folder() {
    let place = Place::new();
    place.put("secret/key", b"s");
    place.put("raw/sub/a", b"a");
    let at = |path: &str| place.folder.path().join(path);
    symlink(at("secret"), at("raw/linked")).unwrap();
    symlink(at("secret/key"), at("raw/key")).unwrap();
    std::fs::create_dir(at("out")).unwrap();
    assert_eq!(counts(&place.sync(json!({"from": "raw", "to": "out"})).await.unwrap()), (1, 0, 0));
    assert_eq!(place.names("out"), ["sub/a"]);
    // A link in the sink is no folder to write into.
    std::fs::create_dir(at("trap")).unwrap();
    symlink(at("secret"), at("trap/sub")).unwrap();
    let error = place.sync(json!({"from": "raw", "to": "trap"})).await.unwrap_err();
    assert!(error.problem.message.contains("is no folder"), "{error}");
    assert_eq!(place.names("secret"), ["key"]);
    let nested = place.sync(json!({"from": "raw", "to": "raw/sub"})).await.unwrap_err();
    assert_eq!(nested.problem.message, "`raw` and `raw/sub` lie in one another");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_left_behind_is_removed() {
    let place = Place::new();
    place.put("raw/a", b"a");
    let (old, new) =
        ("out/.a.0123456789abcdef0123456789abcdef.staged", "out/.b.0123456789abcdef0123456789abcdef.staged");
    place.put(old, b"half");
    place.put(new, b"half");
    place.age(old, 0);
    place.sync(json!({"from": "raw", "to": "out"})).await.unwrap();
    assert_eq!(place.names("out"), [".b.0123456789abcdef0123456789abcdef.staged", "a"]);
}

/// What a bucket keeps beside the bytes goes along, into a bucket of another kind too.
#[tokio::test(flavor = "multi_thread")]
async fn types_go_from_bucket_to_bucket() {
    let (Some(lake), Some(blob)) = (millrace_storage::testing::TestS3::start().await, stores::azure()) else {
        return;
    };
    let mut place = blob.place(blob.server.port);
    let keys = json!({"bucket": "lake", "endpoint": lake.url, "allow_http": true, "access_key_id": "AKIATEST",
        "secret_access_key": "hidden-key"});
    place.connections.insert("lake".to_owned(), json!({"s3": keys}).into());
    place.put("raw/big.bin", noise(17 << 20));
    place.put("raw/small.bin", b"s");
    // S3 tells a digest of what it takes, in one piece and in parts.
    let outcome = place.sync(json!({"from": "raw", "to": "lake:in"})).await.unwrap();
    assert_eq!(
        outcome.outputs["verification"],
        json!({"result": "Verified", "why": "its etag is the MD5 of what was sent"})
    );
    lake.boto("s3.put_object(Bucket='lake', Key='in/page.html', Body=b'<p>', ContentType='text/html', Metadata={'owner': 'us'})");

    let outcome = place.sync(json!({"from": "lake:in/", "to": "lake:copy/"})).await.unwrap();
    assert_eq!(outcome.outputs["verification"]["why"], "3 of 3 files: the store has copied it itself");
    assert_eq!(lake.boto("s3.head_object(Bucket='lake', Key='copy/page.html')['ContentType']"), "text/html");

    place.sync(json!({"from": "lake:copy/", "to": "files:x", "verify": "read"})).await.unwrap();
    assert_eq!(blob.names(), ["x/big.bin", "x/page.html", "x/small.bin"]);
    place.sync(json!({"from": "files:x/", "to": "lake:again"})).await.unwrap();
    let kept = "(lambda it: (it['ContentType'], it['Metadata']))(s3.head_object(Bucket='lake', Key='again/page.html'))";
    assert_eq!(lake.boto(kept), "('text/html', {'owner': 'us'})");
    place.sync(json!({"from": "lake:again/", "to": "back"})).await.unwrap();
    assert!(place.bytes("back/big.bin") == place.bytes("raw/big.bin"), "the bytes differ");
    assert_eq!(
        counts(&place.sync(json!({"from": "back", "to": "lake:again", "compare": "digest"})).await.unwrap()),
        (0, 3, 0)
    );

    // What is sent to Azure while it comes has its type, and a digest, too.
    lake.boto("s3.put_object(Bucket='lake', Key='typed/p.bin', Body=b'p' * (9 << 20), ContentType='text/html', Metadata={'owner': 'us'})");
    let outcome = place.sync(json!({"from": "lake:typed/", "to": "files:typed"})).await.unwrap();
    assert_eq!(
        outcome.outputs["verification"],
        json!({"result": "Verified", "why": "its MD5 is the one that the source tells"})
    );
    let big = json!({"from": "raw", "to": "files:raw", "include": ["big.bin"]});
    assert_eq!(
        place.sync(big).await.unwrap().outputs["verification"],
        json!({"result": "Verified", "why": "its MD5 is that of what was sent"})
    );
    place.sync(json!({"from": "files:typed/", "to": "lake:typed-again"})).await.unwrap();
    assert_eq!(
        lake.boto(&kept.replace("again/page.html", "typed-again/p.bin")),
        "('text/html', {'owner': 'us'})"
    );

    let page = json!({"from": format!("{}/lake/in/page.html", lake.url), "to": "web"});
    lake.boto("s3.put_object_acl(Bucket='lake', Key='in/page.html', ACL='public-read')");
    assert_eq!(counts(&place.sync(page.clone()).await.unwrap()), (1, 0, 0));
    assert_eq!(place.text("web/page.html"), "<p>");
    assert_eq!(counts(&place.sync(page).await.unwrap()), (0, 1, 0));
}
