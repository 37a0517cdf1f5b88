//! What can be said of a step before it runs, and which source answers what.

use std::sync::Arc;
use std::time::Duration;

use millrace_contract::{BatchStream, StepContext, TableMoment};

use super::{Copy, changes, mail, not_written, queue, staging};
use crate::address::Address;
use crate::config::{CopyConfig, Incremental, Write};
use crate::connections;
use crate::database;
use crate::error::CopyError;
use crate::format::FileTarget;
use crate::origin::{self, Asking, Writing};
use crate::shape::filtered;
use crate::source::Outcome;

/// How long a sink whose step was cancelled may take back what it has written.
const TAKING_BACK: Duration = Duration::from_secs(10);

impl Copy {
    pub(super) async fn read_origin(
        &self,
        (connection, stream): (&str, &str),
        config: &Arc<CopyConfig>,
        context: &StepContext,
        outcome: &Outcome,
    ) -> Result<BatchStream, CopyError> {
        let settings = self.connection(connection)?;
        let origin = origin::open(connection, &settings, &self.services.workspace)?;
        let label = format!("{connection}:{stream}");
        let (config, outcome, folder) = (config.clone(), outcome.clone(), staging(context));
        origin.read(Asking { stream, label, config, context, folder, outcome }).await
    }

    pub(super) async fn write_origin(
        &self,
        (connection, table): (&str, &str),
        config: &CopyConfig,
        context: &StepContext,
        rows: BatchStream,
    ) -> Result<u64, CopyError> {
        let origin = origin::open(connection, &self.connection(connection)?, &self.services.workspace)?;
        let writing = Writing {
            table,
            label: format!("{connection}:{table}"),
            key: &context.idempotency_key,
            write: &config.write,
            to: &config.to,
            pre_sql: &config.pre_sql,
            post_sql: &config.post_sql,
        };
        // Rows end when the step is cancelled, and who writes them takes back what it can; a system that falls silent is left.
        tokio::select! {
            written = origin.write(writing, rows) => written,
            () = async {
                context.cancel.cancelled().await;
                tokio::time::sleep(TAKING_BACK).await;
            } => Err(CopyError::Cancelled),
        }
    }

    /// Whether a system that gives rows takes some as the step says.
    fn check_sink(&self, (connection, stream): (&str, &str), config: &CopyConfig) -> Result<(), CopyError> {
        let connections = self.connections()?;
        let Some(found) = connections.get(connection) else { return Ok(()) };
        if !origin::kind_of(&found.settings).is_some_and(|kind| kind.takes_rows) {
            let (connection, stream) = (connection.to_owned(), stream.to_owned());
            return Err(not_written(&Address::Origin { connection, stream }));
        }
        if config.incremental.is_some() {
            return Err(CopyError::config(
                "`incremental` needs a sink whose columns are known",
                "copy to `data:name` or to a database that Millrace has a connector for",
            ));
        }
        if found.unusable.is_some() {
            return Ok(());
        }
        origin::open(connection, &found.settings, &self.services.workspace)?.check_write(stream, config)
    }

    /// Whether a source is there and has what the step asks for, as far as it is known without asking anybody.
    pub(super) fn check_source(&self, from: &Address, config: &CopyConfig) -> Result<(), CopyError> {
        if let Some(incremental) = config.incremental.as_ref().filter(|incremental| incremental.changes) {
            return self.check_tracked(from, config, incremental);
        }
        let no_state = || {
            CopyError::config(
                "`state` is for programs, taps and `incremental: {changes: true}`",
                "of other sources: `incremental: {column: updated_at}`",
            )
        };
        if !matches!(from, Address::Database { .. }) && config.partition.is_some() {
            return Err(CopyError::config(
                "`partition` is for databases, which several connections read side by side",
                "leave it out; files are read by as many threads as `parallelism` says",
            ));
        }
        if let Address::Queue { .. } = from {
            return queue::check(config);
        }
        queue::check_absent(config)?;
        if !matches!(from, Address::Mailbox { .. }) && config.mails.is_some() {
            return Err(mail::not_here());
        }
        let Address::Origin { connection, stream } = from else {
            if config.state.is_some() {
                return Err(no_state());
            }
            return match &config.request {
                Some(_) => Err(CopyError::config("`request` is for web APIs", "from: \"api:orders\"")),
                None => self.check_iceberg(from).and_then(|()| self.check_server(from)),
            };
        };
        let connections = self.connections()?;
        let kind = connections.get(connection).and_then(|found| origin::kind_of(&found.settings));
        if config.state.is_some() && kind.is_some_and(|kind| !kind.keeps_state) {
            return Err(no_state());
        }
        self.check_origin((connection, stream), config)
    }

