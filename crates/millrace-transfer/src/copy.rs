//! The step kind `copy`.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_contract::{
    AssetKey, BatchStream, DatasetCatalog, Explain as _, KindDoc, KindFamily, NewDatasetVersion, OutputDoc,
    Producer, QueryEngine, StepContext, StepError, StepKind, StepOutcome, StepTraits, TableRef, WriteMode,
    WrittenTable,
};
use millrace_spec::asset::{Asset, AssetType};
use millrace_spec::problem::Problem;
use serde_json::Value;

use crate::address::Address;
use crate::config::{Condition, CopyConfig, Write};
use crate::connections::{self, Connections, ReadConnections};
use crate::error::CopyError;
use crate::meter::Meter;
use crate::passing::{renamed, watched};
use crate::rejects::Rejects;
use crate::s3::{Bucket, S3Connection};
use crate::sink::{object, write_local, write_postgres};
use crate::source::{self, Outcome, files, objects, postgres};

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
        let rejects = Rejects::new(config.on_error, config.max_rejects, context.folder.join("rejects.csv"));
        fs_err::tokio::create_dir_all(&context.folder)
            .await
            .map_err(|error| CopyError::write("the attempt's folder", &error))?;
        let meter = Arc::new(Meter::new(config.threads()));
        let outcome = Outcome::new(rejects, meter.clone());
        let rows = self.open(&from, &config, context, &outcome).await?;
        let rows = watched(renamed(rows, &config.rename)?, &meter, context);
        let written = self.write(&to, &Work { config: &config, context, meter: &meter }, rows, &from).await;
        // What the source said is the cause; what the sink says about it an echo.
        if let Some(error) = outcome.take_error() {
            return Err(error);
        }
        if context.cancel.is_cancelled() && written.is_err() {
            return Err(CopyError::Cancelled);
        }
        let mut result = written?;
        let rejected = outcome.rejected();
        result.outputs.insert("rejected".to_owned(), rejected.into());
        if rejected > 0 {
            let rejects = outcome.rejects.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            context
                .log
                .line(&format!("{rejected} rows were rejected; they are in {}", rejects.path().display()));
        }
        context.log.line(&meter.summary());
        Ok(result)
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
                let file = files::fetch(&self.services.http, url, &context.folder).await?;
                source::open(vec![file], config.clone(), outcome.clone()).await
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
                let client = postgres::connect(connection, &self.connection(connection)?).await?;
                let condition = config.condition.clone().map(|condition| match condition {
                    Condition::Text(text) => (text, Vec::new()),
                    Condition::Bound { text, params } => (text, params),
                });
                postgres::read(client, table, condition, outcome.clone()).await
            }
            Address::Object { connection, key, .. } => {
                let bucket = self.bucket(connection)?;
                let files = objects::fetch(&bucket, key, &staging(context), context).await?;
                source::open(files, config.clone(), outcome.clone()).await
            }
            Address::Dataset(name) => Err(CopyError::read(name, &"it is not resolved")),
            Address::S3Url { bucket, .. } => Err(CopyError::read(bucket, &"it is not resolved")),
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
            outside @ (Address::Database { .. } | Address::S3Url { .. }) => {
                connections::located(outside, &self.connections()?)
            }
            other => Ok(other),
        }
    }

    fn bucket(&self, connection: &str) -> Result<Bucket, CopyError> {
        S3Connection::read(connection, &self.connection(connection)?)?.open(connection)
    }

    async fn write(
        &self,
        to: &Address,
        work: &Work<'_>,
        rows: BatchStream,
        from: &Address,
    ) -> Result<StepOutcome, CopyError> {
        let Work { config, context, meter } = work;
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
            Address::Files(path) => {
                let (asset, rows) = write_local(context.workspace.join(path), config, rows, meter).await?;
                outcome.bytes = asset.size_bytes;
                outcome.outputs.insert("data".to_owned(), asset.to_value());
                rows
            }
            Address::Database { connection, table } => {
                let client = postgres::connect(connection, &self.connection(connection)?).await?;
                let rows = write_postgres(client, table, &config.write, rows).await?;
                outcome.outputs.insert("data".to_owned(), format!("{connection}:{table}").into());
                rows
            }
            Address::Object { connection, bucket, key } => {
                object::check(key, &config.write)?;
                let file = staging(context).join(object::staged_name(key));
                let (asset, rows) = write_local(file.clone(), config, rows, meter).await?;
                object::upload(&self.bucket(connection)?, key, &file, context).await?;
                outcome.bytes = asset.size_bytes;
                outcome.outputs.insert("data".to_owned(), format!("s3://{bucket}/{key}").into());
                rows
            }
            Address::Http(_) | Address::S3Url { .. } => return Err(not_written(to)),
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
        let mode = match config.write {
            Write::Overwrite => WriteMode::Overwrite,
            Write::Append => WriteMode::Append,
            Write::Upsert(_) => {
                return Err(CopyError::config("datasets cannot be written by `upsert`", "write: overwrite"));
            }
        };
        let uri = self.services.datasets.location(name).map_err(|error| failed(&error))?;
        let written =
            self.services.engine.write_table(&uri, rows, mode).await.map_err(|error| failed(&error))?;
        let rows = written.rows;
        let table = TableRef::Delta { uri: written.uri.clone(), version: written.delta_version };
        let profile = self.services.engine.profile(&table).await.map_err(|error| failed(&error))?;
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
}

