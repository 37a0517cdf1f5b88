//! What the chores need beside Rust: servers from Debian, tools from the package indexes. Installed only when absent, into a cache
//! outside of the checkout.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use crate::shell::run;

/// Debian package and a file that tells that it is there.
const SERVERS: &[(&str, &str)] = &[
    ("postgresql", "/usr/lib/postgresql"),
    ("chromium", "/usr/bin/chromium"),
    ("redis-server", "/usr/bin/redis-server"),
    ("nats-server", "/usr/sbin/nats-server"),
    ("mosquitto", "/usr/sbin/mosquitto"),
    ("rabbitmq-server", "/usr/lib/rabbitmq/bin/rabbitmq-server"),
    ("dovecot-imapd", "/usr/sbin/dovecot"),
    ("mariadb-server", "/usr/sbin/mariadbd"),
    ("openssh-server", "/usr/sbin/sshd"),
    ("protobuf-compiler", "/usr/bin/protoc"),
    ("libprotobuf-dev", "/usr/include/google/protobuf/any.proto"),
    // The feature `odbc` links the first; the others are drivers.
    ("unixodbc-dev", "/usr/include/sql.h"),
    ("libsqliteodbc", "/usr/lib/x86_64-linux-gnu/odbc/libsqlite3odbc.so"),
    ("odbc-postgresql", "/usr/lib/x86_64-linux-gnu/odbc/psqlodbcw.so"),
];
/// The spelling checker, a wheel with a binary.
const TYPOS: &str = "typos==1.52.0";
/// Azure Blob Storage for tests.
const AZURITE: &str = "3.37.0";
/// The licence checker.
const CARGO_DENY: &str = "0.20.2";

/// Whether a program is on the path.
pub(crate) fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

/// Folder for what can be made again.
#[allow(clippy::disallowed_methods, reason = "a chore reads the environment where it needs it")]
pub(crate) fn cache() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    base.unwrap_or_else(std::env::temp_dir).join("millrace")
}

/// Installs the absent ones with apt; where there is no apt, the tests that need them say that they are skipped.
pub(crate) fn install_test_servers() -> Result<()> {
    let absent: Vec<&str> =
        SERVERS.iter().filter(|(_, mark)| !Path::new(mark).exists()).map(|(package, _)| *package).collect();
    if absent.is_empty() {
        return Ok(());
    }
    if !has("apt-get") {
        eprintln!("warning: no apt-get here; install {} by hand to run their tests", absent.join(", "));
        return Ok(());
    }
    let here = Path::new(".");
    run(here, "apt-get", &["update", "-qq"])?;
    // Tests start servers of their own; on this level the packages do not start theirs.
    let mut arguments = vec!["RUNLEVEL=1", "apt-get", "install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(absent);
    run(here, "env", &arguments)
}

/// Where the virtual environment with these requirements is, or will be.
fn environment(name: &str, content: &str) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    cache().join(format!("{name}-{:016x}", hasher.finish()))
}

