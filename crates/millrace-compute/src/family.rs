//! Everything that a program has started, also what left its process group or its session: nothing of it outlives the attempt.
//!
//! The shim is a child subreaper (`prctl(2)`): whoever loses its parent below it becomes its child, however often it forked. Where the
//! shim itself was killed, what is left is known by a variable that every program gets and hands on.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

/// In the environment of every program: the folder of its attempt.
pub(crate) const ATTEMPT_VARIABLE: &str = "MILLRACE_ATTEMPT";

/// Longest wait for killed processes to go: one that the kernel holds (a disk that does not answer) goes when it lets go.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(2);

/// From now on, what loses its parent below this process becomes its child.
pub(crate) fn adopt_orphans() {
    // Fails on kernels before 3.4 alone; then the process group is what is ended.
    let _ = nix::sys::prctl::set_child_subreaper(true);
}

/// Takes away orphans that have ended; `program` is left to whoever waits for it.
pub(crate) fn reap_orphans(program: Pid) {
    let ended = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while let Ok(status) = waitid(Id::All, ended) {
        let Some(pid) = status.pid().filter(|pid| *pid != program && status != WaitStatus::StillAlive) else {
            return;
        };
        if waitpid(pid, Some(WaitPidFlag::WNOHANG)).is_err() {
            return;
        }
    }
}

/// Tells everything below a process.
pub(crate) fn signal_descendants(of: Pid, signal: Signal) {
    for pid in descendants(of) {
        // It may have ended in between, which is what is wanted.
        let _ = kill(pid, signal);
    }
}

/// Kills everything below this process and takes it away. What forks while it is killed leaves orphans, which are killed in turn.
pub(crate) fn end_descendants() {
    let until = Instant::now() + PATIENCE;
    let me = Pid::this();
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => {}
            Ok(_) => continue,
            // No child is left.
            Err(_) => return,
        }
        if Instant::now() >= until {
            return;
        }
        signal_descendants(me, Signal::SIGKILL);
        std::thread::sleep(PAUSE);
    }
}

/// Kills what an attempt has left whose shim is gone: what is below `program`, and what carries the attempt's folder in its environment.
pub(crate) fn end_strays(program: Option<Pid>, folder: &Path) {
    if let Some(program) = program {
        signal_descendants(program, Signal::SIGKILL);
    }
    let until = Instant::now() + PATIENCE;
    loop {
        let left = carriers(folder);
        if left.is_empty() || Instant::now() >= until {
            return;
        }
        for pid in left {
            let _ = kill(pid, Signal::SIGKILL);
        }
        std::thread::sleep(PAUSE);
    }
}

/// Children of a process, and theirs.
fn descendants(of: Pid) -> Vec<Pid> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for pid in processes() {
        if let Some(parent) = parent(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut open = vec![of.as_raw()];
    while let Some(pid) = open.pop() {
        for child in children.remove(&pid).unwrap_or_default() {
            open.push(child);
            found.push(Pid::from_raw(child));
        }
    }
    found
}

/// Processes that carry the attempt's folder, but for this one.
fn carriers(folder: &Path) -> Vec<Pid> {
    let wanted = [ATTEMPT_VARIABLE.as_bytes(), b"=", folder.as_os_str().as_bytes()].concat();
    let me = std::process::id().cast_signed();
    let carries = |pid: &i32| {
        // Those of other users cannot be read, nor killed; one that has ended has none.
        let environment = fs_err::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted)
    };
    processes().filter(|pid| *pid != me).filter(carries).map(Pid::from_raw).collect()
}

fn processes() -> impl Iterator<Item = i32> {
    let entries = fs_err::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Field 4 of `/proc/<pid>/stat`; counting starts after the name, which may hold spaces and brackets.
fn parent(pid: i32) -> Option<i32> {
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}
