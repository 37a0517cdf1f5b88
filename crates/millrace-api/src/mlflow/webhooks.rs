//! `webhooks/…`: who is told of changes in the registry.

use axum::Json;
use axum::extract::{Path, State};
use millrace_metastore::experiments::Key;
use millrace_metastore::registry::{RegistryRefusal, WebhookChange, WebhookRow};
use millrace_tracking::webhooks::{TestOutcome, events as known_events};
use serde_json::{Value, json};

use super::error::{Answer, MlflowError};
use super::registry::now;
use super::search as searching;
use super::wire::Fields;
use crate::app::App;
use crate::page_token;

/// Webhooks on a page, unless the client says how many, and at most.
const PAGE: i64 = 100;
const LARGEST_PAGE: i64 = 1_000;
/// Characters of a name.
const LONGEST_NAME: usize = 63;
/// Characters of an address, of a description, of a secret.
const LONGEST_TEXT: usize = 5_000;

/// MLflow's numbers for entities and actions, which are also sent by name.
const ENTITIES: [&str; 9] = [
    "registered_model",
    "model_version",
    "model_version_tag",
    "model_version_alias",
    "prompt",
    "prompt_version",
    "prompt_tag",
    "prompt_version_tag",
    "prompt_alias",
];
const ACTIONS: [&str; 4] = ["created", "updated", "deleted", "set"];

fn shown(webhook: &WebhookRow) -> Value {
    let event = |event: &String| {
        let (entity, action) = event.split_once('.').unwrap_or_default();
        json!({"entity": entity.to_uppercase(), "action": action.to_uppercase()})
    };
    json!({
        "webhook_id": webhook.id,
        "name": webhook.name,
        "url": webhook.url,
        "description": webhook.description.as_deref().unwrap_or_default(),
        "events": webhook.events.iter().map(event).collect::<Vec<_>>(),
        "status": if webhook.active { "ACTIVE" } else { "DISABLED" },
        "creation_timestamp": webhook.created_at / 1000,
        "last_updated_timestamp": webhook.updated_at / 1000,
    })
}

fn answer_webhook(webhook: &WebhookRow) -> Answer {
    Ok(Json(json!({"webhook": shown(webhook)})))
}

/// The id of a webhook in an address; PostgreSQL has no texts with a NUL.
fn id(id: String) -> Result<String, MlflowError> {
    if id.contains('\0') { Err(RegistryRefusal::NoWebhook { id }.into()) } else { Ok(id) }
}

/// A text that is not too long.
fn text(fields: &Fields, name: &str) -> Result<Option<String>, MlflowError> {
    let text = fields.text(name)?;
    if text.as_ref().is_some_and(|text| text.chars().count() > LONGEST_TEXT) {
        let message = format!("'{name}' exceeds the maximum length of {LONGEST_TEXT} characters");
        return Err(MlflowError::invalid(message));
    }
    Ok(text)
}

fn name(fields: &Fields) -> Result<Option<String>, MlflowError> {
    let Some(name) = fields.text("name")?.filter(|name| !name.is_empty()) else { return Ok(None) };
    let inner = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '.' | '_' | '-');
    let outer = |sign: Option<char>| sign.is_some_and(|sign| sign.is_ascii_alphanumeric());
    let fits = name.len() <= LONGEST_NAME
        && name.chars().all(inner)
        && outer(name.chars().next())
        && outer(name.chars().next_back());
    if fits {
        return Ok(Some(name));
    }
    Err(MlflowError::invalid(format!(
        "Webhook name '{name}' is invalid. It must start and end with a letter or digit, be less than 63 characters long, and contain only letters, digits, dots (.), underscores (_), and hyphens (-)."
    )))
}

fn url(app: &App, fields: &Fields) -> Result<Option<String>, MlflowError> {
    let Some(url) = text(fields, "url")?.filter(|url| !url.is_empty()) else { return Ok(None) };
    app.webhooks.check_url(&url).map_err(MlflowError::invalid)?;
    Ok(Some(url.trim().to_owned()))
}

