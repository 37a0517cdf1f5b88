//! What happened, in the words and the shape that MLflow tells its webhooks.

use serde_json::{Map, Value, json};

use super::{ModelVersionRow, PROMPT_TAG, RegisteredModelRow, is_prompt, marks_prompt, webhooks};
use crate::{MetastoreError, Session};

/// A prompt's text is a tag of its version.
const TEXT_TAG: &str = "mlflow.prompt.text";
/// Tags that say what a prompt is rather than what it is about.
const INNER_TAGS: [&str; 3] = [PROMPT_TAG, "_mlflow_prompt_type", TEXT_TAG];

pub(super) async fn model_created(
    session: &mut Session,
    model: &RegisteredModelRow,
) -> Result<(), MetastoreError> {
    let prompt = model.is_prompt();
    let data = json!({
        "name": model.name,
        "tags": tags(&model.tags, prompt),
        "description": model.description,
    });
    let event = if prompt { "prompt.created" } else { "registered_model.created" };
    webhooks::announce(session, event, &data, model.created_at).await
}

pub(super) async fn version_created(
    session: &mut Session,
    version: &ModelVersionRow,
) -> Result<(), MetastoreError> {
    let prompt = marks_prompt(&version.tags);
    let mut data = json!({
        "name": version.name,
        "version": version.version.to_string(),
        "tags": tags(&version.tags, prompt),
        "description": version.description,
    });
    if let Some(data) = data.as_object_mut() {
        if prompt {
            let text = version.tags.iter().find(|(key, _)| key == TEXT_TAG).map(|(_, text)| text);
            data.insert("template".to_owned(), json!(text));
        } else {
            data.insert("source".to_owned(), json!(version.source));
            data.insert("run_id".to_owned(), json!(version.run_id));
        }
    }
    let event = if prompt { "prompt_version.created" } else { "model_version.created" };
    webhooks::announce(session, event, &data, version.created_at).await
}

/// A tag of a version was set, or removed if there is no value.
pub(super) async fn version_tagged(
    session: &mut Session,
    (name, version): (&str, i64),
    (key, value): (&str, Option<&str>),
    now: i64,
) -> Result<(), MetastoreError> {
    let event = match (is_prompt(session, name).await?, value) {
        (false, Some(_)) => "model_version_tag.set",
        (false, None) => "model_version_tag.deleted",
        (true, Some(_)) => "prompt_version_tag.set",
        (true, None) => "prompt_version_tag.deleted",
    };
    let mut data = json!({"name": name, "version": version.to_string(), "key": key});
    if let (Some(value), Some(data)) = (value, data.as_object_mut()) {
        data.insert("value".to_owned(), json!(value));
    }
    webhooks::announce(session, event, &data, now).await
}

/// A tag of a prompt was set, or removed if there is no value. MLflow tells nobody of a model's.
pub(super) async fn model_tagged(
    session: &mut Session,
    name: &str,
    (key, value): (&str, Option<&str>),
    now: i64,
) -> Result<(), MetastoreError> {
    if !is_prompt(session, name).await? {
        return Ok(());
    }
    let (event, data) = match value {
        Some(value) => ("prompt_tag.set", json!({"name": name, "key": key, "value": value})),
        None => ("prompt_tag.deleted", json!({"name": name, "key": key})),
    };
    webhooks::announce(session, event, &data, now).await
}

/// An alias points at a version, or at none any more.
pub(super) async fn alias_moved(
    session: &mut Session,
    (name, alias): (&str, &str),
    version: Option<i64>,
    now: i64,
) -> Result<(), MetastoreError> {
    let event = match (is_prompt(session, name).await?, version) {
        (false, Some(_)) => "model_version_alias.created",
        (false, None) => "model_version_alias.deleted",
        (true, Some(_)) => "prompt_alias.created",
        (true, None) => "prompt_alias.deleted",
    };
    let mut data = json!({"name": name, "alias": alias});
    if let (Some(version), Some(data)) = (version, data.as_object_mut()) {
        data.insert("version".to_owned(), json!(version.to_string()));
    }
    webhooks::announce(session, event, &data, now).await
}

fn tags(tags: &[(String, String)], prompt: bool) -> Value {
    let shown = tags.iter().filter(|(key, _)| !prompt || !INNER_TAGS.contains(&key.as_str()));
    Value::Object(shown.map(|(key, value)| (key.clone(), json!(value))).collect::<Map<_, _>>())
}
