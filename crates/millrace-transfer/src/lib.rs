//! Data transfer: the step `copy` and the connectors it copies between.
//!
//! Owns: reading files, buckets and databases as streams of Arrow batches, deciding what becomes of bad rows, writing files, objects and databases whole or
//! not at all. Leaves to others: what a dataset is (the catalog) and how its tables are stored (the query engine).
//! Start from [`Copy`]; [`connectors`] lists what it can talk to.
#![allow(
    clippy::result_large_err,
    reason = "a copy's error carries everything its user is told; it is made once a copy"
)]

mod address;
mod columns;
mod connections;
mod connectors;
mod copy;
mod error;
mod passing;
mod rejects;
mod s3;
mod sink;
mod source;

pub use columns::ColumnType;
pub use connections::{Connection, Connections, ReadConnections};
pub use connectors::connectors;
pub use copy::{Condition, Copy, CopyConfig, CopyServices, Write};
pub use error::CopyError;
pub use rejects::OnError;
pub use source::{Encoding, Format};
