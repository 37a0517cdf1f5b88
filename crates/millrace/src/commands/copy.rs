use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, anyhow, bail};
use indicatif::{ProgressBar, ProgressStyle};
use millrace_contract::{Progress, ProgressSink, StepKind, StepLog, StepOutcome, TableRef};
use millrace_spec::problem::Problem;
use millrace_spec::yaml;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::boot::{self, Rooms};
use crate::cli::{Copy, Source};
use crate::commands::follow::{describe, duration};
use crate::commands::sql::print_rows;
use crate::copies::{ABOUT_THE_SINK, apart};
use crate::printer::Printer;
use crate::workspace::{find_root, read};

/// Rows that a dry run shows.
const DRY_ROWS: usize = 5;

/// Copies outside of any pipeline: the same step kind, the same options.
pub(crate) async fn run(arguments: &Copy, printer: &Printer) -> Result<ExitCode> {
    if arguments.dry_run {
        return dry_run(arguments, printer).await;
    }
    let rooms = open(&[&arguments.from, &arguments.to]).await?;
    let config = whole(arguments)?;
    let began = Instant::now();
    let Some(outcome) = copy(&rooms, Value::Object(config), printer).await? else {
        return Ok(ExitCode::FAILURE);
    };
    let took = began.elapsed();
    let rows = outcome.rows.unwrap_or(0);
    let rejected = outcome.outputs.get("rejected").and_then(Value::as_u64).unwrap_or(0);
    let document = json!({"rows": rows, "rejected": rejected, "bytes": outcome.bytes, "duration_ms": took.as_millis() as u64, "outputs": outcome.outputs});
    printer.document(&document, || {
        let rejects = if rejected > 0 { format!(", {rejected} rejected") } else { String::new() };
        let speed = rows as f64 / took.as_secs_f64().max(1e-6);
        format!("copied {rows} rows{rejects} in {} ({speed:.0} rows/s)", duration(took))
    });
    Ok(ExitCode::SUCCESS)
}

/// The first rows as the sink would get them.
async fn dry_run(arguments: &Copy, printer: &Printer) -> Result<ExitCode> {
    let rooms = open(&[&arguments.from, &arguments.to]).await?;
    let mut config = whole(arguments)?;
    if let Some(problem) = check(&rooms, &Value::Object(config.clone()))? {
        printer.problem(&problem, None);
        return Ok(ExitCode::FAILURE);
    }
    // The file that takes the rows instead is new, and nothing remembers that they were read.
    config.retain(|name, _| !ABOUT_THE_SINK.contains(&name.as_str()));
    config.insert("limit".to_owned(), DRY_ROWS.into());
    let Some(scratch) = Scratch::copy(&rooms, config, printer).await? else { return Ok(ExitCode::FAILURE) };
    printer.note(&format!(
        "would copy {} to {}; these are the columns and the first rows",
        arguments.from, arguments.to
    ));
    scratch.print(&rooms, DRY_ROWS, printer).await
}

/// What would stand under `copy:` for the whole command.
fn whole(arguments: &Copy) -> Result<Map<String, Value>> {
    let mut config = config(&arguments.from, &arguments.to, &arguments.source)?;
    if arguments.append {
        config.insert("write".to_owned(), Value::from("append"));
    }
    Ok(config)
}

/// The workspace here, or one that is gone afterwards if no place in `places` needs one.
pub(super) async fn open(places: &[&str]) -> Result<Rooms> {
    let rooms = boot::open_here_or_scratch().await?;
    if rooms.is_scratch() && places.iter().any(|place| place.starts_with("data:")) {
        return Err(find_root(&rooms.workspace.root)
            .err()
            .map_or_else(|| anyhow!("there is no workspace here"), Into::into));
    }
    Ok(rooms)
}

fn kind(rooms: &Rooms, name: &str) -> Result<Arc<dyn StepKind>> {
    rooms.kinds.get(name).cloned().ok_or_else(|| anyhow!("this build has no `{name}`"))
}

fn check(rooms: &Rooms, config: &Value) -> Result<Option<Problem>> {
    Ok(kind(rooms, "copy")?.check(config).into_iter().next())
}

/// Runs the step `copy`; a problem is printed.
pub(super) async fn copy(rooms: &Rooms, config: Value, printer: &Printer) -> Result<Option<StepOutcome>> {
    step(rooms, "copy", config, printer).await
}

