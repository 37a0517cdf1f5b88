//! The step `copy` and files on other machines: one suite for every kind of store, each with its real server.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::cutting::{Cutting, Fate};
use super::servers::{self, Server};
use super::{Place, ROWS, sync};

type Put = Box<dyn Fn(&Server, &str, &[u8]) + Send + Sync>;
type Names = Box<dyn Fn(&Server) -> Vec<String> + Send + Sync>;

/// What the suite has to know of a store.
pub(crate) struct Store {
    pub(crate) server: Server,
    /// The connection, on a port.
    pub(crate) connection: Box<dyn Fn(u16) -> Value + Send + Sync>,
    /// The address of everything below it, as it is told.
    pub(crate) root: String,
    /// Makes a file without Millrace.
    pub(crate) put: Put,
    /// The names of all files, without Millrace.
    pub(crate) names: Names,
    /// What is said of a file that is not there.
    pub(crate) absent: &'static str,
    pub(crate) nothing_matches: &'static str,
    /// The port of the data, where that is another one than the server's: it is at `127.0.0.2` then.
    pub(crate) data: Option<u16>,
    /// Connections that it takes at the same time.
    pub(crate) at_once: usize,
}

/// A way to a store on which connections break.
pub(crate) struct Broken {
    pub(crate) port: u16,
    pub(crate) cutting: Cutting,
    _control: Option<Cutting>,
}

impl Store {
    pub(crate) fn breaking(
        &self,
        after: u64,
        fate: (usize, Fate),
        meanwhile: impl Fn() + Send + Sync + 'static,
    ) -> Broken {
        let Some(data) = self.data else {
            let cutting = Cutting::to(self.server.port, after, fate, meanwhile);
            return Broken { port: cutting.port, cutting, _control: None };
        };
        let here = format!("127.0.0.1:{data}");
        let cutting = Cutting::between(&here, ("127.0.0.2", data), after, fate, meanwhile);
        let target = ("127.0.0.2", self.server.port);
        let control = Cutting::between("127.0.0.1:0", target, u64::MAX, fate, || ());
        Broken { port: control.port, cutting, _control: Some(control) }
    }

    pub(crate) fn place(&self, port: u16) -> Place {
        let mut place = Place::new();
        place.connections.insert("files".to_owned(), (self.connection)(port).into());
        place
    }

    pub(crate) fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        (self.put)(&self.server, path, content.as_ref());
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let mut names = (self.names)(&self.server);
        names.sort();
        names
    }
}

/// More than a connection of the tests carries in one go.
pub(crate) fn many_rows() -> String {
    let rows: String = (0..300_000_u64).map(|row| format!("{row},{}\n", row * 7919 % 1_000_003)).collect();
    format!("id,n\n{rows}")
}

async fn a_table_goes_there_and_comes_back(store: &Store) {
    let place = store.place(store.server.port);
    place.file("a.csv.zst", zstd::encode_all(ROWS.as_bytes(), 1).unwrap());
    let url = format!("{}out/c d.csv.gz", store.root);
    let stations = ["a.csv.zst", "files:out/b.parquet", &url, "files:d.jsonl", "files:e.csv", "f.csv"];
    for pair in stations.windows(2) {
        let outcome = place.copy(json!({"from": pair[0], "to": pair[1]})).await.unwrap();
        assert_eq!(outcome.outputs["rows"], json!(3), "{pair:?}");
    }
    place.copy(json!({"from": "a.csv.zst", "to": "direct.csv"})).await.unwrap();
    assert_eq!(place.text("f.csv"), place.text("direct.csv"));
    let outcome = place.copy(json!({"from": "a.csv.zst", "to": "files:e.csv"})).await.unwrap();
    assert_eq!(outcome.outputs["data"], json!(format!("{}e.csv", store.root)));
    assert_eq!(store.names(), ["d.jsonl", "e.csv", "out/b.parquet", "out/c d.csv.gz"]);
    // A copy that fails leaves what was there, and nothing else.
    place.file("bad.csv", format!("{}x,y\n", many_rows()));
    let config = json!({"from": "bad.csv", "to": "files:e.csv", "columns": {"id": "integer"}});
    assert!(place.message(config).await.starts_with("row cannot be read: `x`"));
    assert_eq!(store.names(), ["d.jsonl", "e.csv", "out/b.parquet", "out/c d.csv.gz"]);
    place.copy(json!({"from": "files:e.csv", "to": "g.csv"})).await.unwrap();
    assert_eq!(place.text("g.csv"), place.text("direct.csv"));
    assert!(!place.folder.path().join("attempt/staged").exists());
}

