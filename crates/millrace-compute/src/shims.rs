//! Shims, asked for from the fork server: the server's end of its two pipes.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millrace_contract::ComputeError;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;

use crate::record::{self, ProcessId};
use crate::shim::fork_server::{Answer, Event, Request};

/// Starts shims. The fork server is started by the first command, and anew if it is gone; it ends with this.
#[derive(Debug)]
pub(crate) struct Shims {
    command: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    server: tokio::sync::Mutex<Option<Server>>,
}

/// A running fork server.
#[derive(Debug)]
struct Server {
    requests: ChildStdin,
    asked: u64,
    waiting: Waiting,
}

/// Who waits for the answer to which request; `None` once there will be no more answers.
#[derive(Debug, Clone)]
struct Waiting(Arc<Mutex<Option<Senders>>>);

type Senders = HashMap<u64, oneshot::Sender<Event>>;

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Option<Senders>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shims {
    /// Shims of the fork server `command`, which gets the environment `env` and nothing else.
    pub(crate) fn new(command: Vec<OsString>, env: Vec<(OsString, OsString)>) -> Self {
        Self { command, env, server: tokio::sync::Mutex::new(None) }
    }

    /// Starts a shim for the command whose `command.json` is in `folder`; returns when it can be found again.
    pub(crate) async fn start(&self, folder: &Path) -> Result<ProcessId, ComputeError> {
        let mut answer = self.ask(folder).await;
        if answer.is_err() {
            // The fork server was killed. Perhaps it had forked before: then the shim has left its record.
            if let Some(shim) = record::read_shim(folder) {
                return Ok(shim.process);
            }
            answer = self.ask(folder).await;
            // It had, and its shim, which has the attempt, was slower than this one.
            if matches!(answer, Ok(Event::Failed(_)))
                && let Some(shim) = record::wait_for_shim(folder).await
            {
                return Ok(shim.process);
            }
        }
        match answer.map_err(|error| self.failed(&error.to_string()))? {
            Event::Started(process) => Ok(process),
            Event::Failed(message) => Err(self.failed(&message)),
            Event::Ended => Err(self.failed("the shim ended before it could watch the program")),
        }
    }

    fn failed(&self, message: &str) -> ComputeError {
        let program = self.command.first().map(|word| word.to_string_lossy().into_owned());
        ComputeError::Start { program: program.unwrap_or_default(), message: message.to_owned() }
    }

    async fn ask(&self, folder: &Path) -> std::io::Result<Event> {
        let answer = {
            let mut server = self.server.lock().await;
            let mut running = match server.take().filter(|running| !running.is_gone()) {
                Some(running) => running,
                None => Server::launch(&self.command, &self.env)?,
            };
            // One that takes no request is not kept.
            let answer = running.request(folder).await?;
            *server = Some(running);
            answer
        };
        // Dropped unanswered when the output of the fork server has ended.
        answer.await.map_err(|_| gone())
    }
}

fn gone() -> std::io::Error {
    std::io::Error::other("the fork server of the shims ended")
}

impl Server {
    fn launch(command: &[OsString], env: &[(OsString, OsString)]) -> std::io::Result<Self> {
        let mut child = Command::new(command.first().cloned().unwrap_or_default())
            .args(command.get(1..).unwrap_or_default())
            .env_clear()
            .envs(env.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (Some(requests), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(std::io::Error::other("the fork server of the shims has no pipes"));
        };
        let waiting = Waiting(Arc::new(Mutex::new(Some(HashMap::new()))));
        // Ends with the fork server's output. tokio reaps the dropped child.
        tokio::spawn(pass_on(answers, waiting.clone()));
        Ok(Self { requests, asked: 0, waiting })
    }

    async fn request(&mut self, folder: &Path) -> std::io::Result<oneshot::Receiver<Event>> {
        self.asked += 1;
        let mut line = serde_json::to_vec(&Request { id: self.asked, folder: folder.to_owned() })?;
        line.push(b'\n');
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().as_mut().ok_or_else(gone)?.insert(self.asked, sender);
        self.requests.write_all(&line).await?;
        Ok(receiver)
    }

    /// Whether its output has ended.
    fn is_gone(&self) -> bool {
        self.waiting.lock().is_none()
    }
}

/// Gives each answer to the one who asked, until the output ends; then drops those who still wait.
async fn pass_on(answers: ChildStdout, waiting: Waiting) {
    let mut lines = BufReader::new(answers).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(answer) = serde_json::from_str::<Answer>(&line) else { continue };
        // An end after a start finds nobody: the process itself is watched from then on.
        if let Some(sender) = waiting.lock().as_mut().and_then(|senders| senders.remove(&answer.id)) {
            sender.send(answer.event).ok();
        }
    }
    *waiting.lock() = None;
}
