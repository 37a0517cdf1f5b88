use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Input, Inputs, Kind, Transform};
use crate::flow::quote;

/// Puts the rows of several tables under each other.
///
/// Columns are matched by name; a table that lacks one gives nulls. `rows: distinct` keeps one of equal rows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Union {
    /// `all` rows, or `distinct` ones.
    #[serde(default)]
    rows: Rows,
}

#[derive(Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Rows {
    #[default]
    All,
    Distinct,
}

impl Kind for Union {
    const NAME: &'static str = "union";
    const EXAMPLE: &'static str = "union: {rows: all}";
}

impl Transform for Union {
    fn inputs(&self) -> Inputs {
        Inputs::Many
    }

    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let mut columns: Vec<&str> = Vec::new();
        for name in inputs.iter().flat_map(Input::columns) {
            if !columns.contains(&name) {
                columns.push(name);
            }
        }
        let selects: Vec<String> = inputs
            .iter()
            .map(|input| {
                let list: Vec<String> = columns
                    .iter()
                    .map(
                        |name| if input.has(name) { quote(name) } else { format!("null as {}", quote(name)) },
                    )
                    .collect();
                format!("select {} from {}", list.join(", "), input.table)
            })
            .collect();
        let between = if self.rows == Rows::All { " union all " } else { " union " };
        Ok(vec![selects.join(between)])
    }
}
