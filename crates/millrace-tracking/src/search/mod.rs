//! MLflow's search language and more: filters such as `metrics.auc > 0.9 and (params.depth = '7' or tags.best is not null)`, and orders
//! such as `metrics.auc DESC`.
//!
//! Parsed into the metastore's [`Filter`] and [`Order`]s; what cannot be said is an [`InvalidSearch`] in words.

mod eval_datasets;
mod fields;
mod lexer;
mod parser;
mod registry;
mod trace_tests;
mod traces;

pub use eval_datasets::{EvalDatasetFilter, EvalDatasetOrder};
pub use fields::Target;
pub use parser::{parse_filter, parse_order};
pub use registry::{RegistryTarget, parse_registry_filter, parse_registry_order};
pub use traces::{TraceFilter, parse_trace_filter, parse_trace_order};

#[allow(unused_imports, reason = "for the documentation above")]
use millrace_metastore::experiments::{Filter, Order};

/// What is wrong with a filter or an order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidSearch {
    message: String,
}

impl InvalidSearch {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod trace_filter_tests;
