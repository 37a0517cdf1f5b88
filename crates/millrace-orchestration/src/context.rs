//! What `${{ }}` sees while a run goes on: `inputs`, `steps`, `run`, `secrets`, `window` where the pipeline has windows,
//! and `item`, `index` and `matrix` where there are items.

use std::collections::{BTreeSet, HashMap};

use indexmap::IndexMap;
use millrace_contract::StepError;
use millrace_spec::expression::{self, Reference};
use millrace_spec::ids::StepId;
use millrace_spec::mapping::{Mapping, Over};
use millrace_spec::pipeline::Step;
use millrace_spec::problem::Problem;
use millrace_spec::secret::{self, Secrets};
use millrace_spec::sweep::Sweep;
use serde_json::{Map, Value, json};

use crate::attempt::resolve_reference;
use crate::engine::Shared;
use crate::state::{RunSnapshot, StepState};

/// Which steps `succeeded()` and `failed()` look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConditionScope {
    /// The step's needs.
    Needs,
    /// Every step of the run, for `finally`.
    WholeRun,
}

/// Values with more elements than this are handed only to who names them: each expression costs a walk over all that it could name, and
/// ten thousand items would each be handed the list that they came from.
const LARGE: usize = 64;

/// The outputs and inputs that expressions name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// `steps.<id>.<name>`; `None` for the whole step.
    outputs: HashMap<String, Option<BTreeSet<String>>>,
    inputs: BTreeSet<String>,
}

impl Wanted {
    /// What the work of a step names.
    pub(crate) fn by_work_of(step: &Step) -> Self {
        let mut wanted = Self::default();
        for value in std::iter::once(&step.config).chain(step.inputs.values()).chain(step.env.values()) {
            wanted.add(expression::references(value));
        }
        wanted
    }

    /// What a bare expression names.
    pub(crate) fn by_expression(text: &str) -> Self {
        let mut wanted = Self::default();
        let bare = text.trim();
        let bare = bare.strip_prefix("${{").and_then(|rest| rest.strip_suffix("}}")).unwrap_or(bare);
        wanted.add(expression::references_of_expression(bare));
        wanted
    }

    /// What a value names.
    pub(crate) fn by_value(value: &Value) -> Self {
        let mut wanted = Self::default();
        wanted.add(expression::references(value));
        wanted
    }

    fn add(&mut self, references: Result<BTreeSet<Reference>, expression::ExpressionError>) {
        // What does not parse names nothing that could be computed either.
        for reference in references.unwrap_or_default() {
            match reference.path.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
                ["steps", step, output, ..] => {
                    let names =
                        self.outputs.entry((*step).to_owned()).or_insert_with(|| Some(BTreeSet::new()));
                    if let Some(names) = names {
                        names.insert((*output).to_owned());
                    }
                }
                ["steps", step] => {
                    self.outputs.insert((*step).to_owned(), None);
                }
                ["inputs", name, ..] => {
                    self.inputs.insert((*name).to_owned());
                }
                _ => {}
            }
        }
    }

    fn names_output(&self, step: &StepId, output: &str) -> bool {
        match self.outputs.get(step.as_str()) {
            Some(Some(names)) => names.contains(output),
            Some(None) => true,
            None => false,
        }
    }
}

fn is_large(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.len() > LARGE,
        Value::Object(fields) => fields.len() > LARGE,
        Value::String(text) => text.len() > 64 * LARGE,
        _ => false,
    }
}

