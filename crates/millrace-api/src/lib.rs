//! HTTP only: Millrace's own API, MLflow's tracking API, scoring in three dialects, and the web UI.
//!
//! Owns: routes, shapes of answers, who may call, the event stream, the embedded UI. Leaves to others: everything that is decided or
//! kept; handlers extract, call a room, answer. No SQL, no engine. Start from [`Parts`], [`App`] and [`router`].
#![warn(missing_docs)]

mod access;
mod accounts;
mod actor;
mod app;
mod archive;
mod changes;
mod connections;
mod copies;
mod error;
mod events;
mod flows;
mod mlflow;
pub mod model_sheet;
mod origin;
mod otlp;
mod page_token;
mod present;
mod router;
mod routes;
mod serve;
mod session;
mod signed_url;
mod signing;
mod sql_models;
mod step_token;
mod throttle;
mod ui;
mod unread;
pub mod views;

pub use access::Access;
pub use app::{
    App, Definition, Definitions, Dialect, Endpoints, Exposition, ModelFacts, ModelInspector, Monitors,
    Parts, ScoreRequest,
};
pub use connections::{Connections, tried};
pub use copies::{Copies, CopyRows};
pub use error::{ApiError, ApiResult};
pub use flows::{FlowFile, Flows, from_of, kind_of};
pub use mlflow::guard::Permission;
pub use present::approvals::approval;
pub use present::assets::{model_summary, promotion};
pub use present::environments::environment;
pub use router::{openapi, router};
pub use serve::serve;
pub use signed_url::UrlSigner;
pub use signing::LoginKeys;
pub use sql_models::SqlModelFiles;
pub use step_token::{AttemptName, StepTokens};
pub use ui::Ui;
