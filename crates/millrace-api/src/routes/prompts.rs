//! Prompts: registered models without content, whose versions are texts.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use millrace_metastore::experiments::{Compare, Condition};
use millrace_metastore::registry::{
    ModelVersionRow, PROMPT_TAG, RegisteredModelRow, RegistryClause, RegistryField, RegistryOrder,
    RegistryQuery,
};
use millrace_spec::problem::Problem;
use millrace_tracking::search::{RegistryTarget, parse_registry_filter};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::page_token;
use crate::present::instant;
use crate::views::json::{Json as AnyJson, NumberMap, TextMap};
use crate::views::prompts::{PromptPage, PromptSummary, PromptVersionView, PromptView};

const MOST: i64 = 200;
const TEXT: &str = "mlflow.prompt.text";
const KIND: &str = "_mlflow_prompt_type";
const MODEL_CONFIG: &str = "_mlflow_prompt_model_config";
const RESPONSE_FORMAT: &str = "_mlflow_prompt_response_format";
/// Tags that hold the prompt itself, or what MLflow notes beside it.
const OWN: [&str; 6] = [TEXT, KIND, MODEL_CONFIG, RESPONSE_FORMAT, PROMPT_TAG, "_mlflow_experiment_ids"];

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_prompts)).routes(routes!(find_prompt))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct PromptsQuery {
    /// Which prompts, as the registry is searched: `name LIKE 'qa%' AND tags.team = 'search'`.
    filter: String,
    /// Prompts at most, 100 if absent.
    limit: Option<i64>,
    /// Token of the page before.
    after: Option<String>,
}

fn is_prompt() -> RegistryClause {
    RegistryClause {
        field: RegistryField::Tag(PROMPT_TAG.to_owned()),
        condition: Condition::Text(Compare::Equal, "true".to_owned()),
    }
}

/// Lists prompts by name, by page.
#[utoipa::path(get, path = "/api/prompts", params(PromptsQuery), responses((status = 200, body = PromptPage)))]
async fn list_prompts(
    State(app): State<App>,
    query: Result<Query<PromptsQuery>, QueryRejection>,
) -> ApiResult<PromptPage> {
    let Query(asked) = query?;
    let invalid = |message: String| ApiError::from(Problem::error("invalid-query", message));
    let (mut clauses, _) = parse_registry_filter(RegistryTarget::Models, &asked.filter)
        .map_err(|error| invalid(error.to_string()))?;
    clauses.push(is_prompt());
    let after = match &asked.after {
        None => None,
        Some(token) => Some(
            page_token::decode(token)
                .ok_or_else(|| invalid("`after` is not a token of an earlier page".to_owned()))?,
        ),
    };
    let query = RegistryQuery {
        clauses,
        prompts: true,
        after,
        limit: asked.limit.unwrap_or(100).clamp(1, MOST),
        ..RegistryQuery::default()
    };
    let (rows, next) = app.engine.store().search_registered_models(query).await?;
    Ok(Json(PromptPage {
        prompts: rows.into_iter().map(summary).collect(),
        next: next.as_ref().map(page_token::encode),
    }))
}

#[allow(clippy::cast_precision_loss, reason = "numbers of versions are small")]
fn summary(row: RegisteredModelRow) -> PromptSummary {
    let newest = row.latest.iter().map(|version| version.version).max();
    PromptSummary {
        version: newest.and_then(|version| u64::try_from(version).ok()),
        aliases: NumberMap(
            row.aliases.iter().map(|(alias, version)| (alias.clone(), *version as f64)).collect(),
        ),
        description: row.description.filter(|text| !text.is_empty()),
        tags: TextMap(row.tags.into_iter().filter(|(key, _)| !OWN.contains(&key.as_str())).collect()),
        updated_at: instant(row.updated_at),
        name: row.name,
    }
}

/// Finds a prompt with its versions.
#[utoipa::path(get, path = "/api/prompts/{name}", params(("name" = String, Path)), responses((status = 200, body = PromptView)))]
async fn find_prompt(State(app): State<App>, Path(name): Path<String>) -> ApiResult<PromptView> {
    let store = app.engine.store();
    let row = store.find_registered_model(name.clone()).await;
    let row =
        row.ok().filter(RegisteredModelRow::is_prompt).ok_or_else(|| ApiError::unknown("prompt", &name))?;
    let clause =
        RegistryClause { field: RegistryField::Name, condition: Condition::Text(Compare::Equal, name) };
    let query = RegistryQuery {
        clauses: vec![clause],
        prompts: true,
        order: vec![RegistryOrder { field: RegistryField::Version, ascending: false }],
        limit: MOST,
        ..RegistryQuery::default()
    };
    let (rows, _) = store.search_model_versions(query).await?;
    Ok(Json(PromptView { prompt: summary(row), versions: rows.into_iter().map(version).collect() }))
}

fn version(row: ModelVersionRow) -> PromptVersionView {
    let tag = |name: &str| row.tags.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let json = |name: &str| {
        tag(name).map(|text| AnyJson(serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text))))
    };
    let text = |value: String| match serde_json::from_str(&value) {
        // Clients write a text's kind as it is or as JSON.
        Ok(serde_json::Value::String(text)) => text,
        _ => value,
    };
    PromptVersionView {
        version: u64::try_from(row.version).unwrap_or_default(),
        template: tag(TEXT).unwrap_or_default(),
        kind: tag(KIND).map_or_else(|| "text".to_owned(), text),
        model_config: json(MODEL_CONFIG),
        response_format: json(RESPONSE_FORMAT),
        message: row.description.clone().filter(|text| !text.is_empty()),
        created_at: instant(row.created_at),
        tags: TextMap(row.tags.iter().filter(|(key, _)| !OWN.contains(&key.as_str())).cloned().collect()),
        aliases: row.aliases,
    }
}
