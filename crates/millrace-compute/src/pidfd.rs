//! Waiting for the end of a process that need not be a child of this one.

use std::os::fd::{FromRawFd as _, OwnedFd};

use nix::libc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::record::ProcessId;

/// Returns when the process has ended; at once if it is gone already or the id now belongs to another one.
pub(crate) async fn ended(process: ProcessId) -> std::io::Result<()> {
    let fd = match open(process.pid) {
        Ok(fd) => fd,
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(()),
        Err(error) => return Err(error),
    };
    // Checked after opening: from here on the descriptor cannot come to mean another process.
    if !process.exists() {
        return Ok(());
    }
    let fd = watch(fd)?;
    let _ready = fd.readable().await?;
    Ok(())
}

#[allow(
    unsafe_code,
    reason = "tokio asks for a promise that the descriptor stays open while it is registered"
)]
fn watch(fd: OwnedFd) -> std::io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` keeps its descriptor open and gives the same one from every `as_raw_fd`.
    Ok(unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?)
}

#[allow(
    unsafe_code,
    reason = "neither std (stable) nor nix offers pidfd_open; it takes two integers and returns a new descriptor"
)]
fn open(pid: i32) -> std::io::Result<OwnedFd> {
    // SAFETY: the call reads no memory of ours. A non-negative result is a descriptor that nobody else owns.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid, libc::PIDFD_NONBLOCK);
        match i32::try_from(fd) {
            Ok(fd) if fd >= 0 => Ok(OwnedFd::from_raw_fd(fd)),
            _ => Err(std::io::Error::last_os_error()),
        }
    }
}
