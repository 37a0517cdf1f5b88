//! Data transfer: the steps `copy` (tables) and `sync` (files as they are), and the connectors they copy between.
//!
//! Owns: reading files, buckets and databases as streams of Arrow batches, deciding what becomes of bad rows, writing files, objects and databases whole or
//! not at all. Leaves to others: what a dataset is (the catalog) and how its tables are stored (the query engine).
//! Start from [`Copy`]; [`connectors`] lists what it can talk to.
#![allow(
    clippy::result_large_err,
    reason = "a copy's error carries everything its user is told; it is made once a copy"
)]

mod address;
mod config;
mod connections;
mod connectors;
mod copy;
mod database;
mod error;
mod foreign;
mod format;
mod iceberg;
mod meter;
mod needless;
mod origin;
mod progress;
mod rejects;
mod row_calls;
mod shape;
mod sink;
mod source;
mod store;
mod sync;
mod tracking;
mod types;
mod verification;

pub use config::{Bound, Condition, CopyConfig, Incremental, Lookback, Partition, Range, Sheet, Write};
pub use connections::{
    Connection, Connections, ReadConnections, bucket_options, connection_problem, connection_schema,
};
pub use connectors::connectors;
pub use copy::{BodyColumn, Copy, CopyServices, Mails, Messages};
pub use error::CopyError;
pub use foreign::Databases;
pub use format::{Compression, Encoding, FileTarget, Format};
pub use origin::{Cursor, JsonPath, Keyed, NumberedPages, OffsetPages, Pages, Request, Sending, WebTarget};
pub use rejects::{OnError, RejectFile, RejectLimit};
pub use row_calls::WebApis;
pub use shape::{
    AddedColumn, Contract, LongMappedColumn, MappedColumn, Rule, Rules, SourceColumn, SqlColumn,
};
pub use sync::{Compare, Hierarchy, Moment, Sync, SyncConfig, VerifyFiles};
pub use types::{ColumnSpec, ColumnType, Culture, LongColumnSpec};
pub use verification::Verify;
