//! Whether a connection leads anywhere, asked before anything is copied over it.

use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;
use millrace_contract::{Explain as _, KindDoc, StepContext};
use millrace_spec::problem::Problem;
use serde_json::Value;

use super::Connection;
use crate::config::CopyConfig;
use crate::connectors;
use crate::database::{self, Dialect, LOADS};
use crate::error::CopyError;
use crate::meter::Meter;
use crate::origin::{self, Asking};
use crate::rejects::{OnError, RejectFile, Rejects};
use crate::source::Outcome;
use crate::store::{KINDS, leading};

/// Names that are told at most.
const MOST_NAMES: usize = 200;

impl Connection {
    /// The pages of the kinds that stand in `connections.yaml`, without those of formats.
    pub fn kinds() -> Vec<KindDoc> {
        let leads = |doc: &KindDoc| {
            KINDS.iter().any(|kind| kind.word == doc.name)
                || origin::KINDS.iter().any(|kind| kind.word == doc.name)
                || database::ALL.iter().any(|(word, _)| *word == doc.name)
        };
        connectors().into_iter().filter(leads).collect()
    }

    /// What is wrong with the settings, as far as that is known without asking the other side.
    pub fn problem(&self, name: &str, workspace: &Path) -> Option<Problem> {
        let found = match leading(name, &self.settings) {
            Some(leads) => leads.map(drop),
            None if origin::kind_of(&self.settings).is_some() => {
                origin::open(name, &self.settings, workspace).map(drop)
            }
            None => database::open(name, &self.settings, workspace).map(drop),
        };
        found.err().map(|error| error.problem())
    }

    /// Connects as a copy does. What answered, a version or where the files are; and names of tables, of streams, or of files and folders at
    /// the root, the first of them. `context` is one of no run: its folder has what is read meanwhile, and its token gives up.
    ///
    /// # Errors
    /// As a copy over it would fail. It may take as long as the other side keeps silent; the caller says how long that may be.
    pub async fn probe(
        &self,
        name: &str,
        workspace: &Path,
        context: &StepContext,
    ) -> Result<(String, Vec<String>), CopyError> {
        if origin::kind_of(&self.settings).is_some() {
            let origin = origin::open(name, &self.settings, workspace)?;
            let config = CopyConfig::plain(&name.into(), IndexMap::new())?;
            let rejects = Rejects::new(OnError::Fail, None, &context.folder, RejectFile::Csv);
            let outcome = Outcome::new(rejects, Arc::new(Meter::new(config.threads())));
            let asking = Asking {
                stream: "",
                label: name.to_owned(),
                config: Arc::new(config),
                context,
                folder: context.folder.clone(),
                outcome,
            };
            let (said, mut names) = origin.probe(asking).await?;
            names.sort();
            names.truncate(MOST_NAMES);
            return Ok((said, names));
        }
        if let Some(leads) = leading(name, &self.settings) {
            let leads = leads?;
            let store = leads.open()?;
            if self.settings.get("http").is_some() {
                // A web server has no list of its files.
                store.read("", 0, None).await?;
                return Ok((leads.root(), Vec::new()));
            }
            let found = store.list("", Some(1)).await?;
            let mut names: Vec<String> = found.into_iter().map(|file| file.path).collect();
            names.sort();
            names.truncate(MOST_NAMES);
            return Ok((leads.root(), names));
        }
        let server = database::open(name, &self.settings, workspace)?;
        let file = self.settings.pointer("/sqlite/path").and_then(Value::as_str);
        if let Some(file) = file.filter(|file| !workspace.join(file).exists()) {
            return Ok((format!("`{file}` is not there yet; the first copy into it makes it"), Vec::new()));
        }
        let mut session = server.session(name).await?;
        let (version, tables) = questions(server.dialect());
        let said = first(session.ask(version, &[]).await?).unwrap_or_default();
        let names = first(session.ask(&tables, &[]).await?).unwrap_or_default();
        Ok((said, names.lines().map(str::to_owned).collect()))
    }
}

fn first(row: Option<Vec<Option<String>>>) -> Option<String> {
    row?.into_iter().next().flatten()
}

/// What asks for a version, and for names of tables, a line each.
fn questions(dialect: Dialect) -> (&'static str, String) {
    match dialect {
        Dialect::Postgres => (
            "select version()",
            format!(
                "select string_agg(name, chr(10)) from (select table_schema || '.' || table_name as name from information_schema.tables \
                 where table_schema not in ('pg_catalog', 'information_schema') and table_name <> '{LOADS}' order by 1 limit {MOST_NAMES}) as named"
            ),
        ),
        Dialect::Mysql => (
            "select concat('MySQL ', version())",
            format!(
                "select group_concat(name separator '\\n') from (select table_name as name from information_schema.tables \
                 where table_schema = database() and table_name <> '{LOADS}' order by 1 limit {MOST_NAMES}) as named"
            ),
        ),
        Dialect::Sqlite => (
            "select 'SQLite ' || sqlite_version()",
            format!(
                "select group_concat(name, char(10)) from (select name from sqlite_master \
                 where type in ('table', 'view') and name not like 'sqlite_%' and name <> '{LOADS}' order by 1 limit {MOST_NAMES}) as named"
            ),
        ),
    }
}
