//! Requests to point an alias at a version of a model.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use millrace_metastore::registry::{NewPromotion, VoteRow};
use millrace_spec::problem::Problem;
use millrace_tracking::check_alias;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::login_name;
use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::present::assets::promotion;
use crate::views::models::{CastVote, PromotionView, RequestPromotion, Withdraw};

/// Who acts where nobody says: a server without logins.
const SOMEBODY: &str = "local";
/// Bytes of a name and of a comment.
const LONGEST_NAME: usize = 250;
const LONGEST_COMMENT: usize = 10_000;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(request_promotion))
        .routes(routes!(list_promotions))
        .routes(routes!(vote_on_promotion))
        .routes(routes!(withdraw_promotion))
}

/// Who acts: the name of the login, which nobody can choose; else who the request says.
pub(super) fn actor(headers: &HeaderMap, said: Option<String>) -> Result<String, ApiError> {
    let name = login_name(headers).or(said).unwrap_or_else(|| SOMEBODY.to_owned());
    if name.trim().is_empty() || name.len() > LONGEST_NAME || name.contains('\0') {
        let problem = Problem::error("invalid-name", "a name has 1 to 250 bytes");
        return Err(ApiError::new(StatusCode::BAD_REQUEST, problem));
    }
    Ok(name)
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
    headers: HeaderMap,
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
        requested_by: actor(&headers, request.by)?,
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

/// Says yes or no to a request. The last yes that it needs moves the alias.
#[utoipa::path(post, path = "/api/promotions/{id}/votes", params(("id" = String, Path)), request_body = CastVote,
    responses((status = 200, body = PromotionView)))]
async fn vote_on_promotion(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Json<CastVote>, JsonRejection>,
) -> ApiResult<PromotionView> {
    let Json(vote) = body?;
    checked_comment(&vote.comment)?;
    if !vote.approve && vote.comment.trim().is_empty() {
        let problem = Problem::error("comment-missing", "who rejects a request says why");
        return Err(ApiError::new(StatusCode::BAD_REQUEST, problem));
    }
    let row = VoteRow {
        voter: actor(&headers, vote.by)?,
        approves: vote.approve,
        comment: vote.comment,
        voted_at: app.clock.now().as_microsecond(),
    };
    Ok(Json(promotion(app.engine.store().vote_on_promotion(known_id(id)?, row).await?)))
}

/// Takes a request back.
#[utoipa::path(post, path = "/api/promotions/{id}/withdraw", params(("id" = String, Path)), request_body = Withdraw,
    responses((status = 200, body = PromotionView)))]
async fn withdraw_promotion(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Json<Withdraw>, JsonRejection>,
) -> ApiResult<PromotionView> {
    let Json(Withdraw { by }) = body?;
    let (by, now) = (actor(&headers, by)?, app.clock.now().as_microsecond());
    Ok(Json(promotion(app.engine.store().withdraw_promotion(known_id(id)?, by, now).await?)))
}
