use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::Result;
use millrace_contract::{Explain as _, SecretSource as _};
use millrace_spec::environment::Environments;
use millrace_spec::problem::{Problem, Severity};
use millrace_spec::sql_models::{FOLDER, SOURCES};
use millrace_transfer::Connections;
use millrace_transform::ballista;
use millrace_transform::flow::Flow;
use millrace_transform::sql_models::{self, read_project};

use crate::boot::{self, Rooms};
use crate::cli::Check;
use crate::connections::CONNECTIONS;
use crate::declared::{
    ACCESS, CHANNELS, Declared, ENVIRONMENTS, LINEAGE, access, channels, environments, lineage,
};
use crate::printer::{Printer, counted};
use crate::secrets;
use crate::workspace::{CheckedFile, Workspace, read};

/// Folder of flow files.
const FLOWS: &str = "flows";

pub(crate) async fn run(arguments: &Check, printer: &Printer) -> Result<ExitCode> {
    let rooms = boot::open_here().await?;
    let workspace = &rooms.workspace;
    let everything = arguments.files.is_empty();
    let named: Vec<String> = arguments
        .files
        .iter()
        .map(|file| file.to_string_lossy().trim_start_matches("./").to_owned())
        .collect();
    let asked = |file: &str| everything || named.iter().any(|name| name == file);
    let endpoints: Vec<_> = workspace.endpoint_files().into_iter().filter(|file| asked(&file.file)).collect();
    let rules: Vec<_> = workspace.alert_rules().into_iter().filter(|file| asked(&file.file)).collect();
    let calendars: Vec<_> = workspace.calendar_files().into_iter().filter(|file| asked(&file.file)).collect();
    let roles = Some(access(&workspace.root)).filter(|file| asked(&file.file));
    let targets = Some(targets(&rooms)).filter(|file| asked(&file.file));
    let told = Some(channels(&workspace.root)).filter(|file| asked(&file.file));
    let heard = Some(lineage(&workspace.root)).filter(|file| asked(&file.file));
    let connections = Some(workspace.connections()).filter(|file| asked(&file.file));
    let mut flows = checked_flows(&rooms, &asked).await;
    let models = models(&rooms, everything, &named).await?;
    let declared = |name: &str| {
        endpoints.iter().any(|file| file.file == name)
            || rules.iter().any(|file| file.file == name)
            || calendars.iter().any(|file| file.file == name)
            || flows.iter().any(|file| file.file == name)
            || is_of_models(name)
            || [CONNECTIONS, ACCESS, ENVIRONMENTS, CHANNELS, LINEAGE, secrets::FILE].contains(&name)
    };
    let pipelines = pipelines(workspace, everything, &named, &declared)?;
    check_for_spark(&rooms, &pipelines, &mut flows).await;
    for file in &pipelines {
        file.print_problems(workspace, printer);
    }
    let wrong = pipelines.iter().filter(|file| file.has_errors()).count()
        + print_wrong(&endpoints, printer)
        + print_wrong(&rules, printer)
        + print_wrong(&calendars, printer)
        + print_wrong(&flows, printer)
        + print_wrong(roles.as_slice(), printer)
        + print_wrong(targets.as_slice(), printer)
        + print_wrong(told.as_slice(), printer)
        + print_wrong(heard.as_slice(), printer)
        + models.as_ref().map_or(0, |models| models.print_wrong(workspace, printer))
        + connections.as_ref().map_or(0, |file| print_unusable(file, printer));
    if asked(secrets::FILE) {
        warn_of_secrets(workspace, printer);
    }
    let loaded = pipelines.iter().filter_map(|file| file.loaded.as_ref());
    let steps: usize = loaded.map(|loaded| loaded.pipeline.steps.len()).sum();
    let mut kinds = vec![format!("{} with {}", counted(pipelines.len(), "pipeline"), counted(steps, "step"))];
    let counts = [
        (endpoints.len(), "endpoint"),
        (rules.len(), "alert rule"),
        (calendars.len(), "calendar"),
        (flows.len(), "flow"),
        (models.as_ref().map_or(0, |models| models.count), "SQL model"),
    ];
    kinds.extend(counts.iter().filter(|(count, _)| *count > 0).map(|(count, noun)| counted(*count, noun)));
    let mut files = pipelines.len() + counts.iter().map(|(count, _)| count).sum::<usize>();
    let singles = [
        said(roles, |access| {
            format!("{} and {}", counted(access.groups.len(), "group"), counted(access.roles.len(), "role"))
        }),
        said(targets, |all| counted(all.0.len(), "environment")),
        said(told, |channels| counted(channels.names().len(), "channel")),
        said(heard, |file| counted(file.receivers.len(), "receiver")),
        said(connections, |connections| counted(connections.len(), "connection")),
    ];
    for kind in singles.into_iter().flatten() {
        files += 1;
        kinds.push(kind);
    }
    printer.note(&match wrong {
        0 => format!("{}: sound", kinds.join(", ")),
        _ => format!("{wrong} of {files} files have errors"),
    });
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Every pipeline, or those among the named files that are nothing else.
fn pipelines(
    workspace: &Workspace,
    everything: bool,
    named: &[String],
    declared: &impl Fn(&str) -> bool,
) -> Result<Vec<CheckedFile>> {
    if everything {
        return Ok(workspace.check_all());
    }
    let files = named.iter().filter(|name| !declared(name));
    let checked: Result<Vec<_>, _> = files.map(|file| workspace.check_file(file)).collect();
    Ok(checked?)
}

/// Every file in `flows/` that is asked for, by name.
async fn checked_flows(rooms: &Rooms, asked: &impl Fn(&str) -> bool) -> Vec<Declared<()>> {
    let workspace = &rooms.workspace;
    let mut checked = Vec::new();
    for file in workspace
        .yaml_files(FLOWS)
        .into_iter()
        .filter(|file| asked(file) && !file.ends_with(".flow-test.yaml"))
    {
        checked.push(match read(&workspace.root, &file) {
            Ok(text) => {
                let files = |path: &str| workspace.text_of(path);
                let problems = Flow::check(&rooms.tables, &file, &text, &files).await;
                let content = if problems.is_empty() { Ok(()) } else { Err(problems) };
                Declared { file, text, content }
            }
            Err(error) => Declared { file, text: String::new(), content: Err(vec![error.problem()]) },
        });
    }
    checked
}

/// Adds what Spark cannot do the same in flows that steps of these pipelines send to it. Those that are wrong anyhow stay as they are. A cluster
/// of this engine does all the same.
async fn check_for_spark(rooms: &Rooms, pipelines: &[CheckedFile], flows: &mut Vec<Declared<()>>) {
    let loaded = pipelines.iter().filter_map(|file| file.loaded.as_ref());
    let steps = loaded.flat_map(|loaded| loaded.pipeline.steps.values());
    let kinds = rooms.workspace.connection_kinds().unwrap_or_default();
    let of = |word: &str| -> BTreeSet<&str> {
        let found = kinds.iter().filter(|(_, keys)| keys.iter().any(|key| key == word));
        found.map(|(name, _)| name.as_str()).collect()
    };
    let (clusters, sparks) = (of(ballista::WORD), of(millrace_spark::WORD));
    let sent = |engine: &serde_json::Value| {
        let name = engine.as_str().or_else(|| engine.get("auto")?.as_str());
        match name {
            Some("local") => false,
            Some("auto") => !sparks.is_empty() || clusters.is_empty(),
            Some(name) => !clusters.contains(name),
            None => engine.get(ballista::WORD).is_none(),
        }
    };
    let steps = steps.filter(|step| step.config.get("engine").is_some_and(sent));
    let files: BTreeSet<&str> = steps.filter_map(|step| file_of_flow(&step.kind, &step.config)).collect();
    for file in files {
        if flows.iter().any(|flow| flow.file == file && flow.content.is_err()) {
            continue;
        }
        // A file that is not there fails the step; it is no flow.
        let Ok(text) = read(&rooms.workspace.root, file) else { continue };
        let other = |path: &str| rooms.workspace.text_of(path);
        let problems = Flow::check_for_spark(&rooms.tables, file, &text, &other).await;
        if !problems.is_empty() {
            flows.retain(|flow| flow.file != file);
            flows.push(Declared { file: file.to_owned(), text, content: Err(problems) });
        }
    }
}

/// The flow's file, if the step has one.
fn file_of_flow<'c>(kind: &str, config: &'c serde_json::Value) -> Option<&'c str> {
    config.get("file").filter(|_| kind == "flow")?.as_str()
}

