//! All SQL for our own tables: SQLite and PostgreSQL behind one interface, one file a table family.
//!
//! Owns: connections, the one writer of a SQLite file with its group commit, migrations, and every statement on our own tables.
//! Leaves to others: what the documents in those tables mean. Start from [`Metastore::open`], [`Metastore::read`] and
//! [`Metastore::write`]; a table family is a file with typed methods on [`Metastore`].
#![warn(missing_docs)]

pub mod accounts;
pub mod approvals;
pub mod asset_labels;
pub mod assets;
pub mod commits;
pub mod deployments;
pub mod environments;
mod error;
pub mod eval_datasets;
pub mod experiments;
mod foreign;
pub mod imports;
pub mod inbox;
pub mod lineage;
pub mod lineage_out;
mod lookout;
mod migrations;
pub mod monitoring;
mod outbox;
pub mod outside;
mod postgres;
pub mod queue;
pub mod registry;
pub mod roles;
pub mod run_notices;
pub mod runs;
pub mod runs_items;
pub mod runs_read;
pub mod runs_search;
mod runs_write;
pub mod schedules;
pub mod servers;
mod session;
mod sqlite;
mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod traces;
mod transitions;
mod value;
pub mod windows;

pub use error::MetastoreError;
pub use foreign::ForeignDatabase;
pub use lookout::{Commits, LookAgain};
pub use session::Session;
pub use store::Metastore;
pub use value::{Row, Value};