async fn patterns_name_files(store: &Store) {
    for (path, content) in [
        ("flights/1.csv", "id,n\n1,NA\n"),
        ("flights/2.csv", "id,n\n2,5\n3,6\n"),
        ("flights/deep/3.csv", "id,n\n4,7\n"),
        ("flights/other.txt", "no"),
        ("flights-old/9.csv", "id,n\n9,9\n"),
    ] {
        store.put(path, content);
    }
    let place = store.place(store.server.port);
    let below = |pattern: &str| format!("{}{pattern}", store.root);
    for (from, rows) in [
        ("files:flights/*.csv".to_owned(), 3),
        (below("flights/**/?.csv"), 4),
        ("files:flights*/**/*.csv".to_owned(), 5),
        ("files:*/?.csv".to_owned(), 4),
    ] {
        let config = json!({"from": from, "to": "data:flights", "null_values": ["NA"]});
        let outcome = place.copy(config).await.unwrap();
        assert_eq!(outcome.rows, Some(rows), "{from}");
        assert_eq!(outcome.sources[0].name, from.replace("files:", &store.root));
    }
    let message = place.message(json!({"from": "files:absent.csv", "to": "x.csv"})).await;
    assert_eq!(message, format!("cannot read `{}absent.csv`: {}", store.root, store.absent));
    let message = place.message(json!({"from": "files:absent/*.csv", "to": "x.csv"})).await;
    assert_eq!(message, format!("cannot read `{}absent/*.csv`: {}", store.root, store.nothing_matches));
    place.cancel.cancel();
    let error = place.copy(json!({"from": "files:flights/*.csv", "to": "x.csv"})).await.unwrap_err();
    assert!(error.cancelled);
}

async fn a_cut_connection_goes_on_where_it_was(store: &Store) {
    let rows = many_rows();
    store.put("big.csv", &rows);
    let proxy = store.breaking(1 << 20, (2, Fate::Cut), || ());
    let place = store.place(proxy.port);
    place.copy(json!({"from": "files:big.csv", "to": "back.csv"})).await.unwrap();
    assert!(place.text("back.csv") == rows, "the rows differ");
    assert!(proxy.cutting.carried() >= 2, "{} connections carried much", proxy.cutting.carried());
}

async fn a_file_that_changes_while_it_is_read_is_told(store: &Arc<Store>) {
    store.put("big.csv", many_rows());
    let (changing, rows) = (store.clone(), many_rows());
    let changes = AtomicUsize::new(0);
    // Each connection that carries much, so that it does not matter which one looks at the columns alone.
    let proxy = store.breaking(1 << 20, (usize::MAX, Fate::Cut), move || {
        let count = changes.fetch_add(1, Ordering::AcqRel) + 1;
        changing.put("big.csv", format!("{rows}{}", "1,1\n".repeat(count)));
    });
    let place = store.place(proxy.port);
    let error = place.copy(json!({"from": "files:big.csv", "to": "back.csv"})).await.unwrap_err();
    let said = error.problem.message;
    assert!(said.ends_with("big.csv`: it was changed while it was read") && error.transient, "{said}");
    assert!(!place.folder.path().join("back.csv").exists());
}

async fn a_silent_server_is_left_when_the_step_is_cancelled(store: &Store) {
    store.put("big.csv", many_rows());
    let proxy = store.breaking(1 << 20, (usize::MAX, Fate::Stall), || ());
    let place = store.place(proxy.port);
    let cancel = place.cancel.clone();
    let copying = place.copy(json!({"from": "files:big.csv", "to": "back.csv"}));
    let cancelling = async {
        while proxy.cutting.carried() == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        cancel.cancel();
    };
    let (copied, ()) = tokio::join!(copying, cancelling);
    assert!(copied.unwrap_err().cancelled);
    assert!(!place.folder.path().join("back.csv").exists());
}

pub(crate) async fn everything(store: Option<Store>) {
    let Some(store) = store.map(Arc::new) else { return };
    a_table_goes_there_and_comes_back(&store).await;
    patterns_name_files(&store).await;
    a_cut_connection_goes_on_where_it_was(&store).await;
    a_file_that_changes_while_it_is_read_is_told(&store).await;
    a_silent_server_is_left_when_the_step_is_cancelled(&store).await;
    sync::files_go_there_and_come_back(&store).await;
    sync::files_survive_broken_connections(&store).await;
}

