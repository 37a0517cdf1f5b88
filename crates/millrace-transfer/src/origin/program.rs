//! Programs of one's own as connectors: Arrow on their standard output.

use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatchOptions;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::reader::StreamReader;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use futures::StreamExt as _;
use indexmap::IndexMap;
use millrace_contract::BatchStream;
use millrace_spec::duration::Elapsed;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

use super::process::{Ender, Limits, Output, Program, Running, private_file};
use super::settings::{Hidden, Kind, Settings};
use super::{Asking, Found, Origin};
use crate::config::CopyConfig;
use crate::error::CopyError;
use crate::needless::{FORMAT, RECORDS, REQUEST, WHERE, refuse};
use crate::progress::{self, Progress};
use crate::source::{self, Job, Piece, Reader};
use crate::store::unless_cancelled;

/// The kind of connection `program`.
pub(super) const KIND: Kind = Kind::of::<ProgramConnection>(
    "copy: {from: \"crm:contacts\", state: state/contacts.json, to: \"data:contacts\"}\n",
);

/// Bytes after the rows: the state, in JSON.
const LONGEST_STATE: u64 = 16 << 20;

/// Reads rows that a program of yours writes as an Arrow stream.
///
/// In connections.yaml: `crm: {program: {command: [python3, connectors/crm.py], config: {token: "${{ secrets.crm }}"}}}`. Then `crm:contacts` starts
/// `python3 connectors/crm.py --read contacts --config FILE`, and reads an Arrow IPC stream from its standard output; `FILE` has what stands in
/// `config`, as JSON. After the stream the program may write one line `{"state": …}`: with the step's `state:` that is kept once the sink has the
/// rows, and given back as `--state FILE` the next time. A program that ends with another code than 0 fails the copy, whatever it wrote before; its
/// standard error goes to the step's log. It sees none of the server's variables, and is ended when the step is cancelled.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProgramConnection {
    /// The program and its first arguments. A path with `/` begins in the workspace.
    command: Vec<String>,
    /// What the program is told in its file.
    #[serde(default)]
    config: Value,
    /// Variables of its environment, beside `PATH`, `HOME`, `TMPDIR` and `LANG`. Their values are kept out of messages.
    #[serde(default)]
    env: IndexMap<String, Hidden>,
    /// How long it may take before it is ended; a day if absent. The step's own `timeout` may be shorter.
    #[serde(default)]
    timeout: Option<Elapsed>,
    /// How much it may write, `10GB`; 64 GB if absent.
    #[serde(default)]
    max_output: Option<String>,
}

impl Settings for ProgramConnection {
    const WORD: &'static str = "program";
    const EXAMPLE: &'static str = "{command: [python3, connectors/crm.py]}";
    const KEEPS_STATE: bool = true;

    fn open(self, workspace: &Path) -> Result<Box<dyn Origin>, String> {
        let limits = Limits::of(self.timeout, self.max_output.as_deref())?;
        let program = Program::new(self.command, self.env, &self.config, workspace, limits)?;
        Ok(Box::new(External { program, config: self.config, workspace: workspace.to_owned() }))
    }
}

struct External {
    program: Program,
    config: Value,
    workspace: PathBuf,
}

/// What of a step says nothing to a program.
pub(super) fn check_program(stream: &str, config: &CopyConfig) -> Result<(), CopyError> {
    if stream.starts_with('-') {
        return Err(CopyError::config(
            format!("`{stream}` is no name of a stream"),
            "from: \"crm:contacts\"",
        ));
    }
    let hint = "what a program is to know stands in `config` of its connection";
    refuse(config, &[REQUEST, WHERE, RECORDS, FORMAT], "a program", hint)?;
    config.state.as_deref().map_or(Ok(()), |file| progress::checked(file).map(drop))
}

/// Reads how far a source was read, if the step keeps that.
pub(super) fn progress(asking: &Asking<'_>, workspace: &Path) -> Result<Option<Progress>, CopyError> {
    let file = asking.config.state.as_deref();
    file.map(|file| Progress::read(workspace, file, &asking.context.idempotency_key)).transpose()
}

/// Lets the progress move on when the sink has the rows.
pub(super) fn settled(asking: &Asking<'_>, progress: Option<Progress>) {
    if let Some(progress) = progress {
        asking.outcome.settle_with(Box::pin(async move { progress.settle() }));
    }
}

#[async_trait]
impl Origin for External {
    fn check(&self, stream: &str, config: &CopyConfig) -> Result<(), CopyError> {
        check_program(stream, config)
    }

