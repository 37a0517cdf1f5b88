//! `foreach:`, `matrix:` and `sweep:`: one step, many items.
//!
//! A list is known at the latest when the step's needs are over, so it may be what an earlier step produced. A matrix is the product of its
//! axes without what `exclude` names and with what `include` adds, by the rules of GitHub Actions.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::expression::{self, ExpressionError};
use crate::sweep::{SWEEP_OUTPUTS, Sweep};

/// Most items of one step; a longer list is a mistake more often than a wish.
pub const MAX_ITEMS: usize = 100_000;

/// Name of the output that has everything of every item.
pub const ITEMS: &str = "items";

/// What a step is done for, item by item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mapping {
    /// The items.
    pub over: Over,
    /// Items at once; as many as the workspace runs attempts if absent.
    #[serde(default)]
    pub parallel: Option<u32>,
    /// Whether the first failure that is not tolerated stops what runs.
    #[serde(default)]
    pub fail_fast: bool,
    /// Items that may fail without the step failing. Absent: every item is tried, and one failure fails the step in the end.
    #[serde(default)]
    pub max_failures: Option<u32>,
}

/// Where the items come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// A list, or an expression that gives one.
    Foreach(Value),
    /// The product of lists.
    Matrix {
        /// Name of each axis and its values: a list, or an expression that gives one.
        axes: IndexMap<String, Value>,
        /// Combinations to leave out; one names at least one axis.
        #[serde(default)]
        exclude: Vec<Value>,
        /// Values to add to fitting combinations, or combinations to add.
        #[serde(default)]
        include: Vec<Value>,
    },
    /// Points of a search space.
    Sweep(Sweep),
}

/// Why a step has no items.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MappingError {
    /// An expression has no value.
    #[error("{0}")]
    Expression(ExpressionError),
    /// Something else than a list.
    #[error("`{what}` is {found}, not a list")]
    NotAList {
        /// `foreach` or the axis.
        what: String,
        /// What it is.
        found: &'static str,
    },
    /// Too many.
    #[error("{count} items are more than {MAX_ITEMS}")]
    TooMany {
        /// How many.
        count: usize,
    },
}

impl Mapping {
    /// The word of its key.
    pub fn word(&self) -> &'static str {
        match self.over {
            Over::Foreach(_) => "foreach",
            Over::Matrix { .. } => "matrix",
            Over::Sweep(_) => "sweep",
        }
    }

    /// Names of the values that an item of a matrix or of a search has, without those that only some combinations have.
    pub fn axes(&self) -> Vec<&str> {
        match &self.over {
            Over::Foreach(_) => Vec::new(),
            Over::Matrix { axes, .. } => axes.keys().map(String::as_str).collect(),
            Over::Sweep(sweep) => sweep.search.keys().map(String::as_str).collect(),
        }
    }

    /// The search, if it is one.
    pub fn sweep(&self) -> Option<&Sweep> {
        match &self.over {
            Over::Sweep(sweep) => Some(sweep),
            Over::Foreach(_) | Over::Matrix { .. } => None,
        }
    }

    /// The items, in order. `values` is what expressions may name.
    ///
    /// # Errors
    /// If an expression has no value, gives something else than a list, or there are more than [`MAX_ITEMS`].
    pub fn items(&self, values: &Value) -> Result<Vec<Value>, MappingError> {
        let items = match &self.over {
            Over::Foreach(list) => self.list("foreach", list, values)?,
            Over::Sweep(sweep) => sweep.points(values)?,
            Over::Matrix { axes, exclude, include } => {
                let render = |all: &[Value]| -> Result<Vec<Value>, MappingError> {
                    all.iter()
                        .map(|value| expression::render(value, values).map_err(MappingError::Expression))
                        .collect()
                };
                let mut lists = Vec::with_capacity(axes.len());
                for (name, list) in axes {
                    lists.push((name.as_str(), self.list(name, list, values)?));
                }
                let count = lists.iter().map(|(_, list)| list.len()).fold(1_usize, usize::saturating_mul);
                if count > MAX_ITEMS {
                    return Err(MappingError::TooMany { count });
                }
                combinations(&lists, &render(exclude)?, &render(include)?)
            }
        };
        if items.len() > MAX_ITEMS {
            return Err(MappingError::TooMany { count: items.len() });
        }
        Ok(items)
    }

    fn list(&self, what: &str, list: &Value, values: &Value) -> Result<Vec<Value>, MappingError> {
        match expression::render(list, values).map_err(MappingError::Expression)? {
            Value::Array(items) => Ok(items),
            other => Err(MappingError::NotAList { what: what.to_owned(), found: word(&other) }),
        }
    }
}

/// What `steps.<id>` has of a step that is done for many items: each output as the list of what the items left, in their order, `none` where
/// one left nothing; and `items`, a list of mappings with `index`, `item`, `state` and the item's outputs.
///
/// A search has its `best` and its `trials` as well.
pub fn gathered_outputs(outputs: Vec<(String, String)>, mapping: &Mapping) -> Vec<(String, String)> {
    let lists = outputs.into_iter().map(|(name, type_name)| (name, format!("list[{type_name}]")));
    let searched: &[(&str, &str)] = if mapping.sweep().is_some() { &SWEEP_OUTPUTS } else { &[] };
    let own = [(ITEMS, "list[json]")].into_iter().chain(searched.iter().copied());
    let own: Vec<(String, String)> = own.map(|(name, word)| (name.to_owned(), word.to_owned())).collect();
    lists.filter(|(name, _)| own.iter().all(|(taken, _)| taken != name)).chain(own.clone()).collect()
}

