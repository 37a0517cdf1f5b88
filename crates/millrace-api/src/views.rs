//! Every JSON shape of Millrace's own API, plain data. `typescript` writes the same shapes for the web UI.

pub mod approvals;
pub mod compare;
pub mod connections;
pub mod copies;
pub mod datasets;
pub mod endpoints;
pub mod environments;
pub mod flows;
pub mod inbox;
pub mod json;
pub mod lifecycle;
pub mod logs;
pub mod models;
pub mod monitors;
pub mod outside;
pub mod pipelines;
pub mod prompts;
pub mod runs;
pub mod sessions;
pub mod sql;
pub mod sql_models;
pub mod timeline;
pub mod traces;
pub mod tracking;
pub mod triggers;
pub mod typescript;
pub mod workspace;

pub use typescript::typescript;