// The one that Azurite knows; it stands in Microsoft's documentation.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// What a client of Python says, told in a script.
fn client(python: &PathBuf, script: &str, input: &[u8]) -> String {
    use std::io::Write as _;
    let mut command = Command::new(python);
    command.args(["-c", script]).env("NO_PROXY", "*");
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{script}");
    String::from_utf8(output.stdout).unwrap()
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

pub(crate) fn azure() -> Option<Store> {
    let python = servers::python()?;
    let server = servers::azurite()?;
    let open = |port: u16| {
        format!(
            "import sys\nfrom azure.storage.blob import BlobServiceClient\n\
             box = BlobServiceClient('http://127.0.0.1:{port}/{ACCOUNT}', credential={{'account_name': '{ACCOUNT}', \
             'account_key': '{KEY}'}}).get_container_client('lake')\n"
        )
    };
    client(&python, &format!("{}box.create_container()", open(server.port)), b"");
    let (putting, naming) = (python.clone(), python);
    Some(Store {
        server,
        connection: Box::new(|port| {
            let endpoint = format!("http://127.0.0.1:{port}/{ACCOUNT}");
            json!({"azblob": {"container": "lake", "prefix": "raw", "account": ACCOUNT, "access_key": KEY,
                "endpoint": endpoint, "allow_http": true}})
        }),
        root: "az://lake/raw/".to_owned(),
        put: Box::new(move |server, path, content| {
            let script = format!(
                "{}box.upload_blob('raw/{path}', sys.stdin.buffer.read(), overwrite=True)",
                open(server.port)
            );
            client(&putting, &script, content);
        }),
        names: Box::new(move |server| {
            let script = format!(
                "{}print('\\n'.join(blob.name.removeprefix('raw/') for blob in box.list_blobs()))",
                open(server.port)
            );
            lines(&client(&naming, &script, b""))
        }),
        absent: "there is no such object",
        nothing_matches: "no object matches",
        data: None,
        at_once: 4,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn azure_blob_storage() {
    everything(azure()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_azure_refuses_is_said_without_the_key() {
    let Some(store) = azure() else { return };
    let mut place = store.place(store.server.port);
    let connection = (store.connection)(store.server.port);
    let other = |field: &str, value: &str| {
        let mut connection = connection.clone();
        connection["azblob"][field] = json!(value);
        connection
    };
    place.connections.insert("gone".to_owned(), other("container", "no-such").into());
    place.connections.insert("wrong".to_owned(), other("access_key", "d3Jvbmcta2V5").into());
    let message = place.message(json!({"from": "gone:a.csv", "to": "x.csv"})).await;
    assert_eq!(message, "cannot read `az://no-such/raw/a.csv`: there is no container `no-such`");
    let message = place.message(json!({"from": "wrong:a.csv", "to": "x.csv"})).await;
    assert!(
        message.starts_with(
            "cannot read `az://lake/raw/a.csv`: access to the bucket `lake` is denied: Server failed to authenticate the request"
        ),
        "{message}"
    );
    assert!(!message.contains("d3Jvbmcta2V5"), "{message}");
}

/// The connection to a bucket of Google on this machine.
fn google_connection(port: u16) -> Value {
    let endpoint = format!("http://127.0.0.1:{port}");
    json!({"gcs": {"bucket": "lake", "endpoint": endpoint, "anonymous": true, "allow_http": true}})
}

#[tokio::test(flavor = "multi_thread")]
async fn google_cloud_storage() {
    let Some(python) = servers::python() else { return };
    let server = servers::google(&python);
    let ask = |method: &str, path: &str, kind: &str, port: u16| {
        format!(
            "import sys\nfrom urllib.request import Request, urlopen\nfrom urllib.parse import quote\n\
             answer = urlopen(Request('http://127.0.0.1:{port}' + {path}, data=sys.stdin.buffer.read() or None, \
             method='{method}', headers={{'content-type': '{kind}'}})).read()\n"
        )
    };
    let make = ask("POST", "'/storage/v1/b?project=test'", "application/json", server.port);
    client(&python, &make, br#"{"name": "lake"}"#);
    let (putting, naming) = (python.clone(), python);
    let store = Store {
        server,
        connection: Box::new(google_connection),
        root: "gs://lake/".to_owned(),
        put: Box::new(move |server, path, content| {
            let path = format!("'/upload/storage/v1/b/lake/o?uploadType=media&name=' + quote('{path}', '')");
            client(&putting, &ask("POST", &path, "application/octet-stream", server.port), content);
        }),
        names: Box::new(move |server| {
            let script = ask("GET", "'/storage/v1/b/lake/o'", "text/plain", server.port)
                + "import json\nprint('\\n'.join(item['name'] for item in json.loads(answer).get('items', [])))";
            lines(&client(&naming, &script, b""))
        }),
        absent: "there is no such object",
        nothing_matches: "no object matches",
        data: None,
        at_once: 4,
    };
    // This server does not know the requests by which object_store writes; `google_cloud_storage_is_written` asks one that does.
    let store = Arc::new(store);
    patterns_name_files(&store).await;
    a_cut_connection_goes_on_where_it_was(&store).await;
    a_file_that_changes_while_it_is_read_is_told(&store).await;
    a_silent_server_is_left_when_the_step_is_cancelled(&store).await;
}

/// A bucket behind Google's XML API, by which `object_store` writes.
pub(crate) fn google() -> Option<Store> {
    let python = super::programs::program("MILLRACE_TEST_PYTHON").map(PathBuf::from)?;
    let server = Server::of_script(&python, include_str!("google.py"));
    let boto = |port: u16| {
        format!(
            "import sys, boto3\ns3 = boto3.client('s3', endpoint_url='http://127.0.0.1:{port}', region_name='us-east-1', \
             aws_access_key_id='AKIATEST', aws_secret_access_key='hidden-key')\n"
        )
    };
    client(&python, &format!("{}s3.create_bucket(Bucket='lake')", boto(server.port)), b"");
    let (putting, naming) = (python.clone(), python);
    Some(Store {
        server,
        connection: Box::new(google_connection),
        root: "gs://lake/".to_owned(),
        put: Box::new(move |server, path, content| {
            let put = format!("s3.put_object(Bucket='lake', Key='{path}', Body=sys.stdin.buffer.read())");
            client(&putting, &format!("{}{put}", boto(server.port)), content);
        }),
        names: Box::new(move |server| {
            let list =
                "for key in s3.list_objects_v2(Bucket='lake').get('Contents', []):\n    print(key['Key'])";
            lines(&client(&naming, &format!("{}{list}", boto(server.port)), b""))
        }),
        absent: "there is no such object",
        nothing_matches: "no object matches",
        data: None,
        at_once: 4,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn google_cloud_storage_is_written() {
    everything(google()).await;
    let Some(store) = google() else { return };
    // In parts, and nothing of them where the copy fails.
    let place = store.place(store.server.port);
    let rows: String = (0..1_500_000_u64).map(|row| format!("{row},{}\n", row * 7919 % 1_000_003)).collect();
    place.file("big.csv", format!("id,n\n{rows}"));
    place.copy(json!({"from": "big.csv", "to": "files:big.csv"})).await.unwrap();
    place.copy(json!({"from": "files:big.csv", "to": "back.csv"})).await.unwrap();
    assert!(place.text("back.csv") == place.text("big.csv"), "the object differs from the file");
    place.file("bad.csv", format!("id,n\n{rows}x,y\n"));
    let config = json!({"from": "bad.csv", "to": "files:bad.csv", "columns": {"id": "integer"}});
    assert!(place.message(config).await.starts_with("row cannot be read: `x`"));
    assert_eq!(store.names(), ["big.csv"]);
}

/// A key of a service account, as Google's console gives it; its public half goes where the server looks for it, if it is to be known.
fn service_account(folder: &Path, known: bool) -> String {
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    openssl(&["genrsa", "-out", "private.pem", "2048"]);
    if known {
        openssl(&["rsa", "-in", "private.pem", "-pubout", "-out", "account.pem"]);
    }
    let key = std::fs::read_to_string(folder.join("private.pem")).unwrap();
    json!({"type": "service_account", "client_email": "loader@project.iam.gserviceaccount.com", "private_key": key,
        "private_key_id": "of-the-test"})
    .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_to_google_are_signed_by_the_service_account() {
    let Some(store) = google() else { return };
    let mut place = store.place(store.server.port);
    for (name, known) in [("known", true), ("unknown", false)] {
        let mut connection = google_connection(store.server.port);
        let settings = connection["gcs"].as_object_mut().unwrap();
        settings.remove("anonymous");
        let key = service_account(store.server.folder.path(), known);
        settings.insert("service_account_key".to_owned(), json!(key));
        place.connections.insert(name.to_owned(), connection.into());
    }
    place.file("a.csv", ROWS);
    place.copy(json!({"from": "a.csv", "to": "known:a.csv"})).await.unwrap();
    place.copy(json!({"from": "known:*.csv", "to": "b.csv"})).await.unwrap();
    assert_eq!(place.text("a.csv").lines().count(), place.text("b.csv").lines().count());
    let message = place.message(json!({"from": "a.csv", "to": "unknown:b.csv"})).await;
    let denied = "access to the bucket `lake` is denied: Authentication required. (AuthenticationRequired)";
    assert_eq!(message, format!("cannot write `gs://lake/b.csv`: {denied}"));
    assert_eq!(store.names(), ["a.csv"]);
}

/// The paths of all files below a folder, from there.
pub(crate) fn files_below(folder: &Path) -> Vec<String> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path.strip_prefix(folder).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    files
}
