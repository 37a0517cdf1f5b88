use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::MemoryCatalogProviderList;
use datafusion::common::TableReference;
use datafusion::dataframe::DataFrame;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use indexmap::IndexMap;
use millrace_contract::{
    BatchStream, ByKey, ChangedBetween, ForeignTables, PartFacts, QueryEngine, QueryError, QueryRequest,
    RowCalls, RowExpressions, Selection, TableMoment, TableProfile, TableRef, WriteMode, WrittenTable,
};

pub(crate) mod calls;
mod decimals;
mod expressions;
pub(crate) mod failure;
mod foreign;
pub(crate) mod mark;
pub(crate) mod origins;
mod passing;
mod profile;
mod pruning;
pub(crate) mod query;
mod selection;
pub(crate) mod shared;
pub(crate) mod source;
pub(crate) mod store;
pub(crate) mod types;
pub(crate) mod yielding;

use failure::{plan_error, run_error};

/// What the engine may use.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Memory for sorts, joins and aggregations of all queries together, bytes. Beyond it they spill.
    pub memory_bytes: usize,
    /// Folder for spilled rows; it is made when it is first needed.
    pub spill_folder: PathBuf,
    /// Parts of a query that run at once; the number of cores if `None`.
    pub partitions: Option<usize>,
    /// Options for `s3://` in object_store's words: `aws_access_key_id`, `aws_secret_access_key`, `aws_region`, `aws_endpoint`,
    /// `aws_allow_http`, …
    pub s3: IndexMap<String, String>,
}

impl EngineConfig {
    /// 4 GiB, all cores, spilling below `spill_folder`, no S3 credentials.
    pub fn new(spill_folder: impl Into<PathBuf>) -> Self {
        Self {
            memory_bytes: 4 << 30,
            spill_folder: spill_folder.into(),
            partitions: None,
            s3: IndexMap::new(),
        }
    }
}

/// Runs SQL with DataFusion and keeps tables in Delta's format. Cheap to make and to clone: nothing is set up before the first query.
#[derive(Clone)]
pub struct DataFusionEngine {
    config: Arc<EngineConfig>,
    /// Functions, options and the memory pool that all queries share; each query gets a catalog of its own.
    base: Arc<OnceLock<SessionState>>,
    /// Tables of other systems.
    foreign: Option<Arc<dyn ForeignTables>>,
    /// Web APIs that flows may ask about rows.
    apis: Option<Arc<dyn RowCalls>>,
}

impl std::fmt::Debug for DataFusionEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataFusionEngine").field("config", &self.config).finish_non_exhaustive()
    }
}

impl DataFusionEngine {
    /// Takes the limits; does no work.
    pub fn new(config: EngineConfig) -> Self {
        Self { config: Arc::new(config), base: Arc::default(), foreign: None, apis: None }
    }

    /// Lets queries name tables of other systems.
    #[must_use]
    pub fn with_foreign(self, foreign: Arc<dyn ForeignTables>) -> Self {
        Self { foreign: Some(foreign), ..self }
    }

    /// Lets flows ask web APIs about rows.
    #[must_use]
    pub fn with_apis(self, apis: Arc<dyn RowCalls>) -> Self {
        Self { apis: Some(apis), ..self }
    }

    pub(crate) fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// Bytes that one shared node of a flow may keep in memory; beyond them its rows go to a file.
    pub(crate) fn shared_bytes(&self) -> usize {
        self.config.memory_bytes / 4
    }

    /// What all sessions have in common.
    pub(crate) fn base(&self) -> Result<SessionState, QueryError> {
        Ok(match self.base.get() {
            Some(base) => base.clone(),
            None => {
                let made = base_state(&self.config).map_err(run_error)?;
                self.base.get_or_init(|| made).clone()
            }
        })
    }

    /// A session without tables.
    pub(crate) fn session(&self) -> Result<SessionContext, QueryError> {
        let context = Self::session_of(self.base()?, "millrace")?;
        if let Some(apis) = &self.apis {
            calls::allow_looks(&context, apis.clone());
        }
        Ok(context)
    }

