//! Locked Python environments, built once and kept by the hash of everything that is in them.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use millrace_contract::{ComputeError, StepLog};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::sync::OnceCell;

/// Lines of `uv` that an error repeats.
const LAST_LINES: usize = 12;

/// A built environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PythonEnvironment {
    /// Its interpreter.
    pub python: PathBuf,
    /// BLAKE3 over lock file, Python version, platform and uv's version; 64 hex digits.
    pub hash: String,
}

/// Builds environments below one cache folder.
#[derive(Debug)]
pub struct Environments {
    cache: PathBuf,
    system_python: String,
    tools: OnceCell<Tools>,
}

/// What is asked only once a process: where uv is and which versions are here.
#[derive(Debug, Clone)]
struct Tools {
    uv: PathBuf,
    uv_version: String,
    python_version: String,
}

impl Environments {
    /// Environments below `cache`, made from the interpreter `system_python` (a name on `PATH`, or a path).
    pub fn new(cache: PathBuf, system_python: impl Into<String>) -> Self {
        Self { cache, system_python: system_python.into(), tools: OnceCell::new() }
    }

    /// The environment of a lock file (`uv pip compile`'s or `pip freeze`'s format). Built if it is not there yet; others that ask for the
    /// same one meanwhile, in this process or another, wait for it.
    ///
    /// # Errors
    /// [`ComputeError::Environment`] if the lock cannot be read or the packages cannot be installed.
    pub async fn prepare(&self, lock: &Path, log: &dyn StepLog) -> Result<PythonEnvironment, ComputeError> {
        let failed =
            |message: String| ComputeError::Environment { environment: lock.display().to_string(), message };
        let content = fs_err::tokio::read(lock).await.map_err(|error| failed(error.to_string()))?;
        let tools = self.tools.get_or_try_init(|| self.find_tools(log)).await.map_err(failed)?;
        let hash = environment_hash(&content, tools);
        let folder = self.cache.join("environments").join(&hash);
        let environment = PythonEnvironment { python: folder.join("bin/python"), hash };
        if environment.python.exists() {
            return Ok(environment);
        }
        let _guard = self.lock(&environment.hash).await.map_err(failed)?;
        if !environment.python.exists() {
            self.build(tools, lock, &folder, log).await.map_err(failed)?;
        }
        Ok(environment)
    }

    async fn build(
        &self,
        tools: &Tools,
        lock: &Path,
        folder: &Path,
        log: &dyn StepLog,
    ) -> Result<(), String> {
        // Relocatable, because it is built beside its place and renamed when it is whole.
        let staged = folder.with_extension("staged");
        let _ = fs_err::tokio::remove_dir_all(&staged).await;
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let venv = ["venv", "--quiet", "--relocatable", "--python", &self.system_python, &text(&staged)];
        self.uv(tools, &venv, log).await?;
        let python = text(&staged.join("bin/python"));
        let sync = ["pip", "sync", "--compile-bytecode", "--python", &python, &text(lock)];
        log.line(&format!("building the environment `{}`", lock.display()));
        self.uv(tools, &sync, log).await?;
        fs_err::tokio::rename(&staged, folder).await.map_err(|error| error.to_string())
    }

    async fn uv(&self, tools: &Tools, args: &[&str], log: &dyn StepLog) -> Result<(), String> {
        let mut command = Command::new(&tools.uv);
        command.args(args).env("UV_PYTHON_DOWNLOADS", "never").env_remove("VIRTUAL_ENV");
        run_logged(command, log).await.map_err(|lines| {
            format!("`uv {}` failed:\n{lines}\nhint: correct the lock file, or write it anew with `uv pip compile requirements.in -o <lock>`", args.join(" "))
        })
    }

    async fn find_tools(&self, log: &dyn StepLog) -> Result<Tools, String> {
        let python_version = output(Command::new(&self.system_python).args([
            "-c",
            "import sys, sysconfig; print(sys.version, sysconfig.get_platform(), sys.executable)",
        ]))
        .await
        .map_err(|error| {
            format!("`{}` does not run: {error}\nhint: install Python 3.9 or newer", self.system_python)
        })?;
        let kept = self.cache.join("uv/bin/uv");
        for uv in [PathBuf::from("uv"), kept.clone()] {
            if let Ok(uv_version) = output(Command::new(&uv).arg("--version")).await {
                return Ok(Tools { uv, uv_version, python_version });
            }
        }
        log.line("installing `uv`, which is not on the PATH");
        let _guard = self.lock("uv").await?;
        let mut pip = Command::new(&self.system_python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade", "--target"]);
        pip.arg(self.cache.join("uv")).arg("uv");
        run_logged(pip, log).await.map_err(|lines| {
            format!("`uv` is not on the PATH and cannot be installed:\n{lines}\nhint: install uv")
        })?;
        let uv_version = output(Command::new(&kept).arg("--version")).await?;
        Ok(Tools { uv: kept, uv_version, python_version })
    }

    /// Holds a lock between processes while something is built; it is freed when the file is closed, also by a crash.
    async fn lock(&self, name: &str) -> Result<nix::fcntl::Flock<std::fs::File>, String> {
        let path = self.cache.join("locks").join(name);
        let locked = tokio::task::spawn_blocking(move || -> std::io::Result<_> {
            fs_err::create_dir_all(path.parent().unwrap_or(&path))?;
            let file = fs_err::File::create(&path)?.into_file();
            nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusive)
                .map_err(|(_, error)| error.into())
        });
        locked.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }
}

fn environment_hash(lock: &[u8], tools: &Tools) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in [
        lock,
        tools.python_version.as_bytes(),
        std::env::consts::ARCH.as_bytes(),
        tools.uv_version.as_bytes(),
    ] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().to_hex().to_string()
}

async fn output(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().await.map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs a tool whose progress is on standard error; each line goes to the log, the last ones into the error.
async fn run_logged(mut command: Command, log: &dyn StepLog) -> Result<(), String> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let mut last = std::collections::VecDeque::new();
    if let Some(stderr) = child.stderr.take() {
        let mut lines = BufReader::new(stderr).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            log.line(&line);
            if last.len() == LAST_LINES {
                last.pop_front();
            }
            last.push_back(line);
        }
    }
    let status = child.wait().await.map_err(|error| error.to_string())?;
    if status.success() { Ok(()) } else { Err(last.into_iter().collect::<Vec<_>>().join("\n")) }
}
