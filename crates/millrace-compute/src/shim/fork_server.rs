//! The fork server: a small process without threads that forks a shim for each command.
//!
//! A shim that begins by exec pays for loading the whole program anew: its linker relocates some 300,000 pointers, which takes longer than
//! most commands. A fork shares the pages that were relocated once. The server that started the fork server may die: the fork server then
//! sees the end of its input and ends, and the shims, each in a session of its own, go on.

use std::collections::HashMap;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, dup2_stdin, dup2_stdout, fork, setsid};
use serde::{Deserialize, Serialize};

use super::exec_shim;
use crate::record::ProcessId;

/// A line on the fork server's standard input: start a shim for the command in a folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) id: u64,
    pub(crate) folder: PathBuf,
}

/// A line on its standard output, shorter than the 4,096 bytes that a pipe takes in one piece.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) id: u64,
    #[serde(flatten)]
    pub(crate) event: Event,
}

/// What became of a request. An end follows every start, but only an end without a start means anything to the one who asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    /// The shim keeps its record and can be found again.
    Started(ProcessId),
    /// Why there is no shim.
    Failed(String),
    /// The shim has ended.
    Ended,
}

/// Serves until its input ends. The body of `millrace __shims`, and in each forked child that of its shim.
///
/// Shims and programs inherit its environment, which the target keeps to `PATH`, `HOME`, `LANG` and `TZ`.
pub fn serve_shims() -> ExitCode {
    match ForkServer::new().and_then(|mut server| server.serve()) {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(request)) => become_shim(&request),
        // Its standard error is nobody's; whoever asked sees that the output ended.
        Err(_) => ExitCode::FAILURE,
    }
}

struct ForkServer {
    signals: SignalFd,
    children: HashMap<Pid, u64>,
    unread: Vec<u8>,
}

impl ForkServer {
    fn new() -> std::io::Result<Self> {
        // Ctrl-C in the server's terminal is not for this process. It fails only for the leader of a group, which is as good.
        let _ = setsid();
        let mut set = SigSet::empty();
        set.add(Signal::SIGCHLD);
        set.thread_block()?;
        let signals = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Self { signals, children: HashMap::new(), unread: Vec::new() })
    }

    /// Returns with a request in the forked child that is to be its shim, and without one when the input has ended.
    fn serve(&mut self) -> std::io::Result<Option<Request>> {
        let stdin = std::io::stdin();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let mut fds = [
                PollFd::new(stdin.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            let readable = fds.first().and_then(PollFd::any).unwrap_or(false);
            self.reap();
            if !readable {
                continue;
            }
            let count = nix::unistd::read(stdin.as_fd(), &mut buffer)?;
            if count == 0 {
                return Ok(None);
            }
            self.unread.extend_from_slice(buffer.get(..count).unwrap_or_default());
            while let Some(request) = self.next_request()? {
                if self.fork(&request)? {
                    return Ok(Some(request));
                }
            }
        }
    }

    fn next_request(&mut self) -> std::io::Result<Option<Request>> {
        let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
        let line: Vec<u8> = self.unread.drain(..=end).collect();
        Ok(Some(serde_json::from_slice(&line)?))
    }

    /// Whether this is the child.
    #[allow(unsafe_code, reason = "fork is unsafe where there are threads; this process has none")]
    fn fork(&mut self, request: &Request) -> std::io::Result<bool> {
        // SAFETY: the process has one thread, so that no lock can be held by another one and the child may do anything.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => Ok(true),
            Ok(ForkResult::Parent { child }) => {
                self.children.insert(child, request.id);
                Ok(false)
            }
            Err(error) => {
                let message = format!("no process can be made: {}", std::io::Error::from(error));
                answer(request.id, Event::Failed(message))?;
                Ok(false)
            }
        }
    }

    fn reap(&mut self) {
        while let Ok(Some(_)) = self.signals.read_signal() {}
        while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            let Some(pid) = status.pid().filter(|_| status != WaitStatus::StillAlive) else { return };
            if let Some(id) = self.children.remove(&pid) {
                // The one who asked may be gone; the end of the input will say so.
                let _ = answer(id, Event::Ended);
            }
        }
    }
}

/// Goes on as the shim of a request: no longer holds the fork server's input, and its output only until it has answered.
fn become_shim(request: &Request) -> ExitCode {
    let told = |event: Event| {
        // The server may be gone already; the record is on disk.
        let _ = answer(request.id, event);
        if let Ok(null) = nothing() {
            let _ = dup2_stdout(&null);
        }
    };
    match nothing().and_then(|null| Ok(dup2_stdin(&null)?)) {
        Ok(()) => exec_shim(&request.folder, told),
        Err(error) => {
            told(Event::Failed(error.to_string()));
            ExitCode::FAILURE
        }
    }
}

fn nothing() -> std::io::Result<std::fs::File> {
    let null = Path::new("/dev/null");
    Ok(fs_err::OpenOptions::new().read(true).write(true).open(null)?.into_file())
}

fn answer(id: u64, event: Event) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(&Answer { id, event })?;
    line.push(b'\n');
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(&line)?;
    stdout.flush()
}
