//! Compute: where the programs of a step run. The process shim, warm Python workers, locked Python environments, and the step kinds
//! `run` and `python`.
//!
//! Owns: starting, watching, ending and finding again of processes; the folder of an attempt. Leaves to others: when a step runs and
//! what a failure means for its run (orchestration), what a table is (the query engine). Start from [`LocalTarget`] and [`serve_shims`].
#![allow(
    clippy::result_large_err,
    reason = "a step's error carries everything its user is told; it is made once a step"
)]

mod environment;
mod family;
mod local;
mod pidfd;
mod record;
mod shim;
mod shims;
pub mod steps;
mod warm;

pub use environment::{Environments, PythonEnvironment};
pub use local::{LOCAL, LocalSettings, LocalTarget};
pub use record::{is_running, this_process};
pub use shim::fork_server::serve_shims;
pub use warm::{WarmWorkers, install_python_files};