/// The values that expressions of a step may name, but for `secrets`. `needs` has every step that they do name, since a reference is an
/// edge.
pub(crate) fn expression_context(run: &RunSnapshot, needs: &[StepId], wanted: &Wanted) -> Value {
    let mut steps = Map::new();
    for (id, step) in needs.iter().filter_map(|id| Some((id, run.steps.get(id)?))) {
        let mut entry = Map::new();
        if let Some(items) = &step.items {
            for name in items.outputs().into_iter().filter(|name| wanted.names_output(id, name)) {
                entry.insert(name.to_owned(), items.gathered(name));
            }
            if let Some(sweep) = sweep_of(run, id) {
                entry.insert("best".to_owned(), items.best(sweep).unwrap_or_default());
                if wanted.names_output(id, "trials") {
                    entry.insert("trials".to_owned(), items.trials(sweep));
                }
            }
        }
        if let Some(outcome) = &step.outcome {
            let outputs = outcome
                .outputs
                .iter()
                .filter(|(name, value)| !is_large(value) || wanted.names_output(id, name));
            entry.extend(outputs.map(|(name, value)| (name.clone(), value.clone())));
        }
        entry.insert("state".to_owned(), step.state.as_str().into());
        steps.insert(id.to_string(), Value::Object(entry));
    }
    let inputs = run.inputs.iter();
    let inputs = inputs.filter(|(name, value)| !is_large(value) || wanted.inputs.contains(*name));
    let inputs: Map<String, Value> = inputs.map(|(name, value)| (name.clone(), value.clone())).collect();
    let error = run.first_error().map(|(id, problem)| json!({"step": id, "message": problem.message}));
    let mut values = json!({
        "inputs": inputs,
        "steps": steps,
        "run": {
            "id": run.id,
            "pipeline": run.pipeline.name,
            "state": run.state.as_str(),
            "url": run.url,
            "error": error.unwrap_or_else(|| json!({"step": "", "message": ""})),
        },
    });
    if let Some(fields) = values.as_object_mut() {
        if let Some(window) = &run.window {
            fields.insert("window".to_owned(), window.clone());
        }
        if let Some(event) = &run.event {
            fields.insert("event".to_owned(), event.clone());
            fields.insert("events".to_owned(), json!(run.events));
        }
    }
    values
}

fn sweep_of<'a>(run: &'a RunSnapshot, id: &StepId) -> Option<&'a Sweep> {
    let step = run.pipeline.steps.get(id).or_else(|| run.pipeline.finally.get(id))?;
    step.mapping.as_ref()?.sweep()
}

/// Adds what only an item sees: `item` and `index`, and `matrix` where that is where it comes from.
pub(crate) fn add_item(values: &mut Value, mapping: &Mapping, item: u32, value: &Value) {
    let Some(fields) = values.as_object_mut() else { return };
    fields.insert("item".to_owned(), value.clone());
    fields.insert("index".to_owned(), item.into());
    if matches!(mapping.over, Over::Matrix { .. }) {
        fields.insert("matrix".to_owned(), value.clone());
    }
}

/// The items of a step, as its needs leave them.
pub(crate) fn items_of(run: &RunSnapshot, step: &Step, mapping: &Mapping) -> Result<Vec<Value>, Problem> {
    let lists = json!(mapping.over);
    let context = expression_context(run, &step.needs, &Wanted::by_value(&lists));
    mapping.items(&context).map_err(|error| {
        Problem::error("no-items", format!("the items of `{}` cannot be told: {error}", step.id))
            .at(step.place.clone())
            .hint(format!("mend `{}:` of `{}`", mapping.word(), step.id))
    })
}

/// What a run leaves for who started it.
pub(crate) fn run_outputs(run: &RunSnapshot) -> Result<IndexMap<String, Value>, Problem> {
    let all: Vec<StepId> = run.steps.keys().cloned().collect();
    let mut outputs = IndexMap::new();
    for (name, value) in &run.pipeline.outputs {
        let context = expression_context(run, &all, &Wanted::by_value(value));
        let value = expression::render(value, &context).map_err(|error| {
            Problem::error(
                "output-failed",
                format!("the output `{name}` of the pipeline cannot be computed: {error}"),
            )
        })?;
        outputs.insert(name.clone(), value);
    }
    Ok(outputs)
}

/// Evaluates an `if:`.
pub(crate) fn evaluate_condition(
    run: &RunSnapshot,
    step: &Step,
    text: &str,
    scope: ConditionScope,
) -> Result<bool, Problem> {
    let looked_at: Vec<&StepId> = match scope {
        ConditionScope::Needs => step.needs.iter().collect(),
        ConditionScope::WholeRun => run.pipeline.steps.keys().collect(),
    };
    let states = looked_at.iter().filter_map(|id| run.steps.get(*id)).map(|other| other.state);
    let failed = states.clone().any(|state| state.is_failure());
    let succeeded = !run.cancel_requested
        && states.clone().all(|state| {
            state.is_success() || scope == ConditionScope::WholeRun && state == StepState::Skipped
        });
    let any_succeeded = states.clone().any(|state| state.is_success());
    let status = expression::RunStatus { succeeded, failed, any_succeeded };
    let context = expression_context(run, &step.needs, &Wanted::by_expression(text));
    expression::evaluate_condition(text, &context, status).map_err(|error| {
        Problem::error(
            "condition-failed",
            format!("the condition of `{}` cannot be evaluated: {error}", step.id),
        )
        .at(step.place.clone())
        .hint(format!("mend `if: {text}`"))
    })
}

