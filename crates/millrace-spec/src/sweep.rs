//! `sweep:`: a step that is done for many points of a search space, and the best of them.
//!
//! Which points those are is a pure function of the space and the seed: a run that is begun again tries the same ones.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use crate::early_stop::Stop;
use crate::expression;
use crate::mapping::{MAX_ITEMS, MappingError, word};

/// Outputs of a step with `sweep` beside the lists of what its trials left.
pub const SWEEP_OUTPUTS: [(&str, &str); 2] = [("best", "json"), ("trials", "list[json]")];

/// A search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    /// Name of each parameter and its values.
    pub search: IndexMap<String, Domain>,
    /// What is best.
    pub objective: Objective,
    /// How points are chosen.
    pub sampling: Sampling,
    /// How many are tried; all of a grid if absent.
    #[serde(default)]
    pub trials: Option<u32>,
    /// Other points for another number.
    #[serde(default)]
    pub seed: u64,
    /// When trials end early; never if absent.
    #[serde(default)]
    pub stop: Option<Stop>,
}

/// The values of a parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Domain {
    /// One of a list, or of what an expression gives.
    Choice(Value),
    /// A number between two, each as likely.
    Uniform([f64; 2]),
    /// A number between two positive ones whose logarithm is as likely everywhere.
    Loguniform([f64; 2]),
    /// A whole number from the first to below the second.
    Randint([i64; 2]),
}

/// What is best.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objective {
    /// Whether more or less is better.
    pub goal: Goal,
    /// A number that each trial leaves: an output, or a metric that it logs.
    pub metric: String,
}

/// Whether more or less is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// More.
    Maximize,
    /// Less.
    Minimize,
}

/// How points are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampling {
    /// Every combination of the lists, the last one fastest.
    Grid,
    /// Each on its own.
    Random,
}

impl Objective {
    /// Reads `maximize auc`.
    pub fn parse(text: &str) -> Option<Self> {
        let (goal, metric) = text.trim().split_once(char::is_whitespace)?;
        let goal = match goal {
            "maximize" => Goal::Maximize,
            "minimize" => Goal::Minimize,
            _ => return None,
        };
        let metric = metric.trim();
        (!metric.is_empty() && !metric.contains(char::is_whitespace))
            .then(|| Self { goal, metric: metric.to_owned() })
    }

    /// Whether one number is better than another. One that is no number is worse than any.
    pub fn is_better(&self, number: f64, than: f64) -> bool {
        match self.goal {
            _ if number.is_nan() => false,
            _ if than.is_nan() => true,
            Goal::Maximize => number > than,
            Goal::Minimize => number < than,
        }
    }
}

impl Sweep {
    /// The points, in order: mappings of parameters to values. `values` is what expressions may name.
    ///
    /// # Errors
    /// If an expression has no value or gives something else than a list, or there are more than [`MAX_ITEMS`].
    pub fn points(&self, values: &Value) -> Result<Vec<Value>, MappingError> {
        let mut domains: Vec<(&str, Drawn)> = Vec::with_capacity(self.search.len());
        for (name, domain) in &self.search {
            domains.push((name.as_str(), Drawn::of(name, domain, values)?));
        }
        let most = self.trials.map_or(usize::MAX, |trials| trials as usize);
        let count = match self.sampling {
            Sampling::Grid => domains.iter().map(|(_, domain)| domain.len()).fold(1, usize::saturating_mul),
            Sampling::Random => most,
        };
        let count = count.min(most);
        if count > MAX_ITEMS {
            return Err(MappingError::TooMany { count });
        }
        Ok((0..count).map(|trial| self.point(&domains, trial)).collect())
    }

    fn point(&self, domains: &[(&str, Drawn)], trial: usize) -> Value {
        let mut point = Map::new();
        match self.sampling {
            Sampling::Grid => {
                let mut rest = trial;
                for (name, domain) in domains.iter().rev() {
                    let len = domain.len().max(1);
                    point.insert((*name).to_owned(), domain.at(rest % len));
                    rest /= len;
                }
                // As the file has them.
                let order = domains
                    .iter()
                    .filter_map(|(name, _)| Some(((*name).to_owned(), point.get(*name)?.clone())));
                Value::Object(order.collect())
            }
            Sampling::Random => {
                for (place, (name, domain)) in domains.iter().enumerate() {
                    let share = share(self.seed, trial as u64, place as u64);
                    point.insert((*name).to_owned(), domain.draw(share));
                }
                Value::Object(point)
            }
        }
    }
}

/// A parameter's values with its expressions in place.
enum Drawn {
    Choice(Vec<Value>),
    Uniform([f64; 2]),
    Loguniform([f64; 2]),
    Randint([i64; 2]),
}

impl Drawn {
    fn of(name: &str, domain: &Domain, values: &Value) -> Result<Self, MappingError> {
        Ok(match domain {
            Domain::Choice(list) => {
                match expression::render(list, values).map_err(MappingError::Expression)? {
                    Value::Array(items) if !items.is_empty() => Self::Choice(items),
                    Value::Array(_) => {
                        return Err(MappingError::NotAList { what: name.to_owned(), found: "an empty list" });
                    }
                    other => {
                        return Err(MappingError::NotAList { what: name.to_owned(), found: word(&other) });
                    }
                }
            }
            Domain::Uniform(bounds) => Self::Uniform(*bounds),
            Domain::Loguniform(bounds) => Self::Loguniform(*bounds),
            Domain::Randint(bounds) => Self::Randint(*bounds),
        })
    }

