//! `stop:` of a search: which trials end before they are through, a pure function of the numbers that the trials have logged.
//!
//! The rules are those of Azure ML's early termination policies; a trial counts as having got as far as it has logged values.

use serde::{Deserialize, Serialize};

use crate::sweep::{Goal, Objective};

/// Trials that must have got as far before a median means something.
const ENOUGH: usize = 3;

/// When trials end early.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stop {
    /// By which rule.
    pub rule: StopRule,
    /// Values that each trial may log first.
    pub after: u32,
    /// Values between two looks.
    pub every: u32,
}

/// The rules.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopRule {
    /// The trial's best value is worse than the median of the averages of the others up to there.
    Median,
    /// The trial's best value is worse than the best of all up to there by more than this.
    Bandit(Slack),
    /// The trial's best value is among the worst up to there, this many of a hundred.
    Truncation(u32),
}

/// How much worse than the best a trial may be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Slack {
    /// A share: 0.1 allows for 1 / 1.1 of the best when more is better, for 1.1 times the best when less is.
    Factor(f64),
    /// A difference.
    Amount(f64),
}

impl Stop {
    /// A rule that begins after `after` values.
    pub fn of(rule: StopRule) -> Self {
        Self { rule, after: 5, every: 1 }
    }

    /// Why a trial ends early, one clause; `None` if it goes on. `own` is what it has logged, oldest first, `others` what the others have.
    pub fn verdict(&self, objective: &Objective, own: &[f64], others: &[&[f64]]) -> Option<String> {
        let every = self.every.max(1) as usize;
        let at = own.len() / every * every;
        if at == 0 || at <= self.after as usize {
            return None;
        }
        let reached = others.iter().filter_map(|other| other.get(..at));
        let best_of = |values: &[f64]| {
            values
                .iter()
                .copied()
                .reduce(|best, value| if objective.is_better(value, best) { value } else { best })
        };
        let own_best = best_of(own.get(..at)?)?;
        let than = match self.rule {
            StopRule::Median => {
                let averages: Vec<f64> =
                    reached.map(|values| values.iter().sum::<f64>() / at as f64).collect();
                if averages.len() < ENOUGH {
                    return None;
                }
                let median = median(averages)?;
                if !objective.is_better(median, own_best) {
                    return None;
                }
                format!("the median of the others, {median}")
            }
            StopRule::Bandit(slack) => {
                let bests = reached.filter_map(best_of).chain([own_best]);
                let best = bests
                    .reduce(|best, value| if objective.is_better(value, best) { value } else { best })?;
                let limit = slack.limit(objective.goal, best);
                if !objective.is_better(limit, own_best) {
                    return None;
                }
                format!("{limit}, which the best, {best}, allows for")
            }
            StopRule::Truncation(percent) => {
                let bests: Vec<f64> = reached.filter_map(best_of).collect();
                let worst = (bests.len() + 1) * percent as usize / 100;
                let better = bests.iter().filter(|best| objective.is_better(**best, own_best)).count();
                // As many are worse or as good as fit into the share.
                if bests.len() - better >= worst {
                    return None;
                }
                format!("those of {better} of the {} others", bests.len())
            }
        };
        let metric = &objective.metric;
        Some(format!("after {at} values its best `{metric}`, {own_best}, is worse than {than}"))
    }
}

impl Slack {
    fn limit(self, goal: Goal, best: f64) -> f64 {
        let room = match (self, goal) {
            (Self::Amount(amount), _) => amount,
            // Of the size of the best, so that the best of negative numbers does not stop itself.
            (Self::Factor(factor), Goal::Maximize) => best.abs() * factor / (1.0 + factor),
            (Self::Factor(factor), Goal::Minimize) => best.abs() * factor,
        };
        match goal {
            Goal::Maximize => best - room,
            Goal::Minimize => best + room,
        }
    }
}

