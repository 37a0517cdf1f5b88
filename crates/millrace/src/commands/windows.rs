use std::process::ExitCode;

use anyhow::{Result, bail};
use millrace_metastore::windows::{WindowFilter, WindowRow};
use millrace_orchestration::{
    OrchestrationError, RangeRequest, backfill, cancel_range, first_window_trigger, range_filter,
    rerun_range, run_range, written_window,
};
use millrace_spec::pipeline::Pipeline;
use serde_json::{Value, json};

use crate::boot::{self, Rooms};
use crate::cli::{Backfill, Range, Windows};
use crate::commands::follow::short;
use crate::commands::run_lock;
use crate::printer::{Printer, counted};
use crate::server::Server;

pub(crate) async fn run(arguments: &Windows, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let pipeline = pipeline(&rooms, &arguments.pipeline)?;
    let (zone, now) = (&rooms.workspace.timezone, rooms.clock.now());
    if let (true, Some(request)) = (arguments.rerun || arguments.cancel, request(&arguments.range)) {
        let (count, what) = if arguments.rerun {
            (rerun_range(&rooms.store, &pipeline, zone, &request, now).await?, "asked for again")
        } else {
            (cancel_range(&rooms.store, &pipeline, zone, &request, now).await?, "cancelled")
        };
        printer.note(&format!("{} {what}", counted(count, "window")));
        return Ok(ExitCode::SUCCESS);
    }
    let limit = i64::from(arguments.limit);
    let filter = match request(&arguments.range) {
        Some(request) => range_filter(&pipeline, zone, &request, limit)?,
        None => WindowFilter {
            pipeline: pipeline.name.to_string(),
            trigger: arguments.range.trigger.clone(),
            limit,
            ..WindowFilter::default()
        },
    };
    let rows = rooms.store.list_windows(filter).await?;
    if rows.is_empty() {
        match first_window_trigger(&pipeline) {
            Some(name) => {
                printer.note(&format!("`{name}` has no windows yet; the server makes them: `millrace up`"))
            }
            None => bail!("`{}` has no trigger with windows", pipeline.name),
        }
    }
    print(&pipeline, zone, &rows, printer);
    Ok(ExitCode::SUCCESS)
}

/// Runs the windows of a range: by the server that has the workspace, or here until they are over.
pub(crate) async fn run_backfill(arguments: &Backfill, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let pipeline = pipeline(&rooms, &arguments.pipeline)?;
    let Some(request) = request(&arguments.range) else {
        bail!("say which windows: `millrace backfill {} --from 2026-03-01 --to 2026-03-31`", pipeline.name);
    };
    let (zone, now) = (rooms.workspace.timezone.clone(), rooms.clock.now());
    let rows = backfill(&rooms.store, &pipeline, &zone, &request, now).await?;
    if run_lock::is_taken(&rooms.workspace.state_folder()) {
        printer.note(&format!("{} asked for; the server runs them", counted(rows.len(), "window")));
        print(&pipeline, &zone, &rows, printer);
        return Ok(ExitCode::SUCCESS);
    }
    printer.note(&format!("running {}", counted(rows.len(), "window")));
    let server = Server::start_for_one_run(&rooms).await?;
    let ended = run_range(&server.engine, &rooms.workspace, &*rooms.clock, &pipeline, &request).await;
    server.stop().await?;
    let rows = ended?;
    print(&pipeline, &zone, &rows, printer);
    let failed = rows.iter().filter(|row| row.state != "succeeded").count();
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn pipeline(rooms: &Rooms, name: &str) -> Result<Pipeline> {
    let file = rooms.workspace.find_pipeline(name)?;
    match file.loaded {
        Some(loaded) => Ok(loaded.pipeline),
        None => Err(match file.problems.into_iter().next() {
            Some(problem) => OrchestrationError::Invalid(Box::new(problem)).into(),
            None => anyhow::anyhow!("`{name}` cannot be read"),
        }),
    }
}

fn request(range: &Range) -> Option<RangeRequest> {
    Some(RangeRequest { trigger: range.trigger.clone(), from: range.from.clone()?, until: range.to.clone() })
}

fn print(pipeline: &Pipeline, zone: &str, rows: &[WindowRow], printer: &Printer) {
    let row = |row: &WindowRow| {
        let (start, end) = written_window(pipeline, zone, row);
        json!({
            "trigger": row.trigger, "start": start, "end": end, "state": row.state, "reason": row.reason,
            "attempt": row.attempt, "run": row.run_id,
        })
    };
    let rows: Vec<Value> = rows.iter().map(row).collect();
    if rows.is_empty() {
        return;
    }
    printer.list(&rows, &["TRIGGER", "WINDOW", "STATE", "TRY", "RUN", "REASON"], |row| {
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        vec![
            text("trigger"),
            span(&text("start"), &text("end")),
            Printer::state(&text("state")),
            row["attempt"].to_string(),
            short(&text("run")).to_owned(),
            text("reason"),
        ]
    });
}

/// A window in short: `2026-03-01` for a whole day, else both ends without seconds.
fn span(start: &str, end: &str) -> String {
    let parts = |text: &str| {
        (text.chars().take(10).collect::<String>(), text.chars().skip(11).take(5).collect::<String>())
    };
    let ((first, from), (last, until)) = (parts(start), parts(end));
    match (from.as_str(), until.as_str()) {
        ("00:00", "00:00") if next_day(&first) == Some(last.clone()) => first,
        ("00:00", "00:00") => format!("{first} to {last}"),
        _ if first == last => format!("{first} {from} to {until}"),
        _ => format!("{first} {from} to {last} {until}"),
    }
}

fn next_day(date: &str) -> Option<String> {
    Some(date.parse::<jiff::civil::Date>().ok()?.tomorrow().ok()?.to_string())
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn windows_are_written_in_short() {
        assert_eq!(span("2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"), "2026-03-29");
        assert_eq!(span("2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"), "2026-02-01 to 2026-03-01");
        assert_eq!(span("2026-02-01T06:00:00Z", "2026-02-01T06:15:00Z"), "2026-02-01 06:00 to 06:15");
        assert_eq!(
            span("2026-02-01T18:00:00Z", "2026-02-02T00:00:00Z"),
            "2026-02-01 18:00 to 2026-02-02 00:00"
        );
    }
}
