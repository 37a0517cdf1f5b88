use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Input, Kind, Names, Transform, only};
use crate::flow::{quote, text};

/// Checks every row against rules; a row that breaks one fails the flow, or goes to an output of its own.
///
/// A rule is a condition that must be true (a null is not), or columns whose values must be unique together. With `on_failure: divert`, later
/// nodes read `<node>.passed`, and `<node>.failed` with the broken rules in the column `assert_messages`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Assert {
    /// Name to rule.
    rules: IndexMap<String, Rule>,
    /// What becomes of rows that break a rule.
    #[serde(default)]
    on_failure: OnFailure,
}

/// A rule: `expect` or `unique`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rule {
    /// A SQL condition that holds for every row.
    #[serde(default)]
    expect: Option<String>,
    /// Columns of which no two rows have the same values.
    #[serde(default)]
    unique: Names,
    /// What is said of a row that breaks it; the rule itself if absent.
    #[serde(default)]
    message: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum OnFailure {
    /// The flow fails and says which row broke which rule.
    #[default]
    Fail,
    /// The row goes to `<node>.failed`.
    Divert,
}

const MESSAGES: &str = "assert_messages";

impl Kind for Assert {
    const NAME: &'static str = "assert";
    const EXAMPLE: &'static str = "assert:\n  rules:\n    distance_positive: {expect: distance > 0, message: a flight without a distance}\n    one_row_a_flight: {unique: [carrier, flight, time_hour]}\n  on_failure: divert";
}

impl Transform for Assert {
    fn parts(&self) -> Vec<String> {
        match self.on_failure {
            OnFailure::Fail => Vec::new(),
            OnFailure::Divert => vec!["passed".to_owned(), "failed".to_owned()],
        }
    }

    fn has_base(&self) -> bool {
        self.on_failure == OnFailure::Divert
    }

    fn base(&self, inputs: &[Input<'_>]) -> Result<String, Fault> {
        let input = only(inputs)?;
        let new = input.new_column(MESSAGES)?;
        Ok(format!("select *, {} as {new} from {}", self.messages(input)?, input.table))
    }

    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let input = only(inputs)?;
        let messages = quote(MESSAGES);
        let list = input.others(&[MESSAGES]).join(", ");
        if self.on_failure == OnFailure::Divert {
            let table = &input.table;
            return Ok(vec![
                format!("select {list} from {table} where {messages} = ''"),
                format!("select * from {table} where {messages} <> ''"),
            ]);
        }
        let pairs: Vec<String> =
            input.columns().into_iter().map(|name| format!("{}, {}", text(name), quote(name))).collect();
        Ok(vec![format!(
            "select {list} from (select *, {} as {messages} from {}) where assert_none({messages}, named_struct({}))",
            self.messages(input)?,
            input.table,
            pairs.join(", ")
        )])
    }
}

impl Assert {
    /// The names and messages of the rules that a row breaks, with `; ` between them; empty if it breaks none.
    fn messages(&self, input: &Input<'_>) -> Result<String, Fault> {
        let mut list = Vec::new();
        for (name, rule) in &self.rules {
            let (kept, default) = rule.sql(input, name).map_err(|fault| fault.under(name).under("rules"))?;
            let message = format!("{name}: {}", rule.message.as_ref().unwrap_or(&default));
            list.push(format!("case when {kept} then null else {} end", text(&message)));
        }
        if list.is_empty() {
            return Err(Fault::new("`rules` names no rule").under("rules"));
        }
        Ok(format!("concat_ws('; ', {})", list.join(", ")))
    }
}

impl Rule {
    fn sql(&self, input: &Input<'_>, name: &str) -> Result<(String, String), Fault> {
        let unique = self.unique.list();
        match (&self.expect, unique.is_empty()) {
            (Some(condition), true) => {
                let kept = input.condition(condition, &format!("the rule `{name}`"));
                Ok((kept.map_err(|fault| fault.under("expect"))?, format!("`{condition}` is not true")))
            }
            (None, false) => {
                let by = input.list(&unique).map_err(|fault| fault.under("unique"))?;
                let kept = format!("count(*) over (partition by {by}) = 1");
                Ok((kept, format!("`{}` is there more than once", unique.join("`, `"))))
            }
            _ => {
                let fault = Fault::new("a rule has either `expect` or `unique`");
                Err(fault.hinted("{expect: amount > 0}"))
            }
        }
    }
}
