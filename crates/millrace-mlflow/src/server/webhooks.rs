//! Webhooks. A server never tells their secrets, nor whether they have one.

use millrace_metastore::registry::WebhookRow;
use serde_json::Value;

use super::records::{int, some, text};
use super::{ServerSource, list};
use crate::ImportError;
use crate::record::{Broken, Found, Webhook, micros, webhook};

impl ServerSource {
    /// Whom a server shows no webhooks to, takes over none of them.
    pub(super) async fn read_webhooks(&mut self) -> Result<Found<Webhook>, ImportError> {
        let (mut found, mut token) = (Found::default(), String::new());
        loop {
            let query = [("max_results", "100"), ("page_token", token.as_str())];
            let query: Vec<(&str, &str)> = query.into_iter().filter(|(_, value)| !value.is_empty()).collect();
            let page = match self.client.get_if_known("api/2.0/mlflow/webhooks", &query).await {
                Ok(Some(page)) => page,
                Ok(None) => return Ok(found),
                Err(error) => {
                    self.refused.push(format!("webhooks: {error}"));
                    return Ok(found);
                }
            };
            for message in list(&page, "webhooks") {
                found.take(read(message).map_err(|reason| Broken::new("a webhook", reason)));
            }
            token = text(&page, "next_page_token");
            if token.is_empty() {
                return Ok(found);
            }
        }
    }
}

fn read(message: &Value) -> Result<Webhook, String> {
    let required = |name: &str| some(message, name).ok_or_else(|| format!("it has no `{name}`"));
    let created_at = micros(int(message, "creation_timestamp").unwrap_or(0));
    let row = WebhookRow {
        id: required("webhook_id")?,
        name: required("name")?,
        url: required("url")?,
        description: some(message, "description"),
        secret: None,
        active: text(message, "status") == "ACTIVE",
        events: Vec::new(),
        created_at,
        updated_at: int(message, "last_updated_timestamp").map_or(created_at, micros),
    };
    let event = |event: &Value| format!("{}.{}", text(event, "entity"), text(event, "action")).to_lowercase();
    let events = list(message, "events").iter().map(event).collect();
    Ok(webhook(row, events, false))
}
