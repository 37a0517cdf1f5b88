//! One engine a workspace: a lock on a file in the state folder, let go by the kernel when its holder ends.

use std::fs::File;
use std::path::Path;

use anyhow::{Result, bail};
use nix::fcntl::{Flock, FlockArg};

/// Holds the workspace until dropped.
#[derive(Debug)]
pub(crate) struct WorkspaceLock(#[allow(dead_code, reason = "held for its drop")] Flock<File>);

/// Takes the workspace.
///
/// # Errors
/// If a server or another `millrace run` has it.
pub(crate) fn take(state: &Path) -> Result<WorkspaceLock> {
    take_file(state, "lock", "another `millrace run` or a server works in this workspace")
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
    take_file(state, "import.lock", "another `millrace import` works in this workspace")
}

fn take_file(state: &Path, name: &str, taken: &str) -> Result<WorkspaceLock> {
    fs_err::create_dir_all(state)?;
    let file = fs_err::OpenOptions::new().create(true).truncate(false).write(true).open(state.join(name))?;
    match Flock::lock(file.into_parts().0, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(WorkspaceLock(lock)),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => {
            bail!("{taken}")
        }
        Err((_, errno)) => bail!("cannot lock the workspace: {errno}"),
    }
}