    /// Whether a source may note its changes.
    fn check_tracked(
        &self,
        from: &Address,
        config: &CopyConfig,
        incremental: &Incremental,
    ) -> Result<(), CopyError> {
        let (Address::Database { connection, .. } | Address::Origin { connection, .. }) = from else {
            return changes::check_source(from, incremental, None);
        };
        let connections = self.connections()?;
        let settings = connections.get(connection).map(|found| &found.settings);
        changes::check_source(from, incremental, settings)?;
        match from {
            Address::Origin { connection, stream } => self.check_origin((connection, stream), config),
            _ => self.check_server(from),
        }
    }

    /// Whether an origin has what a step asks for.
    fn check_origin(&self, (connection, stream): (&str, &str), config: &CopyConfig) -> Result<(), CopyError> {
        match self.connections()?.get(connection) {
            Some(found) if found.unusable.is_none() => {
                origin::open(connection, &found.settings, &self.services.workspace)?.check(stream, config)
            }
            // What is wrong there is said once, at that file.
            _ => Ok(()),
        }
    }

    /// The rows that the step's condition holds for; some sources were asked for those alone, in their own words.
    pub(super) async fn chosen(
        &self,
        rows: BatchStream,
        from: &Address,
        config: &CopyConfig,
        outcome: &Outcome,
    ) -> Result<BatchStream, CopyError> {
        let asked = match from {
            Address::Database { .. } => true,
            Address::Origin { connection, .. } => {
                let kind = origin::kind_of(&self.connection(connection)?);
                kind.is_some_and(|kind| kind.takes_conditions)
            }
            _ => false,
        };
        match &config.condition {
            Some(condition) if !asked => filtered(rows, condition, &*self.services.engine, outcome).await,
            _ => Ok(rows),
        }
    }

    /// Whether what stands beside the sink's place is of a file; what is of a web API is looked at there.
    pub(super) fn check_target(&self, config: &CopyConfig) -> Result<(), CopyError> {
        // What is wrong with the place is said by who goes there.
        if let Ok(Address::Origin { connection, .. }) = self.address(&config.to)
            && self.connections()?.get(&connection).is_some_and(|found| origin::answers_rows(&found.settings))
        {
            return Ok(());
        }
        FileTarget::of(&config.to).map(drop)
    }

    /// Whether the sink can be written as the step says, as far as it is known without asking anybody.
    pub(super) fn check_write(&self, config: &CopyConfig) -> Result<(), CopyError> {
        match self.address(&config.to)? {
            to @ Address::Database { .. } => self.check_server(&to),
            Address::Origin { connection, stream } => self.check_sink((&connection, &stream), config),
            to @ (Address::Queue { .. } | Address::Iceberg { .. } | Address::Mailbox { .. }) => {
                Err(not_written(&to))
            }
            _ if !config.pre_sql.is_empty() || !config.post_sql.is_empty() => Err(CopyError::config(
                "`pre_sql` and `post_sql` are for databases",
                "copy to `connection:table`",
            )),
            Address::Delta { moment, .. } if moment != TableMoment::Newest => Err(CopyError::config(
                "a version that is there cannot be written",
                "delta:lake/orders, without `@`",
            )),
            Address::Dataset(_) | Address::Table(_) | Address::Delta { .. }
                if matches!(config.write, Write::Upsert(_) | Write::ApplyChanges(_)) =>
            {
                Ok(())
            }
            _ if config.write.wants_database() => Err(CopyError::config(
                "only tables of databases can be written so",
                "`write: overwrite`, or copy to `connection:table`",
            )),
            _ => Ok(()),
        }
    }

    /// Whether the connection of an address in a database is there and readable.
    pub(super) fn check_server(&self, address: &Address) -> Result<(), CopyError> {
        let Address::Database { connection, .. } = address else { return Ok(()) };
        let connections = self.connections()?;
        match connections.get(connection) {
            // Without its secrets it is as it is written.
            Some(found) if found.unusable.is_some() => Ok(()),
            Some(found) => database::open(connection, &found.settings, &self.services.workspace).map(drop),
            None => connections::find(&connections, connection).map(drop),
        }
    }
}
