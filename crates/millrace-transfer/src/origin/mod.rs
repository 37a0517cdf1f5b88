//! Systems that give rows, and some that take them too: web APIs, programs, databases by drivers. What each of them is stands in its file; a
//! connection leads to one, and `connection:stream` names what is asked for there.
//!
//! What comes as text is kept in the attempt's folder until all of it is there ([`staged`]) and then read as a file of its format is, so that
//! types, bad records and their places are the same everywhere, and a source that fails half way has changed nothing.

mod adbc;
mod clickhouse;
mod feed;
mod flight_sql;
mod git;
mod graphql;
mod json_path;
mod mongodb;
mod odata;
mod odbc;
mod process;
mod program;
mod rest;
mod settings;
mod singer;
mod sql;
mod sqlserver;
mod staged;
mod strays;
mod web;

use std::path::PathBuf;
use std::sync::Arc;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use millrace_contract::{BatchStream, StepContext};

use crate::config::{CopyConfig, Write};
use crate::error::CopyError;
use crate::source::Outcome;
use crate::tracking::{Tracked, Tracking};
pub use json_path::JsonPath;
pub(crate) use settings::{KINDS, answers_rows, connection_schema, kind_of, open, row_caller};
pub(crate) use staged::Staged;
pub use web::{Cursor, Keyed, NumberedPages, OffsetPages, Pages, Request, Sending, WebTarget};

/// A system that gives rows.
#[async_trait]
pub(crate) trait Origin: Send + Sync {
    /// Whether it has what a step asks for, as far as that is known without asking anybody.
    fn check(&self, stream: &str, config: &CopyConfig) -> Result<(), CopyError>;

    /// The rows.
    async fn read(&self, asking: Asking<'_>) -> Result<BatchStream, CopyError>;

    /// Connects as for rows: who answers, and names of what can be read there, the first of them where it tells them.
    async fn probe(&self, asking: Asking<'_>) -> Result<Found, CopyError>;

    /// The table as one whose changes are noted, where they are.
    fn tracked(&self, _tracking: Tracking) -> Option<Arc<dyn Tracked>> {
        None
    }

    /// Whether it can be written as a step says. Only kinds that take rows are asked.
    fn check_write(&self, _table: &str, _config: &CopyConfig) -> Result<(), CopyError> {
        Ok(())
    }

    /// Writes rows into a table, once for the step, whole or not at all; how many there are. Only kinds that take rows are asked.
    async fn write(&self, writing: Writing<'_>, _rows: BatchStream) -> Result<u64, CopyError> {
        Err(CopyError::write(writing.label, &"it takes no rows"))
    }
}

/// Who answered, and names of what can be read there.
pub(crate) type Found = (String, Vec<String>);

/// Names out of rows, the parts of one with dots between.
async fn names_in(rows: BatchStream) -> Result<Vec<String>, CopyError> {
    let unreadable = |error: &dyn std::fmt::Display| CopyError::read("the names", error);
    let batches = rows.collect().await.map_err(|error| unreadable(&error))?;
    let options = FormatOptions::default();
    let mut names = Vec::new();
    for batch in &batches {
        let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
        let columns = columns.collect::<Result<Vec<_>, _>>().map_err(|error| unreadable(&error))?;
        names.extend((0..batch.num_rows()).map(|row| {
            let parts = columns.iter().map(|column| column.value(row).to_string());
            parts.collect::<Vec<_>>().join(".")
        }));
    }
    Ok(names)
}

/// How rows are written.
pub(crate) struct Writing<'a> {
    pub(crate) table: &'a str,
    /// `connection:table`.
    pub(crate) label: String,
    /// Of the step; what was written under it is not written again.
    pub(crate) key: &'a str,
    pub(crate) write: &'a Write,
    /// The step's `to`, with what it says of a web API.
    pub(crate) to: &'a serde_json::Value,
    pub(crate) pre_sql: &'a [String],
    pub(crate) post_sql: &'a [String],
}

/// Whether a system that has no other modes is written as a step says; `upserts`: by keys, too.
fn check_mode(system: &str, upserts: bool, config: &CopyConfig) -> Result<(), CopyError> {
    let (modes, hint) = match upserts {
        true => ("`append`, `overwrite`, `truncate` or `upsert`", "write: {upsert: [id]}"),
        false => ("`append`, `overwrite` or `truncate`", "write: append"),
    };
    match &config.write {
        Write::Upsert(keys) if upserts && keys.is_empty() => {
            Err(CopyError::config("`upsert` names no keys", hint))
        }
        Write::Append | Write::Overwrite | Write::Truncate if config.schema.is_none() => Ok(()),
        Write::Upsert(_) if upserts && config.schema.is_none() => Ok(()),
        _ => Err(CopyError::config(format!("{system} is written by {modes}, without `schema`"), hint)),
    }
}

/// What is asked of an origin.
pub(crate) struct Asking<'a> {
    /// What is asked for, as it stands after `connection:`.
    pub(crate) stream: &'a str,
    /// `connection:stream`.
    pub(crate) label: String,
    pub(crate) config: Arc<CopyConfig>,
    pub(crate) context: &'a StepContext,
    /// Where answers are kept as long as the copy goes on.
    pub(crate) folder: PathBuf,
    pub(crate) outcome: Outcome,
}

impl Asking<'_> {
    /// The same of something else that is there, and of its rows as `config` says beside `from` and `to`.
    fn instead<'b>(self, stream: &'b str, config: serde_json::Value) -> Result<Asking<'b>, CopyError>
    where
        Self: 'b,
    {
        let mut whole = serde_json::json!({"from": stream, "to": stream});
        if let (Some(whole), serde_json::Value::Object(config)) = (whole.as_object_mut(), config) {
            whole.extend(config);
        }
        let config = serde_json::from_value(whole)
            .map_err(|error| CopyError::config(error.to_string(), "from: name"))?;
        Ok(Asking { stream, config: Arc::new(config), ..self })
    }

    /// A folder for what is written while it is read; it is gone when the copy ends.
    pub(crate) fn own_folder(&self) -> Result<PathBuf, CopyError> {
        let folder = self.folder.join(uuid::Uuid::now_v7().simple().to_string());
        fs_err::create_dir_all(&folder).map_err(|error| CopyError::write("the attempt's folder", &error))?;
        Ok(folder)
    }

    /// The origin cannot be read. `transient`: that may pass.
    pub(crate) fn failed(&self, message: impl Into<String>, transient: bool) -> CopyError {
        CopyError::Read { what: self.label.clone(), message: message.into(), transient }
    }
}
