use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use millrace_contract::{Producer, StepLog};
use millrace_spec::sql_models::Project;
use millrace_transform::sql_models::{Builder, ModelStatus, Report, Request, TestStatus};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{chosen, print, services, vars};
use crate::boot::Rooms;
use crate::cli::{ModelPart, ModelValues};
use crate::printer::{Printer, counted};

/// What is done with the models.
pub(super) struct How {
    pub(super) build: bool,
    pub(super) test: bool,
    pub(super) full_refresh: bool,
}

pub(super) async fn run(
    rooms: &Rooms,
    project: Project,
    part: &ModelPart,
    (how, values): (How, &ModelValues),
    printer: &Printer,
) -> Result<ExitCode> {
    let Some(models) = chosen(&project, part, printer) else { return Ok(ExitCode::FAILURE) };
    let run_id = uuid::Uuid::now_v7().simple().to_string();
    let request = Request {
        models,
        build: how.build,
        test: how.test,
        full_refresh: how.full_refresh,
        vars: vars(&values.vars)?,
        threads: values.threads,
        producer: Some(Producer { run_id, step: Some("sql_models".to_owned()) }),
    };
    let cancel = CancellationToken::new();
    let builder = Builder::new(services(rooms), project, request, Arc::new(Silent));
    let mut building = std::pin::pin!(builder.run(&cancel));
    let report = tokio::select! {
        report = &mut building => report,
        _ = tokio::signal::ctrl_c() => {
            cancel.cancel();
            building.await
        }
    };
    tell(&report, rooms, printer);
    Ok(if report.failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn tell(report: &Report, rooms: &Rooms, printer: &Printer) {
    let kind = |kind: &str, mut line: Value| {
        if let Some(fields) = line.as_object_mut() {
            fields.insert("kind".to_owned(), json!(kind));
        }
        line
    };
    let models = report.models.iter().map(|model| kind("model", json!(model)));
    let lines: Vec<Value> = models.chain(report.tests.iter().map(|test| kind("test", json!(test)))).collect();
    printer.list(&lines, &["", "NAME", "STATE", "ROWS", "VERSION"], |line| {
        let text = |field: &str| match &line[field] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        let rows = if line["kind"] == "test" { text("failures") } else { text("rows") };
        vec![text("kind"), text("name"), text("status"), rows, text("version")]
    });
    if printer.is_json() {
        return;
    }
    let failed = report.models.iter().filter(|model| model.status == ModelStatus::Failed);
    let broken = report.tests.iter().filter(|test| test.status == TestStatus::Error);
    let problems = failed.map(|model| &model.problem).chain(broken.map(|test| &test.problem));
    for problem in problems.flatten() {
        print(problem, &rooms.workspace, printer);
    }
    for test in &report.tests {
        if test.failures == 0 {
            continue;
        }
        let kept = test.kept.as_deref().unwrap_or_default();
        let rows = counted(test.failures, "row");
        printer.note(&format!("{} ({}): {rows}, kept as {kept}", test.name, test.place));
        for row in &test.rows {
            printer.note(&format!("    {row}"));
        }
    }
}

/// The report says it all.
struct Silent;

impl StepLog for Silent {
    fn line(&self, _: &str) {}
}
