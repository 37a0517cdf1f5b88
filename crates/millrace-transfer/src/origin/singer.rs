//! Singer taps: lines of JSON on their standard output. <https://github.com/singer-io/getting-started/blob/master/docs/SPEC.md>

use std::io::{BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::{BatchStream, Progress as Report, StepContext};
use millrace_spec::duration::Elapsed;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::process::{Ender, Limits, Output, Program, Running, private_file};
use super::program::{check_program, progress, settled};
use super::settings::{Hidden, Kind, Settings};
use super::staged::Staged;
use super::{Asking, Found, Origin};
use crate::config::CopyConfig;
use crate::error::CopyError;
use crate::format::{self, Format};
use crate::progress::Progress;
use crate::store::unless_cancelled;
use crate::types::{ColumnSpec, ColumnType};

/// The kind of connection `singer`.
pub(super) const KIND: Kind = Kind::of::<SingerConnection>(
    "copy: {from: \"crm:users\", state: state/users.json, to: \"data:users\"}\n",
);

/// A catalog or a message that is longer is not read.
const LONGEST: u64 = 64 << 20;
/// Records between two reports.
const REPORT: u64 = 1000;

/// Reads streams of Singer taps.
///
/// In connections.yaml: `crm: {singer: {command: [.venv/bin/tap-crm], config: {token: "${{ secrets.crm }}"}}}`, after the tap was installed there:
/// `uv venv && uv pip install tap-crm`. Then `crm:users` runs `tap-crm --config FILE --discover`, selects the stream `users` with all its fields, and
/// runs `tap-crm --config FILE --catalog FILE`. Types come from the tap's schema unless `columns:` declares them; with the step's `state:` the tap goes
/// on where it was, once the sink has the rows. Its standard error goes to the step's log. It sees none of the server's variables, and is ended when
/// the step is cancelled.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SingerConnection {
    /// The tap and its first arguments. A path with `/` begins in the workspace.
    command: Vec<String>,
    /// The tap's configuration.
    #[serde(default)]
    config: Value,
    /// Variables of its environment, beside `PATH`, `HOME`, `TMPDIR` and `LANG`. Their values are kept out of messages.
    #[serde(default)]
    env: IndexMap<String, Hidden>,
    /// A catalog of the workspace instead of the one that the tap discovers; streams and fields are selected as it says.
    #[serde(default)]
    catalog: Option<String>,
    /// The option that takes the catalog; old taps call it `--properties`.
    #[serde(default)]
    catalog_option: CatalogOption,
    /// How long it may take before it is ended; a day if absent. The step's own `timeout` may be shorter.
    #[serde(default)]
    timeout: Option<Elapsed>,
    /// How much it may write, `10GB`; 64 GB if absent.
    #[serde(default)]
    max_output: Option<String>,
}

/// What a tap calls the file that says what is selected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum CatalogOption {
    /// `--catalog`.
    #[default]
    Catalog,
    /// `--properties`.
    Properties,
}

impl Settings for SingerConnection {
    const WORD: &'static str = "singer";
    const EXAMPLE: &'static str = "{command: [.venv/bin/tap-crm], config: {token: \"${{ secrets.crm }}\"}}";
    const KEEPS_STATE: bool = true;

    fn open(self, workspace: &Path) -> Result<Box<dyn Origin>, String> {
        let Self { command, config, env, catalog, catalog_option, timeout, max_output } = self;
        let limits = Limits::of(timeout, max_output.as_deref())?;
        let program = Program::new(command, env, &config, workspace, limits)?;
        if let Some(file) = &catalog {
            crate::progress::checked(file)
                .map_err(|_| format!("`catalog`: `{file}` is no file of the workspace"))?;
        }
        let config = if config.is_null() { json!({}) } else { config };
        let workspace = workspace.to_owned();
        Ok(Box::new(Tap { program, config, catalog, catalog_option, workspace }))
    }
}

struct Tap {
    program: Program,
    config: Value,
    catalog: Option<String>,
    catalog_option: CatalogOption,
    workspace: PathBuf,
}

impl Tap {
    /// The catalog with the stream selected.
    async fn catalog(&self, asking: &Asking<'_>, config: &str, folder: &Path) -> Result<Value, CopyError> {
        let catalog = self.whole_catalog(asking, config, folder).await?;
        if self.catalog.is_some() {
            return Ok(catalog);
        }
        selected(catalog, asking.stream).map_err(|message| asking.failed(message, false))
    }

