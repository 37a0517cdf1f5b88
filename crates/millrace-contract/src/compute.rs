use std::fmt;
use std::path::PathBuf;

use async_trait::async_trait;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::cost::AttemptCost;

/// A program to be run for a step, in its own process session, under the shim.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct CommandSpec {
    /// Program and arguments; no shell unless it is named here.
    pub argv: Vec<String>,
    /// Working directory.
    pub cwd: PathBuf,
    /// The whole environment of the program beyond `PATH`, `HOME`, `LANG` and `TZ`.
    pub env: IndexMap<String, String>,
    /// Values that must not appear in logs; each occurrence becomes `***`.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// Longest run time, milliseconds; then SIGTERM, `grace_ms`, SIGKILL.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// Time between SIGTERM and SIGKILL, milliseconds.
    pub grace_ms: u64,
    /// Locked environment for a Python program, relative to the workspace; `argv[0]` is then `python`.
    #[serde(default)]
    pub environment: Option<String>,
    /// Whether a warm worker of that environment may run it.
    #[serde(default)]
    pub warm: bool,
    /// Standard output and error kept, bytes; what is beyond is counted and dropped.
    pub max_log_bytes: u64,
}

/// Names what it holds. Arguments, variables and secrets may be what nobody is to see.
impl fmt::Debug for CommandSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variables: Vec<&String> = self.env.keys().collect();
        let program = self.argv.first();
        let mut shown = f.debug_struct("CommandSpec");
        shown.field("program", &program).field("cwd", &self.cwd).field("variables", &variables);
        shown.finish_non_exhaustive()
    }
}

/// What finds a command again after a restart. Stored in the attempt's row before waiting begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandHandle {
    /// Which target started it: `local`.
    pub target: String,
    /// The attempt's folder: `command.json`, `stdout.log`, `stderr.log`, `shim.json`, `exit.json`.
    pub folder: PathBuf,
    /// Process id of the shim (or of the warm worker's child).
    pub pid: i32,
    /// Start time of that process, clock ticks since boot, so that a reused pid is not mistaken for it.
    pub started_ticks: u64,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ended", rename_all = "snake_case")]
pub enum CommandExit {
    /// It returned.
    Exited {
        /// Exit code.
        code: i32,
    },
    /// A signal ended it.
    Signalled {
        /// Signal number.
        signal: i32,
        /// Whether the kernel's out-of-memory killer is the likely sender.
        out_of_memory: bool,
    },
    /// It ran into its timeout.
    TimedOut,
    /// It was cancelled.
    Cancelled,
    /// Neither the process nor an exit record is there.
    Lost,
    /// It could not be started.
    NotStarted {
        /// Why, for example `no such file`.
        message: String,
    },
}

/// A place where commands run.
#[async_trait]
pub trait ComputeTarget: Send + Sync {
    /// Starts a command with its files in `folder` and returns as soon as it can be found again.
    async fn start(&self, folder: PathBuf, command: CommandSpec) -> Result<CommandHandle, ComputeError>;

    /// Waits for the end; also for commands that an earlier server started.
    async fn wait(&self, handle: &CommandHandle) -> Result<CommandExit, ComputeError>;

    /// What a command that has ended used; `None` if nobody measured it.
    async fn cost(&self, handle: &CommandHandle) -> Option<AttemptCost> {
        let _ = handle;
        None
    }

    /// Finds a command by its folder, running or ended; `None` if none was ever started there, and then none will be: one that a server
    /// which is gone has asked for, and that is still on its way, does not begin any more.
    async fn find(&self, folder: &std::path::Path) -> Result<Option<CommandHandle>, ComputeError>;

    /// Asks it to end (SIGTERM to the group, then SIGKILL after the grace time). Returns when it was asked; `wait` tells the end.
    async fn cancel(&self, handle: &CommandHandle) -> Result<(), ComputeError>;
}

/// Why a command could not be started or watched.
#[derive(Debug, thiserror::Error)]
pub enum ComputeError {
    /// The attempt's folder cannot be written or read.
    #[error("cannot use the folder `{folder}`: {message}")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        message: String,
    },
    /// The shim or the program cannot be started.
    #[error("cannot start `{program}`: {message}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        message: String,
    },
    /// The environment of packages cannot be made.
    #[error("cannot build the environment `{environment}`: {message}")]
    Environment {
        /// Path of the lock file.
        environment: String,
        /// Why, with the tool's last lines.
        message: String,
    },
}
