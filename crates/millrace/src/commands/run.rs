use std::process::ExitCode;

use anyhow::{Result, bail};
use indexmap::IndexMap;
use millrace_orchestration::{Engine, Force, OrchestrationError, RunRequest, Selection, window_at};
use millrace_spec::pipeline::Pipeline;
use serde_json::{Value, json};

use crate::boot;
use crate::cli::{Part, Run};
use crate::commands::follow::{follow, report};
use crate::printer::Printer;
use crate::server::Server;

pub(crate) async fn run(arguments: &Run, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let file = rooms.workspace.find_pipeline(&arguments.pipeline)?;
    file.print_problems(&rooms.workspace, printer);
    let (false, Some(loaded)) = (file.has_errors(), file.loaded.as_ref()) else {
        return Ok(ExitCode::FAILURE);
    };
    // Steps log into their tracked runs over HTTP, so a run without a server has a small one of its own while it goes on.
    let server = Server::start_for_one_run(&rooms).await?;
    let engine = &server.engine;
    let events = engine.subscribe();
    let mut request = request(engine, &loaded.pipeline, &arguments.inputs, &arguments.part).await?;
    request.idempotency_key.clone_from(&arguments.idempotency_key);
    if let Some(text) = &arguments.window {
        let window = window_at(&loaded.pipeline, &rooms.workspace.timezone, text);
        request.window = Some(window.map_err(OrchestrationError::Invalid)?);
    }
    let id = engine.submit(loaded.pipeline.clone(), request).await?;
    follow(engine, events, &id, printer).await?;
    let outcome = report(&rooms, engine, &id, &file, printer).await;
    server.stop().await?;
    outcome
}

/// What is asked for on the command line.
pub(crate) async fn request(
    engine: &Engine,
    pipeline: &Pipeline,
    pairs: &[String],
    part: &Part,
) -> Result<RunRequest> {
    let selection = match (&part.from, &part.only) {
        (Some(step), _) => Some(Selection::From(step.clone())),
        (None, Some(step)) => Some(Selection::Only(step.clone())),
        (None, None) => None,
    };
    let take_over = match &selection {
        Some(selection) => Some(engine.take_over_for(pipeline, selection).await?),
        None => None,
    };
    let force = match &part.force {
        None => Force::Nothing,
        Some(steps) if steps.is_empty() => Force::All,
        Some(steps) => Force::Steps(known_steps(steps, pipeline)?),
    };
    Ok(RunRequest {
        inputs: inputs(pairs)?,
        cause: json!({"by": "manual"}),
        force,
        take_over,
        ..RunRequest::default()
    })
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

fn known_steps(steps: &[String], pipeline: &Pipeline) -> Result<Vec<String>> {
    for step in steps {
        let known = pipeline.steps.keys().chain(pipeline.finally.keys()).any(|id| id.as_str() == step);
        if !known {
            bail!("`{}` has no step `{step}` to force", pipeline.file);
        }
    }
    Ok(steps.to_vec())
}
