use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Input, Kind, Transform, only};
use crate::flow::quote;

/// Keeps, drops and renames columns.
///
/// A list keeps these columns in this order. `drop` keeps all others, `rename` gives columns a new name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Select {
    /// Columns to keep.
    Keep(Vec<String>),
    /// Columns to keep, drop or rename.
    Change(Change),
}

/// Which columns, and what they are called after.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    /// Columns to keep, in this order; all if absent.
    #[serde(default)]
    columns: Vec<String>,
    /// Columns to leave out.
    #[serde(default)]
    drop: Vec<String>,
    /// Old name to new name.
    #[serde(default)]
    rename: IndexMap<String, String>,
}

impl Kind for Select {
    const NAME: &'static str = "select";
    const EXAMPLE: &'static str = "select:\n  drop: [tailnum]\n  rename: {dep_delay: departure_delay}";
}

impl Transform for Select {
    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let input = only(inputs)?;
        let (columns, drop, rename) = match self {
            Self::Keep(columns) => (columns.clone(), &[][..], &IndexMap::new()),
            Self::Change(change) => (change.columns.clone(), change.drop.as_slice(), &change.rename),
        };
        for name in drop.iter().chain(rename.keys()) {
            input.column(name)?;
        }
        let kept = if columns.is_empty() {
            input.columns().into_iter().map(str::to_owned).collect()
        } else {
            columns
        };
        let mut list = Vec::new();
        for name in kept.iter().filter(|name| !drop.contains(name)) {
            let column = input.column(name)?;
            list.push(match rename.get(name) {
                Some(new) => format!("{column} as {}", quote(new)),
                None => column,
            });
        }
        if list.is_empty() {
            return Err(Fault::new("no column is left"));
        }
        Ok(vec![format!("select {} from {}", list.join(", "), input.table)])
    }
}
