use std::process::ExitCode;

use anyhow::{Result, bail};
use millrace_orchestration::{PipelineSource as _, TriggerStatus, list_triggers};
use serde_json::{Value, json};

use crate::boot::{self, Rooms};
use crate::cli::{TriggerName, Triggers, TriggersCommand};
use crate::commands::follow::short;
use crate::printer::Printer;
use crate::workspace::CheckedFile;

pub(crate) async fn run(arguments: &Triggers, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    match &arguments.command {
        None => list(&rooms, arguments.upcoming.clamp(1, 1_000), printer).await?,
        Some(TriggersCommand::Pause(name)) => set_paused(&rooms, name, true, printer).await?,
        Some(TriggersCommand::Resume(name)) => set_paused(&rooms, name, false, printer).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(rooms: &Rooms, upcoming: usize, printer: &Printer) -> Result<()> {
    let listed = list_triggers(&rooms.store, &rooms.workspace, rooms.clock.now(), upcoming).await?;
    let wrong: Vec<String> = rooms
        .workspace
        .check_all()
        .into_iter()
        .filter(CheckedFile::has_errors)
        .map(|file| file.file)
        .collect();
    if !wrong.is_empty() {
        printer.note(&format!(
            "left out, since they have errors that `millrace check` shows: {}",
            wrong.join(", ")
        ));
    } else if listed.is_empty() {
        printer.note("no pipeline has a trigger; add one: `triggers: {daily: {cron: \"0 6 * * *\"}}`");
    }
    if listed.is_empty() {
        return Ok(());
    }
    let rows: Vec<Value> = listed.iter().map(trigger_json).collect();
    printer.list(&rows, &["TRIGGER", "RULE", "STATE", "NEXT", "LAST", "WHY"], |row| {
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let time = |value: &Value| value.as_str().map_or_else(|| "-".to_owned(), minute);
        let last = &row["last"];
        let last = match last["run"].as_str() {
            Some(run) => {
                format!("{} {} {}", time(&last["at"]), last["state"].as_str().unwrap_or_default(), short(run))
            }
            None => time(&last["at"]),
        };
        vec![
            format!("{}/{}", text("pipeline"), text("trigger")),
            text("rule"),
            text("state"),
            time(&row["next_at"]),
            last,
            text("why"),
        ]
    });
    Ok(())
}

/// An instant without its seconds, as people write it.
fn minute(instant: &str) -> String {
    let cut: String = instant.chars().take(16).collect();
    format!("{}Z", cut.replace('T', " "))
}

fn trigger_json(status: &TriggerStatus) -> Value {
    let state = match (status.paused, status.overdue_since, status.next_at) {
        (true, ..) => "paused",
        (_, Some(_), _) => "overdue",
        // Without a rule there is nothing that could be over: `why` says what is wrong with it.
        (.., None) if status.rule.is_empty() && status.why.is_some() => "wrong",
        _ if status.is_event() => "listening",
        (.., None) => "over",
        _ => "ok",
    };
    let upcoming: Vec<Value> = status
        .upcoming
        .iter()
        .map(|preview| json!({"at": preview.at.to_string(), "local": preview.local, "clock_change": preview.clock_change}))
        .collect();
    json!({
        "pipeline": status.pipeline, "trigger": status.trigger, "kind": status.kind, "rule": status.rule,
        "description": status.description, "timezone": status.timezone, "state": state,
        "next_at": status.next_at.map(|at| at.to_string()), "upcoming": upcoming,
        "last": status.last.as_ref().map(|last| json!({
            "at": last.at.to_string(), "run": last.run_id, "state": last.state, "note": last.note,
        })),
        "overdue_since": status.overdue_since.map(|at| at.to_string()),
        "why": status.why,
        "windows": status.windows.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
    })
}

async fn set_paused(rooms: &Rooms, name: &TriggerName, paused: bool, printer: &Printer) -> Result<()> {
    let pipelines = rooms.workspace.pipelines().await;
    let Some(pipeline) = pipelines.iter().find(|pipeline| pipeline.name.as_str() == name.pipeline) else {
        bail!("there is no sound pipeline `{}`; look with `millrace check`", name.pipeline);
    };
    let wanted = |trigger: &&String| name.trigger.as_ref().is_none_or(|wanted| wanted == *trigger);
    let triggers: Vec<&String> = pipeline.triggers.keys().filter(wanted).collect();
    if triggers.is_empty() {
        let known: Vec<&str> = pipeline.triggers.keys().map(String::as_str).collect();
        bail!("`{}` has no such trigger; its triggers are {}", name.pipeline, known.join(", "));
    }
    let now = rooms.clock.now().as_microsecond();
    for trigger in triggers {
        let changed = rooms.store.pause_trigger(name.pipeline.clone(), trigger.clone(), paused, now).await?;
        let word = match (paused, changed) {
            (true, true) => "paused",
            (true, false) => "was paused already",
            (false, true) => "goes on",
            (false, false) => "was not paused",
        };
        printer.note(&format!("{}/{trigger} {word}", name.pipeline));
    }
    Ok(())
}
