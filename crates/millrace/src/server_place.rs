//! Where this server is, as the other servers on its database see it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use millrace_orchestration::ServerPlace;

/// How long the others leave a server alone without a word of it: long enough for a busy machine, short enough that nobody waits long.
const LEASE: Duration = Duration::from_secs(15);
/// The same where no other server can be: SQLite is written to less often while nothing happens.
const LEASE_ALONE: Duration = Duration::from_secs(300);

/// Describes this process, which has locked `state`.
///
/// # Errors
/// If the state folder cannot be written or the system says nothing about its own processes.
pub(crate) fn here(state: &Path, on_postgres: bool) -> Result<ServerPlace> {
    let process = millrace_compute::this_process().context("`/proc` does not have this process")?;
    Ok(ServerPlace {
        host: machine()?,
        state_id: state_id(state)?,
        process,
        is_running: millrace_compute::is_running,
        lease: if on_postgres { LEASE } else { LEASE_ALONE },
    })
}

/// The machine since it was switched on, and the processes that are seen there: containers have their own.
fn machine() -> Result<String> {
    let boot = fs_err::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let processes = fs_err::read_link("/proc/self/ns/pid")?;
    Ok(format!("{} {}", boot.trim(), processes.display()))
}

/// The id of a state folder, made with it.
fn state_id(state: &Path) -> Result<String> {
    let path = state.join("server.id");
    if let Ok(id) = fs_err::read_to_string(&path)
        && !id.trim().is_empty()
    {
        return Ok(id.trim().to_owned());
    }
    fs_err::create_dir_all(state)?;
    let id = uuid::Uuid::now_v7().simple().to_string();
    let staged = state.join("server.id.staged");
    fs_err::write(&staged, &id)?;
    fs_err::rename(&staged, &path)?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_keeps_its_id_and_this_process_is_running() {
        let folder = tempfile::tempdir().unwrap();
        let first = here(&folder.path().join("state"), true).unwrap();
        let again = here(&folder.path().join("state"), true).unwrap();
        assert_eq!((&first.state_id, &first.host), (&again.state_id, &again.host));
        assert_ne!(here(&folder.path().join("other"), true).unwrap().state_id, first.state_id);
        let (pid, ticks) = first.process;
        assert!((first.is_running)(pid, ticks) && !(first.is_running)(pid, ticks + 1));
    }
}
