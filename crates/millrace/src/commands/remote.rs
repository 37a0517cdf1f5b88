//! `millrace run --server`: a run on a server, started and followed over HTTP.

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use millrace_spec::problem::Problem;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use url::Url;

use crate::boot;
use crate::cli::Run;
use crate::commands::follow::{duration, short};
use crate::commands::run::inputs;
use crate::printer::Printer;

/// How long one answer may wait for the end of the run. Short enough that steps are told while people look.
const WAIT: &str = "10s";
/// How long a server that does not answer is asked again: a restart or an upgrade of it must not fail its callers.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two such attempts.
const PAUSE: Duration = Duration::from_millis(500);
/// Exit code of a call that was wrong.
const WRONG_CALL: u8 = 2;

/// Starts the run; with `--wait` says what happens until it is over.
///
/// Exit code 0: it succeeded, or was started; 1: it failed or was cancelled, or the server is away; 2: the server refused the request.
pub(crate) async fn run(address: &Url, arguments: &Run, printer: &Printer) -> Result<ExitCode> {
    let server = RemoteServer::new(address)?;
    let part = &arguments.part;
    if part.force.as_ref().is_some_and(|steps| !steps.is_empty())
        || part.from.is_some()
        || part.only.is_some()
    {
        let problem = Problem::error("whole-pipeline", "a server is asked for a run of the whole pipeline");
        let problem = problem.hint("leave `--from` and `--only` out, and write `--force` without names");
        printer.problem(&problem, None);
        return Ok(ExitCode::from(WRONG_CALL));
    }
    // With a key a request whose answer was lost can be sent again without a second run.
    let key = arguments.idempotency_key.clone().unwrap_or_else(|| uuid::Uuid::now_v7().simple().to_string());
    let body = json!({
        "inputs": inputs(&arguments.inputs)?, "force": part.force.is_some(), "caller": {"system": "cli"},
    });
    let path = ["api", "pipelines", &arguments.pipeline, "runs"];
    let asked = server.ask(Method::POST, &path, &[], Some((&key, &body)));
    // Caught from before the server is asked: between its answer and the first look a signal would end this program and leave the run.
    let mut interruptions = if arguments.wait { Some(Interruptions::new()?) } else { None };
    let (started, cancel) = match &mut interruptions {
        None => (asked.await?, false),
        Some(interruptions) => match interruptions.outlasted_by(asked, printer).await {
            Some((started, cancel)) => (started?, cancel),
            None => return Ok(ExitCode::FAILURE),
        },
    };
    let run = match started {
        Ok(run) => run,
        Err(problem) => {
            printer.problem(&problem, None);
            return Ok(ExitCode::from(WRONG_CALL));
        }
    };
    let id = text(&run, "/id").to_owned();
    if let Some(interruptions) = interruptions {
        return server.follow(&id, interruptions, cancel, printer).await;
    }
    let page = server.page(&id);
    let document = json!({"run": id, "pipeline": run["pipeline"], "state": run["status"], "url": page});
    printer.document(&document, || format!("run {} {}: {page}", short(&id), text(&run, "/status")));
    Ok(ExitCode::SUCCESS)
}

/// A Millrace server that somebody else started.
struct RemoteServer {
    client: reqwest::Client,
    address: Url,
    token: Option<String>,
}

