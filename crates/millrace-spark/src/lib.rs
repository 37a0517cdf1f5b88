//! Spark, by its Connect protocol: where a server is, and the queries that it runs for a step.
//!
//! The only crate that names Spark's client. It does not know where a query comes from: it is handed one in Spark's SQL with the files that it
//! reads, and gives back rows. Start from [`engine`].
#![warn(missing_docs)]

#[cfg(feature = "client")]
mod client;
mod engines;
mod settings;

pub use engines::{engine, version};
pub use settings::{SparkSettings, WORD, connection_doc, connection_problem, connection_schema};
