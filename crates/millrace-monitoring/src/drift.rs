//! Whether a column drifted: an effect large enough to matter that chance does not explain (the two keys), and quality rates beside it.

use serde::Serialize;

use crate::measure::{
    DriftError, benjamini_hochberg, chi_square, hellinger, jensen_shannon, kolmogorov_smirnov, psi,
    wasserstein,
};
use crate::sample::{ColumnKind, Sample};

/// An adjusted p-value below this is no accident.
pub const SIGNIFICANCE: f64 = 0.05;

/// Levels that a histogram shows by name.
const SHOWN_LEVELS: usize = 20;

/// What is asked of a comparison.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// Jensen-Shannon distance from which a column may count as drifted.
    pub threshold: f64,
    /// Usable rows that each side needs.
    pub min_rows: u64,
}

/// The verdict on a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Both keys turned.
    Drifted,
    /// Too small, or an accident.
    Stable,
    /// A side has fewer rows than wanted: no verdict.
    InsufficientData,
}

/// A number with its name and what it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measure {
    /// `psi`, `ks_d`, ….
    pub name: &'static str,
    /// The number.
    pub value: f64,
    /// How it is computed.
    pub definition: &'static str,
}

/// Shares of rows with a fault, both sides.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quality {
    /// `null_rate`, `nan_rate`, `infinity_rate`, `unseen_level_rate`, `out_of_range_rate`.
    pub name: &'static str,
    /// In the reference.
    pub reference: f64,
    /// In the current data.
    pub current: f64,
}

/// The comparison of one column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnReport {
    /// Its name.
    pub column: String,
    /// `numeric` or `categorical`.
    pub kind: &'static str,
    /// The measure that decides.
    pub metric: &'static str,
    /// How that is computed.
    pub definition: &'static str,
    /// Its value; absent if a side is empty.
    pub score: Option<f64>,
    /// From here on it may count as drifted.
    pub threshold: f64,
    /// The test that decides: `ks_two_sample` or `chi_square_two_sample`.
    pub test: &'static str,
    /// Of that test.
    pub p_value: Option<f64>,
    /// Adjusted for the columns of this comparison (Benjamini-Hochberg).
    pub adjusted_p: Option<f64>,
    /// The verdict.
    pub verdict: Verdict,
    /// Whether the verdict is drift.
    pub drifted: bool,
    /// Why, one sentence.
    pub reason: String,
    /// Rows of the reference.
    pub reference_rows: u64,
    /// Rows of the current data.
    pub current_rows: u64,
    /// Names of the bins, the same for both sides.
    pub bins: Vec<String>,
    /// Share of the usable reference rows in each bin.
    pub reference: Vec<f64>,
    /// Share of the usable current rows in each bin.
    pub current: Vec<f64>,
    /// The other measures.
    pub measures: Vec<Measure>,
    /// Quality beside drift.
    pub quality: Vec<Quality>,
}

const JS: &str = "square root of the Jensen-Shannon divergence, base 2";
const JS_DECILES: &str = "square root of the Jensen-Shannon divergence, base 2, over the reference's deciles";
const PSI: &str = "sum of (c - r) ln(c / r) over the same bins, shares at least 0.0001";
const HELLINGER: &str = "square root of half the sum of (sqrt r - sqrt c)^2 over the same bins";
const WASSERSTEIN: &str = "area between the distribution functions over the reference's standard deviation";
const KS_D: &str = "largest distance between the distribution functions";
const KS_P: &str = "two-sided, two-sample; exact up to 1,000,000 pairs of rows, else Kolmogorov's limit";
const CHI_SQUARE: &str = "two-sample chi-square, levels expected fewer than 5 times pooled";
const CRAMERS_V: &str = "square root of chi-square over all rows";

/// Compares columns, each a name with its kind, reference and current sample (finished). One family of tests: the p-values are
/// adjusted for all of them together.
pub fn compare(columns: &[(String, ColumnKind, Sample, Sample)], rule: Rule) -> Vec<ColumnReport> {
    let reports =
        columns.iter().map(|(name, kind, reference, current)| measure(name, *kind, reference, current, rule));
    judge(reports.collect(), rule)
}

