//! What is to be predicted: gathered batch by batch, then read as classes or as numbers.

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use arrow::error::ArrowError;
use indexmap::IndexSet;
use millrace_spec::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most classes that a classifier may tell apart.
const MAX_CLASSES: usize = 100;

/// Whole numbers with at most this many values are taken for classes.
const FEW_NUMBERS: usize = 10;

/// What a model predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// One of some classes.
    Classification,
    /// A number.
    Regression,
}

impl Task {
    /// The word in files.
    pub fn word(self) -> &'static str {
        match self {
            Self::Classification => "classification",
            Self::Regression => "regression",
        }
    }
}

/// The type of a target column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TargetKind {
    Truth,
    Text,
    Whole,
    Real,
}

impl TargetKind {
    pub(crate) fn of(name: &str, data_type: &DataType) -> Result<Self, Problem> {
        match data_type {
            DataType::Boolean => Ok(Self::Truth),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Ok(Self::Text),
            DataType::Dictionary(_, values) => Self::of(name, values),
            other if other.is_integer() => Ok(Self::Whole),
            other if other.is_numeric() => Ok(Self::Real),
            other => Err(Problem::error(
                "target-type",
                format!("the target `{name}` is {other}, which cannot be predicted"),
            )
            .hint("a target is a number, a text or a truth value; make one of it in a flow or with `sql:`")),
        }
    }
}

/// The values of a target column.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: TargetKind,
    /// For truth values and texts.
    labels: IndexSet<String>,
    codes: Vec<u32>,
    /// For numbers.
    numbers: Vec<f64>,
}

/// A target that a trainer can learn.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Resolved {
    pub(crate) task: Task,
    /// Labels in order; empty for regression.
    pub(crate) classes: Vec<String>,
    /// Why this task, if nobody said so.
    pub(crate) reason: Option<String>,
}

impl Target {
    pub(crate) fn new(name: &str, kind: TargetKind) -> Self {
        Self { name: name.to_owned(), kind, labels: IndexSet::new(), codes: Vec::new(), numbers: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.codes.len().max(self.numbers.len())
    }

    /// Adds a batch without nulls.
    pub(crate) fn add(&mut self, array: &ArrayRef) -> Result<(), ArrowError> {
        match self.kind {
            TargetKind::Truth | TargetKind::Text => {
                for text in cast(array, &DataType::Utf8)?.as_string::<i32>().iter().flatten() {
                    let code = match self.labels.get_index_of(text) {
                        Some(code) => code,
                        None => self.labels.insert_full(text.to_owned()).0,
                    };
                    self.codes.push(code as u32);
                }
            }
            TargetKind::Whole | TargetKind::Real => {
                let numbers = cast(array, &DataType::Float64)?;
                // Adding 0 turns −0 into 0, so that both are one class.
                self.numbers.extend(numbers.as_primitive::<Float64Type>().iter().flatten().map(|x| x + 0.0));
            }
        }
        Ok(())
    }

    /// Decides the task and names the classes.
    pub(crate) fn resolve(&self, asked: Option<Task>, able: &[Task]) -> Result<Resolved, Problem> {
        let (task, reason) = self.task(asked, able);
        if task == Task::Regression {
            if matches!(self.kind, TargetKind::Truth | TargetKind::Text) {
                let message = format!("the target `{}` is no number, so there is no regression", self.name);
                return Err(Problem::error("target-type", message)
                    .hint("use a trainer for classes: `trainer: logistic_regression`"));
            }
            let first = self.numbers.first();
            if self.numbers.iter().all(|value| Some(value) == first) {
                return Err(self.constant(&first.map(ToString::to_string).unwrap_or_default()));
            }
            return Ok(Resolved { task, classes: Vec::new(), reason });
        }
        let classes = self.classes()?;
        match classes.as_slice() {
            [] | [_] => Err(self.constant(&classes.concat())),
            classes if classes.len() > MAX_CLASSES => Err(Problem::error(
                "too-many-classes",
                format!(
                    "the target `{}` has {} values, more than the {MAX_CLASSES} classes that can be told apart",
                    self.name,
                    classes.len()
                ),
            )
            .hint("for numbers: `task: regression`; otherwise group the rare values in a flow")),
            _ => Ok(Resolved { task, classes, reason }),
        }
    }

    fn task(&self, asked: Option<Task>, able: &[Task]) -> (Task, Option<String>) {
        if let Some(task) = asked {
            return (task, None);
        }
        if let [only] = able {
            return (*only, None);
        }
        let because = |task: Task, why: &str| {
            let text = format!("task {}: `{}` {why}; `task:` would say otherwise", task.word(), self.name);
            (task, Some(text))
        };
        match self.kind {
            TargetKind::Truth | TargetKind::Text => (Task::Classification, None),
            TargetKind::Whole if self.few() => because(Task::Classification, "has few whole numbers"),
            TargetKind::Whole => because(Task::Regression, "has many whole numbers"),
            TargetKind::Real => because(Task::Regression, "is a number"),
        }
    }

    fn few(&self) -> bool {
        let mut seen: Vec<f64> = Vec::new();
        for value in &self.numbers {
            if !seen.contains(value) {
                seen.push(*value);
                if seen.len() > FEW_NUMBERS {
                    return false;
                }
            }
        }
        true
    }

    fn constant(&self, value: &str) -> Problem {
        let message =
            format!("the target `{}` is `{value}` in every row, so there is nothing to learn", self.name);
        Problem::error("constant-target", message)
    }

    /// Labels in order: numbers by size, texts by their letters.
    fn classes(&self) -> Result<Vec<String>, Problem> {
        if matches!(self.kind, TargetKind::Truth | TargetKind::Text) {
            let mut classes: Vec<String> = self.labels.iter().cloned().collect();
            classes.sort();
            return Ok(classes);
        }
        let mut numbers = self.numbers.clone();
        numbers.sort_unstable_by(f64::total_cmp);
        numbers.dedup();
        if let Some(odd) = numbers.iter().find(|number| number.fract() != 0.0) {
            let message = format!("the target `{}` has the value {odd}, which is no class", self.name);
            return Err(Problem::error("target-type", message).hint("task: regression"));
        }
        Ok(numbers.iter().map(ToString::to_string).collect())
    }

    /// Place of every row's class, or its number; `None` for a class that is not listed.
    pub(crate) fn values(&self, resolved: &Resolved) -> Vec<Option<f32>> {
        if resolved.task == Task::Regression {
            return self.numbers.iter().map(|value| Some(*value as f32)).collect();
        }
        if self.numbers.is_empty() {
            let places: Vec<Option<usize>> =
                self.labels.iter().map(|label| class_place(&resolved.classes, label)).collect();
            let place = |code: &u32| places.get(*code as usize).copied().flatten().map(|place| place as f32);
            return self.codes.iter().map(place).collect();
        }
        let place =
            |value: &f64| class_place(&resolved.classes, &value.to_string()).map(|place| place as f32);
        self.numbers.iter().map(place).collect()
    }

    /// Every row's number.
    pub(crate) fn numbers(&self) -> &[f64] {
        &self.numbers
    }

    /// Every row's label as text.
    pub(crate) fn texts(&self) -> Vec<String> {
        if self.numbers.is_empty() {
            let label = |code: &u32| self.labels.get_index(*code as usize).cloned().unwrap_or_default();
            return self.codes.iter().map(label).collect();
        }
        self.numbers.iter().map(ToString::to_string).collect()
    }
}

/// The place of a label among a model's classes. Models of other tools write truth values as `True` or `1`, and whole numbers as `1.0`.
pub fn class_place(classes: &[String], label: &str) -> Option<usize> {
    let exact = classes.iter().position(|class| class == label);
    let loose = || {
        let canonical = |text: &str| {
            let text = text.to_lowercase();
            match text.strip_suffix(".0").unwrap_or(&text) {
                "true" => "1".to_owned(),
                "false" => "0".to_owned(),
                other => other.to_owned(),
            }
        };
        let wanted = canonical(label);
        classes.iter().position(|class| canonical(class) == wanted)
    };
    exact.or_else(loose)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BooleanArray, Float64Array, Int32Array, StringArray};

