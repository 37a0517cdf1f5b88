use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use millrace_contract::{Clock as _, SystemClock};
use millrace_metastore::Metastore;
use millrace_metastore::runs::PipelineRunRow;
use millrace_metastore::runs_search::{RunListRow, RunSearch};
use serde_json::{Value, json};

use crate::boot;
use crate::cli::{Runs, RunsCommand};
use crate::commands::follow::{duration, short};
use crate::commands::show_run;
use crate::printer::Printer;

/// Runs among which the beginning or the end of an id is looked for.
const RECENT: i64 = 10_000;

pub(crate) async fn run(arguments: &Runs, printer: &Printer) -> Result<ExitCode> {
    if let Some(RunsCommand::Show { run }) = &arguments.command {
        return show_run::run(run, printer).await;
    }
    let rooms = boot::open_here().await?;
    let parent = match &arguments.parent {
        Some(wanted) => Some((find(&rooms.store, wanted).await?.id, None)),
        None => None,
    };
    let search = RunSearch {
        pipelines: arguments.pipeline.iter().cloned().collect(),
        states: arguments.state.iter().cloned().collect(),
        parent,
        all: arguments.all,
        limit: i64::from(arguments.limit),
        ..RunSearch::default()
    };
    let runs: Vec<Value> = rooms.store.search_pipeline_runs(search).await?.iter().map(run_json).collect();
    if runs.is_empty() {
        printer.note("no runs yet; start one with `millrace run PIPELINE`");
    } else {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        printer.list(&runs, &["RUN", "PIPELINE", "#", "STATE", "STARTED", "TOOK"], |run| {
            vec![
                short(&text(&run["run"])).to_owned(),
                text(&run["pipeline"]),
                text(&run["number"]),
                Printer::state(&text(&run["state"])),
                run["created_at"]
                    .as_str()
                    .map_or_else(String::new, |at| at.chars().take(19).collect::<String>().replace('T', " ")),
                run["duration_ms"]
                    .as_u64()
                    .map_or_else(String::new, |ms| duration(std::time::Duration::from_millis(ms))),
            ]
        });
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn run_json(run: &RunListRow) -> Value {
    let at = |micros: i64| Timestamp::from_microsecond(micros).map(|at| at.to_string()).ok();
    json!({
        "run": run.id, "pipeline": run.pipeline, "number": run.number, "state": run.state,
        "created_at": at(run.created_at), "ended_at": run.ended_at.and_then(at),
        "duration_ms": run.ended_at.map(|ended| (ended - run.created_at) / 1_000),
        "parent": run.parent_run, "parent_step": run.parent_step, "paused": run.paused,
        "deadline_at": run.deadline_at.and_then(at), "late": is_late(run),
        "cause": serde_json::from_str::<Value>(&run.cause).ok(),
    })
}

/// Whether it goes on, or went on, beyond its deadline.
pub(crate) fn is_late(run: &RunListRow) -> bool {
    let until = run.ended_at.unwrap_or_else(|| SystemClock.now().as_microsecond());
    run.deadline_at.is_some_and(|deadline| until > deadline)
}

/// The run that a person means: an id, the beginning or the end of one, a pipeline's name for its newest run, or `latest`: the newest of
/// those that no step of another run started, which are the ones that lists show.
pub(crate) async fn find(store: &Metastore, wanted: &str) -> Result<PipelineRunRow> {
    let search = |search: RunSearch| async move {
        let found = store.search_pipeline_runs(search).await?;
        anyhow::Ok(found.into_iter().map(|run| run.id).collect::<Vec<_>>())
    };
    let read = |id: String| async move {
        store.find_pipeline_run(id).await?.context("the run has been removed meanwhile")
    };
    if wanted == "latest" {
        let newest = search(RunSearch { limit: 1, ..RunSearch::default() }).await?.pop();
        return read(newest.context("there are no runs yet; start one with `millrace run PIPELINE`")?).await;
    }
    if let Some(run) = store.find_pipeline_run(wanted.to_owned()).await? {
        return Ok(run);
    }
    let of_pipeline =
        RunSearch { pipelines: vec![wanted.to_owned()], all: true, limit: 1, ..RunSearch::default() };
    if let Some(newest) = search(of_pipeline).await?.pop() {
        return read(newest).await;
    }
    let mut matching = search(RunSearch { limit: RECENT, all: true, ..RunSearch::default() }).await?;
    matching.retain(|id| wanted.len() >= 4 && (id.starts_with(wanted) || id.ends_with(wanted)));
    match matching.as_slice() {
        [one] => read(one.clone()).await,
        [] => bail!("there is no run `{wanted}`; list them with `millrace runs`"),
        several => bail!("`{wanted}` could be any of {} runs; write more of the id", several.len()),
    }
}
