//! Requests to point an alias at a version of a model.

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use millrace_metastore::registry::{NewPromotion, VoteRow};
use millrace_spec::problem::Problem;
use millrace_tracking::check_alias;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::accounts::Caller;
use crate::actor::person;
use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::present::assets::promotion;
use crate::views::models::{CastVote, PromotionView, RequestPromotion, Withdraw};

/// Bytes of a comment.
const LONGEST_COMMENT: usize = 10_000;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(request_promotion))
        .routes(routes!(list_promotions))
        .routes(routes!(vote_on_promotion))
        .routes(routes!(withdraw_promotion))
}

fn checked_comment(comment: &str) -> Result<(), ApiError> {
    if comment.len() <= LONGEST_COMMENT && !comment.contains('\0') {
        return Ok(());
    }
    let problem = Problem::error("invalid-comment", "a comment is text of at most 10000 bytes");
    Err(ApiError::new(StatusCode::BAD_REQUEST, problem))
}

/// Asks to point an alias at a version.
#[utoipa::path(post, path = "/api/models/{name}/promotions", params(("name" = String, Path)),
    request_body = RequestPromotion, responses((status = 200, body = PromotionView)))]
async fn request_promotion(
    State(app): State<App>,
    Path(name): Path<String>,
    Extension(caller): Extension<Caller>,
    body: Result<Json<RequestPromotion>, JsonRejection>,
) -> ApiResult<PromotionView> {
    let Json(request) = body?;
    checked_comment(&request.comment)?;
    check_alias(&request.alias).map_err(|error| {
        let message = format!("`{}` is not a name for an alias: {error}", request.alias);
        ApiError::new(StatusCode::BAD_REQUEST, Problem::error("invalid-name", message))
    })?;
    app.models.resolve(&format!("{name}@{}", request.version)).await?;
    let new = NewPromotion {
        id: app.new_id(),
        name,
        version: i64::try_from(request.version).unwrap_or_default(),
        alias: request.alias,
        quorum: request.approvals.map_or(1, i64::from),
        comment: request.comment,
        requested_by: person(&app, &caller, request.by.as_deref())?.name,
    };
    let made = app.engine.store().request_promotion(new, app.clock.now().as_microsecond()).await?;
    Ok(Json(promotion(made)))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct PromotionQuery {
    /// Only those of this model.
    model: Option<String>,
}

/// Lists requests, newest first.
#[utoipa::path(get, path = "/api/promotions", params(PromotionQuery), responses((status = 200, body = [PromotionView])))]
async fn list_promotions(
    State(app): State<App>,
    query: Result<Query<PromotionQuery>, QueryRejection>,
) -> ApiResult<Vec<PromotionView>> {
    let Query(query) = query?;
    let model = query.model.filter(|name| !name.is_empty() && !name.contains('\0'));
    let found = app.engine.store().list_promotions(model).await?;
    Ok(Json(found.into_iter().map(promotion).collect()))
}

fn known_id(id: String) -> Result<String, ApiError> {
    if id.contains('\0') { Err(ApiError::unknown("request", "?")) } else { Ok(id) }
}

/// Says yes or no to a request, as one of those whom the model's tag `millrace.approvers` names. The last yes that it needs moves the alias.
#[utoipa::path(post, path = "/api/promotions/{id}/votes", params(("id" = String, Path)), request_body = CastVote,
    responses((status = 200, body = PromotionView)))]
async fn vote_on_promotion(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    body: Result<Json<CastVote>, JsonRejection>,
) -> ApiResult<PromotionView> {
    let Json(vote) = body?;
    checked_comment(&vote.comment)?;
    if !vote.approve && vote.comment.trim().is_empty() {
        let problem = Problem::error("comment-missing", "who rejects a request says why");
        return Err(ApiError::new(StatusCode::BAD_REQUEST, problem));
    }
    let voter = person(&app, &caller, vote.by.as_deref())?;
    let access = app.approvals.access().await?;
    let row = VoteRow {
        voter: voter.name.clone(),
        approves: vote.approve,
        comment: vote.comment,
        voted_at: app.clock.now().as_microsecond(),
    };
    Ok(Json(promotion(app.engine.store().vote_on_promotion(known_id(id)?, (voter, access), row).await?)))
}

/// Takes a request back.
#[utoipa::path(post, path = "/api/promotions/{id}/withdraw", params(("id" = String, Path)), request_body = Withdraw,
    responses((status = 200, body = PromotionView)))]
async fn withdraw_promotion(
    State(app): State<App>,
    Path(id): Path<String>,
    Extension(caller): Extension<Caller>,
    body: Result<Json<Withdraw>, JsonRejection>,
) -> ApiResult<PromotionView> {
    let Json(Withdraw { by }) = body?;
    let by = person(&app, &caller, by.as_deref())?.name;
    let now = app.clock.now().as_microsecond();
    Ok(Json(promotion(app.engine.store().withdraw_promotion(known_id(id)?, by, now).await?)))
}
