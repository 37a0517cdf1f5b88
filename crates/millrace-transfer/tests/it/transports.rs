//! The suite of stores over SSH, FTP, HTTP and WebDAV, and servers that are not who they should be.

use millrace_storage::testing::TestS3;
use serde_json::{Value, json};

use super::cutting::{Cutting, Fate};
use super::servers::{self, Server};
use super::stores::{Store, everything, files_below, many_rows};
use super::{Place, ROWS};

fn put_into(server: &Server, path: &str, content: &[u8]) {
    let path = server.folder.path().join("files").join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn ssh() -> Option<Store> {
    let server = servers::openssh()?;
    let at = |name: &str| server.folder.path().join(name);
    let folder = at("files").display().to_string();
    let root = format!("sftp://127.0.0.1:{}{folder}/", server.port);
    let key = std::fs::read_to_string(at("client")).unwrap();
    let known = servers::fingerprint(&at("host.pub"));
    let user = servers::user();
    Some(Store {
        server,
        connection: Box::new(move |port| {
            json!({"sftp": {"host": "127.0.0.1", "port": port, "user": user, "private_key": key,
                "known_host": known, "folder": folder}})
        }),
        root,
        put: Box::new(put_into),
        names: Box::new(|server| files_below(&server.folder.path().join("files"))),
        absent: "there is no such file",
        nothing_matches: "no file matches",
        data: None,
        at_once: 4,
    })
}

fn ftp(tls: bool) -> Option<Store> {
    let python = servers::python()?;
    let data = servers::free_port();
    let server = servers::ftp(&python, tls, data);
    let authority = std::fs::read_to_string(server.folder.path().join("certificate.pem")).ok();
    let (own, scheme) = (server.port, if tls { "ftps" } else { "ftp" });
    Some(Store {
        root: format!("{scheme}://127.0.0.2:{own}/"),
        server,
        connection: Box::new(move |port| {
            let host = if port == own { "127.0.0.2" } else { "127.0.0.1" };
            json!({"ftp": {"host": host, "port": port, "user": "reader", "password": "the-password-of-the-files",
                "tls": tls, "certificate_authority": authority}})
        }),
        put: Box::new(put_into),
        names: Box::new(|server| files_below(&server.folder.path().join("files"))),
        absent: "there is no such file",
        nothing_matches: "no file matches",
        data: Some(data),
        at_once: 1,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn files_over_ftp() {
    everything(ftp(false)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_over_ftp_with_tls() {
    everything(ftp(true)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ftp_server_that_is_not_trusted_or_that_refuses_is_not_used() {
    let Some(store) = ftp(true) else { return };
    let mut place = store.place(store.server.port);
    let with = |field: &str, value: Value| {
        let mut connection = (store.connection)(store.server.port);
        connection["ftp"][field] = value;
        connection
    };
    place.connections.insert("unknown".to_owned(), with("certificate_authority", Value::Null).into());
    place.connections.insert("refused".to_owned(), with("password", json!("guess-of-mine")).into());
    let message = place.message(json!({"from": "unknown:a.csv", "to": "x.csv"})).await;
    let expected = format!("cannot read `{}a.csv`: the server cannot be trusted: ", store.root);
    assert!(message.starts_with(&expected), "{message}");
    let message = place.message(json!({"from": "refused:a.csv", "to": "x.csv"})).await;
    let expected = format!("cannot read `{}a.csv`: the server does not accept the login: ", store.root);
    assert!(message.starts_with(&expected) && !message.contains("guess-of-mine"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_over_ssh() {
    everything(ssh()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ssh_server_that_is_another_or_that_refuses_is_not_used() {
    let Some(store) = ssh() else { return };
    store.put("a.csv", ROWS);
    let mut place = store.place(store.server.port);
    let with = |field: &str, value: Value| {
        let mut connection = (store.connection)(store.server.port);
        connection["sftp"][field] = value;
        connection
    };
    let other = servers::fingerprint(&store.server.folder.path().join("client.pub"));
    place.connections.insert("other".to_owned(), with("known_host", json!(other)).into());
    place.connections.insert("refused".to_owned(), with("user", json!("nobody-here")).into());
    place.connections.insert("trusting".to_owned(), with("insecure", json!(true)).into());
    let message = place.message(json!({"from": "other:a.csv", "to": "x.csv"})).await;
    let shown = servers::fingerprint(&store.server.folder.path().join("host.pub"));
    let expected = format!("the server's key is `{shown}`, which is not the connection's `known_host`");
    assert_eq!(message, format!("cannot read `{}a.csv`: {expected}", store.root));
    let message = place.message(json!({"from": "refused:a.csv", "to": "x.csv"})).await;
    let expected = "the server does not accept the key of `nobody-here`";
    assert_eq!(message, format!("cannot read `{}a.csv`: {expected}", store.root));
    place.copy(json!({"from": "trusting:a.csv", "to": "x.csv"})).await.unwrap();
}

/// A web server: moto gives its objects to anybody.
#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_web_server() {
    let Some(server) = TestS3::start().await else { return };
    let rows = many_rows();
    let put = server.http.put(format!("{}/lake/big.csv", server.url)).header("x-amz-acl", "public-read");
    put.body(rows.clone()).send().await.unwrap().error_for_status().unwrap();
    let port = server.url.rsplit(':').next().unwrap().parse().unwrap();
    let proxy = Cutting::to(port, 1 << 20, (2, Fate::Cut), || ());
    let place = Place::new();
    let from = format!("http://127.0.0.1:{}/lake/big.csv?day=1", proxy.port);
    let outcome = place.copy(json!({"from": from, "to": "back.csv"})).await.unwrap();
    assert!(place.text("back.csv") == rows, "the rows differ");
    assert!(proxy.carried() >= 2, "{} connections carried much", proxy.carried());
    assert_eq!(outcome.sources[0].name, from);
    let message = place.message(json!({"from": format!("{}/lake/no.csv", server.url), "to": "x.csv"})).await;
    assert_eq!(
        message,
        format!("cannot read `{}/lake/no.csv`: HTTP status client error (404 NOT FOUND)", server.url)
    );
}

fn webdav() -> Option<Store> {
    let server = servers::webdav(&servers::python()?);
    Some(Store {
        root: format!("http://127.0.0.1:{}/dav/", server.port),
        server,
        connection: Box::new(|port| {
            json!({"webdav": {"url": format!("http://127.0.0.1:{port}/dav/"), "user": "reader",
                "password": "the-password-of-the-files", "allow_http": true}})
        }),
        put: Box::new(put_into),
        names: Box::new(|server| files_below(&server.folder.path().join("files"))),
        absent: "HTTP status client error (404 Not Found)",
        nothing_matches: "no file matches",
        data: None,
        at_once: 4,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn files_over_webdav() {
    everything(webdav()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webdav_server_that_refuses_is_not_used() {
    let Some(store) = webdav() else { return };
    let mut connection = (store.connection)(store.server.port);
    connection["webdav"]["password"] = json!("guess-of-mine");
    let mut place = store.place(store.server.port);
    place.connections.insert("refused".to_owned(), connection.into());
    place.file("a.csv", ROWS);
    for config in
        [json!({"from": "refused:a.csv", "to": "x.csv"}), json!({"from": "a.csv", "to": "refused:b/a.csv"})]
    {
        let message = place.message(config).await;
        assert!(message.contains("401") && !message.contains("guess-of-mine"), "{message}");
    }
    assert_eq!(store.names(), [""; 0]);
}

/// A break in the middle of a handshake says nothing about who the server is.
#[tokio::test(flavor = "multi_thread")]
async fn an_ftp_handshake_that_is_cut_may_pass() {
    let Some(store) = ftp(true) else { return };
    let proxy = Cutting::between(
        "127.0.0.1:0",
        ("127.0.0.2", store.server.port),
        200,
        (usize::MAX, Fate::Cut),
        || (),
    );
    let mut place = Place::new();
    let mut connection = (store.connection)(proxy.port);
    connection["ftp"]["host"] = json!("127.0.0.1");
    place.connections.insert("files".to_owned(), connection.into());
    let error = place.copy(json!({"from": "files:a.csv", "to": "x.csv"})).await.unwrap_err();
    assert!(error.transient, "{}", error.problem.message);
    assert!(error.problem.message.contains("the connection broke: "), "{}", error.problem.message);
}
