//! Aliases and tags of dataset versions, and what changed in their columns.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use millrace_metastore::lineage::Direction;
use millrace_spec::problem::Problem;
use millrace_tracking::schema_diff::{self, Column};
use millrace_tracking::{InvalidReference, check_dataset_alias, check_tag};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::datasets::{VersionQuery, reference};
use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::present::{assets, instant};
use crate::views::datasets::{
    AliasTarget, ColumnChange, DatasetAlias, DatasetRead, FieldView, SchemaDiff, TagValue,
};
use crate::views::json::TextMap;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(set_dataset_alias, delete_dataset_alias))
        .routes(routes!(set_dataset_tag, delete_dataset_tag))
        .routes(routes!(diff_dataset_schemas))
        .routes(routes!(list_dataset_reads))
}

fn refused(code: &str, what: &str, name: &str, error: &InvalidReference) -> ApiError {
    let problem = Problem::error(code, format!("`{name}` is not {what}: {}", error.reason));
    ApiError::new(StatusCode::BAD_REQUEST, problem)
}

fn number(version: u64) -> i64 {
    i64::try_from(version).unwrap_or(i64::MAX)
}

/// Points an alias at a version.
#[utoipa::path(put, path = "/api/datasets/{name}/aliases/{alias}", params(("name" = String, Path), ("alias" = String, Path)),
    request_body = AliasTarget, responses((status = 200, body = [DatasetAlias])))]
async fn set_dataset_alias(
    State(app): State<App>,
    Path((name, alias)): Path<(String, String)>,
    body: Result<Json<AliasTarget>, JsonRejection>,
) -> ApiResult<Vec<DatasetAlias>> {
    let Json(target) = body?;
    check_dataset_alias(&alias)
        .map_err(|error| refused("invalid-name", "a name for an alias", &alias, &error))?;
    app.datasets.resolve(&name).await?;
    let store = app.engine.store();
    if target.version == 0 || !store.set_dataset_alias((name.clone(), number(target.version)), alias).await? {
        return Err(ApiError::unknown("dataset", &format!("{name}@{}", target.version)));
    }
    aliases(&app, name).await
}

/// Removes an alias.
#[utoipa::path(delete, path = "/api/datasets/{name}/aliases/{alias}", params(("name" = String, Path), ("alias" = String, Path)),
    responses((status = 200, body = [DatasetAlias])))]
async fn delete_dataset_alias(
    State(app): State<App>,
    Path((name, alias)): Path<(String, String)>,
) -> ApiResult<Vec<DatasetAlias>> {
    app.datasets.resolve(&name).await?;
    check_dataset_alias(&alias)
        .map_err(|error| refused("invalid-name", "a name for an alias", &alias, &error))?;
    if !app.engine.store().delete_dataset_alias(name.clone(), alias.clone()).await? {
        return Err(ApiError::unknown("alias", &format!("{name}@{alias}")));
    }
    aliases(&app, name).await
}

async fn aliases(app: &App, name: String) -> ApiResult<Vec<DatasetAlias>> {
    let labels = app.engine.store().find_dataset_labels(name).await?;
    let alias = |(alias, version): (String, i64)| DatasetAlias {
        alias,
        version: u64::try_from(version).unwrap_or_default(),
    };
    Ok(Json(labels.aliases.into_iter().map(alias).collect()))
}

/// Sets a tag of a version; version 0 is the dataset itself.
#[utoipa::path(put, path = "/api/datasets/{name}/versions/{version}/tags/{key}",
    params(("name" = String, Path), ("version" = u64, Path), ("key" = String, Path)),
    request_body = TagValue, responses((status = 200, body = TextMap)))]
async fn set_dataset_tag(
    State(app): State<App>,
    Path((name, version, key)): Path<(String, u64, String)>,
    body: Result<Json<TagValue>, JsonRejection>,
) -> ApiResult<TextMap> {
    let Json(TagValue { value }) = body?;
    check_tag(&key, &value)
        .map_err(|error| refused("invalid-tag", "a tag that can be kept", &key, &error))?;
    app.datasets.resolve(&name).await?;
    let of = (name.clone(), number(version));
    if !app.engine.store().set_dataset_tag(of, (key, value)).await? {
        return Err(ApiError::unknown("dataset", &format!("{name}@{version}")));
    }
    tags(&app, name, version).await
}

