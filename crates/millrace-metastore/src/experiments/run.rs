//! Runs, as MLflow's clients begin, change and delete them.

use crate::{Metastore, MetastoreError, Session};

use super::document::Document;
use super::experiment::require_active;
use super::{NAME_TAG, PARENT_TAG, Refusal, SELECT_RUN, TrackedRunRow, next_change, placeholders, run_rows};

/// What is to become of a run; what is absent stays.
#[derive(Debug, Clone, Default)]
pub struct RunChange {
    /// MLflow's word.
    pub status: Option<String>,
    /// Microseconds since 1970.
    pub ended_at: Option<i64>,
    /// Name for people.
    pub name: Option<String>,
}

/// Ids in one statement.
const CHUNK: usize = 500;

impl Metastore {
    /// Begins a run in an experiment that exists, with its first tags.
    ///
    /// # Errors
    /// [`Refusal`] if there is no such experiment or it is deleted; if the database fails.
    pub async fn create_tracked_run(
        &self,
        run: TrackedRunRow,
        tags: Vec<(String, String)>,
    ) -> Result<(), MetastoreError> {
        let keys = self.keys();
        self.write(move |session| {
            Box::pin(async move {
                require_active(session, run.experiment_id).await?;
                let mut run = run;
                let mut document = Document::default();
                let names = tags.iter().map(|(name, _)| name.as_str()).collect();
                let numbered = keys.ensure(session, names).await?;
                for (name, value) in tags {
                    match (name.as_str(), numbered.get(&name)) {
                        (NAME_TAG, _) => run.name = value,
                        (PARENT_TAG, _) => run.parent_id = Some(value),
                        (_, Some(key)) => document.set_tag(*key, value),
                        (_, None) => {}
                    }
                }
                insert_run(session, &run, &document).await
            })
        })
        .await
    }

    /// One run, deleted or not.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find_tracked_run(&self, id: String) -> Result<Option<TrackedRunRow>, MetastoreError> {
        Ok(self.find_tracked_runs(vec![id]).await?.pop())
    }

    /// The runs of these ids that there are, deleted or not, in any order.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn find_tracked_runs(&self, ids: Vec<String>) -> Result<Vec<TrackedRunRow>, MetastoreError> {
        let keys = self.keys();
        self.read(move |session| {
            Box::pin(async move {
                let mut rows = Vec::with_capacity(ids.len());
                for ids in ids.chunks(CHUNK) {
                    let sql = format!(
                        "{SELECT_RUN} FROM tracked_run AS this JOIN experiment ON experiment.id = this.experiment_id \
                         WHERE this.id IN ({})",
                        placeholders(1, ids.len())
                    );
                    let args: Vec<_> = ids.iter().map(Into::into).collect();
                    rows.extend(session.fetch_all(&sql, &args).await?);
                }
                run_rows(session, &keys, &rows).await
            })
        })
        .await
    }

    /// Changes a run.
    ///
    /// # Errors
    /// [`Refusal`] if there is none or it is deleted; if the database fails.
    pub async fn update_tracked_run(&self, id: String, change: RunChange) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                lock_active_run(session, &id).await?;
                let changed = next_change(session).await?;
                let sql = "UPDATE tracked_run SET status = COALESCE($2, status), ended_at = COALESCE($3, ended_at), \
                           name = COALESCE($4, name), changed = $5 WHERE id = $1";
                let args = [
                    id.as_str().into(),
                    change.status.as_deref().into(),
                    change.ended_at.into(),
                    change.name.as_deref().into(),
                    changed.into(),
                ];
                session.execute(sql, &args).await?;
                Ok(())
            })
        })
        .await
    }

    /// Deletes a run, which can be restored.
    ///
    /// # Errors
    /// [`Refusal::NoRun`], or if the database fails.
    pub async fn delete_tracked_run(&self, id: String, now: i64) -> Result<(), MetastoreError> {
        self.mark_run(id, "deleted", Some(now)).await
    }

    /// Restores a deleted run.
    ///
    /// # Errors
    /// [`Refusal::NoRun`], or if the database fails.
    pub async fn restore_tracked_run(&self, id: String) -> Result<(), MetastoreError> {
        self.mark_run(id, "active", None).await
    }

    async fn mark_run(
        &self,
        id: String,
        lifecycle: &'static str,
        deleted_at: Option<i64>,
    ) -> Result<(), MetastoreError> {
        self.write(move |session| {
            Box::pin(async move {
                let sql = "UPDATE tracked_run SET lifecycle = $2, deleted_at = $3 WHERE id = $1";
                let args = [id.as_str().into(), lifecycle.into(), deleted_at.into()];
                match session.execute(sql, &args).await? {
                    0 => Err(Refusal::NoRun { id }.into()),
                    _ => stamp(session, &id).await,
                }
            })
        })
        .await
    }

    /// Removes a tag of a run.
    ///
    /// # Errors
    /// [`Refusal`] if there is no such run or tag, or the run is deleted; if the database fails.
    pub async fn delete_run_tag(&self, id: String, key: String) -> Result<(), MetastoreError> {
        let keys = self.keys();
        self.write(move |session| {
            Box::pin(async move {
                lock_active_run(session, &id).await?;
                let gone = match key.as_str() {
                    // A run without a name cannot be; its tag stays.
                    NAME_TAG => true,
                    PARENT_TAG => {
                        let changed = next_change(session).await?;
                        let sql =
                            "UPDATE tracked_run SET parent_id = NULL, changed = $2 WHERE id = $1 AND parent_id IS NOT NULL";
                        session.execute(sql, &[id.as_str().into(), changed.into()]).await? > 0
                    }
                    _ => match keys.id(session, &key).await? {
                        Some(key) => remove_tag(session, &id, key).await?,
                        None => false,
                    },
                };
                if gone { Ok(()) } else { Err(Refusal::NoTag { what: "run", id, key }.into()) }
            })
        })
        .await
    }
}

