//! Handlers, one file a room.

pub(crate) mod dataset_labels;
pub(crate) mod datasets;
pub(crate) mod endpoints;
pub(crate) mod lifecycle;
pub(crate) mod lineage;
pub(crate) mod model_cards;
pub(crate) mod models;
pub(crate) mod outputs;
pub(crate) mod pipelines;
pub(crate) mod promotions;
pub(crate) mod retention;
pub(crate) mod runs;
pub(crate) mod scoring;
pub(crate) mod tracking;
pub(crate) mod workspace;
