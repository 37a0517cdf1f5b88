use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Input, Kind, Names, Transform, only};
use crate::flow::quote;

/// Writes columns as JSON text: structs, lists, or anything else.
///
/// To keep the column too, use `derive` with the function `to_json`.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Stringify(Names);

impl Kind for Stringify {
    const NAME: &'static str = "stringify";
    const EXAMPLE: &'static str = "stringify: [address, items]";
}

impl Transform for Stringify {
    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let input = only(inputs)?;
        let wanted = self.0.list();
        for name in &wanted {
            input.column(name)?;
        }
        let list: Vec<String> = input
            .columns()
            .into_iter()
            .map(|name| {
                let column = quote(name);
                if wanted.iter().any(|one| one == name) {
                    format!("to_json({column}) as {column}")
                } else {
                    column
                }
            })
            .collect();
        Ok(vec![format!("select {} from {}", list.join(", "), input.table)])
    }
}
