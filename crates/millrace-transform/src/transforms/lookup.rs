use schemars::JsonSchema;
use serde::Deserialize;

use super::fuzzy::{Alike, Fuzzy};
use super::join::On;
use super::{Fault, Input, Inputs, Kind, Names, Transform, sort};
use crate::flow::quote;

/// Adds columns of a reference table to each row, without ever making a row more.
///
/// `from: [rows, reference]`. Rows without a match get nulls. Of several matches one is taken: `any`, or the `first` or `last` in an order; of texts
/// that are only alike (`fuzzy`) the one that is most so.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lookup {
    /// Key columns: a list if they are named alike, or name here to name in the reference.
    #[serde(default)]
    on: Option<On>,
    /// Texts that need only be alike.
    #[serde(default)]
    fuzzy: Option<Fuzzy>,
    /// Which of several matches.
    #[serde(default, rename = "match")]
    which: Which,
    /// Order of the reference for `first` and `last`, for example `[valid_from]`.
    #[serde(default)]
    order: Names,
    /// Columns of the reference to add; all but the keys if absent.
    #[serde(default)]
    columns: Names,
    /// Added to reference columns whose name is there already.
    #[serde(default = "suffix")]
    suffix: String,
    /// A new column that is true where a match was found.
    #[serde(default)]
    flag: Option<String>,
}

fn suffix() -> String {
    "_reference".to_owned()
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Which {
    /// Whichever; the same one for the same reference.
    #[default]
    Any,
    /// The first in `order`.
    First,
    /// The last in `order`.
    Last,
}

impl Kind for Lookup {
    const NAME: &'static str = "lookup";
    const EXAMPLE: &'static str = "lookup: {on: carrier, match: last, order: [valid_from], columns: [name]}";
}

impl Transform for Lookup {
    fn inputs(&self) -> Inputs {
        Inputs::Two
    }

    fn sql(&self, inputs: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        let [rows, reference] = inputs else {
            return Err(Fault::new("it reads two nodes: `from: [rows, reference]`"));
        };
        let pairs = self.on.as_ref().map(On::pairs).unwrap_or_default();
        let mut conditions = Vec::new();
        for (l, r) in &pairs {
            let (l, r) = rows
                .column(l)
                .and_then(|l| Ok((l, reference.column(r)?)))
                .map_err(|fault| fault.under("on"))?;
            conditions.push(format!("l.{l} = r.{r}"));
        }
        if let Some(fuzzy) = &self.fuzzy {
            let alike = fuzzy.alike(rows, reference).map_err(|fault| fault.under("fuzzy"))?;
            conditions.extend(alike.conditions.iter().cloned());
            return self.most_alike(rows, reference, (&pairs, &conditions, &alike));
        }
        if conditions.is_empty() {
            return Err(Fault::new("`on` names no column").under("on"));
        }
        let mut list: Vec<String> =
            rows.columns().into_iter().map(|name| format!("l.{}", quote(name))).collect();
        for (column, name) in self.added(rows, reference, &pairs)? {
            list.push(format!("r.{column} as {name}"));
        }
        if let Some(flag) = &self.flag {
            let new = rows.new_column(flag).map_err(|fault| fault.under("flag"))?;
            list.push(format!("r.\"#one\" is not null as {new}"));
        }
        let keys: Vec<String> = pairs.iter().map(|(_, r)| quote(r)).collect();
        Ok(vec![format!(
            "select {} from {} l left join (select * from (select *, row_number() over (partition by {} order by {}) as \"#one\" from {}) where \"#one\" = 1) r on {}",
            list.join(", "),
            rows.table,
            keys.join(", "),
            self.order(reference)?,
            reference.table,
            conditions.join(" and ")
        )])
    }
}

impl Lookup {
    /// Columns of the reference that are added, and their names from then on, quoted.
    fn added(
        &self,
        rows: &Input<'_>,
        reference: &Input<'_>,
        pairs: &[(String, String)],
    ) -> Result<Vec<(String, String)>, Fault> {
        let mut added = self.columns.list();
        if added.is_empty() {
            let keys = |name: &&str| !pairs.iter().any(|(_, r)| r == name);
            added = reference.columns().into_iter().filter(keys).map(str::to_owned).collect();
        }
        let named = added.iter().map(|name| {
            let column = reference.column(name).map_err(|fault| fault.under("columns"))?;
            let new = if rows.has(name) { format!("{name}{}", self.suffix) } else { name.clone() };
            Ok((column, quote(&new)))
        });
        named.collect()
    }

    /// Every row gets a number, since two may be equal, and of its matches the best one stays.
    fn most_alike(
        &self,
        rows: &Input<'_>,
        reference: &Input<'_>,
        (pairs, conditions, alike): (&[(String, String)], &[String], &Alike),
    ) -> Result<Vec<String>, Fault> {
        let mut list = rows.others(&[]);
        let mut joined: Vec<String> = list.iter().map(|column| format!("l.{column}")).collect();
        for (column, name) in self.added(rows, reference, pairs)? {
            joined.push(format!("r.{column} as {name}"));
            list.push(name);
        }
        let score = self.fuzzy.as_ref().and_then(|fuzzy| fuzzy.score.as_deref());
        if let Some(score) = score {
            let new = rows.new_column(score).map_err(|fault| fault.under("score").under("fuzzy"))?;
            list.push(format!("\"#score\" as {new}"));
        }
        if let Some(flag) = &self.flag {
            let new = rows.new_column(flag).map_err(|fault| fault.under("flag"))?;
            list.push(format!("\"#score\" is not null as {new}"));
        }
        let best = match self.which {
            Which::Any => format!("{} desc, ", alike.score),
            Which::First | Which::Last => String::new(),
        };
        Ok(vec![format!(
            "select {} from (select {}, {} as \"#score\", row_number() over (partition by l.\"#row\" order by {best}r.\"#place\") as \"#one\" \
from (select *, row_number() over () as \"#row\" from {}) l left join (select *, row_number() over (order by {}) as \"#place\" from {}) r on {}) where \"#one\" = 1",
            list.join(", "),
            joined.join(", "),
            alike.score,
            rows.table,
            self.order(reference)?,
            reference.table,
            conditions.join(" and ")
        )])
    }

    fn order(&self, reference: &Input<'_>) -> Result<String, Fault> {
        // All columns at the end: which of equal ones is taken must not depend on the order in which they were read.
        let all = reference.others(&[]).join(", ");
        let named = self.order.list();
        match (self.which, named.is_empty()) {
            (Which::Any, true) => Ok(all),
            (Which::Any, false) => {
                Err(Fault::new("`order` says which match is taken: `match: first` or `match: last`")
                    .under("order"))
            }
            (_, true) => Err(Fault::new("`first` and `last` take an `order`").under("match")),
            (which, false) => {
                let order = sort::directed(reference, &named, which == Which::Last);
                Ok(format!("{}, {all}", order.map_err(|fault| fault.under("order"))?))
            }
        }
    }
}