    /// The catalog of the workspace, or else what the tap discovers.
    async fn whole_catalog(
        &self,
        asking: &Asking<'_>,
        config: &str,
        folder: &Path,
    ) -> Result<Value, CopyError> {
        if let Some(file) = &self.catalog {
            let text =
                fs_err::read(self.workspace.join(file)).map_err(|error| CopyError::read(file, &error))?;
            return serde_json::from_slice(&text).map_err(|error| CopyError::read(file, &error));
        }
        let arguments = ["--config", config, "--discover"];
        let (running, out) = self.program.start(&arguments, folder, asking.context)?;
        let said = ran(asking, running, move |running| {
            let mut said = Vec::new();
            out.take(LONGEST).read_to_end(&mut said).map_err(|error| error.to_string())?;
            running.end()?;
            Ok(said)
        });
        serde_json::from_slice(&said.await?)
            .map_err(|error| asking.failed(format!("what the tap discovers is no catalog: {error}"), false))
    }
}

/// Works with a program on a blocking thread; it is ended when the step is cancelled, or fails.
async fn ran<T: Send + 'static>(
    asking: &Asking<'_>,
    running: Running,
    work: impl FnOnce(&Running) -> Result<T, String> + Send + 'static,
) -> Result<T, CopyError> {
    let _ender: Ender = running.ender();
    let working = tokio::task::spawn_blocking(move || work(&running));
    unless_cancelled(asking.context, async {
        let done = working.await.unwrap_or_else(|error| Err(error.to_string()));
        done.map_err(|message| asking.failed(message, false))
    })
    .await
}

/// Selects a stream with all its fields, and no other one.
fn selected(mut catalog: Value, wanted: &str) -> Result<Value, String> {
    let streams = catalog.get_mut("streams").and_then(Value::as_array_mut);
    let streams = streams.ok_or("the tap's catalog has no `streams`")?;
    let mut names = Vec::new();
    let mut found = false;
    for stream in streams.iter_mut() {
        let is_wanted =
            name_of(stream) == wanted || stream.get("stream").and_then(Value::as_str) == Some(wanted);
        names.push(format!("`{}`", name_of(stream)));
        found |= is_wanted;
        select(stream, is_wanted);
    }
    if found {
        return Ok(catalog);
    }
    match names.as_slice() {
        [] => Err("the tap discovers no stream; look at its `config`".to_owned()),
        names => Err(format!("the tap has no stream `{wanted}`; it has {}", names.join(", "))),
    }
}

fn name_of(stream: &Value) -> String {
    let name = ["tap_stream_id", "stream"].iter().find_map(|field| stream.get(field)?.as_str());
    name.unwrap_or_default().to_owned()
}

fn select(stream: &mut Value, is_wanted: bool) {
    if let Some(fields) = stream.as_object_mut() {
        fields.insert("selected".to_owned(), is_wanted.into());
    }
    if let Some(schema) = stream.get_mut("schema").and_then(Value::as_object_mut) {
        schema.insert("selected".to_owned(), is_wanted.into());
    }
    let entries = stream.get_mut("metadata").and_then(Value::as_array_mut);
    let mut has_root = false;
    for entry in entries.into_iter().flatten() {
        has_root |= entry.get("breadcrumb").and_then(Value::as_array).is_some_and(Vec::is_empty);
        if let Some(facts) = entry.get_mut("metadata").and_then(Value::as_object_mut)
            && facts.get("inclusion").and_then(Value::as_str) != Some("unsupported")
        {
            facts.insert("selected".to_owned(), is_wanted.into());
        }
    }
    if !has_root && let Some(fields) = stream.as_object_mut() {
        let entries = fields.entry("metadata").or_insert_with(|| json!([]));
        if let Some(entries) = entries.as_array_mut() {
            entries.push(json!({"breadcrumb": [], "metadata": {"selected": is_wanted}}));
        }
    }
}

/// What a tap told beside its records.
#[derive(Default)]
struct Told {
    schema: Option<Value>,
    state: Option<Value>,
    rows: u64,
    bytes: u64,
}