    async fn read(&self, asking: Asking<'_>) -> Result<BatchStream, CopyError> {
        let folder = asking.own_folder()?;
        let progress = progress(&asking, &self.workspace)?;
        let config = folder.join("config.json");
        private_file(&config, &self.config)?;
        let (config, state) = (config.to_string_lossy().into_owned(), folder.join("state.json"));
        let state_text = state.to_string_lossy().into_owned();
        let mut arguments = vec!["--read", asking.stream, "--config", &config];
        if let Some(known) = progress.as_ref().and_then(Progress::state) {
            private_file(&state, known)?;
            arguments.extend(["--state", &state_text]);
        }
        let (running, out) = self.program.start(&arguments, &folder, asking.context)?;
        let ender = running.ender();
        settled(&asking, progress.clone());
        let what = asking.label.clone();
        let opening = tokio::task::spawn_blocking(move || Rows::open(running, out, what, progress));
        let opened = unless_cancelled(asking.context, async {
            opening.await.map_err(|error| asking.failed(error.to_string(), false))?
        });
        let rows = opened.await?;
        let (threads, files) = (asking.config.threads(), asking.config.wants_files());
        Ok(ended_with(source::stream(Box::new(rows), threads, files, asking.outcome), ender))
    }

    /// A program has no question that none of its streams is named in.
    async fn probe(&self, _: Asking<'_>) -> Result<Found, CopyError> {
        let program = self.program.found()?;
        Ok((format!("`{}` is there; a copy starts it", program.display()), Vec::new()))
    }
}

/// Rows with whose end, or when nobody wants them any more, the program ends.
fn ended_with(rows: BatchStream, ender: Ender) -> BatchStream {
    let schema = rows.schema.clone();
    let batches = futures::stream::unfold((rows.batches, ender), |(mut batches, ender)| async move {
        let next = batches.next().await?;
        Some((next, (batches, ender)))
    });
    BatchStream { schema, batches: Box::pin(batches) }
}

/// The rows that a program writes.
struct Rows {
    reader: StreamReader<BufReader<Output>>,
    running: Running,
    what: String,
    schema: SchemaRef,
    progress: Option<Progress>,
}

impl Rows {
    fn open(
        running: Running,
        out: Output,
        what: String,
        progress: Option<Progress>,
    ) -> Result<Self, CopyError> {
        let out = BufReader::with_capacity(256 * 1024, out);
        let reader = StreamReader::try_new(out, None).map_err(|error| {
            // Why it ended says more than that it wrote nothing.
            let message = running.fails(&format!("what it writes is no Arrow stream ({error})"));
            CopyError::read(&what, &message)
        })?;
        let schema = Arc::new(Schema::new(reader.schema().fields().clone()));
        Ok(Self { reader, running, what, schema, progress })
    }

    /// After the last row.
    fn end(&mut self) -> Result<(), CopyError> {
        let failed = |message: &dyn std::fmt::Display| CopyError::read(&self.what, message);
        let mut rest = Vec::new();
        let read = self.reader.get_mut().by_ref().take(LONGEST_STATE).read_to_end(&mut rest);
        read.map_err(|error| failed(&error))?;
        self.running.end().map_err(|message| failed(&message))?;
        if rest.trim_ascii().is_empty() {
            return Ok(());
        }
        let line: Value = serde_json::from_slice(&rest).map_err(|error| {
            failed(&format!("what it writes after its rows is no line `{{\"state\": …}}` ({error})"))
        })?;
        let state = line.get("state").cloned();
        match &self.progress {
            Some(progress) => progress.note(state),
            None => Ok(()),
        }
    }
}

impl Reader for Rows {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn next(&mut self) -> Result<Option<Job>, CopyError> {
        let batch = match self.reader.next() {
            None => return self.end().map(|()| None),
            Some(Ok(batch)) => batch,
            Some(Err(error)) => {
                let message = self.running.fails(&error.to_string());
                return Err(CopyError::read(&self.what, &message));
            }
        };
        let (schema, what) = (self.schema.clone(), self.what.clone());
        Ok(Some(Box::new(move |emit| {
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            let bytes = batch.get_array_memory_size() as u64;
            let batch = RecordBatch::try_new_with_options(schema, batch.columns().to_vec(), &options);
            let batches = vec![batch.map_err(|error| CopyError::read(&what, &error))?];
            emit(Piece { batches, bytes, ..Piece::of_file(&what) })
        })))
    }
}
