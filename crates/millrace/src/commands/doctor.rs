use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use bytes::Bytes;
use millrace_contract::SecretSource as _;
use millrace_storage::{FilePath, Storage};
use serde_json::{Value, json};

use crate::boot::{self, Rooms};
use crate::declared::lineage;
use crate::printer::{Printer, counted};
use crate::secrets::{FILE, Origin, has_file};
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
            if let Ok(rooms) = &opened {
                rows.push(storage_row(&rooms.storage.root).await);
            }
            rows.push(secrets_row(root));
            if let Ok(rooms) = &opened {
                rows.extend(receiver_rows(rooms).await);
            }
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

/// Whether files can be written to the storage, read and removed.
async fn storage_row(storage: &Storage) -> Value {
    let url = storage.url(&FilePath::default());
    let tried = async {
        let path = FilePath::new(&format!("doctor-{}", uuid::Uuid::now_v7().simple()))?;
        storage.write_bytes(&path, Bytes::from_static(b"millrace")).await?;
        let read = storage.read_whole(&path, 64).await;
        storage.delete(&path).await?;
        anyhow::ensure!(read? == b"millrace", "what was read is not what was written");
        anyhow::Ok(())
    };
    let detail = match tried.await {
        Ok(()) => url,
        Err(error) => return json!({"what": "storage", "ok": false, "detail": format!("{url}: {error}")}),
    };
    json!({"what": "storage", "ok": true, "detail": detail})
}

/// Whether the secrets of the workspace can be read.
fn secrets_row(root: &Path) -> Value {
    let store = boot::secrets(root);
    let found = store.secrets();
    let wrong = found
        .others
        .as_deref()
        .or_else(|| found.texts.values().find_map(|text| text.as_ref().err().map(|it| &**it)));
    let detail = match wrong {
        Some(problem) => std::iter::once(&problem.message)
            .chain(problem.hints.first())
            .cloned()
            .collect::<Vec<_>>()
            .join(": "),
        None => {
            let given = found.texts.keys().filter(|name| store.origin(name) == Origin::Environment).count();
            let kept = match has_file(root) {
                true => format!("{} in `{FILE}`", found.texts.len() - given),
                false => format!("no `{FILE}`"),
            };
            format!("{given} in the environment, {kept}")
        }
    };
    json!({"what": "secrets", "ok": wrong.is_none(), "detail": detail})
}

/// Whether the receivers of `lineage.yaml` have heard what runs did.
async fn receiver_rows(rooms: &Rooms) -> Vec<Value> {
    let failed = |detail: String| vec![json!({"what": "lineage", "ok": false, "detail": detail})];
    let file = match lineage(&rooms.workspace.root).usable() {
        Ok(file) => file,
        Err(problem) => return failed(problem.message),
    };
    let backlogs = match rooms.store.list_lineage_backlogs().await {
        Ok(backlogs) => backlogs,
        Err(error) => return failed(error.to_string()),
    };
    let gone =
        backlogs.iter().map(|backlog| &backlog.receiver).filter(|name| !file.receivers.contains_key(*name));
    let names = file.receivers.keys().chain(gone);
    names
        .map(|name| {
            let backlog = backlogs.iter().find(|backlog| backlog.receiver == *name);
            let what = format!("lineage to `{name}`");
            let Some(backlog) = backlog else {
                return json!({"what": what, "ok": true, "detail": "heard everything", "runs": 0});
            };
            let since = jiff::Timestamp::from_microsecond(backlog.since).unwrap_or_default().to_string();
            let waiting = format!("{} to be told of since {since}", counted(usize::try_from(backlog.runs).unwrap_or_default(), "run"));
            let why = match (&backlog.error, file.receivers.contains_key(name)) {
                (_, false) => Some("it is not in `lineage.yaml` any more, so they are forgotten after a week".to_owned()),
                (Some(error), true) => Some(format!("tried {} times: {error}", backlog.attempts)),
                (None, true) => None,
            };
            let ok = why.is_none();
            let detail = std::iter::once(waiting).chain(why).collect::<Vec<_>>().join(", ");
            json!({"what": what, "ok": ok, "detail": detail, "runs": backlog.runs, "since": since, "attempts": backlog.attempts, "error": backlog.error})
        })
        .collect()
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
