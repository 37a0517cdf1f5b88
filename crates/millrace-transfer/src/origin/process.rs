//! Programs that give rows: started with an environment of their own, heard on standard error, ended with all that they started.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indexmap::IndexMap;
use millrace_contract::StepLog;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;

use super::settings::Hidden;
use crate::error::CopyError;
use crate::store::masked;

/// Where programs are looked for.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// Lines of standard error that an error quotes.
const LAST_LINES: usize = 5;
/// Bytes of a line of standard error that go to the log.
const LONGEST_LINE: u64 = 16 * 1024;
/// Between two looks at a program that has closed its output and goes on.
const LOOK: Duration = Duration::from_millis(20);
/// How long the last lines of standard error are waited for, once the program is gone.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How a program is started.
#[derive(Clone)]
pub(super) struct Program {
    command: Vec<String>,
    env: IndexMap<String, Hidden>,
    workspace: PathBuf,
    /// What no message shows.
    secrets: Vec<String>,
}

impl Program {
    /// `config`: what the program is told in a file; what opens something in it is not shown.
    pub(super) fn new(
        command: Vec<String>,
        env: IndexMap<String, Hidden>,
        config: &Value,
        workspace: &Path,
    ) -> Result<Self, String> {
        if command.first().is_none_or(String::is_empty) {
            return Err("`command` names no program".to_owned());
        }
        if let Some(name) = env.keys().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
            return Err(format!("`env`: `{name}` is no name of a variable"));
        }
        let mut secrets: Vec<String> = env.values().map(|value| value.0.clone()).collect();
        secrets_in(config, &mut secrets);
        Ok(Self { command, env, workspace: workspace.to_owned(), secrets })
    }

    /// Starts it. `folder` is its home, and where its temporary files go.
    pub(super) fn start(
        &self,
        arguments: &[&str],
        folder: &Path,
        log: Arc<dyn StepLog>,
    ) -> Result<(Running, ChildStdout), CopyError> {
        let name = self.command.first().map(String::as_str).unwrap_or_default();
        let failed = |error: &dyn std::fmt::Display| {
            CopyError::config(
                format!("the program `{name}` does not start: {error}"),
                format!("a path below the workspace, an absolute one, or a name that is found in {PATH}"),
            )
        };
        let program = if name.contains('/') { self.workspace.join(name) } else { PathBuf::from(name) };
        let mut command = Command::new(program);
        command.args(self.command.iter().skip(1)).args(arguments);
        command
            .env_clear()
            .env("PATH", PATH)
            .env("LANG", "C.UTF-8")
            .env("HOME", folder)
            .env("TMPDIR", folder);
        command.envs(self.env.iter().map(|(name, value)| (name, &value.0)));
        command.current_dir(&self.workspace).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| failed(&error))?;
        let group = i32::try_from(child.id()).map_err(|error| failed(&error))?;
        let (out, errors) = (child.stdout.take(), child.stderr.take());
        let group = Group(Arc::new(Mutex::new(Some((Pid::from_raw(group), child)))));
        let (Some(out), Some(errors)) = (out, errors) else { return Err(failed(&"it has no output")) };
        let last = Arc::new(Mutex::new(VecDeque::new()));
        let (told, end) = std::sync::mpsc::channel();
        let (lines, secrets) = (last.clone(), self.secrets.clone());
        std::thread::Builder::new()
            .name("program-stderr".to_owned())
            .spawn(move || {
                hear(errors, &secrets, &*log, &lines);
                // Nobody may be waiting.
                let _ = told.send(());
            })
            .map_err(|error| failed(&error))?;
        Ok((Running { group, name: name.to_owned(), last, end }, out))
    }
}

/// Values under names that tell that they open something.
fn secrets_in(value: &Value, found: &mut Vec<String>) {
    const WORDS: [&str; 6] = ["secret", "password", "token", "key", "credential", "auth"];
    match value {
        Value::Array(items) => items.iter().for_each(|item| secrets_in(item, found)),
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if WORDS.iter().any(|word| name.to_lowercase().contains(word)) => {
                        found.push(text.clone());
                    }
                    value => secrets_in(value, found),
                }
            }
        }
        _ => {}
    }
}

/// Puts standard error into the step's log, line by line.
fn hear(errors: ChildStderr, secrets: &[String], log: &dyn StepLog, last: &Mutex<VecDeque<String>>) {
    let mut errors = BufReader::new(errors);
    loop {
        let mut line = Vec::new();
        match errors.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let line = masked(String::from_utf8_lossy(&line).trim_end(), secrets);
        if line.is_empty() {
            continue;
        }
        log.line(&line);
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        last.push_back(line);
        if last.len() > LAST_LINES {
            last.pop_front();
        }
    }
}

/// The processes of a program, until its first one is reaped.
#[derive(Clone)]
pub(super) struct Group(Arc<Mutex<Option<(Pid, Child)>>>);

impl Group {
    fn kill(&self) {
        if let Some((group, mut child)) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // It may have ended by itself; then there is only its exit to be taken.
            let _ = killpg(group, Signal::SIGKILL);
            let _ = child.wait();
        }
    }

    /// The exit code if the program has ended, and with it all that it started; `Err` if it was killed.
    fn ended(&self) -> Result<Option<std::process::ExitStatus>, String> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((group, child)) = held.as_mut() else { return Err("it was ended".to_owned()) };
        let status = child.try_wait().map_err(|error| error.to_string())?;
        if status.is_some() {
            let _ = killpg(*group, Signal::SIGKILL);
            *held = None;
        }
        Ok(status)
    }
}

/// Ends the program when it is dropped.
pub(super) struct Ender(Group);

impl Drop for Ender {
    fn drop(&mut self) {
        self.0.kill();
    }
}

/// A program at work. It goes on when this is dropped: its [`Ender`] ends it.
pub(super) struct Running {
    group: Group,
    name: String,
    last: Arc<Mutex<VecDeque<String>>>,
    end: Receiver<()>,
}

impl Running {
    pub(super) fn ender(&self) -> Ender {
        Ender(self.group.clone())
    }

    /// Waits until it has ended well; called on a blocking thread after its output has ended.
    pub(super) fn end(&self) -> Result<(), String> {
        let status = loop {
            match self.group.ended()? {
                Some(status) => break status,
                None => std::thread::sleep(LOOK),
            }
        };
        if status.success() {
            return Ok(());
        }
        Err(self.words(&format!("`{}` ended with {status}", self.name)))
    }

    /// What it wrote to standard error last, after what happened.
    pub(super) fn words(&self, happened: &str) -> String {
        if self.end.recv_timeout(LAST_WORDS) == Err(RecvTimeoutError::Timeout) {
            tracing::debug!("the program's standard error is still open");
        }
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let said: Vec<&str> = last.iter().map(String::as_str).collect();
        if said.is_empty() { happened.to_owned() } else { format!("{happened}: {}", said.join("; ")) }
    }
}

/// Writes a file that nobody else reads.
pub(super) fn private_file(path: &Path, content: &Value) -> Result<(), CopyError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let failed = |error: &dyn std::fmt::Display| CopyError::write(path.to_string_lossy(), error);
    let mut options = std::fs::OpenOptions::new();
    let mut file =
        options.write(true).create_new(true).mode(0o600).open(path).map_err(|error| failed(&error))?;
    let text = serde_json::to_vec(content).map_err(|error| failed(&error))?;
    file.write_all(&text).map_err(|error| failed(&error))
}
