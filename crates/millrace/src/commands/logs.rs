use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use millrace_metastore::Metastore;
use millrace_metastore::runs::StepRunRow;
use millrace_orchestration::{AttemptLog, LogLine, LogMatch, LogPattern, attempt_folder, search};
use millrace_spec::ids::StepKey;
use serde_json::json;

use crate::boot;
use crate::cli::Logs;
use crate::commands::runs;
use crate::printer::Printer;

/// Lines that are read together.
const LINES: usize = 5_000;
/// How often a log that says nothing is looked at.
const PAUSE: Duration = Duration::from_millis(200);

pub(crate) async fn run(arguments: &Logs, printer: &Printer) -> Result<ExitCode> {
    let pattern = match &arguments.grep {
        Some(text) => Some(LogPattern::new(text, arguments.regex, !arguments.ignore_case)?),
        None => None,
    };
    let rooms = boot::open_here().await?;
    let run = runs::find(&rooms.store, &arguments.run).await?;
    let steps = rooms.store.list_step_runs(run.id.clone()).await?;
    let item = match &arguments.step {
        // An item of a step: `train[3]`.
        Some(name) if name.contains('[') => rooms.store.find_step_run(run.id.clone(), name.clone()).await?,
        _ => None,
    };
    let step = match &item {
        Some(item) => item,
        None => pick(&steps, arguments.step.as_deref())?,
    };
    if step.attempt == 0 {
        bail!("`{}` never began: it is {}", step.step, step.state);
    }
    let number = arguments.attempt.map_or(step.attempt, i64::from);
    if !(1..=step.attempt).contains(&number) {
        bail!("`{}` has no attempt {number}; it began {} of them", step.step, step.attempt);
    }
    let key: StepKey = step.step.parse()?;
    let folder = attempt_folder(&rooms.workspace.state_folder(), &run.id, &key, u32::try_from(number)?);
    let shown = Shown { printer, numbers: pattern.is_some(), times: arguments.timestamps };
    let lines = match &pattern {
        Some(pattern) if !arguments.follow => shown.matches(&folder, pattern, arguments)?,
        pattern => {
            let over = Over { store: &rooms.store, run: run.id.clone(), step: step.step.clone(), number };
            shown.lines(&folder, pattern.as_ref(), arguments, &over).await?
        }
    };
    if lines == 0 {
        match &arguments.grep {
            Some(text) => printer.note(&format!("no line of `{}` has `{text}`", step.step)),
            None => printer.note(&format!("`{}` wrote nothing", step.step)),
        }
    }
    // As grep: what was looked for is not there.
    Ok(if lines == 0 && pattern.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Tells whether an attempt says nothing more.
struct Over<'a> {
    store: &'a Metastore,
    run: String,
    step: String,
    number: i64,
}

impl Over<'_> {
    async fn is_over(&self) -> Result<bool> {
        let state = self.store.step_attempt_state(self.run.clone(), self.step.clone(), self.number).await?;
        Ok(!matches!(state.as_deref(), Some("running" | "waiting")))
    }
}

/// How lines are printed.
struct Shown<'a> {
    printer: &'a Printer,
    numbers: bool,
    times: bool,
}

impl Shown<'_> {
    /// Prints the lines, from the first or the last few on; gives their number.
    async fn lines(
        &self,
        folder: &Path,
        pattern: Option<&LogPattern>,
        arguments: &Logs,
        over: &Over<'_>,
    ) -> Result<u64> {
        let mut ended = over.is_over().await?;
        let mut log = if ended { AttemptLog::open_whole(folder)? } else { AttemptLog::open(folder)? };
        let mut from = arguments.tail.map_or(0, |tail| log.lines().saturating_sub(tail));
        let mut printed = 0;
        loop {
            let read = log.read(from, LINES)?;
            let more = !read.lines.is_empty();
            from = from.max(read.next);
            for line in
                read.lines.iter().filter(|line| pattern.is_none_or(|pattern| pattern.is_in(&line.text)))
            {
                self.line(line, ':');
                printed += 1;
            }
            if more {
                continue;
            }
            if ended || !arguments.follow {
                return Ok(printed);
            }
            tokio::time::sleep(PAUSE).await;
            // Asked before the files are read: what was written before the end is then there.
            ended = over.is_over().await?;
            log.refresh(ended)?;
        }
    }

    /// Prints the lines that have the pattern, with those around them; gives the number of matches.
    fn matches(&self, folder: &Path, pattern: &LogPattern, arguments: &Logs) -> Result<u64> {
        let log = AttemptLog::open_whole(folder)?;
        let from = arguments.tail.map_or(0, |tail| log.lines().saturating_sub(tail));
        let mut found = 0;
        // Lines up to here are printed: the surroundings of two matches may overlap.
        let mut next = from;
        let print = |matched: LogMatch| {
            let first = matched.before.first().unwrap_or(&matched.line).number;
            if arguments.context > 0 && found > 0 && first > next && !self.printer.is_json() {
                self.printer.line("--");
            }
            found += 1;
            for line in matched.before.iter().chain([&matched.line]).chain(&matched.after) {
                if line.number >= next {
                    // A neighbour may have the pattern too.
                    self.line(line, if pattern.is_in(&line.text) { ':' } else { '-' });
                    next = line.number + 1;
                }
            }
            true
        };
        search(&log, pattern, from, arguments.context, print, |_| true)?;
        Ok(found)
    }

    fn line(&self, line: &LogLine, mark: char) {
        if self.printer.is_json() {
            let value =
                json!({"number": line.number + 1, "t": line.at_ms, "stream": line.stream, "text": line.text});
            self.printer.line(&value.to_string());
            return;
        }
        let mut text = String::new();
        if self.numbers {
            text.push_str(&format!("{}{mark}", line.number + 1));
        }
        if self.times {
            let at = line.at_ms.and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
            text.push_str(&at.map_or_else(|| "-".to_owned(), |at| format!("{at:.3}")));
            text.push(' ');
        }
        text.push_str(&line.text);
        self.printer.line(if text.is_empty() { " " } else { &text });
    }
}

/// The step that is named; otherwise the first that failed, or the last that ran.
fn pick<'a>(steps: &'a [StepRunRow], wanted: Option<&str>) -> Result<&'a StepRunRow> {
    let found = match wanted {
        Some(name) => steps.iter().find(|step| step.step == name),
        None => {
            let failed =
                steps.iter().find(|step| matches!(step.state.as_str(), "failed" | "timed_out" | "rejected"));
            failed.or_else(|| steps.iter().rev().find(|step| step.attempt > 0))
        }
    };
    match (found, wanted) {
        (Some(step), _) => Ok(step),
        (None, Some(name)) => {
            let names: Vec<&str> = steps.iter().map(|step| step.step.as_str()).collect();
            bail!("the run has no step `{name}`; its steps are {}", names.join(", "))
        }
        (None, None) => bail!("no step of the run has begun"),
    }
}
