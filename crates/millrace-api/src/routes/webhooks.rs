//! Webhooks and what was sent to them.

use axum::Json;
use axum::extract::{Path, State};
use millrace_metastore::registry::{WebhookDelivery, WebhookRow};
use millrace_tracking::webhooks::events;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::present::instant;
use crate::views::json::Json as AnyJson;
use crate::views::prompts::{DeliveryView, WebhookList, WebhookView};

const MOST: i64 = 1_000;
const MOST_DELIVERIES: i64 = 500;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_webhooks))
        .routes(routes!(list_deliveries))
        .routes(routes!(retry_delivery))
}

/// Lists the webhooks, and what they can be told of.
#[utoipa::path(get, path = "/api/webhooks", responses((status = 200, body = WebhookList)))]
async fn list_webhooks(State(app): State<App>) -> ApiResult<WebhookList> {
    let rows = app.engine.store().list_webhooks(None, MOST).await?;
    Ok(Json(WebhookList {
        webhooks: rows.into_iter().map(shown).collect(),
        known_events: events().map(str::to_owned).collect(),
    }))
}

fn shown(row: WebhookRow) -> WebhookView {
    WebhookView {
        id: row.id,
        name: row.name,
        url: row.url,
        description: row.description.filter(|text| !text.is_empty()),
        active: row.active,
        signed: row.secret.is_some_and(|secret| !secret.is_empty()),
        events: row.events,
        created_at: instant(row.created_at),
    }
}

/// Lists what was sent to a webhook or waits to be, the newest first; what arrived or was given up is kept for a while.
#[utoipa::path(get, path = "/api/webhooks/{id}/deliveries", params(("id" = String, Path)), responses((status = 200, body = [DeliveryView])))]
async fn list_deliveries(State(app): State<App>, Path(id): Path<String>) -> ApiResult<Vec<DeliveryView>> {
    let rows = app.engine.store().list_webhook_deliveries(id, MOST_DELIVERIES).await?;
    Ok(Json(rows.into_iter().map(delivery).collect()))
}

fn delivery(row: WebhookDelivery) -> DeliveryView {
    let body: Value = serde_json::from_str(&row.body).unwrap_or_default();
    let word = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let state = match (row.delivered_at, row.dead, row.attempts) {
        (Some(_), ..) => "delivered",
        (None, true, _) => "dead",
        (None, false, 0) => "waiting",
        (None, false, _) => "retrying",
    };
    DeliveryView {
        id: row.id,
        state: state.to_owned(),
        event: format!("{}.{}", word("entity"), word("action")),
        attempts: u64::try_from(row.attempts).unwrap_or_default(),
        at: instant(row.delivered_at.unwrap_or(row.next_at)),
        error: row.error,
        body: AnyJson(body),
    }
}

/// Sends a note again that was given up.
#[utoipa::path(post, path = "/api/webhooks/{id}/deliveries/{delivery}/retry", params(("id" = String, Path), ("delivery" = String, Path)),
    responses((status = 200, body = [DeliveryView])))]
async fn retry_delivery(
    State(app): State<App>,
    Path((id, delivery)): Path<(String, String)>,
) -> ApiResult<Vec<DeliveryView>> {
    let now = app.clock.now().as_microsecond();
    if !app.engine.store().revive_webhook_note(id.clone(), delivery.clone(), now).await? {
        return Err(ApiError::unknown("dead letter", &delivery));
    }
    app.webhooks.wake();
    list_deliveries(State(app), Path(id)).await
}
