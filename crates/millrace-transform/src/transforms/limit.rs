use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Input, Kind, Transform, only};

/// Keeps the first rows.
///
/// Which rows are first is certain only after a `sort`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Limit {
    /// So many rows.
    Rows(u32),
    /// So many rows after some others.
    Window(Range),
}

/// A stretch of rows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Range {
    /// Rows to keep.
    rows: u32,
    /// Rows to leave out before them.
    #[serde(default)]
    offset: u32,
}

impl Kind for Limit {
    const NAME: &'static str = "limit";
    const EXAMPLE: &'static str = "limit: 100";
}

impl Transform for Limit {
    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let (rows, offset) = match self {
            Self::Rows(rows) => (*rows, 0),
            Self::Window(range) => (range.rows, range.offset),
        };
        Ok(vec![format!("select * from {} limit {rows} offset {offset}", only(inputs)?.table)])
    }
}
