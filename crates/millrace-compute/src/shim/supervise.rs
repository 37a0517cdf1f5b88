//! The shim's loop: output, signals, time.

use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, ExitStatus};
use std::time::{Duration, Instant};

use millrace_contract::{CommandExit, CommandSpec};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::signalfd::SignalFd;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use super::index::{LogIndex, Source};
use super::log::{Budget, LogFile};
use super::usage::{self, Transfer};
use crate::family;
use crate::record::{self, CommandEnd};

/// How often `beat` is touched.
const BEAT: Duration = Duration::from_secs(5);
/// How long output is still awaited after the program and all that it started are gone: what the kernel still holds may hold the pipe.
const DRAIN: Duration = Duration::from_millis(100);

/// Why the program is being ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Timeout,
    Cancel,
}

/// A program's pipe and the file it goes to; `None` once it is closed.
struct Stream<R> {
    pipe: Option<R>,
    log: LogFile,
}

impl<R: Read + AsFd> Stream<R> {
    fn new(pipe: Option<R>, log: LogFile) -> std::io::Result<Self> {
        if let Some(pipe) = &pipe {
            fcntl(pipe.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        Ok(Self { pipe, log })
    }

    /// Reads what is there, at most some chunks so that a flood in one stream does not starve signals and timers.
    fn pump(&mut self, buffer: &mut [u8], budget: &mut Budget) {
        for _ in 0..16 {
            let Some(pipe) = self.pipe.as_mut() else { return };
            match pipe.read(buffer) {
                Ok(0) => self.pipe = None,
                Ok(count) => self.log.write(buffer.get(..count).unwrap_or_default(), budget),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.pipe = None,
            }
        }
    }
}

/// A running program and everything the shim keeps about it.
pub(super) struct Supervisor {
    folder: PathBuf,
    grace: Duration,
    child: Child,
    group: Pid,
    signals: SignalFd,
    stdout: Stream<ChildStdout>,
    stderr: Stream<ChildStderr>,
    budget: Budget,
    index: LogIndex,
    oom_kills: u64,
    transfer: Transfer,
    next_beat: Instant,
    deadline: Option<Instant>,
    kill_at: Option<Instant>,
    ending: Option<Ending>,
}

impl Supervisor {
    pub(super) fn new(
        folder: &Path,
        spec: &CommandSpec,
        mut child: Child,
        signals: SignalFd,
    ) -> std::io::Result<Self> {
        let started = Instant::now();
        let stdout = LogFile::create(&folder.join(record::STDOUT_FILE), &spec.secrets)?;
        let stderr = LogFile::create(&folder.join(record::STDERR_FILE), &spec.secrets)?;
        Ok(Self {
            folder: folder.to_owned(),
            grace: Duration::from_millis(spec.grace_ms),
            group: Pid::from_raw(child.id().cast_signed()),
            stdout: Stream::new(child.stdout.take(), stdout)?,
            stderr: Stream::new(child.stderr.take(), stderr)?,
            child,
            signals,
            index: LogIndex::create(folder)?,
            budget: Budget { left: spec.max_log_bytes },
            oom_kills: usage::oom_kills(),
            transfer: Transfer::default(),
            next_beat: started,
            deadline: spec.timeout_ms.map(|ms| started + Duration::from_millis(ms)),
            kill_at: None,
            ending: None,
        })
    }

    /// Runs until the program has ended and its output is kept.
    pub(super) fn run(mut self) -> std::io::Result<CommandEnd> {
        let mut buffer = vec![0; 64 * 1024];
        let status = loop {
            let now = Instant::now();
            self.keep_time(now);
            self.wait_for_something(now)?;
            self.pump(&mut buffer);
            while let Ok(Some(signal)) = self.signals.read_signal() {
                if i32::try_from(signal.ssi_signo) != Ok(Signal::SIGCHLD as i32) {
                    self.end(Ending::Cancel, Instant::now());
                }
            }
            if let Some(status) = self.reap()? {
                break status;
            }
        };
        // Nothing that it started, daemons neither, may hold pipes, ports or files of an attempt that has ended.
        let _ = killpg(self.group, Signal::SIGKILL);
        family::end_descendants();
        self.drain(&mut buffer)?;
        Ok(CommandEnd { exit: self.exit(status), cost: Some(usage::cost(self.transfer)) })
    }

    /// How the program ended, if it has.
    fn reap(&mut self) -> std::io::Result<Option<ExitStatus>> {
        // Looked at before it is taken away: `/proc` says what it read and wrote only as long as it is there.
        family::reap_orphans(self.group);
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        if waitid(Id::Pid(self.group), flags)? == WaitStatus::StillAlive {
            return Ok(None);
        }
        self.transfer = Transfer::of(self.group);
        self.child.try_wait()
    }

    fn pump(&mut self, buffer: &mut [u8]) {
        self.stdout.pump(buffer, &mut self.budget);
        self.stderr.pump(buffer, &mut self.budget);
        self.note_order(Instant::now());
    }

    fn note_order(&mut self, now: Instant) {
        self.index.note(Source::Output, self.stdout.log.take_fresh(), now);
        self.index.note(Source::Errors, self.stderr.log.take_fresh(), now);
    }

    fn keep_time(&mut self, now: Instant) {
        self.index.keep_time(now);
        if now >= self.next_beat {
            // The beat is for onlookers; the kernel knows whether this process lives.
            let _ = fs_err::File::create(self.folder.join(record::BEAT_FILE));
            self.next_beat = now + BEAT;
        }
        if self.deadline.is_some_and(|at| now >= at) {
            self.deadline = None;
            self.end(Ending::Timeout, now);
        }
        if self.kill_at.is_some_and(|at| now >= at) {
            self.kill_at = None;
            let _ = killpg(self.group, Signal::SIGKILL);
            family::signal_descendants(Pid::this(), Signal::SIGKILL);
        }
    }

    fn end(&mut self, ending: Ending, now: Instant) {
        if self.ending.is_none() {
            self.ending = Some(ending);
            self.kill_at = Some(now + self.grace);
            // All below this process: the group, and what has left it.
            family::signal_descendants(Pid::this(), Signal::SIGTERM);
        }
    }

    fn wait_for_something(&self, now: Instant) -> std::io::Result<()> {
        let next = [Some(self.next_beat), self.deadline, self.kill_at, self.index.next()]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(now);
        // Rounded up, or the last millisecond would be spent spinning.
        let wait = next.saturating_duration_since(now).as_millis() + 1;
        self.poll(u16::try_from(wait).unwrap_or(u16::MAX))
    }

    fn poll(&self, milliseconds: u16) -> std::io::Result<()> {
        let mut fds: Vec<BorrowedFd<'_>> = vec![self.signals.as_fd()];
        fds.extend(self.stdout.pipe.as_ref().map(AsFd::as_fd));
        fds.extend(self.stderr.pipe.as_ref().map(AsFd::as_fd));
        let mut polled: Vec<PollFd<'_>> =
            fds.into_iter().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match poll(&mut polled, PollTimeout::from(milliseconds)) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn drain(&mut self, buffer: &mut [u8]) -> std::io::Result<()> {
        let until = Instant::now() + DRAIN;
        loop {
            self.pump(buffer);
            let closed = self.stdout.pipe.is_none() && self.stderr.pipe.is_none();
            let left = until.saturating_duration_since(Instant::now());
            if closed || left.is_zero() {
                break;
            }
            self.poll(u16::try_from(left.as_millis() + 1).unwrap_or(u16::MAX))?;
        }
        self.stdout.log.finish(&mut self.budget);
        self.stderr.log.finish(&mut self.budget);
        let now = Instant::now();
        self.note_order(now);
        self.index.finish(now);
        Ok(())
    }

    fn exit(&self, status: ExitStatus) -> CommandExit {
        match (self.ending, status.code(), status.signal()) {
            (Some(Ending::Timeout), ..) => CommandExit::TimedOut,
            (Some(Ending::Cancel), ..) => CommandExit::Cancelled,
            (None, Some(code), _) => CommandExit::Exited { code },
            (None, None, signal) => {
                let signal = signal.unwrap_or_default();
                let killed = signal == Signal::SIGKILL as i32;
                CommandExit::Signalled {
                    signal,
                    out_of_memory: killed && usage::oom_kills() > self.oom_kills,
                }
            }
        }
    }
}
