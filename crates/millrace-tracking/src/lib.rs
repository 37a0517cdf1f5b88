//! Tracking and versioning: datasets, models, experiments.
//!
//! Owns: names and versions of data and models, aliases, what was made from what, telling webhooks of it, and the numbers that runs log.
//! Leaves to others: how tables are written and read (the query engine) and what a model computes. Start from [`Catalog`] and [`Tracker`].
#![warn(missing_docs)]

mod catalog;
mod reference;
pub mod search;
pub mod steps;
pub mod traces;
mod tracker;
pub mod webhooks;

pub use catalog::{Catalog, REGISTERED};
pub use reference::{InvalidReference, Reference, check_alias, check_model_name};
pub use tracker::Tracker;
