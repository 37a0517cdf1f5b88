//! One engine a workspace: a lock on a file in the state folder, let go by the kernel when its holder ends.

use std::fs::File;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use nix::fcntl::{Flock, FlockArg};

use crate::workspace::WorkspaceError;

/// Holds the workspace until dropped.
#[derive(Debug)]
pub(crate) struct WorkspaceLock(#[allow(dead_code, reason = "held for its drop")] Flock<File>);

/// Takes the workspace.
///
/// # Errors
/// If a server or another `millrace run` has it.
pub(crate) fn take(state: &Path) -> Result<WorkspaceLock> {
    match take_file(state, "lock")? {
        Some(lock) => Ok(lock),
        None => {
            let server = fs_err::read_to_string(state.join(millrace_orchestration::ADDRESS_FILE)).ok();
            Err(WorkspaceError::Taken { server: server.map(|url| url.trim().to_owned()) }.into())
        }
    }
}

/// Whether a server or a command works in the workspace.
pub(crate) fn is_taken(state: &Path) -> bool {
    take(state).is_err()
}

/// Takes the right to import, beside a server.
///
/// # Errors
/// If another import has it.
pub(crate) fn take_import(state: &Path) -> Result<WorkspaceLock> {
    take_file(state, "import.lock")?.context("another `millrace import` works in this workspace")
}

/// The lock of a file; `None` if another process has it.
fn take_file(state: &Path, name: &str) -> Result<Option<WorkspaceLock>> {
    fs_err::create_dir_all(state)?;
    let file = fs_err::OpenOptions::new().create(true).truncate(false).write(true).open(state.join(name))?;
    match Flock::lock(file.into_parts().0, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(WorkspaceLock(lock))),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => bail!("cannot lock the workspace: {errno}"),
    }
}
