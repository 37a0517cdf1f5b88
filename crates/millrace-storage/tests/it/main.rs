//! One suite for both places where a storage can be: a folder, and a bucket of a real S3 server (moto).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use millrace_storage::testing::TestS3;
use millrace_storage::{
    AskedRange, CopyError, Entry, FilePath, LocalCopies, Storage, StorageError, StorageOptions, UploadError,
};

/// Larger than what a bucket takes at once.
const LARGE: usize = 20 << 20;

fn path(text: &str) -> FilePath {
    FilePath::new(text).unwrap()
}

async fn text(storage: &Storage, file: &str) -> String {
    String::from_utf8(storage.read_whole(&path(file), 1 << 20).await.unwrap()).unwrap()
}

async fn put(storage: &Storage, file: &str, content: &str) {
    storage.write_bytes(&path(file), Bytes::from(content.to_owned())).await.unwrap();
}

fn body(parts: &[&str]) -> impl futures::Stream<Item = Result<Bytes, String>> + Send + Unpin + use<> {
    let parts: Vec<_> = parts.iter().map(|part| Ok(Bytes::from((*part).to_owned()))).collect();
    futures::stream::iter(parts)
}

fn broken(before: usize) -> impl futures::Stream<Item = Result<Bytes, String>> + Send + Unpin {
    futures::stream::iter([Ok(Bytes::from(vec![b'x'; before])), Err("the cable was pulled".to_owned())])
}

fn numbers(size: usize) -> Bytes {
    (0..size).map(|index| u8::try_from(index * 31 % 251).unwrap()).collect()
}

async fn everything_holds(storage: &Storage) {
    files_are_written_whole(storage).await;
    ranges_are_read(storage).await;
    folders_are_listed_and_deleted(storage).await;
    uploads_in_parts(storage).await;
    folders_are_stored_and_copied(storage).await;
}

async fn files_are_written_whole(storage: &Storage) {
    put(storage, "run/a/b.txt", "content").await;
    assert_eq!(text(storage, "run/a/b.txt").await, "content");
    put(storage, "run/a/b.txt", "other").await;
    for before in [4, LARGE] {
        let error = storage.write(&path("run/a/b.txt"), broken(before), None).await.unwrap_err();
        assert_eq!(error.to_string(), "what was to become `run/a/b.txt` broke off: the cable was pulled");
    }
    assert_eq!(text(storage, "run/a/b.txt").await, "other");
    let odd = "run/ü b/100%/a+b&c=d.txt";
    put(storage, odd, "odd").await;
    assert_eq!(text(storage, odd).await, "odd");
    put(storage, "run/empty", "").await;
    assert_eq!(text(storage, "run/empty").await, "");
    let large = numbers(LARGE);
    let parts: Vec<Result<Bytes, String>> =
        (0..LARGE).step_by(70_000).map(|at| Ok(large.slice(at..(at + 70_000).min(LARGE)))).collect();
    let written = storage.write(&path("run/large"), futures::stream::iter(parts), None).await.unwrap();
    assert_eq!(written, u64::try_from(LARGE).unwrap());
    let read = storage.read_whole(&path("run/large"), 1 << 30).await.unwrap();
    assert!(read == large, "what is read differs from what was written");
    let error = storage.read_whole(&path("run/large"), 10).await.unwrap_err();
    assert!(error.to_string().contains("has 20971520 bytes, and 10 are read at most"), "{error}");
}

async fn ranges_are_read(storage: &Storage) {
    put(storage, "ranges", "0123456789").await;
    for (range, expected) in [
        (AskedRange::From(7), "789"),
        (AskedRange::Between(2, 4), "234"),
        (AskedRange::Between(8, 100), "89"),
        (AskedRange::Last(3), "789"),
        (AskedRange::Last(30), "0123456789"),
    ] {
        let content = storage.read(&path("ranges"), Some(range)).await.unwrap();
        assert_eq!((content.size_bytes, content.length), (10, u64::try_from(expected.len()).unwrap()));
        let parts: Vec<Bytes> = content.body.try_collect().await.unwrap();
        assert_eq!(parts.concat(), expected.as_bytes(), "{range:?}");
    }
    let outside = storage.read(&path("ranges"), Some(AskedRange::From(10))).await.unwrap_err();
    assert_eq!(outside, StorageError::OutOfRange { path: "ranges".to_owned(), size_bytes: 10 });
}