/// The interpreter of a virtual environment with these requirements; made once and kept by their hash.
fn python_with(name: &str, requirements: &[&str], content: &str) -> Result<PathBuf> {
    let folder = environment(name, content);
    let python = folder.join("bin/python");
    let mark = folder.join("complete");
    if mark.exists() {
        return Ok(python);
    }
    let here = Path::new(".");
    run(here, "python3", &["-m", "venv", "--clear", &folder.to_string_lossy()])?;
    let mut arguments = vec!["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    arguments.extend(requirements);
    run(here, &python.to_string_lossy(), &arguments)?;
    std::fs::write(&mark, "").with_context(|| format!("cannot write {}", mark.display()))?;
    Ok(python)
}

/// The interpreter with the unmodified clients that tests drive: `mlflow`, scikit-learn and others of `python/tests/requirements.txt`.
pub(crate) fn client_python(root: &Path) -> Result<PathBuf> {
    let file = root.join("python/tests/requirements.txt");
    let content =
        std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    python_with("test-venv", &["-r", &file.to_string_lossy()], &content)
}

/// The interpreter with clients of queues, which send what triggers wait for.
pub(crate) fn queue_python(root: &Path) -> Result<PathBuf> {
    let file = root.join("python/tests/queues.txt");
    let content =
        std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    python_with("queues-venv", &["-r", &file.to_string_lossy()], &content)
}

/// The interpreter with other programs' readers and writers of files.
pub(crate) fn formats_python(root: &Path) -> Result<PathBuf> {
    let file = root.join("python/tests/formats.txt");
    let content =
        std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    python_with("formats-venv", &["-r", &file.to_string_lossy()], &content)
}

/// The interpreter with ClickHouse's own engine.
pub(crate) fn clickhouse_python(root: &Path) -> Result<PathBuf> {
    let file = root.join("python/tests/clickhouse.txt");
    let content =
        std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    python_with("clickhouse-venv", &["-r", &file.to_string_lossy()], &content)
}

/// The interpreter with Sail, a server that speaks Spark's protocol and SQL.
pub(crate) fn sail_python(root: &Path) -> Result<PathBuf> {
    spark_like(root, "sail")
}

/// Whether a program is there, installed with apt if it was not.
pub(crate) fn has_or_installs(program: &str, package: &str) -> Result<bool> {
    if !has(program) && has("apt-get") {
        let here = Path::new(".");
        run(here, "apt-get", &["update", "-qq"])?;
        run(here, "apt-get", &["install", "-y", "-qq", "--no-install-recommends", package])?;
    }
    Ok(has(program))
}

/// The interpreter with Spark itself; it needs Java.
pub(crate) fn spark_python(root: &Path) -> Result<PathBuf> {
    has_or_installs("java", "default-jre-headless")?;
    spark_like(root, "spark")
}

fn spark_like(root: &Path, name: &str) -> Result<PathBuf> {
    let file = root.join(format!("python/tests/engines/{name}.txt"));
    let content =
        std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    python_with(&format!("{name}-venv"), &["-r", &file.to_string_lossy()], &content)
}

/// The interpreter with the programs that copies and queries are measured against.
pub(crate) fn peers_python(root: &Path) -> Result<PathBuf> {
    let file = root.join("xtask/peers/requirements.txt");
    let content =
        std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    python_with("peers-venv", &["-r", &file.to_string_lossy()], &content)
}

/// Singer taps that copies read, each with an environment of its own: the variable that names it, and the program.
pub(crate) fn taps(root: &Path) -> Result<Vec<(&'static str, PathBuf)>> {
    let mut found = Vec::new();
    for (variable, tap) in
        [("MILLRACE_TEST_TAP_JSONL", "tap-jsonl"), ("MILLRACE_TEST_TAP_REST", "tap-rest-api")]
    {
        let file = root.join(format!("python/tests/taps/{tap}.txt"));
        let content =
            std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let python = python_with(&format!("{tap}-venv"), &["-r", &file.to_string_lossy()], &content)?;
        found.push((variable, python.with_file_name(tap)));
    }
    Ok(found)
}

/// A server that speaks Azure Blob Storage, from npm; `None` where there is no npm.
pub(crate) fn azurite() -> Result<Option<PathBuf>> {
    if !has("npm") {
        eprintln!("warning: no npm here; the test on Azure Blob Storage is left out");
        return Ok(None);
    }
    let folder = cache().join(format!("azurite-{AZURITE}"));
    let program = folder.join("node_modules/.bin/azurite-blob");
    if !program.exists() {
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let package = format!("azurite@{AZURITE}");
        run(&folder, "npm", &["install", "--silent", "--no-audit", "--no-fund", "--prefix", ".", &package])?;
    }
    Ok(Some(program))
}

/// Real orchestrators that `call` steps are tested against, each with its interpreter; one that cannot be installed is left out.
pub(crate) fn orchestrators(root: &Path) -> Result<Vec<(&'static str, PathBuf)>> {
    let mut found = Vec::new();
    for name in ORCHESTRATORS {
        let (file, content) = orchestrator(root, name)?;
        match python_with(&format!("{name}-venv"), &["-r", &file.to_string_lossy()], &content) {
            Ok(python) => found.push((name, python)),
            Err(error) => eprintln!("warning: {name} cannot be installed, its tests are skipped: {error:#}"),
        }
    }
    Ok(found)
}

/// Those of them that are installed already.
pub(crate) fn installed_orchestrators(root: &Path) -> Result<Vec<(&'static str, PathBuf)>> {
    let mut found = Vec::new();
    for name in ORCHESTRATORS {
        let (_, content) = orchestrator(root, name)?;
        let folder = environment(&format!("{name}-venv"), &content);
        if folder.join("complete").exists() {
            found.push((name, folder.join("bin/python")));
        }
    }
    Ok(found)
}

const ORCHESTRATORS: [&str; 3] = ["airflow", "prefect", "dagster"];

/// The file of an orchestrator's requirements, and what it says.
fn orchestrator(root: &Path, name: &str) -> Result<(PathBuf, String)> {
    let file = root.join(format!("python/tests/orchestrators/{name}.txt"));
    let content =
        std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok((file, content))
}

/// Checks the spelling of everything.
pub(crate) fn typos(root: &Path) -> Result<()> {
    let python = python_with("typos-venv", &[TYPOS], TYPOS)?;
    run(root, &python.with_file_name("typos").to_string_lossy(), &[])
}

/// Checks licences and sources of what is linked in. Advisories need a git clone of their database, so they are not part of it.
pub(crate) fn deny(root: &Path) -> Result<()> {
    let folder = cache().join(format!("cargo-deny-{CARGO_DENY}"));
    let program = folder.join("bin/cargo-deny");
    if !program.exists() {
        let folder = folder.to_string_lossy().into_owned();
        run(
            root,
            "cargo",
            &["install", "--quiet", "--locked", "--version", CARGO_DENY, "--root", &folder, "cargo-deny"],
        )?;
    }
    run(root, &program.to_string_lossy(), &["check", "licenses", "bans", "sources"])
}