/// Writes the records of a stream into a file.
fn drain(out: Output, stream: &str, file: &Path, context: &StepContext) -> Result<Told, String> {
    let mut lines = BufReader::with_capacity(256 * 1024, out);
    let file = fs_err::File::create(file).map_err(|error| error.to_string())?;
    let mut records = BufWriter::with_capacity(256 * 1024, file);
    let mut told = Told::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = lines.by_ref().take(LONGEST).read_until(b'\n', &mut line);
        if read.map_err(|error| error.to_string())? == 0 {
            break;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let text = std::str::from_utf8(&line).map_err(|error| format!("a message is not UTF-8: {error}"))?;
        let wrong = || {
            let begin: String = text.trim().chars().take(200).collect();
            format!("`{begin}` is no message of a tap; its log belongs to standard error")
        };
        let message = Message::read(text).ok_or_else(wrong)?;
        if message.stream.as_deref().is_some_and(|named| named != stream) {
            continue;
        }
        match message.kind.as_str() {
            "RECORD" => {
                let record = message.content.ok_or_else(wrong)?;
                // A line's end within a record is a blank between its parts.
                let plain: String = record.replace(['\n', '\r'], " ");
                records.write_all(plain.as_bytes()).map_err(|error| error.to_string())?;
                records.write_all(b"\n").map_err(|error| error.to_string())?;
                (told.rows, told.bytes) = (told.rows + 1, told.bytes + plain.len() as u64 + 1);
                if told.rows % REPORT == 0 {
                    let (rows, bytes) = (Some(told.rows), Some(told.bytes));
                    let message = Some("the tap gives its records".to_owned());
                    context.progress.report(Report { fraction: None, rows, bytes, message });
                }
            }
            "SCHEMA" => told.schema = message.content.and_then(|schema| serde_json::from_str(schema).ok()),
            "STATE" => told.state = message.content.and_then(|state| serde_json::from_str(state).ok()),
            "BATCH" => return Err("the tap gives batches of files; turn that off in its `config`".to_owned()),
            _ => {}
        }
    }
    let file = records.into_inner().map_err(|error| error.to_string())?;
    file.sync_all().map_err(|error| error.to_string())?;
    Ok(told)
}

/// A line of a tap.
struct Message<'t> {
    kind: String,
    stream: Option<String>,
    /// Its record, schema or state, as it was written: numbers lose nothing.
    content: Option<&'t str>,
}

impl<'t> Message<'t> {
    fn read(line: &'t str) -> Option<Self> {
        let fields = format::json_fields(line)?;
        let text = |name: &str| {
            let raw = fields.iter().find(|(known, _)| known == name)?.1;
            serde_json::from_str::<String>(raw).ok()
        };
        let kind = text("type")?;
        let name = match kind.as_str() {
            "RECORD" => "record",
            "SCHEMA" => "schema",
            _ => "value",
        };
        let content = fields.iter().find(|(known, _)| known == name).map(|(_, raw)| *raw);
        Some(Self { stream: text("stream"), kind, content })
    }
}

/// Types of the columns whose schema says one. Structures are told by their values.
fn columns(schema: &Value) -> IndexMap<String, ColumnSpec> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let typed = properties
        .into_iter()
        .flatten()
        .filter_map(|(name, property)| Some((name.clone(), ColumnSpec::Type(column_type(property)?))));
    typed.collect()
}

fn column_type(property: &Value) -> Option<ColumnType> {
    let types: Vec<&str> = match property.get("type") {
        Some(Value::String(word)) => vec![word],
        Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).collect(),
        // `anyOf` of one type and null is a type.
        _ => {
            let choices = ["anyOf", "oneOf"].iter().find_map(|word| property.get(word)?.as_array())?;
            let types: Vec<ColumnType> = choices.iter().filter_map(column_type).collect();
            return match types.as_slice() {
                [one] if choices.len() <= 2 => Some(*one),
                _ => None,
            };
        }
    };
    let types: Vec<&str> = types.into_iter().filter(|word| *word != "null").collect();
    let format = property.get("format").and_then(Value::as_str);
    match types.as_slice() {
        ["integer"] => Some(ColumnType::Integer),
        ["number"] | ["integer", "number"] | ["number", "integer"] => Some(ColumnType::Number),
        ["boolean"] => Some(ColumnType::Boolean),
        ["string"] => match format {
            Some("date-time") => Some(ColumnType::Timestamp),
            Some("date") => Some(ColumnType::Date),
            _ => Some(ColumnType::String),
        },
        // Values of several types have their text in common.
        [] | ["object"] | ["array"] => None,
        words if words.contains(&"object") || words.contains(&"array") => None,
        _ => Some(ColumnType::String),
    }
}

#[async_trait]
impl Origin for Tap {
    fn check(&self, stream: &str, config: &CopyConfig) -> Result<(), CopyError> {
        check_program(stream, config)
    }

