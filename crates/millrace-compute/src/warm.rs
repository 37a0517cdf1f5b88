//! Warm Python workers: one process per environment that has imported its packages and forks for each job.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use millrace_contract::CommandSpec;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::process::Command;
use tokio::sync::Mutex;

use crate::environment::PythonEnvironment;
use crate::record::ProcessId;

/// `PYTHONHASHSEED` of every `python` step. Python's own choice is another one at each start, and with it the order of a set of texts:
/// skl2onnx writes the domains of a graph in such an order, so that the same forest was two models.
pub(crate) const HASH_SEED: &str = "0";
const ZYGOTE: &str = include_str!("../../../python/millrace/_zygote.py");
const MODEL: &str = include_str!("../../../python/millrace/_model.py");
const DATA: &str = include_str!("../../../python/millrace/_data.py");
const SDK: &str = include_str!("../../../python/millrace/__init__.py");

/// Longest wait for an answer of a worker that is there.
const ANSWER: Duration = Duration::from_secs(5);
/// Longest wait for a worker to come up. It serves before it has imported anything, so this is Python's own start.
const START: Duration = Duration::from_secs(10);

/// Writes the Python files below `state`; the folder that belongs on `PYTHONPATH` is returned. Called once at start-up.
///
/// # Errors
/// Whatever the file system says.
pub fn install_python_files(state: &Path) -> std::io::Result<PathBuf> {
    let path = state.join("python");
    let package = path.join("millrace");
    fs_err::create_dir_all(&package)?;
    for (name, text) in
        [("_zygote.py", ZYGOTE), ("_model.py", MODEL), ("_data.py", DATA), ("__init__.py", SDK)]
    {
        let file = package.join(name);
        if fs_err::read(&file).ok().as_deref() != Some(text.as_bytes()) {
            crate::record::write_whole(&file, text.as_bytes())?;
        }
    }
    Ok(path)
}

/// The warm workers of a workspace.
#[derive(Debug)]
pub struct WarmWorkers {
    python_path: PathBuf,
    sockets: PathBuf,
    starting: Mutex<()>,
}

/// Why a job is not run warm; the caller starts a process of its own instead.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WarmError {
    #[error("the warm worker cannot be reached")]
    Io(#[from] std::io::Error),
    #[error("the warm worker does not answer")]
    Silent,
    #[error("the warm worker refused: {0}")]
    Refused(String),
}

#[derive(Serialize)]
struct Job<'a> {
    folder: &'a Path,
    #[serde(flatten)]
    command: &'a CommandSpec,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Started(ProcessId),
    Refused { error: String },
}

impl WarmWorkers {
    /// Workers whose sockets are in `sockets`, with the Python files that [`install_python_files`] wrote to `python_path`.
    pub fn new(python_path: PathBuf, sockets: PathBuf) -> Self {
        Self { python_path, sockets, starting: Mutex::new(()) }
    }

    pub(crate) async fn start(
        &self,
        environment: &PythonEnvironment,
        base_env: &[(OsString, OsString)],
        folder: &Path,
        command: &CommandSpec,
    ) -> Result<ProcessId, WarmError> {
        // A socket's path is limited to 107 bytes.
        let socket =
            self.sockets.join(format!("{}.sock", environment.hash.get(..16).unwrap_or(&environment.hash)));
        let stream = match UnixStream::connect(&socket).await {
            Ok(stream) => stream,
            Err(_) => self.launch(environment, base_env, &socket).await?,
        };
        tokio::time::timeout(ANSWER, hand_over(stream, &Job { folder, command }))
            .await
            .map_err(|_| WarmError::Silent)?
    }

    async fn launch(
        &self,
        environment: &PythonEnvironment,
        base_env: &[(OsString, OsString)],
        socket: &Path,
    ) -> Result<UnixStream, WarmError> {
        let _one_at_a_time = self.starting.lock().await;
        if let Ok(stream) = UnixStream::connect(socket).await {
            return Ok(stream);
        }
        fs_err::create_dir_all(&self.sockets)?;
        let log = fs_err::File::create(socket.with_extension("log"))?.into_file();
        let mut child = Command::new(&environment.python)
            .arg(self.python_path.join("millrace/_zygote.py"))
            .arg(socket)
            .env_clear()
            .envs(base_env.iter().cloned())
            .env("PYTHONHASHSEED", HASH_SEED)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        let stdout = child.stdout.take().ok_or(WarmError::Silent)?;
        let mut line = String::new();
        tokio::time::timeout(START, BufReader::new(stdout).read_line(&mut line))
            .await
            .map_err(|_| WarmError::Silent)??;
        Ok(UnixStream::connect(socket).await?)
    }
}

async fn hand_over(stream: UnixStream, job: &Job<'_>) -> Result<ProcessId, WarmError> {
    let mut stream = BufReader::new(stream);
    let mut line = serde_json::to_vec(job).map_err(std::io::Error::from)?;
    line.push(b'\n');
    stream.get_mut().write_all(&line).await?;
    let mut answer = String::new();
    stream.read_line(&mut answer).await?;
    match serde_json::from_str(&answer) {
        Ok(Answer::Started(process)) => Ok(process),
        Ok(Answer::Refused { error }) => Err(WarmError::Refused(error)),
        Err(_) => Err(WarmError::Silent),
    }
}
