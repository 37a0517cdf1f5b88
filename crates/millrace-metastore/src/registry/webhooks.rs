//! Webhooks and what waits to be told to them.

use serde_json::{Value as Json, json};

use super::RegistryRefusal;
use crate::outbox::{NoteRow, Outbox};
use crate::{Metastore, MetastoreError, Row, Session, Value};

/// Notes about the registry; `to` is a webhook's id.
const OUTBOX: Outbox = Outbox { table: "webhook_outbox", to: "webhook_id" };

/// A row of `webhook`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct WebhookRow {
    /// UUID.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Where notes are sent.
    pub url: String,
    /// For people.
    pub description: Option<String>,
    /// What notes are signed with; never shown.
    pub secret: Option<String>,
    /// Whether it is told of anything.
    pub active: bool,
    /// What it is told of: `model_version.created`, ….
    pub events: Vec<String>,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Microseconds since 1970.
    pub updated_at: i64,
}

impl std::fmt::Debug for WebhookRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookRow")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}

/// What is to become of a webhook; what is absent stays.
#[derive(Clone, Default)]
#[allow(missing_docs, reason = "the words are the columns")]
pub struct WebhookChange {
    pub name: Option<String>,
    pub url: Option<String>,
    pub description: Option<String>,
    pub secret: Option<String>,
    pub active: Option<bool>,
    pub events: Option<Vec<String>>,
}

/// A note as it was sent, or waits to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookDelivery {
    /// Unique: the receiver's idempotency key.
    pub id: String,
    /// What is sent, JSON.
    pub body: String,
    /// Tries so far.
    pub attempts: i64,
    /// When it is tried next, or was given up; microseconds since 1970.
    pub next_at: i64,
    /// When it arrived; microseconds since 1970.
    pub delivered_at: Option<i64>,
    /// Whether it was given up.
    pub dead: bool,
    /// Why the last try failed.
    pub error: Option<String>,
}

const COLUMNS: &str = "id, name, url, description, secret, status, created_at, updated_at";
const ACTIVE: &str = "ACTIVE";
const DISABLED: &str = "DISABLED";

fn status(active: bool) -> &'static str {
    if active { ACTIVE } else { DISABLED }
}

