//! Rows that belong together although their texts are not quite the same.

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::Deserialize;

use super::join::On;
use super::{Fault, Input};
use crate::flow::text;

/// Text columns that need only be alike, beside the equal keys of `on`.
///
/// Every row is compared with every row that has the same keys, so keys keep it fast.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Fuzzy {
    /// Text columns: a list if they are named alike, or left name to right name.
    on: On,
    /// How alike each pair of texts is at least, from 0 to 1.
    #[serde(default = "usual")]
    threshold: f64,
    /// How it is measured.
    #[serde(default)]
    measure: Measure,
    /// Whether capitals differ from small letters.
    #[serde(default)]
    match_case: bool,
    /// Whether blanks count; `Data Base` is `DataBase` if not.
    #[serde(default)]
    match_spaces: bool,
    /// A new column with how alike the texts are: of several columns the mean.
    #[serde(default)]
    pub(super) score: Option<String>,
}

fn usual() -> f64 {
    0.8
}

#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Measure {
    /// By letters in common, those at the beginning more: for names.
    #[default]
    JaroWinkler,
    /// By letters that have to be changed: for mistyped words.
    Levenshtein,
    /// By pairs of letters in common: for words in another order.
    Dice,
}

/// What a fuzzy match is in SQL; the tables are `l` and `r`.
pub(super) struct Alike {
    /// Each of the texts is alike enough.
    pub(super) conditions: Vec<String>,
    /// How alike all are.
    pub(super) score: String,
}

impl Fuzzy {
    pub(super) fn alike(&self, left: &Input<'_>, right: &Input<'_>) -> Result<Alike, Fault> {
        if !(self.threshold > 0.0 && self.threshold <= 1.0) {
            let message = format!("the threshold {} is not above 0 and at most 1", self.threshold);
            return Err(Fault::new(message).under("threshold"));
        }
        let measure = match self.measure {
            Measure::JaroWinkler => "jaro_winkler",
            Measure::Levenshtein => "levenshtein",
            Measure::Dice => "dice",
        };
        let mut scores = Vec::new();
        for (l, r) in self.on.pairs() {
            let one = |side: &str, input: &Input<'_>, name: &str| self.compared(side, input, name);
            let both = one("l", left, &l).and_then(|l| Ok((l, one("r", right, &r)?)));
            let (l, r) = both.map_err(|fault| fault.under("on"))?;
            scores.push(format!("similarity({l}, {r}, {})", text(measure)));
        }
        if scores.is_empty() {
            return Err(Fault::new("`on` names no column").under("on"));
        }
        let threshold = format!("{:?}", self.threshold);
        Ok(Alike {
            conditions: scores.iter().map(|score| format!("{score} >= {threshold}")).collect(),
            score: format!("(({}) / {}.0)", scores.join(" + "), scores.len()),
        })
    }

    /// A column as it is compared.
    fn compared(&self, side: &str, input: &Input<'_>, name: &str) -> Result<String, Fault> {
        let kind = input.data_type(name)?;
        if !matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null) {
            let message = format!("the column `{name}` is {kind}; only texts can be alike");
            return Err(Fault::new(message).hinted("on: [<a column of both>]"));
        }
        let mut compared = format!("cast({side}.{} as varchar)", input.column(name)?);
        if !self.match_case {
            compared = format!("lower({compared})");
        }
        if !self.match_spaces {
            compared = format!("replace({compared}, ' ', '')");
        }
        Ok(compared)
    }
}