/// Measures one column; its verdict waits for [`judge`].
pub fn measure(
    name: &str,
    kind: ColumnKind,
    reference: &Sample,
    current: &Sample,
    rule: Rule,
) -> ColumnReport {
    let bins = match kind {
        ColumnKind::Numeric => decile_bins(&reference.values, &current.values),
        ColumnKind::Categorical => level_bins(reference, current),
    };
    let found = match kind {
        ColumnKind::Numeric => numeric_measures(&bins, reference, current),
        ColumnKind::Categorical => categorical_measures(&bins),
    };
    let (score, p_value, measures) = match found {
        Ok((score, p_value, measures)) => (Some(score), Some(p_value), measures),
        Err(_) => (None, None, Vec::new()),
    };
    let shown = if kind == ColumnKind::Categorical { bins.pooled() } else { bins };
    let enough = reference.usable().min(current.usable()) >= rule.min_rows.max(1);
    let numeric = kind == ColumnKind::Numeric;
    ColumnReport {
        column: name.to_owned(),
        kind: if numeric { "numeric" } else { "categorical" },
        metric: "jensen_shannon",
        definition: if numeric { JS_DECILES } else { JS },
        score,
        threshold: rule.threshold,
        test: if numeric { "ks_two_sample" } else { "chi_square_two_sample" },
        p_value,
        adjusted_p: None,
        verdict: if enough { Verdict::Stable } else { Verdict::InsufficientData },
        drifted: false,
        reason: String::new(),
        reference_rows: reference.rows,
        current_rows: current.rows,
        reference: shares(&shown.reference),
        current: shares(&shown.current),
        bins: shown.names,
        measures,
        quality: quality(kind, reference, current),
    }
}

/// Turns both keys: score at least the threshold, and adjusted p below [`SIGNIFICANCE`].
pub fn judge(mut reports: Vec<ColumnReport>, rule: Rule) -> Vec<ColumnReport> {
    let mut decided: Vec<&mut ColumnReport> =
        reports.iter_mut().filter(|report| report.verdict != Verdict::InsufficientData).collect();
    let p_values: Vec<f64> = decided.iter().map(|report| report.p_value.unwrap_or(1.0)).collect();
    for (report, adjusted) in decided.iter_mut().zip(benjamini_hochberg(&p_values)) {
        let score = report.score.unwrap_or(0.0);
        report.adjusted_p = Some(adjusted);
        report.drifted = score >= rule.threshold && adjusted < SIGNIFICANCE;
        report.verdict = if report.drifted { Verdict::Drifted } else { Verdict::Stable };
        report.reason = if report.drifted {
            format!(
                "the distance {score:.3} reaches {} and the adjusted p-value is {adjusted:.2e}",
                rule.threshold
            )
        } else if score < rule.threshold {
            format!("the distance {score:.3} is below {}", rule.threshold)
        } else {
            format!(
                "the distance {score:.3} reaches {}, but the adjusted p-value {adjusted:.2} may be an accident",
                rule.threshold
            )
        };
    }
    for report in reports.iter_mut().filter(|report| report.verdict == Verdict::InsufficientData) {
        report.reason = format!("a side has fewer than {} usable rows", rule.min_rows.max(1));
    }
    reports
}

/// Rows of both sides in the same bins.
#[derive(Debug, Default)]
struct Bins {
    names: Vec<String>,
    reference: Vec<u64>,
    current: Vec<u64>,
}

impl Bins {
    fn push(&mut self, name: String, reference: u64, current: u64) {
        self.names.push(name);
        self.reference.push(reference);
        self.current.push(current);
    }

    /// The commonest levels by name, the rest together.
    fn pooled(self) -> Self {
        if self.names.len() <= SHOWN_LEVELS {
            return self;
        }
        let mut rows: Vec<_> =
            self.names.into_iter().zip(self.reference.into_iter().zip(self.current)).collect();
        rows.sort_by_key(|(_, (r, c))| std::cmp::Reverse(r + c));
        let rest = rows.split_off(SHOWN_LEVELS);
        let mut bins = Self::default();
        for (name, (r, c)) in rows {
            bins.push(name, r, c);
        }
        let (r, c) = rest.iter().fold((0, 0), |(r, c), (_, (a, b))| (r + a, c + b));
        bins.push(format!("{} others", rest.len()), r, c);
        bins
    }
}

