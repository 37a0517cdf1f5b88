use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::broker::{Broker, Place};
use super::suite;

/// What PostgreSQL is told by `NOTIFY`.
struct Notified;

/// Rows of a table.
struct Rows;

fn programs() -> PathBuf {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .unwrap()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    versions.sort();
    versions.pop().unwrap()
}

/// A program of PostgreSQL, which refuses to run as root; Debian's package brings the user `postgres`.
fn program(name: &str, folder: &Path) -> Command {
    let program = programs().join(name);
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout.starts_with(b"0");
    let mut command = if is_root {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir(folder);
    command
}

fn server(folder: &Path, port: u16) -> Command {
    let data = folder.join("data").to_string_lossy().into_owned();
    if !folder.join("data").exists() {
        let password = folder.join("password");
        std::fs::write(&password, Notified::PASSWORD).unwrap();
        Command::new("chown").args(["-R", "postgres"]).arg(folder).status().unwrap();
        let password = format!("--pwfile={}", password.display());
        let mut initdb = program("initdb", folder);
        let initdb =
            initdb.args(["-D", &data, "-U", Notified::USER, "-A", "scram-sha-256", "--no-sync", &password]);
        assert!(initdb.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success());
    }
    let mut command = program("postgres", folder);
    command.args(["-D", &data, "-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
    command.args(["-c", "unix_socket_directories=", "-c", "fsync=off"]);
    command
}

impl Broker for Notified {
    const WORD: &'static str = "postgres";
    const TRIGGER: &'static str = "orders";
    const PACKAGE: &'static str = "postgresql";
    const PROGRAM: &'static str = "/usr/lib/postgresql";
    const HAS_HEADERS: bool = false;
    /// A fast shutdown; `SIGTERM` would wait for those who are connected.
    const END: &'static str = "-INT";

    fn command(at: &Place<'_>) -> Command {
        server(at.folder, at.port)
    }

    fn address(port: u16) -> String {
        format!("postgres://127.0.0.1:{port}/postgres")
    }
}

impl Broker for Rows {
    const WORD: &'static str = "postgres";
    const TRIGGER: &'static str = "orders, table: public.outbox, cursor: id";
    const PACKAGE: &'static str = "postgresql";
    const PROGRAM: &'static str = "/usr/lib/postgresql";
    const DATA: &'static str = "event.data.body";
    /// A fast shutdown; `SIGTERM` would wait for those who are connected.
    const END: &'static str = "-INT";

    fn command(at: &Place<'_>) -> Command {
        server(at.folder, at.port)
    }

    fn address(port: u16) -> String {
        Notified::address(port)
    }
}

#[test]
fn event_postgresql_listen_notifications_start_runs() {
    suite::a_message_starts_a_run::<Notified>();
}

#[test]
fn event_postgresql_listen_server_restarted() {
    suite::a_server_that_is_away_is_said_and_comes_back::<Notified>();
}

#[test]
fn event_postgresql_listen_wrong_credentials() {
    let Some(said) = suite::what_wrong_credentials_say::<Notified>() else { return };
    insta::assert_snapshot!(said, @r###"`[address]` refuses the credentials: password authentication failed for user "reader"; correct `queue` in connections.yaml"###);
}

#[test]
fn event_postgresql_rows_what_comes_while_no_server_is_up() {
    suite::what_comes_while_no_server_is_up_starts_runs::<Rows>();
}

#[test]
fn event_postgresql_rows_killed_again_and_again() {
    suite::killed_again_and_again_starts_one_run_each::<Rows>();
}

#[test]
fn event_postgresql_rows_burst_of_10000() {
    suite::a_burst_of_10000_starts_the_exact_number_of_runs::<Rows>();
}
