//! `datasets/…`: evaluation datasets, all but their records.

use axum::Json;
use axum::extract::{Path, State};
use millrace_metastore::eval_datasets::{EvalDatasetRow, Membership};
use millrace_metastore::experiments::{Key, Refusal};
use millrace_tracking::search::{EvalDatasetFilter, EvalDatasetOrder};
use serde_json::{Map, Value, json};

use super::error::{Answer, MlflowError};
use super::search as searching;
use super::wire::Fields;
use crate::app::App;
use crate::page_token;

/// The tag that says who does something.
pub(super) const USER_TAG: &str = "mlflow.user";
/// Characters of a name, a tag's name and a tag's value.
const LONGEST_NAME: usize = 255;
const LONGEST_TAG: usize = 5_000;
/// Experiments of one search.
const MOST_EXPERIMENTS: usize = 5_000;

pub(super) fn absent(id: &str) -> MlflowError {
    MlflowError::absent(format!("Evaluation dataset with id '{id}' not found"))
}

/// A short digest that changes with every change of the records.
pub(super) fn digest(name: &str, updated_at_ms: i64) -> String {
    blake3::hash(format!("{name}:{updated_at_ms}").as_bytes()).to_hex().chars().take(8).collect()
}

/// A JSON object in a text.
fn object(fields: &Fields, name: &str) -> Result<Map<String, Value>, MlflowError> {
    match fields.text(name)?.filter(|text| !text.is_empty()) {
        None => Ok(Map::new()),
        Some(text) => serde_json::from_str(&text).map_err(|_| {
            MlflowError::invalid(format!("The value of '{name}' must be a JSON object in a text"))
        }),
    }
}

fn tags(fields: &Fields) -> Result<Vec<(String, String)>, MlflowError> {
    let tag = |(key, value): (String, Value)| {
        let value = match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let fits =
            !key.is_empty() && key.chars().count() <= LONGEST_NAME && value.chars().count() <= LONGEST_TAG;
        if !fits || key.contains('\0') || value.contains('\0') {
            return Err(MlflowError::invalid(format!("Invalid tag '{key}' of an evaluation dataset")));
        }
        Ok((key, value))
    };
    object(fields, "tags")?.into_iter().filter(|(_, value)| !value.is_null()).map(tag).collect()
}

/// Experiments of a request, each of which must be there.
async fn experiments(app: &App, fields: &Fields) -> Result<Vec<i64>, MlflowError> {
    let mut ids = Vec::new();
    for id in fields.texts("experiment_ids")? {
        let number = super::experiments::number_of(&id)?;
        ids.push(app.engine.store().find_experiment(number).await?.id);
    }
    Ok(ids)
}

