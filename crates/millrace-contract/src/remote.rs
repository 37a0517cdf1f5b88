use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use indexmap::IndexMap;
use millrace_spec::problem::Problem;

use crate::BatchStream;

/// Engines elsewhere, by the names of their connections.
pub trait RemoteEngines: Send + Sync {
    /// The names, in the order in which they are declared.
    fn names(&self) -> Vec<String>;

    /// The engine of that name. Nothing is sent yet.
    ///
    /// # Errors
    /// If there is no such engine, or its connection cannot be used.
    fn open(&self, name: &str) -> Result<EngineElsewhere, Box<Problem>>;
}

/// An engine elsewhere, by what it is handed.
#[derive(Clone)]
pub enum EngineElsewhere {
    /// It runs Spark's SQL.
    SparkSql(Arc<dyn RemoteEngine>),
    /// It is the local engine on many machines, and runs its plans.
    Cluster(Cluster),
}

impl EngineElsewhere {
    /// The name of its connection.
    pub fn name(&self) -> &str {
        match self {
            Self::SparkSql(engine) => engine.name(),
            Self::Cluster(cluster) => &cluster.name,
        }
    }

    /// Bytes of input from which on `engine: auto` prefers it; `None` if it leaves that to the step.
    pub fn auto_above(&self) -> Option<u64> {
        match self {
            Self::SparkSql(engine) => engine.auto_above(),
            Self::Cluster(cluster) => cluster.auto_above,
        }
    }
}

/// Where a Ballista scheduler is, and how it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// The name of its connection.
    pub name: String,
    /// The scheduler's address, `http://host:port`.
    pub scheduler: String,
    /// Parts that the rows of a join or an aggregation are spread over; the engine's own number if `None`.
    pub partitions: Option<usize>,
    /// Bytes of input from which on `engine: auto` prefers it.
    pub auto_above: Option<u64>,
}

/// An engine elsewhere that reads files by their addresses and runs Spark SQL over them.
#[async_trait]
pub trait RemoteEngine: Send + Sync {
    /// The name of its connection.
    fn name(&self) -> &str;

    /// Bytes of input from which on `engine: auto` prefers it; `None` if it leaves that to the step.
    fn auto_above(&self) -> Option<u64>;

    /// Runs a query. Dropping the rows ends the work over there.
    ///
    /// # Errors
    /// If it cannot be reached, or refuses the query. Later failures come with the rows.
    async fn query(&self, query: RemoteQuery) -> Result<BatchStream, RemoteError>;
}

/// A query in Spark SQL and what it reads.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteQuery {
    /// What it reads, under the names that the SQL has.
    pub views: Vec<RemoteView>,
    /// Options of the session that the SQL counts on.
    pub options: Vec<(&'static str, &'static str)>,
    /// One SELECT.
    pub sql: String,
    /// The columns that come back, by position. Rows of other types are an error.
    pub schema: SchemaRef,
}

/// Files under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteView {
    /// The name.
    pub name: String,
    /// `parquet`, `csv`, `json` or `delta`.
    pub format: &'static str,
    /// Absolute URLs.
    pub paths: Vec<String>,
    /// The columns as Spark declares them; as the files say if `None`.
    pub schema: Option<String>,
    /// The reader's options.
    pub options: IndexMap<String, String>,
}

/// Why a query did not begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// It does not answer.
    #[error("the engine `{engine}` at {address} cannot be reached: {message}")]
    Unreachable {
        /// The connection's name.
        engine: String,
        /// Where it should be.
        address: String,
        /// What happened.
        message: String,
    },
    /// It refuses.
    #[error("the engine `{engine}` refuses the query: {message}")]
    Refused {
        /// The connection's name.
        engine: String,
        /// What it says.
        message: String,
    },
}