/// A few characters by which people know an item: `lgbm`, `model=lgbm, depth=4`.
pub fn label(item: &Value) -> String {
    const LONGEST: usize = 80;
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let text = match item {
        Value::Object(fields) => match crate::asset::Asset::from_value(item) {
            Some(asset) => asset.label(),
            None => {
                let pairs: Vec<String> =
                    fields.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect();
                pairs.join(", ")
            }
        },
        other => plain(other),
    };
    if text.chars().count() <= LONGEST {
        return text;
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
}

pub(crate) fn word(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

/// The product of the axes, the last one fastest.
fn combinations(axes: &[(&str, Vec<Value>)], exclude: &[Value], include: &[Value]) -> Vec<Value> {
    let mut all: Vec<Map<String, Value>> = if axes.is_empty() { Vec::new() } else { vec![Map::new()] };
    for (name, values) in axes {
        all = all
            .iter()
            .flat_map(|begun| {
                values.iter().map(|value| {
                    let mut longer = begun.clone();
                    longer.insert((*name).to_owned(), value.clone());
                    longer
                })
            })
            .collect();
    }
    let fits = |combination: &Map<String, Value>, wanted: &Map<String, Value>| {
        wanted.iter().all(|(name, value)| combination.get(name) == Some(value))
    };
    all.retain(|combination| {
        !exclude.iter().filter_map(Value::as_object).any(|unwanted| fits(combination, unwanted))
    });
    let original = all.clone();
    for added in include.iter().filter_map(Value::as_object) {
        let on_axes: Map<String, Value> = added
            .iter()
            .filter(|(name, _)| axes.iter().any(|(axis, _)| axis == name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let mut found = false;
        for (combination, original) in all.iter_mut().zip(&original) {
            if fits(original, &on_axes) {
                found = true;
                combination.extend(added.clone());
            }
        }
        if !found {
            all.push(added.clone());
        }
    }
    all.into_iter().map(Value::Object).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn items(mapping: Value, values: Value) -> Result<Value, String> {
        let mapping: Mapping = serde_json::from_value(json!({"over": mapping})).unwrap();
        mapping.items(&values).map(Value::Array).map_err(|error| error.to_string())
    }

    #[test]
    fn a_list_may_be_what_a_step_produced() {
        let values = json!({"steps": {"list": {"files": ["a", "b"]}}, "inputs": {"n": 3}});
        assert_eq!(
            items(json!({"foreach": "${{ steps.list.files }}"}), values.clone()),
            Ok(json!(["a", "b"]))
        );
        assert_eq!(items(json!({"foreach": ["x", "${{ inputs.n }}"]}), values.clone()), Ok(json!(["x", 3])));
        assert_eq!(
            items(json!({"foreach": "${{ inputs.n }}"}), values.clone()),
            Err("`foreach` is a number, not a list".to_owned())
        );
        assert_eq!(
            items(json!({"foreach": "${{ range(0, 100001) | list }}"}), values),
            Err("`range(0, 100001) | list` cannot be computed: range has too many elements".to_owned())
        );
    }

    /// The example of GitHub's page "Running variations of jobs in a workflow", expanding configurations.
    #[test]
    fn a_matrix_includes_and_excludes_as_github_does() {
        let matrix = json!({"matrix": {
            "axes": {"fruit": ["apple", "pear"], "animal": ["cat", "dog"]},
            "include": [
                {"color": "green"},
                {"color": "pink", "animal": "cat"},
                {"fruit": "apple", "shape": "circle"},
                {"fruit": "banana"},
                {"fruit": "banana", "animal": "cat"},
            ],
        }});
        assert_eq!(
            items(matrix, json!({})),
            Ok(json!([
                {"fruit": "apple", "animal": "cat", "color": "pink", "shape": "circle"},
                {"fruit": "apple", "animal": "dog", "color": "green", "shape": "circle"},
                {"fruit": "pear", "animal": "cat", "color": "pink"},
                {"fruit": "pear", "animal": "dog", "color": "green"},
                {"fruit": "banana"},
                {"fruit": "banana", "animal": "cat"},
            ]))
        );
        let matrix = json!({"matrix": {"axes": {"os": ["a", "b"], "n": [1, 2]}, "exclude": [{"os": "a", "n": 1}, {"n": 2}]}});
        assert_eq!(items(matrix, json!({})), Ok(json!([{"os": "b", "n": 1}])));
    }

    #[test]
    fn a_matrix_that_is_too_large_is_refused_before_it_is_made() {
        let axis: Vec<u32> = (0..1_000).collect();
        let matrix = json!({"matrix": {"axes": {"a": axis, "b": axis, "c": axis}}});
        assert_eq!(items(matrix, json!({})), Err("1000000000 items are more than 100000".to_owned()));
    }

    #[test]
    fn an_item_is_known_by_a_few_characters() {
        assert_eq!(label(&json!("lgbm")), "lgbm");
        assert_eq!(label(&json!({"model": "lgbm", "depth": 4})), "model=lgbm, depth=4");
        assert_eq!(label(&json!("x".repeat(200))).chars().count(), 80);
    }
}
