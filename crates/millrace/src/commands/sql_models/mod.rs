mod build;
mod docs;
mod freshness;
mod list;

use std::process::ExitCode;

use anyhow::{Result, bail};
use millrace_contract::SystemClock;
use millrace_spec::problem::{Problem, Severity};
use millrace_spec::sql_models::{Project, Selection};
use millrace_transform::sql_models::{Services, read_project};
use serde_json::{Map, Value};

use crate::boot::{self, Rooms};
use crate::cli::{ModelPart, SqlModels, SqlModelsCommand};
use crate::printer::Printer;
use crate::workspace::{Workspace, read};

pub(crate) async fn run(arguments: &SqlModels, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let Some(project) = sound_project(&rooms, printer)? else { return Ok(ExitCode::FAILURE) };
    match &arguments.command {
        SqlModelsCommand::List { part } => list::run(&project, part, printer),
        SqlModelsCommand::Build { part, full_refresh, no_test, values } => {
            let how = build::How { build: true, test: !no_test, full_refresh: *full_refresh };
            build::run(&rooms, project, part, (how, values), printer).await
        }
        SqlModelsCommand::Test { part, values } => {
            let how = build::How { build: false, test: true, full_refresh: false };
            build::run(&rooms, project, part, (how, values), printer).await
        }
        SqlModelsCommand::Freshness { sources } => freshness::run(&rooms, &project, sources, printer).await,
        SqlModelsCommand::Docs { part } => docs::run(&rooms, &project, part, printer).await,
    }
}

/// What models are built with here.
pub(crate) fn services(rooms: &Rooms) -> Services {
    Services {
        engine: rooms.tables.clone(),
        catalog: rooms.catalog.clone(),
        clock: std::sync::Arc::new(SystemClock),
    }
}

/// The models, if nothing is wrong with them; else it is printed.
fn sound_project(rooms: &Rooms, printer: &Printer) -> Result<Option<Project>> {
    let project = read_project(&rooms.workspace.root).map_err(anyhow::Error::msg)?;
    for problem in &project.problems {
        print(problem, &rooms.workspace, printer);
    }
    let is_wrong = project.problems.iter().any(|problem| problem.severity == Severity::Error);
    if !is_wrong && project.models.is_empty() && project.sources.0.is_empty() {
        printer.note("there are no models: write a query in `models/NAME.sql`");
    }
    Ok((!is_wrong).then_some(project))
}

/// Prints a problem with the line of the file that it names.
pub(crate) fn print(problem: &Problem, workspace: &Workspace, printer: &Printer) {
    let text = problem.place.as_ref().and_then(|place| read(&workspace.root, &place.file).ok());
    printer.problem(problem, text.as_deref());
}

/// The models that are meant; a selection that is wrong is printed.
fn chosen(project: &Project, part: &ModelPart, printer: &Printer) -> Option<Vec<String>> {
    match Selection::between(project, &part.select, &part.exclude) {
        Ok(models) => Some(models),
        Err(problem) => {
            printer.problem(&problem, None);
            None
        }
    }
}

/// `name=value` pairs.
fn vars(pairs: &[String]) -> Result<Map<String, Value>> {
    let mut vars = Map::new();
    for pair in pairs {
        let Some((name, text)) = pair.split_once('=') else {
            bail!("`{pair}` is not a variable: write `--var name=value`")
        };
        let value = match serde_json::from_str(text) {
            Ok(Value::Object(_)) | Err(_) => Value::from(text),
            Ok(value) => value,
        };
        vars.insert(name.to_owned(), value);
    }
    Ok(vars)
}