    /// A session without tables that does its work in another way.
    pub(crate) fn session_of(base: SessionState, id: &str) -> Result<SessionContext, QueryError> {
        let catalogs = Arc::new(MemoryCatalogProviderList::new());
        let state = SessionStateBuilder::new_from_existing(base)
            .with_catalog_list(catalogs)
            .with_session_id(id.to_owned())
            .build();
        let context = SessionContext::new_with_state(state);
        let catalog = datafusion::catalog::MemoryCatalogProvider::new();
        use datafusion::catalog::CatalogProvider as _;
        catalog
            .register_schema("public", Arc::new(datafusion::catalog::MemorySchemaProvider::new()))
            .map_err(run_error)?;
        context.register_catalog("datafusion", Arc::new(catalog));
        Ok(context)
    }

    /// A session that has these tables and no others.
    pub(crate) async fn session_with(
        &self,
        tables: &IndexMap<String, TableRef>,
    ) -> Result<SessionContext, QueryError> {
        let context = self.session()?;
        self.register(&context, tables).await?;
        Ok(context)
    }

    /// Makes tables known to a session.
    pub(crate) async fn register(
        &self,
        context: &SessionContext,
        tables: &IndexMap<String, TableRef>,
    ) -> Result<(), QueryError> {
        for (name, table) in tables {
            let provider = source::provider(self, context, table).await?;
            context
                .register_table(TableReference::bare(name.as_str()), provider)
                .map_err(|error| QueryError::Read { uri: name.clone(), message: failure::words(&error) })?;
        }
        Ok(())
    }

    /// Makes the tables of other systems known that `sql` names, and gives their names back, as `connection:table`.
    pub(crate) async fn register_foreign(
        &self,
        context: &SessionContext,
        sql: &str,
    ) -> Result<Vec<String>, QueryError> {
        foreign::register(context, &query::references(sql)?, self.foreign.as_ref()).await?;
        query::foreign_names(sql)
    }

    pub(crate) async fn planned(&self, request: &QueryRequest) -> Result<DataFrame, QueryError> {
        self.planned_in(self.session()?, request).await
    }

    /// The same in a session that does its work in another way.
    pub(crate) async fn planned_in(
        &self,
        context: SessionContext,
        request: &QueryRequest,
    ) -> Result<DataFrame, QueryError> {
        self.register(&context, &request.tables).await?;
        let references = query::references(&request.sql)?;
        foreign::register(&context, &references, self.foreign.as_ref()).await?;
        let frame = query::select(&context, &request.sql, &request.params).await?;
        match request.limit {
            Some(limit) if !query::explains(&frame) => {
                query::shown(frame).and_then(|frame| frame.limit(0, Some(limit))).map_err(plan_error)
            }
            _ => Ok(frame),
        }
    }
}

fn base_state(config: &EngineConfig) -> datafusion::error::Result<SessionState> {
    let partitions = config
        .partitions
        .or_else(|| std::thread::available_parallelism().ok().map(std::num::NonZeroUsize::get))
        .unwrap_or(1);
    let mut session = SessionConfig::new().with_target_partitions(partitions).with_information_schema(false);
    session = session.with_create_default_catalog_and_schema(false);
    let options = session.options_mut();
    options.execution.parquet.schema_force_view_types = true;
    // Rows that a join or a `where` leaves out are not decoded; over TPC-H an eighth less work.
    options.execution.parquet.pushdown_filters = true;
    options.sql_parser.map_string_types_to_utf8view = false;
    options.sql_parser.collect_spans = true;
    // A flow's `limit` after its `sort` is a query over a query.
    options.sql_parser.enable_subquery_sort_elimination = false;
    let mut state = SessionStateBuilder::new_with_default_features()
        .with_config(session)
        .with_runtime_env(runtime(config)?)
        .with_query_planner(Arc::new(mark::Planner))
        .with_optimizer_rule(Arc::new(decimals::OneScale))
        .with_physical_optimizer_rule(Arc::new(yielding::JoinsYield))
        .build();
    crate::functions::register(&mut state)?;
    Ok(state)
}

fn runtime(config: &EngineConfig) -> datafusion::error::Result<Arc<RuntimeEnv>> {
    runtime_builder(config)?.build_arc()
}

