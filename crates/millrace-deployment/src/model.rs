//! Models in memory: what a folder holds, how columns become tensors and tensors columns.

pub(crate) mod folder;
mod graph;
mod inputs;
mod outputs;
mod runtime;

pub use runtime::OnnxRuntime;