/// The models, and what is wrong with them.
struct Models {
    count: usize,
    problems: Vec<Problem>,
}

impl Models {
    /// Prints what is wrong with them, and counts the files with errors.
    fn print_wrong(&self, workspace: &Workspace, printer: &Printer) -> usize {
        for problem in &self.problems {
            super::sql_models::print(problem, workspace, printer);
        }
        let errors = self.problems.iter().filter(|problem| problem.severity == Severity::Error);
        let files = errors.map(|problem| problem.place.as_ref().map_or("", |place| place.file.as_str()));
        files.collect::<BTreeSet<_>>().len()
    }
}

fn is_of_models(file: &str) -> bool {
    file == SOURCES || file.starts_with(&format!("{FOLDER}/"))
}

/// The models, if everything or one of their files is asked for. All are read, since each may name the others.
async fn models(rooms: &Rooms, everything: bool, named: &[String]) -> Result<Option<Models>> {
    if !everything && !named.iter().any(|name| is_of_models(name)) {
        return Ok(None);
    }
    let project = read_project(&rooms.workspace.root).map_err(anyhow::Error::msg)?;
    let problems = sql_models::check(&super::sql_models::services(rooms), &project).await;
    let mut models = Models { count: project.models.len(), problems };
    if !everything {
        let is_asked =
            |problem: &Problem| problem.place.as_ref().is_some_and(|place| named.contains(&place.file));
        models.problems.retain(is_asked);
        models.count = named.iter().filter(|name| is_of_models(name) && name.ends_with(".sql")).count();
    }
    Ok(Some(models))
}

