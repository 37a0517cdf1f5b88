use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::AssetKey;

/// Which columns the columns of a table come from, where that is known.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ColumnLineage {
    /// Name of the dataset whose columns they are.
    pub dataset: String,
    /// Of each column those that its values are made of; none for what is made of nothing, such as a constant.
    pub columns: IndexMap<String, Vec<ColumnOrigin>>,
    /// Those that say which rows there are, and in which order.
    #[serde(default)]
    pub rows: Vec<ColumnOrigin>,
}

/// A column that something comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ColumnOrigin {
    /// The dataset, or the source outside.
    pub of: AssetKey,
    /// The column of it.
    pub column: String,
    /// What is done with it.
    pub use_as: ColumnUse,
}

/// What is done with a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnUse {
    /// Its values are taken as they are.
    Identity,
    /// A value is made of a value.
    Transformation,
    /// A value is made of the values of several rows.
    Aggregation,
    /// Rows are chosen by it.
    Filter,
    /// Rows are put together by it.
    Join,
    /// Rows are gathered by it.
    GroupBy,
    /// Rows are put into order by it.
    Sort,
}

impl ColumnUse {
    /// Whether it is about values, not about which rows there are.
    pub fn is_direct(self) -> bool {
        matches!(self, Self::Identity | Self::Transformation | Self::Aggregation)
    }
}
