use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::columns::{Each, OneOrMany};
use super::{Fault, Input, Kind, Transform, only};
use crate::flow::quote;

/// Keeps, drops and renames columns.
///
/// A list keeps these columns in this order. `drop` keeps all others, `rename` gives columns a new name, `each`
/// does so to every column that matches a pattern.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Select {
    /// Columns to keep.
    Keep(Vec<String>),
    /// Columns to keep, drop or rename.
    Change(Change),
}

/// Which columns, and what they are called after.
#[derive(Debug, Default, Deserialize, JsonSchema)]
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
    /// What is done to every kept column that matches a pattern: a new name, or `drop: true`.
    #[serde(default)]
    each: OneOrMany<Each>,
}

impl Kind for Select {
    const NAME: &'static str = "select";
    const EXAMPLE: &'static str = "select:\n  drop: [tailnum]\n  rename: {dep_delay: departure_delay}";
}

impl Transform for Select {
    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let input = only(inputs)?;
        let change = match self {
            Self::Keep(columns) => &Change { columns: columns.clone(), ..Change::default() },
            Self::Change(change) => change,
        };
        for (key, name) in change
            .drop
            .iter()
            .map(|name| ("drop", name))
            .chain(change.rename.keys().map(|name| ("rename", name)))
        {
            input.column(name).map_err(|fault| fault.under(key))?;
        }
        let mut kept: Vec<String> = change.columns.clone();
        if kept.is_empty() {
            kept = input.columns().into_iter().map(str::to_owned).collect();
        }
        let mut dropped = change.drop.clone();
        let mut computed: IndexMap<String, (String, String)> = IndexMap::new();
        for each in change.each.list() {
            for column in each.pattern.matching(input).map_err(|fault| fault.under("each"))? {
                if each.drop {
                    dropped.push(column.to_owned());
                } else {
                    computed.insert(
                        column.to_owned(),
                        each.of(input, column).map_err(|fault| fault.under("each"))?,
                    );
                }
            }
        }
        let mut list = Vec::new();
        let mut names: Vec<String> = Vec::new();
        for name in kept.iter().filter(|name| !dropped.contains(name)) {
            let column = input.column(name)?;
            let (sql, new) = match (change.rename.get(name), computed.get(name)) {
                (Some(new), _) => (column, new.clone()),
                (None, Some((sql, new))) => (sql.clone(), new.clone()),
                (None, None) => (column, name.clone()),
            };
            if names.contains(&new) {
                return Err(Fault::new(format!("two columns would be called `{new}`")));
            }
            list.push(format!("{sql} as {}", quote(&new)));
            names.push(new);
        }
        if list.is_empty() {
            return Err(Fault::new("no column is left"));
        }
        Ok(vec![format!("select {} from {}", list.join(", "), input.table)])
    }
}
