//! The files of an attempt's folder by which a command is found again: who watches it, and how it ended.

use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fs_err::os::unix::fs::OpenOptionsExt as _;
use millrace_contract::{AttemptCost, CommandExit};
use serde::{Deserialize, Serialize};

/// What is to be run; written by the target, read by the shim.
pub(crate) const COMMAND_FILE: &str = "command.json";
/// Who runs it; written by the shim or the warm worker.
pub(crate) const SHIM_FILE: &str = "shim.json";
/// How it ended.
pub(crate) const EXIT_FILE: &str = "exit.json";
/// Touched every few seconds while it runs.
pub(crate) const BEAT_FILE: &str = "beat";
/// Standard output.
pub(crate) const STDOUT_FILE: &str = "stdout.log";
/// Standard error.
pub(crate) const STDERR_FILE: &str = "stderr.log";
/// Its presence asks a warm worker to end the job.
pub(crate) const CANCEL_FILE: &str = "cancel";

/// Longest time between a shim's claim and its record, one write later.
const SHIM_PATIENCE: Duration = Duration::from_secs(5);
const SHIM_PAUSE: Duration = Duration::from_millis(2);
/// Whoever makes it first has the attempt: the shim that begins it, or the server that counts it as lost.
pub(crate) const CLAIM_FILE: &str = "claim";

/// Takes an attempt; `false` if it is taken. So a shim that is still on its way when its server is killed either begins, and is found, or
/// never does.
///
/// # Errors
/// Whatever the file system says.
pub(crate) fn claim(folder: &Path) -> std::io::Result<bool> {
    match fs_err::OpenOptions::new().write(true).create_new(true).open(folder.join(CLAIM_FILE)) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// A process that cannot be mistaken for another one with the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessId {
    /// Process id.
    pub(crate) pid: i32,
    /// Start time in clock ticks since boot.
    pub(crate) started_ticks: u64,
}

impl ProcessId {
    /// Looks up the running process `pid`; `None` if there is none.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        start_ticks(pid).map(|started_ticks| Self { pid, started_ticks })
    }

    /// Whether that very process is still there (perhaps ended, but not yet reaped).
    pub(crate) fn exists(self) -> bool {
        start_ticks(self.pid) == Some(self.started_ticks)
    }
}

/// Id and start, in clock ticks since boot, of this process; `None` without `/proc`.
pub fn this_process() -> Option<(i64, i64)> {
    let me = ProcessId::of(i32::try_from(std::process::id()).ok()?)?;
    Some((me.pid.into(), i64::try_from(me.started_ticks).ok()?))
}

/// Whether the process of that id and start is still there.
pub fn is_running(pid: i64, started_ticks: i64) -> bool {
    let (Ok(pid), Ok(started_ticks)) = (i32::try_from(pid), u64::try_from(started_ticks)) else {
        return false;
    };
    ProcessId { pid, started_ticks }.exists()
}

/// Content of [`SHIM_FILE`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShimRecord {
    /// The process that is waited for: the shim, or the warm worker's child.
    #[serde(flatten)]
    pub(crate) process: ProcessId,
    /// The program under the shim, leader of its own group. Absent until it runs, and for warm workers, where `process` is the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) program: Option<ProcessId>,
    /// The warm worker that reaps `process` and writes the exit record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) keeper: Option<ProcessId>,
}

/// Reads the record of who runs a command; `None` if there is none or it cannot be read.
pub(crate) fn read_shim(folder: &Path) -> Option<ShimRecord> {
    read_json(&folder.join(SHIM_FILE))
}

/// The record of a shim that has the attempt, but may not have written it yet.
pub(crate) async fn wait_for_shim(folder: &Path) -> Option<ShimRecord> {
    let until = Instant::now() + SHIM_PATIENCE;
    loop {
        match read_shim(folder) {
            None if Instant::now() < until => tokio::time::sleep(SHIM_PAUSE).await,
            found => return found,
        }
    }
}

/// Content of [`EXIT_FILE`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CommandEnd {
    /// How it ended.
    #[serde(flatten)]
    pub(crate) exit: CommandExit,
    /// What it used. Absent in records of earlier versions.
    #[serde(default)]
    pub(crate) cost: Option<AttemptCost>,
}

/// Reads how a command ended; `None` while it runs.
pub(crate) fn read_exit(folder: &Path) -> Option<CommandExit> {
    read_json::<CommandEnd>(&folder.join(EXIT_FILE)).map(|end| end.exit)
}

/// Reads what a command used; `None` while it runs.
pub(crate) fn read_cost(folder: &Path) -> Option<AttemptCost> {
    read_json::<CommandEnd>(&folder.join(EXIT_FILE))?.cost
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs_err::read(path).ok()?).ok()
}

/// Writes a file so that readers see the old content or all of the new one. It survives the writer's death, not a loss of power. Only
/// this user can read it, since a command holds secrets.
///
/// # Errors
/// Whatever the file system says.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let staged: PathBuf = path.with_extension(format!("{}.staged", std::process::id()));
    let mut open = fs_err::OpenOptions::new();
    let mut file = open.write(true).create(true).truncate(true).mode(0o600).open(&staged)?;
    file.write_all(content)?;
    fs_err::rename(&staged, path)
}

/// Room that is claimed for an exit record, bytes.
const EXIT_ROOM: usize = 4096;

/// The exit record to be. Its room on the disk is claimed before the program starts, so that a program that fills the disk cannot keep its
/// own end from being known.
#[derive(Debug)]
pub(crate) struct ExitRecord {
    file: fs_err::File,
    folder: PathBuf,
}

impl ExitRecord {
    /// Claims the room.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub(crate) fn reserve(folder: &Path) -> std::io::Result<Self> {
        let mut file = fs_err::File::create(folder.join("exit.reserved"))?;
        file.write_all(&[b' '; EXIT_ROOM])?;
        Ok(Self { file, folder: folder.to_owned() })
    }

    /// Writes how the command ended; readers see all of it or nothing, even after a loss of power.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub(crate) fn write(mut self, end: &CommandEnd) -> std::io::Result<()> {
        let content = serde_json::to_vec(end)?;
        self.file.rewind()?;
        self.file.write_all(&content)?;
        self.file.set_len(content.len() as u64)?;
        self.file.sync_all()?;
        fs_err::rename(self.file.path(), self.folder.join(EXIT_FILE))?;
        fs_err::File::open(&self.folder)?.sync_all()
    }
}

/// Field 22 of `/proc/<pid>/stat`. The command's name (field 2) may hold spaces and brackets, so counting starts after the last `)`.
fn start_ticks(pid: i32) -> Option<u64> {
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_exists_and_one_with_other_ticks_does_not() {
        let me = ProcessId::of(std::process::id().cast_signed()).unwrap();
        assert!(me.exists());
        assert!(!ProcessId { started_ticks: me.started_ticks + 1, ..me }.exists());
    }
}
