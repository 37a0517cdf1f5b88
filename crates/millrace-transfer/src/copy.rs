//! The step kind `copy`.

mod changes;
mod checks;
mod contract;
mod delta;
mod existing;
mod iceberg;
mod incremental;
mod mail;
mod queue;
mod step;
mod verify;

use contract::Told;
pub(crate) use delta::DeltaTable;
use incremental::requested;
pub use mail::Mails;
pub use queue::{BodyColumn, Messages};

use std::path::PathBuf;
use std::sync::Arc;

use millrace_contract::{
    AssetKey, BatchStream, Clock, DatasetCatalog, KindDoc, KindFamily, Mailboxes, NewDatasetVersion,
    Producer, QueryEngine, Queues, StepContext, StepOutcome, TableRef, WrittenTable,
};
use millrace_spec::asset::Asset;
use serde_json::Value;
use url::Url;

use crate::address::{Address, not_written, sources};
use crate::config::CopyConfig;
use crate::connections::{self, Connections, ReadConnections};
use crate::database::{self, Load, Reading, TableServer};
use crate::error::CopyError;
use crate::meter::Meter;
use crate::rejects::Rejects;
use crate::shape::{Facts, Watch, shaped, watched};
use crate::sink::{stored, write_local};
use crate::source::{self, Outcome, files};
use crate::store::{self, FileStore, unless_cancelled};
use crate::verification::{Passing, Verify};

/// What the kind needs from others.
#[derive(Clone)]
pub struct CopyServices {
    /// Root of the workspace, which paths are relative to.
    pub workspace: PathBuf,
    /// Reads and writes datasets.
    pub engine: Arc<dyn QueryEngine>,
    /// Names and records datasets.
    pub datasets: Arc<dyn DatasetCatalog>,
    /// Where outside data is, and what opens it.
    pub connections: ReadConnections,
    /// For sources on web servers; with timeouts.
    pub http: reqwest::Client,
    /// Queues that connections lead to.
    pub queues: Arc<dyn Queues>,
    /// Mailboxes that connections lead to.
    pub mailboxes: Arc<dyn Mailboxes>,
    /// Tells when a copy began.
    pub clock: Arc<dyn Clock>,
}

/// The kind `copy`.
pub struct Copy {
    services: CopyServices,
    doc: KindDoc,
}

const EXAMPLE: &str =
    "copy: {from: \"raw/flights.csv.gz\", to: \"data:flights\", on_error: reject, max_rejects: 100}\n";

impl Copy {
    /// The kind with what it needs from others.
    pub fn new(services: CopyServices) -> Self {
        Self { services, doc: KindDoc::of::<CopyConfig>(KindFamily::Step, "copy", EXAMPLE) }
    }

    async fn copy(&self, context: &StepContext) -> Result<StepOutcome, CopyError> {
        let config = Arc::new(read_config(&context.config)?);
        let from = self.source_address(&config).await?;
        let to = self.address(&config.to)?;
        let _staged = Staged(staging(context));
        let path = context.folder.join("rejects");
        let rejects = Rejects::new(config.on_error, config.max_rejects, &path, config.rejects);
        fs_err::tokio::create_dir_all(&context.folder)
            .await
            .map_err(|error| CopyError::write("the attempt's folder", &error))?;
        let meter = Arc::new(Meter::new(config.threads()));
        let outcome = Outcome::new(rejects, meter.clone());
        let (rows, difference) = match self.rows(&from, &to, &config, context, &outcome).await {
            Err(CopyError::NoMessage { .. }) if queue::leaves_alone(&config.write) => {
                context.log.line("the queue has no message; the sink stays as it is");
                return self.left_alone(&from, &to).await;
            }
            Err(CopyError::Unchanged { what }) => {
                context.log.line(&format!("nothing of `{what}` has changed; the sink stays as it is"));
                return self.left_alone(&from, &to).await;
            }
            rows => rows?,
        };
        let own =
            outcome.load_key().map(|idempotency_key| StepContext { idempotency_key, ..context.clone() });
        let context = own.as_ref().unwrap_or(context);
        let passing = (config.verify == Verify::Checksums).then(|| Passing::new(&rows.schema));
        let watch = Watch {
            outcome: outcome.clone(),
            limit: config.limit,
            max_bytes_per_s: config.max_bytes_per_s,
            passing: passing.clone(),
        };
        let rows = watched(rows, watch, context);
        let widened = difference.as_ref().map(contract::widened).unwrap_or_default();
        let work = Work {
            config: &config,
            context,
            meter: &meter,
            rejected: &|| outcome.rejected(),
            widened: &widened,
        };
        let written = self.write(&to, &work, rows, &from).await;
        let closed = outcome.close_rejects();
        // What the source said is the cause; what the sink says about it an echo.
        if let Some(error) = outcome.take_error() {
            return Err(error);
        }
        if context.cancel.is_cancelled() && written.is_err() {
            return Err(CopyError::Cancelled);
        }
        let mut result = written?;
        closed?;
        let verification = self.verify(&to, &config, context, (meter.passed(), passing), &result).await?;
        result.outputs.insert("verification".to_owned(), verification);
        if let Some(difference) = difference {
            contract::tell(&difference, &mut result, context)?;
        }
        let rejected = outcome.rejected();
        result.outputs.entry("rejected".to_owned()).or_insert_with(|| rejected.into());
        if rejected > 0 {
            let rejects = outcome.rejects.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            context
                .log
                .line(&format!("{rejected} rows were rejected; they are in {}", rejects.path().display()));
        }
        outcome.settle().await?;
        context.log.line(&meter.summary());
        Ok(result)
    }