/// A word of an enumeration, by name or by number from 1.
fn word(fields: &Fields, name: &str, words: &[&'static str]) -> Result<&'static str, MlflowError> {
    let number =
        fields.int(name).ok().flatten().and_then(|number| usize::try_from(number.checked_sub(1)?).ok());
    if let Some(word) = number.and_then(|number| words.get(number)) {
        return Ok(word);
    }
    let given = fields.required(name)?;
    let known = words.iter().find(|word| word.eq_ignore_ascii_case(&given));
    known.copied().ok_or_else(|| {
        MlflowError::invalid(format!(
            "Invalid value \"{given}\" for parameter '{}{name}' supplied",
            fields.place()
        ))
    })
}

fn event(fields: &Fields) -> Result<String, MlflowError> {
    let (entity, action) = (word(fields, "entity", &ENTITIES)?, word(fields, "action", &ACTIONS)?);
    let event = format!("{entity}.{action}");
    if known_events().any(|known| known == event) {
        return Ok(event);
    }
    let actions: Vec<&str> =
        known_events().filter_map(|known| known.strip_prefix(entity)?.strip_prefix('.')).collect();
    Err(MlflowError::invalid(format!(
        "Invalid action '{action}' for entity '{entity}'. Valid actions are: {}",
        actions.join(", ")
    )))
}

fn events(fields: &Fields) -> Result<Vec<String>, MlflowError> {
    fields.messages("events")?.iter().map(event).collect()
}

/// Whether it is active, if the request says so.
fn active(fields: &Fields) -> Result<Option<bool>, MlflowError> {
    if fields.int("status").is_ok_and(|status| status.is_none()) {
        return Ok(None);
    }
    Ok(Some(word(fields, "status", &["ACTIVE", "DISABLED"])? == "ACTIVE"))
}

pub(super) async fn create(State(app): State<App>, fields: Fields) -> Answer {
    let at = now(&app);
    let webhook = WebhookRow {
        id: app.new_id(),
        name: name(&fields)?.ok_or_else(|| fields.missing("name"))?,
        url: url(&app, &fields)?.ok_or_else(|| fields.missing("url"))?,
        description: text(&fields, "description")?,
        secret: text(&fields, "secret")?,
        active: active(&fields)?.unwrap_or(true),
        events: events(&fields)?,
        created_at: at,
        updated_at: at,
    };
    if webhook.events.is_empty() {
        return Err(fields.missing("events"));
    }
    let id = webhook.id.clone();
    app.engine.store().create_webhook(webhook).await?;
    answer_webhook(&app.engine.store().find_webhook(id).await?)
}

pub(super) async fn find(State(app): State<App>, Path(given): Path<String>) -> Answer {
    answer_webhook(&app.engine.store().find_webhook(id(given)?).await?)
}

pub(super) async fn list(State(app): State<App>, fields: Fields) -> Answer {
    let limit = fields.int("max_results")?.filter(|limit| *limit != 0).unwrap_or(PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        return Err(MlflowError::invalid(format!("max_results must be between 1 and {LARGEST_PAGE}.")));
    }
    let after = match searching::cursor(&fields)?.as_deref() {
        None => None,
        Some([Key::Int(at), Key::Text(id)]) => Some((*at, id.clone())),
        Some(_) => return Err(MlflowError::invalid("Invalid page token: it is not of this list")),
    };
    let size = usize::try_from(limit).unwrap_or_default();
    let mut found = app.engine.store().list_webhooks(after, limit + 1).await?;
    let more = found.len() > size;
    found.truncate(size);
    let mut answer = json!({"webhooks": found.iter().map(shown).collect::<Vec<_>>()});
    if let (true, Some(last), Some(answer)) = (more, found.last(), answer.as_object_mut()) {
        let next = page_token::encode(&vec![Key::Int(last.created_at), Key::Text(last.id.clone())]);
        answer.insert("next_page_token".to_owned(), json!(next));
    }
    Ok(Json(answer))
}

pub(super) async fn update(State(app): State<App>, Path(given): Path<String>, fields: Fields) -> Answer {
    let change = WebhookChange {
        name: name(&fields)?,
        url: url(&app, &fields)?,
        description: text(&fields, "description")?,
        secret: text(&fields, "secret")?,
        active: active(&fields)?,
        events: Some(events(&fields)?).filter(|events| !events.is_empty()),
    };
    answer_webhook(&app.engine.store().update_webhook(id(given)?, change, now(&app)).await?)
}

pub(super) async fn delete(State(app): State<App>, Path(given): Path<String>) -> Answer {
    app.engine.store().delete_webhook(id(given)?).await?;
    Ok(Json(json!({})))
}

/// Sends an example of an event, the webhook's first if none is named.
pub(super) async fn test(State(app): State<App>, Path(given): Path<String>, fields: Fields) -> Answer {
    let asked = fields.message("event")?.map(|message| event(&message)).transpose()?;
    let webhook = app.engine.store().find_webhook(id(given)?).await?;
    let first = webhook.events.first().cloned().unwrap_or_default();
    let result = match app.webhooks.test(&webhook, &asked.unwrap_or(first)).await {
        TestOutcome::Answered { status, body } => {
            json!({"success": status < 400, "response_status": status, "response_body": body})
        }
        TestOutcome::Failed(error) => {
            json!({"success": false, "error_message": format!("Failed to test webhook: {error}")})
        }
    };
    Ok(Json(json!({"result": result})))
}