/// Where queries spill, and what memory they may take.
pub(crate) fn runtime_builder(config: &EngineConfig) -> datafusion::error::Result<RuntimeEnvBuilder> {
    let spill = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![config.spill_folder.clone()]));
    fs_err::create_dir_all(&config.spill_folder)?;
    Ok(RuntimeEnvBuilder::new().with_disk_manager_builder(spill).with_memory_limit(config.memory_bytes, 1.0))
}

#[async_trait]
impl QueryEngine for DataFusionEngine {
    async fn query(&self, request: QueryRequest) -> Result<BatchStream, QueryError> {
        query::stream(self.planned(&request).await?).await
    }

    async fn plan_schema(&self, request: QueryRequest) -> Result<SchemaRef, QueryError> {
        let plan = self.planned(&request).await?.into_optimized_plan().map_err(plan_error)?;
        Ok(types::plain_schema(plan.schema().as_arrow()))
    }

    async fn scan(
        &self,
        table: &TableRef,
        columns: Option<Vec<String>>,
        limit: Option<usize>,
    ) -> Result<BatchStream, QueryError> {
        query::stream(source::frame(self, table, columns.as_deref(), limit).await?).await
    }

    async fn select(&self, table: &TableRef, selection: Selection) -> Result<BatchStream, QueryError> {
        query::stream(selection::frame(self, table, &selection).await?).await
    }

    async fn table_names(&self, sql: &str) -> Result<Vec<String>, QueryError> {
        query::table_names(&self.session()?, sql)
    }

    async fn foreign_names(&self, sql: &str) -> Result<Vec<String>, QueryError> {
        query::foreign_names(sql)
    }

    async fn expressions(
        &self,
        schema: SchemaRef,
        sql: &[String],
        params: &[serde_json::Value],
    ) -> Result<Arc<dyn RowExpressions>, QueryError> {
        expressions::prepare(&self.session()?, &schema, sql, params)
    }

    async fn may_hold(
        &self,
        condition: &str,
        params: &[serde_json::Value],
        parts: &PartFacts,
    ) -> Result<Vec<bool>, QueryError> {
        pruning::may_hold(&self.session()?, condition, params, parts)
    }

    async fn write_table(
        &self,
        uri: &str,
        rows: BatchStream,
        mode: WriteMode,
    ) -> Result<WrittenTable, QueryError> {
        crate::delta::write(self, uri, rows, mode, None).await
    }

    async fn write_table_once(
        &self,
        uri: &str,
        rows: BatchStream,
        mode: WriteMode,
        key: &str,
    ) -> Result<WrittenTable, QueryError> {
        crate::delta::write(self, uri, rows, mode, Some(key)).await
    }

    async fn merge_table_once(
        &self,
        uri: &str,
        rows: BatchStream,
        by: ByKey<'_>,
        key: &str,
    ) -> Result<WrittenTable, QueryError> {
        crate::delta::merge(self, uri, rows, by, key).await
    }

    async fn table_version(&self, uri: &str, moment: &TableMoment) -> Result<Option<u64>, QueryError> {
        crate::delta::version_at(self, uri, moment).await
    }

    async fn table_changes(
        &self,
        uri: &str,
        versions: ChangedBetween,
        keys: Option<&[String]>,
        op: &str,
    ) -> Result<BatchStream, QueryError> {
        crate::delta::changes(self, uri, versions, keys, op).await
    }

    fn reaching(&self, s3: &[(String, String)]) -> Option<Arc<dyn QueryEngine>> {
        // A state of its own: two engines may know one bucket by different keys.
        let config = EngineConfig { s3: s3.iter().cloned().collect(), ..EngineConfig::clone(&self.config) };
        Some(Arc::new(Self { foreign: self.foreign.clone(), ..Self::new(config) }))
    }

    async fn profile(&self, table: &TableRef) -> Result<TableProfile, QueryError> {
        profile::profile(self, table).await
    }

    async fn parquet_files(&self, table: &TableRef, folder: &Path) -> Result<Vec<PathBuf>, QueryError> {
        crate::delta::parquet_files(self, table, folder).await
    }
}
