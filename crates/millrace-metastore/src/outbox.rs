//! Tables of notes that wait to be delivered: when each is due, how often it was tried, whether it was given up.

use crate::{MetastoreError, Row, Session};

/// A table with the columns `id`, `body`, `attempts`, `next_at`, `delivered_at`, `dead`, `error` and one that says where notes go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outbox {
    pub(crate) table: &'static str,
    /// The column that says where.
    pub(crate) to: &'static str,
}

/// A note in an outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteRow {
    /// Unique: the receiver's idempotency key.
    pub id: String,
    /// Where it goes.
    pub to: String,
    /// What is sent, JSON.
    pub body: String,
    /// Tries so far.
    pub attempts: i64,
    /// Not before; microseconds since 1970.
    pub next_at: i64,
}

impl Outbox {
    pub(crate) async fn insert(self, session: &mut Session, note: &NoteRow) -> Result<(), MetastoreError> {
        let Self { table, to } = self;
        let sql = format!(
            "INSERT INTO {table} (id, {to}, body, attempts, next_at, dead) VALUES ($1, $2, $3, $4, $5, 0)"
        );
        let args = [
            note.id.as_str().into(),
            note.to.as_str().into(),
            note.body.as_str().into(),
            note.attempts.into(),
            note.next_at.into(),
        ];
        session.execute(&sql, &args).await.map(drop)
    }

    /// Stores a note unless one with its id is there already.
    pub(crate) async fn insert_new(
        self,
        session: &mut Session,
        note: &NoteRow,
    ) -> Result<(), MetastoreError> {
        let Self { table, to } = self;
        let sql = format!(
            "INSERT INTO {table} (id, {to}, body, attempts, next_at, dead) VALUES ($1, $2, $3, $4, $5, 0) ON CONFLICT (id) DO NOTHING"
        );
        let args = [
            note.id.as_str().into(),
            note.to.as_str().into(),
            note.body.as_str().into(),
            note.attempts.into(),
            note.next_at.into(),
        ];
        session.execute(&sql, &args).await.map(drop)
    }

    /// Notes that are due at `now`, oldest first: `limit` at most, `each` for the same address, so that one that takes nothing does not
    /// keep the others waiting.
    pub(crate) async fn due(
        self,
        session: &mut Session,
        now: i64,
        limit: u32,
        each: u32,
    ) -> Result<Vec<NoteRow>, MetastoreError> {
        let Self { table, to } = self;
        let sql = format!(
            "SELECT * FROM (SELECT id, {to} AS addressee, body, attempts, next_at, \
             ROW_NUMBER() OVER (PARTITION BY {to} ORDER BY next_at, id) AS place FROM {table} \
             WHERE delivered_at IS NULL AND dead = 0 AND next_at <= $1) AS due \
             WHERE place <= $3 ORDER BY next_at, id LIMIT $2"
        );
        let args = [now.into(), limit.into(), each.into()];
        session.fetch_all(&sql, &args).await?.iter().map(note_row).collect()
    }

    /// Records that a note arrived.
    pub(crate) async fn delivered(
        self,
        session: &mut Session,
        id: &str,
        now: i64,
    ) -> Result<(), MetastoreError> {
        let sql = format!(
            "UPDATE {} SET delivered_at = $2, attempts = attempts + 1, error = NULL WHERE id = $1",
            self.table
        );
        session.execute(&sql, &[id.into(), now.into()]).await.map(drop)
    }

    /// Records a failed try: the next one is at `next_at`, or never if `None`.
    pub(crate) async fn failed(
        self,
        session: &mut Session,
        id: &str,
        next_at: Option<i64>,
        error: &str,
    ) -> Result<(), MetastoreError> {
        let sql = format!(
            "UPDATE {} SET attempts = attempts + 1, next_at = COALESCE($2, next_at), dead = $3, error = $4 WHERE id = $1",
            self.table
        );
        let args = [id.into(), next_at.into(), next_at.is_none().into(), error.into()];
        session.execute(&sql, &args).await.map(drop)
    }
}

fn note_row(row: &Row) -> Result<NoteRow, MetastoreError> {
    Ok(NoteRow {
        id: row.text("id")?,
        to: row.text("addressee")?,
        body: row.text("body")?,
        attempts: row.int("attempts")?,
        next_at: row.int("next_at")?,
    })
}
