//! What `${{ }}` sees while a run goes on: `inputs`, `steps`, `run`, `secrets`, `window`.

use indexmap::IndexMap;
use millrace_contract::StepError;
use millrace_spec::expression;
use millrace_spec::ids::StepId;
use millrace_spec::pipeline::Step;
use millrace_spec::problem::Problem;
use millrace_spec::secret::{self, Secrets};
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

/// The values that expressions of a step may name. `needs` has every step that they do name, since a reference is an edge.
pub(crate) fn expression_context(run: &RunSnapshot, needs: &[StepId], secrets: &Secrets) -> Value {
    let mut steps = Map::new();
    for (id, step) in needs.iter().filter_map(|id| Some((id, run.steps.get(id)?))) {
        let mut entry = Map::new();
        if let Some(outcome) = &step.outcome {
            entry.extend(outcome.outputs.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        entry.insert("state".to_owned(), step.state.as_str().into());
        steps.insert(id.to_string(), Value::Object(entry));
    }
    let error = run.first_error().map(|(id, problem)| json!({"step": id, "message": problem.message}));
    let mut values = json!({
        "inputs": run.inputs,
        "steps": steps,
        "run": {
            "id": run.id,
            "pipeline": run.pipeline.name,
            "state": run.state.as_str(),
            "error": error.unwrap_or_else(|| json!({"step": "", "message": ""})),
        },
        "secrets": secrets.to_value(),
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
    let context = expression_context(run, &step.needs, &Secrets::default());
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
