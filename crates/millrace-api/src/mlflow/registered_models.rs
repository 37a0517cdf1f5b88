//! `registered-models/…`: names, their tags and aliases.

use axum::Json;
use axum::extract::State;
use millrace_metastore::registry::{RegisteredModelRow, RegistryRefusal};
use millrace_tracking::search::RegistryTarget;
use serde_json::json;

use super::error::{Answer, MlflowError};
use super::model_versions::answer_version;
use super::registry::{self, model_json, now, version_json};
use super::wire::Fields;
use crate::app::App;
use crate::page_token;

/// Models on a page, unless the client says how many, and at most.
const PAGE: i64 = 100;
const LARGEST_PAGE: i64 = 1_000;
/// Every stage, as it is written.
const STAGES: [&str; 4] = ["None", "Staging", "Production", "Archived"];

/// MLflow's word for a stage that is written in any case.
pub(super) fn stage(given: &str) -> Result<&'static str, MlflowError> {
    let known = STAGES.into_iter().find(|stage| stage.eq_ignore_ascii_case(given));
    known.ok_or_else(|| {
        MlflowError::invalid(format!(
            "Invalid Model Version stage: {given}. Value must be one of {}.",
            STAGES.join(", ")
        ))
    })
}

fn answer_model(row: &RegisteredModelRow) -> Answer {
    Ok(Json(json!({"registered_model": model_json(row)})))
}

pub(super) async fn create(State(app): State<App>, fields: Fields) -> Answer {
    let name = registry::name(&fields, "name")?;
    let (description, tags) = (registry::description(&fields)?, registry::tags(&fields)?);
    let made = app.engine.store().create_registered_model(name, description, tags, now(&app)).await?;
    app.webhooks.wake();
    answer_model(&made)
}

pub(super) async fn find(State(app): State<App>, fields: Fields) -> Answer {
    answer_model(&app.engine.store().find_registered_model(registry::name(&fields, "name")?).await?)
}

pub(super) async fn update(State(app): State<App>, fields: Fields) -> Answer {
    let name = registry::name(&fields, "name")?;
    let description = registry::description(&fields)?.unwrap_or_default();
    answer_model(&app.engine.store().describe_registered_model(name, description, now(&app)).await?)
}

pub(super) async fn rename(State(app): State<App>, fields: Fields) -> Answer {
    let (name, new_name) = (registry::name(&fields, "name")?, registry::name(&fields, "new_name")?);
    answer_model(&app.engine.store().rename_registered_model(name, new_name, now(&app)).await?)
}

pub(super) async fn delete(State(app): State<App>, fields: Fields) -> Answer {
    app.engine.store().delete_registered_model(registry::name(&fields, "name")?).await?;
    Ok(Json(json!({})))
}

pub(super) async fn search(State(app): State<App>, fields: Fields) -> Answer {
    let query = registry::query(&fields, RegistryTarget::Models, PAGE, LARGEST_PAGE)?;
    let (found, next) = app.engine.store().search_registered_models(query).await?;
    let mut answer = json!({"registered_models": found.iter().map(model_json).collect::<Vec<_>>()});
    if let (Some(next), Some(answer)) = (next, answer.as_object_mut()) {
        answer.insert("next_page_token".to_owned(), json!(page_token::encode(&next)));
    }
    Ok(Json(answer))
}

pub(super) async fn latest_versions(State(app): State<App>, fields: Fields) -> Answer {
    let name = registry::name(&fields, "name")?;
    let asked = fields.texts("stages")?;
    let asked = asked.iter().map(|given| stage(given)).collect::<Result<Vec<_>, _>>()?;
    let model = app.engine.store().find_registered_model(name).await?;
    let wanted = model.latest.iter().filter(|row| asked.is_empty() || asked.contains(&row.stage.as_str()));
    Ok(Json(json!({"model_versions": wanted.map(version_json).collect::<Vec<_>>()})))
}

pub(super) async fn set_tag(State(app): State<App>, fields: Fields) -> Answer {
    let (name, tag) = (registry::name(&fields, "name")?, registry::tag(&fields)?);
    app.engine.store().set_registered_model_tag(name, tag, now(&app)).await?;
    app.webhooks.wake();
    Ok(Json(json!({})))
}

pub(super) async fn delete_tag(State(app): State<App>, fields: Fields) -> Answer {
    let (name, key) = (registry::name(&fields, "name")?, fields.required("key")?);
    app.engine.store().delete_registered_model_tag(name, key, now(&app)).await?;
    app.webhooks.wake();
    Ok(Json(json!({})))
}

pub(super) async fn set_alias(State(app): State<App>, fields: Fields) -> Answer {
    let (version, alias) = (registry::version(&fields)?, registry::alias(&fields)?);
    app.engine.store().set_model_alias(version, alias, now(&app)).await?;
    app.webhooks.wake();
    Ok(Json(json!({})))
}

pub(super) async fn delete_alias(State(app): State<App>, fields: Fields) -> Answer {
    let (name, alias) = (registry::name(&fields, "name")?, fields.required("alias")?);
    app.engine.store().delete_model_alias(name, alias, now(&app)).await?;
    app.webhooks.wake();
    Ok(Json(json!({})))
}

/// `latest` means the newest version, whatever its stage.
pub(super) async fn find_by_alias(State(app): State<App>, fields: Fields) -> Answer {
    let (name, alias) = (registry::name(&fields, "name")?, fields.required("alias")?);
    if alias.eq_ignore_ascii_case("latest") {
        let mut model = app.engine.store().find_registered_model(name).await?;
        let newest = model.latest.pop().ok_or(RegistryRefusal::NoLatest { name: model.name })?;
        return answer_version(&newest);
    }
    answer_version(&app.engine.store().find_model_version_by_alias(name, alias).await?)
}
