use std::process::ExitCode;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use millrace_mlflow::{ImportOptions, Places, Progress, Report, Target};
use millrace_spec::problem::Problem;

use crate::boot;
use crate::cli::ImportMlflow;
use crate::commands::run_lock;
use crate::printer::{Printer, table};

/// Problems that are shown one by one; `--json` has a thousand of them.
const SHOWN: usize = 20;

/// In this process, beside a server if there is one: both write the same database, and the server sees what is new by its counter of changes.
pub(crate) async fn run(arguments: &ImportMlflow, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let base = boot::current_folder()?;
    let _lock = run_lock::take_import(&rooms.workspace.state_folder())?;
    let places = Places { artifacts: arguments.artifacts.as_ref().map(|folder| base.join(folder)), base };
    let mut source = millrace_mlflow::open(&arguments.source, places, boot::mlflow_access()).await?;
    let target = Target { store: rooms.store.clone(), artifacts: rooms.storage.artifacts.clone() };
    let options = ImportOptions {
        experiment_prefix: arguments.experiment_prefix.clone(),
        model_prefix: arguments.model_prefix.clone(),
        dry_run: arguments.dry_run,
        no_artifacts: arguments.no_artifacts,
        now: rooms.clock.now().as_microsecond(),
    };
    let screen = Screen::new(printer);
    let report = millrace_mlflow::import(&mut *source, &target, options, &screen).await;
    screen.bar.finish_and_clear();
    let report = report?;
    explain(&report, printer);
    printer.document(&report.to_json(), || shown(&report, "the source", "is here"));
    Ok(if report.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What people should know beside the counts.
pub(super) fn explain(report: &Report, printer: &Printer) {
    for (name, there, here) in &report.renumbered {
        printer.note(&format!("the experiment `{name}` has the number {here} here, not {there}"));
    }
    for uri in report.elsewhere.first.iter().take(SHOWN) {
        printer.note(&format!("files stay at {uri}"));
    }
    for (there, here) in report.renamed.first.iter().take(SHOWN) {
        printer.note(&format!("the file {there} is called `{here}` here"));
    }
    for name in report.disabled.first.iter().take(SHOWN) {
        printer.note(&format!(
            "the webhook `{name}` is disabled here, since its secret cannot be read: set it on the page of webhooks and enable it"
        ));
    }
    for what in &report.left_out {
        printer.note(&format!("not taken over: {what}"));
    }
    if printer.is_json() {
        return;
    }
    for broken in report.broken.first.iter().take(SHOWN) {
        printer
            .problem(&Problem::error("import-broken", format!("{}: {}", broken.place, broken.reason)), None);
    }
    for what in report.differing.first.iter().take(SHOWN) {
        let problem = Problem::error("import-differs", format!("{what} is here, but not as in the source"));
        printer.problem(&problem, None);
    }
    for (count, what) in [(report.broken.count, "cannot be read"), (report.differing.count, "differ")] {
        if let Some(more) = count.checked_sub(SHOWN as u64).filter(|more| *more > 0) {
            printer.note(&format!("{more} more {what}; `--json` names them"));
        }
    }
}

/// The counts, and a line about all of them.
pub(super) fn shown(report: &Report, there: &str, here: &str) -> String {
    let row = |(kind, source, here): (&str, millrace_mlflow::Tally, millrace_mlflow::Tally)| {
        let mut cells = vec![kind.to_owned(), source.count.to_string()];
        if !report.dry_run {
            let word = if source == here { "equal" } else { "differs" };
            cells.extend([here.count.to_string(), word.to_owned(), here.digest().chars().take(16).collect()]);
        }
        cells
    };
    let header: &[&str] =
        if report.dry_run { &["KIND", "SOURCE"] } else { &["KIND", "SOURCE", "HERE", "CONTENT", "DIGEST"] };
    let rows: Vec<Vec<String>> = report.kinds().map(row).collect();
    let counts = table(header, &rows);
    let files =
        if report.bytes > 0 { format!(", {} bytes of files copied", report.bytes) } else { String::new() };
    match (report.dry_run, report.is_sound()) {
        (true, _) => format!("{counts}nothing was stored"),
        (false, true) => format!("{counts}{} new{files}; everything of {there} {here}", report.new),
        (false, false) => format!("{counts}{} new{files}; not everything of {there} {here}", report.new),
    }
}

/// How far it is, on a line that moves.
pub(super) struct Screen {
    pub(super) bar: ProgressBar,
}

impl Screen {
    pub(super) fn new(printer: &Printer) -> Self {
        let bar = if printer.live { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("  {spinner} {elapsed:>4}  {msg}") {
            bar.set_style(style);
        }
        Self { bar }
    }
}

impl Progress for Screen {
    fn at(&self, kind: &'static str, done: u64) {
        self.bar.set_message(format!("{done} {kind}"));
        self.bar.tick();
    }
}
