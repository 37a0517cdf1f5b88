//! Shows a run while it goes on, and what became of it.

use std::collections::{BTreeMap, HashMap};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use millrace_contract::Progress;
use millrace_metastore::runs::StepRunRow;
use millrace_orchestration::state::RunState;
use millrace_orchestration::{Engine, RunEvent, RunEventKind};
use millrace_spec::problem::Problem;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::boot::Rooms;
use crate::printer::Printer;
use crate::workspace::CheckedFile;

/// Says what happens until the run is over. Ctrl-C cancels it; a second one leaves it to the next engine.
pub(crate) async fn follow(
    engine: &Engine,
    mut events: Receiver<RunEvent>,
    id: &str,
    printer: &Printer,
) -> Result<()> {
    let mut screen = Screen::new(*printer);
    let mut asked_to_stop = false;
    // One for all rounds: what comes while the state is looked up would else be caught and heard by nobody.
    let mut interrupt = signal(SignalKind::interrupt())?;
    while !engine.state(id).await?.is_final() {
        tokio::select! {
            event = events.recv() => match event {
                Ok(event) if event.run_id == id => screen.tell(&event.kind),
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => bail!("the engine stopped"),
            },
            _ = interrupt.recv() => {
                if asked_to_stop {
                    bail!("left the run {id} as it is; the next `millrace up` or `millrace run` goes on with it");
                }
                asked_to_stop = true;
                screen.say("cancelling; once more to leave it");
                engine.cancel(id).await.ok();
            }
        }
    }
    // The end is stored before it is told, so the last steps may be told only now.
    let last = async {
        while let Ok(event) = events.recv().await {
            if event.run_id == id {
                screen.tell(&event.kind);
                if matches!(&event.kind, RunEventKind::RunChanged { state } if is_final(state)) {
                    break;
                }
            }
        }
    };
    tokio::time::timeout(LAST_EVENTS, last).await.ok();
    Ok(())
}

/// Longest wait for what is told of a run that is over.
const LAST_EVENTS: Duration = Duration::from_secs(1);

fn is_final(state: &str) -> bool {
    RunState::parse(state).is_some_and(RunState::is_final)
}

/// A line a finished step; on a terminal also a moving one for each that runs.
struct Screen {
    printer: Printer,
    bars: MultiProgress,
    running: HashMap<String, ProgressBar>,
}

impl Screen {
    fn new(printer: Printer) -> Self {
        Self { printer, bars: MultiProgress::new(), running: HashMap::new() }
    }

    fn say(&self, line: &str) {
        if self.printer.live {
            self.bars.suspend(|| self.printer.note(line));
        } else {
            self.printer.note(line);
        }
    }

    fn tell(&mut self, kind: &RunEventKind) {
        match kind {
            RunEventKind::StepChanged { step, state, attempt } if *state == "running" => {
                self.begin(step, *attempt)
            }
            RunEventKind::StepChanged { step, state, attempt } => {
                let took = self.running.remove(step).map(|bar| {
                    let took = bar.elapsed();
                    bar.finish_and_clear();
                    format!("  {}", duration(took))
                });
                if !self.printer.is_json() {
                    let again = if *attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
                    self.say(&format!(
                        "  {} {step}{again}{}",
                        self.printer.state_cell(state, 14),
                        took.unwrap_or_default()
                    ));
                }
            }
            RunEventKind::StepProgress { step, progress } => {
                if let Some(bar) = self.running.get(step) {
                    bar.set_message(describe(progress));
                }
            }
            RunEventKind::RunChanged { .. } => {}
        }
    }

    fn begin(&mut self, step: &str, attempt: u32) {
        if !self.printer.live {
            return;
        }
        let bar = self.bars.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("  {spinner} {prefix:<24} {elapsed:>4}  {msg}") {
            bar.set_style(style);
        }
        let again = if attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
        bar.set_prefix(format!("{step}{again}"));
        bar.enable_steady_tick(Duration::from_millis(120));
        if let Some(old) = self.running.insert(step.to_owned(), bar) {
            old.finish_and_clear();
        }
    }
}

/// How far a step is, in a few words.
pub(crate) fn describe(progress: &Progress) -> String {
    let share = progress.fraction.map(|share| format!("{:.0} %", share * 100.0));
    let rows = progress.rows.map(|rows| format!("{rows} rows"));
    let bytes = progress.bytes.map(|bytes| format!("{:.1} MB", bytes as f64 / 1e6));
    let parts: Vec<String> = [progress.message.clone(), share, rows, bytes].into_iter().flatten().collect();
    parts.join(", ")
}

/// Says how it ended; the problems of failed steps with their lines.
pub(crate) async fn report(
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
    let items = rooms.store.count_step_items(id.to_owned()).await?;
    for step in &steps {
        if let Some(problem) =
            step.error.as_deref().and_then(|text| serde_json::from_str::<Problem>(text).ok())
        {
            let more = match step.items_total {
                // Each item has a log of its own.
                Some(_) => format!("millrace items {} {} --state failed", short(id), step.step),
                None => format!("millrace logs {} {}", short(id), step.step),
            };
            print_failure(problem, rooms, file, &more, printer);
        }
    }
    let of_run = run.error.as_deref().and_then(|text| serde_json::from_str::<Problem>(text).ok());
    // What failed the run beside its steps; that of a step has been told.
    if let Some(problem) = of_run.filter(|_| steps.iter().all(|step| step.error.is_none())) {
        printer.problem(&problem, None);
    }
    let took = run.ended_at.unwrap_or(run.created_at) - run.created_at;
    let count = |word: &str| steps.iter().filter(|step| step.state == word).count();
    let document = json!({
        "run": id, "number": run.number, "pipeline": run.pipeline, "state": state.as_str(), "duration_ms": took / 1_000,
        "steps": steps.iter().map(|step| step_json(step, items.get(&step.step))).collect::<Vec<_>>(),
    });
    printer.document(&document, || {
        format!(
            "run {} {} in {}: {} done, {} reused, {} failed, {} skipped",
            short(id),
            state.as_str(),
            duration(Duration::from_micros(u64::try_from(took).unwrap_or(0))),
            count("succeeded"),
            count("cached"),
            count("failed") + count("timed_out") + count("rejected"),
            count("skipped"),
        )
    });
    Ok(if state == RunState::Succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A failed step's problem, with the line it names: of the pipeline's file or of a script.
fn print_failure(problem: Problem, rooms: &Rooms, file: &CheckedFile, logs: &str, printer: &Printer) {
    let named = problem.place.as_ref().map(|place| place.file.clone());
    let script = named
        .filter(|name| *name != file.file)
        .map(|name| fs_err::read_to_string(rooms.workspace.root.join(name)).unwrap_or_default());
    let told = problem.hints.iter().any(|hint| hint.starts_with("millrace logs"));
    let problem = if told { problem } else { problem.hint(logs) };
    printer.problem(&problem, Some(script.as_deref().unwrap_or(&file.text)));
}

fn step_json(step: &StepRunRow, items: Option<&BTreeMap<String, i64>>) -> Value {
    let document =
        |text: &Option<String>| text.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    json!({
        "step": step.step, "kind": step.kind, "state": step.state, "attempts": step.attempt,
        "outputs": document(&step.outcome).and_then(|outcome| outcome.get("outputs").cloned()),
        "error": document(&step.error), "reuse": document(&step.reuse), "reason": step.reason, "items": items,
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
