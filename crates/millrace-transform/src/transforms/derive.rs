use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Input, Kind, Transform, only};
use crate::flow::quote;

/// Adds columns computed from others, or replaces them.
///
/// Each key is a column, each value a SQL expression over the columns that come in. A column of that name is replaced where it stands.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Derive(IndexMap<String, String>);

impl Kind for Derive {
    const NAME: &'static str = "derive";
    const EXAMPLE: &'static str = "derive:\n  late: arr_delay > 15\n  speed: distance / (air_time / 60.0)";
}

impl Transform for Derive {
    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let input = only(inputs)?;
        let computed = |name: &str, expression: &str| {
            Ok(format!(
                "{} as {}",
                input.expression(expression, &format!("the column `{name}`"))?,
                quote(name)
            ))
        };
        let mut list = Vec::new();
        for column in input.columns() {
            list.push(match self.0.get(column) {
                Some(expression) => computed(column, expression)?,
                None => quote(column),
            });
        }
        for (name, expression) in self.0.iter().filter(|(name, _)| !input.has(name)) {
            list.push(computed(name, expression)?);
        }
        Ok(vec![format!("select {} from {}", list.join(", "), input.table)])
    }
}
