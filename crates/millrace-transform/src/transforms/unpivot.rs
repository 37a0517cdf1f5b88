use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Input, Kind, Transform, only};
use crate::flow::{quote, text};

/// Turns columns into rows: one row per column and row, with the column's name and its value.
///
/// The other columns are repeated. Columns of different types become the type that holds them all.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unpivot {
    /// Columns that become rows.
    columns: Vec<String>,
    /// Name of the new column with the old columns' names.
    #[serde(default = "name_column")]
    name: String,
    /// Name of the new column with the values.
    #[serde(default = "value_column")]
    value: String,
    /// Whether rows with a null value stay.
    #[serde(default)]
    nulls: Nulls,
}

fn name_column() -> String {
    "name".to_owned()
}

fn value_column() -> String {
    "value".to_owned()
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Nulls {
    #[default]
    Keep,
    Drop,
}

impl Kind for Unpivot {
    const NAME: &'static str = "unpivot";
    const EXAMPLE: &'static str =
        "unpivot: {columns: [dep_delay, arr_delay], name: which, value: minutes, nulls: drop}";
}

impl Transform for Unpivot {
    fn reads(&self) -> usize {
        self.columns.len()
    }

    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let input = only(inputs)?;
        if self.columns.is_empty() {
            return Err(Fault::new("`columns` is empty"));
        }
        let rest: Vec<String> = input
            .columns()
            .into_iter()
            .filter(|name| !self.columns.iter().any(|column| column == name))
            .map(|name| format!("{}, ", quote(name)))
            .collect();
        let rest = rest.concat();
        let mut selects = Vec::new();
        for name in &self.columns {
            let column = input.column(name)?;
            let drop = if self.nulls == Nulls::Drop {
                format!(" where {column} is not null")
            } else {
                String::new()
            };
            selects.push(format!(
                "select {rest}{} as {}, {column} as {} from {}{drop}",
                text(name),
                quote(&self.name),
                quote(&self.value),
                input.table
            ));
        }
        Ok(vec![selects.join(" union all ")])
    }
}
