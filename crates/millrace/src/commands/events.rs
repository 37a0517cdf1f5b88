use std::process::ExitCode;

use anyhow::{Result, bail};
use jiff::Timestamp;
use millrace_contract::Event;
use millrace_metastore::Metastore;
use millrace_metastore::inbox::{EventFilter, EventRow};
use serde_json::{Value, json};

use crate::boot;
use crate::cli::{Events, EventsCommand};
use crate::commands::follow::short;
use crate::printer::Printer;

/// Events among which the beginning or the end of an id is looked for.
const RECENT: i64 = 10_000;

pub(crate) async fn run(arguments: &Events, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    match &arguments.command {
        None => list(&rooms.store, arguments, printer).await,
        Some(EventsCommand::Show { id }) => {
            let row = find(&rooms.store, id).await?;
            let event: Event = serde_json::from_str(&row.new.event)?;
            let document = json!({"event": event_json(&row), "value": event.to_value()});
            printer.document(&document, || serde_json::to_string_pretty(&document).unwrap_or_default());
            Ok(ExitCode::SUCCESS)
        }
        Some(EventsCommand::Replay { id }) => {
            let rows = match id.as_str() {
                "dead" => {
                    let state = Some("dead".to_owned());
                    rooms
                        .store
                        .list_events(EventFilter { state, limit: RECENT, ..EventFilter::default() })
                        .await?
                }
                id => vec![find(&rooms.store, id).await?],
            };
            let now = rooms.clock.now().as_microsecond();
            let mut replayed = Vec::new();
            for row in rows {
                if !rooms.store.replay_event(row.new.id.clone(), now).await? {
                    bail!(
                        "the event {} is {}: only dead and filtered ones are looked at again",
                        row.new.id,
                        row.state
                    );
                }
                replayed.push(row.new.id);
            }
            let document = json!({"replayed": replayed});
            printer.document(&document, || match replayed.len() {
                0 => "there are no dead letters".to_owned(),
                1 => "1 event waits again; a server that is up looks at it within half a minute".to_owned(),
                count => format!(
                    "{count} events wait again; a server that is up looks at them within half a minute"
                ),
            });
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn list(store: &Metastore, arguments: &Events, printer: &Printer) -> Result<ExitCode> {
    let filter = EventFilter {
        pipeline: arguments.pipeline.clone(),
        trigger: arguments.trigger.clone(),
        state: arguments.state.clone(),
        before: None,
        limit: i64::from(arguments.limit),
    };
    let rows: Vec<Value> = store.list_events(filter).await?.iter().map(event_json).collect();
    if rows.is_empty() {
        printer.note(
            "no events yet; `millrace explain webhook` and its neighbours say what can start a pipeline",
        );
        return Ok(ExitCode::SUCCESS);
    }
    printer.list(&rows, &["EVENT", "TRIGGER", "TYPE", "SUBJECT", "STATE", "RUN", "WHY"], |row| {
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        vec![
            short(&text("event")).to_owned(),
            format!("{}/{}", text("pipeline"), text("trigger")),
            text("type"),
            text("subject"),
            Printer::state(&text("state")),
            short(&text("run")).to_owned(),
            text("why"),
        ]
    });
    Ok(ExitCode::SUCCESS)
}

fn event_json(row: &EventRow) -> Value {
    let at = |micros: i64| Timestamp::from_microsecond(micros).map(|at| at.to_string()).ok();
    json!({
        "event": row.new.id, "pipeline": row.new.pipeline, "trigger": row.new.trigger, "type": row.new.kind,
        "source": row.new.source, "subject": row.new.subject, "state": row.state, "why": row.reason,
        "attempts": row.attempts, "repeats": row.repeats, "run": row.run_id, "received_at": at(row.received_at),
        "settled_at": row.settled_at.and_then(at),
    })
}

/// The event that a person means: an id, the beginning or the end of one, or `latest`.
async fn find(store: &Metastore, wanted: &str) -> Result<EventRow> {
    let rows = store.list_events(EventFilter { limit: RECENT, ..EventFilter::default() }).await?;
    let is_meant = |row: &EventRow| {
        wanted.len() >= 4 && (row.new.id.starts_with(wanted) || row.new.id.ends_with(wanted))
    };
    let mut matching = match wanted {
        "latest" => rows.into_iter().take(1).collect::<Vec<_>>().into_iter(),
        _ => rows.into_iter().filter(is_meant).collect::<Vec<_>>().into_iter(),
    };
    match (matching.next(), matching.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => bail!("there is no event `{wanted}`; list them with `millrace events`"),
        (Some(_), Some(_)) => bail!("`{wanted}` could be any of several events; write more of the id"),
    }
}
