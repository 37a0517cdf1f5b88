//! Databases on connections that break, and databases that let somebody in no longer.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use millrace_metastore::testing::{TestMariadb, TestPostgres};
use serde_json::{Value, json};

use super::Place;

/// A port that leads to a server's socket. Connections over which either side says more than `after` bytes are cut, `times` of them.
fn cutting(socket: PathBuf, after: u64, times: usize) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let left = Arc::new(AtomicUsize::new(times));
    // It ends with the process of the test.
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = UnixStream::connect(&socket) else { continue };
            for from_server in [true, false] {
                let (client, server, left) =
                    (client.try_clone().unwrap(), server.try_clone().unwrap(), left.clone());
                std::thread::spawn(move || forward(client, server, from_server, after, &left));
            }
        }
    });
    port
}

fn forward(mut client: TcpStream, mut server: UnixStream, from_server: bool, after: u64, left: &AtomicUsize) {
    let (mut bytes, mut carried) = ([0; 16 * 1024], 0_u64);
    loop {
        let read = if from_server { server.read(&mut bytes) } else { client.read(&mut bytes) };
        let Ok(count @ 1..) = read else { break };
        let sent =
            if from_server { client.write_all(&bytes[..count]) } else { server.write_all(&bytes[..count]) };
        if sent.is_err() {
            break;
        }
        let before = carried;
        carried += count as u64;
        let crossed = before <= after && carried > after;
        let one_less = |left: usize| left.checked_sub(1);
        if crossed && left.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less).is_ok() {
            break;
        }
    }
    client.shutdown(Shutdown::Both).ok();
    server.shutdown(Shutdown::Both).ok();
}

/// A large table in both directions: what is cut may pass, changes nothing, and the next attempt is exact.
async fn cut_and_exact(url: impl Fn(u16) -> Value, socket: PathBuf) {
    let place = Place::with("db", url(cutting(socket.clone(), u64::MAX, 0)));
    let rows: String = (0..60_000).map(|n| format!("{n},text of the row number {n}\n")).collect();
    place.file("a.csv", format!("id,t\n{rows}"));
    place.done(json!({"from": "a.csv", "to": "db:big"})).await;
    place.file("b.csv", "id,t\n1,before\n");
    place.done(json!({"from": "b.csv", "to": "db:kept"})).await;

    let mut broken = Place::with("db", url(cutting(socket.clone(), 300_000, 1)));
    broken.file("a.csv", place.text("a.csv"));
    let reading =
        json!({"from": "db:(select id, t from big order by id)", "to": "back.csv", "parallelism": 1});
    let error = broken.copy(reading.clone()).await.unwrap_err();
    assert!(error.transient, "{}", error.problem.message);
    assert!(!broken.folder.path().join("back.csv").exists());
    broken.attempt(reading).await.unwrap();
    assert!(broken.text("back.csv") == place.text("a.csv"), "the rows differ");

    broken.connections.insert("db".to_owned(), url(cutting(socket, 300_000, 1)).into());
    let writing = json!({"from": "a.csv", "to": "db:kept"});
    let error = broken.copy(writing.clone()).await.unwrap_err();
    assert!(error.transient, "{}", error.problem.message);
    assert_eq!(place.rows("select count(*) as n from kept").await, "n\n1\n");
    broken.attempt(writing).await.unwrap();
    assert_eq!(place.rows("select count(*) as n from kept").await, "n\n60000\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_postgres_that_are_cut() {
    let Some(server) = TestPostgres::start() else { return };
    let url = |port: u16| json!({"postgres": {"url": format!("postgres://millrace@127.0.0.1:{port}/postgres?sslmode=disable")}});
    cut_and_exact(url, server.socket_folder().join(".s.PGSQL.5432")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_mariadb_that_are_cut() {
    let Some(server) = TestMariadb::start() else { return };
    let local = url::Url::parse(&server.url()).unwrap();
    let socket =
        local.query_pairs().find(|(name, _)| name == "socket").map(|(_, path)| PathBuf::from(&*path));
    let Some(socket) = socket else { return println!("skipped: this server has no socket") };
    let (user, database) = (local.username().to_owned(), local.path().to_owned());
    let url = |port: u16| json!({"mysql": {"url": format!("mysql://{user}@127.0.0.1:{port}{database}?ssl-mode=DISABLED")}});
    cut_and_exact(url, socket).await;
}

#[tokio::test]
async fn a_password_that_is_over_is_no_break() {
    let Some(server) = TestPostgres::start() else { return };
    server.sql(
        "create role guest login password 'once' valid until '2001-01-01'; create table t as select 1 as id",
    );
    // The socket trusts whoever comes; a role that may not log in is refused all the same.
    server.sql("alter role guest nologin; grant select on t to guest");
    let url = server.url().replace("millrace@", "guest@");
    let place = Place::with("db", json!({"postgres": {"url": url, "password": "the-old-password"}}));
    for config in [json!({"from": "db:t", "to": "out.csv"}), json!({"from": "db:t", "to": "db:u"})] {
        let error = place.copy(config).await.unwrap_err();
        assert!(!error.transient, "{}", error.problem.message);
        assert!(!error.problem.message.contains("the-old-password"), "{}", error.problem.message);
    }
}
