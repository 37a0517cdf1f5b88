//! A PostgreSQL server to measure with, from Debian's package; it ends with the bench.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// A server that is stopped in the end.
pub(super) struct Postgres {
    folder: PathBuf,
    programs: PathBuf,
    port: u16,
}

impl Postgres {
    /// A new server whose files are below `folder`.
    pub(super) fn start(folder: &Path) -> Result<Self> {
        let versions = std::fs::read_dir("/usr/lib/postgresql").context("PostgreSQL is not installed")?;
        let mut versions: Vec<PathBuf> = versions.flatten().map(|entry| entry.path().join("bin")).collect();
        versions.sort();
        let programs = versions.pop().context("PostgreSQL is not installed")?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let server = Self { folder: folder.to_owned(), programs, port };
        std::fs::create_dir_all(folder)?;
        let path = folder.to_string_lossy().into_owned();
        // It refuses to run as root, and has to reach its folder.
        if is_root()? {
            done(Command::new("chown").args(["postgres", &path]))?;
            let parent = folder.parent().context("a folder has a parent")?;
            done(Command::new("chmod").arg("755").arg(parent))?;
        }
        let data = folder.join("data").to_string_lossy().into_owned();
        done(server.as_postgres("initdb")?.args(["-D", &data, "-U", "bench", "-A", "trust", "-E", "UTF8"]))?;
        let options = format!(
            "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={path} -c max_wal_size=8GB -c shared_buffers=512MB"
        );
        let log = folder.join("log").to_string_lossy().into_owned();
        done(server.as_postgres("pg_ctl")?.args(["-D", &data, "-w", "-l", &log, "-o", &options, "start"]))?;
        Ok(server)
    }

    pub(super) fn url(&self) -> String {
        format!("postgresql://bench@127.0.0.1:{}/postgres", self.port)
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// Runs statements, also those of psql itself, each on its own.
    pub(super) fn sql(&self, statements: &[&str]) -> Result<()> {
        let mut psql = Command::new(self.program("psql"));
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &self.url()]);
        for statement in statements {
            psql.args(["-c", statement]);
        }
        done(&mut psql)
    }

    fn as_postgres(&self, name: &str) -> Result<Command> {
        let program = self.program(name);
        if !is_root()? {
            return Ok(Command::new(program));
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
        Ok(command)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.folder.join("data");
        if let Ok(mut stop) = self.as_postgres("pg_ctl") {
            let _ = done(stop.arg("-D").arg(data).args(["-m", "immediate", "stop"]));
        }
    }
}

fn is_root() -> Result<bool> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:")).context("no Uid")?;
    Ok(line.split_whitespace().next() == Some("0"))
}

fn done(command: &mut Command) -> Result<()> {
    let said = command.stdin(Stdio::null()).output()?;
    if !said.status.success() {
        bail!("{:?} failed: {}", command.get_program(), String::from_utf8_lossy(&said.stderr));
    }
    Ok(())
}
