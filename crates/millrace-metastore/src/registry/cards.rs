//! What people write about a version: its model card. Every text is kept; the newest counts.

use super::labels::lock_version;
use crate::{Metastore, MetastoreError, Row};

/// A text about a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardRow {
    /// From 1.
    pub revision: i64,
    /// Markdown.
    pub content: String,
    /// Who wrote it.
    pub written_by: String,
    /// Microseconds since 1970.
    pub written_at: i64,
}

impl Metastore {
    /// Keeps a text as the newest card of a version. The same text again changes nothing.
    ///
    /// # Errors
    /// [`super::RegistryRefusal::NoVersion`], or if the database fails.
    pub async fn write_model_card(
        &self,
        (name, version): (String, i64),
        content: String,
        written_by: String,
        now: i64,
    ) -> Result<CardRow, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                lock_version(session, &name, version).await?;
                let sql = "SELECT revision, content, written_by, written_at FROM model_card \
                           WHERE name = $1 AND version = $2 ORDER BY revision DESC LIMIT 1";
                let args = [name.as_str().into(), version.into()];
                let newest = session.fetch_optional(sql, &args).await?.as_ref().map(card_row).transpose()?;
                let revision = match newest {
                    Some(newest) if newest.content == content => return Ok(newest),
                    newest => newest.map_or(0, |newest| newest.revision) + 1,
                };
                let sql = "INSERT INTO model_card (name, version, revision, content, written_by, written_at) \
                           VALUES ($1, $2, $3, $4, $5, $6)";
                let args = [
                    name.as_str().into(),
                    version.into(),
                    revision.into(),
                    content.as_str().into(),
                    written_by.as_str().into(),
                    now.into(),
                ];
                session.execute(sql, &args).await?;
                Ok(CardRow { revision, content, written_by, written_at: now })
            })
        })
        .await
    }

    /// The texts about a version, newest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_model_cards(
        &self,
        (name, version): (String, i64),
    ) -> Result<Vec<CardRow>, MetastoreError> {
        self.read(move |session| {
            Box::pin(async move {
                let sql = "SELECT revision, content, written_by, written_at FROM model_card \
                           WHERE name = $1 AND version = $2 ORDER BY revision DESC";
                let rows = session.fetch_all(sql, &[name.as_str().into(), version.into()]).await?;
                rows.iter().map(card_row).collect()
            })
        })
        .await
    }
}

fn card_row(row: &Row) -> Result<CardRow, MetastoreError> {
    Ok(CardRow {
        revision: row.int("revision")?,
        content: row.text("content")?,
        written_by: row.text("written_by")?,
        written_at: row.int("written_at")?,
    })
}