/// Fails for a step that names a secret which is there, but cannot be read.
pub(crate) fn refuse_unreadable(secrets: &Secrets, step: &Step) -> Result<(), StepError> {
    let mut values = std::iter::once(&step.config).chain(step.inputs.values()).chain(step.env.values());
    match values.find_map(|value| secrets.refusal(&user(step), value)) {
        Some(problem) => Err(StepError::permanent(problem.at(step.place.clone()))),
        None => Ok(()),
    }
}

/// Resolves the config of a step: `${{ }}` rendered or, in the fields `bound`, turned into parameters; references into assets.
///
/// A reference under the key `to` names something to be made and stays text.
pub(crate) async fn resolve_config(
    shared: &Shared,
    config: &Value,
    bound: &[&str],
    values: &Value,
    step: &Step,
) -> Result<Value, StepError> {
    let resolved = match config {
        Value::String(text) if bound.contains(&"") => bind(text, values, step)?,
        Value::Object(fields) => {
            let mut resolved = Map::new();
            for (name, value) in fields {
                let value = match value {
                    Value::String(text) if bound.contains(&name.as_str()) => bind(text, values, step)?,
                    other => render(other, values, step)?,
                };
                resolved.insert(name.clone(), value);
            }
            Value::Object(resolved)
        }
        other => render(other, values, step)?,
    };
    resolve_references(shared, resolved, step).await
}

/// Resolves a map of values such as `inputs:`.
pub(crate) async fn resolve_map(
    shared: &Shared,
    map: &IndexMap<String, Value>,
    values: &Value,
    step: &Step,
) -> Result<IndexMap<String, Value>, StepError> {
    let mut resolved = IndexMap::new();
    for (name, value) in map {
        let value = render(value, values, step)?;
        resolved.insert(name.clone(), resolve_references(shared, value, step).await?);
    }
    Ok(resolved)
}

fn bind(text: &str, values: &Value, step: &Step) -> Result<Value, StepError> {
    let bound = expression::render_bound(text, values).map_err(|error| expression_problem(&error, step))?;
    Ok(json!({"text": bound.text, "params": bound.params}))
}

fn render(value: &Value, values: &Value, step: &Step) -> Result<Value, StepError> {
    expression::render(value, values).map_err(|error| expression_problem(&error, step))
}

fn expression_problem(error: &expression::ExpressionError, step: &Step) -> StepError {
    let problem = secret::missing(&user(step), error).unwrap_or_else(|| {
        Problem::error(
            "expression-failed",
            format!("an expression of `{}` cannot be evaluated: {error}", step.id),
        )
    });
    StepError::permanent(problem.at(step.place.clone()))
}

/// The step as the user of a secret.
fn user(step: &Step) -> String {
    format!("the step `{}`", step.id)
}

fn resolve_references<'a>(
    shared: &'a Shared,
    value: Value,
    step: &'a Step,
) -> futures::future::BoxFuture<'a, Result<Value, StepError>> {
    Box::pin(async move {
        match value {
            Value::String(text)
                if text.starts_with("data:")
                    || text.starts_with("model:")
                    || text.starts_with("models:/") =>
            {
                resolve_reference(shared, &text, step).await
            }
            Value::Array(items) => {
                let mut resolved = Vec::with_capacity(items.len());
                for item in items {
                    resolved.push(resolve_references(shared, item, step).await?);
                }
                Ok(Value::Array(resolved))
            }
            Value::Object(fields) => {
                let mut resolved = Map::new();
                for (name, value) in fields {
                    let value =
                        if name == "to" { value } else { resolve_references(shared, value, step).await? };
                    resolved.insert(name, value);
                }
                Ok(Value::Object(resolved))
            }
            plain => Ok(plain),
        }
    })
}