/// Whether there was one.
async fn remove_tag(session: &mut Session, id: &str, key: u32) -> Result<bool, MetastoreError> {
    let sql = "SELECT document FROM tracked_run WHERE id = $1";
    let Some(row) = session.fetch_optional(sql, &[id.into()]).await? else { return Ok(false) };
    let mut document = Document::decode(&row.bytes("document")?)?;
    if !document.remove_tag(key) {
        return Ok(false);
    }
    let changed = next_change(session).await?;
    let sql = "UPDATE tracked_run SET document = $2, changed = $3 WHERE id = $1";
    session.execute(sql, &[id.into(), document.encode().into(), changed.into()]).await?;
    Ok(true)
}

/// Inserts a run. One that is there already stays as it is.
pub(super) async fn insert_run(
    session: &mut Session,
    run: &TrackedRunRow,
    document: &Document,
) -> Result<(), MetastoreError> {
    let changed = next_change(session).await?;
    let sql = "INSERT INTO tracked_run (id, experiment_id, parent_id, name, status, started_at, user_id, changed, document) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING";
    let args = [
        run.id.as_str().into(),
        run.experiment_id.into(),
        run.parent_id.as_deref().into(),
        run.name.as_str().into(),
        run.status.as_str().into(),
        run.started_at.into(),
        run.user_id.as_str().into(),
        changed.into(),
        document.encode().into(),
    ];
    session.execute(sql, &args).await.map(drop)
}

/// Checks that the run is there and not deleted; on PostgreSQL, holds it until the transaction ends, so that two writers of a run
/// come one after the other as they do on SQLite.
pub(super) async fn lock_active_run(session: &mut Session, id: &str) -> Result<i64, MetastoreError> {
    let lock = if session.is_postgres() { " FOR UPDATE" } else { "" };
    let sql = format!("SELECT experiment_id, lifecycle FROM tracked_run WHERE id = $1{lock}");
    let row = session.fetch_optional(&sql, &[id.into()]).await?;
    let row = row.ok_or_else(|| Refusal::NoRun { id: id.to_owned() })?;
    if row.text("lifecycle")? != "active" {
        return Err(Refusal::RunDeleted { id: id.to_owned() }.into());
    }
    row.int("experiment_id")
}

/// Counts a change of a run. After the run's row is held, as everywhere: who took the counter first and then waited for a row could wait for
/// one who holds the row and waits for the counter.
pub(super) async fn stamp(session: &mut Session, id: &str) -> Result<(), MetastoreError> {
    let changed = next_change(session).await?;
    let sql = "UPDATE tracked_run SET changed = $2 WHERE id = $1";
    session.execute(sql, &[id.into(), changed.into()]).await.map(drop)
}
