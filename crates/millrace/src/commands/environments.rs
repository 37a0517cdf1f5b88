use std::process::ExitCode;

use anyhow::Result;
use millrace_api::environment;
use millrace_metastore::approvals::{ApprovalFilter, approval_state};
use serde_json::Value;

use crate::boot;
use crate::commands::follow::short;
use crate::printer::Printer;
use crate::workspace::WorkspaceError;

/// Approvals that are counted.
const MOST: i64 = 1_000;

/// Lists the environments, what a deployment into each takes, and who has it.
pub(crate) async fn run(printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let all = rooms.environments.list().await.map_err(WorkspaceError::Wrong)?;
    let state = Some(approval_state::WAITING.to_owned());
    let waiting = rooms
        .store
        .list_approvals(ApprovalFilter { state, limit: MOST, ..ApprovalFilter::default() })
        .await?;
    let mut rows = Vec::new();
    for status in all {
        let of =
            waiting.iter().filter(|row| row.environment.as_deref() == Some(status.name.as_str())).count();
        rows.push(serde_json::to_value(environment(status, of as u32))?);
    }
    if rows.is_empty() {
        printer.note(
            "no environments; `environments.yaml` names them: production: {approvers: {by: [role:ml_owner]}}",
        );
        return Ok(ExitCode::SUCCESS);
    }
    printer.list(
        &rows,
        &["ENVIRONMENT", "APPROVED BY", "BRANCHES", "HOURS", "EVALUATION", "HELD BY", "WAITING"],
        |row| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let list = |name: &str| {
                let words: Vec<String> = row[name].as_array().into_iter().flatten().map(text).collect();
                words.join(", ")
            };
            let held = match (&row["held_by"]["run"], row["exclusive"] == true) {
                (Value::String(run), _) => format!("{} of {}", short(run), text(&row["held_by"]["pipeline"])),
                (_, true) => "nobody".to_owned(),
                _ => String::new(),
            };
            let hours = match (&row["hours"], row["open"] == true) {
                (Value::String(hours), true) => format!("{hours}: open"),
                (Value::String(hours), false) => format!("{hours}: closed"),
                _ => String::new(),
            };
            let approvers = match row["approvals"].as_u64() {
                Some(count) if count > 1 => format!("{count} of {}", list("approvers")),
                _ => list("approvers"),
            };
            vec![
                text(&row["name"]),
                approvers,
                list("branches"),
                hours,
                list("evaluation"),
                held,
                row["waiting"].to_string(),
            ]
        },
    );
    Ok(ExitCode::SUCCESS)
}
