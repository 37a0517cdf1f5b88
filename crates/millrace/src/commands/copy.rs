use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, anyhow, bail};
use indexmap::IndexMap;
use indicatif::{ProgressBar, ProgressStyle};
use millrace_contract::{Progress, ProgressSink, StepContext, StepLog};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::boot;
use crate::cli::Copy;
use crate::commands::follow::{describe, duration};
use crate::printer::Printer;
use crate::workspace::{find_root, read};

/// Copies outside of any pipeline: the same step kind, the same options.
pub(crate) async fn run(arguments: &Copy, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here_or_scratch().await?;
    if rooms.is_scratch() && [&arguments.from, &arguments.to].into_iter().any(|end| end.starts_with("data:"))
    {
        return Err(find_root(&rooms.workspace.root)
            .err()
            .map_or_else(|| anyhow!("there is no workspace here"), Into::into));
    }
    let kind = rooms.kinds.get("copy").cloned().ok_or_else(|| anyhow!("this build has no `copy`"))?;
    let config = config(arguments)?;
    if let Some(problem) = kind.check(&config).into_iter().next() {
        printer.problem(&problem, None);
        return Ok(ExitCode::FAILURE);
    }
    let screen = Arc::new(Screen::new(*printer));
    let id = uuid::Uuid::now_v7().simple().to_string();
    let cancel = CancellationToken::new();
    let context = StepContext {
        pipeline: "copy".to_owned(),
        step: "copy".to_owned(),
        attempt: 1,
        idempotency_key: id.clone(),
        workspace: rooms.workspace.root.clone(),
        folder: rooms.workspace.state_folder().join("copies").join(&id),
        tracking_run_id: id.clone(),
        run_id: id,
        config,
        inputs: IndexMap::new(),
        outputs: IndexMap::new(),
        environment: None,
        env: IndexMap::new(),
        secrets: Vec::new(),
        timeout_ms: None,
        cancel: cancel.clone(),
        log: screen.clone(),
        progress: screen.clone(),
    };
    let began = Instant::now();
    let mut copying = std::pin::pin!(kind.run(context));
    let outcome = tokio::select! {
        outcome = &mut copying => outcome,
        _ = tokio::signal::ctrl_c() => {
            cancel.cancel();
            copying.await
        }
    };
    screen.bar.finish_and_clear();
    match outcome {
        Ok(outcome) => {
            let took = began.elapsed();
            let rows = outcome.rows.unwrap_or(0);
            let rejected = outcome.outputs.get("rejected").and_then(Value::as_u64).unwrap_or(0);
            let document = json!({"rows": rows, "rejected": rejected, "bytes": outcome.bytes, "duration_ms": took.as_millis() as u64, "outputs": outcome.outputs});
            printer.document(&document, || {
                let rejects = if rejected > 0 { format!(", {rejected} rejected") } else { String::new() };
                let speed = rows as f64 / took.as_secs_f64().max(1e-6);
                format!("copied {rows} rows{rejects} in {} ({speed:.0} rows/s)", duration(took))
            });
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            let file = error.problem.place.as_ref().map(|place| place.file.as_str());
            let source = file.and_then(|file| read(&rooms.workspace.root, file).ok());
            printer.problem(&error.problem, source.as_deref());
            Ok(ExitCode::FAILURE)
        }
    }
}

/// What would stand under `copy:` in a pipeline.
fn config(arguments: &Copy) -> Result<Value> {
    let mut config = Map::from_iter([
        ("from".to_owned(), Value::from(arguments.from.clone())),
        ("to".to_owned(), Value::from(arguments.to.clone())),
    ]);
    let texts = [
        ("format", &arguments.format),
        ("delimiter", &arguments.delimiter),
        ("on_error", &arguments.on_error),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            config.insert(name.to_owned(), Value::from(value.clone()));
        }
    }
    if !arguments.null_values.is_empty() {
        config.insert("null_values".to_owned(), json!(arguments.null_values));
    }
    if arguments.append {
        config.insert("write".to_owned(), Value::from("append"));
    }
    let mut columns = Map::new();
    for pair in &arguments.columns {
        let Some((name, kind)) = pair.split_once('=') else {
            bail!("`{pair}` is not a column: write `--column name=type`")
        };
        columns.insert(name.to_owned(), Value::from(kind));
    }
    if !columns.is_empty() {
        config.insert("columns".to_owned(), Value::Object(columns));
    }
    Ok(Value::Object(config))
}

/// Progress on a line that moves, log lines as they come.
struct Screen {
    printer: Printer,
    bar: ProgressBar,
}

impl Screen {
    fn new(printer: Printer) -> Self {
        let bar = if printer.live { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("  {spinner} copying {elapsed:>4}  {msg}") {
            bar.set_style(style);
        }
        Self { printer, bar }
    }
}

impl StepLog for Screen {
    fn line(&self, text: &str) {
        self.bar.suspend(|| self.printer.note(text));
    }
}

impl ProgressSink for Screen {
    fn report(&self, progress: Progress) {
        self.bar.set_message(describe(&progress));
        self.bar.tick();
    }
}
