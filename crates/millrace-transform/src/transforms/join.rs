use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::fuzzy::Fuzzy;
use super::{Fault, Input, Inputs, Kind, Transform};
use crate::flow::quote;

/// Brings two tables together by equal keys, by a condition, or by texts that are alike.
///
/// `from: [left, right]`. `semi` keeps the left rows that have a match, `anti` those that have none, `cross` pairs every row with every other. A
/// right column whose name the left table has too gets a suffix; the key columns appear once.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Join {
    /// Which rows stay.
    #[serde(default)]
    how: How,
    /// Key columns: a list if they are named alike, or left name to right name.
    #[serde(default)]
    on: Option<On>,
    /// A condition beside equal keys, or in their place: `l.at between r.valid_from and r.valid_to`. `l` is the left table, `r` the right one.
    #[serde(default, rename = "where")]
    condition: Option<String>,
    /// Texts that need only be alike.
    #[serde(default)]
    fuzzy: Option<Fuzzy>,
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
    Cross,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum On {
    One(String),
    Same(Vec<String>),
    Pairs(IndexMap<String, String>),
}

impl On {
    pub(super) fn pairs(&self) -> Vec<(String, String)> {
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
        let pairs = self.on.as_ref().map(On::pairs).unwrap_or_default();
        let mut conditions = Vec::new();
        for (l, r) in &pairs {
            let both = left.column(l).and_then(|l| Ok((l, right.column(r)?)));
            let (l, r) = both.map_err(|fault| fault.under("on"))?;
            conditions.push(format!("l.{l} = r.{r}"));
        }
        if let Some(condition) = &self.condition {
            conditions.push(super::both(left, right, condition).map_err(|fault| fault.under("where"))?);
        }
        let alike = match &self.fuzzy {
            Some(fuzzy) => Some(fuzzy.alike(left, right).map_err(|fault| fault.under("fuzzy"))?),
            None => None,
        };
        if let Some(alike) = &alike {
            conditions.extend(alike.conditions.iter().cloned());
        }
        match (self.how, conditions.is_empty()) {
            (How::Cross, true) => conditions.push("true".to_owned()),
            (How::Cross, false) => {
                return Err(
                    Fault::new("a cross join has no `on`, no `where` and no `fuzzy`").hinted("how: inner")
                );
            }
            (_, true) => return Err(Fault::new("`on` names no column").hinted("on: <column>")),
            (_, false) => {}
        }
        let words = match self.how {
            How::Inner | How::Cross => "join",
            How::Left => "left join",
            How::Right => "right join",
            How::Full => "full join",
            How::Semi => "left semi join",
            How::Anti => "left anti join",
        };
        let mut list = self.columns(left, right, &pairs);
        if let (Some(alike), Some(name)) = (alike, self.fuzzy.as_ref().and_then(|fuzzy| fuzzy.score.as_ref()))
        {
            if matches!(self.how, How::Semi | How::Anti) {
                let fault = Fault::new("`semi` and `anti` add no columns, and so no `score`");
                return Err(fault.under("score").under("fuzzy"));
            }
            let new = left.new_column(name).and_then(|_| right.new_column(name));
            let new = new.map_err(|fault| fault.under("score").under("fuzzy"))?;
            list.push(format!("{} as {new}", alike.score));
        }
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
