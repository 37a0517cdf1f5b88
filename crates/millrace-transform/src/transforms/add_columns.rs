use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Input, Inputs, Kind, Transform};
use crate::flow::quote;

/// Puts the columns of two tables beside each other, row by row.
///
/// `from: [left, right]`. Rows are paired in the order in which they come, which is certain only after a `sort`; the shorter table is filled
/// with nulls. A right column whose name the left table has too gets a suffix.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddColumns {
    /// Added to right columns whose name the left table has too.
    #[serde(default = "right_suffix")]
    suffix: String,
}

fn right_suffix() -> String {
    "_right".to_owned()
}

impl Kind for AddColumns {
    const NAME: &'static str = "add_columns";
    const EXAMPLE: &'static str = "add_columns: {suffix: _scored}";
}

impl Transform for AddColumns {
    fn inputs(&self) -> Inputs {
        Inputs::Two
    }

    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let [left, right] = inputs else {
            return Err(Fault::new("it reads two nodes: `from: [left, right]`"));
        };
        let mut list: Vec<String> =
            left.columns().into_iter().map(|name| format!("l.{}", quote(name))).collect();
        for name in right.columns() {
            let column = quote(name);
            list.push(if left.has(name) {
                format!("r.{column} as {}", quote(&format!("{name}{}", self.suffix)))
            } else {
                format!("r.{column}")
            });
        }
        let numbered = |table: &str| format!("(select *, row_number() over () as \"#row\" from {table})");
        Ok(vec![format!(
            "select {} from {} l full join {} r on l.\"#row\" = r.\"#row\" order by coalesce(l.\"#row\", r.\"#row\")",
            list.join(", "),
            numbered(&left.table),
            numbered(&right.table)
        )])
    }
}