/// The middle of some numbers; of an even number of them the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.retain(|value| !value.is_nan());
    values.sort_by(f64::total_cmp);
    let (upper, lower) = (values.get(values.len() / 2)?, values.get(values.len().saturating_sub(1) / 2)?);
    Some(f64::midpoint(*lower, *upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stop: &Stop, objective: &str, own: &[f64], others: &[&[f64]], stops: bool) {
        let objective = Objective::parse(objective).unwrap();
        let verdict = stop.verdict(&objective, own, others);
        assert_eq!(verdict.is_some(), stops, "{own:?}: {verdict:?}");
    }

    #[test]
    fn the_median_is_that_of_the_averages_of_those_who_got_as_far() {
        let stop = Stop { after: 1, ..Stop::of(StopRule::Median) };
        // Averages of the first two: 0.5, 0.6, 0.7; the fourth has only begun.
        let others: [&[f64]; 4] = [&[0.4, 0.6, 0.9], &[0.5, 0.7], &[0.6, 0.8], &[0.99]];
        check(&stop, "maximize auc", &[0.1, 0.59], &others, true);
        check(&stop, "maximize auc", &[0.65, 0.2], &others, false);
        check(&stop, "minimize loss", &[0.65, 0.7], &others, true);
        check(&stop, "minimize loss", &[0.9, 0.55], &others, false);
        // Too early, and too few to compare with.
        check(&stop, "maximize auc", &[0.1], &others, false);
        check(&stop, "maximize auc", &[0.1, 0.1], &others[..2], false);
        let said = stop.verdict(&Objective::parse("maximize auc").unwrap(), &[0.1, 0.59], &others);
        assert_eq!(
            said.as_deref(),
            Some("after 2 values its best `auc`, 0.59, is worse than the median of the others, 0.6")
        );
    }

    #[test]
    fn a_bandit_compares_with_the_best_as_azure_ml_documents_it() {
        // The documentation's example: 0.8 is the best, a slack of 0.2, so what is below 0.8 / 1.2 = 0.667 ends.
        let stop = Stop { after: 0, ..Stop::of(StopRule::Bandit(Slack::Factor(0.2))) };
        check(&stop, "maximize auc", &[0.66], &[&[0.8]], true);
        check(&stop, "maximize auc", &[0.67], &[&[0.8]], false);
        check(&stop, "maximize auc", &[0.8], &[&[0.5]], false);
        check(&stop, "minimize loss", &[0.97], &[&[0.8]], true);
        check(&stop, "minimize loss", &[0.95], &[&[0.8]], false);
        check(&stop, "maximize score", &[-5.0], &[&[-9.0]], false);
        let amount = Stop { rule: StopRule::Bandit(Slack::Amount(0.1)), ..stop };
        check(&amount, "maximize auc", &[0.69], &[&[0.8]], true);
        check(&amount, "maximize auc", &[0.71], &[&[0.8]], false);
    }

    #[test]
    fn truncation_ends_a_share_of_the_worst() {
        let stop = Stop { after: 0, ..Stop::of(StopRule::Truncation(40)) };
        let others: [&[f64]; 4] = [&[0.9], &[0.8], &[0.7], &[0.3]];
        // Two of five: the worst and the second worst.
        check(&stop, "maximize auc", &[0.2], &others, true);
        check(&stop, "maximize auc", &[0.6], &others, true);
        check(&stop, "maximize auc", &[0.75], &others, false);
        check(&stop, "maximize auc", &[0.1], &[], false);
    }

    #[test]
    fn looks_are_so_many_values_apart() {
        let stop = Stop { after: 2, every: 3, rule: StopRule::Bandit(Slack::Amount(0.0)) };
        let other: [&[f64]; 1] = [&[0.9; 10]];
        check(&stop, "maximize auc", &[0.1; 2], &other, false);
        check(&stop, "maximize auc", &[0.1; 3], &other, true);
        // Between two looks what was true at the last one still counts: the look may come late.
        check(&stop, "maximize auc", &[0.1, 0.1, 0.1, 0.95], &other, true);
    }
}
