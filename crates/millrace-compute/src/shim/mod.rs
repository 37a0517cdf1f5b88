//! The shim: a small, synchronous process between the server and a step's program.
//!
//! It is its own session, so the server may die and come back; it writes the logs and the exit record, keeps time, and ends the
//! program's whole process group. It must start in a millisecond: no runtime, no threads.

mod log;
mod mask;
mod supervise;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use millrace_contract::{CommandExit, CommandSpec};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::record::{self, Durability, ProcessId, ShimRecord};

/// Runs the command whose `command.json` is in `folder`. The body of `millrace __exec <folder>`.
///
/// The program inherits the shim's environment (the target keeps it to `PATH`, `HOME`, `LANG` and `TZ`) plus the command's own. One line,
/// the shim record, is written to standard output as soon as the command can be found again.
pub fn exec_shim(folder: &Path) -> ExitCode {
    match run(folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let exit = CommandExit::NotStarted { message: error.to_string() };
            // Without a writable folder there is nobody left to tell.
            let _ = write_exit(folder, &exit);
            ExitCode::FAILURE
        }
    }
}

fn run(folder: &Path) -> std::io::Result<()> {
    let spec: CommandSpec = serde_json::from_slice(&fs_err::read(folder.join(record::COMMAND_FILE))?)?;
    // Fails only if this process leads a group already, which is as good.
    let _ = nix::unistd::setsid();
    let signals = watch_signals()?;

    let me = ProcessId::of(std::process::id().cast_signed()).ok_or_else(|| {
        std::io::Error::other("`/proc` is not mounted, so that processes cannot be told apart")
    })?;
    let mut shim = ShimRecord { process: me, program: None, keeper: None };
    announce(folder, &shim)?;

    let mut command = Command::new(spec.argv.first().map(String::as_str).unwrap_or_default());
    command.args(spec.argv.get(1..).unwrap_or_default());
    command.current_dir(&spec.cwd).envs(&spec.env);
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
            return write_exit(folder, &CommandExit::NotStarted { message });
        }
    };
    shim.program = ProcessId::of(child.id().cast_signed());
    record::write_whole(&folder.join(record::SHIM_FILE), &serde_json::to_vec(&shim)?, Durability::Process)?;
    let exit = supervise::Supervisor::new(folder, &spec, child, signals)?.run()?;
    write_exit(folder, &exit)
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

fn announce(folder: &Path, shim: &ShimRecord) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(shim)?;
    record::write_whole(&folder.join(record::SHIM_FILE), &line, Durability::Process)?;
    line.push(b'\n');
    // The server may be gone already; the record is on disk.
    let _ = std::io::stdout().write_all(&line).and_then(|()| std::io::stdout().flush());
    Ok(())
}

fn write_exit(folder: &Path, exit: &CommandExit) -> std::io::Result<()> {
    record::write_whole(&folder.join(record::EXIT_FILE), &serde_json::to_vec(exit)?, Durability::Power)
}
