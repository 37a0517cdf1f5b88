use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use millrace_api::tried;
use millrace_api::views::connections::{ConnectionView, TryConnection};
use millrace_spec::problem::Problem;
use serde_json::{Value, json};

use crate::boot;
use crate::cli::Connections;
use crate::connections::CONNECTIONS;
use crate::printer::Printer;
use crate::workspace::{Workspace, WorkspaceError};

/// What says best where a connection leads: the first of these that it has.
const WHERE: [&str; 8] = ["url", "bucket", "container", "path", "host", "driver", "brokers", "command"];
/// Names that are shown of a connection that answered; `--json` has all of them.
const SHOWN: usize = 8;

pub(crate) async fn run(command: &Connections, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    match command {
        Connections::List => list(&rooms.workspace, printer).await,
        Connections::Test { names, timeout } => test(&rooms.workspace, names, *timeout, printer).await,
    }
}

/// The connections of the file.
async fn known(workspace: &Workspace) -> Result<Vec<ConnectionView>> {
    let file = workspace.connections().usable().err();
    match file {
        Some(problem) => Err(WorkspaceError::Wrong(problem).into()),
        None => Ok(millrace_api::Connections::connections(workspace).await.connections),
    }
}

async fn list(workspace: &Workspace, printer: &Printer) -> Result<ExitCode> {
    let all = known(workspace).await?;
    if all.is_empty() {
        printer.note("no connections; `connections.yaml` names them, and `millrace explain` lists the kinds");
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Value> = all.iter().map(|found| json!(found)).collect();
    printer.list(&rows, &["NAME", "KIND", "LEADS TO", "USABLE"], |row| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        // Of several brokers, and of a program with what it is told, the first.
        let leads = WHERE.iter().find_map(|key| {
            let setting = &row["settings"][*key];
            setting.as_str().or_else(|| setting.get(0)?.as_str())
        });
        let usable = if row["problem"].is_null() { "yes" } else { "no" };
        vec![text(&row["name"]), text(&row["kind"]), leads.unwrap_or_default().to_owned(), usable.to_owned()]
    });
    if !printer.is_json() {
        for (found, problem) in all.iter().filter_map(|found| Some((found, found.problem.as_ref()?))) {
            printer.note(&format!("{CONNECTIONS}:{}: {}", found.line, problem.message));
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn test(workspace: &Workspace, names: &[String], timeout: u64, printer: &Printer) -> Result<ExitCode> {
    let all = known(workspace).await?;
    if let Some(unknown) = names.iter().find(|name| !all.iter().any(|found| found.name == **name)) {
        let known: Vec<&str> = all.iter().map(|found| found.name.as_str()).collect();
        let problem = Problem::error("unknown-connection", format!("there is no connection `{unknown}`"));
        let problem = problem.hint(format!("the connections are: {}", known.join(", ")));
        return Err(WorkspaceError::Wrong(Box::new(problem)).into());
    }
    let asked = all.into_iter().filter(|found| names.is_empty() || names.contains(&found.name));
    let mut failed = false;
    for found in asked {
        let ConnectionView { name, kind, settings, problem, .. } = found;
        let said = match (kind, problem) {
            (_, Some(problem)) => {
                json!({"name": name, "said": null, "names": [], "elapsed_ms": 0, "problem": problem})
            }
            (kind, None) => {
                let wanted = TryConnection { name: name.clone(), kind: kind.unwrap_or_default(), settings };
                let answer = tried(workspace, wanted, Duration::from_secs(timeout)).await;
                let mut row = json!(answer);
                row["name"] = json!(name);
                row
            }
        };
        failed |= !said["problem"].is_null();
        printer.document(&said, || told(&said));
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What came of one, for people.
fn told(row: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = text(&row["name"]);
    if let Value::Object(problem) = &row["problem"] {
        let hints = problem.get("hints").and_then(Value::as_array).into_iter().flatten();
        let hints: String =
            hints.filter_map(Value::as_str).map(|hint| format!("\n    hint: {hint}")).collect();
        let message = problem.get("message").map(text).unwrap_or_default();
        return format!("✗ {name}: {message}{hints}");
    }
    let names: Vec<String> = row["names"].as_array().into_iter().flatten().map(text).collect();
    let more = names.len().saturating_sub(SHOWN);
    let mut shown = names.into_iter().take(SHOWN).collect::<Vec<_>>().join(", ");
    if more > 0 {
        shown = format!("{shown} and {more} more");
    }
    let there = if shown.is_empty() { String::new() } else { format!("\n    {shown}") };
    format!("✓ {name}: {} ({} ms){there}", text(&row["said"]), row["elapsed_ms"])
}
