//! Databases whose disk is full: the load is told why and changes nothing, and is done once there is room.

use std::process::Command;

use millrace_metastore::testing::{TestMariadb, TestPostgres};
use serde_json::json;
use tempfile::TempDir;

use super::Place;

const ROWS: usize = 500_000;

/// A disk of 12 MB on which anybody may write; unmounted when dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None` where mounting is not permitted.
    fn mount() -> Option<Self> {
        let folder = tempfile::Builder::new().prefix("millrace-disk-").tempdir().unwrap();
        let disk = Self(folder);
        if disk.mounted("size=12m,mode=777")
            && Command::new("chmod").arg("755").arg(disk.0.path()).status().is_ok()
        {
            return Some(disk);
        }
        println!("skipped: a small disk for the test cannot be mounted; that takes root");
        None
    }

    fn mounted(&self, options: &str) -> bool {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "millrace-test"]).arg(self.0.path());
        mount.output().is_ok_and(|output| output.status.success())
    }

    fn path(&self) -> String {
        self.0.path().to_string_lossy().into_owned()
    }

    fn grow(&self) {
        assert!(self.mounted("remount,size=400m"));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("--lazy").arg(self.0.path()).status().ok();
    }
}

/// `count` gives the rows of the table `loaded`, which has one before.
async fn what_has_no_room_is_not_loaded(place: Place, disk: &SmallDisk, count: impl Fn() -> String) {
    let rows: String = (0..ROWS).map(|id| format!("{id},the row with the number {id}\n")).collect();
    place.file("rows.csv", format!("id,name\n{rows}"));
    let config = json!({"from": "rows.csv", "to": "db:loaded", "write": "append"});
    place.fresh();
    let error = place.attempt(config.clone()).await.unwrap_err();
    let said = format!("{} {}", error.problem.message, error.problem.hints.join(" "));
    // Tried again at once, it would fail again.
    assert!(!error.transient, "{said}");
    assert!(["No space left", "is full"].iter().any(|words| said.contains(words)), "{said}");
    assert_eq!(count().trim(), "1", "{said}");
    disk.grow();
    place.attempt(config).await.unwrap();
    assert_eq!(count().trim(), (ROWS + 1).to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_has_no_room() {
    let (Some(disk), Some(server)) = (SmallDisk::mount(), TestPostgres::start()) else { return };
    Command::new("chown").arg("postgres").arg(disk.path()).status().unwrap();
    server.sql(&format!("create tablespace small location '{}'", disk.path()));
    server.sql("create table loaded (id bigint, name text) tablespace small; insert into loaded values (-1, 'before')");
    let place = Place::with("db", json!({"postgres": {"url": server.url()}}));
    what_has_no_room_is_not_loaded(place, &disk, || server.sql("select count(*) from loaded")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_has_no_room() {
    let (Some(disk), Some(server)) = (SmallDisk::mount(), TestMariadb::start()) else { return };
    let at = disk.path();
    server.sql(&format!("create table loaded (id bigint, name varchar(80)) data directory = '{at}'; insert into loaded values (-1, 'before')"));
    let place = Place::with("db", json!({"mysql": {"url": server.url()}}));
    what_has_no_room_is_not_loaded(place, &disk, || server.sql("select count(*) from loaded")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_has_no_room() {
    let Some(disk) = SmallDisk::mount() else { return };
    let file = format!("{}/shop.db", disk.path());
    let ask = |sql: &str| {
        let script = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); print(*(db.execute(sys.argv[2]).fetchone() or [])); db.commit()";
        let output = Command::new("python3").args(["-c", script, &file, sql]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    ask("create table loaded (id integer, name text)");
    ask("insert into loaded values (-1, 'before')");
    let place = Place::with("db", json!({"sqlite": {"path": file}}));
    what_has_no_room_is_not_loaded(place, &disk, || ask("select count(*) from loaded")).await;
}
