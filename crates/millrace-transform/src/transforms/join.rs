use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Fault, Input, Inputs, Kind, Transform};
use crate::flow::quote;

/// Brings two tables together by equal keys.
///
/// `from: [left, right]`. `semi` keeps the left rows that have a match, `anti` those that have none. A right column whose name the left
/// table has too gets a suffix; the key columns appear once.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Join {
    /// Which rows stay.
    #[serde(default)]
    how: How,
    /// Key columns: a list if they are named alike, or left name to right name.
    on: On,
    /// Added to right columns whose name the left table has too.
    #[serde(default = "right_suffix")]
    suffix: String,
}

fn right_suffix() -> String {
    "_right".to_owned()
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum How {
    #[default]
    Inner,
    Left,
    Right,
    Full,
    Semi,
    Anti,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum On {
    One(String),
    Same(Vec<String>),
    Pairs(IndexMap<String, String>),
}

impl On {
    fn pairs(&self) -> Vec<(String, String)> {
        match self {
            Self::One(name) => vec![(name.clone(), name.clone())],
            Self::Same(names) => names.iter().map(|name| (name.clone(), name.clone())).collect(),
            Self::Pairs(pairs) => pairs.iter().map(|(l, r)| (l.clone(), r.clone())).collect(),
        }
    }
}

impl Kind for Join {
    const NAME: &'static str = "join";
    const EXAMPLE: &'static str = "join:\n  how: left\n  on: [origin, time_hour]";
}

impl Transform for Join {
    fn inputs(&self) -> Inputs {
        Inputs::Two
    }

    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let [left, right] = inputs else {
            return Err(Fault::new("a join reads two nodes: `from: [left, right]`"));
        };
        let pairs = self.on.pairs();
        if pairs.is_empty() {
            return Err(Fault::new("`on` names no column"));
        }
        let mut conditions = Vec::new();
        for (l, r) in &pairs {
            conditions.push(format!("l.{} = r.{}", left.column(l)?, right.column(r)?));
        }
        let words = match self.how {
            How::Inner => "join",
            How::Left => "left join",
            How::Right => "right join",
            How::Full => "full join",
            How::Semi => "left semi join",
            How::Anti => "left anti join",
        };
        let list = self.columns(left, right, &pairs);
        Ok(vec![format!(
            "select {} from {} l {words} {} r on {}",
            list.join(", "),
            left.table,
            right.table,
            conditions.join(" and ")
        )])
    }
}

impl Join {
    fn columns(&self, left: &Input<'_>, right: &Input<'_>, pairs: &[(String, String)]) -> Vec<String> {
        let mut list = Vec::new();
        for name in left.columns() {
            let column = quote(name);
            let key = pairs.iter().find(|(l, _)| l == name);
            list.push(match (key, self.how) {
                // Rows without a left side still have their key.
                (Some((_, r)), How::Right | How::Full) => {
                    format!("coalesce(l.{column}, r.{}) as {column}", quote(r))
                }
                _ => format!("l.{column}"),
            });
        }
        if matches!(self.how, How::Semi | How::Anti) {
            return list;
        }
        for name in right.columns().into_iter().filter(|name| !pairs.iter().any(|(_, r)| r == name)) {
            let column = quote(name);
            list.push(if left.has(name) {
                format!("r.{column} as {}", quote(&format!("{name}{}", self.suffix)))
            } else {
                format!("r.{column}")
            });
        }
        list
    }
}
