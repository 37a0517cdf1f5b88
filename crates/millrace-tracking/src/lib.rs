//! Tracking and versioning: datasets, models, experiments.
//!
//! Owns: names and versions of data and models, aliases, what was made from what, telling webhooks of it, and the numbers that runs log.
//! Leaves to others: how tables are written and read (the query engine) and what a model computes. Start from [`Catalog`] and [`Tracker`].
#![warn(missing_docs)]

mod catalog;
pub mod folders;
pub mod lifecycle;
pub mod lineage;
pub mod openlineage;
mod reference;
pub mod schema_diff;
pub mod search;
pub mod steps;
pub mod tables;
pub mod traces;
mod tracker;
pub mod webhooks;

pub use catalog::{Catalog, REGISTERED};
pub use reference::{
    InvalidReference, Reference, check_alias, check_dataset_alias, check_model_name, check_tag,
};
pub use tracker::{Tracker, short_digest};
