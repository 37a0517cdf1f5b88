//! Assessments: what people, programs and judges think of a trace.

use crate::{Metastore, MetastoreError, Row, Session};

/// A row of `trace_assessment`. `document` is one of the tracking room.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AssessmentRow {
    /// Of which trace.
    pub trace_id: String,
    /// `a-` and 32 hex digits.
    pub id: String,
    /// `feedback`, `expectation` or `issue`.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Its value, JSON.
    pub content: String,
    /// Its value, if it is a number.
    pub number: Option<f64>,
    /// Whether none overrides it.
    pub is_valid: bool,
    /// Which one it overrides.
    pub overrides: Option<String>,
    /// Everything that it says.
    pub document: String,
    /// Milliseconds since 1970.
    pub created_at_ms: i64,
}

/// What became of a new assessment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assessed {
    /// It is stored.
    Done,
    /// There is no such trace.
    NoTrace,
    /// There is no assessment that it could override.
    NothingToOverride,
}

const COLUMNS: &str =
    "trace_id, id, kind, name, content, number, is_valid, overrides, document, created_at_ms";

impl Metastore {
    /// Adds an assessment; the one that it overrides is no longer valid.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn create_assessment(&self, row: AssessmentRow) -> Result<Assessed, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "SELECT 1 AS found FROM trace WHERE id = $1";
                if session.fetch_optional(sql, &[row.trace_id.as_str().into()]).await?.is_none() {
                    return Ok(Assessed::NoTrace);
                }
                if let Some(overridden) = &row.overrides
                    && !set_valid(session, &row.trace_id, overridden, false).await?
                {
                    return Ok(Assessed::NothingToOverride);
                }
                store(session, &row).await?;
                Ok(Assessed::Done)
            })
        })
        .await
    }

    /// An assessment.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find_assessment(
        &self,
        trace_id: String,
        id: String,
    ) -> Result<Option<AssessmentRow>, MetastoreError> {
        self.read(move |session| Box::pin(async move { find(session, &trace_id, &id).await })).await
    }

    /// Changes an assessment as `change` says and gives what it has become; `None` if there is none, the error of `change` if it
    /// refuses.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn change_assessment<E: Send + 'static>(
        &self,
        trace_id: String,
        id: String,
        change: impl FnOnce(AssessmentRow) -> Result<AssessmentRow, E> + Send + 'static,
    ) -> Result<Option<Result<AssessmentRow, E>>, MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let Some(row) = find(session, &trace_id, &id).await? else { return Ok(None) };
                match change(row) {
                    Ok(row) => {
                        store(session, &row).await?;
                        Ok(Some(Ok(row)))
                    }
                    Err(refusal) => Ok(Some(Err(refusal))),
                }
            })
        })
        .await
    }

    /// Deletes an assessment, if there is one; the one that it overrode is valid again.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn delete_assessment(&self, trace_id: String, id: String) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let Some(row) = find(session, &trace_id, &id).await? else { return Ok(()) };
                if let Some(overridden) = &row.overrides {
                    set_valid(session, &trace_id, overridden, true).await?;
                }
                let sql = "DELETE FROM trace_assessment WHERE trace_id = $1 AND id = $2";
                session.execute(sql, &[trace_id.as_str().into(), id.as_str().into()]).await?;
                Ok(())
            })
        })
        .await
    }
}

async fn find(
    session: &mut Session,
    trace_id: &str,
    id: &str,
) -> Result<Option<AssessmentRow>, MetastoreError> {
    let lock = if session.is_postgres() { " FOR UPDATE" } else { "" };
    let sql = format!("SELECT {COLUMNS} FROM trace_assessment WHERE trace_id = $1 AND id = $2{lock}");
    session
        .fetch_optional(&sql, &[trace_id.into(), id.into()])
        .await?
        .as_ref()
        .map(assessment_row)
        .transpose()
}

async fn set_valid(
    session: &mut Session,
    trace_id: &str,
    id: &str,
    valid: bool,
) -> Result<bool, MetastoreError> {
    let sql = "UPDATE trace_assessment SET is_valid = $3 WHERE trace_id = $1 AND id = $2";
    Ok(session.execute(sql, &[trace_id.into(), id.into(), valid.into()]).await? > 0)
}

/// Stores an assessment of a trace that is there.
pub(super) async fn store(session: &mut Session, row: &AssessmentRow) -> Result<(), MetastoreError> {
    let sql = format!(
        "INSERT INTO trace_assessment ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
         ON CONFLICT (trace_id, id) DO UPDATE SET name = excluded.name, content = excluded.content, \
         number = excluded.number, is_valid = excluded.is_valid, document = excluded.document"
    );
    let args = [
        row.trace_id.as_str().into(),
        row.id.as_str().into(),
        row.kind.as_str().into(),
        row.name.as_str().into(),
        row.content.as_str().into(),
        row.number.into(),
        row.is_valid.into(),
        row.overrides.as_deref().into(),
        row.document.as_str().into(),
        row.created_at_ms.into(),
    ];
    session.execute(&sql, &args).await?;
    Ok(())
}

/// Assessments of traces, in the order in which they were made.
pub(super) async fn list(
    session: &mut Session,
    ids: &[String],
) -> Result<Vec<AssessmentRow>, MetastoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM trace_assessment WHERE trace_id IN ({}) ORDER BY created_at_ms, id",
        super::placeholders(1, ids.len())
    );
    let args: Vec<_> = ids.iter().map(Into::into).collect();
    session.fetch_all(&sql, &args).await?.iter().map(assessment_row).collect()
}

fn assessment_row(row: &Row) -> Result<AssessmentRow, MetastoreError> {
    Ok(AssessmentRow {
        trace_id: row.text("trace_id")?,
        id: row.text("id")?,
        kind: row.text("kind")?,
        name: row.text("name")?,
        content: row.text("content")?,
        number: row.opt_real("number")?,
        is_valid: row.bool("is_valid")?,
        overrides: row.opt_text("overrides")?,
        document: row.text("document")?,
        created_at_ms: row.int("created_at_ms")?,
    })
}
