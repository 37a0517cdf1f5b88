//! The inbox: what waits for people, and their decisions. Reading decides nothing, whatever the address says: mail scanners follow links.

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use millrace_metastore::approvals::{ApprovalFilter, approval_state};
use millrace_metastore::registry::promotion_state;
use millrace_orchestration::approvals::{Approval, Decision};
use millrace_spec::problem::Problem;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::accounts::Caller;
use crate::actor::person;
use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::present::approvals::approval as present;
use crate::present::assets::promotion;
use crate::views::approvals::{ApprovalPage, ApprovalView, DecideApproval};
use crate::views::models::PromotionView;

/// Bytes of a comment.
const LONGEST_COMMENT: usize = 10_000;

const STATES: [&str; 5] = [
    approval_state::WAITING,
    approval_state::APPROVED,
    approval_state::REJECTED,
    approval_state::VOID,
    approval_state::WITHDRAWN,
];

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_approvals))
        .routes(routes!(find_approval))
        .routes(routes!(decide_approval))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ApprovalQuery {
    /// Only in this state.
    state: Option<String>,
    /// Only of this run.
    run: Option<String>,
    /// `next` of the page before.
    after: Option<String>,
    /// Approvals a page; 50 if absent, at most 200.
    limit: Option<i64>,
}

/// Lists approvals, newest first; with those of the model registry, which wait for people too.
#[utoipa::path(get, path = "/api/approvals", params(ApprovalQuery), responses((status = 200, body = ApprovalPage)))]
async fn list_approvals(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    query: Result<Query<ApprovalQuery>, QueryRejection>,
) -> ApiResult<ApprovalPage> {
    let Query(query) = query?;
    let given = |value: Option<String>| value.filter(|value| !value.is_empty() && !value.contains('\0'));
    let (state, run_id, after) = (given(query.state), given(query.run), given(query.after));
    if let Some(word) = state.as_deref().filter(|word| !STATES.contains(word)) {
        let problem = Problem::error("invalid-query", format!("`{word}` is not a state of approvals"));
        return Err(problem.hint(format!("states are {}", STATES.join(", "))).into());
    }
    let before = after.as_deref().map(read_token).transpose()?;
    let limit = query.limit.unwrap_or(50).clamp(1, 200);
    let promotions = match (&run_id, &before) {
        (None, None) => promotions(&app, state.as_deref()).await?,
        _ => Vec::new(),
    };
    let waiting_promotions = match state.as_deref() {
        Some(approval_state::WAITING) => promotions.len(),
        _ => promotions.iter().filter(|promotion| promotion.state == promotion_state::PENDING).count(),
    };
    // One more than asked for tells whether there is a next page.
    let filter = ApprovalFilter { state, run_id, before, limit: limit + 1 };
    let mut rows = app.engine.store().list_approvals(filter).await?;
    let more = rows.len() as i64 > limit;
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = rows.last().filter(|_| more).map(|row| format!("{}-{}", row.asked_at, row.id));
    let waiting = app.engine.store().count_waiting_approvals().await?;
    let (person, access) = (person(&app, &caller, None)?, app.approvals.access().await);
    let mut approvals = Vec::with_capacity(rows.len());
    for row in rows {
        approvals.push(present(Approval::of(row)?, &access, &person, caller.is_somebody()));
    }
    let waiting = u32::try_from(waiting).unwrap_or(u32::MAX).saturating_add(waiting_promotions as u32);
    Ok(Json(ApprovalPage { approvals, promotions, waiting, next }))
}

/// Requests of the registry: those that wait, or all.
async fn promotions(app: &App, state: Option<&str>) -> Result<Vec<PromotionView>, ApiError> {
    let all = app.engine.store().list_promotions(None).await?.into_iter().map(promotion);
    Ok(match state {
        None => all.collect(),
        Some(approval_state::WAITING) => {
            all.filter(|promotion| promotion.state == promotion_state::PENDING).collect()
        }
        Some(word) => all.filter(|promotion| promotion.state == word).collect(),
    })
}

fn read_token(token: &str) -> Result<(i64, String), ApiError> {
    let parts = token.split_once('-').and_then(|(at, id)| Some((at.parse().ok()?, id.to_owned())));
    parts.ok_or_else(|| Problem::error("invalid-query", "`after` is not a token of an earlier page").into())
}

/// Shows an approval. Decides nothing.
#[utoipa::path(get, path = "/api/approvals/{id}", params(("id" = String, Path)),
    responses((status = 200, body = ApprovalView)))]
async fn find_approval(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> ApiResult<ApprovalView> {
    let found = app.approvals.find(&known_id(id)?).await?;
    let access = app.approvals.access().await;
    Ok(Json(present(found, &access, &person(&app, &caller, None)?, caller.is_somebody())))
}

/// Approves or rejects. Answers the approval as it is then: void, if its subject has changed meanwhile.
#[utoipa::path(post, path = "/api/approvals/{id}/decisions", params(("id" = String, Path)), request_body = DecideApproval,
    responses((status = 200, body = ApprovalView)))]
async fn decide_approval(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Result<Json<DecideApproval>, JsonRejection>,
) -> ApiResult<ApprovalView> {
    let Json(wanted) = body?;
    if wanted.comment.len() > LONGEST_COMMENT || wanted.comment.contains('\0') {
        let problem = Problem::error("invalid-comment", "a comment is text of at most 10000 bytes");
        return Err(ApiError::new(StatusCode::BAD_REQUEST, problem));
    }
    let person = person(&app, &caller, wanted.by.as_deref())?;
    let decision = Decision {
        person: person.clone(),
        approve: wanted.approve,
        comment: wanted.comment,
        form: wanted.form.0,
        via: "api",
    };
    let decided = app.approvals.decide(&known_id(id)?, decision).await?;
    app.engine.nudge(&decided.row.run_id, &decided.row.step);
    Ok(Json(present(decided, &app.approvals.access().await, &person, caller.is_somebody())))
}

fn known_id(id: String) -> Result<String, ApiError> {
    if id.contains('\0') { Err(ApiError::unknown("approval", "?")) } else { Ok(id) }
}