async fn folders_are_listed_and_deleted(storage: &Storage) {
    for file in ["list/b", "list/a/1", "list/a/2", "listed"] {
        put(storage, file, "abc").await;
    }
    let entry = |name: &str, is_dir: bool| Entry {
        name: name.to_owned(),
        is_dir,
        size_bytes: if is_dir { 0 } else { 3 },
    };
    assert_eq!(storage.list(&path("list")).await.unwrap(), [entry("a", true), entry("b", false)]);
    assert_eq!(storage.list(&path("absent")).await.unwrap(), []);
    let root: Vec<String> =
        storage.list(&path("")).await.unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(root, ["list", "listed", "ranges", "run"]);
    let files = storage.files(&path("list")).await.unwrap();
    let names: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(names, ["a/1", "a/2", "b"]);
    put(storage, "list/b", "xyz").await;
    let again = storage.files(&path("list")).await.unwrap();
    assert_eq!(again[..2], files[..2]);
    assert_ne!(again[2], files[2], "a file that was written anew has another etag");
    let folder = storage.read(&path("list"), None).await.unwrap_err();
    assert_eq!(folder, StorageError::NotAFile { path: "list".to_owned() });
    let absent = storage.read(&path("list/c"), None).await.unwrap_err();
    assert_eq!(absent, StorageError::NotFound { path: "list/c".to_owned() });
    let below = storage.below(&path("list/a"));
    assert_eq!(text(&below, "1").await, "abc");
    assert_eq!(storage.path_of(&below.url(&path("1"))), Some(path("list/a/1")));

    storage.delete(&path("list")).await.unwrap();
    assert_eq!(storage.delete(&path("list")).await, Err(StorageError::NotFound { path: "list".to_owned() }));
    assert_eq!(text(storage, "listed").await, "abc");
    storage.delete(&path("listed")).await.unwrap();
    assert_eq!(storage.list(&path("list")).await.unwrap(), []);
}

async fn uploads_in_parts(storage: &Storage) {
    let file = path("parts/whole.bin");
    let (first, second) = (numbers(6 << 20), Bytes::from_static(b"the end"));
    let upload = storage.begin_upload(&file).await.unwrap();
    let id = upload.id.as_str();
    // In any order, again after a failure, and another content under the same number.
    let two = storage.put_part(id, 2, body(&["the ", "end"])).await.unwrap();
    storage.put_part(id, 1, broken(10)).await.unwrap_err();
    storage.put_part(id, 1, body(&["wrong"])).await.unwrap();
    let one = futures::stream::iter([Ok::<_, String>(first.clone())]);
    let one = storage.put_part(id, 1, one).await.unwrap();
    assert_eq!((one.size_bytes, two.size_bytes), (6 << 20, 7));
    assert_eq!(storage.list_parts(id).await.unwrap(), [one.clone(), two.clone()]);
    assert!(matches!(storage.read(&file, None).await, Err(StorageError::NotFound { .. })));

    let refused = [
        (vec![(1, String::new()), (3, String::new())], "part 3 did not come"),
        (vec![(2, String::new()), (1, String::new())], "part 1 is named twice or out of order"),
        (vec![], "part 1 is missing: a file has one part at least"),
    ];
    for (parts, message) in refused {
        let error = storage.finish_upload(id, &file, &parts).await.unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    let other = vec![(1, "abc".to_owned())];
    let error = storage.finish_upload(id, &file, &other).await.unwrap_err();
    assert!(error.to_string().starts_with("part 1 has the etag "), "{error}");
    let elsewhere = storage.finish_upload(id, &path("parts/other.bin"), &[(1, String::new())]).await;
    assert!(matches!(elsewhere, Err(UploadError::NoUpload { .. })));
    for number in [0, 10_001] {
        assert!(matches!(storage.put_part(id, number, body(&["x"])).await, Err(UploadError::Number { .. })));
    }
    for id in ["", "../../list", "0".repeat(64).as_str()] {
        assert!(matches!(storage.put_part(id, 1, body(&["x"])).await, Err(UploadError::NoUpload { .. })));
    }

    let parts = [(1, one.etag), (2, format!("\"{}\"", two.etag.trim_matches('"')))];
    let size = storage.finish_upload(id, &file, &parts).await.unwrap();
    assert_eq!(size, (6 << 20) + 7);
    assert_eq!(storage.finish_upload(id, &file, &parts).await.unwrap(), size, "an answer that was lost");
    let whole = storage.read_whole(&file, 1 << 30).await.unwrap();
    assert!(whole == [first, second].concat(), "the parts are not the file");

    let upload = storage.begin_upload(&path("parts/never.bin")).await.unwrap();
    storage.put_part(&upload.id, 1, body(&["x"])).await.unwrap();
    storage.abort_upload(&upload.id, &path("parts/never.bin")).await.unwrap();
    assert!(matches!(storage.list_parts(&upload.id).await, Err(UploadError::NoUpload { .. })));

    let upload = storage.begin_upload(&path("parts/never.bin")).await.unwrap();
    storage.put_part(&upload.id, 1, body(&["x"])).await.unwrap();
    assert_eq!(storage.clear_uploads(Duration::from_secs(3600)).await.unwrap(), 0);
    assert_eq!(storage.list_parts(&upload.id).await.unwrap().len(), 1);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    // The finished one goes, too.
    assert_eq!(storage.clear_uploads(Duration::from_millis(50)).await.unwrap(), 2);
    assert!(matches!(storage.list_parts(&upload.id).await, Err(UploadError::NoUpload { .. })));
    assert!(matches!(storage.read(&path("parts/never.bin"), None).await, Err(StorageError::NotFound { .. })));
    let entries = storage.list(&path("parts")).await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["whole.bin"]);
}