    /// The rows as the sink is to get them, and how their columns differ from the sink's if it has a say in that.
    async fn rows(
        &self,
        from: &Address,
        to: &Address,
        config: &Arc<CopyConfig>,
        context: &StepContext,
        outcome: &Outcome,
    ) -> Result<(BatchStream, Option<Told>), CopyError> {
        let label = sources(from).into_iter().next().map_or_else(String::new, |source| source.name);
        let facts = Facts {
            label,
            run_id: context.run_id.clone(),
            began: self.services.clock.now(),
            modified: outcome.modified.clone(),
        };
        let config = &changes::keeping_op(config);
        let (rows, mark) = if config.takes_changes() {
            (self.changed((from, to), config, (context, &facts), outcome).await?, None)
        } else {
            let mark = match &config.incremental {
                Some(spec) => self.mark(spec, to, outcome).await?,
                None => None,
            };
            let reading = match &mark {
                Some(mark) => self.narrowed(from, config, mark, &facts, outcome).await?,
                None => config.clone(),
            };
            (self.open(from, &requested(mark.as_ref(), reading)?, context, outcome).await?, mark)
        };
        let rows = self.chosen(rows, from, config, outcome).await?;
        let rows = shaped(rows, config, facts, &*self.services.engine, outcome).await?;
        let (rows, difference) = match config.schema {
            Some(contract) => {
                let (rows, difference) = self.hold(rows, contract, to, config, outcome).await?;
                (rows, Some(difference))
            }
            None => (rows, None),
        };
        match mark {
            Some(mark) => Ok((mark.new_rows(rows, config, outcome).await?, difference)),
            None => Ok((rows, difference)),
        }
    }

    /// `data:name` in `from` is usually resolved before the step runs; by hand it may not be.
    async fn source_address(&self, config: &CopyConfig) -> Result<Address, CopyError> {
        match self.address(&config.from)? {
            Address::Dataset(name) => {
                let version = self
                    .services
                    .datasets
                    .resolve(&name)
                    .await
                    .map_err(|error| CopyError::read(&name, &error))?;
                Ok(Address::Table(version.asset))
            }
            other => Ok(other),
        }
    }

