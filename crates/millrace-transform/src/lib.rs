//! Data transformation: SQL, no-code flows and splits over tables, and the Delta tables they write.
//!
//! The only crate that names DataFusion, Delta and Ballista. It does not know pipelines, catalogs' storage or the web: steps receive a
//! [`millrace_contract::StepContext`] and give back assets. Start from [`DataFusionEngine`], [`flow::Flow`] and [`steps::kinds`].
#![warn(missing_docs)]

pub mod ballista;
mod delta;
mod engine;
mod expressions;
pub mod flow;
mod functions;
pub mod rows;
mod spark;
pub mod sql_models;
pub mod steps;
pub mod transforms;

pub use engine::{DataFusionEngine, EngineConfig};
pub use functions::{Function, functions, page as functions_page};