async fn folders_are_stored_and_copied(storage: &Storage) {
    let here = tempfile::tempdir().unwrap();
    std::fs::create_dir(here.path().join("data")).unwrap();
    std::fs::write(here.path().join("MLmodel"), "flavors: {}").unwrap();
    std::fs::write(here.path().join("data/weights"), "1 2 3").unwrap();
    let stored = path("models/late/abc");
    for _ in 0..2 {
        storage.store_folder(here.path(), &stored, "MLmodel").await.unwrap();
    }
    assert_eq!(text(storage, "models/late/abc/data/weights").await, "1 2 3");
    let cache = tempfile::tempdir().unwrap();
    let copies = LocalCopies::new(storage.clone(), cache.path().to_owned());
    let url = storage.url(&stored);
    let copy = copies.path(&url).await.unwrap();
    assert_eq!(std::fs::read_to_string(copy.join("data/weights")).unwrap(), "1 2 3");
    assert_eq!(copies.path(&url).await.unwrap(), copy);
    put(storage, "models/late/abc/data/weights", "1 2 4").await;
    let fresh = copies.path(&url).await.unwrap();
    assert_eq!(std::fs::read_to_string(fresh.join("data/weights")).unwrap(), "1 2 4");
    assert!(matches!(copies.path("s3://somebody/else").await, Err(CopyError::Elsewhere { .. })));
}

#[tokio::test]
async fn a_folder_of_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::folder(folder.path());
    everything_holds(&storage).await;
    let below = storage.write_bytes(&path("run/a/b.txt/c"), Bytes::new()).await.unwrap_err();
    assert_eq!(below, StorageError::NotAFile { path: "run/a/b.txt/c".to_owned() });
    assert_eq!(std::fs::read_dir(folder.path().join(".staging")).unwrap().count(), 0);
    assert_eq!(storage.signed_url(&path("run/a/b.txt"), false, Duration::from_secs(60)).await, Ok(None));

    // A program may leave links; they lead nowhere.
    std::fs::write(folder.path().parent().unwrap().join("outside.txt"), "secret").ok();
    std::os::unix::fs::symlink("/etc/hostname", folder.path().join("run/link")).unwrap();
    std::os::unix::fs::symlink("/etc", folder.path().join("run/etc")).unwrap();
    for link in ["run/link", "run/etc/hostname"] {
        let error = storage.read(&path(link), None).await.unwrap_err();
        assert_eq!(error, StorageError::NotFound { path: link.to_owned() });
    }
    let names: Vec<String> =
        storage.files(&path("run")).await.unwrap().into_iter().map(|file| file.path).collect();
    assert!(!names.iter().any(|name| name.starts_with("link") || name.starts_with("etc")), "{names:?}");
}

#[tokio::test]
async fn a_bucket() {
    let Some(server) = TestS3::start().await else { return };
    for url in ["s3://lake/teams/one", "s3://lake"] {
        let storage = Storage::open(url, &server.options()).unwrap();
        everything_holds(&storage).await;
        assert_eq!(server.boto("s3.list_multipart_uploads(Bucket='lake').get('Uploads', [])"), "[]");
        let signed =
            storage.signed_url(&path("ranges"), false, Duration::from_secs(60)).await.unwrap().unwrap();
        let answer = server.http.get(signed).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "0123456789");
        let signed = storage.signed_url(&path("put"), true, Duration::from_secs(60)).await.unwrap().unwrap();
        server.http.put(signed).body("by a client").send().await.unwrap().error_for_status().unwrap();
        assert_eq!(text(&storage, "put").await, "by a client");
        for entry in storage.list(&path("")).await.unwrap() {
            storage.delete(&path(&entry.name)).await.unwrap();
        }
    }
    let absent = Storage::open("s3://no-such-bucket/x", &server.options()).unwrap();
    let error = absent.write_bytes(&path("a"), Bytes::from_static(b"x")).await.unwrap_err();
    assert_eq!(error.to_string(), "the storage failed at `a`: there is no bucket `no-such-bucket`");
    let error = absent.read(&path("a"), None).await.unwrap_err();
    assert!(matches!(error, StorageError::Failed { .. }), "{error}");
}

#[test]
fn what_is_no_storage() {
    let s3 = vec![("aws_colour".to_owned(), "red".to_owned())];
    let options = StorageOptions { s3, ..StorageOptions::default() };
    let error = Storage::open("s3://lake", &options).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`s3://lake` is no storage: `aws_colour` is not an option of S3; write `s3://BUCKET/PREFIX`, or the absolute path of a folder"
    );
    assert_eq!(
        Storage::open("/srv/millrace", &StorageOptions::default()).unwrap().local(),
        Some(Path::new("/srv/millrace"))
    );
}
