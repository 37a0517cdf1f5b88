//! Model deployment: models in memory behind stable addresses, and tables scored in one go.
//!
//! Owns: model runtimes ([`OnnxRuntime`]), endpoints with their traffic, dialects and statistics ([`EndpointServer`]), the prediction log,
//! endpoint files ([`EndpointFile`]) and the step kinds `deploy` and `score`. Leaves to others: HTTP and authentication, names and versions
//! of models, and tables.
#![warn(missing_docs)]

mod deploy;
mod dialect;
mod endpoint;
mod file;
mod log;
mod model;
mod rows;
mod score;
mod server;
mod stats;
mod status;
pub mod steps;

pub use deploy::DeployRequest;
pub use dialect::{Dialect, mlflow_error_code};
pub use endpoint::ModelTarget;
pub use file::{DeploymentSpec, EndpointFile, EndpointSpec, LogSpec};
pub use model::OnnxRuntime;
pub use score::ScoreOptions;
pub use server::{EndpointServer, ServerServices};
pub use stats::{Counts, TrafficPoint};
pub use status::{DeploymentStatus, EndpointDetail, EndpointStatus, score_path};
