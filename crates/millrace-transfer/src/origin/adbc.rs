//! Drivers of ADBC: shared libraries that know one kind of database and give and take Arrow.

mod load;

use std::path::{Path, PathBuf};

use adbc_core::options::{AdbcVersion, OptionDatabase, OptionValue};
use adbc_core::{Connection as _, Database as _, Driver as _, LOAD_FLAG_DEFAULT, Statement as _};
use adbc_driver_manager::{ManagedConnection, ManagedDriver, ManagedStatement};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchReader};
use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::BatchStream;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::feed::fed;
use super::settings::{Hidden, Kind, Settings};
use super::sql::{self, Given};
use super::{Asking, Found, Origin, Writing, check_mode, names_in};
use crate::config::CopyConfig;
use crate::error::CopyError;
use crate::source;
use crate::store::{masked, unless_cancelled};

/// The kind of connection `adbc`.
pub(super) const KIND: Kind = Kind::of::<AdbcConnection>(
    "copy: {from: \"warehouse:(select * from orders where day > '2026-01-01')\", to: \"data:orders\"}\n",
);

/// Reads and writes tables through a driver of ADBC (Arrow Database Connectivity).
///
/// In connections.yaml: `warehouse: {adbc: {driver: .venv/lib/python3.11/site-packages/adbc_driver_snowflake/libadbc_driver_snowflake.so, uri:
/// "${{ secrets.warehouse }}"}}`. The PyPI packages `adbc-driver-…` have such libraries; a driver without `/` is looked for by its name, as
/// ADBC's driver manager does. `warehouse:orders` is a table, `warehouse:(select …)` a query in the database's own SQL; `where` chooses rows
/// here. A table is written with `write: append`, `overwrite` or `truncate`, by the driver's bulk ingestion, which makes it if it is not there: in
/// one transaction and once for a step, which a table `millrace_adbc_loads` beside it remembers. Names are the driver's as they stand, in the case
/// that the system has them in; a driver without transactions is refused. The library becomes a part of the server that copies: take none that you
/// do not trust with everything the server may do.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdbcConnection {
    /// The driver's library: a path that begins in the workspace, an absolute one, or a name.
    driver: String,
    /// Where the database is, in the driver's words.
    #[serde(default)]
    uri: Option<Hidden>,
    /// Who asks.
    #[serde(default)]
    user: Option<String>,
    /// Usually `${{ secrets.… }}`.
    #[serde(default)]
    password: Option<Hidden>,
    /// Further options, by the driver's names for them: `adbc.snowflake.sql.db`. Their values are kept out of messages.
    #[serde(default)]
    options: IndexMap<String, Hidden>,
}

impl Settings for AdbcConnection {
    const WORD: &'static str = "adbc";
    const EXAMPLE: &'static str = "{driver: adbc_driver_sqlite, uri: data/shop.db}";
    const TAKES_ROWS: bool = true;

    fn open(self, workspace: &Path) -> Result<Box<dyn Origin>, String> {
        if self.driver.trim().is_empty() {
            return Err("`driver` names no library".to_owned());
        }
        let driver = match self.driver.contains('/') {
            true => Driver::File(workspace.join(&self.driver)),
            false => Driver::Named(self.driver),
        };
        let mut secrets: Vec<String> = self.options.values().map(|value| value.0.clone()).collect();
        secrets.extend(self.uri.iter().chain(&self.password).map(|value| value.0.clone()));
        let named = [(OptionDatabase::Uri, self.uri.map(|uri| uri.0)), (OptionDatabase::Username, self.user)];
        let named = named.into_iter().chain([(OptionDatabase::Password, self.password.map(|word| word.0))]);
        let named = named.filter_map(|(key, value)| Some((key, value?)));
        let others = self.options.into_iter().map(|(name, value)| (OptionDatabase::Other(name), value.0));
        Ok(Box::new(Adbc { driver, options: named.chain(others).collect(), secrets }))
    }
}

#[derive(Clone)]
enum Driver {
    File(PathBuf),
    Named(String),
}

/// The rows of a statement, which end with it.
struct Rows {
    rows: Box<dyn RecordBatchReader + Send>,
    _statement: ManagedStatement,
}

impl Rows {
    fn next(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        self.rows.next().transpose()
    }
}

#[derive(Clone)]
struct Adbc {
    driver: Driver,
    options: Vec<(OptionDatabase, String)>,
    secrets: Vec<String>,
}

impl Adbc {
    fn connect(&self) -> Result<ManagedConnection, adbc_core::error::Error> {
        let version = AdbcVersion::V110;
        let mut driver = match &self.driver {
            Driver::File(path) => ManagedDriver::load_dynamic_from_filename(path, None, version)?,
            Driver::Named(name) => {
                ManagedDriver::load_from_name(name, None, version, LOAD_FLAG_DEFAULT, None)?
            }
        };
        let options = self.options.iter().cloned().map(|(key, value)| (key, OptionValue::String(value)));
        driver.new_database_with_opts(options)?.new_connection()
    }

    /// Asks; what is told comes when it is asked for.
    fn ask(&self, query: &str) -> Result<Rows, adbc_core::error::Error> {
        let mut statement = self.connect()?.new_statement()?;
        statement.set_sql_query(query)?;
        Ok(Rows { rows: statement.execute()?, _statement: statement })
    }

    fn failed(&self, label: &str, error: &dyn std::fmt::Display) -> CopyError {
        CopyError::read(label, &masked(&error.to_string(), &self.secrets))
    }
}

#[async_trait]
impl Origin for Adbc {
    fn check(&self, stream: &str, config: &CopyConfig) -> Result<(), CopyError> {
        sql::check(stream, config)
    }

    async fn read(&self, asking: Asking<'_>) -> Result<BatchStream, CopyError> {
        let query = sql::query_of(asking.stream)?;
        let (adbc, label) = (self.clone(), asking.label.clone());
        let opening = tokio::task::spawn_blocking(move || {
            let mut rows = adbc.ask(&query).map_err(|error| adbc.failed(&label, &error.message))?;
            let (schema, what) = (rows.rows.schema(), label.clone());
            let next = move || rows.next().map_err(|error| adbc.failed(&label, &error));
            Ok(Given::new(what, &schema, Box::new(next)))
        });
        let opened = unless_cancelled(asking.context, async {
            opening.await.map_err(|error| asking.failed(error.to_string(), false))?
        });
        let rows = opened.await?;
        let (threads, files) = (asking.config.threads(), asking.config.wants_files());
        Ok(source::stream(Box::new(rows), threads, files, asking.outcome))
    }

    async fn probe(&self, asking: Asking<'_>) -> Result<Found, CopyError> {
        names_in(self.read(asking.instead("(select 1 as answer)", json!({}))?).await?).await?;
        Ok(("the driver's database answers".to_owned(), Vec::new()))
    }

    fn check_write(&self, table: &str, config: &CopyConfig) -> Result<(), CopyError> {
        sql::check_table(table)?;
        if !load::names_table(table) {
            let message = format!("`{table}` has more parts than a catalog, a schema and a table");
            return Err(CopyError::config(message, "to: \"warehouse:catalog.schema.table\""));
        }
        check_mode("a database by ADBC", false, config)
    }

    async fn write(&self, writing: Writing<'_>, rows: BatchStream) -> Result<u64, CopyError> {
        let load = load::Load::new(self.clone(), &writing, &rows.schema)?;
        fed(&writing.label, rows, move |feed| load.run(feed)).await
    }
}
