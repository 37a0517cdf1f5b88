use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Input, Kind, Names, Transform, only};

/// Orders the rows.
///
/// Each entry is a SQL expression, ascending unless it ends with `desc`; nulls come last.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Sort(Names);

impl Kind for Sort {
    const NAME: &'static str = "sort";
    const EXAMPLE: &'static str = "sort: [month, dep_delay desc]";
}

impl Transform for Sort {
    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let input = only(inputs)?;
        Ok(vec![format!("select * from {} order by {}", input.table, order(input, &self.0.list())?)])
    }
}

/// `order by`'s list, each expression checked.
pub(super) fn order(input: &Input<'_>, entries: &[String]) -> Result<String, Fault> {
    if entries.is_empty() {
        return Err(Fault::new("it names nothing to order by"));
    }
    let mut list = Vec::new();
    for entry in entries {
        let text = entry.trim();
        let lower = text.to_lowercase();
        let (expression, direction) = if lower.ends_with(" desc") {
            (text.get(..text.len() - 5), "desc")
        } else if lower.ends_with(" asc") {
            (text.get(..text.len() - 4), "asc")
        } else {
            (Some(text), "asc")
        };
        let expression = expression.unwrap_or(text);
        let checked = input.expression(expression, &format!("the order `{text}`"))?;
        list.push(format!("{checked} {direction} nulls last"));
    }
    Ok(list.join(", "))
}