/// Bins between the reference's distinct deciles; the outer two are open.
fn decile_bins(reference: &[f64], current: &[f64]) -> Bins {
    let mut edges: Vec<f64> =
        (1..10).filter_map(|k| reference.get(k * reference.len() / 10).copied()).collect();
    edges.dedup();
    let mut bins = Bins::default();
    let count = |values: &[f64], edge: f64| values.partition_point(|value| *value < edge) as u64;
    let mut before = (0, 0);
    let mut from: Option<f64> = None;
    for edge in edges {
        let upto = (count(reference, edge), count(current, edge));
        let name = from.map_or_else(|| format!("< {edge}"), |from| format!("{from} to {edge}"));
        bins.push(name, upto.0 - before.0, upto.1 - before.1);
        before = upto;
        from = Some(edge);
    }
    let name = from.map_or_else(|| "all".to_owned(), |from| format!(">= {from}"));
    bins.push(name, reference.len() as u64 - before.0, current.len() as u64 - before.1);
    bins
}

fn level_bins(reference: &Sample, current: &Sample) -> Bins {
    let mut bins = Bins::default();
    for (level, rows) in &reference.levels {
        bins.push(level.clone(), *rows, current.levels.get(level).copied().unwrap_or(0));
    }
    for (level, rows) in current.levels.iter().filter(|(level, _)| !reference.levels.contains_key(*level)) {
        bins.push(level.clone(), 0, *rows);
    }
    if reference.other + current.other > 0 {
        bins.push("other".to_owned(), reference.other, current.other);
    }
    bins
}

type Found = (f64, f64, Vec<Measure>);

fn numeric_measures(bins: &Bins, reference: &Sample, current: &Sample) -> Result<Found, DriftError> {
    let ks = kolmogorov_smirnov(&reference.values, &current.values)?;
    let mut measures = binned(bins)?;
    let area = wasserstein(&reference.values, &current.values)?;
    measures.push(Measure { name: "wasserstein_normalised", value: area, definition: WASSERSTEIN });
    measures.push(Measure { name: "ks_d", value: ks.statistic, definition: KS_D });
    measures.push(Measure { name: "ks_p", value: ks.p_value, definition: KS_P });
    Ok((jensen_shannon(&bins.reference, &bins.current)?, ks.p_value, measures))
}

fn categorical_measures(bins: &Bins) -> Result<Found, DriftError> {
    let chi = chi_square(&bins.reference, &bins.current)?;
    let mut measures = binned(bins)?;
    measures.push(Measure { name: "chi_square", value: chi.test.statistic, definition: CHI_SQUARE });
    measures.push(Measure { name: "chi_square_p", value: chi.test.p_value, definition: CHI_SQUARE });
    measures.push(Measure { name: "cramers_v", value: chi.cramers_v, definition: CRAMERS_V });
    Ok((jensen_shannon(&bins.reference, &bins.current)?, chi.test.p_value, measures))
}

fn binned(bins: &Bins) -> Result<Vec<Measure>, DriftError> {
    Ok(vec![
        Measure { name: "psi", value: psi(&bins.reference, &bins.current)?, definition: PSI },
        Measure {
            name: "hellinger",
            value: hellinger(&bins.reference, &bins.current)?,
            definition: HELLINGER,
        },
    ])
}

fn quality(kind: ColumnKind, reference: &Sample, current: &Sample) -> Vec<Quality> {
    let rate = |name, count: fn(&Sample) -> u64| Quality {
        name,
        reference: share(count(reference), reference.rows),
        current: share(count(current), current.rows),
    };
    let mut rates = vec![rate("null_rate", |sample| sample.nulls)];
    match kind {
        ColumnKind::Numeric => {
            rates.push(rate("nan_rate", |sample| sample.nans));
            rates.push(rate("infinity_rate", |sample| sample.infinities));
            let outside = match (reference.values.first(), reference.values.last()) {
                (Some(low), Some(high)) => {
                    current.values.iter().filter(|value| *value < low || *value > high).count() as u64
                }
                _ => 0,
            };
            rates.push(Quality {
                name: "out_of_range_rate",
                reference: 0.0,
                current: share(outside, current.rows),
            });
        }
        // A reference with more levels than are told apart cannot say which are new.
        ColumnKind::Categorical if reference.other > 0 => {}
        ColumnKind::Categorical => {
            let unseen = current.levels.iter().filter(|(level, _)| !reference.levels.contains_key(*level));
            let rows = unseen.map(|(_, rows)| rows).sum();
            rates.push(Quality {
                name: "unseen_level_rate",
                reference: 0.0,
                current: share(rows, current.rows),
            });
        }
    }
    rates
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn shares(counts: &[u64]) -> Vec<f64> {
    let whole = counts.iter().sum();
    counts.iter().map(|count| share(*count, whole)).collect()
}
