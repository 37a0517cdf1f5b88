use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use indexmap::IndexMap;
use millrace_metastore::runs::StepRunRow;
use millrace_orchestration::{Engine, Force, RunEventKind, RunRequest};
use millrace_spec::problem::Problem;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use crate::boot::{self, Rooms};
use crate::cli::Run;
use crate::commands::run_lock;
use crate::printer::Printer;
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
    let _lock = run_lock::take(&rooms.workspace.state_folder())?;
    let engine = rooms.start_engine(None).await?;
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
        firing: None,
    };
    let id = engine.submit(loaded.pipeline.clone(), request).await?;
    follow(&engine, events, &id, printer).await?;
    let outcome = report(&rooms, &engine, &id, &file, printer).await;
    engine.shutdown().await;
    outcome
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

/// Says what happens until the run is over. Ctrl-C cancels it; a second one leaves it to the next engine.
async fn follow(
    engine: &Engine,
    mut events: tokio::sync::broadcast::Receiver<millrace_orchestration::RunEvent>,
    id: &str,
    printer: &Printer,
) -> Result<()> {
    let mut asked_to_stop = false;
    while !engine.state(id).await?.is_final() {
        tokio::select! {
            event = events.recv() => match event {
                Ok(event) if event.run_id == id => tell(&event.kind, printer),
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => bail!("the engine stopped"),
            },
            _ = tokio::signal::ctrl_c() => {
                if asked_to_stop {
                    bail!("left the run {id} as it is; the next `millrace up` or `millrace run` goes on with it");
                }
                asked_to_stop = true;
                printer.note("cancelling; once more to leave it");
                engine.cancel(id).await.ok();
            }
        }
    }
    while let Ok(event) = events.try_recv() {
        if event.run_id == id {
            tell(&event.kind, printer);
        }
    }
    Ok(())
}

fn tell(kind: &RunEventKind, printer: &Printer) {
    match kind {
        RunEventKind::StepChanged { step, state, attempt } => {
            let again = if *attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
            if !(printer.is_json() || *state == "running" && !printer.live) {
                printer.note(&format!("  {:<14} {step}{again}", printer.state(state)));
            }
        }
        RunEventKind::RunChanged { .. } | RunEventKind::StepProgress { .. } => {}
    }
}

/// Says how it ended; the problems of failed steps with their lines.
async fn report(
    rooms: &Rooms,
    engine: &Engine,
    id: &str,
    file: &CheckedFile,
    printer: &Printer,
) -> Result<ExitCode> {
    let state = engine.state(id).await?;
    let Some(run) = rooms.store.find_pipeline_run(id.to_owned()).await? else {
        bail!("the run {id} is gone")
    };
    let steps = rooms.store.list_step_runs(id.to_owned()).await?;
    for step in &steps {
        if let Some(problem) =
            step.error.as_deref().and_then(|text| serde_json::from_str::<Problem>(text).ok())
        {
            let problem = problem.hint(format!("millrace logs {} {}", short(id), step.step));
            printer.problem(&problem, Some(&file.text));
        }
    }
    let took = run.ended_at.unwrap_or(run.created_at) - run.created_at;
    let count = |word: &str| steps.iter().filter(|step| step.state == word).count();
    let document = json!({
        "run": id, "number": run.number, "pipeline": run.pipeline, "state": state.as_str(), "duration_ms": took / 1_000,
        "steps": steps.iter().map(step_json).collect::<Vec<_>>(),
    });
    printer.document(&document, || {
        format!(
            "run {} {} in {}: {} done, {} reused, {} failed, {} skipped",
            short(id),
            state.as_str(),
            duration(Duration::from_micros(u64::try_from(took).unwrap_or(0))),
            count("succeeded"),
            count("cached"),
            count("failed") + count("timed_out"),
            count("skipped"),
        )
    });
    Ok(if state == millrace_orchestration::state::RunState::Succeeded {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn step_json(step: &StepRunRow) -> Value {
    let document =
        |text: &Option<String>| text.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    json!({
        "step": step.step, "kind": step.kind, "state": step.state, "attempts": step.attempt,
        "outputs": document(&step.outcome).and_then(|outcome| outcome.get("outputs").cloned()),
        "error": document(&step.error), "reuse": document(&step.reuse), "reason": step.reason,
    })
}

/// Enough of an id to find the run by: its last digits, since ids of one moment begin alike.
pub(crate) fn short(id: &str) -> &str {
    id.get(id.len().saturating_sub(10)..).unwrap_or(id)
}

/// A duration for people.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match duration.as_secs() {
        0 => format!("{:.0} ms", seconds * 1_000.0),
        1..60 => format!("{seconds:.1} s"),
        whole => format!("{} min {} s", whole / 60, whole % 60),
    }
}
