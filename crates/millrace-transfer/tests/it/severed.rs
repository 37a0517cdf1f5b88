//! Databases behind a network that breaks: connections that are cut, fall silent or carry other bytes, and passwords that count no more.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use millrace_metastore::testing::{TestMariadb, TestPostgres};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::Place;

/// What becomes of a connection that has carried much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Harm {
    Cut,
    /// It stays open and carries nothing more.
    Stall,
    /// Some of its bytes become others.
    Garble,
}

/// Whose bytes are harmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Server,
    Client,
}

/// A network between a client and a server's socket.
struct Network {
    port: u16,
    harmed: Arc<AtomicUsize>,
}

/// Bytes of one side, after which a connection is harmed.
const MUCH: usize = 200_000;
const ROWS: usize = 100_000;

impl Network {
    /// The first `times` connections that carry much from that side are harmed.
    fn to(socket: PathBuf, side: Side, harm: Harm, times: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let harmed = Arc::new(AtomicUsize::new(0));
        let count = harmed.clone();
        // It listens until the test's process ends.
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, UnixStream::connect(&socket)) else { continue };
                let (client2, server2) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let (count, unharmed) = (count.clone(), Arc::new(AtomicUsize::new(usize::MAX / 2)));
                let (of_server, of_client) = match side {
                    Side::Server => (count, unharmed),
                    Side::Client => (unharmed, count),
                };
                std::thread::spawn(move || carry(server, client, &of_server, times, harm));
                std::thread::spawn(move || carry(client2, server2, &of_client, times, harm));
            }
        });
        Self { port, harmed }
    }

    async fn has_harmed(&self) {
        while self.harmed.load(Ordering::Acquire) == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// Both ends of a connection can be closed from either side.
trait End: Read + Write {
    fn close(&self);
}

impl End for TcpStream {
    fn close(&self) {
        self.shutdown(std::net::Shutdown::Both).ok();
    }
}

impl End for UnixStream {
    fn close(&self) {
        self.shutdown(std::net::Shutdown::Both).ok();
    }
}

fn carry(mut from: impl End, mut to: impl End, harmed: &AtomicUsize, times: usize, harm: Harm) {
    let (mut bytes, mut carried, mut is_over) = ([0; 16 * 1024], 0, false);
    while let Ok(count) = from.read(&mut bytes) {
        carried += count;
        if carried > MUCH && !is_over {
            is_over = true;
            if harmed.fetch_add(1, Ordering::AcqRel) < times {
                match harm {
                    Harm::Cut => break,
                    Harm::Stall => loop {
                        std::thread::park();
                    },
                    Harm::Garble => bytes.iter_mut().step_by(7).for_each(|byte| *byte ^= 0x5a),
                }
            }
        }
        if count == 0 || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    from.close();
    to.close();
}

/// A server, and where it is reached over a network.
trait Database {
    fn run(&self, sql: &str) -> String;
    fn socket(&self) -> PathBuf;
    fn settings(&self, login: &str, port: u16) -> Value;
    /// A table `big` of so many rows.
    fn fill(&self);
}

impl Database for TestPostgres {
    fn run(&self, sql: &str) -> String {
        self.sql(sql)
    }

    fn socket(&self) -> PathBuf {
        self.socket_folder().join(".s.PGSQL.5432")
    }

    fn settings(&self, login: &str, port: u16) -> Value {
        let login = if login.is_empty() { "millrace" } else { login };
        json!({"postgres": {"url": format!("postgres://{login}@127.0.0.1:{port}/postgres?sslmode=disable")}})
    }

    fn fill(&self) {
        let rows = "select i::bigint as id, 'row ' || i as name";
        self.sql(&format!("create table big as {rows} from generate_series(1, {ROWS}) as i"));
    }
}

impl Database for TestMariadb {
    fn run(&self, sql: &str) -> String {
        self.sql(sql)
    }

    fn socket(&self) -> PathBuf {
        Path::new(&self.url().split_once("socket=").unwrap().1.replace("%2F", "/")).to_owned()
    }

    fn settings(&self, login: &str, port: u16) -> Value {
        let login = if login.is_empty() { "root" } else { login };
        json!({"mysql": {"url": format!("mysql://{login}@127.0.0.1:{port}/shop?ssl-mode=DISABLED")}})
    }

    fn fill(&self) {
        let rows = "select cast(seq as signed) as id, concat('row ', seq) as name";
        self.sql(&format!("create table big as {rows} from seq_1_to_{ROWS}"));
    }
}

fn place(database: &impl Database, network: &Network) -> Place {
    Place::with("db", database.settings("", network.port))
}

fn is_there(place: &Place, file: &str) -> bool {
    place.folder.path().join(file).exists()
}

async fn a_read_that_is_cut_leaves_nothing_and_may_be_tried_again(database: &impl Database) {
    let network = Network::to(database.socket(), Side::Server, Harm::Cut, 1);
    let place = place(database, &network);
    let error = place.copy(json!({"from": "db:big", "to": "out.csv"})).await.unwrap_err();
    assert!(error.transient && !error.cancelled, "{}", error.problem.message);
    assert!(!is_there(&place, "out.csv"));
    place.done(json!({"from": "db:big", "to": "out.csv"})).await;
    assert_eq!(place.text("out.csv").lines().count(), ROWS + 1);
}

async fn a_load_that_is_cut_changes_nothing_and_loads_once_when_it_is_tried_again(database: &impl Database) {
    let rows: String = (0..ROWS).map(|id| format!("{id},row {id}\n")).collect();
    for write in ["append", "overwrite", "truncate"] {
        database.run("drop table if exists loaded; create table loaded (id bigint, name varchar(40)); insert into loaded values (-1, 'before')");
        let network = Network::to(database.socket(), Side::Client, Harm::Cut, 1);
        let place = place(database, &network);
        place.file("rows.csv", format!("id,name\n{rows}"));
        let config = json!({"from": "rows.csv", "to": "db:loaded", "write": write});
        place.fresh();
        let error = place.attempt(config.clone()).await.unwrap_err();
        assert!(error.transient && !error.cancelled, "{write}: {}", error.problem.message);
        assert_eq!(database.run("select count(*), min(id) from loaded"), "1\t-1\n", "{write}");
        place.attempt(config).await.unwrap();
        let before = usize::from(write == "append");
        let expected = format!("{}\t{ROWS}\n", ROWS + before);
        let found =
            database.run("select count(*), count(distinct case when id >= 0 then id end) from loaded");
        assert_eq!(found, expected, "{write}");
    }
}

async fn a_network_that_falls_silent_is_left_when_the_step_is_cancelled(database: &impl Database) {
    database.run("drop table if exists loaded; create table loaded (id bigint, name varchar(40))");
    let rows: String = (0..ROWS).map(|id| format!("{id},row {id}\n")).collect();
    for (side, from, to) in [(Side::Server, "db:big", "out.csv"), (Side::Client, "rows.csv", "db:loaded")] {
        let network = Network::to(database.socket(), side, Harm::Stall, 1_000);
        let place = place(database, &network);
        place.file("rows.csv", format!("id,name\n{rows}"));
        let copying = async {
            let copied = place.copy(json!({"from": from, "to": to})).await;
            assert!(network.harmed.load(Ordering::Acquire) > 0, "{from}: {copied:?}");
            copied
        };
        let cancelling = async {
            network.has_harmed().await;
            place.cancel.cancel();
        };
        let (copied, ()) = tokio::join!(copying, cancelling);
        let error = copied.unwrap_err();
        assert!(error.cancelled, "{from}: {}", error.problem.message);
        assert!(!is_there(&place, "out.csv"));
    }
    assert_eq!(database.run("select count(*) from loaded"), "0\n");
}

/// A protocol without checksums cannot tell every wrong byte, and waits for more where a length became greater: what counts is that the
/// copy ends, at the latest when it is cancelled, whole or not at all.
async fn other_bytes_do_no_harm_beyond_the_copy(database: &impl Database) {
    let network = Network::to(database.socket(), Side::Server, Harm::Garble, 1);
    let mut place = place(database, &network);
    let cancel = place.cancel.clone();
    let cancelling = async {
        network.has_harmed().await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        cancel.cancel();
        std::future::pending::<()>().await;
    };
    let copied = tokio::select! {
        copied = place.copy(json!({"from": "db:big", "to": "out.csv"})) => copied,
        () = cancelling => return,
    };
    if let Err(error) = copied {
        assert!(!error.problem.message.contains("broke off"), "{}", error.problem.message);
        assert!(!is_there(&place, "out.csv"));
    }
    place.cancel = CancellationToken::new();
    place.done(json!({"from": "db:big", "to": "out.csv"})).await;
    assert_eq!(place.text("out.csv").lines().count(), ROWS + 1);
}

/// `login`: a user that may read `big`, and its password.
async fn a_password_that_counts_no_more_is_told(database: &impl Database, login: &str, end: impl Fn()) {
    let network = Network::to(database.socket(), Side::Server, Harm::Cut, 0);
    let place = Place::with("db", database.settings(login, network.port));
    place.done(json!({"from": "db:big", "to": "out.csv"})).await;
    end();
    let error = place.copy(json!({"from": "db:big", "to": "again.csv"})).await.unwrap_err();
    let said = format!("{} {}", error.problem.message, error.problem.hints.join(" "));
    assert!(!error.transient && said.contains("reader") && !said.contains("0ld-s3cret"), "{said}");
    assert!(!is_there(&place, "again.csv"));
}

fn postgres() -> Option<TestPostgres> {
    let server = TestPostgres::start()?;
    server.fill();
    Some(server)
}

fn mariadb() -> Option<TestMariadb> {
    let server = TestMariadb::start()?;
    server.fill();
    Some(server)
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_is_cut_off_while_it_is_read() {
    let Some(server) = postgres() else { return };
    a_read_that_is_cut_leaves_nothing_and_may_be_tried_again(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_is_cut_off_while_it_is_loaded() {
    let Some(server) = postgres() else { return };
    a_load_that_is_cut_changes_nothing_and_loads_once_when_it_is_tried_again(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_falls_silent() {
    let Some(server) = postgres() else { return };
    a_network_that_falls_silent_is_left_when_the_step_is_cancelled(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_says_something_else() {
    let Some(server) = postgres() else { return };
    other_bytes_do_no_harm_beyond_the_copy(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_has_a_password_that_is_over() {
    let Some(server) = postgres() else { return };
    server.sql("create role reader login password '0ld-s3cret'; grant select on big to reader");
    let rules = server.sql("show hba_file");
    let kept = std::fs::read_to_string(rules.trim()).unwrap();
    std::fs::write(rules.trim(), format!("local all reader scram-sha-256\n{kept}")).unwrap();
    server.sql("select pg_reload_conf()");
    let expire = || drop(server.sql("alter role reader valid until '2020-01-01'"));
    a_password_that_counts_no_more_is_told(&server, "reader:0ld-s3cret", expire).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_is_cut_off_while_it_is_read() {
    let Some(server) = mariadb() else { return };
    a_read_that_is_cut_leaves_nothing_and_may_be_tried_again(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_is_cut_off_while_it_is_loaded() {
    let Some(server) = mariadb() else { return };
    a_load_that_is_cut_changes_nothing_and_loads_once_when_it_is_tried_again(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_falls_silent() {
    let Some(server) = mariadb() else { return };
    a_network_that_falls_silent_is_left_when_the_step_is_cancelled(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_says_something_else() {
    let Some(server) = mariadb() else { return };
    other_bytes_do_no_harm_beyond_the_copy(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_has_another_password_now() {
    let Some(server) = mariadb() else { return };
    server.sql(
        "create user reader@localhost identified by '0ld-s3cret'; grant select on shop.big to reader@localhost",
    );
    let change = || drop(server.sql("alter user reader@localhost identified by 'new-s3cret'"));
    a_password_that_counts_no_more_is_told(&server, "reader:0ld-s3cret", change).await;
}

/// It takes connections, and says nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_greets_is_left() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let url = format!("postgres://reader@127.0.0.1:{port}/shop?sslmode=disable&connect_timeout=1");
    let place = Place::with("db", json!({"postgres": {"url": url}}));
    let error = place.copy(json!({"from": "db:big", "to": "out.csv"})).await.unwrap_err();
    let said = &error.problem.message;
    assert!(error.transient && said.contains("the server has not let us in for 1s"), "{said}");
}