/// What a file holds of which there is one; `None` if there is none.
fn said<T: Default>(file: Option<Declared<T>>, words: impl FnOnce(T) -> String) -> Option<String> {
    let file = file.filter(|file| !file.text.is_empty())?;
    Some(words(file.content.unwrap_or_default()))
}

/// The environments, with the roles of accounts that they may name.
fn targets(rooms: &Rooms) -> Declared<Environments> {
    let known = rooms.approvals.known_access().unwrap_or_default();
    environments(&rooms.workspace.root, &known, &rooms.workspace.timezone)
}

/// Says what is wrong with the file of secrets. That fails only what names one, so it is a warning.
fn warn_of_secrets(workspace: &Workspace, printer: &Printer) {
    if let Some(problem) = workspace.secrets.secrets().others {
        let text = read(&workspace.root, secrets::FILE).ok();
        printer.problem(&problem.as_warning(), text.as_deref());
    }
}

/// Prints which connections cannot be used, and counts the file if that is its own fault: secrets may be set where it is used.
fn print_unusable(file: &Declared<Connections>, printer: &Printer) -> usize {
    let Ok(connections) = &file.content else { return print_wrong(std::slice::from_ref(file), printer) };
    let mut wrong = 0;
    for problem in connections.values().filter_map(|connection| connection.unusable.as_deref()) {
        match problem.code.as_str() {
            "secret-unreadable" => {}
            "secret-missing" => printer.problem(&problem.clone().as_warning(), Some(&file.text)),
            _ => {
                wrong = 1;
                printer.problem(problem, Some(&file.text));
            }
        }
    }
    wrong
}

/// Prints what is wrong with files and counts those.
fn print_wrong<T>(files: &[Declared<T>], printer: &Printer) -> usize {
    let mut wrong = 0;
    for file in files {
        let Err(problems) = &file.content else { continue };
        wrong += 1;
        for problem in problems {
            printer.problem(problem, Some(&file.text));
        }
    }
    wrong
}
