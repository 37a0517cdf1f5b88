use std::process::ExitCode;

use anyhow::{Result, bail};
use indexmap::IndexMap;
use millrace_orchestration::{Force, OrchestrationError, RunRequest, RunWindow, window_at};
use millrace_spec::load::LoadedPipeline;
use serde_json::{Value, json};

use crate::boot::{self, Rooms};
use crate::cli::Run;
use crate::commands::follow::{follow, report};
use crate::printer::Printer;
use crate::server::Server;
use crate::workspace::CheckedFile;

pub(crate) async fn run(arguments: &Run, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let file = rooms.workspace.find_pipeline(&arguments.pipeline)?;
    for problem in &file.problems {
        printer.problem(problem, Some(&file.text));
    }
    let (false, Some(loaded)) = (file.has_errors(), file.loaded.as_ref()) else {
        return Ok(ExitCode::FAILURE);
    };
    // Steps log into their tracked runs over HTTP, so a run without a server has a small one of its own while it goes on.
    let server = Server::start_for_one_run(&rooms).await?;
    let engine = &server.engine;
    let events = engine.subscribe();
    let request = RunRequest {
        inputs: inputs(&arguments.inputs)?,
        cause: json!({"by": "manual"}),
        idempotency_key: arguments.idempotency_key.clone(),
        force: match &arguments.force {
            None => Force::Nothing,
            Some(steps) if steps.is_empty() => Force::All,
            Some(steps) => Force::Steps(known_steps(steps, &file)?),
        },
        window: arguments.window.as_deref().map(|text| window(&rooms, loaded, text)).transpose()?,
        ..RunRequest::default()
    };
    let id = engine.submit(loaded.pipeline.clone(), request).await?;
    follow(engine, events, &id, printer).await?;
    let outcome = report(&rooms, engine, &id, &file, printer).await;
    server.stop().await?;
    outcome
}

/// The window that a run is to be about.
fn window(rooms: &Rooms, loaded: &LoadedPipeline, text: &str) -> Result<RunWindow, OrchestrationError> {
    window_at(&loaded.pipeline, &rooms.workspace.timezone, text).map_err(OrchestrationError::Invalid)
}

/// `name=value` pairs; values are text, which the input's type turns into what it is.
fn inputs(pairs: &[String]) -> Result<IndexMap<String, Value>> {
    let mut inputs = IndexMap::new();
    for pair in pairs {
        let Some((name, value)) = pair.split_once('=') else {
            bail!("`{pair}` is not an input: write `-i name=value`")
        };
        inputs.insert(name.to_owned(), Value::from(value));
    }
    Ok(inputs)
}

fn known_steps(steps: &[String], file: &CheckedFile) -> Result<Vec<String>> {
    for step in steps {
        let known = file.loaded.as_ref().is_some_and(|loaded| {
            loaded.pipeline.steps.keys().chain(loaded.pipeline.finally.keys()).any(|id| id.as_str() == step)
        });
        if !known {
            bail!("`{}` has no step `{step}` to force", file.file);
        }
    }
    Ok(steps.to_vec())
}
