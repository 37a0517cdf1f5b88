//! `model-versions/…`: versions of registered models.

use axum::Json;
use axum::extract::State;
use millrace_metastore::assets::AssetVersionRow;
use millrace_metastore::registry::{ModelVersionRow, NewVersion, marks_prompt};
use millrace_spec::asset::{Asset, AssetType};
use millrace_tracking::search::RegistryTarget;
use serde_json::{Value, json};

use super::error::{Answer, MlflowError};
use super::registered_models::stage;
use super::registry::{self, now, version_json};
use super::sources::{self, Origin};
use super::wire::Fields;
use super::{artifacts, present};
use crate::app::App;
use crate::page_token;

/// Versions on a page, unless the client says how many, and at most.
const PAGE: i64 = 10_000;
const LARGEST_PAGE: i64 = 200_000;
/// Characters of an id and of an address.
const LONGEST_ID: usize = 256;
const LONGEST_ADDRESS: usize = 5_000;
/// What clients send as the source of a prompt, which has none.
const PROMPT_SOURCES: [&str; 2] = ["dummy-source", "prompt-template"];
/// Where a logged model says which versions it became.
const VERSIONS_TAG: &str = "mlflow.modelVersions";

pub(super) fn answer_version(row: &ModelVersionRow) -> Answer {
    Ok(Json(json!({"model_version": version_json(row)})))
}

fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

pub(super) async fn create(State(app): State<App>, fields: Fields) -> Answer {
    let (name, tags) = (registry::name(&fields, "name")?, registry::tags(&fields)?);
    let source = filled(registry::reference(&fields, "source", LONGEST_ADDRESS)?);
    let source = source.ok_or_else(|| fields.missing("source"))?;
    let (run_id, model_id) = (
        registry::reference(&fields, "run_id", LONGEST_ID)?,
        registry::reference(&fields, "model_id", LONGEST_ID)?,
    );
    let mut new = NewVersion {
        name,
        run_link: filled(registry::reference(&fields, "run_link", LONGEST_ADDRESS)?),
        description: filled(registry::description(&fields)?),
        tags,
        ..NewVersion::default()
    };
    if marks_prompt(&new.tags) {
        if !PROMPT_SOURCES.contains(&source.as_str()) {
            return Err(MlflowError::invalid(format!(
                "Invalid prompt source: '{source}'. Prompt sources must use an MLflow placeholder."
            )));
        }
        new.run_id = filled(run_id);
        new.source = source;
    } else {
        let origin = sources::origin(&app, &source, run_id, model_id).await?;
        new.content = Some(content(&app, &origin).await?);
        let Origin { source, location, run_id, model_id } = origin;
        new = NewVersion { source, location, run_id, model_id, ..new };
    }
    let made = app.engine.store().create_model_version(new, now(&app)).await?;
    app.webhooks.wake();
    if let Some(model_id) = &made.model_id {
        note_version(&app, model_id, &made).await?;
    }
    answer_version(&made)
}

/// The model as endpoints and pages find it: a folder here, if it is one.
async fn content(app: &App, origin: &Origin) -> Result<AssetVersionRow, MlflowError> {
    let mut uri = origin.location.clone().unwrap_or_else(|| origin.source.clone());
    if let Some((run_id, path)) = sources::of_run(&uri)
        && let Some(run) = app.engine.store().find_tracked_run(run_id.to_owned()).await?
    {
        uri = format!("{}/{path}", present::run_uri(&run));
    }
    if let Some(own) = artifacts::own_url(app, &uri) {
        uri = own;
    } else if uri.starts_with('/') {
        uri = format!("file://{uri}");
    }
    let asset = Asset {
        kind: AssetType::Model,
        name: None,
        version: None,
        uri,
        delta_version: None,
        // A version never changes, so that its own id tells its content.
        digest: format!("version-{}", app.new_id()),
        rows: None,
        size_bytes: None,
    };
    Ok(AssetVersionRow {
        kind: String::new(),
        name: String::new(),
        version: 0,
        digest: asset.digest.clone(),
        asset: asset.to_value().to_string(),
        details: "{}".to_owned(),
        created_at: 0,
    })
}

