//! Learns models from tables and judges them, in this process.
//!
//! Owns: the trainers ([`trainers`]), what is learned about columns before them ([`features`]), the model folder in MLflow's layout
//! ([`model_folder`]), metrics ([`metrics`]) and the step kinds `train` and `evaluate` ([`steps`]). A model is one ONNX graph from raw
//! columns to predictions. Leaves to others: reading tables (a [`millrace_contract::QueryEngine`]), running models
//! (a [`millrace_contract::ModelRuntime`]), and their names and versions.
#![warn(missing_docs)]

pub mod columns;
mod evaluation;
pub mod features;
mod importance;
pub mod metrics;
pub mod model_folder;
pub mod steps;
mod table;
mod target;
pub mod trainers;

pub use target::{Task, class_place};

#[cfg(test)]
mod testing;