/// Removes a tag of a version; version 0 is the dataset itself.
#[utoipa::path(delete, path = "/api/datasets/{name}/versions/{version}/tags/{key}",
    params(("name" = String, Path), ("version" = u64, Path), ("key" = String, Path)),
    responses((status = 200, body = TextMap)))]
async fn delete_dataset_tag(
    State(app): State<App>,
    Path((name, version, key)): Path<(String, u64, String)>,
) -> ApiResult<TextMap> {
    app.datasets.resolve(&name).await?;
    check_tag(&key, "").map_err(|error| refused("invalid-tag", "a tag that can be kept", &key, &error))?;
    if !app.engine.store().delete_dataset_tag((name.clone(), number(version)), key.clone()).await? {
        return Err(ApiError::unknown("tag", &key));
    }
    tags(&app, name, version).await
}

async fn tags(app: &App, name: String, version: u64) -> ApiResult<TextMap> {
    let labels = app.engine.store().find_dataset_labels(name).await?;
    Ok(Json(TextMap(labels.tags_of(number(version)).into_iter().collect())))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DiffQuery {
    /// The old version: a number, an alias or a time.
    from: String,
    /// The new one; the newest if absent.
    to: Option<String>,
}

/// Compares the columns of two versions.
#[utoipa::path(get, path = "/api/datasets/{name}/schema-diff", params(("name" = String, Path), DiffQuery),
    responses((status = 200, body = SchemaDiff)))]
async fn diff_dataset_schemas(
    State(app): State<App>,
    Path(name): Path<String>,
    query: Result<Query<DiffQuery>, QueryRejection>,
) -> ApiResult<SchemaDiff> {
    let Query(query) = query?;
    let before = app.datasets.resolve(&reference(&name, Some(&query.from))).await?;
    let after = app.datasets.resolve(&reference(&name, query.to.as_deref())).await?;
    let columns = (schema_diff::columns(&before.schema), schema_diff::columns(&after.schema));
    Ok(Json(SchemaDiff {
        from: assets::dataset_summary(&before),
        to: assets::dataset_summary(&after),
        changes: schema_diff::diff(&columns.0, &columns.1).into_iter().map(change).collect(),
    }))
}

/// Lists the steps and the tracked runs that read a version, newest first.
#[utoipa::path(get, path = "/api/datasets/{name}/reads", params(("name" = String, Path), VersionQuery),
    responses((status = 200, body = [DatasetRead])))]
async fn list_dataset_reads(
    State(app): State<App>,
    Path(name): Path<String>,
    query: Result<Query<VersionQuery>, QueryRejection>,
) -> ApiResult<Vec<DatasetRead>> {
    let Query(query) = query?;
    let asset = app.datasets.resolve(&reference(&name, query.version.as_deref())).await?.asset;
    let version = number(asset.version.unwrap_or_default());
    let store = app.engine.store();
    let mut reads = Vec::new();
    for used in store.list_uses_of_version("dataset", name.clone(), version).await? {
        if used.asset.direction == Direction::Read {
            reads.push(DatasetRead {
                run_id: used.run_id,
                name: used.pipeline,
                step: Some(used.step),
                context: Some(used.step_kind),
                at: used.ended_at.map(instant),
            });
        }
    }
    for read in store.list_tracked_reads_of(name, version).await? {
        // The tracked runs of steps are told by their steps.
        if !store.is_pipeline_run_or_child(read.run_id.clone()).await? {
            reads.push(DatasetRead {
                run_id: read.run_id,
                name: read.run_name,
                step: None,
                context: read.context,
                at: Some(instant(read.started_at)),
            });
        }
    }
    reads.sort_by(|one, other| other.at.cmp(&one.at));
    Ok(Json(reads))
}

fn change(change: schema_diff::ColumnChange) -> ColumnChange {
    let field = |column: Column| FieldView {
        name: column.name,
        data_type: column.data_type,
        nullable: column.nullable,
    };
    ColumnChange {
        column: change.column,
        change: change.change.word().to_owned(),
        before: change.before.map(field),
        after: change.after.map(field),
        breaking: change.breaking,
    }
}