fn new_version(
    name: &str,
    context: &StepContext,
    written: WrittenTable,
    sources: &[AssetKey],
) -> NewDatasetVersion {
    NewDatasetVersion {
        name: name.to_owned(),
        asset: Asset {
            kind: AssetType::Table,
            name: None,
            version: None,
            uri: written.uri,
            delta_version: Some(written.delta_version),
            digest: written.digest,
            rows: Some(written.rows),
            size_bytes: Some(written.size_bytes),
        },
        schema: written.schema,
        profile: None,
        producer: Some(Producer { run_id: context.run_id.clone(), step: Some(context.step.clone()) }),
        inputs: sources.to_vec(),
    }
}

fn not_written(to: &Address) -> CopyError {
    let place = match to {
        Address::Http(url) => url.to_string(),
        other => format!("{other:?}"),
    };
    CopyError::config(format!("`{place}` cannot be written"), "copy to `data:name`, a path or a connection")
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

fn sources(from: &Address) -> Vec<AssetKey> {
    let (kind, name, version) = match from {
        Address::Files(pattern) => ("source", pattern.clone(), 0),
        Address::Http(url) => ("source", url.to_string(), 0),
        Address::Database { connection, table } => ("source", format!("{connection}:{table}"), 0),
        Address::Object { bucket, key, .. } | Address::S3Url { bucket, key } => {
            ("source", format!("s3://{bucket}/{key}"), 0)
        }
        Address::Dataset(name) => ("dataset", name.clone(), 0),
        Address::Table(asset) => {
            let kind = if asset.name.is_some() { "dataset" } else { "source" };
            (kind, asset.name.clone().unwrap_or_else(|| asset.uri.clone()), asset.version.unwrap_or(0))
        }
    };
    vec![AssetKey { kind: kind.to_owned(), name, version }]
}

fn read_config(config: &Value) -> Result<CopyConfig, CopyError> {
    serde_json::from_value(config.clone())
        .map_err(|error| CopyError::config(format!("`copy`: {error}"), EXAMPLE.trim_end().to_owned()))
}

#[async_trait]
impl StepKind for Copy {
    fn doc(&self) -> &KindDoc {
        &self.doc
    }

    fn traits(&self) -> StepTraits {
        StepTraits { deterministic: true, version: 1 }
    }

    /// Copies into datasets whose source is part of the cache's key; a server or a folder may have changed unseen.
    fn reusable(&self, config: &Value) -> bool {
        let text = |key: &str| config.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let from_asset = config.get("from").is_some_and(Value::is_object);
        let local =
            matches!(Address::read(&config.get("from").cloned().unwrap_or_default()), Ok(Address::Files(_)));
        text("to").starts_with("data:")
            && config.get("write").is_none_or(|write| write == "overwrite")
            && (from_asset || local)
    }

    fn bound_fields(&self) -> &'static [&'static str] {
        &["where"]
    }

    fn outputs(&self, config: &Value, _declared: &IndexMap<String, String>) -> Vec<OutputDoc> {
        let data = match config.get("to").map(Address::read) {
            Some(Ok(Address::Files(_))) => "file",
            Some(Ok(Address::Database { .. } | Address::S3Url { .. })) => "string",
            _ => "table",
        };
        let output = |name: &str, kind: &str| OutputDoc { name: name.to_owned(), type_name: kind.to_owned() };
        vec![output("data", data), output("rows", "integer"), output("rejected", "integer")]
    }

    /// The source file, so that a changed one is copied again.
    fn code_files(&self, config: &Value) -> Vec<String> {
        match config.get("from").map(Address::read) {
            Some(Ok(Address::Files(pattern))) => match files::expand(&self.services.workspace, &pattern) {
                Ok(files) => files.into_iter().map(|file| file.name).collect(),
                // Nothing there now: the name alone, so that a file that appears makes a difference.
                Err(_) => vec![pattern],
            },
            _ => Vec::new(),
        }
    }

    fn check(&self, config: &Value) -> Vec<Problem> {
        let unresolved = config.to_string().contains("${{");
        let config = match read_config(config) {
            Ok(config) => config,
            Err(_) if unresolved => return Vec::new(),
            Err(error) => return vec![error.problem()],
        };
        let to = self.address(&config.to).and_then(|to| match to {
            Address::Object { key, .. } => object::check(&key, &config.write),
            _ => Ok(()),
        });
        let addresses = [self.address(&config.from).map(drop), to];
        // What is wrong with `connections.yaml` is said once, at that file.
        let of_the_step = |error: &CopyError| !unresolved && !matches!(error, CopyError::Connection(_));
        let failed = addresses.into_iter().filter_map(Result::err).filter(of_the_step);
        failed.map(|error| error.problem()).collect()
    }

    async fn run(&self, context: StepContext) -> Result<StepOutcome, StepError> {
        self.copy(&context).await.map_err(StepError::from)
    }
}
