use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::columns::{Each, OneOrMany};
use super::{Fault, Input, Kind, Transform, only};
use crate::flow::quote;

/// Adds columns computed from others, or replaces them.
///
/// Each key is a column, each value a SQL expression over the columns that come in. A column of that name is replaced where it stands. Under
/// `each` stands what is done to every column that matches a pattern, whichever columns there are: `$$` is the column, `$0` its name.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Derive {
    /// What is done to every column that matches.
    #[serde(default)]
    each: OneOrMany<Each>,
    /// New column to expression.
    #[serde(flatten)]
    columns: IndexMap<String, String>,
}

impl Kind for Derive {
    const NAME: &'static str = "derive";
    const EXAMPLE: &'static str = "derive:\n  late: arr_delay > 15\n  speed: distance / (air_time / 60.0)\n  each: {match: {type: string}, as: trim($$)}";
}

impl Transform for Derive {
    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let input = only(inputs)?;
        let mut computed: IndexMap<String, String> = IndexMap::new();
        for each in self.each.list() {
            if each.drop {
                return Err(Fault::new("a `derive` leaves no column out")
                    .hinted("use `select`")
                    .under("each"));
            }
            for column in each.pattern.matching(input).map_err(|fault| fault.under("each"))? {
                let (sql, name) = each.of(input, column).map_err(|fault| fault.under("each"))?;
                computed.insert(name, sql);
            }
        }
        for (name, text) in &self.columns {
            let sql = input.expression(text, &format!("the column `{name}`"));
            computed.insert(name.clone(), sql.map_err(|fault| fault.under(name))?);
        }
        let mut list: Vec<String> = Vec::new();
        for column in input.columns() {
            list.push(match computed.shift_remove(column) {
                Some(sql) => format!("{sql} as {}", quote(column)),
                None => quote(column),
            });
        }
        list.extend(computed.iter().map(|(name, sql)| format!("{sql} as {}", quote(name))));
        Ok(vec![format!("select {} from {}", list.join(", "), input.table)])
    }
}