impl RemoteServer {
    fn new(address: &Url) -> Result<Self> {
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(60))
            .build()?;
        Ok(Self { client, address: address.clone(), token: boot::server_token() })
    }

    /// Where people see a run.
    fn page(&self, id: &str) -> String {
        format!("{}/runs/{id}", self.address.as_str().trim_end_matches('/'))
    }

    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Url> {
        let mut url = self.address.clone();
        url.path_segments_mut()
            .map_err(|()| anyhow::anyhow!("`{}` is not the address of a server", self.address))?
            .pop_if_empty()
            .extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    /// The JSON answer, or the server's own words why there is none. A server that is away for a moment is asked again.
    async fn ask(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<(&str, &Value)>,
    ) -> Result<Result<Value, Problem>> {
        let url = self.url(path, query)?;
        let patience = Instant::now() + PATIENCE;
        loop {
            let mut request = self.client.request(method.clone(), url.clone());
            if let Some(token) = &self.token {
                request = request.bearer_auth(token);
            }
            if let Some((key, body)) = body {
                request = request.header("Idempotency-Key", key).json(body);
            }
            let away = match request.send().await {
                Ok(answer) if is_away(answer.status()) => {
                    anyhow::anyhow!("{} answers {}", self.address, answer.status())
                }
                Ok(answer) => {
                    let status = answer.status();
                    match answer.bytes().await {
                        Ok(bytes) => return Ok(read(status, &bytes)),
                        Err(error) => error.without_url().into(),
                    }
                }
                Err(error) => error.without_url().into(),
            };
            if Instant::now() >= patience {
                return Err(away)
                    .with_context(|| format!("the server at {} cannot be reached", self.address));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Says what happens until the run is over; `asked_to_stop` if it is to be cancelled at once.
    async fn follow(
        &self,
        id: &str,
        mut interruptions: Interruptions,
        mut asked_to_stop: bool,
        printer: &Printer,
    ) -> Result<ExitCode> {
        let mut told = HashMap::new();
        printer.note(&format!("  {}", self.page(id)));
        if asked_to_stop {
            self.cancel(id).await?;
        }
        loop {
            let path = ["api", "runs", id];
            let shown = tokio::select! {
                shown = self.ask(Method::GET, &path, &[("wait", WAIT)], None) => shown?,
                () = interruptions.next() => {
                    if asked_to_stop {
                        printer.note(&format!("left the run as it is: {}", self.page(id)));
                        return Ok(ExitCode::FAILURE);
                    }
                    asked_to_stop = true;
                    printer.note("cancelling; once more to leave it");
                    self.cancel(id).await?;
                    continue;
                }
            };
            let view = match shown {
                Ok(view) => view,
                Err(problem) => {
                    printer.problem(&problem, None);
                    return Ok(ExitCode::FAILURE);
                }
            };
            tell_steps(&view, &mut told, printer);
            if !view["run"]["ended_at"].is_null() {
                return Ok(self.report(&view, printer));
            }
        }
    }

    /// Asks for the end of a run. It may be over by now; the next look tells.
    async fn cancel(&self, id: &str) -> Result<()> {
        self.ask(Method::POST, &["api", "runs", id, "cancel"], &[], None).await?.ok();
        Ok(())
    }

    /// How it ended, in the shape of a run without a server.
    fn report(&self, view: &Value, printer: &Printer) -> ExitCode {
        let (id, state) = (text(view, "/run/id"), text(view, "/run/status"));
        let steps = view["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
        for step in steps {
            if let Ok(problem) = serde_json::from_value::<Problem>(step["problem"].clone()) {
                printer.problem(&problem, None);
            }
        }
        let step = |step: &Value| {
            json!({
                "step": step["id"], "kind": step["kind"], "state": step["status"], "outputs": step["outputs"],
                "attempts": step["attempts"].as_array().map(Vec::len), "error": step["problem"],
            })
        };
        let document = json!({
            "run": id, "pipeline": view["run"]["pipeline"], "state": state, "url": self.page(id),
            "steps": steps.iter().map(step).collect::<Vec<_>>(),
        });
        let instant = |name: &str| text(view, &format!("/run/{name}")).parse::<jiff::Timestamp>().ok();
        printer.document(&document, || {
            let took = instant("ended_at")
                .zip(instant("created_at"))
                .and_then(|(end, begin)| Duration::try_from(end.duration_since(begin)).ok());
            format!("run {} {state} in {}", short(id), duration(took.unwrap_or_default()))
        });
        if state == "succeeded" { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Ctrl-C from a person, SIGTERM from a build server that cancels its job.
struct Interruptions {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Interruptions {
    fn new() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// What `asked` came to, and whether there was a signal meanwhile; nothing at the second one, which does not wait for the answer.
    async fn outlasted_by<T>(
        &mut self,
        asked: impl Future<Output = T>,
        printer: &Printer,
    ) -> Option<(T, bool)> {
        let mut asked = std::pin::pin!(asked);
        let mut interrupted = false;
        loop {
            tokio::select! {
                answer = &mut asked => return Some((answer, interrupted)),
                () = self.next() => {
                    if interrupted {
                        printer.note("left; whether the server began the run is not known");
                        return None;
                    }
                    interrupted = true;
                    printer.note("cancelling as soon as the server answers; once more to leave it");
                }
            }
        }
    }
}

/// What a proxy says of a server that is just being started.
fn is_away(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}

fn read(status: StatusCode, bytes: &[u8]) -> Result<Value, Problem> {
    let document = serde_json::from_slice::<Value>(bytes).ok();
    match document {
        Some(document) if status.is_success() => Ok(document),
        Some(document) => Err(serde_json::from_value(document)
            .unwrap_or_else(|_| Problem::error("server-refused", format!("the server answers {status}")))),
        None => {
            let problem = Problem::error("not-millrace", format!("the server answers {status} and no JSON"));
            Err(problem.hint("is the address of `--server` that of a Millrace server?"))
        }
    }
}

/// Says which steps have a new state.
fn tell_steps(view: &Value, told: &mut HashMap<String, String>, printer: &Printer) {
    if printer.is_json() {
        return;
    }
    for step in view["steps"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let (id, state) = (text(step, "/id"), text(step, "/status"));
        let quiet = matches!(state, "pending" | "ready" | "queued");
        if !quiet && told.insert(id.to_owned(), state.to_owned()).as_deref() != Some(state) {
            printer.note(&format!("  {} {id}", printer.state_cell(state, 14)));
        }
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
