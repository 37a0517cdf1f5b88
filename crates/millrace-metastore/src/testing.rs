//! Throw-away servers for tests, from Debian's packages, on Unix sockets in temporary folders: PostgreSQL here.
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

mod mariadb;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

pub use mariadb::TestMariadb;

/// A running cluster; stopped and removed when dropped.
#[derive(Debug)]
pub struct TestPostgres {
    folder: TempDir,
    programs: PathBuf,
}

impl TestPostgres {
    /// Starts one, or says why not and returns `None`.
    pub fn start() -> Option<Self> {
        let started = Self::try_start();
        if let Err(reason) = &started {
            eprintln!("skipped on PostgreSQL: {reason}");
        }
        started.ok()
    }

    fn try_start() -> Result<Self, String> {
        let programs =
            newest_programs().ok_or("its programs are not installed (Debian's package `postgresql`)")?;
        let folder =
            tempfile::Builder::new().prefix("millrace-pg-").tempdir().map_err(|error| error.to_string())?;
        let postgres = Self { folder, programs };
        let path = postgres.folder.path().to_string_lossy().into_owned();
        if is_root() {
            // PostgreSQL refuses to run as root; Debian's package brings the user `postgres`.
            run(Command::new("chown").args(["postgres", &path]))?;
        }
        run(postgres.program("initdb").args([
            "-D",
            &format!("{path}/data"),
            "-U",
            "millrace",
            "-A",
            "trust",
            "--no-sync",
        ]))?;
        let options = format!(
            "-c listen_addresses='' -c unix_socket_directories='{path}' -c fsync=off -c max_connections=100 \
             -c wal_level=logical"
        );
        run(postgres.program("pg_ctl").args([
            "-D",
            &format!("{path}/data"),
            "-w",
            "-l",
            &format!("{path}/log"),
            "-o",
            &options,
            "start",
        ]))?;
        Ok(postgres)
    }

    /// URL of its database.
    pub fn url(&self) -> String {
        let socket = self.folder.path().to_string_lossy().replace('/', "%2F");
        format!("postgres://millrace@{socket}/postgres")
    }

    /// Runs statements by the server's own client and returns what it prints, tabs between cells.
    ///
    /// # Panics
    /// If one fails.
    #[allow(clippy::panic, reason = "this is for tests")]
    pub fn sql(&self, statements: &str) -> String {
        let arguments =
            ["-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-c", statements, &self.url()];
        let said =
            mariadb::output("psql", &arguments).unwrap_or_else(|error| panic!("{statements}: {error}"));
        String::from_utf8_lossy(&said).into_owned()
    }

    /// Folder of its socket.
    pub fn socket_folder(&self) -> &Path {
        self.folder.path()
    }

    fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        if !is_root() {
            return Command::new(program);
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
        command.current_dir(self.folder.path());
        command
    }
}

impl Drop for TestPostgres {
    fn drop(&mut self) {
        let data = format!("{}/data", self.folder.path().to_string_lossy());
        if let Err(error) = run(self.program("pg_ctl").args(["-D", &data, "-m", "immediate", "stop"])) {
            eprintln!("a test server was left behind: {error}");
        }
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.starts_with(b"0"))
}

fn newest_programs() -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    versions.sort();
    versions.pop().filter(|programs| programs.join("initdb").exists())
}

fn run(command: &mut Command) -> Result<(), String> {
    // `pg_ctl start` leaves a server behind that would hold a pipe open.
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}")) }
}