fn shown(row: &EvalDatasetRow) -> Value {
    let tags: Map<String, Value> =
        row.tags.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let mut shown = json!({
        "dataset_id": row.id,
        "name": row.name,
        "tags": Value::Object(tags).to_string(),
        "digest": row.digest,
        "created_time": row.created_at_ms,
        "last_update_time": row.updated_at_ms,
        "experiment_ids": row.experiments.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    let profile = (row.records > 0).then(|| json!({"num_records": row.records}).to_string());
    if let Some(shown) = shown.as_object_mut() {
        for (name, value) in [
            ("schema", row.fields.as_ref()),
            ("profile", profile.as_ref()),
            ("created_by", row.created_by.as_ref()),
            ("last_updated_by", row.updated_by.as_ref()),
        ] {
            if let Some(value) = value {
                shown.insert(name.to_owned(), json!(value));
            }
        }
    }
    shown
}

async fn answer(app: &App, id: String) -> Answer {
    let row = app.engine.store().find_eval_dataset(id.clone()).await?.ok_or_else(|| absent(&id))?;
    Ok(Json(json!({"dataset": shown(&row)})))
}

pub(super) async fn create(State(app): State<App>, fields: Fields) -> Answer {
    let name = fields.required("name")?;
    if name.trim().is_empty() || name.chars().count() > LONGEST_NAME {
        return Err(MlflowError::invalid(format!(
            "The name of an evaluation dataset has 1 to {LONGEST_NAME} characters"
        )));
    }
    let now_ms = app.clock.now().as_millisecond();
    let tags = tags(&fields)?;
    let user = tags.iter().find(|(name, _)| name == USER_TAG).map(|(_, user)| user.clone());
    let row = EvalDatasetRow {
        id: format!("d-{}", app.new_id()),
        digest: digest(&name, now_ms),
        name,
        fields: None,
        created_at_ms: now_ms,
        updated_at_ms: now_ms,
        created_by: user.clone(),
        updated_by: user,
        tags,
        experiments: experiments(&app, &fields).await?,
        records: 0,
    };
    let id = row.id.clone();
    app.engine.store().create_eval_dataset(row).await?;
    answer(&app, id).await
}

pub(super) async fn find(State(app): State<App>, Path(id): Path<String>) -> Answer {
    answer(&app, id).await
}

pub(super) async fn delete(State(app): State<App>, Path(id): Path<String>) -> Answer {
    app.engine.store().delete_eval_dataset(id).await?;
    Ok(Json(json!({})))
}

pub(super) async fn search(State(app): State<App>, fields: Fields) -> Answer {
    let limit = usize::try_from(searching::limit(&fields, 1_000)?).unwrap_or_default();
    let filter = EvalDatasetFilter::parse(&fields.text("filter_string")?.unwrap_or_default())?;
    let order = EvalDatasetOrder::parse(&fields.texts("order_by")?)?;
    let within = if fields.texts("experiment_ids")?.is_empty() {
        None
    } else {
        let ids = searching::experiments(&fields)?;
        if ids.len() > MOST_EXPERIMENTS {
            return Err(MlflowError::invalid(format!(
                "A search can name at most {MOST_EXPERIMENTS} experiments"
            )));
        }
        Some(ids)
    };
    let mut rows = app.engine.store().list_eval_datasets(within).await?;
    rows.retain(|row| filter.holds(row));
    rows.sort_by(|one, other| order.compare(one, other));
    if let Some(cursor) = searching::cursor(&fields)? {
        let last = last_of_page(&cursor).ok_or(Refusal::ForeignToken)?;
        rows.retain(|row| order.compare(row, &last).is_gt());
    }
    let more = rows.len() > limit;
    rows.truncate(limit);
    let mut answer = json!({"datasets": rows.iter().map(shown).collect::<Vec<_>>()});
    if let (Some(last), Some(answer)) = (rows.last().filter(|_| more), answer.as_object_mut()) {
        let cursor = vec![
            Key::Text(last.name.clone()),
            Key::Int(last.created_at_ms),
            Key::Int(last.updated_at_ms),
            Key::Text(last.id.clone()),
        ];
        answer.insert("next_page_token".to_owned(), json!(page_token::encode(&cursor)));
    }
    Ok(Json(answer))
}

/// What the last dataset of a page is sorted by.
fn last_of_page(cursor: &[Key]) -> Option<EvalDatasetRow> {
    let [Key::Text(name), Key::Int(created), Key::Int(updated), Key::Text(id)] = cursor else { return None };
    Some(EvalDatasetRow {
        id: id.clone(),
        name: name.clone(),
        created_at_ms: *created,
        updated_at_ms: *updated,
        ..EvalDatasetRow::default()
    })
}

pub(super) async fn set_tags(State(app): State<App>, Path(id): Path<String>, fields: Fields) -> Answer {
    fields.required("tags")?;
    if !app.engine.store().set_eval_dataset_tags(id.clone(), tags(&fields)?).await? {
        return Err(MlflowError::absent(format!("Could not find evaluation dataset with ID {id}")));
    }
    Ok(Json(json!({})))
}

pub(super) async fn delete_tag(State(app): State<App>, Path((id, key)): Path<(String, String)>) -> Answer {
    app.engine.store().delete_eval_dataset_tag(id, key).await?;
    Ok(Json(json!({})))
}

pub(super) async fn experiment_ids(State(app): State<App>, Path(id): Path<String>) -> Answer {
    let row = app.engine.store().find_eval_dataset(id).await?.unwrap_or_default();
    let ids: Vec<String> = row.experiments.iter().map(ToString::to_string).collect();
    Ok(Json(json!({"experiment_ids": ids})))
}

pub(super) async fn join(State(app): State<App>, Path(id): Path<String>, fields: Fields) -> Answer {
    let membership = Membership::Join(experiments(&app, &fields).await?);
    moved(app, id, membership).await
}

pub(super) async fn leave(State(app): State<App>, Path(id): Path<String>, fields: Fields) -> Answer {
    let membership = Membership::Leave(searching::experiments(&fields)?);
    moved(app, id, membership).await
}

async fn moved(app: App, id: String, membership: Membership) -> Answer {
    let now_ms = app.clock.now().as_millisecond();
    if !app.engine.store().move_eval_dataset(id.clone(), membership, now_ms).await? {
        return Err(absent(&id));
    }
    answer(&app, id).await
}
