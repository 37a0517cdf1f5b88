use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Input, Kind, Transform, only};
use crate::flow::quote;

/// Changes the types of columns.
///
/// Types are `string`, `integer`, `float`, `boolean`, `date`, `timestamp`, or any SQL type such as `decimal(12, 2)`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cast {
    /// Column to type.
    columns: IndexMap<String, String>,
    /// What happens to a value that does not fit.
    #[serde(default)]
    on_error: OnError,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum OnError {
    /// The flow fails.
    #[default]
    Fail,
    /// It becomes null.
    Null,
}

impl Kind for Cast {
    const NAME: &'static str = "cast";
    const EXAMPLE: &'static str =
        "cast:\n  columns: {flight: string, time_hour: timestamp}\n  on_error: \"null\"";
}

impl Transform for Cast {
    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let input = only(inputs)?;
        for name in self.columns.keys() {
            input.column(name).map_err(|fault| fault.under(name).under("columns"))?;
        }
        let function = if self.on_error == OnError::Null { "try_cast" } else { "cast" };
        let mut list = Vec::new();
        for name in input.columns() {
            let column = quote(name);
            let Some(wanted) = self.columns.get(name) else {
                list.push(column);
                continue;
            };
            let call = format!("{function}({column} as {})", sql_type(wanted));
            // The place is one in a call that nobody wrote.
            input
                .checked(&call, &format!("the type `{wanted}` of the column `{name}`"))
                .map_err(|fault| Fault { within: None, ..fault }.under(name).under("columns"))?;
            list.push(format!("{call} as {column}"));
        }
        Ok(vec![format!("select {} from {}", list.join(", "), input.table)])
    }
}

fn sql_type(word: &str) -> &str {
    match word {
        "string" => "varchar",
        "integer" => "bigint",
        "float" => "double",
        other => other,
    }
}
