//! `experiments/…`.

use axum::Json;
use axum::extract::State;
use millrace_metastore::experiments::{Attribute, Field, Order, Refusal};
use millrace_tracking::search::Target;
use serde_json::json;

use super::error::{Answer, MlflowError};
use super::wire::Fields;
use super::{names, present, search as searching};
use crate::app::App;
use crate::page_token;

/// Characters of a name.
const LONGEST_NAME: usize = 500;
/// Characters of a tag's value.
const LONGEST_TAG: usize = 20_000;

fn now(app: &App) -> i64 {
    app.clock.now().as_microsecond()
}

/// The id of an experiment in a request.
pub(super) fn experiment_id(fields: &Fields) -> Result<i64, MlflowError> {
    number_of(&fields.required("experiment_id")?)
}

/// The number of an experiment, which is what its id is.
pub(super) fn number_of(id: &str) -> Result<i64, MlflowError> {
    let refused = || {
        MlflowError::invalid(format!("Invalid experiment ID '{id}'. Experiment ID must be a valid integer."))
    };
    id.parse().map_err(|_| refused())
}

fn name(fields: &Fields, parameter: &str) -> Result<String, MlflowError> {
    let name = fields.required(parameter)?;
    if name.trim().is_empty() {
        return Err(MlflowError::invalid(format!("Invalid experiment name: '{name}'")));
    }
    if name.chars().count() > LONGEST_NAME {
        let message = format!("'{parameter}' exceeds the maximum length of {LONGEST_NAME} characters");
        return Err(MlflowError::invalid(message));
    }
    Ok(name)
}

/// A URI or an absolute path, without dots, query or fragment.
fn location(fields: &Fields) -> Result<Option<String>, MlflowError> {
    let Some(given) = fields.text("artifact_location")?.filter(|given| !given.is_empty()) else {
        return Ok(None);
    };
    let absolute = given.starts_with('/') || given.contains(":/");
    let plain = !given.contains(['#', '?', '\\']) && given.split('/').all(|part| part != "..");
    if !absolute || !plain {
        return Err(MlflowError::invalid(format!(
            "Invalid artifact location: '{given}'. Use a URI without fragment, query and '..'."
        )));
    }
    Ok(Some(given.trim_end_matches('/').to_owned()).filter(|base| base != "mlflow-artifacts:"))
}

fn tag(key: String, value: String) -> Result<(String, String), MlflowError> {
    names::check_key("key", &key)?;
    if value.chars().count() > LONGEST_TAG {
        let message = format!("'value' exceeds the maximum length of {LONGEST_TAG} characters");
        return Err(MlflowError::invalid(message));
    }
    Ok((key, value))
}

pub(super) async fn create(State(app): State<App>, fields: Fields) -> Answer {
    let tags = fields.pairs("tags")?.into_iter().map(|(key, value)| tag(key, value));
    let tags = tags.collect::<Result<Vec<_>, _>>()?;
    let (name, location) = (name(&fields, "name")?, location(&fields)?);
    let id = app.engine.store().create_experiment(name, location, tags, now(&app)).await?;
    Ok(Json(json!({"experiment_id": id.to_string()})))
}

pub(super) async fn find(State(app): State<App>, fields: Fields) -> Answer {
    let found = app.engine.store().find_experiment(experiment_id(&fields)?).await?;
    Ok(Json(json!({"experiment": present::experiment(&found)})))
}

pub(super) async fn find_by_name(State(app): State<App>, fields: Fields) -> Answer {
    let name = fields.required("experiment_name")?;
    let found = app.engine.store().find_experiment_named(name.clone()).await?;
    let found =
        found.ok_or_else(|| MlflowError::absent(format!("Could not find experiment with name '{name}'")))?;
    Ok(Json(json!({"experiment": present::experiment(&found)})))
}

pub(super) async fn search(State(app): State<App>, fields: Fields) -> Answer {
    if fields.int("max_results")?.is_none() {
        return Err(fields.missing("max_results"));
    }
    let mut query = searching::query(&fields, Target::Experiments, 1)?;
    query.view = searching::view(&fields, "view_type")?;
    query.order = searching::orders(&fields, Target::Experiments)?;
    if query.order.is_empty() {
        query.order.push(Order { field: Field::Attribute(Attribute::CreatedAt), ascending: false });
    }
    let (found, next) = app.engine.store().search_experiments(query).await?;
    let mut answer = json!({"experiments": found.iter().map(present::experiment).collect::<Vec<_>>()});
    if let (Some(next), Some(answer)) = (next, answer.as_object_mut()) {
        answer.insert("next_page_token".to_owned(), json!(page_token::encode(&next)));
    }
    Ok(Json(answer))
}

pub(super) async fn update(State(app): State<App>, fields: Fields) -> Answer {
    let id = experiment_id(&fields)?;
    app.engine.store().rename_experiment(id, name(&fields, "new_name")?, now(&app)).await?;
    Ok(Json(json!({})))
}

pub(super) async fn delete(State(app): State<App>, fields: Fields) -> Answer {
    let id = experiment_id(&fields)?;
    if id == 0 {
        return Err(MlflowError::invalid("The default experiment cannot be deleted"));
    }
    match app.engine.store().delete_experiment(id, now(&app)).await {
        // Gone already: for this request, there is none.
        Err(millrace_metastore::MetastoreError::Refused(Refusal::ExperimentDeleted { id })) => {
            Err(Refusal::NoExperiment { id }.into())
        }
        done => Ok(Json(done.map(|()| json!({}))?)),
    }
}

pub(super) async fn restore(State(app): State<App>, fields: Fields) -> Answer {
    let id = experiment_id(&fields)?;
    match app.engine.store().restore_experiment(id, now(&app)).await {
        Err(millrace_metastore::MetastoreError::Refused(Refusal::ExperimentActive { id })) => {
            Err(Refusal::NoExperiment { id }.into())
        }
        done => Ok(Json(done.map(|()| json!({}))?)),
    }
}

pub(super) async fn set_tag(State(app): State<App>, fields: Fields) -> Answer {
    let id = experiment_id(&fields)?;
    let tag = tag(fields.required("key")?, fields.text("value")?.unwrap_or_default())?;
    app.engine.store().set_experiment_tag(id, tag).await?;
    Ok(Json(json!({})))
}

pub(super) async fn delete_tag(State(app): State<App>, fields: Fields) -> Answer {
    let id = experiment_id(&fields)?;
    app.engine.store().delete_experiment_tag(id, fields.required("key")?).await?;
    Ok(Json(json!({})))
}
