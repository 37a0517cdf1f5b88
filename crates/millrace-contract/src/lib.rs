//! The traits through which the rooms meet, and the plain values that pass through them. No bodies, no engines.
//!
//! A room implements some of these and is handed the others as `Arc<dyn …>` by `boot`; it never names another room. A trait enters
//! only when two rooms need it. Arrow arrays are allowed here, DataFusion is not.
#![warn(missing_docs)]

mod beat;
mod catalog;
mod clock;
mod columns;
mod compute;
mod cost;
mod environment;
mod event;
mod flow;
mod foreign;
mod git_facts;
mod kind;
pub mod log_index;
mod mail;
mod model;
pub mod network;
mod notify;
mod query;
mod queue;
mod remote;
mod row_call;
mod row_change;
mod secret;
mod signal;
mod step;
mod tracker;

pub use beat::beat;
pub use catalog::{
    AssetKey, CatalogError, DatasetCatalog, DatasetVersion, ModelRegistry, ModelVersion, NewDatasetVersion,
    NewModelVersion, Producer,
};
pub use clock::{Clock, FixedClock, SystemClock};
pub use columns::{ColumnLineage, ColumnOrigin, ColumnUse};
pub use compute::{CommandExit, CommandHandle, CommandSpec, ComputeError, ComputeTarget};
pub use cost::AttemptCost;
pub use environment::{EnvironmentGate, Passage};
pub use event::{Event, EventSource, EventSources, Listener, Polled};
pub use flow::{FlowPreview, NodeSchema, PreviewColumn, TablePreview};
pub use foreign::{ForeignCondition, ForeignReading, ForeignTables, ForeignTest};
pub use git_facts::GitFacts;
pub use kind::{Explain, KindDoc, KindFamily};
pub use mail::{Attachment, MailSearch, Mailboxes};
pub use model::{LoadedModel, ModelColumn, ModelError, ModelRuntime, ModelSignature};
pub use notify::{Note, Notifier};
pub use query::{
    BatchStream, ByKey, ChangedBetween, ColumnProfile, HistogramBin, PartFacts, QueryEngine, QueryError,
    QueryRequest, RowExpressions, Selection, TableMoment, TableProfile, TableRef, TopValue, WriteMode,
    WrittenTable,
};
pub use queue::{
    ListEnd, QueueMessage, QueueReader, QueueReading, Queues, READABLE_QUEUES, Reader, Received,
};
pub use remote::{
    Cluster, EngineElsewhere, RemoteEngine, RemoteEngines, RemoteError, RemoteQuery, RemoteView,
};
pub use row_call::{CallMethod, RowAnswer, RowCall, RowCaller, RowCalls};
pub use row_change::RowChange;
pub use secret::SecretSource;
pub use signal::{Signal, SignalSink};
pub use step::{
    Look, OutputDoc, Placement, Progress, ProgressSink, REJECTED, StepContext, StepError, StepKind, StepLog,
    StepOutcome, StepTraits,
};
pub use tracker::{RunTracker, TrackerError};