/// Adds a version to the tag of the logged model that it is.
async fn note_version(app: &App, model_id: &str, made: &ModelVersionRow) -> Result<(), MlflowError> {
    let store = app.engine.store();
    let texts = store.list_logged_model_texts(vec![model_id.to_owned()]).await?;
    let known = texts.iter().find(|(_, (family, name, _))| family == "tag" && name == VERSIONS_TAG);
    let mut versions: Vec<Value> =
        known.and_then(|(_, (_, _, text))| serde_json::from_str(text).ok()).unwrap_or_default();
    let version = json!({"name": made.name, "version": made.version.to_string()});
    if !versions.contains(&version) {
        versions.push(version);
        let tag = ("tag".to_owned(), VERSIONS_TAG.to_owned(), json!(versions).to_string());
        store.set_logged_model_texts(model_id.to_owned(), vec![tag], now(app)).await?;
    }
    Ok(())
}

pub(super) async fn find(State(app): State<App>, fields: Fields) -> Answer {
    let (name, version) = registry::version(&fields)?;
    answer_version(&app.engine.store().find_model_version(name, version).await?)
}

pub(super) async fn update(State(app): State<App>, fields: Fields) -> Answer {
    let (of, description) = (registry::version(&fields)?, registry::description(&fields)?);
    answer_version(&app.engine.store().describe_model_version(of, description, now(&app)).await?)
}

pub(super) async fn delete(State(app): State<App>, fields: Fields) -> Answer {
    app.engine.store().delete_model_version(registry::version(&fields)?, now(&app)).await?;
    Ok(Json(json!({})))
}

pub(super) async fn transition_stage(State(app): State<App>, fields: Fields) -> Answer {
    let (of, given) = (registry::version(&fields)?, fields.required("stage")?);
    let stage = stage(&given)?;
    let archive = fields.bool("archive_existing_versions")?.unwrap_or_default();
    if archive && !matches!(stage, "Staging" | "Production") {
        return Err(MlflowError::invalid(format!(
            "Model version transition cannot archive existing model versions because '{given}' is not an Active stage. Valid stages are ['Staging', 'Production']"
        )));
    }
    answer_version(&app.engine.store().move_model_version(of, stage, archive, now(&app)).await?)
}

pub(super) async fn download_uri(State(app): State<App>, fields: Fields) -> Answer {
    let (name, version) = registry::version(&fields)?;
    let row = app.engine.store().find_model_version(name, version).await?;
    Ok(Json(json!({"artifact_uri": row.location.unwrap_or(row.source)})))
}

pub(super) async fn search(State(app): State<App>, fields: Fields) -> Answer {
    let query = registry::query(&fields, RegistryTarget::Versions, PAGE, LARGEST_PAGE)?;
    let (found, next) = app.engine.store().search_model_versions(query).await?;
    let mut answer = json!({"model_versions": found.iter().map(version_json).collect::<Vec<_>>()});
    if let (Some(next), Some(answer)) = (next, answer.as_object_mut()) {
        answer.insert("next_page_token".to_owned(), json!(page_token::encode(&next)));
    }
    Ok(Json(answer))
}

pub(super) async fn set_tag(State(app): State<App>, fields: Fields) -> Answer {
    let (of, tag) = (registry::version(&fields)?, registry::tag(&fields)?);
    app.engine.store().set_model_version_tag(of, tag, now(&app)).await?;
    app.webhooks.wake();
    Ok(Json(json!({})))
}

pub(super) async fn delete_tag(State(app): State<App>, fields: Fields) -> Answer {
    let (of, key) = (registry::version(&fields)?, fields.required("key")?);
    app.engine.store().delete_model_version_tag(of, key, now(&app)).await?;
    app.webhooks.wake();
    Ok(Json(json!({})))
}
