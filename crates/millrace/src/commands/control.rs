//! Cancelling, holding and repeating runs: by the server that has the workspace, or without one.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use millrace_metastore::runs::PipelineRunRow;
use millrace_orchestration::{OrchestrationError, RerunOf};
use millrace_spec::problem::Problem;
use serde_json::{Value, json};

use crate::boot::{self, Rooms};
use crate::cli::{OneRun, Rerun};
use crate::commands::follow::{follow, report, short};
use crate::commands::run_lock::{self, WorkspaceLock};
use crate::commands::runs;
use crate::printer::Printer;
use crate::server::Server;

/// Longest time for which a server is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is done to a run that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Cancel,
    Pause,
    Resume,
}

impl Verb {
    fn word(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Pause => "pause",
            Self::Resume => "resume",
        }
    }

    /// What is true of the run from now on.
    fn outcome(self) -> &'static str {
        match self {
            Self::Cancel => "is asked to end: what runs is stopped, `finally` still runs",
            Self::Pause => "is held: what runs goes on, nothing begins",
            Self::Resume => "goes on",
        }
    }
}

pub(crate) async fn run(verb: Verb, arguments: &OneRun, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let run = runs::find(&rooms.store, &arguments.run).await?;
    match Reach::of(&rooms)? {
        Reach::Server(url) => {
            ask(&format!("{url}/api/runs/{}/{}", run.id, verb.word())).await?;
        }
        Reach::Nobody(_lock) => {
            let store = &rooms.store;
            let open = match verb {
                Verb::Cancel => store.request_run_cancel(run.id.clone()).await?,
                Verb::Pause => store.set_run_paused(run.id.clone(), true).await?,
                Verb::Resume => store.set_run_paused(run.id.clone(), false).await?,
            };
            if !open {
                bail!("the run {} is {} already", short(&run.id), run.state);
            }
            printer.note("no server runs here; the next `millrace up` or `millrace run` takes it up");
        }
    }
    let document = json!({"run": run.id, "pipeline": run.pipeline, "asked": verb.word()});
    printer.document(&document, || format!("run {} of {} {}", short(&run.id), run.pipeline, verb.outcome()));
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn rerun(arguments: &Rerun, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let run = runs::find(&rooms.store, &arguments.run).await?;
    match Reach::of(&rooms)? {
        Reach::Server(url) => {
            let query = match (&arguments.from, arguments.failed) {
                (Some(step), _) => format!("?from={step}"),
                (None, true) => "?failed=true".to_owned(),
                (None, false) => String::new(),
            };
            let started = ask(&format!("{url}/api/runs/{}/rerun{query}", run.id)).await?;
            let id = started.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
            let document = json!({"run": id, "pipeline": run.pipeline, "rerun_of": run.id});
            printer.document(&document, || format!("run {} of {} has begun", short(&id), run.pipeline));
            Ok(ExitCode::SUCCESS)
        }
        Reach::Nobody(lock) => {
            drop(lock);
            Box::pin(rerun_here(&rooms, &run, arguments, printer)).await
        }
    }
}

async fn rerun_here(
    rooms: &Rooms,
    run: &PipelineRunRow,
    arguments: &Rerun,
    printer: &Printer,
) -> Result<ExitCode> {
    let file = rooms.workspace.find_pipeline(&run.pipeline)?;
    file.print_problems(&rooms.workspace, printer);
    let (false, Some(loaded)) = (file.has_errors(), file.loaded.as_ref()) else {
        return Ok(ExitCode::FAILURE);
    };
    let what = match (&arguments.from, arguments.failed) {
        (Some(step), _) => RerunOf::From(step.clone()),
        (None, true) => RerunOf::Failed,
        (None, false) => RerunOf::Everything,
    };
    let server = Server::start_for_one_run(rooms).await?;
    let events = server.engine.subscribe();
    let outcome =
        match server.engine.rerun(&run.id, what, Some(loaded.pipeline.clone()), &boot::user_name()).await {
            Ok(id) => {
                follow(&server.engine, events, &id, printer).await?;
                report(rooms, &server.engine, &id, &file, printer).await
            }
            Err(error) => Err(error.into()),
        };
    server.stop().await?;
    outcome
}

/// Who runs the pipelines of this workspace now.
enum Reach {
    /// The server at this address.
    Server(String),
    /// Nobody, and nobody begins while this is held.
    Nobody(WorkspaceLock),
}

impl Reach {
    fn of(rooms: &Rooms) -> Result<Self> {
        if let Ok(lock) = run_lock::take(&rooms.workspace.state_folder()) {
            return Ok(Self::Nobody(lock));
        }
        let file = rooms.workspace.server_file();
        let url =
            fs_err::read_to_string(&file).context("somebody has the workspace, but does not say where")?;
        Ok(Self::Server(url.trim().to_owned()))
    }
}

/// Posts to the server; what it refuses is told as it says it.
async fn ask(url: &str) -> Result<Value> {
    let client = reqwest::Client::builder().timeout(PATIENCE).build()?;
    let mut request = client.post(url);
    if let Some(token) = boot::server_token() {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await.with_context(|| format!("cannot reach the server at {url}"))?;
    let status = answer.status();
    let text = answer.text().await?;
    if status.is_success() {
        return Ok(serde_json::from_str(&text)?);
    }
    match serde_json::from_str::<Problem>(&text).ok() {
        Some(problem) => Err(OrchestrationError::Invalid(Box::new(problem)).into()),
        None => bail!("the server answered {status}: {text}"),
    }
}
