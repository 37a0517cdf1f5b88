//! What of a step a source has no use for: it is refused, so that nobody believes that it was heeded.

use crate::config::CopyConfig;
use crate::error::CopyError;

/// A key of a step, and whether a step has it.
#[derive(Clone, Copy)]
pub(crate) struct Part(&'static str, fn(&CopyConfig) -> bool);

pub(crate) const FORMAT: Part = Part("format", |config| config.format.is_some());
pub(crate) const INCREMENTAL: Part = Part("incremental", |config| config.incremental.is_some());
pub(crate) const LIMIT: Part = Part("limit", |config| config.limit.is_some());
pub(crate) const RECORDS: Part = Part("records", |config| config.records.is_some());
pub(crate) const REQUEST: Part = Part("request", |config| config.request.is_some());
pub(crate) const STATE: Part = Part("state", |config| config.state.is_some());
pub(crate) const UNNEST: Part = Part("unnest", |config| !config.unnest.is_empty());
pub(crate) const WHERE: Part = Part("where", |config| config.condition.is_some());

/// Refuses the first of `parts` that a step has, since it says nothing to `whom`.
pub(crate) fn refuse(config: &CopyConfig, parts: &[Part], whom: &str, hint: &str) -> Result<(), CopyError> {
    match parts.iter().find(|Part(_, is_there)| is_there(config)) {
        Some(Part(name, _)) => Err(CopyError::config(format!("`{name}` says nothing to {whom}"), hint)),
        None => Ok(()),
    }
}