    async fn read(&self, mut asking: Asking<'_>) -> Result<BatchStream, CopyError> {
        let folder = asking.own_folder()?;
        let progress = progress(&asking, &self.workspace)?;
        let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
        let (config, catalog, state) = (path("config.json"), path("catalog.json"), path("state.json"));
        private_file(Path::new(&config), &self.config)?;
        let chosen = self.catalog(&asking, &config, &folder).await?;
        private_file(Path::new(&catalog), &chosen)?;
        let option = match self.catalog_option {
            CatalogOption::Catalog => "--catalog",
            CatalogOption::Properties => "--properties",
        };
        let mut arguments = vec!["--config", &config, option, &catalog];
        if let Some(known) = progress.as_ref().and_then(Progress::state) {
            private_file(Path::new(&state), known)?;
            arguments.extend(["--state", &state]);
        }
        let (running, out) = self.program.start(&arguments, &folder, asking.context)?;
        let mut staged = Staged::new(&asking).await?;
        let file = staged.place(asking.label.clone());
        let (stream, context) = (asking.stream.to_owned(), asking.context.clone());
        let told = ran(&asking, running, move |running| {
            // That it failed says more than that its last message is cut off.
            match drain(out, &stream, &file, &context) {
                Ok(told) => running.end().map(|()| told),
                Err(why) => Err(running.fails(&why)),
            }
        });
        let told = told.await?;
        (staged.rows, staged.bytes) = (told.rows, told.bytes);
        let mut declared = told.schema.as_ref().map(columns).unwrap_or_default();
        declared.extend(asking.config.columns.clone());
        if told.rows == 0 && declared.is_empty() && told.schema.is_none() {
            let message = format!("the tap gave nothing of the stream `{}`", asking.stream);
            return Err(asking.failed(message, false));
        }
        if let Some(progress) = &progress {
            progress.note(told.state)?;
        }
        settled(&asking, progress);
        asking.config = Arc::new(CopyConfig { columns: declared, ..CopyConfig::clone(&asking.config) });
        staged.read(asking, Format::Jsonl, None).await
    }

    async fn probe(&self, asking: Asking<'_>) -> Result<Found, CopyError> {
        let folder = asking.own_folder()?;
        let config = folder.join("config.json");
        private_file(&config, &self.config)?;
        let catalog = self.whole_catalog(&asking, &config.to_string_lossy(), &folder).await?;
        let streams = catalog.get("streams").and_then(Value::as_array);
        let streams = streams.ok_or_else(|| asking.failed("the tap's catalog has no `streams`", false))?;
        Ok(("the tap has answered; its streams are".to_owned(), streams.iter().map(name_of).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_schemas() {
        let check = |property: Value, expected: Option<&str>| {
            assert_eq!(
                column_type(&property).map(|kind| kind.to_string()).as_deref(),
                expected,
                "{property}"
            );
        };
        check(json!({"type": ["null", "integer"]}), Some("integer"));
        check(json!({"type": ["number", "integer", "null"]}), Some("number"));
        check(json!({"type": ["string", "null"], "format": "date-time"}), Some("timestamp"));
        check(json!({"type": "string", "format": "date"}), Some("date"));
        check(json!({"type": ["integer", "string"]}), Some("string"));
        check(json!({"type": ["null", "object"], "properties": {}}), None);
        check(json!({"anyOf": [{"type": "boolean"}, {"type": "null"}]}), Some("boolean"));
        check(json!({"anyOf": [{"type": "boolean"}, {"type": "string"}, {"type": "null"}]}), None);
        check(json!({}), None);
    }

    #[test]
    fn one_stream_is_selected_with_what_it_has() {
        let stream = |name: &str| {
            json!({"tap_stream_id": name, "stream": name, "schema": {"properties": {"id": {}}}, "metadata": [
                {"breadcrumb": ["properties", "id"], "metadata": {"inclusion": "available"}},
                {"breadcrumb": ["properties", "x"], "metadata": {"inclusion": "unsupported"}}]})
        };
        let catalog = json!({"streams": [stream("users"), stream("orders")]});
        let chosen = selected(catalog.clone(), "orders").unwrap();
        let of = |at: usize, entry: usize| {
            chosen["streams"][at]["metadata"][entry]["metadata"]["selected"].clone()
        };
        assert_eq!([of(0, 0), of(0, 2), of(1, 0), of(1, 2)], [false, false, true, true].map(Value::from));
        assert_eq!(of(1, 1), Value::Null);
        assert_eq!(
            selected(catalog, "user").unwrap_err(),
            "the tap has no stream `user`; it has `users`, `orders`"
        );
    }

    #[test]
    fn messages_keep_their_text() {
        let line = r#"{"type": "RECORD", "stream": "a\u0062", "record": {"id": 12345678901234567890, "p": 1.10}, "time_extracted": "x"}"#;
        let message = Message::read(line).unwrap();
        assert_eq!((message.kind.as_str(), message.stream.as_deref()), ("RECORD", Some("ab")));
        assert_eq!(message.content, Some(r#"{"id": 12345678901234567890, "p": 1.10}"#));
        assert!(Message::read("INFO hello").is_none());
        assert!(Message::read(r#"{"stream": "a"}"#).is_none());
    }
}