    async fn open(
        &self,
        from: &Address,
        config: &Arc<CopyConfig>,
        context: &StepContext,
        outcome: &Outcome,
    ) -> Result<BatchStream, CopyError> {
        match from {
            Address::Files(pattern) => {
                let files = files::expand(&context.workspace, pattern)?;
                source::open(files, config.clone(), outcome.clone()).await
            }
            Address::Http(url) => {
                let web = store::http::alone(&self.services.http, url);
                let files = store::source_files(&web, "", staging(context), context).await?;
                // The ending that counts is that of the path, not of what follows it.
                let files = files.into_iter().map(|file| file.named(file_name(url)));
                source::open(files.collect(), config.clone(), outcome.clone()).await
            }
            Address::Table(asset) => {
                let table = match asset.delta_version {
                    Some(version) => TableRef::Delta { uri: asset.uri.clone(), version },
                    None => TableRef::Parquet { uri: asset.uri.clone() },
                };
                self.services
                    .engine
                    .scan(&table, None, None)
                    .await
                    .map_err(|error| CopyError::read(asset.label(), &error))
            }
            Address::Database { connection, table } => {
                let server = self.server(connection)?;
                let reading = Reading::in_attempt(config, table, context);
                let kept = reading.kept.clone();
                let rows = unless_cancelled(context, server.read(reading, outcome.clone())).await?;
                if let Some(kept) = kept {
                    kept.tell(&*context.log);
                    outcome.settle_with(Box::pin(async move { kept.remove() }));
                }
                Ok(rows)
            }
            Address::Delta { place, moment } => self.read_delta(place, moment).await,
            Address::Iceberg { place, moment } => {
                self.read_iceberg((place, moment), config, context, outcome).await
            }
            Address::Origin { connection, stream } => {
                self.read_origin((connection, stream), config, context, outcome).await
            }
            Address::Mailbox { connection, mailbox } => {
                self.read_mails((connection, mailbox), config, context, outcome).await
            }
            Address::Queue { connection, queue } => {
                self.read_queue((connection, queue), config, context, outcome).await
            }
            Address::Stored { connection, path, .. } => {
                let store = self.store(connection)?;
                let files = store::source_files(&store, path, staging(context), context).await?;
                source::open(files, config.clone(), outcome.clone()).await
            }
            Address::Dataset(name) => Err(CopyError::read(name, &"it is not resolved")),
            Address::StoreUrl(url) => Err(CopyError::read(url, &"it is not resolved")),
        }
    }

    fn connections(&self) -> Result<Connections, CopyError> {
        (self.services.connections)().map_err(CopyError::Connection)
    }

    fn connection(&self, name: &str) -> Result<Value, CopyError> {
        connections::find(&self.connections()?, name).cloned()
    }

    fn address(&self, value: &Value) -> Result<Address, CopyError> {
        match Address::read(value)? {
            outside @ (Address::Database { .. } | Address::StoreUrl(_) | Address::Http(_)) => {
                connections::located(outside, &self.connections()?)
            }
            other => Ok(other),
        }
    }

    fn server(&self, connection: &str) -> Result<Box<dyn TableServer>, CopyError> {
        database::open(connection, &self.connection(connection)?, &self.services.workspace)
    }

    fn store(&self, connection: &str) -> Result<Arc<dyn FileStore>, CopyError> {
        let settings = self.connection(connection)?;
        let leads = store::leading(connection, &settings).unwrap_or_else(|| {
            Err(CopyError::config(
                format!("the connection `{connection}` leads to no files"),
                "lake: {s3: {…}}",
            ))
        });
        leads?.open().map_err(|error| match error {
            CopyError::Config { message, hint } => {
                CopyError::Config { message: format!("the connection `{connection}`: {message}"), hint }
            }
            other => other,
        })
    }