/// Runs a step that copies; a problem is printed.
pub(super) async fn step(
    rooms: &Rooms,
    name: &str,
    config: Value,
    printer: &Printer,
) -> Result<Option<StepOutcome>> {
    let kind = kind(rooms, name)?;
    if let Some(problem) = kind.check(&config).into_iter().next() {
        printer.problem(&problem, None);
        return Ok(None);
    }
    let screen = Arc::new(Screen::new(*printer));
    let cancel = CancellationToken::new();
    let workspace = &rooms.workspace;
    let folder = workspace.state_folder().join("copies").join(uuid::Uuid::now_v7().simple().to_string());
    let context = apart(workspace, name, &folder, config, cancel.clone(), &screen);
    let mut copying = std::pin::pin!(kind.run(context));
    let outcome = tokio::select! {
        outcome = &mut copying => outcome,
        _ = tokio::signal::ctrl_c() => {
            cancel.cancel();
            copying.await
        }
    };
    screen.bar.finish_and_clear();
    match outcome {
        Ok(outcome) => Ok(Some(outcome)),
        Err(error) => {
            let file = error.problem.place.as_ref().map(|place| place.file.as_str());
            let source = file.and_then(|file| read(&rooms.workspace.root, file).ok());
            printer.problem(&error.problem, source.as_deref());
            Ok(None)
        }
    }
}

/// A copy of a source that lasts as long as this.
pub(super) struct Scratch {
    _folder: tempfile::TempDir,
    pub(super) table: TableRef,
}

impl Scratch {
    /// Copies what `config` says to a file that nobody else knows. `None` if that failed, which was printed.
    pub(super) async fn copy(
        rooms: &Rooms,
        mut config: Map<String, Value>,
        printer: &Printer,
    ) -> Result<Option<Self>> {
        let folder = tempfile::Builder::new().prefix("copy-").tempdir_in(rooms.workspace.state_folder())?;
        let file = folder.path().join("rows.parquet");
        config.insert("to".to_owned(), file.to_string_lossy().into());
        let uri =
            url::Url::from_file_path(&file).map_err(|()| anyhow!("the state folder has no absolute path"))?;
        let copied = copy(rooms, Value::Object(config), &printer.quieter()).await?;
        Ok(copied.map(|_| Self { _folder: folder, table: TableRef::Parquet { uri: uri.to_string() } }))
    }

    /// Prints the first rows.
    pub(super) async fn print(&self, rooms: &Rooms, limit: usize, printer: &Printer) -> Result<ExitCode> {
        let rows = rooms.queries.scan(&self.table, None, Some(limit.saturating_add(1))).await?;
        if !printer.is_json() {
            let columns: Vec<String> = rows
                .schema
                .fields()
                .iter()
                .map(|field| format!("{} ({})", field.name(), field.data_type()))
                .collect();
            printer.note(&format!("columns: {}", columns.join(", ")));
        }
        print_rows(rows, limit, printer).await
    }
}

/// Options that are given one by one, as they would stand under the step's kind.
pub(super) fn given(options: &[String]) -> Result<Map<String, Value>> {
    let mut config = Map::new();
    for option in options {
        let Some((name, text)) = option.split_once('=') else {
            bail!("`{option}` is not an option: write `--with name=value`")
        };
        let value =
            yaml::parse("--with", text).map_err(|problem| anyhow!("`{option}`: {}", problem.message))?;
        config.insert(name.to_owned(), value.to_json());
    }
    Ok(config)
}

/// What would stand under `copy:` in a pipeline.
pub(super) fn config(from: &str, to: &str, source: &Source) -> Result<Map<String, Value>> {
    let mut config = given(&source.options)?;
    if let Some(place) = ["from", "to"].iter().find(|place| config.contains_key(**place)) {
        bail!(
            "`{place}` is an argument of its own and not an option; a mapping may stand there: `'{{path: …}}'`"
        )
    }
    let place = |text: &str| match text.starts_with('{') {
        true => yaml::parse("the place", text)
            .map(|value| value.to_json())
            .map_err(|problem| anyhow!("`{text}`: {}", problem.message)),
        false => Ok(Value::from(text)),
    };
    config.insert("from".to_owned(), place(from)?);
    config.insert("to".to_owned(), place(to)?);
    let texts =
        [("format", &source.format), ("delimiter", &source.delimiter), ("on_error", &source.on_error)];
    for (name, value) in texts {
        if let Some(value) = value {
            config.insert(name.to_owned(), Value::from(value.clone()));
        }
    }
    if !source.null_values.is_empty() {
        config.insert("null_values".to_owned(), json!(source.null_values));
    }
    let mut columns = Map::new();
    for pair in &source.columns {
        let Some((name, kind)) = pair.split_once('=') else {
            bail!("`{pair}` is not a column: write `--column name=type`")
        };
        columns.insert(name.to_owned(), Value::from(kind));
    }
    if !columns.is_empty() {
        config.insert("columns".to_owned(), Value::Object(columns));
    }
    Ok(config)
}

/// Progress on a line that moves, log lines as they come.
struct Screen {
    printer: Printer,
    bar: ProgressBar,
}

impl Screen {
    fn new(printer: Printer) -> Self {
        let bar = if printer.live { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("  {spinner} copying {elapsed:>4}  {msg}") {
            bar.set_style(style);
        }
        Self { printer, bar }
    }
}

impl StepLog for Screen {
    fn line(&self, text: &str) {
        self.bar.suspend(|| self.printer.note(text));
    }
}

impl ProgressSink for Screen {
    fn report(&self, progress: Progress) {
        self.bar.set_message(describe(&progress));
        self.bar.tick();
    }
}
