//! The words of Millrace as plain data: pipelines, steps, assets, endpoints, monitors, and the text they are read from.
//!
//! Owns: reading YAML with positions, `${{ }}` expressions, JSON Schemas, checks that need no I/O. Leaves to others: anything that
//! touches a file, a socket, a clock or a database. Start from [`pipeline::Pipeline`], [`asset::Asset`] and [`problem::Problem`].
#![warn(missing_docs)]

pub mod access;
pub mod asset;
pub mod bytes;
pub mod check;
mod check_events;
pub mod check_triggers;
pub mod duration;
pub mod early_stop;
pub mod edit;
pub mod environment;
pub mod expression;
pub mod frame;
pub mod glob;
pub mod hours;
pub mod ids;
pub mod load;
mod load_include;
mod load_mapping;
mod load_notice;
mod load_step;
mod load_sweep;
pub mod mapping;
pub mod notice;
pub mod period;
pub mod pipeline;
pub mod problem;
pub mod schedule;
pub mod schema;
pub mod secret;
pub mod sql_models;
pub mod suggest;
pub mod sweep;
pub mod triggers;
pub mod validate;
pub mod yaml;
