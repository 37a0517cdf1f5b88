//! Handlers, one file a room.

pub(crate) mod artifacts;
pub(crate) mod dataset_labels;
pub(crate) mod datasets;
pub(crate) mod endpoints;
pub(crate) mod evaluation;
pub(crate) mod hooks;
pub(crate) mod inbox;
pub(crate) mod lifecycle;
pub(crate) mod lineage;
pub(crate) mod logged_models;
pub(crate) mod model_cards;
pub(crate) mod models;
pub(crate) mod outputs;
pub(crate) mod pipelines;
pub(crate) mod promotions;
pub(crate) mod prompts;
pub(crate) mod retention;
pub(crate) mod run_items;
pub(crate) mod runs;
pub(crate) mod scoring;
pub(crate) mod traces;
pub(crate) mod tracking;
pub(crate) mod triggers;
pub(crate) mod webhooks;
pub(crate) mod workspace;
