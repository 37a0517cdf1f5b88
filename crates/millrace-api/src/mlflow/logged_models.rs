//! `logged-models/…`.

use axum::Json;
use axum::extract::{Path, State};
use millrace_metastore::experiments::{
    Attribute, Condition, Field, LoggedModelRow, MeasuredOn, ModelDataset, Order, Query, Text,
};
use millrace_tracking::search::{Target, parse_order};
use serde_json::json;

use super::error::{Answer, MlflowError};
use super::experiments::experiment_id;
use super::wire::Fields;
use super::{names, present, search as searching};
use crate::app::App;
use crate::page_token;

const PREFIX: &str = "LOGGED_MODEL_";

fn now(app: &App) -> i64 {
    app.clock.now().as_microsecond()
}

fn texts(fields: &Fields, list: &str, family: &'static str) -> Result<Vec<Text>, MlflowError> {
    let text = |(key, value): (String, String)| {
        names::check_key("key", &key)?;
        let value = if family == "param" { names::param_value(value) } else { names::tag_value(value) };
        Ok((family.to_owned(), key, value))
    };
    fields.pairs(list)?.into_iter().map(text).collect()
}

async fn answer_model(app: &App, id: String) -> Answer {
    let row = app.engine.store().find_logged_model(id).await?;
    let model = present::models(app.engine.store(), vec![row]).await?.pop();
    Ok(Json(json!({"model": model})))
}

pub(super) async fn create(State(app): State<App>, fields: Fields) -> Answer {
    let id = app.new_id();
    let name = fields.text("name")?.filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| names::random_name(&id));
    if name.contains(['/', ':', '.', '%', '"', '\'']) {
        return Err(MlflowError::invalid(format!(
            "Invalid model name '{name}': it must not contain any of / : . % \" '"
        )));
    }
    let mut all = texts(&fields, "params", "param")?;
    all.extend(texts(&fields, "tags", "tag")?);
    let created_at = now(&app);
    let row = LoggedModelRow {
        id: format!("m-{id}"),
        experiment_id: experiment_id(&fields)?,
        name,
        model_type: fields.text("model_type")?.unwrap_or_default(),
        source_run_id: fields.text("source_run_id")?.unwrap_or_default(),
        status: "LOGGED_MODEL_PENDING".to_owned(),
        created_at,
        updated_at: created_at,
        artifact_location: None,
    };
    let id = row.id.clone();
    app.engine.store().create_logged_model(row, all).await?;
    answer_model(&app, id).await
}

pub(super) async fn find(State(app): State<App>, Path(id): Path<String>) -> Answer {
    answer_model(&app, id).await
}

pub(super) async fn finalize(State(app): State<App>, Path(id): Path<String>, fields: Fields) -> Answer {
    let status = fields.required("status")?;
    if !["LOGGED_MODEL_PENDING", "LOGGED_MODEL_READY", "LOGGED_MODEL_UPLOAD_FAILED"]
        .contains(&status.as_str())
    {
        return Err(MlflowError::invalid(format!(
            "Invalid value \"{status}\" for parameter 'status' supplied"
        )));
    }
    app.engine.store().set_logged_model_status(id.clone(), status, now(&app)).await?;
    answer_model(&app, id).await
}

pub(super) async fn delete(State(app): State<App>, Path(id): Path<String>) -> Answer {
    app.engine.store().delete_logged_model(id, now(&app)).await?;
    Ok(Json(json!({})))
}

pub(super) async fn set_tags(State(app): State<App>, Path(id): Path<String>, fields: Fields) -> Answer {
    let tags = texts(&fields, "tags", "tag")?;
    app.engine.store().set_logged_model_texts(id.clone(), tags, now(&app)).await?;
    answer_model(&app, id).await
}

pub(super) async fn delete_tag(State(app): State<App>, Path((id, key)): Path<(String, String)>) -> Answer {
    app.engine.store().delete_logged_model_tag(id, key, now(&app)).await?;
    Ok(Json(json!({})))
}

pub(super) async fn log_params(State(app): State<App>, Path(id): Path<String>, fields: Fields) -> Answer {
    let params = texts(&fields, "params", "param")?;
    app.engine.store().set_logged_model_texts(id, params, now(&app)).await?;
    Ok(Json(json!({})))
}

/// The dataset that a message names.
fn dataset(message: &Fields) -> Result<ModelDataset, MlflowError> {
    let filled = |name: &str| Ok::<_, MlflowError>(message.text(name)?.filter(|text| !text.is_empty()));
    Ok(ModelDataset { name: filled("dataset_name")?, digest: filled("dataset_digest")? })
}

pub(super) async fn search(State(app): State<App>, fields: Fields) -> Answer {
    let mut query: Query = searching::query(&fields, Target::LoggedModels, 100)?;
    searching::scope(&fields, &mut query)?;
    let mut measured = MeasuredOn::default();
    for message in fields.messages("datasets")? {
        let dataset = dataset(&message)?;
        if dataset.name.is_none() {
            return Err(MlflowError::invalid("`dataset_name` in the `datasets` clause must be specified."));
        }
        measured.filter.push(dataset);
    }
    for message in fields.messages("order_by")? {
        measured.orders.push(dataset(&message)?);
        let order = parse_order(Target::LoggedModels, &message.required("field_name")?)?;
        let ascending = message.bool("ascending")?.unwrap_or(true);
        query.order.push(Order { field: order.field, ascending });
    }
    if query.order.is_empty() {
        query.order.push(Order { field: Field::Attribute(Attribute::CreatedAt), ascending: false });
    }
    query.filter.for_each_mut(&mut |clause| {
        // People write `READY`; the wire has the word with its prefix.
        if let (Field::Attribute(Attribute::Status), Condition::Text(_, status)) =
            (&clause.field, &mut clause.condition)
            && !status.starts_with(PREFIX)
        {
            status.insert_str(0, PREFIX);
        }
    });
    let (rows, next) = app.engine.store().search_logged_models(query, measured).await?;
    let mut answer = json!({"models": present::models(app.engine.store(), rows).await?});
    if let (Some(next), Some(answer)) = (next, answer.as_object_mut()) {
        answer.insert("next_page_token".to_owned(), json!(page_token::encode(&next)));
    }
    Ok(Json(answer))
}
