//! Webhooks. Their secrets are encrypted with a key that the server has, not its database.

use std::collections::HashMap;

use millrace_metastore::registry::WebhookRow;
use millrace_metastore::{MetastoreError, Row};

use super::{DatabaseSource, failed, some_text, text_of};
use crate::ImportError;
use crate::record::{Found, Webhook, micros, webhook};

const WHAT: &str = "webhooks";

impl DatabaseSource {
    pub(super) async fn read_webhooks(&self) -> Result<Found<Webhook>, ImportError> {
        if !self.has("webhooks") || !self.has("webhook_events") {
            return Ok(Found::default());
        }
        let sql = "SELECT webhook_id AS owner, entity, action FROM webhook_events ORDER BY webhook_id, entity, action";
        let mut events: HashMap<String, Vec<String>> = HashMap::new();
        for row in self.fetch(WHAT, sql, &[]).await? {
            let event = event(&row).map_err(failed(WHAT))?;
            events.entry(event.0).or_default().push(event.1);
        }
        let texts = ["webhook_id", "name", "description", "url", "status", "secret"];
        let ints = ["creation_timestamp", "last_updated_timestamp", "deleted_timestamp"];
        let sql = format!("{} ORDER BY webhooks.webhook_id", self.select("webhooks", &texts, &ints));
        let mut found = Found::default();
        for row in self.fetch(WHAT, &sql, &[]).await? {
            let (read, is_whole, is_deleted) = read(&row).map_err(failed(WHAT))?;
            if !is_deleted {
                let events = events.remove(&read.id).unwrap_or_default();
                found.records.push(webhook(read, events, is_whole));
            }
        }
        Ok(found)
    }
}

/// The webhook and its event, `entity.action`.
fn event(row: &Row) -> Result<(String, String), MetastoreError> {
    Ok((row.text("owner")?, format!("{}.{}", text_of(row, "entity")?, text_of(row, "action")?)))
}

/// The webhook, whether there is no secret, and whether it is deleted.
fn read(row: &Row) -> Result<(WebhookRow, bool, bool), MetastoreError> {
    let created_at = micros(row.opt_int("creation_timestamp")?.unwrap_or(0));
    let read = WebhookRow {
        id: row.text("webhook_id")?,
        name: text_of(row, "name")?,
        url: text_of(row, "url")?,
        description: some_text(row, "description")?,
        secret: None,
        active: some_text(row, "status")?.as_deref() == Some("ACTIVE"),
        events: Vec::new(),
        created_at,
        updated_at: row.opt_int("last_updated_timestamp")?.map_or(created_at, micros),
    };
    let has_secret = row.opt_text("secret")?.is_some_and(|secret| !secret.is_empty());
    Ok((read, !has_secret, row.opt_int("deleted_timestamp")?.is_some()))
}