    async fn write(
        &self,
        to: &Address,
        work: &Work<'_>,
        rows: BatchStream,
        from: &Address,
    ) -> Result<StepOutcome, CopyError> {
        let Work { config, context, meter, .. } = work;
        let mut outcome = StepOutcome { sources: sources(from), ..StepOutcome::default() };
        let rows = match to {
            Address::Dataset(name) => {
                let (asset, rows) = self.write_dataset(name, config, context, rows, &outcome.sources).await?;
                outcome.bytes = asset.size_bytes;
                outcome.outputs.insert("data".to_owned(), asset.to_value());
                rows
            }
            Address::Table(asset) => {
                let name = asset.name.clone().unwrap_or_default();
                let (asset, rows) =
                    self.write_dataset(&name, config, context, rows, &outcome.sources).await?;
                outcome.outputs.insert("data".to_owned(), asset.to_value());
                rows
            }
            Address::Delta { place, .. } => {
                let (asset, rows) = self.write_delta(place, config, context, rows).await?;
                outcome.bytes = asset.size_bytes;
                outcome.outputs.insert("data".to_owned(), asset.to_value());
                rows
            }
            Address::Files(path) => {
                let (asset, rows) = write_local(context.workspace.join(path), config, rows, meter).await?;
                outcome.bytes = asset.size_bytes;
                outcome.outputs.insert("data".to_owned(), asset.to_value());
                rows
            }
            Address::Database { connection, table } => {
                let load = Load::of(config, context, table, meter, work.rejected, work.widened);
                // A database that falls silent is left, too: what it got without a commit is nothing.
                let loading = async {
                    let mut session = self.server(connection)?.session(table).await?;
                    database::load(session.as_mut(), &load, rows).await
                };
                let loaded = unless_cancelled(context, loading).await?;
                if loaded.before {
                    context
                        .log
                        .line("the rows are there already: an attempt had loaded them before it was killed");
                    outcome.outputs.insert("rejected".to_owned(), loaded.rejected.into());
                }
                let rows = loaded.rows;
                outcome.outputs.insert("data".to_owned(), format!("{connection}:{table}").into());
                rows
            }
            Address::Stored { connection, path, label } => {
                stored::check(path, &config.write)?;
                let file = staging(context).join(stored::staged_name(path));
                let (asset, rows) = write_local(file.clone(), config, rows, meter).await?;
                stored::send(&*self.store(connection)?, path, &file, context).await?;
                outcome.bytes = asset.size_bytes;
                outcome.outputs.insert("data".to_owned(), label.as_str().into());
                rows
            }
            Address::Origin { connection, stream } => {
                let rows = self.write_origin((connection, stream), config, context, rows).await?;
                outcome.outputs.insert("data".to_owned(), format!("{connection}:{stream}").into());
                rows
            }
            Address::Http(_)
            | Address::StoreUrl(_)
            | Address::Iceberg { .. }
            | Address::Mailbox { .. }
            | Address::Queue { .. } => return Err(not_written(to)),
        };
        outcome.outputs.insert("rows".to_owned(), rows.into());
        outcome.rows = Some(rows);
        Ok(outcome)
    }

    async fn write_dataset(
        &self,
        name: &str,
        config: &CopyConfig,
        context: &StepContext,
        rows: BatchStream,
        sources: &[AssetKey],
    ) -> Result<(Asset, u64), CopyError> {
        let failed = |error: &dyn std::fmt::Display| CopyError::write(format!("data:{name}"), error);
        let uri = self.services.datasets.location(name).map_err(|error| failed(&error))?;
        let written = delta::commit(&*self.services.engine, &uri, rows, (config, context)).await;
        let written = written.map_err(|error| failed(&error))?;
        let rows = written.rows;
        let profile = self.services.engine.profile(&written.table()).await.map_err(|error| failed(&error))?;
        let version =
            NewDatasetVersion { profile: Some(profile), ..new_version(name, context, written, sources) };
        let version = self.services.datasets.commit(version).await;
        Ok((version.map_err(|error| failed(&error))?.asset, rows))
    }
}

/// What writing takes beside the rows.
struct Work<'a> {
    config: &'a Arc<CopyConfig>,
    context: &'a StepContext,
    meter: &'a Arc<Meter>,
    /// Rows that were set aside so far.
    rejected: &'a (dyn Fn() -> u64 + Sync),
    /// Columns of the sink that get the types of the rows.
    widened: &'a [String],
}

fn new_version(
    name: &str,
    context: &StepContext,
    written: WrittenTable,
    sources: &[AssetKey],
) -> NewDatasetVersion {
    NewDatasetVersion {
        name: name.to_owned(),
        asset: written.asset(),
        schema: written.schema,
        profile: None,
        producer: Some(Producer { run_id: context.run_id.clone(), step: Some(context.step.clone()) }),
        inputs: sources.to_vec(),
    }
}

/// The last part of an address's path.
pub(crate) fn file_name(url: &Url) -> String {
    let name = url.path_segments().and_then(|mut parts| parts.next_back()).filter(|name| !name.is_empty());
    name.unwrap_or("download").to_owned()
}

/// Where files lie that are on their way from or to another machine.
fn staging(context: &StepContext) -> PathBuf {
    context.folder.join("staged")
}

/// A folder that is gone when the copy ends, however it ends.
struct Staged(PathBuf);

impl Drop for Staged {
    fn drop(&mut self) {
        if let Err(error) = fs_err::remove_dir_all(&self.0)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "staged files could not be removed");
        }
    }
}

fn read_config(config: &Value) -> Result<CopyConfig, CopyError> {
    serde_json::from_value(config.clone())
        .map_err(|error| CopyError::config(format!("`copy`: {error}"), EXAMPLE.trim_end().to_owned()))
}