impl Metastore {
    /// Records a webhook.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn create_webhook(&self, webhook: WebhookRow) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                // Ids are new ones.
                insert(session, &webhook).await.map(drop)
            })
        })
        .await
    }

    /// Records a webhook of another server; gives whether it was new. One that is there already stays as it is.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn import_webhook(&self, webhook: WebhookRow) -> Result<bool, MetastoreError> {
        self.write(move |session| Box::pin(async move { insert(session, &webhook).await })).await
    }

    /// One webhook.
    ///
    /// # Errors
    /// [`RegistryRefusal::NoWebhook`], or if the database fails.
    pub async fn find_webhook(&self, id: String) -> Result<WebhookRow, MetastoreError> {
        self.read(move |session| Box::pin(async move { read_webhook(session, &id).await })).await
    }

    /// Webhooks, newest first: at most `limit` after the one of that time and id.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_webhooks(
        &self,
        after: Option<(i64, String)>,
        limit: i64,
    ) -> Result<Vec<WebhookRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let (at, id) = after.unwrap_or((i64::MAX, String::new()));
                let sql = format!(
                    "SELECT {COLUMNS} FROM webhook WHERE created_at < $1 OR (created_at = $1 AND id > $2) \
                     ORDER BY created_at DESC, id LIMIT $3"
                );
                let rows = session.fetch_all(&sql, &[at.into(), id.as_str().into(), limit.into()]).await?;
                let mut webhooks = rows.iter().map(webhook_row).collect::<Result<Vec<_>, _>>()?;
                for webhook in &mut webhooks {
                    webhook.events = read_events(session, &webhook.id).await?;
                }
                Ok(webhooks)
            })
        })
        .await
    }

    /// Changes a webhook. What waits for one that is disabled is dropped.
    ///
    /// # Errors
    /// [`RegistryRefusal::NoWebhook`], or if the database fails.
    pub async fn update_webhook(
        &self,
        id: String,
        change: WebhookChange,
        now: i64,
    ) -> Result<WebhookRow, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "UPDATE webhook SET name = COALESCE($2, name), url = COALESCE($3, url), description = COALESCE($4, description), \
                           secret = COALESCE($5, secret), status = COALESCE($6, status), updated_at = $7 WHERE id = $1";
                let args: [Value<'_>; 7] = [
                    id.as_str().into(),
                    change.name.as_deref().into(),
                    change.url.as_deref().into(),
                    change.description.as_deref().into(),
                    change.secret.as_deref().into(),
                    change.active.map(status).into(),
                    now.into(),
                ];
                if session.execute(sql, &args).await? == 0 {
                    return Err(RegistryRefusal::NoWebhook { id }.into());
                }
                if change.active == Some(false) {
                    let sql = "DELETE FROM webhook_outbox WHERE webhook_id = $1 AND delivered_at IS NULL";
                    session.execute(sql, &[id.as_str().into()]).await?;
                }
                if let Some(events) = &change.events {
                    session.execute("DELETE FROM webhook_event WHERE webhook_id = $1", &[id.as_str().into()]).await?;
                    set_events(session, &id, events).await?;
                }
                read_webhook(session, &id).await
            })
        })
        .await
    }

    /// Deletes a webhook with what waits for it.
    ///
    /// # Errors
    /// [`RegistryRefusal::NoWebhook`], or if the database fails.
    pub async fn delete_webhook(&self, id: String) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                match session.execute("DELETE FROM webhook WHERE id = $1", &[id.as_str().into()]).await? {
                    0 => Err(RegistryRefusal::NoWebhook { id }.into()),
                    _ => Ok(()),
                }
            })
        })
        .await
    }

    /// Notes that are due at `now`, oldest first: `limit` at most, `each` for the same webhook.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_due_webhook_notes(
        &self,
        now: i64,
        limit: u32,
        each: u32,
    ) -> Result<Vec<NoteRow>, MetastoreError> {
        self.read(move |session| Box::pin(OUTBOX.due(session, now, limit, each))).await
    }

    /// When the next note is due that waits for another try.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn next_webhook_note_at(&self) -> Result<Option<i64>, MetastoreError> {
        self.read(|session| {
            Box::pin(async move {
                let sql = "SELECT MIN(next_at) AS next_at FROM webhook_outbox WHERE delivered_at IS NULL AND dead = 0";
                let row = session.fetch_optional(sql, &[]).await?;
                row.map(|row| row.opt_int("next_at")).transpose().map(Option::flatten)
            })
        })
        .await
    }

    /// Notes for a webhook, the newest first. Those that arrived or were given up are kept for a while only.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_webhook_deliveries(
        &self,
        webhook: String,
        limit: i64,
    ) -> Result<Vec<WebhookDelivery>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                // Ids are made of the time.
                let sql = "SELECT id, body, attempts, next_at, delivered_at, dead, error FROM webhook_outbox \
                           WHERE webhook_id = $1 ORDER BY id DESC LIMIT $2";
                let rows = session.fetch_all(sql, &[webhook.into(), limit.into()]).await?;
                rows.iter().map(delivery_row).collect()
            })
        })
        .await
    }

    /// Tries a note again that was given up, now; `false` if there is none of this id that was.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn revive_webhook_note(
        &self,
        webhook: String,
        id: String,
        now: i64,
    ) -> Result<bool, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "UPDATE webhook_outbox SET dead = 0, attempts = 0, next_at = $3 \
                           WHERE id = $1 AND webhook_id = $2 AND dead = 1";
                let args = [id.into(), webhook.into(), now.into()];
                Ok(session.execute(sql, &args).await? > 0)
            })
        })
        .await
    }

    /// Records that a note arrived, and forgets those that arrived or were given up before `forget_before`.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn mark_webhook_note_delivered(
        &self,
        id: String,
        now: i64,
        forget_before: i64,
    ) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                OUTBOX.delivered(session, &id, now).await?;
                let sql = "DELETE FROM webhook_outbox WHERE delivered_at < $1 OR (dead = 1 AND next_at < $1)";
                session.execute(sql, &[forget_before.into()]).await.map(drop)
            })
        })
        .await
    }

    /// Records a failed try: the next one is at `next_at`, or never if `None`.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn postpone_webhook_note(
        &self,
        id: String,
        next_at: Option<i64>,
        error: String,
    ) -> Result<(), MetastoreError> {
        self.write(move |session| Box::pin(async move { OUTBOX.failed(session, &id, next_at, &error).await }))
            .await
    }
}

