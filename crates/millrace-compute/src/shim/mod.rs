//! The shim: a small, synchronous process between the server and a step's program.
//!
//! It is its own session, so the server may die and come back; it writes the logs and the exit record, keeps time, and ends the
//! program with everything that it has started. It must start in a millisecond: no runtime, no threads, forked rather than loaded ([`fork_server`]).

pub(crate) mod fork_server;
mod index;
mod log;
mod mask;
mod supervise;
mod usage;

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use millrace_contract::{CommandExit, CommandSpec};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use self::fork_server::Event;
use crate::family::{self, ATTEMPT_VARIABLE};
use crate::record::{self, CommandEnd, ExitRecord, ProcessId, ShimRecord};

/// Runs the command whose `command.json` is in `folder`, in a session of its own.
///
/// `tell` is called once: as soon as the command can be found again, or with the reason why it never can.
fn exec_shim(folder: &Path, tell: impl Fn(Event)) -> ExitCode {
    // Fails only if this process leads a group already, which is as good.
    let _ = nix::unistd::setsid();
    let begun = begin(folder).inspect_err(|error| tell(Event::Failed(error.to_string())));
    let Ok((shim, record)) = begun else { return ExitCode::FAILURE };
    tell(Event::Started(shim.process));
    let end = run(folder, shim).unwrap_or_else(|error| not_started(error.to_string()));
    // A record that cannot be written makes the command a lost one.
    record.write(&end).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

/// Claims the attempt: from here on it can be found again, and its end can be recorded.
fn begin(folder: &Path) -> std::io::Result<(ShimRecord, ExitRecord)> {
    let process = ProcessId::of(std::process::id().cast_signed()).ok_or_else(|| {
        std::io::Error::other("`/proc` is not mounted, so that processes cannot be told apart")
    })?;
    if !record::claim(folder)? {
        return Err(std::io::Error::other("the attempt is taken already"));
    }
    let record = ExitRecord::reserve(folder)?;
    let shim = ShimRecord { process, program: None, keeper: None };
    write_shim(folder, &shim)?;
    Ok((shim, record))
}

fn run(folder: &Path, mut shim: ShimRecord) -> std::io::Result<CommandEnd> {
    let spec: CommandSpec = serde_json::from_slice(&fs_err::read(folder.join(record::COMMAND_FILE))?)?;
    let signals = watch_signals()?;
    family::adopt_orphans();
    let mut command = Command::new(spec.argv.first().map(String::as_str).unwrap_or_default());
    command.args(spec.argv.get(1..).unwrap_or_default());
    command.current_dir(&spec.cwd).envs(&spec.env).env(ATTEMPT_VARIABLE, folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    unblock_signals_in(&mut command);
    let child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            let program = spec.argv.first().cloned().unwrap_or_default();
            let message = match error.kind() {
                std::io::ErrorKind::NotFound if !spec.cwd.is_dir() => {
                    format!("the folder `{}` does not exist", spec.cwd.display())
                }
                std::io::ErrorKind::NotFound => format!("there is no program `{program}`"),
                _ => format!("`{program}`: {error}"),
            };
            return Ok(not_started(message));
        }
    };
    shim.program = ProcessId::of(child.id().cast_signed());
    write_shim(folder, &shim)?;
    supervise::Supervisor::new(folder, &spec, child, signals)?.run()
}

fn not_started(message: String) -> CommandEnd {
    CommandEnd { exit: CommandExit::NotStarted { message }, cost: None }
}

/// SIGTERM and SIGINT mean cancel, SIGCHLD that the program may have ended; all three are read from a file descriptor.
fn watch_signals() -> std::io::Result<SignalFd> {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGCHLD] {
        set.add(signal);
    }
    set.thread_block()?;
    Ok(SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?)
}

/// The program must not inherit the shim's blocked signals, or SIGTERM would never reach it.
#[allow(
    unsafe_code,
    reason = "std has no other way to set a child's signal mask, and unblocking before the fork would lose a cancel"
)]
fn unblock_signals_in(command: &mut Command) {
    // SAFETY: between fork and exec only sigprocmask is called, which POSIX lists as async-signal-safe.
    unsafe {
        std::os::unix::process::CommandExt::pre_exec(command, || {
            SigSet::empty().thread_set_mask()?;
            Ok(())
        });
    }
}

fn write_shim(folder: &Path, shim: &ShimRecord) -> std::io::Result<()> {
    record::write_whole(&folder.join(record::SHIM_FILE), &serde_json::to_vec(shim)?)
}
