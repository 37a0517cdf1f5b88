//! Programs that give rows: started with an environment of their own, heard on standard error, ended with all that they started.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indexmap::IndexMap;
use millrace_contract::{StepContext, StepLog};
use millrace_spec::bytes::parse_bytes;
use millrace_spec::duration::Elapsed;
use millrace_spec::secret::masks;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;

use super::settings::Hidden;
use super::strays;
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
/// Looks at a program whose output is broken, before it is ended.
const LOOKS: usize = 50;
/// How long the last lines of standard error are waited for, once the program is gone.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Bytes of standard error that go to the step's log; of what comes then the last lines are quoted if it fails.
const MOST_LOGGED: usize = 4 << 20;
/// How long a program may take if its connection does not say: a day.
const LONGEST: Elapsed = Elapsed::from_ms(86_400_000);
/// Bytes that a program may write if its connection does not say.
const MOST_OUTPUT: u64 = 64_000_000_000;

/// How a program is started.
#[derive(Clone)]
pub(super) struct Program {
    command: Vec<String>,
    env: IndexMap<String, Hidden>,
    workspace: PathBuf,
    /// What no message shows, beside what the step hides.
    secrets: Vec<String>,
    limits: Limits,
}

/// What a program may take.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    time: Elapsed,
    output: u64,
}

impl Limits {
    /// `timeout` and `max_output` of a connection.
    pub(super) fn of(timeout: Option<Elapsed>, max_output: Option<&str>) -> Result<Self, String> {
        let time = timeout.unwrap_or(LONGEST);
        if time.ms == 0 {
            return Err("`timeout`: a program needs some time".to_owned());
        }
        let output = match max_output {
            Some(amount) => parse_bytes(amount).ok_or_else(|| {
                format!("`max_output`: `{amount}` is not an amount such as `64MB` or `1GiB`")
            })?,
            None => MOST_OUTPUT,
        };
        Ok(Self { time, output })
    }
}

impl Program {
    /// `config`: what the program is told in a file; what opens something in it is not shown.
    pub(super) fn new(
        command: Vec<String>,
        env: IndexMap<String, Hidden>,
        config: &Value,
        workspace: &Path,
        limits: Limits,
    ) -> Result<Self, String> {
        if command.first().is_none_or(String::is_empty) {
            return Err("`command` names no program".to_owned());
        }
        if let Some(name) = env.keys().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
            return Err(format!("`env`: `{name}` is no name of a variable"));
        }
        let mut secrets: Vec<String> = env.values().map(|value| value.0.clone()).collect();
        secrets_in(config, &mut secrets);
        Ok(Self { command, env, workspace: workspace.to_owned(), secrets, limits })
    }

    /// Where it is.
    pub(super) fn found(&self) -> Result<PathBuf, CopyError> {
        let name = self.command.first().map(String::as_str).unwrap_or_default();
        let places = match name.contains('/') {
            true => vec![self.workspace.join(name)],
            false => std::env::split_paths(PATH).map(|folder| folder.join(name)).collect(),
        };
        places.into_iter().find(|place| place.is_file()).ok_or_else(|| {
            CopyError::config(
                format!("there is no program `{name}`"),
                format!("a path below the workspace, an absolute one, or a name that is found in {PATH}"),
            )
        })
    }

    /// Starts it. `folder` is its home, and where its temporary files go. Called where tasks can be spawned.
    pub(super) fn start(
        &self,
        arguments: &[&str],
        folder: &Path,
        context: &StepContext,
    ) -> Result<(Running, Output), CopyError> {
        let name = self.command.first().map(String::as_str).unwrap_or_default();
        let failed = |error: &dyn std::fmt::Display| {
            CopyError::config(
                format!("the program `{name}` does not start: {error}"),
                format!("a path below the workspace, an absolute one, or a name that is found in {PATH}"),
            )
        };
        let mark = uuid::Uuid::now_v7().simple().to_string();
        let mut command = self.command(arguments, folder);
        let mut child = command.env(strays::VARIABLE, &mark).spawn().map_err(|error| failed(&error))?;
        let pid = i32::try_from(child.id()).map_err(|error| failed(&error))?;
        let (out, errors) = (child.stdout.take(), child.stderr.take());
        let group = Group::new(Pid::from_raw(pid), child, mark);
        let (Some(out), Some(errors)) = (out, errors) else {
            group.kill("it has no output");
            return Err(failed(&"it has no output"));
        };
        let last = Arc::new(Mutex::new(VecDeque::new()));
        let (told, end) = std::sync::mpsc::channel();
        let (lines, log) = (last.clone(), context.log.clone());
        let hidden = self.secrets.iter().chain(&context.secrets).map(String::as_str);
        let secrets = masks(hidden);
        let hearing = std::thread::Builder::new().name("program-stderr".to_owned()).spawn(move || {
            hear(errors, &secrets, &*log, &lines);
            // Nobody may be waiting.
            let _ = told.send(());
        });
        if let Err(error) = hearing {
            group.kill("nobody hears it");
            return Err(failed(&error));
        }
        let watch = tokio::spawn(end_late(group.clone(), self.limits.time));
        let out = Output { out, left: self.limits.output, most: self.limits.output };
        Ok((Running { group, name: name.to_owned(), last, end, watch: watch.abort_handle() }, out))
    }

    fn command(&self, arguments: &[&str], folder: &Path) -> Command {
        let name = self.command.first().map(String::as_str).unwrap_or_default();
        let program = if name.contains('/') { self.workspace.join(name) } else { PathBuf::from(name) };
        let mut command = Command::new(program);
        command.args(self.command.iter().skip(1)).args(arguments);
        let usual = command.env_clear().env("PATH", PATH).env("LANG", "C.UTF-8");
        usual.env("HOME", folder).env("TMPDIR", folder);
        command.envs(self.env.iter().map(|(name, value)| (name, &value.0)));
        command.current_dir(&self.workspace).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// Ends a program that takes too long.
async fn end_late(group: Group, time: Elapsed) {
    tokio::time::sleep(Duration::from_millis(time.ms)).await;
    group.kill(&format!("it did not end within its `timeout` of {time}"));
}

/// What a program writes, up to so many bytes.
pub(super) struct Output {
    out: ChildStdout,
    left: u64,
    most: u64,
}

impl std::io::Read for Output {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.out.read(into)?;
        let too_much = || {
            let most = self.most;
            std::io::Error::other(format!("it writes more than its `max_output` of {most} bytes"))
        };
        self.left = self.left.checked_sub(read as u64).ok_or_else(too_much)?;
        Ok(read)
    }
}

