use arrow::array::RecordBatch;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fitted::{number, real, row};
use super::{Fault, Fitted, Input, Kind, Learned, Transform};
use crate::flow::{quote, text};

/// Groups numbers into bins.
///
/// A value becomes the number of its bin, from 0, or the bin's label. A bin includes its lower edge. `quantiles` makes bins of equally many
/// rows, `width` bins of equal width between the smallest and the largest value; values beyond those belong to the outer bins. `edges` are
/// given ones: what is below the first is bin 0. The learned edges are kept with the run and can be applied to other rows.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Bin(IndexMap<String, Bins>);

/// How a column is cut.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Bins {
    /// So many bins of equally many rows.
    #[serde(default)]
    quantiles: Option<u16>,
    /// So many bins of equal width.
    #[serde(default)]
    width: Option<u16>,
    /// Between these edges, and beyond them.
    #[serde(default)]
    edges: Option<Vec<f64>>,
    /// Names of the bins, from the lowest; their numbers if absent.
    #[serde(default)]
    labels: Option<Vec<String>>,
    /// A new column for the bins; the column itself becomes them if absent.
    #[serde(default, rename = "as")]
    into: Option<String>,
}

/// The inner edges of each column's bins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Edges {
    columns: IndexMap<String, Cuts>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Cuts {
    /// A value is in the bin whose number is the count of cuts that it reaches.
    cuts: Vec<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<String>>,
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    into: Option<String>,
}

impl Kind for Bin {
    const NAME: &'static str = "bin";
    const EXAMPLE: &'static str = "bin:\n  distance: {quantiles: 4}\n  dep_delay: {edges: [0, 15, 60], labels: [early, small, late, very late], as: delay_class}";
}

impl Transform for Bin {
    fn fitted(&self) -> Option<&dyn Fitted> {
        Some(self)
    }

    fn sql(&self, _: &[Input<'_>]) -> Result<Vec<String>, Fault> {
        Err(Fault::new("it must learn first"))
    }
}

impl Fitted for Bin {
    fn asks(&self, input: &Input<'_>) -> Result<Vec<String>, Fault> {
        let mut list = vec!["count(*) as n".to_owned()];
        for (place, (name, bins)) in self.0.iter().enumerate() {
            bins.check().map_err(|fault| fault.under(name))?;
            let column =
                format!("cast({} as double)", input.number(name).map_err(|fault| fault.under(name))?);
            if let Some(count) = bins.quantiles {
                for cut in 1..count {
                    let share = f64::from(cut) / f64::from(count);
                    list.push(format!(
                        "percentile_cont({share:?}) within group (order by {column}) as q{place}_{cut}"
                    ));
                }
            } else if bins.width.is_some() {
                list.push(format!("min({column}) as a{place}, max({column}) as b{place}"));
            }
        }
        Ok(vec![format!("select {} from {}", list.join(", "), input.table)])
    }

    fn learn(&self, _: &Input<'_>, answers: &[Vec<RecordBatch>]) -> Result<Learned, Fault> {
        let row = row(answers, 0);
        let mut columns = IndexMap::new();
        for (place, (name, bins)) in self.0.iter().enumerate() {
            let mut cuts = match (bins.quantiles, bins.width, &bins.edges) {
                (Some(count), ..) => {
                    (1..count).filter_map(|cut| number(&row, &format!("q{place}_{cut}"))).collect()
                }
                (_, Some(count), _) => {
                    let bound = |letter: char| number(&row, &format!("{letter}{place}"));
                    let (from, to) = (bound('a').unwrap_or(0.0), bound('b').unwrap_or(0.0));
                    let step = (to - from) / f64::from(count);
                    (1..count).map(|cut| from + step * f64::from(cut)).collect()
                }
                (None, None, edges) => edges.clone().unwrap_or_default(),
            };
            // Many equal values give equal quantiles; a bin without width would never have a row.
            cuts.dedup();
            if let Some(labels) = bins.labels.as_ref().filter(|labels| labels.len() != cuts.len() + 1) {
                let message = format!(
                    "`{name}` has {} labels for {} bins: its quantiles are not all different",
                    labels.len(),
                    cuts.len() + 1
                );
                return Err(Fault::new(message).hinted("give `edges`, or fewer bins").under(name));
            }
            let (labels, into) = (bins.labels.clone(), bins.into.clone());
            columns.insert(name.clone(), Cuts { cuts, labels, into });
        }
        Ok(Learned::Bin(Edges { columns }))
    }
}

impl Bins {
    fn check(&self) -> Result<(), Fault> {
        let bins = match (self.quantiles, self.width, &self.edges) {
            (Some(count), None, None) | (None, Some(count), None) => usize::from(count),
            (None, None, Some(edges)) => {
                if !edges.is_sorted_by(|a, b| a < b) {
                    return Err(Fault::new("`edges` must become larger from one to the next").under("edges"));
                }
                edges.len() + 1
            }
            _ => {
                let fault = Fault::new("bins are made by one of `quantiles`, `width` and `edges`");
                return Err(fault.hinted("{quantiles: 4}"));
            }
        };
        if bins < 2 {
            return Err(Fault::new("there are at least two bins"));
        }
        match &self.labels {
            Some(labels) if labels.len() != bins => {
                Err(Fault::new(format!("there are {} labels for {bins} bins", labels.len())).under("labels"))
            }
            _ => Ok(()),
        }
    }
}

impl Edges {
    pub(super) fn sql(&self, input: &Input<'_>) -> Result<String, Fault> {
        for (name, cuts) in &self.columns {
            input.number(name).map_err(|fault| fault.under(name))?;
            if let Some(into) = &cuts.into {
                input.new_column(into).map_err(|fault| fault.under("as").under(name))?;
            }
        }
        let mut list = Vec::new();
        for name in input.columns() {
            let column = quote(name);
            match self.columns.get(name) {
                Some(cuts) if cuts.into.is_none() => list.push(format!("{} as {column}", cuts.sql(&column))),
                _ => list.push(column),
            }
        }
        for (name, cuts) in &self.columns {
            if let Some(into) = &cuts.into {
                list.push(format!("{} as {}", cuts.sql(&quote(name)), quote(into)));
            }
        }
        Ok(format!("select {} from {}", list.join(", "), input.table))
    }
}

impl Cuts {
    fn sql(&self, column: &str) -> String {
        let named = |bin: usize| match self.labels.as_ref().and_then(|labels| labels.get(bin)) {
            Some(label) => text(label),
            None => bin.to_string(),
        };
        let mut sql = format!("case when {column} is null then null");
        for (bin, cut) in self.cuts.iter().enumerate() {
            sql += &format!(" when cast({column} as double) < {} then {}", real(*cut), named(bin));
        }
        format!("{sql} else {} end", named(self.cuts.len()))
    }
}
