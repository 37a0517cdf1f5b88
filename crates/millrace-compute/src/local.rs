//! Commands on this machine, under the shim or on a warm Python worker.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use millrace_contract::{
    AttemptCost, CommandExit, CommandHandle, CommandSpec, ComputeError, ComputeTarget, StepLog,
};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::environment::Environments;
use crate::family;
use crate::pidfd;
use crate::record::{self, ProcessId};
use crate::shims::Shims;
use crate::warm::WarmWorkers;

/// Name of this target in [`CommandHandle::target`].
pub const LOCAL: &str = "local";

/// What [`LocalTarget`] needs to know; `boot` fills it in.
#[derive(Debug, Clone)]
pub struct LocalSettings {
    /// The fork server of shims and its arguments: `[current_exe, "__shims"]`. It runs [`serve_shims`](crate::serve_shims).
    pub shims: Vec<OsString>,
    /// Root of the workspace; environments are relative to it.
    pub workspace: PathBuf,
    /// `PATH`, `HOME`, `LANG` and `TZ` of every command.
    pub base_env: Vec<(OsString, OsString)>,
}

/// Starts and watches commands on this machine.
#[derive(Debug)]
pub struct LocalTarget {
    settings: LocalSettings,
    shims: Shims,
    environments: Arc<Environments>,
    warm: Option<WarmWorkers>,
}

struct NoLog;

impl StepLog for NoLog {
    fn line(&self, _: &str) {}
}

impl LocalTarget {
    /// A target that runs everything under the shim, and Python programs of a locked environment on `warm` workers if there are any.
    pub fn new(settings: LocalSettings, environments: Arc<Environments>, warm: Option<WarmWorkers>) -> Self {
        let shims = Shims::new(settings.shims.clone(), settings.base_env.clone());
        Self { settings, shims, environments, warm }
    }

    /// Puts the environment's interpreter in place of `python` and tries a warm worker.
    async fn python(
        &self,
        folder: &Path,
        command: &mut CommandSpec,
    ) -> Result<Option<ProcessId>, ComputeError> {
        let Some(lock) = &command.environment else { return Ok(None) };
        let environment = self.environments.prepare(&self.settings.workspace.join(lock), &NoLog).await?;
        if let Some(program) = command.argv.first_mut()
            && program == "python"
        {
            *program = environment.python.to_string_lossy().into_owned();
        }
        // A warm job writes its own logs, which nobody masks: it is for commands that are given no secret.
        let Some(warm) = self.warm.as_ref().filter(|_| command.warm && !is_given_a_secret(command)) else {
            return Ok(None);
        };
        write_command(folder, command).await?;
        match warm.start(&environment, &self.settings.base_env, folder, command).await {
            Ok(process) => Ok(Some(process)),
            Err(error) => {
                tracing::warn!(%error, environment = %lock, "no warm worker; the step starts its own Python");
                Ok(None)
            }
        }
    }
}

#[async_trait]
impl ComputeTarget for LocalTarget {
    async fn start(&self, folder: PathBuf, mut command: CommandSpec) -> Result<CommandHandle, ComputeError> {
        fs_err::create_dir_all(&folder).map_err(|error| folder_error(&folder, &error))?;
        if let Some(process) = self.python(&folder, &mut command).await? {
            return Ok(handle(folder, process));
        }
        write_command(&folder, &command).await?;
        let process = self.shims.start(&folder).await?;
        Ok(handle(folder, process))
    }

    async fn wait(&self, handle: &CommandHandle) -> Result<CommandExit, ComputeError> {
        let folder = &handle.folder;
        if let Some(exit) = record::read_exit(folder) {
            return Ok(exit);
        }
        let process = ProcessId { pid: handle.pid, started_ticks: handle.started_ticks };
        pidfd::ended(process).await.map_err(|error| folder_error(folder, &error))?;
        let shim = record::read_shim(folder);
        // A warm worker writes the record after it has reaped the process; the shim before it ends.
        if let Some(keeper) = shim.as_ref().and_then(|shim| shim.keeper) {
            let mut pause = Duration::from_millis(1);
            while record::read_exit(folder).is_none() && keeper.exists() && pause < Duration::from_secs(2) {
                tokio::time::sleep(pause).await;
                pause = pause * 3 / 2;
            }
        }
        if let Some(exit) = record::read_exit(folder) {
            return Ok(exit);
        }
        // Nobody keeps time or logs for the program any more: it must not go on beside the attempt that follows.
        let program = shim.and_then(|shim| shim.program).unwrap_or(process);
        let (strays, folder) = (Pid::from_raw(program.pid), folder.clone());
        let is_there = program.exists();
        let end = move || family::end_strays(is_there.then_some(strays), &folder);
        tokio::task::spawn_blocking(end).await.ok();
        signal_group(program, Signal::SIGKILL);
        Ok(CommandExit::Lost)
    }

    async fn cost(&self, handle: &CommandHandle) -> Option<AttemptCost> {
        record::read_cost(&handle.folder)
    }

    async fn find(&self, folder: &Path) -> Result<Option<CommandHandle>, ComputeError> {
        let found = match record::read_shim(folder) {
            None => match record::claim(folder) {
                // A shim that is on its way has it.
                Ok(false) => record::wait_for_shim(folder).await,
                Ok(true) => None,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                Err(error) => return Err(folder_error(folder, &error)),
            },
            found => found,
        };
        Ok(found.map(|shim| handle(folder.to_owned(), shim.process)))
    }

    async fn cancel(&self, handle: &CommandHandle) -> Result<(), ComputeError> {
        let folder = &handle.folder;
        let process = ProcessId { pid: handle.pid, started_ticks: handle.started_ticks };
        if record::read_exit(folder).is_some() || !process.exists() {
            return Ok(());
        }
        if record::read_shim(folder).is_some_and(|shim| shim.keeper.is_some()) {
            record::write_whole(&folder.join(record::CANCEL_FILE), b"")
                .map_err(|error| folder_error(folder, &error))?;
            signal_group(process, Signal::SIGTERM);
        } else {
            // It may have ended in between, which is what was wanted.
            let _ = kill(Pid::from_raw(process.pid), Signal::SIGTERM);
        }
        Ok(())
    }
}

fn is_given_a_secret(command: &CommandSpec) -> bool {
    let given = || command.env.values().chain(&command.argv);
    command.secrets.iter().any(|secret| given().any(|text| text.contains(secret.as_str())))
}

fn signal_group(leader: ProcessId, signal: Signal) {
    if leader.exists() {
        let _ = killpg(Pid::from_raw(leader.pid), signal);
    }
}

fn handle(folder: PathBuf, process: ProcessId) -> CommandHandle {
    CommandHandle { target: LOCAL.to_owned(), folder, pid: process.pid, started_ticks: process.started_ticks }
}

async fn write_command(folder: &Path, command: &CommandSpec) -> Result<(), ComputeError> {
    let path = folder.join(record::COMMAND_FILE);
    let content = serde_json::to_vec(command).map_err(|error| folder_error(folder, &error.into()))?;
    let written = tokio::task::spawn_blocking(move || record::write_whole(&path, &content)).await;
    match written {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(folder_error(folder, &error)),
        Err(error) => Err(folder_error(folder, &std::io::Error::other(error))),
    }
}

fn folder_error(folder: &Path, error: &std::io::Error) -> ComputeError {
    ComputeError::Folder { folder: folder.to_owned(), message: error.to_string() }
}