/// Puts a note for each webhook that asked for this event into the outbox. `event` is `entity.action`.
pub(super) async fn announce(
    session: &mut Session,
    event: &str,
    data: &Json,
    now: i64,
) -> Result<(), MetastoreError> {
    let sql = "SELECT webhook.id FROM webhook_event JOIN webhook ON webhook.id = webhook_event.webhook_id \
               WHERE webhook_event.event = $1 AND webhook.status = $2";
    let webhooks = session.fetch_all(sql, &[event.into(), ACTIVE.into()]).await?;
    if webhooks.is_empty() {
        return Ok(());
    }
    let body = webhook_body(event, data, now);
    for webhook in &webhooks {
        let note = NoteRow {
            id: uuid::Uuid::now_v7().to_string(),
            to: webhook.text("id")?,
            body: body.clone(),
            attempts: 0,
            next_at: now,
        };
        OUTBOX.insert(session, &note).await?;
    }
    Ok(())
}

/// What a webhook is sent of an event, `entity.action`: `{"entity", "action", "timestamp", "data"}`.
pub fn webhook_body(event: &str, data: &Json, now: i64) -> String {
    let (entity, action) = event.split_once('.').unwrap_or((event, ""));
    let at = jiff::Timestamp::from_microsecond(now).unwrap_or_default();
    let at = at.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string();
    json!({"entity": entity, "action": action, "timestamp": at, "data": data}).to_string()
}

fn delivery_row(row: &Row) -> Result<WebhookDelivery, MetastoreError> {
    Ok(WebhookDelivery {
        id: row.text("id")?,
        body: row.text("body")?,
        attempts: row.int("attempts")?,
        next_at: row.int("next_at")?,
        delivered_at: row.opt_int("delivered_at")?,
        dead: row.int("dead")? != 0,
        error: row.opt_text("error")?,
    })
}

/// Stores a webhook, if there is none of its id.
async fn insert(session: &mut Session, webhook: &WebhookRow) -> Result<bool, MetastoreError> {
    let sql = format!(
        "INSERT INTO webhook ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING"
    );
    let args = [
        webhook.id.as_str().into(),
        webhook.name.as_str().into(),
        webhook.url.as_str().into(),
        webhook.description.as_deref().into(),
        webhook.secret.as_deref().into(),
        status(webhook.active).into(),
        webhook.created_at.into(),
        webhook.updated_at.into(),
    ];
    let is_new = session.execute(&sql, &args).await? > 0;
    if is_new {
        set_events(session, &webhook.id, &webhook.events).await?;
    }
    Ok(is_new)
}

async fn set_events(session: &mut Session, id: &str, events: &[String]) -> Result<(), MetastoreError> {
    for event in events {
        let sql = "INSERT INTO webhook_event (webhook_id, event) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        session.execute(sql, &[id.into(), event.as_str().into()]).await?;
    }
    Ok(())
}

async fn read_webhook(session: &mut Session, id: &str) -> Result<WebhookRow, MetastoreError> {
    let sql = format!("SELECT {COLUMNS} FROM webhook WHERE id = $1");
    let row = session.fetch_optional(&sql, &[id.into()]).await?;
    let mut webhook = webhook_row(&row.ok_or_else(|| RegistryRefusal::NoWebhook { id: id.to_owned() })?)?;
    webhook.events = read_events(session, id).await?;
    Ok(webhook)
}

async fn read_events(session: &mut Session, id: &str) -> Result<Vec<String>, MetastoreError> {
    let sql = "SELECT event FROM webhook_event WHERE webhook_id = $1 ORDER BY event";
    session.fetch_all(sql, &[id.into()]).await?.iter().map(|row| row.text("event")).collect()
}

fn webhook_row(row: &Row) -> Result<WebhookRow, MetastoreError> {
    Ok(WebhookRow {
        id: row.text("id")?,
        name: row.text("name")?,
        url: row.text("url")?,
        description: row.opt_text("description")?,
        secret: row.opt_text("secret")?,
        active: row.text("status")? == ACTIVE,
        events: Vec::new(),
        created_at: row.int("created_at")?,
        updated_at: row.int("updated_at")?,
    })
}
