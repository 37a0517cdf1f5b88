use indexmap::IndexMap;
use millrace_contract::RowChange;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Input, Kind, Transform, only};
use crate::flow::text;

/// Says of each row what a table that keeps it is to do: insert, update, upsert or delete.
///
/// The word goes into a column of its own, which a copy with `write: {apply_changes: {keys: [id]}}` reads. The first condition that is true decides; a row that meets none gets `otherwise`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AlterRow {
    /// What to do, and the SQL condition for it, tried in this order.
    when: IndexMap<RowChange, String>,
    /// What is done with a row that meets none.
    #[serde(default)]
    otherwise: Otherwise,
    /// Name of the new column.
    #[serde(default = "op", rename = "as")]
    into: String,
}

fn op() -> String {
    "_op".to_owned()
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Otherwise {
    /// It is inserted.
    #[default]
    Insert,
    /// It is left out.
    Drop,
}

impl Kind for AlterRow {
    const NAME: &'static str = "alter_row";
    const EXAMPLE: &'static str = "alter_row:\n  when: {delete: cancelled, upsert: version > 1}";
}

impl Transform for AlterRow {
    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let input = only(inputs)?;
        let new = input.new_column(&self.into).map_err(|fault| fault.under("as"))?;
        let mut cases = String::new();
        for (act, condition) in &self.when {
            let word = act.word();
            let met = input.condition(condition, &format!("the condition of `{word}`"));
            let met = met.map_err(|fault| fault.under(word).under("when"))?;
            cases += &format!(" when {met} then {}", text(word));
        }
        if cases.is_empty() {
            return Err(Fault::new("`when` says nothing").under("when").hinted("when: {delete: cancelled}"));
        }
        let (else_, condition) = match self.otherwise {
            Otherwise::Insert => (text("insert"), String::new()),
            Otherwise::Drop => ("null".to_owned(), format!(" where {new} is not null")),
        };
        Ok(vec![format!(
            "select * from (select *, case{cases} else {else_} end as {new} from {}){condition}",
            input.table
        )])
    }
}
