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
    directed(input, entries, false)
}

/// The same, or the other way round; nulls come last both ways.
pub(super) fn directed(input: &Input<'_>, entries: &[String], reversed: bool) -> Result<String, Fault> {
    if entries.is_empty() {
        return Err(Fault::new("it names nothing to order by"));
    }
    let mut list = Vec::new();
    for (place, entry) in entries.iter().enumerate() {
        let text = entry.trim_end();
        let lower = text.to_lowercase();
        let (expression, descending) = if lower.ends_with(" desc") {
            (text.get(..text.len() - 5), true)
        } else if lower.ends_with(" asc") {
            (text.get(..text.len() - 4), false)
        } else {
            (Some(text), false)
        };
        let expression = expression.unwrap_or(text);
        let checked = input
            .expression(expression, &format!("the order `{}`", text.trim()))
            .map_err(|fault| if entries.len() > 1 { fault.under(&place.to_string()) } else { fault })?;
        let direction = if descending == reversed { "asc" } else { "desc" };
        list.push(format!("{checked} {direction} nulls last"));
    }
    Ok(list.join(", "))
}