/// Values under names that tell that they open something.
fn secrets_in(value: &Value, found: &mut Vec<String>) {
    const WORDS: [&str; 8] = ["secret", "pass", "pwd", "token", "key", "credential", "auth", "cookie"];
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
    let mut room = MOST_LOGGED;
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
        if let Some(left) = room.checked_sub(line.len() + 1) {
            room = left;
            log.line(&line);
        } else if room > 0 {
            room = 0;
            log.line("[what else the program says is not kept]");
        }
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        last.push_back(line);
        if last.len() > LAST_LINES {
            last.pop_front();
        }
    }
}

/// The processes of a program.
#[derive(Clone)]
pub(super) struct Group {
    state: Arc<Mutex<State>>,
    /// What all of its processes carry.
    mark: Arc<str>,
}

/// How a program stands.
enum State {
    /// Its first process is not reaped, so that the number means nobody else.
    There(Pid, Child),
    Ended(std::process::ExitStatus),
    /// By us, and why.
    Killed(String),
}

impl Group {
    fn new(group: Pid, child: Child, mark: String) -> Self {
        Self { state: Arc::new(Mutex::new(State::There(group, child))), mark: mark.into() }
    }

    fn kill(&self, why: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*state, State::There(..)) {
            return;
        }
        if let State::There(group, mut child) = std::mem::replace(&mut *state, State::Killed(why.to_owned()))
        {
            // It may have ended by itself; then there is only its exit to be taken.
            let _ = killpg(group, Signal::SIGKILL);
            // A process that the kernel holds takes longer to go.
            let mark = self.mark.clone();
            std::thread::spawn(move || {
                strays::end(&mark);
                child.wait()
            });
        }
    }

    /// The exit code if the program has ended, and with it all that it started; `Err` with why it was killed.
    fn ended(&self) -> Result<Option<std::process::ExitStatus>, String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let status = match &mut *state {
            State::There(group, child) => {
                let status = child.try_wait().map_err(|error| error.to_string())?;
                if status.is_some() {
                    // What it left in its group, and outside of it.
                    let _ = killpg(*group, Signal::SIGKILL);
                    strays::end(&self.mark);
                }
                status
            }
            State::Ended(status) => Some(*status),
            State::Killed(why) => return Err(why.clone()),
        };
        if let Some(status) = status {
            *state = State::Ended(status);
        }
        Ok(status)
    }
}

/// Ends the program when it is dropped.
pub(super) struct Ender(Group);

impl Drop for Ender {
    fn drop(&mut self) {
        self.0.kill("it was ended");
    }
}

/// A program at work. It goes on when this is dropped: its [`Ender`] ends it.
pub(super) struct Running {
    group: Group,
    name: String,
    last: Arc<Mutex<VecDeque<String>>>,
    end: Receiver<()>,
    watch: tokio::task::AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

impl Running {
    pub(super) fn ender(&self) -> Ender {
        Ender(self.group.clone())
    }

    /// Waits until it has ended well; called on a blocking thread after its output has ended.
    pub(super) fn end(&self) -> Result<(), String> {
        let status = loop {
            match self.group.ended() {
                Ok(Some(status)) => break status,
                Ok(None) => std::thread::sleep(LOOK),
                Err(why) => return Err(self.words(&format!("`{}`: {why}", self.name))),
            }
        };
        if status.success() {
            return Ok(());
        }
        Err(self.words(&format!("`{}` ended with {status}", self.name)))
    }

    /// Ends it because of what happened, and tells that; if it had been ended before, why.
    pub(super) fn fails(&self, happened: &str) -> String {
        let mut before = self.group.ended();
        // A program that breaks off closes its output a moment before it has ended, with a code that says more.
        for _ in 0..LOOKS {
            if !matches!(before, Ok(None)) {
                break;
            }
            std::thread::sleep(LOOK);
            before = self.group.ended();
        }
        self.group.kill(happened);
        match before {
            Err(why) => self.words(&format!("`{}`: {why}", self.name)),
            // One whose output nobody takes any more ends by SIGPIPE: that is no cause.
            Ok(Some(status)) if !status.success() && status.signal() != Some(Signal::SIGPIPE as i32) => {
                self.words(&format!("`{}` ended with {status}", self.name))
            }
            Ok(_) => self.words(happened),
        }
    }

    /// What it wrote to standard error last, after what happened.
    fn words(&self, happened: &str) -> String {
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