    use super::*;

    const BOTH: &[Task] = &[Task::Classification, Task::Regression];

    fn target(array: ArrayRef) -> Target {
        let kind = TargetKind::of("y", array.data_type()).unwrap();
        let mut target = Target::new("y", kind);
        target.add(&array).unwrap();
        target
    }

    #[test]
    fn the_type_tells_the_task() {
        let resolved = target(Arc::new(BooleanArray::from(vec![true, false]))).resolve(None, BOTH).unwrap();
        assert_eq!(
            (resolved.task, resolved.classes),
            (Task::Classification, vec!["false".into(), "true".into()])
        );
        let whole = target(Arc::new(Int32Array::from(vec![10, 9, 10])));
        let resolved = whole.resolve(None, BOTH).unwrap();
        assert_eq!(resolved.classes, ["9", "10"], "numbers are sorted by size");
        assert_eq!(whole.values(&resolved), [Some(1.0), Some(0.0), Some(1.0)]);
        let many = target(Arc::new(Int32Array::from((0..50).collect::<Vec<_>>())));
        assert_eq!(many.resolve(None, BOTH).unwrap().task, Task::Regression);
        assert_eq!(many.resolve(Some(Task::Classification), BOTH).unwrap().classes.len(), 50);
        let real = target(Arc::new(Float64Array::from(vec![0.5, 1.0])));
        assert_eq!(real.resolve(None, BOTH).unwrap().task, Task::Regression);
        assert_eq!(real.resolve(Some(Task::Classification), BOTH).unwrap_err().hints, ["task: regression"]);
    }

    #[test]
    fn what_cannot_be_learned_is_refused() {
        let code = |array: ArrayRef| target(array).resolve(None, BOTH).unwrap_err().code;
        assert_eq!(code(Arc::new(StringArray::from(vec!["a", "a"]))), "constant-target");
        assert_eq!(code(Arc::new(Float64Array::from(vec![2.5, 2.5]))), "constant-target");
        let many: Vec<String> = (0..101).map(|k| k.to_string()).collect();
        assert_eq!(code(Arc::new(StringArray::from(many))), "too-many-classes");
    }

    #[test]
    fn labels_of_other_tools_are_found() {
        let classes = ["false".to_owned(), "true".to_owned()];
        assert_eq!(class_place(&classes, "True"), Some(1));
        assert_eq!(class_place(&["0".into(), "1".into()], "true"), Some(1));
        assert_eq!(class_place(&["0.0".into(), "1.0".into()], "1"), Some(1));
        assert_eq!(class_place(&classes, "maybe"), None);
    }
}
