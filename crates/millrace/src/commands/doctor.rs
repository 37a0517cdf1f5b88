use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};

use crate::boot;
use crate::printer::Printer;
use crate::workspace::find_root;

/// Programs that some steps need, what for, and how to get them.
const PROGRAMS: &[(&str, &str, &str)] = &[
    ("bash", "`run` steps", "install bash"),
    ("python3", "`python` steps", "install Python 3.9 or newer"),
    ("git", "sources of a run", "install git"),
];

pub(crate) async fn run(printer: &Printer) -> Result<ExitCode> {
    let mut rows: Vec<Value> =
        PROGRAMS.iter().map(|(program, purpose, hint)| program_row(program, purpose, hint)).collect();
    rows.push(json!({"what": "time zones", "ok": jiff::tz::TimeZone::get("Europe/Berlin").is_ok(), "detail": "IANA database"}));
    let root = find_root(&boot::current_folder()?);
    match &root {
        Ok(root) => {
            let opened = boot::open(root).await;
            let detail =
                opened.as_ref().map_or_else(|error| format!("{error:#}"), |_| root.display().to_string());
            rows.push(json!({"what": "workspace", "ok": opened.is_ok(), "detail": detail}));
        }
        Err(error) => rows.push(json!({"what": "workspace", "ok": false, "detail": error.to_string()})),
    }
    printer.list(&rows, &["WHAT", "OK", "DETAIL"], |row| {
        let ok = row["ok"].as_bool() == Some(true);
        let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
        vec![text("what"), if ok { "yes" } else { "no" }.to_owned(), text("detail")]
    });
    Ok(if rows.iter().all(|row| row["ok"] == true) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn program_row(program: &str, purpose: &str, hint: &str) -> Value {
    let output = std::process::Command::new(program).arg("--version").output();
    let version = output
        .ok()
        .filter(|output| output.status.success())
        .map(|output| String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned());
    let ok = version.is_some();
    let detail = version.unwrap_or_else(|| format!("needed for {purpose}: {hint}"));
    json!({"what": program, "ok": ok, "detail": detail})
}
