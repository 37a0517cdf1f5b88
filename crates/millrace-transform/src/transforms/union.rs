use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Input, Inputs, Kind, Transform};
use crate::flow::quote;

/// Puts the rows of several tables under each other.
///
/// Columns are matched by name, and a table that lacks one gives nulls; or by position, under the names of the first table.
/// `rows: distinct` keeps one of equal rows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Union {
    /// `all` rows, or `distinct` ones.
    #[serde(default)]
    rows: Rows,
    /// How columns are matched.
    #[serde(default, rename = "match")]
    by: By,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum By {
    /// By name.
    #[default]
    Name,
    /// By position.
    Position,
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
        let between = if self.rows == Rows::All { " union all " } else { " union " };
        if self.by == By::Position {
            return Ok(vec![by_position(inputs)?.join(between)]);
        }
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
        Ok(vec![selects.join(between)])
    }
}

fn by_position(inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
    let first = inputs.first().map(Input::columns).unwrap_or_default();
    let mut selects = Vec::new();
    for (place, input) in inputs.iter().enumerate() {
        let columns = input.columns();
        if columns.len() != first.len() {
            let message = format!(
                "the first table has {} columns and table {} has {}",
                first.len(),
                place + 1,
                columns.len()
            );
            return Err(Fault::new(message).hinted("match: name").under("match"));
        }
        let list: Vec<String> = columns
            .iter()
            .zip(&first)
            .map(|(column, name)| format!("{} as {}", quote(column), quote(name)))
            .collect();
        selects.push(format!("select {} from {}", list.join(", "), input.table));
    }
    Ok(selects)
}
