//! A throw-away MariaDB for tests, from Debian's package, on a Unix socket in a temporary folder.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running server with the database `shop`; stopped and removed when dropped, or when the thread ends that started it.
#[derive(Debug)]
pub struct TestMariadb {
    folder: TempDir,
    server: Child,
}

impl TestMariadb {
    /// Starts one, or says why not and returns `None`.
    pub fn start() -> Option<Self> {
        let started = Self::try_start();
        if let Err(reason) = &started {
            eprintln!("skipped on MariaDB: {reason}");
        }
        started.ok()
    }

    fn try_start() -> Result<Self, String> {
        let program = Path::new("/usr/sbin/mariadbd");
        if !program.exists() {
            return Err("its programs are not installed (Debian's package `mariadb-server`)".to_owned());
        }
        let folder =
            tempfile::Builder::new().prefix("millrace-my-").tempdir().map_err(|error| error.to_string())?;
        let path = folder.path().to_string_lossy().into_owned();
        let user = String::from_utf8_lossy(&output("id", &["-un"])?).trim().to_owned();
        let common = ["--no-defaults".to_owned(), format!("--datadir={path}/data"), format!("--user={user}")];
        let mut install = Command::new("mariadb-install-db");
        super::run(
            install.args(&common).args(["--auth-root-authentication-method=normal", "--skip-test-db"]),
        )?;
        let socket = format!("{path}/socket");
        let server = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(program)
            .args(&common)
            .args([
                "--skip-networking",
                "--skip-log-bin",
                "--innodb-flush-log-at-trx-commit=0",
                "--innodb-buffer-pool-size=64M",
                "--innodb-fast-shutdown=2",
                &format!("--socket={socket}"),
                &format!("--pid-file={path}/pid"),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mariadb = Self { folder, server };
        let patience = Instant::now() + Duration::from_secs(60);
        while mariadb.try_sql("", "create database if not exists shop").is_err() {
            if Instant::now() > patience {
                return Err("it does not answer".to_owned());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(mariadb)
    }

    /// URL of its database.
    pub fn url(&self) -> String {
        let socket = self.folder.path().join("socket").to_string_lossy().replace('/', "%2F");
        format!("mysql://root@localhost/shop?socket={socket}")
    }

    /// Runs statements in the database `shop` by the server's own client and returns what it prints, tabs between cells.
    ///
    /// # Panics
    /// If one fails.
    #[allow(clippy::panic, reason = "this is for tests")]
    pub fn sql(&self, statements: &str) -> String {
        self.try_sql("shop", statements).unwrap_or_else(|error| panic!("{statements}: {error}"))
    }

    fn try_sql(&self, database: &str, statements: &str) -> Result<String, String> {
        let socket = format!("--socket={}", self.folder.path().join("socket").to_string_lossy());
        let arguments = [
            "--no-defaults",
            &socket,
            "--user=root",
            "--default-character-set=utf8mb4",
            "--batch",
            "--skip-column-names",
            "-e",
            statements,
            database,
        ];
        let arguments: Vec<&str> = arguments.into_iter().filter(|argument| !argument.is_empty()).collect();
        output("mariadb", &arguments).map(|said| String::from_utf8_lossy(&said).into_owned())
    }
}

impl Drop for TestMariadb {
    fn drop(&mut self) {
        if let Err(error) = self.server.kill().and_then(|()| self.server.wait()) {
            eprintln!("a test server was left behind: {error}");
        }
    }
}

pub(super) fn output(program: &str, arguments: &[&str]) -> Result<Vec<u8>, String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}