    /// Values of a grid; the check refuses a grid of anything but lists and whole numbers.
    fn len(&self) -> usize {
        match self {
            Self::Choice(values) => values.len(),
            Self::Randint([from, until]) => usize::try_from(until.saturating_sub(*from)).unwrap_or(0),
            Self::Uniform(_) | Self::Loguniform(_) => 1,
        }
    }

    fn at(&self, place: usize) -> Value {
        match self {
            Self::Choice(values) => values.get(place).cloned().unwrap_or(Value::Null),
            Self::Randint([from, _]) => from.saturating_add_unsigned(place as u64).into(),
            Self::Uniform([from, _]) | Self::Loguniform([from, _]) => number(*from),
        }
    }

    /// The value at a share of the way, from 0 to below 1.
    fn draw(&self, share: f64) -> Value {
        match self {
            Self::Choice(_) | Self::Randint(_) => {
                let place = (share * self.len() as f64) as usize;
                self.at(place.min(self.len().saturating_sub(1)))
            }
            Self::Uniform([from, to]) => number(from + share * (to - from)),
            Self::Loguniform([from, to]) => number((from.ln() + share * (to.ln() - from.ln())).exp()),
        }
    }
}

fn number(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

/// A number from 0 to below 1 for a parameter of a trial: SplitMix64 (Steele, Lea, Flood 2014), of which each place of the stream can be
/// computed by itself.
fn share(seed: u64, trial: u64, place: u64) -> f64 {
    let mut word = seed.wrapping_add(
        0x9e37_79b9_7f4a_7c15_u64
            .wrapping_mul(trial.wrapping_mul(1_000_003).wrapping_add(place).wrapping_add(1)),
    );
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((word ^ (word >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sweep(search: Value, sampling: Sampling, trials: Option<u32>) -> Sweep {
        let objective = Objective::parse("maximize auc").unwrap();
        Sweep {
            search: serde_json::from_value(search).unwrap(),
            objective,
            sampling,
            trials,
            seed: 7,
            stop: None,
        }
    }

    #[test]
    fn a_grid_has_every_combination_once() {
        let search = json!({"depth": {"choice": "${{ inputs.depths }}"}, "rounds": {"randint": [1, 3]}});
        let values = json!({"inputs": {"depths": [4, 6]}});
        let all = json!([
            {"depth": 4, "rounds": 1}, {"depth": 4, "rounds": 2}, {"depth": 6, "rounds": 1}, {"depth": 6, "rounds": 2}
        ]);
        assert_eq!(
            sweep(search.clone(), Sampling::Grid, None).points(&values).map(Value::Array),
            Ok(all.clone())
        );
        let three = sweep(search.clone(), Sampling::Grid, Some(3)).points(&values).unwrap();
        assert_eq!(three, all.as_array().unwrap()[..3]);
        let wrong = sweep(search, Sampling::Grid, None).points(&json!({"inputs": {"depths": 4}}));
        assert_eq!(wrong.unwrap_err().to_string(), "`depth` is a number, not a list");
    }

    #[test]
    fn random_points_lie_in_their_ranges_fill_them_and_are_the_same_for_the_same_seed() {
        let search = json!({"rate": {"loguniform": [0.01, 1.0]}, "drop": {"uniform": [-1.0, 1.0]}, "n": {"randint": [0, 10]}, "kind": {"choice": ["a", "b"]}});
        let all = sweep(search, Sampling::Random, Some(4_000));
        let points = all.points(&json!({})).unwrap();
        assert_eq!(points, all.points(&json!({})).unwrap());
        assert_ne!(points, Sweep { seed: 8, ..all }.points(&json!({})).unwrap());
        let numbers =
            |name: &str| points.iter().map(|point| point[name].as_f64().unwrap()).collect::<Vec<_>>();
        let below = |name: &str, limit: f64| {
            numbers(name).iter().filter(|number| **number < limit).count() as f64 / 4_000.0
        };
        assert!(numbers("rate").iter().all(|rate| (0.01..=1.0).contains(rate)));
        assert!(numbers("drop").iter().all(|drop| (-1.0..=1.0).contains(drop)));
        // Half of them below the middle: of the logarithm, and of the number. A binomial share of 4000 has a deviation of 0.008.
        for (name, middle) in [("rate", 0.1), ("drop", 0.0), ("n", 5.0)] {
            assert!((below(name, middle) - 0.5).abs() < 0.05, "{name}: {}", below(name, middle));
        }
        assert!(
            points.iter().any(|point| point["kind"] == "b") && points.iter().any(|point| point["n"] == 9)
        );
    }

    #[test]
    fn an_objective_has_a_goal_and_a_metric() {
        let rmse = Objective::parse("minimize val/rmse").unwrap();
        assert!(rmse.is_better(1.0, 2.0) && !rmse.is_better(f64::NAN, 2.0) && rmse.is_better(2.0, f64::NAN));
        for wrong in ["auc", "maximise auc", "maximize", "maximize a b"] {
            assert_eq!(Objective::parse(wrong), None, "{wrong}");
        }
    }
}
